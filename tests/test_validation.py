"""Validation: each planted defect is found and named, and nothing else is."""

import json
import re
import shutil
from collections import Counter

import numpy as np
import pytest
import soundfile

from corpus_trees import MINI, evaluation, iemocap, wav, write
from duetto.corpora import validate
from duetto.corpora.iemocap import release
from duetto.corpora.validate import Problem, check
from duetto.errors import ConfigurationError

F000, M000 = "Ses01F_impro01_F000", "Ses01F_impro01_M000"
DIALOG = "Ses01F_impro01"
EVALUATION = f"Session1/dialog/EmoEvaluation/{DIALOG}.txt"
TRANSCRIPTION = f"Session1/dialog/transcriptions/{DIALOG}.txt"
TEXTS = "Session1/dialog/transcriptions"
LABELS = "Session2/dialog/EmoEvaluation"
WAVS = f"Session1/sentences/wav/{DIALOG}"
WDSEGS = f"Session1/sentences/ForcedAlignment/{DIALOG}"


@pytest.fixture
def tree(tmp_path):
    return iemocap(tmp_path / "IEMOCAP_full_release")


def replace(old, new):
    def change(file):
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return change


def test_healthy_tree(tree):
    checkup = check("iemocap", tree, known=False, decode=True)
    assert checkup.problems == ()
    assert checkup.healthy
    assert (checkup.utterances, checkup.selected) == (7, 5)
    assert checkup.by_label == {"angry": 1, "happy": 2, "neutral": 1, "sad": 1}
    assert checkup.by_session == {"1": 3, "2": 2}
    assert checkup.by_raw_label == {"ang": 1, "exc": 1, "fru": 1, "hap": 1, "neu": 1, "sad": 1, "xxx": 1}
    assert checkup.by_speaker == {"Ses01_F": 3, "Ses01_M": 2, "Ses02_F": 1, "Ses02_M": 1}


def test_record_is_json_of_the_agreed_shape(tree):
    (tree / WAVS / f"{F000}.wav").unlink()
    record = json.loads(json.dumps(check("iemocap", tree, known=False).record()))
    assert {"utterances", "selected", "by_label", "by_session", "problems"} <= set(record)
    [problem] = record["problems"]
    assert {"kind": "missing-audio", "id": F000, "severity": "error"}.items() <= problem.items()


# (path to change, how, kind, id, what the detail says)
DEFECTS = [
    (f"{WAVS}/{F000}.wav", lambda f: f.unlink(), "missing-audio", F000, "no such file"),
    (f"{WAVS}/{F000}.wav", lambda f: f.write_bytes(b""), "bad-audio", F000, "is empty (0 bytes)"),
    (f"{WAVS}/{F000}.wav", lambda f: f.write_bytes(f.read_bytes()[:44]), "bad-audio", F000, "holds no samples"),
    (f"{WAVS}/{F000}.wav", lambda f: f.write_bytes(b"not audio at all"), "bad-audio", F000, "is text, not audio"),
    (f"{WAVS}/{F000}.wav", lambda f: wav(f, rate=8000), "wrong-rate", F000, "8000 Hz, 16000 Hz in the release"),
    (
        f"{WAVS}/{F000}.wav",
        lambda f: wav(f, 0.25),
        "words-past-end",
        F000,
        f"last word of {F000} ends at 0.4",
    ),
    (
        WAVS,
        shutil.rmtree,
        "missing-folder",
        DIALOG,
        f"the recordings of {F000}, Ses01F_impro01_F001",
    ),
    (
        f"{WAVS}/Ses01F_impro01_F009.wav",
        wav,
        "missing-label",
        "Ses01F_impro01_F009",
        f"{DIALOG}.txt holds no line for it",
    ),
    (TRANSCRIPTION, replace(f"{F000} ", "M: "), "missing-transcript", F000, f"{DIALOG}.txt: no text for it"),
    (TRANSCRIPTION, replace(": Well: excuse me, 0.", ": "), "missing-transcript", F000, "no text for it"),
    (TRANSCRIPTION, lambda f: f.unlink(), "missing-transcript", DIALOG, "missing, so 3 utterances have no transcript"),
    (
        "Session1/dialog/transcriptions",
        shutil.rmtree,
        "missing-folder",
        "Session1/dialog/transcriptions",
        "no such folder",
    ),
    (f"{WDSEGS}/{F000}.wdseg", lambda f: f.unlink(), "missing-alignment", F000, f"{F000}.wdseg: missing"),
    (f"{WDSEGS}/{F000}.wdseg", lambda f: f.write_text("rubbish"), "bad-alignment", F000, f"{F000}.wdseg:1: a .wdseg"),
    (f"{WDSEGS}/{F000}.wdseg", replace("30\t", "3\t"), "bad-alignment", F000, "'me' starts at 0.03 s, before 'excuse'"),
    (WDSEGS, shutil.rmtree, "missing-alignment", DIALOG, "missing, so 3 utterances have no alignment"),
    (
        "Session2/sentences/ForcedAlignment",
        shutil.rmtree,
        "missing-folder",
        "Session2/sentences/ForcedAlignment",
        "no utterance of Session2 has its alignment",
    ),
    ("Session2/sentences/wav", shutil.rmtree, "missing-folder", "Session2/sentences/wav", "unpack it again"),
    (
        "Session2/dialog/EmoEvaluation",
        shutil.rmtree,
        "missing-folder",
        "Session2/dialog/EmoEvaluation",
        "unpack it again",
    ),
    (EVALUATION, lambda f: f.unlink(), "missing-evaluation", DIALOG, f"{DIALOG}.txt: missing, but "),
    (EVALUATION, lambda f: f.write_text("% header\n"), "bad-evaluation", DIALOG, "no utterance in it"),
    (EVALUATION, replace("[6.2901 -", "[6.2901"), "bad-evaluation", F000, f"{DIALOG}.txt:3: "),
    (EVALUATION, replace("\tneu\t", "\tjoy\t"), "bad-label", F000, "has label 'joy'; IEMOCAP has ang"),
    (EVALUATION, lambda f: f.write_text(f.read_text() + evaluation(MINI[DIALOG][:1])), "duplicate-id", F000, "already"),
    (
        EVALUATION,
        lambda f: f.write_text(f.read_text() + evaluation([("Ses02F_impro01_F000", "ang")])),
        "wrong-session",
        "Ses02F_impro01_F000",
        "is of Session2 and lies in Session1",
    ),
]


@pytest.mark.parametrize(("place", "change", "kind", "name", "detail"), DEFECTS)
def test_one_defect_one_problem(tree, place, change, kind, name, detail):
    change(tree / place)
    checkup = check("iemocap", tree, known=False)
    assert [(problem.kind, problem.id, problem.severity) for problem in checkup.problems] == [(kind, name, "error")]
    assert detail in checkup.problems[0].detail
    assert str(tree) in checkup.problems[0].detail
    assert not checkup.healthy


def test_many_defects_are_all_found(tree):
    (tree / WAVS / f"{F000}.wav").unlink()
    (tree / WDSEGS / f"{M000}.wdseg").write_text("")
    replace("Ses02F_script03_1b_M000 [", "M: [")(tree / "Session2/dialog/transcriptions/Ses02F_script03_1b.txt")
    found = {(problem.kind, problem.id) for problem in check("iemocap", tree, known=False).problems}
    assert found == {
        ("missing-audio", F000),
        ("bad-alignment", M000),
        ("missing-transcript", "Ses02F_script03_1b_M000"),
    }


def test_what_the_release_lacks_is_no_problem(tmp_path):
    turns = {name.rpartition("_")[0]: [(name, "neu")] for name in ("Ses03M_impro03_M001", "Ses03F_impro07_M030")}
    tree = iemocap(tmp_path, turns)
    for file in tree.rglob("*.wdseg"):
        file.unlink()
    assert check("iemocap", tree, known=False).problems == ()


@pytest.mark.parametrize(
    ("place", "text", "kind", "detail"),
    [
        (f"{WAVS}/._{F000}.wav", "\x00", "apple-double", "1 files ._* left by macOS (._Ses01F_impro01_F000.wav)"),
        ("SYNTHETIC.json", '{"utterances": 7}', "synthetic", "duetto made this corpus; it is not IEMOCAP"),
    ],
)
def test_notes_leave_the_corpus_healthy(tree, place, text, kind, detail):
    write(tree / place, text)
    checkup = check("iemocap", tree, known=False)
    assert [problem.kind for problem in checkup.problems] == [kind]
    assert detail in checkup.notes[0].detail
    assert checkup.healthy


def test_second_recording_and_second_transcript_are_notes(tree):
    wav(tree / WAVS / f"{F000}.flac")
    file = tree / TRANSCRIPTION
    file.write_text(file.read_text() + f"{F000} [1-2]: Something else.\n")
    checkup = check("iemocap", tree, known=False)
    assert {(problem.kind, problem.id) for problem in checkup.notes} == {
        ("duplicate-audio", F000),
        ("duplicate-transcript", F000),
    }
    assert checkup.healthy


def test_wrong_roots(tree, tmp_path):
    for place, detail in (
        (tmp_path, f"is one level too high; give {tree}"),
        (tree / "Session1", f"lies inside one session; give the folder that holds Session1: {tree}"),
        (tree / "nowhere", "no such folder"),
    ):
        checkup = check("iemocap", place)
        assert [problem.kind for problem in checkup.problems] == ["wrong-root"]
        assert detail in checkup.problems[0].detail
        assert checkup.utterances == 0


@pytest.mark.parametrize(
    ("container", "subtype", "suffix"),
    [("WAV", "FLOAT", "wav"), ("WAVEX", "PCM_16", "wav"), ("WAV", "ULAW", "wav"), ("FLAC", "PCM_16", "flac"),
     ("AIFF", "PCM_24", "aiff"), ("OGG", "VORBIS", "ogg"), ("MP3", "MPEG_LAYER_III", "mp3")],
)  # fmt: skip
@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_the_rate_of_every_format_is_seen(tree, container, subtype, suffix, rate):
    old = tree / WAVS / f"{F000}.wav"
    samples, _ = soundfile.read(old)
    old.unlink()
    new = old.with_suffix(f".{suffix}")
    soundfile.write(new, np.resize(samples, rate), rate, format=container, subtype=subtype)
    [problem] = check("iemocap", tree, known=False).problems
    assert (problem.kind, problem.id) == ("wrong-rate", F000)
    assert f"{new.name}: {rate} Hz, 16000 Hz in the release" in problem.detail


def test_decoding_finds_what_a_header_hides(tree):
    file = tree / WAVS / f"{F000}.wav"
    file.write_bytes(file.read_bytes()[:-4_000])
    silent = tree / WAVS / f"{M000}.wav"
    silent.write_bytes(silent.read_bytes()[:44] + bytes(16_000))
    assert check("iemocap", tree, known=False).problems == ()
    checkup = check("iemocap", tree, known=False, decode=True)
    assert [(problem.kind, problem.id) for problem in checkup.errors] == [("odd-audio", F000)]
    assert "truncated" in checkup.errors[0].detail
    assert [(problem.kind, problem.id) for problem in checkup.notes] == [("odd-audio", M000)]
    assert "silent" in checkup.notes[0].detail


def test_progress_and_arguments(tree):
    seen = []
    check("iemocap", tree, known=False, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 7) for done in range(1, 8)]
    with pytest.raises(ConfigurationError, match="corpus kind 'timit' is not known; choose from iemocap"):
        check("timit", tree)
    with pytest.raises(ConfigurationError, match="label set 'nine' is not known"):
        check("iemocap", tree, labels="nine")


# The published table, on a whole corpus of names.

GENDERS = {"F": "female", "M": "male"}
ORDER = ("angry", "happy", "neutral", "sad")
RAW = {"angry": ["ang"], "happy": ["hap"], "neutral": ["neu"], "sad": ["sad"]}


def full_size():
    """Dialogue → turns, with the sizes of the release: its dialogues, classes, speakers and raw labels."""
    raw = release.KNOWN_RAW_LABELS
    others = [label for label in raw if label not in ("ang", "hap", "exc", "neu", "sad") for _ in range(raw[label])]
    excited = raw["exc"]
    dialogs = {}
    for session, known in release.KNOWN_SESSIONS.items():
        labels = [label for name in ORDER for label in RAW[name] * getattr(known, name)]
        happy = [at for at, label in enumerate(labels) if label == "hap"]
        for at in happy[: min(excited, len(happy))]:
            labels[at] = "exc"
        excited -= min(excited, len(happy))
        speakers = ["F"] * known.female + ["M"] * known.male
        share = len(others) if session == "5" else 900
        turns = list(zip(labels, speakers, strict=True)) + [(label, "F") for label in others[:share]]
        others = others[share:]
        names = [
            f"Ses0{session}{markers}_{kind}{number:02d}{part}"
            for markers in "FM"
            for kind, numbers, parts in (("impro", 8, ("",)), ("script", 3, ("_1", "_2", "_3")))
            for number in range(1, numbers + 1)
            for part in parts
        ][: known.dialogs]
        blocks = {name: [] for name in names}
        for at, (label, speaker) in enumerate(turns):
            name = names[at % len(names)]
            blocks[name].append((f"{name}_{speaker}{len(blocks[name]):03d}", label))
        dialogs |= blocks
    return dialogs


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """EmoEvaluation and transcription files of 10,039 utterances; empty folders for recordings and alignments."""
    root = iemocap(tmp_path_factory.mktemp("full") / "IEMOCAP", full_size(), recordings=False)
    for session in range(1, 6):
        (root / f"Session{session}/sentences/wav").mkdir(parents=True)
    return root


def counts(root, monkeypatch):
    monkeypatch.setattr(validate, "_recordings", lambda *arguments: iter(()))  # names only: there is no audio
    checkup = check("iemocap", root)
    expected = ("missing-folder", "missing-alignment")
    return checkup, [problem for problem in checkup.problems if problem.kind not in expected]


def test_known_table_is_consistent():
    sessions = release.KNOWN_SESSIONS.values()
    totals = [sum(getattr(known, name) for known in sessions) for name in ("dialogs", *ORDER)]
    assert totals == [151, 1103, 1636, 1708, 1084]
    for known in sessions:
        assert known.angry + known.happy + known.neutral + known.sad == known.female + known.male
    assert sum(release.KNOWN_RAW_LABELS.values()) == 10_039


def test_whole_release_has_the_published_counts(full, monkeypatch):
    checkup, problems = counts(full, monkeypatch)
    assert problems == []
    assert (checkup.utterances, checkup.selected) == (10_039, 5531)
    assert checkup.by_label == {"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084}
    assert checkup.by_session == {"1": 1085, "2": 1023, "3": 1151, "4": 1031, "5": 1241}
    assert len(checkup.by_speaker) == 10
    assert sum(checkup.by_session[session] for session in "1234") == 4290  # the paper's training set


def test_differences_from_the_published_counts(full, tmp_path, monkeypatch):
    root = shutil.copytree(full, tmp_path / "IEMOCAP")
    shutil.rmtree(root / "Session3")
    replace("_F000\tang\t", "_F000\thap\t")(root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt")
    file = sorted((root / "Session5/dialog/EmoEvaluation").glob("*.txt"))[-1]
    file.unlink()
    _, problems = counts(root, monkeypatch)
    assert [(problem.kind, problem.id) for problem in problems] == [
        ("count", "Session1"),
        ("missing-session", "Session3"),
        ("count", "Session5"),
    ]
    assert "Session1: not the release: 228 angry, not 229; 279 happy, not 278; compare" in problems[0].detail
    assert "30 dialogs, not 31; " in problems[2].detail


def test_raw_labels_outside_the_classes_are_counted_too(full, tmp_path, monkeypatch):
    root = shutil.copytree(full, tmp_path / "IEMOCAP")
    file = next(f for f in sorted(root.rglob("EmoEvaluation/*.txt")) if "\tfru\t" in f.read_text())
    file.write_text(file.read_text().replace("\tfru\t", "\txxx\t", 1))
    _, [problem] = counts(root, monkeypatch)
    assert (problem.kind, problem.id) == ("count", "IEMOCAP")
    assert "1848 fru, not 1849; 2508 xxx, not 2507" in problem.detail


def test_a_partial_release_is_reported(tree):
    problems = check("iemocap", tree).problems
    assert [problem.id for problem in problems if problem.kind == "missing-session"] == [
        "Session3",
        "Session4",
        "Session5",
    ]


# A synthetic corpus is compared with its own marker only.


@pytest.mark.parametrize(
    ("marker", "kinds"),
    [
        ('{"utterances": 7}', ["synthetic"]),
        ("{}", ["synthetic"]),
        ('{"utterances": 8}', ["count", "synthetic"]),
        ('{"utterances": {"a": {}}}', ["count", "synthetic"]),
        ('{"utterances": 1' + "0" * 5000 + "}", ["bad-marker", "synthetic"]),
        ("[" * 5000, ["bad-marker", "synthetic"]),
        ('{"complete": false, "utterances": 7}', ["incomplete", "synthetic"]),
        ("{", ["bad-marker", "synthetic"]),
        ("", ["bad-marker", "synthetic"]),
    ],
)
def test_synthetic(tree, marker, kinds):
    write(tree / "SYNTHETIC.json", marker)
    for kind in ("synthetic", "iemocap"):
        assert [problem.kind for problem in check(kind, tree).problems] == kinds


def test_synthetic_without_marker(tree):
    [problem] = check("synthetic", tree).problems
    assert problem.kind == "wrong-root"
    assert "holds no SYNTHETIC.json" in problem.detail


# Every other kind.


def emodb_tree(root):
    for name in ("03a01Fa", "03a01Wa", "08a02Na"):
        wav(root / "wav" / f"{name}.wav")
    return root


def ravdess_tree(root):
    for actor in ("01", "02"):
        wav(root / f"Actor_{actor}/03-01-03-01-01-01-{actor}.wav")
    return root


def ljspeech_tree(root):
    write(root / "metadata.csv", "LJ001-0001|One|One\nLJ001-0002|Two|Two\n")
    for number in (1, 2):
        wav(root / f"wavs/LJ001-000{number}.wav", rate=22_050)
    return root


def librispeech_tree(root):
    folder = root / "84/121123"
    write(folder / "84-121123.trans.txt", "84-121123-0000 GO\n84-121123-0001 BUT\n")
    for number in (0, 1):
        wav(folder / f"84-121123-000{number}.flac")
    return root


def manifest_tree(root):
    lines = [{"id": name, "audio": f"{name}.wav", "speaker": "s", "label": "sad", "text": "oh"} for name in ("a", "b")]
    for line in lines:
        wav(root / line["audio"])
    return write(root / "m.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


TREES = {
    "emodb": emodb_tree,
    "ravdess": ravdess_tree,
    "ljspeech": ljspeech_tree,
    "librispeech": librispeech_tree,
    "manifest": manifest_tree,
}


@pytest.mark.parametrize("kind", TREES)
def test_other_kinds_healthy(kind, tmp_path):
    checkup = check(kind, TREES[kind](tmp_path), known=False, decode=True)
    assert checkup.problems == ()
    assert checkup.selected == {"emodb": 3, "ravdess": 2, "manifest": 2}.get(kind, 0)
    assert sum(checkup.by_label.values()) == checkup.selected


@pytest.mark.parametrize("kind", TREES)
def test_other_kinds_unreadable_recording(kind, tmp_path):
    path = TREES[kind](tmp_path)
    file = sorted(file for file in tmp_path.rglob("*") if file.suffix in (".wav", ".flac"))[0]
    file.write_bytes(b"")
    [problem] = check(kind, path, known=False).problems
    assert (problem.kind, problem.id, problem.severity) == ("bad-audio", file.stem, "error")


@pytest.mark.parametrize("kind", ["ljspeech", "librispeech", "manifest"])
def test_other_kinds_missing_recording(kind, tmp_path):
    path = TREES[kind](tmp_path)
    file = sorted(file for file in tmp_path.rglob("*") if file.suffix in (".wav", ".flac"))[0]
    file.unlink()
    [problem] = check(kind, path, known=False).problems
    assert (problem.kind, problem.id) == ("missing-audio", file.stem)


def test_names_twice_and_names_that_mean_nothing(tmp_path):
    emodb_tree(tmp_path)
    wav(tmp_path / "copy/03a01Fa.wav")
    wav(tmp_path / "wav/interview.wav")
    found = [(problem.kind, problem.id) for problem in check("emodb", tmp_path, known=False).problems]
    assert found == [("duplicate-id", "03a01Fa"), ("bad-name", "interview")]


def test_line_without_text_and_recording_without_line(tmp_path):
    ljspeech_tree(tmp_path)
    write(tmp_path / "metadata.csv", "LJ001-0001|One|\nLJ001-0003|Three|Three\n")
    wav(tmp_path / "wavs/LJ001-0003.wav")
    found = [(p.kind, p.id, p.severity) for p in check("ljspeech", tmp_path, known=False).problems]
    assert found == [("missing-transcript", "LJ001-0001", "error"), ("missing-line", "LJ001-0002", "note")]


def test_manifest_defects(tmp_path):
    wav(tmp_path / "long.wav", 2.0)
    rows = [
        "id,audio,start,end,label,speaker,text",
        "a,long.wav,0,1,sad,s1,x",
        "b,long.wav,1,2,,s1,x",  # no label
        "c,long.wav,0.5,1,sad,,x",  # no speaker
        "d,long.wav,1.5,3,sad,s1,x",  # ends beyond the file
        "e,long.wav,2.5,,sad,s1,x",  # starts beyond the file
        "f,long.wav,0,1,sad,s1,x",  # the cut of a
        "g,none/g.wav,,,sad,s1,x",  # no such folder
        "h,long.wav,0,2.05,sad,s1,x",  # within the tolerance of a cut
        "i,long.wav,0,1.2,sad,s1,",  # no text
    ]
    checkup = check("manifest", write(tmp_path / "m.csv", "\n".join(rows)), known=False)
    assert {(problem.kind, problem.id, problem.severity) for problem in checkup.problems} == {
        ("missing-label", "b", "error"),
        ("missing-speaker", "c", "error"),
        ("cut-outside", "d", "error"),
        ("cut-outside", "e", "error"),
        ("duplicate-audio", "f", "error"),
        ("missing-folder", "none", "error"),
        ("missing-transcript", "i", "note"),
    }


def test_a_manifest_without_any_speaker_label_or_text_gives_one_problem_each(tmp_path):
    wav(tmp_path / "a.wav")
    wav(tmp_path / "b.wav")
    checkup = check("manifest", write(tmp_path / "m.csv", "id,audio\na,a.wav\nb,b.wav\n"))
    kinds = ["missing-label", "missing-speaker", "missing-transcript"]
    assert sorted(problem.kind for problem in checkup.notes) == kinds
    assert checkup.healthy


def test_unreadable_manifest(tmp_path):
    [problem] = check("manifest", write(tmp_path / "m.csv", "name,mood\n")).problems
    assert problem.kind == "bad-manifest"
    assert "neither JSON nor a known header of a table" in problem.detail


def test_known_sizes(tmp_path):
    emodb = check("emodb", emodb_tree(tmp_path / "emodb"))
    assert [problem.id for problem in emodb.errors] == ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
    assert "speaker 03 has 2 utterances, 49 in the release" in emodb.errors[0].detail
    assert len(check("ravdess", ravdess_tree(tmp_path / "ravdess")).errors) == 24
    part = check("ljspeech", ljspeech_tree(tmp_path / "lj"))
    assert part.healthy
    assert "a part of the corpus: 2 utterances of 13100" in part.notes[0].detail
    subset = check("librispeech", librispeech_tree(tmp_path / "dev-clean"))
    assert subset.healthy
    assert "dev-clean is here in part: 2 utterances of 2703" in subset.notes[0].detail


def test_problem_is_frozen():
    problem = Problem("kind", "id", "detail")
    with pytest.raises(AttributeError):
        problem.kind = "other"  # type: ignore[misc]


@pytest.mark.corpora
def test_real_corpora_are_healthy(data):
    checkup = check("ravdess", data / "ravdess")
    assert (checkup.problems, checkup.utterances) == ((), 1440)
    checkup = check("emodb", data / "emodb")  # the release, or its four classes: each speaker then lacks some
    lacking = {} if checkup.utterances == 535 else {"count": 10}
    assert (Counter(problem.kind for problem in checkup.problems), checkup.selected) == (lacking, 339)


@pytest.mark.corpora
def test_real_ljspeech_is_a_part(data):
    checkup = check("ljspeech", data / "ljspeech")
    assert checkup.healthy
    assert Counter(problem.kind for problem in checkup.problems) == {"count": 1}


@pytest.mark.parametrize(("kind", "key"), [("manifest", "raw_label"), ("manifest", "label"), ("emodb", "")])
def test_a_corpus_without_a_single_class_is_not_healthy(tmp_path, kind, key):
    """What the check says to do about a foreign label is done, and the check then says what follows from it."""
    for name in ("03a01Aa", "03a01La"):  # fear, boredom
        wav(tmp_path / "wav" / f"{name}.wav", frequency=200 + len(name) + ord(name[5]))
    path = tmp_path
    if kind == "manifest":
        path = tmp_path / "m.csv"
        rows = "".join(f"{n},wav/03a01{n}a.wav,{label},s\n" for n, label in (("A", "fear"), ("L", "boredom")))
        write(path, f"id,audio,{key},speaker\n{rows}")
    checkup = check(kind, path, known=False)
    assert not checkup.healthy and checkup.selected == 0
    details = {problem.kind: problem.detail for problem in checkup.errors}
    if key == "label":
        assert re.search(r"whose names are angry: [^;]*\banger\b[^;]*; happy: ", details["bad-label"])
        assert "put it under raw_label" in details["bad-label"]
        return
    expected = ("boredom (1), fear (1)", "anger") if key else ("A (1), L (1)", "angry: W; happy: F; ")
    assert "none of 2 utterances has a class of 'four'" in details["no-class"]
    assert all(text in details["no-class"] for text in expected)
    if key:
        write(path, path.read_text().replace("fear", "Anger").replace("boredom", "SADNESS"))
        checkup = check(kind, path, known=False)
        assert checkup.healthy and checkup.by_label == {"angry": 1, "happy": 0, "neutral": 0, "sad": 1}
