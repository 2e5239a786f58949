"""Runs on real (synthetic) audio: folders, resuming, side-by-side training, other words, refusals."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import duetto
from conftest import SMALL
from duetto import audit, metrics
from duetto import runs as run_folder
from duetto.asr.annotate import find_words
from duetto.config import experiment
from duetto.data.manifest import read_manifest
from duetto.data.utterance import Utterance, Word
from duetto.embeddings.vectors import Vectors, save
from duetto.errors import ConfigurationError, CorpusError, ModelError
from duetto.experiments import workspace as system
from duetto.experiments.rescore import rescore
from duetto.experiments.runner import run_systems
from duetto.experiments.split import audited_split
from duetto.experiments.workspace import Workspace
from duetto.splits import Fold
from duetto.training.word_embeddings import EmbeddingConfig


def workspace(manifest: Path) -> Workspace:
    return Workspace(manifest.parent / "cache", EmbeddingConfig(epochs=1))


def test_a_run_folder_describes_the_run_completely(runs: Path, manifest: Path) -> None:
    described = run_folder.read(runs / "acoustic")
    (fold,) = described["folds"]
    utterances = read_manifest(manifest)
    assert sorted(fold["train"] + fold["development"] + fold["test"]) == sorted(u.id for u in utterances)
    assert set(fold["disjoint_in"]) >= {"speaker", "session"}
    assert described["environment"]["torch"] and described["seeds"] == [0]
    result = run_folder.result_of(runs / "acoustic")
    assert list(result.ids) == fold["test"] and set(result.session) == {"5"}
    assert {path.name for path in (runs / "fusion-spoken/fold0-seed0").iterdir()} >= {
        "model.onnx", "model.json", "spoken.onnx", "spoken.json", "language.json", "outcome.npz", "tensorboard",
    }  # fmt: skip


def test_a_finished_run_is_not_trained_again_and_another_is_refused(
    runs: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utterances, e = read_manifest(manifest), experiment.load("acoustic", **SMALL)
    before = run_folder.result_of(runs / "acoustic")
    monkeypatch.setattr("duetto.training.train", lambda *_, **__: pytest.fail("trained again"))
    (again,) = run_systems([e], utterances, "session5", [runs / "acoustic"], workspace(manifest))
    np.testing.assert_array_equal(again.logits, before.logits)
    corrected = [replace(u, text="other words") for u in utterances]
    for change, key in (
        (replace(e, hidden=9), "experiment"),
        (e, "protocol"),
        (e, "folds"),
        (e, "label, speaker, words or cut of utterance"),
    ):
        chosen = {"folds": utterances[2:]}.get(key, corrected if key.startswith("label") else utterances)
        protocol = "loso" if key == "protocol" else "session5"
        with pytest.raises(ModelError, match=f"differs in {key}"):
            run_systems([change], chosen, protocol, [runs / "acoustic"], workspace(manifest))


def test_folds_seeds_and_processes_give_the_same_result(manifest: Path, tmp_path: Path) -> None:
    """Two processes side by side equal one after another: every training is a function of its seed alone."""
    e = experiment.load("acoustic", **SMALL)
    results = [
        run_systems([e], read_manifest(manifest), "loso", [tmp_path / str(workers)], workspace(manifest), seeds=(3, 4),
                    workers=workers)[0]
        for workers in (1, 2)
    ]  # fmt: skip
    assert results[0].logits.shape == (2, 80, 4) and results[0].temperature.shape == (2, 5)
    np.testing.assert_array_equal(results[0].logits, results[1].logits)
    assert not np.array_equal(results[0].logits[0], results[0].logits[1])


def test_the_order_of_the_manifest_does_not_matter(runs: Path, manifest: Path, tmp_path: Path) -> None:
    """Not one bit: frames, vocabulary, vectors trained on transcripts and on sound, weights, answers."""
    utterances = read_manifest(manifest)
    shuffled = [utterances[i] for i in np.random.default_rng(0).permutation(len(utterances))]
    names = ("acoustic", "fusion-speech2vec", "embedding-random")
    shop = Workspace(tmp_path / "cache", EmbeddingConfig(epochs=1))
    systems = [experiment.load(name, **SMALL) for name in names]
    results = run_systems(systems, shuffled, "session5", [tmp_path / name for name in names], shop)
    for name, result in zip(names, results, strict=True):
        one, other = (folder / name / "fold0-seed0/model.onnx" for folder in (runs, tmp_path))
        assert one.read_bytes() == other.read_bytes()
        np.testing.assert_array_equal(result.logits, run_folder.result_of(runs / name).logits)


def test_the_papers_figures_stand_beside_the_papers_corpus_alone(tmp_path: Path) -> None:
    def folds(identifier: str, audio: Path) -> list[Fold]:
        return [Fold("x", (), (), (Utterance(id=identifier, audio=audio, label="sad"),))]

    real = "Ses05F_impro01_F000"
    assert run_folder.comparable("session5", folds(real, tmp_path / "x.wav"))
    assert not run_folder.comparable("speaker", folds(real, tmp_path / "x.wav"))
    assert not run_folder.comparable("session5", folds("03a01Wa", tmp_path / "x.wav"))
    (tmp_path / "SYNTHETIC.json").write_text("{}")
    assert not run_folder.comparable("session5", folds(real, tmp_path / "Session5/x.wav"))


def test_rescoring_with_the_same_words_changes_nothing(runs: Path, manifest: Path) -> None:
    utterances = read_manifest(manifest)
    for name in ("fusion-speech2vec", "fusion-spoken"):
        before = run_folder.result_of(runs / name)
        after = rescore(runs / name, utterances, workspace(manifest), "gold")
        # float32 in PyTorch and in ONNX Runtime
        np.testing.assert_allclose(after.logits, before.logits, atol=1e-4)
        np.testing.assert_array_equal(after.temperature, before.temperature)


def test_rescoring_repeats_the_order_of_shuffled_words(manifest: Path, tmp_path: Path) -> None:
    utterances, folder = read_manifest(manifest), tmp_path / "run"
    e = experiment.load("embedding-shuffled", **SMALL, embeddings="random")
    before = run_systems([e], utterances, "session5", [folder], workspace(manifest), seeds=(3,))[0]
    after = rescore(folder, utterances, workspace(manifest), "gold")
    np.testing.assert_allclose(after.logits, before.logits, atol=1e-4)
    tested = next(u for u in utterances if u.id == before.ids[0])
    assert any("in random order" in w for w in duetto.load(folder)(tested.audio, words=tested.words).warnings)


def test_a_run_that_leaks_leaks_with_other_words_too(manifest: Path, tmp_path: Path) -> None:
    utterances = read_manifest(manifest)
    system = experiment.load("embedding-random", **SMALL)
    (result,) = run_systems([system], utterances, "random", [tmp_path / "run"], workspace(manifest))
    assert result.kind == rescore(tmp_path / "run", utterances, workspace(manifest), "other").kind == "leak"


def test_rescoring_with_segments_and_without_any_word(runs: Path, manifest: Path) -> None:
    utterances = read_manifest(manifest)
    gold = run_folder.result_of(runs / "fusion-spoken")
    found, report = find_words(utterances, by="segment")
    assert report.words > 80 and all(w.word == "" for u in found for w in u.words or ())
    for words in (found, [replace(u, words=()) for u in utterances]):
        other = rescore(runs / "fusion-spoken", words, workspace(manifest), "other")
        assert other.logits.shape == gold.logits.shape and not np.allclose(other.logits, gold.logits)


def test_rescoring_refuses_invalid_arguments(runs: Path, manifest: Path) -> None:
    utterances = read_manifest(manifest)
    with pytest.raises(ConfigurationError, match="reads no words"):
        rescore(runs / "acoustic", utterances, workspace(manifest), "x")
    with pytest.raises(ConfigurationError, match="are not in the manifest: 'Ses05"):
        rescore(runs / "fusion-spoken", utterances[:3], workspace(manifest), "x")


def test_vectors_that_are_brought_start_the_table(manifest: Path, tmp_path: Path) -> None:
    save(Vectors(("the", "zebra"), np.eye(2, 4, dtype=np.float32)), tmp_path / "mine.vec")
    e = experiment.load("embedding-speech2vec", **SMALL)
    said: list[str] = []
    shop = replace(workspace(manifest), vectors={"speech2vec": tmp_path / "mine.vec"}, notify=said.append)
    run_systems([e], read_manifest(manifest), "session5", [tmp_path / "run"], shop)
    assert "vectors of mine.vec:" in said[0] and "the others: random" in said[0]
    described = json.loads((tmp_path / "run/fold0-seed0/model.json").read_text())
    assert "zebra" in described["vocabulary"]


@pytest.mark.parametrize("header", ["", "3 4\n"], ids=["GloVe", "fastText"])
def test_published_vectors_of_either_format_start_the_table_and_predict(
    header: str, manifest: Path, tmp_path: Path
) -> None:
    """By the command line: the vectors decide the dimension, and a word that only they have is known."""
    from typer.testing import CliRunner

    from duetto.cli import app

    (tmp_path / "words.txt").write_text(f"{header}the 1 0 0 0\nzebra 0 1 0 0\nnight 0 0 1 0\n")
    run = tmp_path / "run"
    arguments = ["train", "embedding-word2vec", "--manifest", str(manifest), "-o", str(run)]
    changes = [part for key in ("hidden=8", "dense=8", "epochs=1") for part in ("--set", key)]
    done = CliRunner().invoke(app, [*arguments, *changes, "--vectors", str(tmp_path / "words.txt")])
    assert done.exit_code == 0, (done.output, done.exception)
    utterance = read_manifest(manifest)[0]
    prediction = duetto.load(run)(utterance.audio, words=[Word("zebra"), Word("zork")])
    assert any("1 of 2 words are not in the system's vocabulary: zork" in warning for warning in prediction.warnings)


def test_a_system_that_needs_a_vector_file_raises_without_one(manifest: Path, tmp_path: Path) -> None:
    e = experiment.load("embedding-random", embeddings="file")
    with pytest.raises(ConfigurationError, match="--vectors FILE"):
        run_systems([e], read_manifest(manifest), "session5", [tmp_path / "run"], workspace(manifest))


def test_unreadable_audio_is_an_error_not_a_smaller_corpus(manifest: Path, tmp_path: Path) -> None:
    gone = Utterance("gone", tmp_path / "gone.wav", label="sad", speaker="x", session="1")
    with pytest.raises(CorpusError, match="1 of 81 utterances have no readable audio, such as 'gone'"):
        run_systems([experiment.load("acoustic")], [*read_manifest(manifest), gone], "session5", [tmp_path / "run"],
                    Workspace(tmp_path))  # fmt: skip


def test_an_unfinished_or_foreign_folder_gives_a_clear_error(tmp_path: Path, runs: Path) -> None:
    with pytest.raises(ModelError, match="it is no run folder"):
        run_folder.read(tmp_path)
    (tmp_path / "run.json").write_text((runs / "acoustic/run.json").read_text())
    with pytest.raises(ModelError, match="unfinished, 0 of 1 trainings done"):
        run_folder.result_of(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        run_folder.read(tmp_path)
    for key in ("protocol", "seeds", "folds", "synthetic", "environment"):
        described = json.loads((runs / "acoustic/run.json").read_text())
        del described[key]
        (tmp_path / "run.json").write_text(json.dumps(described))
        with pytest.raises(ModelError, match=f"{key}.* is missing; .*of another version.*train into a new folder"):
            run_folder.read(tmp_path)


def test_words_without_times_have_no_sound_but_an_answer(runs: Path, manifest: Path) -> None:
    untimed = [replace(u, words=tuple(Word(w.word) for w in u.words or ())) for u in read_manifest(manifest)]
    result = rescore(runs / "fusion-spoken", untimed, workspace(manifest), "untimed")
    assert np.isfinite(result.logits).all()


def test_steps_are_announced(manifest: Path, tmp_path: Path) -> None:
    said: list[str] = []
    shop = replace(workspace(manifest), progress=lambda text: said.append(text))
    run_systems([experiment.load("acoustic", **SMALL)], read_manifest(manifest), "session5", [tmp_path / "r"], shop)
    assert said == ["audit the split", "read the recordings", "short-term features", "train acoustic"]
    assert system.silent("anything") is None


def test_a_split_that_the_caller_audited_is_not_audited_again(manifest: Path, tmp_path: Path) -> None:
    said: list[str] = []
    shop = replace(workspace(manifest), progress=lambda text: said.append(text))
    utterances = read_manifest(manifest)
    split = audited_split(utterances, "session5")
    for name, split_of_caller in (("one", split), ("two", None)):
        e = experiment.load("acoustic", **SMALL)
        run_systems([e], utterances, "session5", [tmp_path / name], shop, split=split_of_caller)
        assert said.count("audit the split") == (name == "two")
    assert (tmp_path / "one/audit.json").read_bytes() == (tmp_path / "two/audit.json").read_bytes()


def test_an_epoch_chosen_on_test_data_is_a_leak_and_nothing_else_changes(manifest: Path, tmp_path: Path) -> None:
    """The epoch kept is the one whose UA on test data is highest; training itself is the same."""
    honest, leaking = (
        experiment.load("acoustic", **SMALL | {"epochs": 4, "epoch_choice": choice})
        for choice in ("development", "best-on-test")
    )
    folders = [tmp_path / "honest", tmp_path / "leaking"]
    result, leak = run_systems([honest, leaking], read_manifest(manifest), "session5", folders, workspace(manifest))
    assert (result.kind, leak.kind) == ("system", "leak")
    histories = []
    for folder in folders:
        with np.load(folder / "fold0-seed0/outcome.npz") as outcome:
            histories.append(json.loads(str(outcome["history"])))
    scores = [epoch["score"] for epoch in histories[1]["epochs"]]
    reached = metrics.unweighted_accuracy(leak.target, leak.predicted[0], 4)
    assert histories[1]["chosen"] == int(np.argmax(scores)) and max(scores) == pytest.approx(reached)
    losses = [[epoch["loss"] for epoch in history["epochs"]] for history in histories]
    assert losses[0] == losses[1]
    checked = audit.load(folders[1])
    assert checked is not None and [finding.kind for finding in checked.leaks] == ["chosen-on-test"]
