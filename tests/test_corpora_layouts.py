"""Corpora that are read by their published layouts: a fabricated tree of each, and trees with one thing wrong."""

from pathlib import Path
from typing import Any

import pytest

from corpus_trees import LAYOUTS, MELD, PODCAST, layout, wav, write
from duetto.corpora import CORPORA, cremad, esd, meld, validate
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance
from duetto.errors import CorpusError

# Kind → id → fields; every field that is not given is None (language and corpus are checked for all).
EXPECTED: dict[str, dict[str, dict[str, Any]]] = {
    "crema-d": {
        "1001_IEO_ANG_HI": {
            "label": "angry", "raw_label": "ANG", "speaker": "1001", "scenario": "IEO", "gender": "male",
            "text": "It's eleven o'clock.",
        },
        "1002_TAI_DIS_XX": {
            "raw_label": "DIS", "speaker": "1002", "scenario": "TAI", "gender": "female",
            "text": "The airplane is almost full.",
        },
        "1091_ITH_SAD_X": {
            "label": "sad", "raw_label": "SAD", "speaker": "1091", "scenario": "ITH", "gender": "female",
            "text": "I think I have a doctor's appointment.",
        },
    },
    "tess": {
        "OAF_back_fear": {
            "raw_label": "fear", "speaker": "OAF", "scenario": "back", "gender": "female", "text": "Say the word back.",
        },
        "OA_bite_neutral": {
            "label": "neutral", "raw_label": "neutral", "speaker": "OAF", "scenario": "bite", "gender": "female",
            "text": "Say the word bite.",
        },
        "YAF_sad_sad": {
            "label": "sad", "raw_label": "sad", "speaker": "YAF", "scenario": "sad", "gender": "female",
            "text": "Say the word sad.",
        },
    },
    "savee": {
        "DC_sa03": {"label": "sad", "raw_label": "sa", "speaker": "DC", "scenario": "sa03", "gender": "male"},
        "KL_su15": {"raw_label": "su", "speaker": "KL", "scenario": "su15", "gender": "male"},
        "JE_n30": {"label": "neutral", "raw_label": "n", "speaker": "JE", "scenario": "n30", "gender": "male"},
    },
    "emovo": {
        "rab-f1-b1": {
            "label": "angry", "raw_label": "rab", "speaker": "f1", "scenario": "b1", "gender": "female",
            "text": "Gli operai si alzano presto.",
        },
        "sor-m3-n5": {
            "raw_label": "sor", "speaker": "m3", "scenario": "n5", "gender": "male",
            "text": "Uno quarantatré dieci mille cinquantasette venti.",
        },
        "gio-m3-d2": {
            "label": "happy", "raw_label": "gio", "speaker": "m3", "scenario": "d2", "gender": "male",
            "text": "Porti con te quella cosa?",
        },
    },
    "shemo": {
        "F01A01": {
            "label": "angry", "raw_label": "A", "speaker": "F01", "gender": "female", "text": "دیگه نمی‌تونم",
        },
        "M56W12": {"raw_label": "W", "speaker": "M56", "gender": "male"},
        "M02N103": {"label": "neutral", "raw_label": "N", "speaker": "M02", "gender": "male"},
    },
    "esd": {
        "0001_000001": {
            "label": "neutral", "raw_label": "Neutral", "speaker": "0001", "scenario": "zh001", "gender": "female",
            "language": "zh", "text": "打远一看。",
        },
        "0001_000351": {
            "label": "angry", "raw_label": "Angry", "speaker": "0001", "scenario": "zh001", "gender": "female",
            "language": "zh", "text": "打远一看。", "split": "development",
        },
        "0011_001401": {
            "raw_label": "Surprise", "speaker": "0011", "scenario": "en001", "gender": "male", "language": "en",
            "text": "The nine  the eggs, I keep.", "split": "test",
        },
        "0011_000351": {
            "label": "angry", "raw_label": "Angry", "speaker": "0011", "scenario": "en001", "gender": "male",
            "language": "en", "text": "The nine the eggs",
        },
    },
    "meld": {
        "train_dia0_utt0": {
            "label": "happy", "raw_label": "joy", "speaker": "Phoebe", "session": "s08e21", "scenario": "train_dia0",
            "gender": "female", "text": "Oh, you’re back.", "split": "train",
        },
        "train_dia0_utt1": {
            "raw_label": "surprise", "speaker": "Waiter", "session": "s08e21", "scenario": "train_dia0", "text": "Yes?",
            "split": "train",
        },
        "dev_dia0_utt0": {
            "label": "angry", "raw_label": "anger", "speaker": "Joey", "session": "s04e07", "scenario": "dev_dia0",
            "gender": "male", "text": "No!", "split": "development",
        },
        "test_dia0_utt0": {
            "label": "neutral", "raw_label": "neutral", "speaker": "Monica", "session": "s03e19",
            "scenario": "test_dia0", "gender": "female", "text": "Fine.", "split": "test",
        },
    },
    "msp-improv": {
        "MSP-IMPROV-S01A-F01-S-FM01": {
            "label": "angry", "raw_label": "A", "speaker": "F01", "session": "1", "scenario": "S01", "gender": "female",
            "votes": {"AMT-7": ("A",), "AMT-9": ("N",)},
            "dimensions": {"arousal": 2.8, "valence": 3.1, "dominance": 2.9},
        },
        "MSP-IMPROV-S20H-M06-P-MF112": {
            "raw_label": "X", "speaker": "M06", "session": "6", "scenario": "S20", "gender": "male",
            "votes": {"AMT-7": ("O",)}, "dimensions": {"arousal": 2.8, "valence": 3.1},
        },
    },
    "msp-podcast": {
        "MSP-PODCAST_0001_0008": {
            "label": "neutral", "raw_label": "N", "speaker": "30", "scenario": "0001", "gender": "male",
            "text": "right", "split": "test", "dimensions": {"arousal": 2.2, "valence": 4.0, "dominance": 2.6},
        },
        "MSP-PODCAST_0153_0459": {
            "label": "angry", "raw_label": "A", "scenario": "0153", "split": "test2",
            "dimensions": {"arousal": 3.7, "valence": 3.5, "dominance": 3.7},
        },
        "MSP-PODCAST_3469_0114_0006": {
            "raw_label": "U", "speaker": "512", "scenario": "3469", "gender": "female", "split": "development",
            "dimensions": {"arousal": 4.1, "valence": 4.7, "dominance": 4.0},
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_field_of_every_utterance(kind: str, tmp_path: Path) -> None:
    root = layout(kind, tmp_path)
    recordings = [root / name for name, text in LAYOUTS[kind].items() if text is None]
    found = CORPORA[kind](root)
    assert sorted(u.audio for u in found) == sorted(recordings)
    assert [u.id for u in found] == sorted(EXPECTED[kind])
    for utterance in found:
        fields = EXPECTED[kind][utterance.id]
        expected = {"language": CORPORA[kind].language, "corpus": kind, **fields}
        assert utterance == Utterance(utterance.id, utterance.audio, **expected)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_tree_without_a_defect_is_healthy(kind: str, tmp_path: Path) -> None:
    report = validate.check(kind, layout(kind, tmp_path), known=False, decode=True)
    assert report.errors == ()
    assert report.utterances == len(EXPECTED[kind])


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_manifest_holds_all_of_it(kind: str, tmp_path: Path) -> None:
    found = CORPORA[kind](layout(kind, tmp_path))
    write_manifest(tmp_path / "m.jsonl", found)
    assert read_manifest(tmp_path / "m.jsonl") == found


@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_release_is_larger_than_the_tree(kind: str, tmp_path: Path) -> None:
    counts = [p for p in validate.check(kind, layout(kind, tmp_path)).problems if p.kind == "count"]
    assert bool(counts) == (kind != "msp-podcast")  # which grows from release to release


# (kind, name of a recording that is not the corpus', part of the message)
FOREIGN = [
    ("crema-d", "1000_IEO_ANG_HI.wav", "no CREMA-D name, which is actor, .* like 1001_IEO_ANG_HI"),
    ("crema-d", "1092_IEO_ANG_HI.wav", "no CREMA-D name"),
    ("crema-d", "1001_XYZ_ANG_HI.wav", "no CREMA-D name"),
    ("tess", "OAF_back_bored.wav", "no TESS name, which is speaker, word, emotion, like OAF_back_angry"),
    ("savee", "AB/sa03.wav", "no SAVEE name, which is emotion and sentence, like sa03, in a folder"),
    ("savee", "DC_x03.wav", "no SAVEE name"),
    ("emovo", "rab-f4-b1.wav", "no EMOVO name, which is emotion, speaker, sentence, like dis-f1-b1"),
    ("emovo", "rab-f1-b9.wav", "no EMOVO name"),
    ("shemo", "F01X01.wav", "no ShEMO name, which is speaker, emotion, number, like F01A01"),
    ("esd", "0011/Calm/0011_000001.wav", "no ESD name, which is .* in a folder of an emotion"),
    ("esd", "0011/Angry/0011_001751.wav", "no ESD name"),
    ("esd", "0021/Angry/0021_000001.wav", "no ESD name"),
]


@pytest.mark.parametrize(("kind", "name", "message"), FOREIGN)
def test_a_foreign_name_is_an_error(kind: str, name: str, message: str, tmp_path: Path) -> None:
    wav(layout(kind, tmp_path) / name)
    with pytest.raises(CorpusError, match=rf"{Path(name).name}: {message}.*; move it out of the folder"):
        CORPORA[kind](tmp_path)


# (kind, file, its new text, message)
BROKEN = [
    ("meld", "dev_sent_emo.csv", "a,b\n", r"dev_sent_emo.csv:1: no column Utterance; the columns of the release are"),
    ("meld", "dev_sent_emo.csv", MELD["dev_sent_emo.csv"] + "1,2\n", r"csv:3: 2 cells under 11 columns"),
    ("meld", "test_sent_emo.csv", MELD["test_sent_emo.csv"].replace(",3,19,", ",x,19,"), r"csv:2: .*must be numbers"),
    ("msp-improv", "Evalution.txt", "hello\n", r"Evalution.txt:1: 'hello' is neither a consensus nor a rating"),
    ("msp-improv", "Evalution.txt", "\n", r"Evalution.txt: no consensus in it"),
    ("msp-podcast", "Labels/labels_consensus.csv", PODCAST.replace("Test1", "Test9"), r"csv:2: .*not 'Test9'"),
    ("msp-podcast", "Labels/labels_consensus.csv", PODCAST.replace("_0001_", ""), r"csv:2: FileName must be like MSP-"),
    ("msp-podcast", "Labels/labels_consensus.csv", PODCAST.replace("SpkrID", "Who"), r"csv:1: no column SpkrID"),
    ("shemo", "shemo.json", '{"F01A01": 1}', r"shemo.json: 'F01A01' has no 'transcript'; download"),
    ("shemo", "shemo.json", "[]", r"shemo.json"),
]


@pytest.mark.parametrize(("kind", "file", "text", "message"), BROKEN)
def test_a_broken_file_is_named(kind: str, file: str, text: str, message: str, tmp_path: Path) -> None:
    write(layout(kind, tmp_path) / file, text)
    with pytest.raises(CorpusError, match=message):
        CORPORA[kind](tmp_path)


@pytest.mark.parametrize("kind", ["meld", "msp-improv", "msp-podcast"])
def test_a_missing_list_is_an_error_and_a_missing_recording_is_found(kind: str, tmp_path: Path) -> None:
    root = layout(kind, tmp_path)
    audio = sorted(root.rglob("*.wav"))[0]
    audio.unlink()
    kinds = {problem.kind for problem in validate.check(kind, root, known=False).errors}
    assert kinds <= {"missing-audio", "missing-folder"} and len(kinds) == 1
    for file in (*root.rglob("*.csv"), *root.rglob("Eval*.txt")):
        file.unlink()
    with pytest.raises(CorpusError, match=r"holds no .*; give the folder of M"):
        CORPORA[kind](root)


def test_both_spellings_and_places_of_a_list(tmp_path: Path) -> None:
    improv, podcast, friends = (layout(kind, tmp_path / kind) for kind in ("msp-improv", "msp-podcast", "meld"))
    (improv / "Evalution.txt").rename(improv / "Evaluation.txt")
    (podcast / "Labels/labels_consensus.csv").rename(podcast / "Labels/labels_concensus.csv")
    (friends / "train/train_sent_emo.csv").rename(friends / "train_sent_emo.csv")
    (podcast / "Audios").rename(podcast / "Audio")
    for kind, root in (("msp-improv", improv), ("msp-podcast", podcast), ("meld", friends)):
        assert [u.id for u in CORPORA[kind](root)] == sorted(EXPECTED[kind])
        assert validate.check(kind, root, known=False).errors == ()


def test_videos_without_sound_files_are_explained(tmp_path: Path) -> None:
    root = layout("meld", tmp_path)
    (root / "dev_splits_complete/dia0_utt0.flac").rename(root / "dev_splits_complete/dia0_utt0.mp4")
    for number in range(5):
        write(root / f"train/train_splits/dia{number}_utt0.mp4", "")
    report = validate.check("meld", root, known=False)
    [note] = [problem for problem in report.notes if problem.kind == "not-speech"]
    assert "6 videos, 3 sound files; extract the sound of each to a .wav of its name" in note.detail
    assert [problem.kind for problem in report.errors] == ["missing-folder"]  # …/development, where nothing is


def test_what_meld_lacks_is_left_out_unless_it_is_there(tmp_path: Path) -> None:
    root = layout("meld", tmp_path)
    assert "train_dia125_utt3" in meld.NO_RECORDING
    assert "train_dia125_utt3" not in [u.id for u in CORPORA["meld"](root)]
    wav(root / "train/train_splits/dia125_utt3.wav")
    assert "train_dia125_utt3" in [u.id for u in CORPORA["meld"](root)]


def test_mandarin_transcripts_in_their_old_encoding(tmp_path: Path) -> None:
    root = layout("esd", tmp_path)
    text = LAYOUTS["esd"]["0001/0001.txt"]
    assert text is not None
    for encoding in ("gb2312", "utf-16"):
        write(root / "0001/0001.txt", text, encoding)
        assert CORPORA["esd"](root)[0].text == "打远一看。"
    write(root / "0001/0001.txt", "0001_000001\n")
    [note] = [p for p in validate.check("esd", root, known=False).notes if p.kind == "bad-transcript"]
    assert note.id == "0001 line 1"


def test_unknown_speakers_of_a_release_that_has_them_are_no_error(tmp_path: Path) -> None:
    report = validate.check("msp-podcast", layout("msp-podcast", tmp_path))
    assert [(p.kind, p.id, p.severity) for p in report.problems if p.kind == "missing-speaker"] == [
        ("missing-speaker", "MSP-PODCAST_0153_0459", "note")
    ]


def test_many_notes_are_one(tmp_path: Path) -> None:
    rows = "".join(f"MSP-PODCAST_0002_{n:04d}.wav,N,1,1,1,Unknown,Male,Train\n" for n in range(11))
    root = layout("msp-podcast", tmp_path)
    write(root / "Labels/labels_consensus.csv", PODCAST + rows)
    [note] = [p for p in validate.check("msp-podcast", root).notes if p.kind == "missing-speaker"]
    assert note.detail.startswith("12 of 14 utterances have no speaker (MSP-PODCAST_0002_0000, ")


def test_facts_of_the_releases() -> None:
    """As published: Cao et al. 2014 (43 women among 91 actors), Zhou et al. 2022 (ten men, 35,000 utterances)."""
    assert len(cremad.FEMALE) == 43 and all(1001 <= actor <= 1091 for actor in cremad.FEMALE)
    assert len(cremad.SENTENCES) == 12
    assert sum(esd.KNOWN_SPEAKERS.values()) == 35_000 and len(esd.MALE & set(esd.KNOWN_SPEAKERS)) == 10
    sizes = {kind: sum(CORPORA[kind].speakers.values()) for kind in ("emodb", "ravdess", "tess", "savee", "emovo")}
    assert sizes == {"emodb": 535, "ravdess": 1440, "tess": 2800, "savee": 480, "emovo": 588}
    assert {kind: CORPORA[kind].size for kind in ("crema-d", "shemo", "meld", "msp-improv")} == {
        "crema-d": 7442, "shemo": 3000, "meld": 9989 + 1109 + 2610 - 2, "msp-improv": 652 + 620 + 4381 + 2785,
    }  # fmt: skip


def test_a_corpus_is_named_as_it_is_registered() -> None:
    assert {kind: corpus.name for kind, corpus in CORPORA.items() if corpus.name != kind}.items() == {
        "generic": None,
        "manifest": None,
    }.items()
