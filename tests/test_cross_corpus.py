"""Training on one corpus and testing on another: who is who, what is refused, and what the run states."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from duetto.audit import audit_folds, classes
from duetto.cli import app
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, CorpusError
from duetto.evaluation import SystemResult, from_folds
from duetto.splits import Fold, default_protocol, folds, qualified
from duetto.splits.emobox import read_folds, write_folds
from quick_training import SMALL, corpus

RUN = CliRunner()
CHANGES = [word for change in SMALL for word in ("--set", change)]


def named(n: int, corpus: str | None, **more: str | None) -> list[Utterance]:
    """Utterances u0, u1, … of speakers s0, s1, s2 in two classes."""
    return [
        Utterance(f"u{i}", Path(f"{corpus}{i}.wav"), label=("sad", "angry")[i % 2], speaker=f"s{i % 3}", corpus=corpus)
        if not more
        else replace(named(n, corpus)[i], **more)
        for i in range(n)
    ]


def test_each_corpus_is_tested_by_a_system_of_the_others() -> None:
    everyone = [replace(u, id=f"{c}{u.id}", speaker=f"{c}{u.speaker}") for c in "abc" for u in named(12, c)]
    made = folds("corpus", everyone)
    assert [{u.corpus for u in fold.test} for fold in made] == [{"a"}, {"b"}, {"c"}]
    for fold in made:
        assert {u.corpus for u in (*fold.train, *fold.development)} == {"a", "b", "c"} - {fold.test[0].corpus}
        assert len(fold.test) == 12 and set(fold.disjoint_in) == {"speaker", "corpus"}


@pytest.mark.parametrize(
    ("given", "message"), [("a", "two corpora; the manifest has only"), (None, "needs the corpus")]
)
def test_one_corpus_cannot_be_left_out(given: str | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        folds("corpus", named(12, given))


def test_sessions_and_scenarios_of_two_corpora_are_two_and_speakers_go_by_name() -> None:
    a, b = (named(6, c, session="1", scenario="x") for c in "ab")
    fold = Fold("f", tuple(a), (), tuple(b))
    assert fold.shared("session") == fold.shared("scenario") == () and fold.shared("speaker") == ("s0", "s1", "s2")
    assert set(fold.disjoint_in) == {"session", "scenario", "corpus"}
    unknown = Fold("f", tuple(named(6, None, session="1")), (), tuple(named(6, None, session="1")))
    assert unknown.shared("session") == ("1",) and unknown.disjoint_in == ()


@pytest.mark.parametrize(
    ("utterances", "protocol"),
    [
        (named(6, "a"), "speaker"),
        (named(6, "a", session="1"), "speaker"),
        ([*named(6, "a", session="1"), *named(6, "a", session="2")], "session5"),
        ([*named(6, "a", session="1"), *named(6, "b", session="2")], "speaker"),
        ([*named(6, "a", session="1"), *named(6, "a", session="2"), *named(1, "a")], "speaker"),
        ([*named(6, "a", session="1"), *named(6, "a", session="2"), *named(1, "a", label=None)], "session5"),
    ],
)
def test_the_default_protocol_is_one_that_the_corpus_allows(utterances: list[Utterance], protocol: str) -> None:
    assert default_protocol(utterances) == protocol


def test_names_of_another_corpus_are_told_apart_and_those_of_the_same_are_not() -> None:
    (other,) = qualified(named(3, "a"), named(1, "b"))
    assert (other.id, other.speaker) == ("b:u0", "b:s0")
    (free,) = qualified(named(3, "a"), [replace(named(1, "b")[0], id="x", speaker="y")])
    assert (free.id, free.speaker) == ("x", "y")
    (same,) = qualified(named(3, "a"), [replace(named(1, "a")[0], id="x")])
    assert same.speaker == "s0"  # a person of the training data: for the audit to find
    for a, b in (("a", "a"), (None, "b"), ("a", None)):
        with pytest.raises(ConfigurationError, match="'u0' is in the manifest for training and in that for testing"):
            qualified(named(3, a), named(1, b))


def two(folder: Path, names: tuple[str | None, str | None]) -> list[Path]:
    """Manifests of the same ids and speakers in two folders, with the sound of the second shifted."""
    paths = []
    for number, name in enumerate(names):
        (folder / str(number)).mkdir()
        utterances = read_manifest(corpus(folder / str(number)))
        if number:
            for u in utterances:  # another recording: one byte of the last sample
                u.audio.write_bytes(u.audio.read_bytes()[:-2] + b"\x01\x00")
        paths.append(folder / f"m{number}.jsonl")
        write_manifest(paths[-1], [replace(u, corpus=name) for u in utterances])
    return paths


def test_a_system_is_trained_on_one_manifest_and_tested_on_another(tmp_path: Path) -> None:
    a, b = two(tmp_path, ("one", "two"))
    run = tmp_path / "run"
    done = RUN.invoke(app, ["train", "acoustic", "--manifest", str(a), "--test", str(b), "-o", str(run), *CHANGES])
    assert done.exit_code == 0, (done.output, done.exception)
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (fold,) = described["folds"]
    assert described["protocol"] == "transfer" and fold["name"] == "m0 → m1"
    assert {"speaker", "corpus"} <= set(fold["disjoint_in"])
    assert len(fold["test"]) == 48 and all(name.startswith("two:") for name in fold["test"])
    assert sorted([*fold["train"], *fold["development"]]) == sorted(u.id for u in read_manifest(a))
    result = SystemResult.load(run / "result.npz")
    assert result.kind == "system" and set(result.speaker.tolist()) == {f"two:s{i}" for i in range(6)}
    done = RUN.invoke(app, ["evaluate", str(run)])
    page = (run / "report.html").read_text(encoding="utf-8")
    assert done.exit_code == 0 and "protocol transfer" in page and "m0 → m1: " in page


def test_the_same_speakers_are_refused_where_no_corpus_tells_them_apart(tmp_path: Path) -> None:
    a, b = two(tmp_path, (None, None))
    options = ["--manifest", str(a), "--test", str(b), "-o", str(tmp_path / "run"), *CHANGES]
    done = RUN.invoke(app, ["train", "acoustic", *options])
    assert done.exit_code == 1 and "is in the manifest for training" in str(done.exception)
    write_manifest(b, [replace(u, id=f"x{u.id}") for u in read_manifest(b)])
    done = RUN.invoke(app, ["train", "acoustic", *options])
    assert done.exit_code == 1 and "that training or development data hold too: s0" in str(done.exception)


def test_the_default_protocol_is_printed(tmp_path: Path) -> None:
    manifest = corpus(tmp_path)
    write_manifest(manifest, [replace(u, session=None) for u in read_manifest(manifest)])
    done = RUN.invoke(app, ["train", "acoustic", "--manifest", str(manifest), "-o", str(tmp_path / "run"), *CHANGES])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "protocol: speaker" in done.stderr
    assert len(json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))["folds"]) == 5


def test_two_ways_to_split_are_wrong_usage() -> None:
    for more in (("--protocol", "speaker", "--test", "B"), ("--test", "B", "--folds", "C")):
        done = RUN.invoke(app, ["train", "acoustic", "--manifest", "A", "-o", "R", *more])
        assert done.exit_code == 2, done.output


ENTRY = (
    '{"key": "toy-%s", "dataset": "toy", "wav": "downloads/toy/wav/%s.wav", "type": "raw", "sample_rate": 16000, '
    '"num_frame": 33978.0, "task": "category", "length": 2.123625, "emo": "anger", "channel": 1}\n'
)
"""A line as EmoBox has it."""


def emobox(folder: Path, name: str, ids: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(ENTRY % (i, i) for i in ids), encoding="utf-8")


def toy() -> list[Utterance]:
    return [replace(u, id=f"toy:{u.audio.stem}", speaker=f"s{i // 2}") for i, u in enumerate(named(12, "toy"))]


def test_fold_files_of_emobox_are_read(tmp_path: Path) -> None:
    names = [f"toy{i}" for i in range(12)]
    emobox(tmp_path / "fold_1", "toy_train_fold_1.jsonl", names[4:])
    emobox(tmp_path / "fold_1", "toy_test_fold_1.jsonl", names[:4])
    emobox(tmp_path / "fold_1", "toy_test_fold1.jsonl", names[:1])  # an older spelling of the same file
    emobox(tmp_path / "fold_2", "toy_train_fold2.jsonl", names[:6])
    emobox(tmp_path / "fold_2", "toy_valid_fold2.jsonl", names[6:8])
    emobox(tmp_path / "fold_2", "toy_test_fold2.jsonl", names[8:])
    first, second = read_folds(tmp_path, toy())
    assert (
        sorted(u.audio.stem for u in first.test) == sorted(names[:4]) and len(first.train) + len(first.development) == 8
    )
    assert first.development and "speaker" in first.disjoint_in
    assert not {u.speaker for u in first.train} & {u.speaker for u in first.development}
    parts = [[u.audio.stem for u in part] for part in (second.train, second.development, second.test)]
    assert parts == [sorted(names[:6]), sorted(names[6:8]), sorted(names[8:])]
    unlabelled = [replace(u, label=None) if u.audio.stem == "toy0" else u for u in toy()]
    assert len(read_folds(tmp_path, unlabelled)[0].test) == 3


def test_fold_files_of_other_utterances_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no fold in it"):
        read_folds(tmp_path, toy())
    emobox(tmp_path / "fold_1", "toy_train_fold_1.jsonl", ["toy0", "elsewhere", "nowhere"])
    with pytest.raises(ConfigurationError, match="fold 1 has no file DATASET_test_fold_1"):
        read_folds(tmp_path, toy())
    emobox(tmp_path / "fold_1", "toy_test_fold_1.jsonl", ["toy1"])
    with pytest.raises(
        ConfigurationError, match="2 of its utterances are not in the manifest, such as 'toy-elsewhere'"
    ):
        read_folds(tmp_path, toy())
    (tmp_path / "fold_1/toy_train_fold_1.jsonl").write_text('{"key": 1}', encoding="utf-8")
    with pytest.raises(CorpusError, match="hold one JSON object a line"):
        read_folds(tmp_path, toy())


def test_written_folds_are_read_as_they_were(tmp_path: Path) -> None:
    manifest = corpus(tmp_path / "c") if (tmp_path / "c").mkdir() is None else None
    assert manifest is not None
    utterances = read_manifest(manifest)
    utterances[0] = replace(utterances[0], start=0.1, end=0.4)
    write_manifest(manifest, utterances)
    made = folds("speaker", utterances)
    done = RUN.invoke(
        app, ["folds", str(manifest), "--protocol", "speaker", "--dataset", "mine", "-o", str(tmp_path / "o")]
    )
    assert done.exit_code == 0, (done.output, done.exception)
    again = read_folds(tmp_path / "o", utterances)
    by_parts = [[{u.id for u in part} for part in (f.train, f.development, f.test)] for f in made]
    assert [[{u.id for u in part} for part in (f.train, f.development, f.test)] for f in again] == by_parts
    lines = [
        json.loads(line)
        for path in sorted((tmp_path / "o/fold_1").glob("mine_*_fold_1.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert len(lines) == len(utterances)
    cut = next(line for line in lines if line["key"] == f"mine-{utterances[0].id}")
    assert (cut["start_time"], cut["end_time"], cut["num_frame"]) == (0.1, 0.4, round(0.3 * cut["sample_rate"]))
    assert {line["emo"] for line in lines} == {"angry", "happy", "neutral", "sad"}
    with pytest.raises(ConfigurationError, match="letters, digits"):
        write_folds(tmp_path, "a/b", made)


def test_a_run_on_fold_files_states_them(tmp_path: Path) -> None:
    manifest = corpus(tmp_path)
    write_folds(tmp_path / "mine", "mine", folds("speaker", read_manifest(manifest))[:2])
    options = ["--manifest", str(manifest), "--folds", str(tmp_path / "mine"), "-o", str(tmp_path / "run"), *CHANGES]
    done = RUN.invoke(app, ["train", "acoustic", *options])
    assert done.exit_code == 0, (done.output, done.exception)
    described = json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))
    assert described["protocol"] == "emobox"
    assert [f["name"] for f in described["folds"]] == [f"mine, fold {k} of EmoBox" for k in (1, 2)]


def test_a_corpus_with_a_division_of_its_own_is_trained_on_it_unless_it_shares_speakers(tmp_path: Path) -> None:
    manifest = corpus(tmp_path)
    parts = {"s0": "train", "s1": "train", "s2": "train", "s3": "development", "s4": "test", "s5": "test2"}
    utterances = [replace(u, split=parts[str(u.speaker)]) for u in read_manifest(manifest)]
    write_manifest(manifest, utterances)
    run = tmp_path / "run"
    done = RUN.invoke(app, ["train", "acoustic", "--manifest", str(manifest), "-o", str(run), *CHANGES])
    assert done.exit_code == 0 and "protocol: split" in done.stderr, (done.output, done.exception)
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert [f["name"] for f in described["folds"]] == ["the corpus' own division, without test2"]
    assert {name.split("-")[0] for name in described["folds"][0]["test"]} == {"4"}
    shared = [replace(u, split="test" if i % 5 == 0 else "train") for i, u in enumerate(utterances)]
    write_manifest(manifest, shared)
    refused = RUN.invoke(app, ["train", "acoustic", "--manifest", str(manifest), "--protocol", "split", "-o", "x"])
    assert refused.exit_code == 1 and "protocol 'split' leaks here" in str(refused.exception)


# --- exchanged classes ---------------------------------------------------------------------------


def spoken(corpus: str, labels: dict[str, str], n: int = 12) -> list[Utterance]:
    """n sentences of each class, which both corpora share; `labels` renames classes."""
    return [
        Utterance(f"{corpus}{c}{i}", Path(f"{corpus}{c}{i}.wav"), label=labels.get(c, c), corpus=corpus,
                  speaker=f"{corpus}{i % 4}", text=f"{c} sentence {i}")
        for c in ("angry", "happy", "sad") for i in range(n)
    ]  # fmt: skip


def test_exchanged_classes_are_found_in_shared_sentences() -> None:
    """24 of 24 sentences are the other way round: p = 2 · 2⁻²⁴ · 3 pairs of classes."""
    swapped = spoken("b", {"angry": "sad", "sad": "angry"})
    [finding] = classes.shared_sentences([*spoken("a", {}), *swapped])
    assert finding.kind == "exchanged-classes" and finding.severity == "warning"
    assert finding.evidence["classes"] == ["angry", "sad"] and finding.evidence["corpora"] == ["a", "b"]
    assert finding.evidence["p"] == pytest.approx(6 * 2**-24)
    for other in (spoken("b", {}), spoken("b", {"sad": "angry"}), spoken("b", {"angry": "sad", "sad": "angry"}, 3)):
        assert not list(classes.shared_sentences([*spoken("a", {}), *other]))  # equal; one-sided; too few
    found = audit_folds([Fold("f", tuple(spoken("a", {})), (), tuple(swapped))], sound=False).findings
    assert "exchanged-classes" in {f.kind for f in found}


@pytest.mark.parametrize("exchange", [True, False])
def test_exchanged_classes_are_found_in_the_answers_of_a_system_of_other_corpora(exchange: bool) -> None:
    """A system that is right four times in five, on labels as they are and exchanged."""
    tested = [replace(u, text=None) for u in spoken("b", {"angry": "sad", "sad": "angry"} if exchange else {}, 40)]
    names = ("angry", "happy", "sad")
    logits = np.zeros((1, len(tested), 3))
    for i, u in enumerate(tested):
        logits[0, i, names.index(u.id[1:].rstrip("0123456789")) if i % 5 else i % 3] = 1
    fold = Fold("b", tuple(spoken("a", {})), (), tuple(tested))
    result = from_folds("x", [fold], names, logits, (0,))
    found = list(classes.of_results([fold], result))
    assert [f.evidence["classes"] for f in found] == ([["angry", "sad"]] if exchange else [])
    assert not list(classes.of_results([replace(fold, train=tuple(tested))], result))
