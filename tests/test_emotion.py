"""A system on one fold: it reaches the planted ceiling and no more, and nothing of the test data leaks in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import planted
from duetto import inference, training
from duetto.config import experiment
from duetto.data.labels import LABEL_SETS
from duetto.embeddings.vectors import Vectors, save
from duetto.errors import ConfigurationError
from duetto.training import FoldInputs

SMALL = {"hidden": 32, "dense": 32, "epochs": 12, "learning_rate": 3e-3}


@pytest.mark.parametrize(("system", "ceiling"), [("acoustic", 0.5), ("embedding-random", 0.5), ("fusion-random", 1.0)])
def test_reaches_the_planted_ceiling(tmp_path: Path, system: str, ceiling: float) -> None:
    """Frames tell arousal, words tell valence: 0.5 alone, 1 together. One modality alone cannot exceed 0.5
    but by chance: 64 test utterances, a coin for each, standard deviation 0.0625."""
    inputs = planted.fold(320)
    outcome = training.train(experiment.load(system, **SMALL), inputs, tmp_path, seed=1)
    target = [LABEL_SETS["four"].index(str(u.label)) for u in inputs.fold.test]
    accuracy = float((outcome.test_logits.argmax(-1) == target).mean())
    assert accuracy > 0.95 if system == "fusion-random" else 0.3 < accuracy < 0.69


@pytest.mark.parametrize("padding", ["packed", "pre", "post"])
@pytest.mark.parametrize("system", ["acoustic", "embedding-random", "fusion-random"])
def test_exported_graph_equals_the_model(tmp_path: Path, system: str, padding: str) -> None:
    inputs = planted.fold()
    changes = {**SMALL, "epochs": 1, "padding": padding, "max_frames": 30, "max_words": 8}
    outcome = training.train(experiment.load(system, **changes), inputs, tmp_path, seed=0)
    session = inference.Session(tmp_path)
    prepared = training.prepare(inputs.fold.test, session.preprocessor, inputs.frames)
    exported = session.logits(*session.preprocessor.collate(prepared.frames, prepared.words))
    # float32 in two libraries that sum in different orders, over at most 30 steps
    np.testing.assert_allclose(exported, outcome.test_logits, atol=1e-5)
    assert session.temperature == outcome.temperature


def test_test_data_change_nothing_that_is_fitted(tmp_path: Path) -> None:
    inputs = planted.fold()
    assert inputs.frames is not None
    altered = {u.id: inputs.frames[u.id] * 50 for u in inputs.fold.test}
    relabelled = tuple(replace(u, text="zebra", label="sad") for u in inputs.fold.test)
    e = experiment.load("fusion-random", **{**SMALL, "epochs": 2})
    first = training.train(e, inputs, tmp_path / "a", seed=0)
    other = FoldInputs(replace(inputs.fold, test=relabelled), frames={**inputs.frames, **altered})
    second = training.train(e, other, tmp_path / "b", seed=0)
    assert first.history == second.history and first.temperature == second.temperature
    assert (tmp_path / "a/model.onnx").read_bytes() == (tmp_path / "b/model.onnx").read_bytes()


def test_vocabulary_is_of_training_and_of_the_vectors(tmp_path: Path) -> None:
    inputs = planted.fold()
    save(Vectors(("zebra", "good"), np.eye(2, dtype=np.float32)), tmp_path / "known.vec")
    inputs = replace(inputs, vectors=tmp_path / "known.vec")
    preprocessor = training.fit_preprocessor(experiment.load("fusion-random", word_dim=2), inputs)
    assert {"zebra", "good", "awful"} <= set(preprocessor.vocabulary.words)
    model = training.build(preprocessor, inputs, seed=0)
    assert model.words is not None and model.words.embedding is not None
    row = model.words.embedding.weight[int(preprocessor.ids(["zebra"])[0])]
    assert row.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("kind", ["per-sample", "shared"])
def test_the_model_has_the_recurrent_mask_of_the_experiment(kind: str) -> None:
    inputs = planted.fold()
    e = experiment.load("fusion-random", recurrent_mask=kind, hidden=8, dense=8)
    model = training.build(training.fit_preprocessor(e, inputs), inputs, seed=0)
    assert model.acoustic is not None and model.words is not None
    assert {model.acoustic.lstm.recurrent_mask, model.words.encoder.lstm.recurrent_mask} == {kind}


def test_class_weights_are_inverse_frequencies() -> None:
    inputs = planted.fold()
    fewer = tuple(u for i, u in enumerate(inputs.fold.train) if u.label != "sad" or i % 2)
    inputs = replace(inputs, fold=replace(inputs.fold, train=fewer))
    e = experiment.load("acoustic", class_weights=True)
    preprocessor = training.fit_preprocessor(e, inputs)
    prepared = training.prepare(fewer, preprocessor, inputs.frames)
    task = training.EmotionTask(preprocessor, prepared, prepared, 0)
    counts = np.bincount(prepared.target)
    assert task.class_weights is not None
    np.testing.assert_allclose(task.class_weights.numpy() * counts, len(prepared.target) / 4, rtol=1e-6)


def test_speaker_normalisation_takes_each_speakers_own_frames() -> None:
    inputs = planted.fold()
    preprocessor = training.fit_preprocessor(experiment.load("acoustic", normalisation="speaker"), inputs)
    prepared = training.prepare(inputs.fold.test, preprocessor, inputs.frames)
    assert prepared.frames is not None
    for speaker in {u.speaker for u in inputs.fold.test}:
        own = np.concatenate(
            [f for f, u in zip(prepared.frames, inputs.fold.test, strict=True) if u.speaker == speaker]
        )
        np.testing.assert_allclose(own.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(own.std(0), 1, atol=1e-3)


def test_missing_features_name_the_utterance() -> None:
    with pytest.raises(ConfigurationError, match="has no features; extract them first"):
        training.fit_preprocessor(experiment.load("acoustic"), replace(planted.fold(), frames={}))


def test_the_answer_does_not_depend_on_the_threads_of_the_process(tmp_path: Path) -> None:
    """A process may come with any number of threads, by its environment or by what it trained before."""
    inputs = planted.fold(64)
    e, before, answers = experiment.load("fusion-random", epochs=1), torch.get_num_threads(), []
    try:
        for threads in (2, 1):
            torch.set_num_threads(threads)
            answers.append(training.train(e, inputs, tmp_path / str(threads), seed=0).test_logits)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*answers)
