"""Dimensions as a task: learned beside the classes, exported, predicted, and kept in results."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import planted
from duetto import inference, metrics, runs, training
from duetto.config import experiment
from duetto.data.utterance import Utterance, ratings_of
from duetto.errors import ConfigurationError
from duetto.evaluation import SystemResult
from duetto.experiments.fold_inputs import check_ratings
from duetto.features.registry import feature_spec
from duetto.training import FoldInputs, ridge
from duetto.training.emotion_task import concordance_loss

NAMES = ("arousal", "valence")
WIDTH = feature_spec("functionals").dim


def rated(utterance: Utterance, number: int) -> Utterance:
    """Arousal 2 or 4 with the voice, valence 2 or 5 with the words; a fifth of each is missing."""
    ratings = {
        "arousal": 4.0 if utterance.label in planted.AROUSED else 2.0,
        "valence": 5.0 if utterance.label in planted.PLEASANT else 2.0,
    }
    return replace(utterance, dimensions={n: r for at, (n, r) in enumerate(ratings.items()) if (number + at) % 5})


def fold(n: int = 160) -> FoldInputs:
    """The planted fold, rated."""
    inputs = planted.fold(n)
    parts = {
        part: tuple(rated(u, int(u.id[1:])) for u in getattr(inputs.fold, part))
        for part in ("train", "development", "test")
    }
    return replace(inputs, fold=replace(inputs.fold, **parts))


def concordances(inputs: FoldInputs, predicted: np.ndarray) -> list[float]:
    target = ratings_of(inputs.fold.test, NAMES)
    return [metrics.concordance(x, y) for x, y in zip(target.T, predicted.T, strict=True)]


def test_the_loss_is_one_less_concordance() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 1, (2, 9, 3))
    x[2, 0] = np.nan
    x[1:, 2] = np.nan  # one rating says nothing of a spread, so this dimension is left out
    expected = np.mean([1 - metrics.concordance(x[:, d], y[:, d]) for d in range(2)])
    predicted = torch.tensor(y, requires_grad=True)
    loss = concordance_loss(predicted, torch.tensor(x))
    assert loss.item() == pytest.approx(expected, abs=1e-12)
    loss.backward()
    assert predicted.grad is not None and torch.isfinite(predicted.grad).all()
    assert predicted.grad[2, 0] == 0 and (predicted.grad[:, 2] == 0).all()
    assert concordance_loss(predicted, torch.full((9, 3), torch.nan, dtype=torch.float64)).item() == 0


@pytest.mark.parametrize(
    ("system", "changes", "known"),
    [
        ("acoustic", {}, (True, False)),
        ("fusion-random", {}, (True, True)),
        ("fusion-random", {"fusion": "cross-attention", "pooling": "attention"}, (True, True)),
        ("fusion-random", {"fusion": "confidence"}, (True, True)),
    ],
)
def test_a_network_learns_both_tasks(
    tmp_path: Path, system: str, changes: dict[str, str], known: tuple[bool, bool]
) -> None:
    e = experiment.load(system, dimensions=NAMES, epochs=12, hidden=8, dense=16, learning_rate=0.01, **changes)
    inputs = fold()
    found = training.train(e, inputs, tmp_path, seed=0)
    assert found.test_ratings is not None and found.test_ratings.shape == (len(inputs.fold.test), 2)
    for value, learned in zip(concordances(inputs, found.test_ratings), known, strict=True):
        assert value > 0.7 if learned else value < 0.5
    assert all("development_ccc" in epoch for epoch in found.history.epochs)
    session = inference.Session(tmp_path)  # the exported graph has both, and was verified
    prepared = training.prepare(inputs.fold.test, session.preprocessor, inputs.frames)
    outputs = session.outputs_of(prepared.frames, prepared.words)
    np.testing.assert_allclose(outputs, np.hstack([found.test_logits, found.test_ratings]), atol=1e-4)
    np.testing.assert_array_equal(session.logits_of(prepared.frames, prepared.words), outputs[:, :4])


def test_the_classes_of_an_untrained_model_do_not_depend_on_dimensions() -> None:
    inputs = fold()
    plain, both = (experiment.load("acoustic", dimensions=names) for names in ((), NAMES))
    models = [training.build(training.fit_preprocessor(e, inputs), inputs, seed=0) for e in (plain, both)]
    weights = models[1].state_dict()
    for name, tensor in models[0].state_dict().items():
        assert torch.equal(tensor, weights[name])


def vectors() -> FoldInputs:
    """A fold of one vector a recording, in which one direction holds arousal."""
    inputs, rng = fold(), np.random.default_rng(0)
    direction = 0.15 * rng.normal(size=WIDTH)
    every = (*inputs.fold.train, *inputs.fold.development, *inputs.fold.test)
    frames = {
        u.id: (rng.normal(size=(1, WIDTH)) + direction * (1 if u.label in planted.AROUSED else -1)).astype(np.float32)
        for u in every
    }
    return replace(inputs, frames=frames)


@pytest.mark.parametrize("classifier", ["discriminant", "logistic", "svm"])
def test_a_classifier_has_a_ridge_regression_beside_it(tmp_path: Path, classifier: str) -> None:
    e = experiment.load("functionals", dimensions=NAMES, classifier=classifier, augmentation="none")
    inputs = vectors()
    found = training.train(e, inputs, tmp_path, seed=0)
    assert found.test_ratings is not None
    arousal, valence = concordances(inputs, found.test_ratings)
    assert arousal > 0.8 and abs(valence) < 0.5
    session = inference.Session(tmp_path)
    prepared = training.prepare(inputs.fold.test, session.preprocessor, inputs.frames)
    outputs = session.outputs_of(prepared.frames, prepared.words)
    np.testing.assert_allclose(outputs[:, 4:], found.test_ratings, atol=1e-4)
    # The spread is that of the training ratings, on development data.
    held_out = training.prepare(inputs.fold.development, session.preprocessor, inputs.frames)
    spread = session.outputs_of(held_out.frames, held_out.words)[:, 4:].std(0)
    np.testing.assert_allclose(spread, np.nanstd(ratings_of(inputs.fold.train, NAMES), axis=0), rtol=1e-3)


def test_the_ridge_is_that_of_scikit_learn() -> None:
    """(1 − λ)·S + λ·t·I is ridge with α = n·λ·t / (1 − λ), t the mean variance, its weights divided by 1 − λ."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 7)) * np.arange(1, 8)
    y = x @ rng.normal(size=7) + rng.normal(size=60)
    shrinkage, mean_variance = 0.3, x.var(0).mean()
    oracle = Ridge(alpha=60 * shrinkage * mean_variance / (1 - shrinkage), solver="svd", tol=1e-12).fit(x, y)
    np.testing.assert_allclose(ridge.fit_ridge(x, y, shrinkage), oracle.coef_ / (1 - shrinkage), rtol=1e-8)


def test_development_data_choose_the_shrinkage() -> None:
    rng = np.random.default_rng(0)
    x, z, w = rng.normal(size=(40, 60)), rng.normal(size=(300, 60)), rng.normal(size=60)
    noisy, clean = x @ w + 8 * rng.normal(size=40), z @ w
    weight, bias = ridge.choose(x, noisy, z, clean)
    scores = []
    for shrinkage in ridge.SHRINKAGES:
        one = ridge.fit_ridge(x, noisy, shrinkage)
        one = one * noisy.std() / (z @ one).std()
        scores.append(metrics.concordance(clean, noisy.mean() + (z - x.mean(0)) @ one))
    assert metrics.concordance(clean, z @ weight + bias) == pytest.approx(max(scores))
    assert scores[0] > scores[-1] + 0.05  # the choice matters here
    unrated, _ = ridge.choose(x, noisy, z, np.full(300, np.nan))
    first = ridge.fit_ridge(x, noisy, ridge.SHRINKAGES[0])
    np.testing.assert_allclose(unrated / np.linalg.norm(unrated), first / np.linalg.norm(first))


def test_ratings_that_are_not_there_are_named() -> None:
    e = experiment.load("acoustic", dimensions=("arousal", "dominance"))
    with pytest.raises(ConfigurationError, match=r"learns dominance, .* they have: arousal \(\d+\), valence \(\d+\)\."):
        check_ratings(e, [fold().fold])
    for names, message in (
        (("arousal", "arousal"), "names one twice"),
        (("Arousal",), "names are such as arousal, valence, dominance"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            experiment.load("acoustic", dimensions=names)


def test_results_keep_ratings(tmp_path: Path) -> None:
    inputs = fold()
    test = inputs.fold.test
    predicted = np.random.default_rng(0).normal(3, 1, (2, len(test), 2))
    outcome = tmp_path / "run/fold0-seed0/outcome.npz"
    logits = np.zeros((len(test), 4))
    for seed in (0, 1):
        path = tmp_path / f"run/fold0-seed{seed}/outcome.npz"
        path.parent.mkdir(parents=True)
        runs.save_outcome(path, logits, 1.0, ratings=predicted[seed])
    classes = ("angry", "happy", "neutral", "sad")
    result = runs.collect("a", "A", classes, [inputs.fold], (0, 1), tmp_path / "run", dimensions=NAMES)
    again = SystemResult.load(tmp_path / "run/result.npz")
    for each in (result, again):
        assert each.dimensions == NAMES
        np.testing.assert_array_equal(each.predicted_ratings, predicted)
        np.testing.assert_array_equal(each.ratings, ratings_of(test, NAMES))
    half = again.subset(np.arange(len(test)) % 2 == 0)
    np.testing.assert_array_equal(half.predicted_ratings, predicted[:, ::2])
    with pytest.raises(ConfigurationError, match=r"predicted_ratings \(2, \d+, 1\)"):
        replace(again, predicted_ratings=predicted[:, :, :1])
    runs.save_outcome(outcome, logits, 1.0)
    with pytest.raises(Exception, match="no ratings of shape"):
        runs.collect("a", "A", classes, [inputs.fold], (0, 1), tmp_path / "run", dimensions=NAMES)
