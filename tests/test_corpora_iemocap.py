"""IEMOCAP parser, against a miniature tree of which every field is known."""

import pytest

from corpus_trees import WDSEG, iemocap, wav, write
from duetto.corpora import CORPORA, load, validate
from duetto.corpora.iemocap import CORPUS, ID, SYNTHETIC
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.text import normalise
from duetto.data.utterance import Word
from duetto.errors import ConfigurationError, CorpusError


@pytest.fixture
def tree(tmp_path):
    return iemocap(tmp_path / "IEMOCAP_full_release")


def evaluation(tree, dialog="Ses01F_impro01"):
    return tree / f"Session{dialog[4]}/dialog/EmoEvaluation/{dialog}.txt"


def replace(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_every_field_of_one_utterance(tree):
    utterance = next(u for u in CORPUS(tree) if u.id == "Ses01F_impro01_F000")
    assert utterance.audio == tree / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    assert (utterance.start, utterance.end) == (None, None)
    assert (utterance.label, utterance.raw_label) == ("neutral", "neu")
    assert (utterance.speaker, utterance.gender, utterance.session) == ("Ses01_F", "female", "1")
    assert (utterance.scenario, utterance.style) == ("impro01", "improvised")
    assert utterance.text == "Well: excuse me, 0."  # cut at the first colon only
    assert utterance.words == (Word("excuse", 0.1, 0.25), Word("me", 0.3, 0.4))
    assert utterance.votes == {"E2": ("Neutral",), "E3": ("Neutral", "Sadness"), "F1": ("Neutral",)}
    assert utterance.dimensions == {"valence": 2.5, "arousal": 3.25, "dominance": 2.0}


def test_a_rating_that_is_no_number_is_a_note_and_left_out(tree):
    file = evaluation(tree, "Ses02F_script03_1b")
    text = file.read_text()
    first = text.index("[2.5000, 3.2500, 2.0000]")
    file.write_text(text[:first] + "[2.5000, ?, NaN]" + text[first + 24 :])
    found = {u.id: u.dimensions for u in CORPUS(tree)}
    assert found["Ses02F_script03_1b_M000"] == {"valence": 2.5}
    report = validate.check("iemocap", tree, known=False)
    [note] = [p for p in report.notes if p.kind == "bad-rating"]
    assert note.detail == (
        f"{file}:3: '?' is no rating of arousal: give a number, or leave it empty; Ses02F_script03_1b_M000 is used "
        "without it"
    )
    assert report.by_dimension == {"arousal": 6, "dominance": 6, "valence": 7}


def test_all_utterances_sorted_with_and_without_class(tree):
    utterances = CORPUS(str(tree))
    assert [(u.id, u.label, u.speaker, u.scenario) for u in utterances] == [
        ("Ses01F_impro01_F000", "neutral", "Ses01_F", "impro01"),
        ("Ses01F_impro01_F001", "happy", "Ses01_F", "impro01"),
        ("Ses01F_impro01_M000", None, "Ses01_M", "impro01"),  # markers on F, but M speaks
        ("Ses01M_script01_2_F000", "angry", "Ses01_F", "script01"),
        ("Ses01M_script01_2_M000", None, "Ses01_M", "script01"),
        ("Ses02F_script03_1b_F000", "sad", "Ses02_F", "script03"),
        ("Ses02F_script03_1b_M000", "happy", "Ses02_M", "script03"),
    ]


@pytest.mark.parametrize(
    ("name", "scenario", "part", "speaker"),
    [
        ("Ses01F_impro01_F000", "impro01", "", "F"),
        ("Ses05M_script01_1b_M021", "script01", "_1b", "M"),
        ("Ses03M_impro05a_F010", "impro05", "a", "F"),
        ("Ses04F_script03_2_M044", "script03", "_2", "M"),
    ],
)
def test_id_pattern(name, scenario, part, speaker):
    match = ID.fullmatch(name)
    assert match is not None
    assert (match["scenario"], match["part"], match["speaker"]) == (scenario, part, speaker)


@pytest.mark.parametrize(
    "name", ["Ses06F_impro01_F000", "Ses01F_impro01_FXX0", "Ses01F_impro01_F00", "Ses01X_impro01_F000"]
)
def test_id_pattern_refuses(name):
    assert ID.fullmatch(name) is None


def test_missing_transcript_is_none_never_empty(tree):
    file = tree / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    replace(file, "Ses01F_impro01_F000 [006.2901-008.2357]: Well: excuse me, 0.\n", "")
    replace(file, ": Well: excuse me, 1.", ":   ")
    texts = {u.id: u.text for u in CORPUS(tree)}
    assert texts["Ses01F_impro01_F000"] is None
    assert texts["Ses01F_impro01_M000"] is None
    assert texts["Ses01F_impro01_F001"] == "Well: excuse me, 2."


def test_a_whole_missing_transcription_file_is_none_for_its_dialogue(tree):
    (tree / "Session1/dialog/transcriptions/Ses01F_impro01.txt").unlink()
    assert [u.text is None for u in CORPUS(tree)] == [True] * 3 + [False] * 4


def test_windows_1252_transcript(tree, caplog):
    """Bytes 0x85 and 0x92 are an ellipsis and an apostrophe, and U+0092 is that byte decoded as Latin-1."""
    file = tree / "Session2/dialog/transcriptions/Ses02F_script03_1b.txt"
    line = "Ses02F_script03_1b_F000 [1-2]: Caf\xe9\x85 I don\x92t know.\r\n"
    for encoding in ("latin-1", "utf-8"):
        write(file, line, encoding)
        text = next(u for u in CORPUS(tree) if u.id == "Ses02F_script03_1b_F000").text
        assert text == "Caf\xe9\N{HORIZONTAL ELLIPSIS} I don\N{RIGHT SINGLE QUOTATION MARK}t know."
        assert normalise(text) == ["cafe", "i", "don't", "know"]
    assert [f"{file}: not UTF-8, so it is read as Windows-1252" in r.message for r in caplog.records] == [True]


def test_known_missing_alignment_is_tolerated_and_a_damaged_one_logged(tree, caplog):
    folder = tree / "Session1/sentences/ForcedAlignment/Ses01F_impro01"
    (folder / "Ses01F_impro01_F000.wdseg").unlink()
    write(folder / "Ses01F_impro01_M000.wdseg", WDSEG.rpartition("Total")[0])
    words = {u.id: u.words for u in CORPUS(tree)}
    assert words["Ses01F_impro01_F000"] is None
    assert words["Ses01F_impro01_M000"] is None
    assert "Ses01F_impro01_M000.wdseg:7: the line 'Total score: …' is missing" in caplog.text


def test_any_audio_extension(tree):
    folder = tree / "Session1/sentences/wav/Ses01F_impro01"
    (folder / "Ses01F_impro01_F000.wav").unlink()
    flac = wav(folder / "Ses01F_impro01_F000.flac")
    (folder / "Ses01F_impro01_F001.wav").rename(folder / "Ses01F_impro01_F001.WAV")
    audio = {u.id: u.audio for u in CORPUS(tree)}
    assert audio["Ses01F_impro01_F000"] == flac
    assert audio["Ses01F_impro01_F001"].name == "Ses01F_impro01_F001.WAV"


def test_apple_doubles_and_annotator_folders_are_ignored(tree):
    before = CORPUS(tree)
    write(tree / "Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt", "\x00\x05\x16\x07[rubbish")
    write(tree / "Session1/dialog/transcriptions/._Ses01F_impro01.txt", "\x00")
    write(tree / "Session1/sentences/wav/Ses01F_impro01/._Ses01F_impro01_F000.wav", "\x00")
    assert CORPUS(tree) == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\tneu\t", "\thappy\t", "Ses01F_impro01.txt:3: 'Ses01F_impro01_F000' has label 'happy'; IEMOCAP has ang"),
        (
            "\tneu\t",
            "\tjoy\t",
            "Ses01F_impro01.txt:3: 'Ses01F_impro01_F000' has label 'joy'; IEMOCAP has ang, hap, exc",
        ),
        ("F000\tneu", "F0\tneu", "Ses01F_impro01.txt:3: 'Ses01F_impro01_F0' is no IEMOCAP id"),
        ("[6.2901 - 8.2357]", "[6.2901 ", "Ses01F_impro01.txt:3: '[6.2901 "),
        ("impro01_F001\t", "impro01_F000\t", "Ses01F_impro01.txt:17: id 'Ses01F_impro01_F000' comes from "),
        ("Ses01F_impro01_F000", "Ses02F_impro01_F000", "'Ses02F_impro01_F000' is of Session2 and lies in Session1"),
    ],
)
def test_bad_evaluation_line_names_file_and_line(tree, old, new, message):
    replace(evaluation(tree), old, new)
    with pytest.raises(CorpusError) as error:
        CORPUS(tree)
    assert message in str(error.value)


def test_transcript_line_without_colon(tree):
    file = tree / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    replace(file, "[006.2901-008.2357]: Well: excuse me, 1.", "Well")
    with pytest.raises(CorpusError, match=r"Ses01F_impro01\.txt:2: .* has no colon; a line is: id \[start-end\]: text"):
        CORPUS(tree)


def test_empty_evaluation_file(tree):
    evaluation(tree).write_text("")
    with pytest.raises(CorpusError, match=r"Ses01F_impro01\.txt: no utterance in it"):
        CORPUS(tree)


@pytest.mark.parametrize("part", ["dialog/EmoEvaluation", "sentences/wav"])
def test_a_session_without_labels_or_recordings_is_refused(tree, part):
    (tree / "Session2" / part).rename(tree / "elsewhere")
    with pytest.raises(CorpusError, match=f"Session2/{part}: no such folder; without it the session is not whole"):
        CORPUS(tree)


def test_the_error_of_a_wrong_root_names_the_right_folder(tree, tmp_path):
    with pytest.raises(CorpusError, match=f"is one level too high; give {tree}$"):
        CORPUS(tmp_path)
    for inside in ("Session1", "Session1/dialog", "Session1/sentences/wav"):
        with pytest.raises(CorpusError, match=f"lies inside one session; give the folder that holds Session1: {tree}$"):
            CORPUS(tree / inside)
    with pytest.raises(CorpusError, match="no such folder; give the folder that holds IEMOCAP"):
        CORPUS(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"is a file; IEMOCAP .* unpack it"):
        CORPUS(write(tmp_path / "IEMOCAP.tar.gz", "x"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="holds no folder Session1 … Session5; give the root of IEMOCAP"):
        CORPUS(tmp_path / "empty")
    (tree / "Session1").rename(tmp_path / "other")
    with pytest.raises(CorpusError, match="is one session; rename it Session1 … Session5"):
        CORPUS(tmp_path / "other")


def test_synthetic_needs_its_marker(tree):
    with pytest.raises(CorpusError, match=r"holds no SYNTHETIC\.json, so duetto did not make it"):
        SYNTHETIC(tree)
    write(tree / "SYNTHETIC.json", "{}")
    assert SYNTHETIC(tree) == CORPUS(tree)


def test_registry(tree):
    assert load("iemocap", tree) == CORPORA["iemocap"](tree)
    with pytest.raises(ConfigurationError, match="corpus kind 'IEMOCAP' is not known; choose from iemocap, emodb"):
        load("IEMOCAP", tree)
    with pytest.raises(ConfigurationError, match="label set 'nine' is not known"):
        CORPUS(tree, labels="nine")


@pytest.mark.parametrize("kind", CORPORA)
def test_every_parser_refuses_what_is_not_there_or_not_its_own(kind, tmp_path):
    with pytest.raises(CorpusError, match="no such"):
        CORPORA[kind](tmp_path / "nowhere")
    write(tmp_path / "notes.txt", "nothing of interest\n")
    with pytest.raises(CorpusError, match=r"give|holds|no recording|no speech|is a folder"):
        CORPORA[kind](tmp_path)


def test_manifest_round_trip(tree, tmp_path):
    write_manifest(tmp_path / "m.jsonl", CORPUS(tree))
    assert read_manifest(tmp_path / "m.jsonl") == CORPUS(tree)
