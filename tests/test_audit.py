"""The audit: every planted leak is found with its id, and nothing else is reported."""

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from conftest import SMALL
from duetto import audio, corpora, splits, synthetic
from duetto.audit import (
    AUDIT,
    KINDS,
    Audit,
    Finding,
    audit_folds,
    audit_run,
    load,
    merged,
    recordings,
    save,
    transcripts,
)
from duetto.audit.findings import make_finding
from duetto.cli import app
from duetto.config import experiment
from duetto.data import labels
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.text import normalise, tokens
from duetto.data.utterance import Utterance
from duetto.embeddings import vectors
from duetto.embeddings.vocabulary import Vocabulary
from duetto.errors import ConfigurationError, ModelError
from duetto.experiments.runner import run_systems
from duetto.experiments.workspace import Workspace
from duetto.features.short_term import ShortTermConfig
from duetto.features.store import FeatureStore, extract_corpus
from duetto.preprocessing import Normaliser, Preprocessor
from duetto.report import run_summary
from duetto.runs import describe, result_of
from duetto.splits import Fold
from duetto.training.word_embeddings import EmbeddingConfig

RUN = CliRunner()


def word(number: int) -> str:
    """A word of its own for every number."""
    return "w" + "".join(chr(ord("a") + int(digit)) for digit in str(number))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    """48 utterances of 6 speakers in 3 sessions: no scenario, transcript or recording stands in two sessions."""
    folder, rng, found = tmp_path_factory.mktemp("clean"), np.random.default_rng(0), []
    for i in range(48):
        session, gender = str(i % 3 + 1), "FM"[i // 3 % 2]
        samples = (0.1 * rng.normal(size=8000)).astype(np.float32)  # all equally long: every one must be decoded
        audio.write(folder / f"u{i:02d}.wav", samples, 16_000)
        found.append(
            Utterance(
                f"u{i:02d}",
                folder / f"u{i:02d}.wav",
                label=labels.classes("four")[i // 6 % 4],
                speaker=session + gender,
                session=session,
                scenario=f"impro{session}",
                text=" ".join(["so", "you", "see", *(word(5 * i + j) for j in range(5))]),
            )
        )
    return found


@pytest.fixture
def fold(clean: list[Utterance]) -> Fold:
    """Session 3 is tested."""
    return splits.folds("session5", clean)[0]


def kinds(audit: Audit) -> set[str]:
    return {finding.kind for finding in audit.findings}


def test_a_clean_corpus_is_silent(clean: list[Utterance]) -> None:
    for protocol in ("session5", "loso"):
        audit = audit_folds(splits.folds(protocol, clean), protocol)
        assert audit.findings == () and audit.verdict == "clean" and audit.utterances == 48
        assert audit.summary() == "clean: nothing found"


# Plants: fold, folder → fold. The one expectation beside each states what it changes.
Plant = Callable[[Fold, Path], Fold]


def in_test(**changes: object) -> Plant:
    """The first test utterance, changed."""
    return lambda fold, _: replace(fold, test=(replace(fold.test[0], **changes), *fold.test[1:]))


def says_the_same(fold: Fold, _: Path, text: str | None = None) -> Fold:
    text = text or str(fold.train[0].text)
    train = (replace(fold.train[0], text=text), *fold.train[1:])
    return replace(fold, train=train, test=(replace(fold.test[0], text=text), *fold.test[1:]))


def says_nearly_the_same(fold: Fold, _: Path) -> Fold:
    """7 of 8 words, in another order: Jaccard 7/9 ≥ 0.7."""
    *words, _last = str(fold.train[0].text).split()
    return replace(fold, test=(replace(fold.test[0], text=" ".join(["another", *words])), *fold.test[1:]))


def says_something_else(fold: Fold, _: Path) -> Fold:
    """6 of 8 words: Jaccard 6/10 < 0.7."""
    words = str(fold.train[0].text).split()[:6]
    return replace(fold, test=(replace(fold.test[0], text=" ".join([*words, "quite", "another"])), *fold.test[1:]))


def same_id(fold: Fold, _: Path) -> Fold:
    return replace(fold, train=(replace(fold.train[0], id=fold.test[0].id), *fold.train[1:]))


def same_sound(fold: Fold, folder: Path) -> Fold:
    """The same samples in another container, under another name."""
    audio.write(folder / "copy.flac", audio.load(fold.test[0].audio).samples, 16_000)
    return replace(fold, train=(replace(fold.train[0], audio=folder / "copy.flac"), *fold.train[1:]))


def same_cut(fold: Fold, folder: Path) -> Fold:
    """A cut of a longer recording that equals a whole one."""
    samples = audio.load(fold.test[0].audio).samples
    audio.write(folder / "long.wav", np.concatenate([0 * samples, samples, samples[:100]]), 16_000)
    cut = replace(fold.train[0], audio=folder / "long.wav", start=0.5, end=1.0)
    return replace(fold, train=(cut, *fold.train[1:]))


def heard_in_development(fold: Fold, folder: Path) -> Fold:
    shutil.copyfile(fold.development[0].audio, folder / "copy.wav")
    return replace(fold, train=(replace(fold.train[0], audio=folder / "copy.wav"), *fold.train[1:]))


def overlapping(start: float) -> Plant:
    """Seconds 0–1 of a recording in training, and `start`–(start + 1) in test."""

    def plant(fold: Fold, folder: Path) -> Fold:
        audio.write(folder / "long.wav", np.random.default_rng(1).normal(size=48_000) / 10, 16_000)
        a = replace(fold.train[0], audio=folder / "long.wav", start=0.0, end=1.0)
        b = replace(fold.test[0], audio=folder / "long.wav", start=start, end=start + 1)
        return replace(fold, train=(a, *fold.train[1:]), test=(b, *fold.test[1:]))

    return plant


def twice(fold: Fold, _: Path) -> Fold:
    return replace(fold, test=(*fold.test, fold.test[0]))


def copied_in_test(fold: Fold, folder: Path) -> Fold:
    shutil.copyfile(fold.test[1].audio, folder / "copy.wav")
    return replace(fold, test=(replace(fold.test[0], audio=folder / "copy.wav"), *fold.test[1:]))


PLANTS: dict[str, tuple[Plant, set[str]]] = {
    "speaker": (in_test(speaker="1F"), {"speaker-overlap"}),
    "session": (in_test(session="1"), {"session-overlap"}),
    "scenario": (in_test(scenario="impro1"), {"scenario-overlap"}),
    "short transcript": (lambda fold, _: says_the_same(fold, _, "Oh, yes!"), {"same-transcript"}),
    "transcript": (says_the_same, {"same-transcript", "near-transcript"}),
    "near transcript": (says_nearly_the_same, {"near-transcript"}),
    "not so near transcript": (says_something_else, set()),
    "one word often": (in_test(text="so so so so so so"), set()),
    "id": (same_id, {"utterance-in-two-parts"}),
    "sound": (same_sound, {"same-audio"}),
    "cut": (same_cut, {"same-audio"}),
    "sound in development": (heard_in_development, {"same-audio"}),
    "overlap": (overlapping(0.4), {"overlapping-audio"}),
    "half an overlap": (overlapping(0.5), {"overlapping-audio"}),
    "small overlap": (overlapping(0.6), set()),
    "beside": (overlapping(1.0), set()),
    "twice": (twice, {"oversampling"}),
    "copied": (copied_in_test, {"oversampling"}),
    "no speaker": (in_test(speaker=None), {"unknown-speaker"}),
    "no session": (in_test(session=None), {"not-examined"}),
    "no transcript": (in_test(text=None), {"not-examined"}),
    "no audio": (in_test(audio=Path("gone.wav")), {"not-examined"}),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_defect_is_found_and_nothing_else(plant: str, fold: Fold, tmp_path: Path) -> None:
    change, expected = PLANTS[plant]
    before = fold.development if plant == "sound in development" else fold.test
    audit = audit_folds([change(fold, tmp_path)], "session5")
    assert kinds(audit) == expected
    assert audit.verdict == ("leak" if any(KINDS[kind] == "leak" for kind in expected) else "clean")
    for finding in audit.findings:
        assert finding.severity == KINDS[finding.kind]
        if plant != "no audio":
            assert before[0].id in [*finding.evidence["examples"], *finding.evidence.get("twins", [])]
        if finding.severity != "note" and finding.kind != "unknown-speaker":
            assert finding.fold == fold.name


def test_evidence_counts_and_names_both_sides(fold: Fold, tmp_path: Path) -> None:
    (near,) = audit_folds([says_nearly_the_same(fold, tmp_path)]).findings
    assert near.evidence == {
        "utterances": 1, "of": 16, "share": 0.0625, "verbatim": 0,
        "examples": [fold.test[0].id], "twins": [fold.train[0].id],
    }  # fmt: skip
    assert near.detail.startswith("1 of 16 test utterances (6.2 %) with 5 or more different words")
    (same,) = audit_folds([same_sound(fold, tmp_path)]).findings
    assert same.evidence == {
        "training and test": 1, "examples": [fold.test[0].id], "twins": [fold.train[0].id],
    }  # fmt: skip
    everyone = replace(fold, test=tuple(replace(u, speaker="1F") for u in fold.test))
    (speakers,) = audit_folds([everyone]).findings
    assert speakers.evidence["utterances"] == speakers.evidence["of"] == 16
    assert len(speakers.evidence["examples"]) == 5


def test_development_that_is_test_is_a_leak(fold: Fold) -> None:
    audit = audit_folds([replace(fold, development=fold.test)])
    assert "utterance-in-two-parts" in kinds(audit) and audit.verdict == "leak"
    assert next(f for f in audit.leaks if f.kind == "utterance-in-two-parts").evidence["development and test"] == 16


def test_oversampling_before_the_split_is_a_leak(clean: list[Utterance]) -> None:
    """Copies of a class under new ids, then a random split: copies lie on both sides."""
    extra = [replace(u, id=u.id + "-copy") for u in clean if u.label == "sad"]
    audit = audit_folds(splits.random([*clean, *extra]))
    assert {"same-audio", "oversampling"} <= kinds(audit) and audit.verdict == "leak"


def test_random_is_a_declared_leak_and_so_is_what_a_user_declares(clean: list[Utterance], fold: Fold) -> None:
    audit = audit_folds(splits.folds("random", clean), "random")
    assert audit.verdict == "declared" and {"leaking-protocol", "speaker-overlap"} <= kinds(audit)
    leaky = in_test(speaker="1F")(fold, Path())
    assert audit_folds([leaky]).verdict == "leak"
    assert audit_folds([leaky], declared=True).verdict == "declared"
    assert audit_folds([fold], declared=True).verdict == "clean"


def test_a_finding_names_its_fold(clean: list[Utterance]) -> None:
    folds = splits.folds("loso", clean)
    folds[1] = in_test(speaker="1F")(folds[1], Path())
    (finding,) = audit_folds(folds).findings
    assert finding.fold == folds[1].name


def test_no_folds_and_empty_parts() -> None:
    assert audit_folds([]).verdict == "clean"
    assert audit_folds([Fold("empty", (), (), ())]).findings == ()


FOUND_IN_TREE = {"scenario-overlap", "near-transcript", "annotators"}


def test_the_synthetic_corpus_leaks_only_where_it_is_configured_to(tree: Path, tmp_path: Path) -> None:
    """Its default shares scenarios between sessions but no sentence, though its small grammar once says nearly the
    same; `leak=1` says script lines everywhere."""
    audit = audit_folds(splits.folds("session5", labels.selected(corpora.load("synthetic", tree))), "session5")
    assert audit.verdict == "clean" and kinds(audit) == FOUND_IN_TREE
    assert next(f for f in audit.findings if f.kind == "near-transcript").evidence["utterances"] == 1
    plan = synthetic.write(tmp_path / "leaky", size=60, seed=2, leak=1.0, other_labels=0.0, workers=0)
    leaky = splits.folds("session5", labels.selected(corpora.load("synthetic", tmp_path / "leaky")))
    said = {line.id: set(normalise(line.text)) for line in plan.lines}
    known = [said[line.id] for line in plan.lines if line.session != 5]
    scripted = {line.id for line in plan.lines if line.scripted and line.session == 5}
    near = {i for i in scripted if any(len(said[i] & k) >= 0.7 * len(said[i] | k) for k in known)}
    finding = next(f for f in audit_folds(leaky).findings if f.kind == "near-transcript")
    assert finding.evidence["utterances"] == len(near) >= len(scripted) / 2
    assert set(finding.evidence["examples"]) <= near


WORD = st.sampled_from("abcdefghij")


@settings(max_examples=200, deadline=None)
@given(
    queries=st.lists(st.frozensets(WORD, max_size=8), max_size=8),
    pool=st.lists(st.frozensets(WORD, max_size=8), max_size=12),
    threshold=st.sampled_from([Fraction(1, 3), Fraction(1, 2), Fraction(7, 10), Fraction(1)]),
)
def test_near_duplicates_are_those_of_all_pairs(
    queries: list[frozenset[str]], pool: list[frozenset[str]], threshold: Fraction
) -> None:
    twins = transcripts.near_duplicates(queries, pool, threshold)
    for number, query in enumerate(queries):
        similar = [Fraction(len(query & other), len(query | other) or 1) for other in pool]
        best = max(similar, default=Fraction(0))
        assert twins.nearest.get(number) == (similar.index(best) if best >= threshold else None)


def test_ten_thousand_utterances_take_few_comparisons() -> None:
    """All pairs are 16 million. Words follow Zipf's law, as they do; 200 near-duplicates are planted."""
    rng = np.random.default_rng(0)
    words = np.array([word(i) for i in range(5000)])
    weights = 1 / np.arange(1, 5001)
    lengths = rng.integers(3, 25, 10_000)
    spoken = words[rng.choice(5000, lengths.sum(), p=weights / weights.sum())].tolist()
    said = [frozenset(spoken[end - n : end]) for n, end in zip(lengths, lengths.cumsum(), strict=True)]
    pool, queries = said[:8000], said[8000:]
    long = [number for number, one in enumerate(pool) if len(one) >= 8][:200]
    queries[:200] = [pool[number] | {"new"} for number in long]
    twins = transcripts.near_duplicates(queries, pool)
    assert [twins.nearest[i] for i in range(200)] == long
    assert twins.comparisons < 16_000_000 / 100


def test_only_recordings_of_equal_length_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = (1600, 3200, 3200, 4800)
    for number, length in enumerate(lengths):
        audio.write(tmp_path / f"{number}.wav", np.full(length, 0.1 * number, np.float32), 16_000)
    utterances = [Utterance(str(i), tmp_path / f"{i}.wav") for i in range(4)]
    decoded, real = [], audio.load
    monkeypatch.setattr(audio, "load", lambda path, **more: decoded.append(path.name) or real(path, **more))
    steps: list[tuple[int, int]] = []
    sounds = recordings.recording_keys(utterances, progress=lambda done, total: steps.append((done, total)))
    assert sorted(decoded) == ["1.wav", "2.wav"] and steps == [(1, 2), (2, 2)]
    assert len({sounds.key(u) for u in utterances}) == 4 and sounds.unread == {}


def test_without_sound_nothing_is_opened_but_places_are_compared(fold: Fold, monkeypatch: pytest.MonkeyPatch) -> None:
    same = replace(fold, train=(replace(fold.train[0], audio=fold.test[0].audio), *fold.train[1:]))
    monkeypatch.setattr(audio, "duration", lambda _: pytest.fail("opened"))
    assert kinds(audit_folds([same], sound=False)) == {"not-examined", "same-audio"}


# Runs


@pytest.fixture(scope="module")
def features(clean: list[Utterance], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    extract_corpus(clean, folder, ShortTermConfig(), workers=1)
    return folder


def run_folder(
    folder: Path,
    fold: Fold,
    features: Path,
    *,
    fitted: Iterable[str] = ("train",),
    words: Iterable[str] = (),
    spoken: Iterable[str] = (),
    scores: tuple[float, ...] = (0.2, 0.5, 0.4),
    chosen: int = 1,
    folds: list[dict[str, object]] | None = None,
    **settings: object,
) -> Path:
    """A run as training writes it, by default without a defect. fitted: parts that the normalisation is of.
    words, spoken: further words of the vocabulary and of the language model."""
    e = replace(experiment.load("fusion-random"), **settings) if "epoch_choice" not in settings else None
    described = describe(e or experiment.load("fusion-random"), "session5", [fold], [0])
    described["experiment"] |= settings
    if folds is not None:
        described["folds"] = folds
    part = folder / "fold0-seed0"
    part.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(described))
    store = FeatureStore.open(features)
    normaliser = Normaliser.fit((store[u.id] for name in fitted for u in getattr(fold, name)), 34)
    vocabulary = Vocabulary.build([tokens(u) for u in fold.train])
    preprocessor = Preprocessor(
        e or experiment.load("fusion-random"),
        normaliser,
        Vocabulary((*vocabulary.words, *words)),
        Normaliser.identity(50),
    )
    (part / "model.json").write_text(json.dumps(preprocessor.to_json()))
    (part / "language.json").write_text(json.dumps({"words": [*vocabulary.words, *spoken]}))
    history = {"epochs": [{"epoch": i, "score": score} for i, score in enumerate(scores)], "chosen": chosen}
    np.savez(part / "outcome.npz", history=np.array(json.dumps(history)))
    return folder


DEFECTS: dict[str, tuple[dict[str, object], set[str]]] = {
    "none": ({}, set()),
    "last epoch": ({"chosen": 2, "epoch_choice": "last"}, set()),
    "all normalised": ({"fitted": ("train", "development", "test")}, {"fitted-on-test"}),
    "test normalised": ({"fitted": ("train", "test")}, {"fitted-on-test"}),
    "development normalised": ({"fitted": ("train", "development")}, {"unknown-statistics"}),
    "epoch by test": ({"epoch_choice": "test"}, {"chosen-on-test"}),
    "epoch by nothing": ({"epoch_choice": None}, {"chosen-on-test"}),
    "another epoch": ({"chosen": 2}, {"unknown-epoch"}),
    "not the last epoch": ({"epoch_choice": "last"}, {"unknown-epoch"}),
    "by speaker": ({"normalisation": "speaker"}, {"speaker-normalisation"}),
    "padding": ({"padding": "pre"}, {"padding-read"}),
    "foreign words": ({"words": ["zebra"]}, set()),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_a_run_is_found_and_nothing_else(
    defect: str, fold: Fold, clean: list[Utterance], features: Path, tmp_path: Path
) -> None:
    settings, expected = DEFECTS[defect]
    audit = audit_run(run_folder(tmp_path / "run", fold, features, **settings), clean, features=features)  # type: ignore[arg-type]
    assert kinds(audit) == expected
    assert audit.verdict == ("leak" if any(KINDS[kind] == "leak" for kind in expected) else "clean")


def test_statistics_of_nowhere_are_found(fold: Fold, clean: list[Utterance], features: Path, tmp_path: Path) -> None:
    path = run_folder(tmp_path / "run", fold, features) / "fold0-seed0/model.json"
    value = json.loads(path.read_text())
    value["features"]["mean"][3] += 0.01 * value["features"]["deviation"][3]
    path.write_text(json.dumps(value))
    assert kinds(audit_run(tmp_path / "run", clean, features=features)) == {"unknown-statistics"}


@pytest.mark.parametrize("where", ["words", "spoken"])
def test_words_that_only_test_transcripts_hold_are_found(
    where: str, fold: Fold, clean: list[Utterance], features: Path, tmp_path: Path
) -> None:
    secret = tokens(fold.test[3])[-1]
    folder = run_folder(tmp_path / "run", fold, features, **{where: [secret]})  # type: ignore[arg-type]
    (finding,) = audit_run(folder, clean, features=features).findings
    assert finding.kind == "vocabulary-from-test" and finding.evidence == {"words": 1, "examples": [fold.test[3].id]}
    assert repr(secret) in finding.detail


def test_given_vectors_are_distinguished_from_a_vocabulary_of_test_data(
    fold: Fold, clean: list[Utterance], features: Path, tmp_path: Path
) -> None:
    """A published file holds words that occur nowhere in the corpus; a table of random vectors has no such excuse."""
    words = [tokens(fold.test[0])[-1], "zebra"]
    for embeddings, kind in (("word2vec", "unknown-vectors"), ("random", "vocabulary-from-test")):
        folder = run_folder(tmp_path / embeddings, fold, features, words=words, embeddings=embeddings)
        assert kinds(audit_run(folder, clean, features=features)) == {kind}
    corpus_only = run_folder(tmp_path / "own", fold, features, words=words[:1], embeddings="word2vec")
    assert kinds(audit_run(corpus_only, clean, features=features)) == {"vocabulary-from-test"}


def test_a_leak_of_the_split_is_found_in_a_run(
    fold: Fold, clean: list[Utterance], features: Path, tmp_path: Path
) -> None:
    shared = [replace(u, speaker="1F") if u.id == fold.test[0].id else u for u in clean]
    folder = run_folder(tmp_path / "run", fold, features)
    assert kinds(audit_run(folder, shared, features=features)) == {"speaker-overlap"}


def test_an_utterance_in_two_parts_is_found_without_a_manifest(
    fold: Fold, clean: list[Utterance], features: Path, tmp_path: Path
) -> None:
    parts = {part: [u.id for u in getattr(fold, part)] for part in ("train", "development", "test")}
    parts["train"].append(parts["test"][2])
    folder = run_folder(tmp_path / "run", fold, features, folds=[{"name": "f", "disjoint_in": [], **parts}])
    audit = audit_run(folder)
    assert [f.evidence.get("examples") for f in audit.leaks] == [[parts["test"][2]]]
    assert kinds(audit) == {"utterance-in-two-parts", "not-examined"}
    assert "utterance-in-two-parts" in kinds(audit_run(folder, clean))


def test_without_a_manifest_the_audit_of_training_counts(fold: Fold, features: Path, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", fold, features)
    save(audit_folds([in_test(speaker="1F")(fold, tmp_path)], "session5", declared=True), folder)
    audit = audit_run(folder, features=features)
    assert audit.verdict == "declared" and [f.kind for f in audit.leaks] == ["speaker-overlap"]


def test_missing_parts_of_a_run_are_findings(
    fold: Fold, clean: list[Utterance], features: Path, tmp_path: Path
) -> None:
    folder = run_folder(tmp_path / "run", fold, features)
    (finding,) = audit_run(folder, clean).findings
    assert finding.kind == "not-examined" and "normalisation was not recomputed" in finding.detail
    audit = audit_run(folder, clean[1:], features=features)
    assert [f.evidence["examples"] for f in audit.findings if f.kind == "not-in-manifest"] == [["u00"]]
    with pytest.raises(ConfigurationError, match="give the manifest that it was trained on"):
        audit_run(folder, [replace(u, id="x" + u.id) for u in clean])
    (folder / "fold0-seed0/outcome.npz").unlink()
    assert [f.detail for f in audit_run(folder, clean, features=features).findings] == [
        "1 trainings of the run are not finished"
    ]


@pytest.mark.parametrize("file", ["run.json", "fold0-seed0/model.json", "fold0-seed0/outcome.npz", AUDIT])
def test_damaged_files_are_named(file: str, fold: Fold, clean: list[Utterance], features: Path, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", fold, features)
    for content in (b"{", b"[]", b"", b"\xff"):
        (folder / file).write_bytes(content)
        with pytest.raises(ModelError, match=file.rpartition("/")[2]):
            audit_run(folder, clean, features=features)


def test_of_a_baseline_the_split_is_examined(
    fold: Fold, clean: list[Utterance], features: Path, tmp_path: Path
) -> None:
    folder = run_folder(tmp_path / "run", fold, features)
    described = json.loads((folder / "run.json").read_text())
    described["baseline"] = {"name": described.pop("experiment")["name"]}
    (folder / "run.json").write_text(json.dumps(described))
    (note,) = audit_run(folder, clean).findings
    assert note.kind == "not-examined" and "what a baseline was fitted to" in note.detail
    shared = [replace(u, speaker="1F") if u.id == fold.test[0].id else u for u in clean]
    assert kinds(audit_run(folder, shared)) == {"speaker-overlap", "not-examined"}


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="it is no run folder"):
        audit_run(tmp_path)


def test_json_round_trip(fold: Fold, tmp_path: Path) -> None:
    audit = audit_folds([says_the_same(twice(fold, tmp_path), tmp_path)], "session5", declared=True)
    save(audit, tmp_path)
    assert load(tmp_path) == audit and load(tmp_path / "none") is None
    value = json.loads((tmp_path / AUDIT).read_text())
    assert value["verdict"] == "clean" and value["findings"][0] == asdict(audit.findings[0])
    odd = (
        {"findings": [1]},
        {"findings": [value["findings"][0] | {"kind": ["x"]}]},
        {"findings": [value["findings"][0] | {"severity": "leak"}]},
        {"findings": [value["findings"][0] | {"fold": 1}]},
        {"findings": [value["findings"][0] | {"evidence": []}]},
        {"folds": 10**400},
        {"declared": "no"},
    )
    for damage in ("{", "{}", "[" * 100_000, *(json.dumps(value | change) for change in odd)):
        (tmp_path / AUDIT).write_text(damage)
        with pytest.raises(ModelError, match="delete it, and run the same `duetto train` again"):
            load(tmp_path)


def test_findings_are_sorted_and_stand_once() -> None:
    note, leak = Finding("padding-read", "note", None, "a", {}), Finding("same-audio", "leak", "f", "b", {})
    audit = Audit((note, leak, note), "", 1, 1)
    assert audit.findings == (leak, note) and audit.summary() == "leak: 1 leak, 1 note"


# Training, commands


def test_training_writes_a_complete_audit(runs: Path, manifest: Path) -> None:
    """Everything was at hand: normalisation, vocabulary, choice of epoch; nothing but what the corpus has is found."""
    for folder in runs.iterdir():
        audit = load(folder)
        assert audit is not None and kinds(audit) == FOUND_IN_TREE, folder
        again = audit_run(folder, read_manifest(manifest), features=manifest.parent / "cache/features")
        assert again == audit
    found = run_summary.findings_of(list(runs.iterdir()))
    assert found is not None and len(found) == 3
    assert run_summary.findings_of([runs]) is None


def test_merged_findings_name_the_systems_that_they_are_of() -> None:
    split, own = make_finding("same-transcript", None, "twice"), make_finding("padding-read", None, "zeros are read")
    other = make_finding("not-examined", None, "no model")
    audits = {
        "a": Audit((split, own), "", 1, 1),
        "b": Audit((split, own), "", 1, 1),
        "c": Audit((split, other), "", 1, 1),
    }
    named = merged(audits)
    assert [f.kind for f in named] == ["same-transcript", "padding-read", "not-examined"]
    assert [f.evidence.get("systems") for f in named] == [None, ["a", "b"], ["c"]]
    alone = merged({"a": audits["a"]})  # one run: what is of a run still says so
    assert [f.evidence.get("systems") for f in alone] == [None, ["a"]]


def test_training_on_a_leak_is_refused_until_it_is_declared(manifest: Path, tmp_path: Path) -> None:
    utterances = read_manifest(manifest)
    known = next(u.speaker for u in utterances if u.session == "1")
    leaky = [replace(u, speaker=known) if u.session == "5" else u for u in utterances]
    e, shop = experiment.load("acoustic", **SMALL), Workspace(manifest.parent / "cache", EmbeddingConfig(epochs=1))
    with pytest.raises(ConfigurationError, match=r"'session5' leaks here: .* are of 1 speaker .*--declare-leak"):
        run_systems([e], leaky, "session5", [tmp_path / "run"], shop)
    assert not (tmp_path / "run").exists()
    (result,) = run_systems([e], leaky, "session5", [tmp_path / "run"], shop, declare_leak=True)
    audit = load(tmp_path / "run")
    assert result.kind == result_of(tmp_path / "run").kind == "leak"
    assert audit is not None and audit.verdict == "declared"
    assert audit_run(tmp_path / "run", leaky).verdict == "declared"

    write_manifest(tmp_path / "leaky.jsonl", leaky)
    arguments = ["train", "acoustic", "--manifest", str(tmp_path / "leaky.jsonl"), "-o", str(tmp_path / "by-command")]
    arguments += [f"--set={key}={value}" for key, value in SMALL.items()]
    refused = RUN.invoke(app, arguments)
    assert refused.exit_code == 1 and isinstance(refused.exception, ConfigurationError)
    done = RUN.invoke(app, [*arguments, "--declare-leak"])
    assert done.exit_code == 0 and "audit: declared: 1 leak" in done.stderr
    RUN.invoke(app, ["evaluate", str(tmp_path / "by-command"), "-o", str(tmp_path / "report.html")])
    assert "The audit failed." in (tmp_path / "report.html").read_text()


def test_vectors_that_are_brought_are_noted(manifest: Path, tmp_path: Path) -> None:
    vectors.save(vectors.Vectors(("the", "a"), np.eye(2, 4, dtype=np.float32)), tmp_path / "mine.vec")
    e, shop = (
        experiment.load("embedding-word2vec", **SMALL),
        Workspace(tmp_path, vectors={"word2vec": tmp_path / "mine.vec"}),
    )
    run_systems([e], read_manifest(manifest), "session5", [tmp_path / "run"], shop)
    for audit in (
        load(tmp_path / "run"),
        audit_run(tmp_path / "run"),
        audit_run(tmp_path / "run", read_manifest(manifest)),
    ):
        assert audit is not None
        (note,) = [f for f in audit.findings if f.kind == "unknown-vectors"]
        assert "mine.vec" in note.detail and audit.verdict == "clean"


def test_declaring_a_leak_that_is_none_changes_nothing(manifest: Path, tmp_path: Path) -> None:
    e, shop = experiment.load("acoustic", **SMALL), Workspace(manifest.parent / "cache")
    (result,) = run_systems([e], read_manifest(manifest), "session5", [tmp_path / "run"], shop, declare_leak=True)
    assert result.kind == "system"


def test_commands_end_to_end(runs: Path, manifest: Path, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["audit", str(manifest), "--protocol", "session5"])
    assert done.exit_code == 0, done.stderr
    assert "warning: scenario-overlap: session 5: 16 of 16 test" in done.stdout and "clean: 2 warnings" in done.stdout
    done = RUN.invoke(app, ["audit", str(manifest), "--protocol", "random", "--json"])
    record = json.loads(done.stdout)
    assert done.exit_code == 1 and record["verdict"] == "declared" and record["utterances"] == 80
    done = RUN.invoke(app, ["audit", str(runs / "acoustic"), "--manifest", str(manifest), "--json"])
    assert done.exit_code == 0 and {f["kind"] for f in json.loads(done.stdout)["findings"]} == FOUND_IN_TREE
    assert RUN.invoke(app, ["audit", str(runs / "acoustic")]).exit_code == 0

    utterances = read_manifest(manifest)
    copy = tmp_path / "copy.flac"
    audio.write(copy, audio.load(utterances[0].audio).samples, 16_000)
    planted = [
        replace(u, audio=copy, start=None, end=None) if i == len(utterances) - 1 else u
        for i, u in enumerate(utterances)
    ]
    write_manifest(tmp_path / "leaky.jsonl", planted)
    done = RUN.invoke(app, ["audit", str(tmp_path / "leaky.jsonl"), "--protocol", "session5"])
    pair = f"[{utterances[-1].id} = {utterances[0].id}]"
    assert done.exit_code == 1 and "leak: same-audio" in done.stdout and pair in done.stdout
    assert "same-audio" not in RUN.invoke(
        app, ["audit", str(tmp_path / "leaky.jsonl"), "--protocol", "session5", "--no-sound"]
    ).stdout  # fmt: skip


def test_the_report_shows_the_audit(runs: Path, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["evaluate", str(runs / "acoustic"), "-o", str(tmp_path / "report.html")])
    text = (tmp_path / "report.html").read_text()
    assert done.exit_code == 0 and "scenario-overlap" in text and "No audit was made" not in text


@pytest.mark.parametrize("arguments", ["manifest.jsonl", "--protocol loso .", "x.jsonl --protocol loso --manifest y"])
def test_wrong_usage(arguments: str) -> None:
    assert RUN.invoke(app, ["audit", *arguments.split()]).exit_code == 2
