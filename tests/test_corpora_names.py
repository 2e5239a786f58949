"""EmoDB, RAVDESS, LJ Speech and LibriSpeech parsers: small trees by hand, and the real corpora where they are."""

from collections import Counter
from pathlib import Path

import pytest

from corpus_trees import wav, write
from duetto.corpora import emodb, librispeech, ljspeech, ravdess, validate
from duetto.data.utterance import Utterance, Word
from duetto.errors import CorpusError


def test_emodb(tmp_path):
    files = [wav(tmp_path / "wav" / name) for name in ("03a01Fa.wav", "08b10Lc.flac", "16a05Wb.wav")]
    write(tmp_path / "wav/._03a01Fa.wav", "\x00")
    write(tmp_path / "erkennung.txt", "not audio")
    first, second, third = emodb.CORPUS(tmp_path)
    assert first == Utterance(
        id="03a01Fa",
        audio=files[0],
        label="happy",
        raw_label="F",
        speaker="03",
        scenario="a01",
        text="Der Lappen liegt auf dem Eisschrank.",
        gender="male",
        language="de",
        corpus="emodb",
    )
    assert (second.id, second.audio, second.label, second.raw_label) == ("08b10Lc", files[1], None, "L")
    assert (third.label, third.gender) == ("angry", "female")
    assert emodb.CORPUS(tmp_path / "wav") == [first, second, third]


@pytest.mark.parametrize("name", ["04a01Fa", "03a03Fa", "03a01Xa", "03a01Fa copy", "speech"])
def test_emodb_foreign_name(tmp_path, name):
    wav(tmp_path / f"{name}.wav")
    with pytest.raises(CorpusError, match=f"{name}.wav: no EmoDB name, which is .*like 03a01Fa"):
        emodb.CORPUS(tmp_path)


def test_ravdess(tmp_path, caplog):
    sad = wav(tmp_path / "Actor_12/03-01-04-02-02-01-12.wav")
    wav(tmp_path / "Actor_01/03-01-08-01-01-02-01.flac")
    song = wav(tmp_path / "Actor_01/03-02-04-01-01-02-01.wav")
    surprised, first = ravdess.CORPUS(tmp_path)[::-1]
    assert first == Utterance(
        id=sad.stem,
        audio=sad,
        label="sad",
        raw_label="04",
        speaker="12",
        scenario="02",
        text="Dogs are sitting by the door.",
        gender="female",
        language="en",
        corpus="ravdess",
    )
    assert (surprised.label, surprised.raw_label, surprised.gender, surprised.speaker) == (None, "08", "male", "01")
    assert f"1 recordings of song or video are skipped ({song.stem})" in caplog.text


@pytest.mark.parametrize("name", ["03-01-09-01-01-01-01", "03-01-01-01-01-01-25", "03-01-01-01-01-01-00", "03-01-01"])
def test_ravdess_foreign_name(tmp_path, name):
    wav(tmp_path / f"{name}.wav")
    with pytest.raises(CorpusError, match=f"{name}.wav: no RAVDESS name"):
        ravdess.CORPUS(tmp_path)


def test_ravdess_copied_into_itself(tmp_path):
    # A copy in circulation holds all actors twice, the second time in a folder inside the first.
    for folder in ("Actor_01", "audio_speech_actors_01-24/Actor_01"):
        wav(tmp_path / folder / "03-01-01-01-01-01-01.wav")
    with pytest.raises(CorpusError, match=r"id '03-01-01-01-01-01-01' comes from .*Actor_01.* already; remove one"):
        ravdess.CORPUS(tmp_path)


METADATA = "LJ002-0001|Dr. Ames had 2|Doctor Ames had two\nLJ001-0001|“Printing”, then|“Printing”, then\n"


def test_ljspeech(tmp_path):
    write(tmp_path / "metadata.csv", METADATA)
    wav(tmp_path / "wavs/LJ001-0001.flac")
    first, second = ljspeech.CORPUS(tmp_path)
    assert (first.id, first.text, first.scenario) == ("LJ001-0001", "“Printing”, then", "LJ001")
    assert first.audio == tmp_path / "wavs/LJ001-0001.flac"
    assert (second.text, second.speaker, second.gender) == ("Doctor Ames had two", "LJ", "female")
    assert second.audio == tmp_path / "wavs/LJ002-0001.wav"  # where it should be; validation reports it as missing
    assert (second.label, second.raw_label, second.session) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (METADATA + "LJ001-0002|only one\n", r"metadata\.csv:3: 'LJ001-0002\|only one' is no line of LJ Speech"),
        ("id,text\n" + METADATA, r"metadata\.csv:1: 'id,text' is no line"),
        (METADATA + METADATA, r"metadata\.csv:3: id 'LJ002-0001' comes from .*metadata\.csv:1 already"),
        ("", r"metadata\.csv: no line in it"),
    ],
)
def test_ljspeech_errors(tmp_path, text, message):
    write(tmp_path / "metadata.csv", text)
    with pytest.raises(CorpusError, match=message):
        ljspeech.CORPUS(tmp_path)


def test_ljspeech_parent_given(tmp_path):
    write(tmp_path / "LJSpeech-1.1/metadata.csv", METADATA)
    with pytest.raises(CorpusError, match=r"holds no metadata\.csv; give .*LJSpeech-1\.1$"):
        ljspeech.CORPUS(tmp_path)


@pytest.fixture
def chapters(tmp_path):
    root = tmp_path / "LibriSpeech"
    write(root / "SPEAKERS.TXT", ";ID  |SEX| SUBSET |MINUTES| NAME\n84   | F | dev-clean | 8.02 | Christie\n")
    folder = root / "dev-clean/84/121123"
    write(folder / "84-121123.trans.txt", "84-121123-0000 GO DO YOU HEAR\n84-121123-0001 BUT IN LESS\n")
    wav(folder / "84-121123-0000.flac")
    wav(folder / "84-121123-0001.flac")
    return root


GRID = """File type = "ooTextFile"
Object class = "TextGrid"
0 2 <exists> 1 "IntervalTier" "words" 0 2 4
0 0.5 "" 0.5 0.75 "but" 0.75 1 "<unk>" 1 2 "less"
"""


def test_librispeech(chapters):
    folder = chapters / "dev-clean/84/121123"
    line = '84-121123-0000 ",GO,,DO,YOU,HEAR," "0.490,0.890,1.270,1.380,1.490,1.890,2.09" \n'
    write(folder / "84-121123.alignment.txt", line)
    write(folder / "84-121123-0001.TextGrid", GRID)
    first, second = librispeech.CORPUS(chapters)
    assert (first.id, first.speaker, first.gender, first.scenario) == ("84-121123-0000", "84", "female", "121123")
    assert (first.text, first.audio) == ("GO DO YOU HEAR", folder / "84-121123-0000.flac")
    assert first.words is not None
    assert [word.word for word in first.words] == ["go", "do", "you", "hear"]
    # The word that the aligner did not know is filled from the transcript.
    assert second.words == (Word("but", 0.5, 0.75), Word("in", 0.75, 1.0), Word("less", 1.0, 2.0))
    for part in ("dev-clean", "dev-clean/84", "dev-clean/84/121123"):
        assert librispeech.CORPUS(chapters / part) == [first, second]


def test_librispeech_unknown_word_stays_where_the_transcript_does_not_fit(chapters):
    write(chapters / "dev-clean/84/121123/84-121123-0000.TextGrid", GRID)
    words = librispeech.CORPUS(chapters)[0].words
    assert words is not None
    assert [word.word for word in words] == ["but", "<unk>", "less"]


def test_librispeech_without_speakers_or_alignments(chapters):
    (chapters / "SPEAKERS.TXT").unlink()
    assert [(u.gender, u.words) for u in librispeech.CORPUS(chapters)] == [(None, None), (None, None)]


def test_librispeech_damaged_alignment_is_logged(chapters, caplog):
    write(chapters / "dev-clean/84/121123/84-121123.alignment.txt", "84-121123-0000 nonsense\n")
    write(chapters / "dev-clean/84/121123/84-121123-0001.TextGrid", GRID[:120])
    assert [u.words for u in librispeech.CORPUS(chapters)] == [None, None]
    assert "84-121123.alignment.txt:1: '84-121123-0000 nonsense' is no alignment" in caplog.text
    assert "84-121123-0001.TextGrid:4: the TextGrid ends here, too early" in caplog.text


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("dev-clean/84/121123/84-121123.trans.txt", "\nGO DO\n", r"trans\.txt:2: 'GO DO' is no transcript"),
        ("SPEAKERS.TXT", "84 | X | dev-clean\n", r"SPEAKERS\.TXT:1: '84 \| X \| dev-clean' is no speaker"),
    ],
)
def test_librispeech_errors(chapters, file, text, message):
    write(chapters / file, text)
    with pytest.raises(CorpusError, match=message):
        librispeech.CORPUS(chapters)


@pytest.mark.corpora
def test_real_emodb(data):
    """The release, or the part of it that has one of the four classes."""
    utterances = emodb.CORPUS(data / "emodb")
    assert len({u.speaker for u in utterances}) == len({u.scenario for u in utterances}) == 10
    # Burkhardt et al. (2005), as counted in the release.
    counts = {"W": 127, "L": 81, "E": 46, "A": 69, "F": 71, "T": 62, "N": 79}
    four = {letter: counts[letter] for letter in "WFTN"}
    assert Counter(u.raw_label for u in utterances) in (counts, four)
    labelled = Counter(u.label for u in utterances if u.label)
    assert labelled == {"angry": 127, "happy": 71, "sad": 62, "neutral": 79}


@pytest.mark.corpora
def test_real_ravdess(data):
    utterances = ravdess.CORPUS(data / "ravdess")
    assert len(utterances) == 1440
    assert set(Counter(u.speaker for u in utterances).values()) == {60}
    assert Counter(u.gender for u in utterances) == {"male": 720, "female": 720}
    # 4 recordings of neutral and 8 of each other emotion, an actor.
    assert Counter(u.raw_label for u in utterances) == {"01": 96} | {f"0{n}": 192 for n in range(2, 9)}


@pytest.mark.corpora
def test_real_ljspeech(data):
    utterances = ljspeech.CORPUS(data / "ljspeech")
    assert len(utterances) == len((data / "ljspeech/metadata.csv").read_text(encoding="utf-8").splitlines())
    assert all(u.audio.is_file() and u.text for u in utterances)


def linked(link: Path, target: Path) -> None:
    try:
        link.symlink_to(target, target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")


@pytest.mark.parametrize(("parse", "name"), [(emodb.CORPUS, "03a01Fa"), (ravdess.CORPUS, "03-01-05-01-01-01-12")])
def test_linked_folders_are_followed(tmp_path, parse, name):
    corpus, disk = tmp_path / "corpus", tmp_path / "disk"
    corpus.mkdir()
    wav(disk / f"{name}.wav")
    linked(corpus / "part", disk)
    linked(disk / "up", corpus)  # round and round
    linked(disk / "self", disk)
    linked(corpus / "second", disk)  # what is reached twice is read once
    [utterance] = parse(corpus)
    assert utterance.audio == corpus / "part" / f"{name}.wav"
    assert parse(corpus / "part")[0].id == utterance.id


def test_a_linked_chapter_of_librispeech(chapters, tmp_path):
    corpus = tmp_path / "linked"
    corpus.mkdir()
    linked(corpus / "LibriSpeech", chapters)
    assert [u.id for u in librispeech.CORPUS(corpus)] == [u.id for u in librispeech.CORPUS(chapters)]


def test_a_link_to_a_recording_that_is_gone_is_left_to_validation(tmp_path):
    wav(tmp_path / "03a01Fa.wav")
    linked(tmp_path / "03a01Wa.wav", tmp_path / "gone.wav")
    assert [u.id for u in emodb.CORPUS(tmp_path)] == ["03a01Fa", "03a01Wa"]
    problems = validate.check("emodb", tmp_path, known=False).errors
    assert [(p.kind, p.id) for p in problems] == [("missing-audio", "03a01Wa")]
