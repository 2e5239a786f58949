"""Classifiers that scikit-learn fits: held against scikit-learn itself, and followed to their predictions."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

import planted
import quick_training
from duetto import inference, runs, training
from duetto.config import experiment
from duetto.data.labels import LABEL_SETS
from duetto.errors import ConfigurationError
from duetto.features.registry import feature_spec
from duetto.models.heads import KernelHead, pair_votes
from duetto.training import FoldInputs, checkpoint, classifiers

WIDTH = feature_spec("functionals").dim


def vectors(n: int = 160, spread: float = 1.0) -> FoldInputs:
    """A planted fold whose frames are one vector a recording: four clouds in 632 dimensions."""
    inputs = planted.fold(n)
    rng = np.random.default_rng(0)
    centres = 0.25 * rng.normal(size=(4, WIDTH))
    every = (*inputs.fold.train, *inputs.fold.development, *inputs.fold.test)
    labels = LABEL_SETS["four"]
    frames = {
        u.id: (spread * rng.normal(size=(1, WIDTH)) + centres[labels.index(str(u.label))]).astype(np.float32)
        for u in every
    }
    return replace(inputs, frames=frames)


def stacked(inputs: FoldInputs, part: str) -> tuple[np.ndarray, np.ndarray]:
    utterances = getattr(inputs.fold, part)
    assert inputs.frames is not None
    x = np.concatenate([inputs.frames[u.id] for u in utterances]).astype(np.float64)
    return x, np.array([LABEL_SETS["four"].index(str(u.label)) for u in utterances])


def rows(x: np.ndarray, target: np.ndarray, classes: int = 4, *, balanced: bool = False) -> classifiers.Rows:
    counts = np.bincount(target, minlength=classes)
    weights = len(target) / (np.count_nonzero(counts) * np.maximum(counts, 1)) if balanced else np.ones(classes)
    return classifiers.Rows(x, target, weights)


@pytest.mark.parametrize("balanced", [False, True])
def test_the_machines_decide_as_those_of_scikit_learn(balanced: bool) -> None:
    """Each of one-against-one, in float64; the head computes in float32."""
    inputs = vectors()
    (x, target), (seen, _) = stacked(inputs, "train"), stacked(inputs, "test")
    keep = np.concatenate([np.flatnonzero(target == k)[: 20 - 4 * k] for k in range(4)])  # classes of unlike sizes
    x, target = x[keep], target[keep]
    cost, gamma = 3.0, 0.5 / WIDTH
    z, z_seen = x, seen
    x, seen = 3 * np.tanh(x / 3), 3 * np.tanh(seen / 3)
    assert np.abs(z - x).max() > 0.3
    state = classifiers.fit_svm(rows(x, target, balanced=balanced), cost, gamma)
    head = KernelHead(WIDTH, 4)
    head.resize(len(state["support"]))
    head.load_state_dict(state)
    weight = "balanced" if balanced else None
    oracle = SVC(C=cost, gamma=gamma, class_weight=weight, decision_function_shape="ovo", tol=1e-6).fit(x, target)
    decisions = oracle.decision_function(seen)
    expected = np.tanh(classifiers.STEEPNESS * decisions) @ pair_votes(4).numpy()
    found = head(torch.from_numpy(z_seen.astype(np.float32))).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)  # libsvm stops within its tolerance
    assert (expected.argmax(1) == found.argmax(1)).mean() > 0.98 and np.ptp(expected) > 1


def test_distances_do_not_cancel() -> None:
    """Beside a support vector as far out as one can be, and far from all others: ‖x‖² is 5,688 times ‖x − s‖²."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(7, WIDTH))
    near = signs[:1] * 1000
    beside = near.copy()
    beside[0, 0] = 0
    gamma = 1.0 / WIDTH
    coefficients = np.zeros((7, 6))
    coefficients[0, 0] = 0.25  # doubled by the steepness of a vote
    state = classifiers.kernel_state(3 * np.tanh(signs * 1000 / 3), coefficients, np.zeros(6), gamma, 4)
    head = KernelHead(WIDTH, 4)
    head.resize(1)
    head.load_state_dict(state)
    for x, squared in ((near, 0.0), (beside, 9.0)):
        logits = head(torch.from_numpy(x.astype(np.float32))).numpy()[0]
        # Terms of γ·‖x‖² = 9, of which float32 keeps 1e-6.
        assert logits[0] == pytest.approx(np.tanh(0.5 * np.exp(-gamma * squared)), abs=5e-6)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_logistic_regression_is_that_of_scikit_learn(classes: int) -> None:
    x, target = stacked(vectors(), "train")
    x, target = x[target < classes], target[target < classes]
    weight, bias = classifiers.fit_logistic(rows(x, target), 0.001)
    oracle = LogisticRegression(C=0.001, max_iter=5000, tol=1e-8).fit(x, target)
    logits = x @ weight.T + bias
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    np.testing.assert_allclose(shares[:, :classes], oracle.predict_proba(x), atol=1e-6)
    assert (shares[:, classes:] < 1e-10).all()  # classes without training data


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_discriminant_analysis_is_that_of_scikit_learn(classes: int, balanced: bool) -> None:
    x, target = stacked(vectors(), "train")
    keep = (target < classes) & (np.arange(len(target)) % 3 > 0) | (target == 0)  # classes of different sizes
    x, target = x[keep], target[keep]
    weight, bias = classifiers.fit_discriminant(rows(x, target, balanced=balanced), 0.7)
    priors = np.ones(classes) / classes if balanced else np.bincount(target) / len(target)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.7, priors=priors).fit(x, target)
    logits = (x @ weight.T + bias)[:, :classes]
    expected = x @ oracle.coef_.T + oracle.intercept_
    if classes == 2:  # scikit-learn keeps the difference
        logits, expected = logits[:, 1] - logits[:, 0], expected[:, 0]
    np.testing.assert_allclose(logits, expected, atol=1e-9 * np.abs(expected).max())
    assert bias[classes:].max(initial=-np.inf) < -20


def test_discriminant_analysis_discounts_what_varies_within_a_class() -> None:
    """Two values separate the classes equally well; the second is disturbed by recording, up to 5 deviations."""
    rng = np.random.default_rng(0)
    target = np.arange(400) % 2
    x = (2.0 * target - 1)[:, None] + rng.normal(size=(400, 2))
    x[:, 1] += np.repeat(rng.normal(size=20) * 5, 20)
    weight, _ = classifiers.fit_discriminant(rows(x, target), 0.1)
    ratio = (weight[1] - weight[0])[1] / (weight[1] - weight[0])[0]
    assert 0 < ratio < 0.2


def test_a_class_without_data_is_never_chosen() -> None:
    x, target = stacked(vectors(), "train")
    known = (target == 0) | (target == 2)
    head = KernelHead(WIDTH, 4)
    state = classifiers.fit_svm(rows(x[known], target[known]), 3.0, 0.5 / WIDTH)
    head.resize(len(state["support"]))
    head.load_state_dict(state)
    logits = head(torch.from_numpy(x.astype(np.float32))).numpy()
    assert set(logits.argmax(1)) == {0, 2}
    np.testing.assert_array_equal(logits[known].argmax(1), target[known])
    with pytest.raises(ConfigurationError, match="have one class; a classifier needs two or more"):
        inputs = training.Inputs([x[:1].astype(np.float32)], None, np.zeros(1, np.int64))
        classifiers.rows_of(experiment.load("functionals"), [inputs], 4)


@pytest.mark.parametrize("classifier", ["svm", "logistic", "discriminant"])
def test_training_chooses_on_development_data_and_keeps_what_it_chose(classifier: str, tmp_path: Path) -> None:
    inputs = vectors()
    system = experiment.load("functionals", classifier=classifier)
    outputs = training.train(system, inputs, tmp_path, seed=0)
    scores = [epoch["score"] for epoch in outputs.history.epochs]
    assert len(scores) == {"svm": 9, "logistic": 5, "discriminant": 1}[classifier]
    assert outputs.history.chosen == int(np.argmax(scores))
    assert len(set(scores)) > 1 or classifier == "discriminant"
    _, target = stacked(inputs, "test")
    assert (outputs.test_logits.argmax(1) == target).mean() > 0.9  # by chance 0.25
    session = inference.Session(tmp_path)
    again = training.exported_logits(session, inputs.fold.test, inputs, seed=0)
    np.testing.assert_allclose(again, outputs.test_logits, rtol=0, atol=1e-6 * max(10, np.abs(again).max()))
    model = training.restore(session.preprocessor, checkpoint.load(tmp_path / "model.safetensors")[0])
    prepared = training.prepare(inputs.fold.test, session.preprocessor, inputs.frames)
    np.testing.assert_array_equal(training.logits(model, session.preprocessor, prepared), outputs.test_logits)
    # Nothing is drawn.
    other = training.train(system, inputs, tmp_path / "again", seed=1)
    np.testing.assert_array_equal(other.test_logits, outputs.test_logits)


def test_test_data_change_nothing(tmp_path: Path) -> None:
    inputs = vectors()
    assert inputs.frames is not None
    changed = dict(inputs.frames)
    for utterance in inputs.fold.test:
        changed[utterance.id] = changed[utterance.id] * 100 + 7
    first = training.train(experiment.load("functionals"), inputs, tmp_path / "a", seed=0)
    second = training.train(experiment.load("functionals"), replace(inputs, frames=changed), tmp_path / "b", seed=0)
    np.testing.assert_array_equal(first.development_logits, second.development_logits)
    assert first.temperature == second.temperature


def test_augmented_copies_are_further_rows(tmp_path: Path) -> None:
    inputs = vectors()
    assert inputs.frames is not None
    rng = np.random.default_rng(1)
    noisy = {key: value + 0.1 * rng.normal(size=value.shape).astype(np.float32) for key, value in inputs.frames.items()}
    system = experiment.load("functionals", classifier="logistic", augmentation="recording", augmented_copies=1)
    outputs = training.train(system, replace(inputs, augmented=(noisy,)), tmp_path, seed=0)
    (x, target), (more, _) = stacked(inputs, "train"), stacked(replace(inputs, frames=noisy), "train")
    mean, deviation = x.mean(0), x.std(0)
    x, more = (x - mean) / deviation, (more - mean) / deviation
    both = np.concatenate((x, more))
    cost = outputs.history.epochs[outputs.history.chosen]["cost"]
    oracle = LogisticRegression(C=cost, class_weight="balanced", max_iter=5000, tol=1e-8)
    oracle.fit(both, np.concatenate((target, target)))
    expected = oracle.decision_function((stacked(inputs, "test")[0] - mean) / deviation)
    np.testing.assert_allclose(outputs.test_logits, expected, atol=1e-4)  # float32 statistics and weights


@pytest.mark.parametrize(
    ("system", "changes", "message"),
    [
        ("functionals", {"acoustic_encoder": "bilstm"}, 'set acoustic_encoder = "vector", and features to match'),
        ("functionals", {"features": "corrected"}, "'vector' reads one frame, and features = 'corrected' have many"),
        ("functionals", {"normalisation": "utterance"}, "have one frame for a recording"),
        ("functionals", {"epoch_choice": "last"}, "has no epochs, and chooses its settings on development data"),
        ("functionals", {"epoch_choice": "best-on-test"}, "has no epochs"),
        ("functionals", {"teacher": "acoustic"}, 'set classifier = "network"'),
        (
            "functionals",
            {"encoders": ("acoustic", "words"), "word_encoder": "tfidf"},
            "set one encoder, or combine two",
        ),
        ("lexical", {"word_encoder": "bilstm"}, 'set word_encoder = "tfidf"'),
        ("lexical", {"word_order": "shuffled"}, "which counts words; leave it out"),
        ("lexical", {"embeddings": "word2vec"}, "embeddings = 'word2vec' has no use for word_encoder = 'tfidf'"),
        ("acoustic", {"classifier": "forest"}, "choose from network, svm, logistic, discriminant"),
    ],
)
def test_the_error_of_incompatible_settings_names_the_change(system: str, changes: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        experiment.load(system, **changes)


def test_a_fold_without_development_data_is_refused(tmp_path: Path) -> None:
    inputs = vectors()
    alone = replace(inputs, fold=replace(inputs.fold, development=()))
    with pytest.raises(ConfigurationError, match="is chosen on development data, and there are none"):
        training.train(experiment.load("functionals"), alone, tmp_path, seed=0)


@pytest.mark.parametrize("system", ["functionals", "functionals-mlp"])
def test_from_recordings_to_predictions(system: str, tmp_path: Path) -> None:
    """By the command line; what is predicted is what was scored, and the audit has nothing to say."""
    from duetto import audit

    run = quick_training.train(system, tmp_path)
    quick_training.check_predictions(run)
    found = audit.load(run)
    assert found is not None and found.verdict == "clean", found
    assert "unknown-epoch" not in {finding.kind for finding in found.findings}
    assert len(runs.result_of(run).ids) == 16  # two of six speakers are test data


def test_a_candidate_without_an_error_comes_first() -> None:
    """Its temperature stays 1, so its loss alone could exceed that of a calibrated one that errs."""
    target = np.arange(40) % 4
    development = training.Inputs([np.eye(4, dtype=np.float32)[[k]] for k in target], None, target)
    mistaken = np.eye(4, dtype=np.float32)
    mistaken[0] = mistaken[1]
    found = {}
    for name, weight in (("weak", 0.1 * np.eye(4)), ("strong", np.eye(4)), ("wrong", 10 * mistaken)):
        head = torch.nn.Linear(4, 4, bias=False)
        head.weight.data = torch.from_numpy(weight.T.astype(np.float32))
        model, preprocessor = SimpleNamespace(head=head), SimpleNamespace(classes=tuple("abcd"))
        found[name] = classifiers.scores(model, development, preprocessor)  # type: ignore[arg-type]
    assert found["strong"]["score"] > found["weak"]["score"] > found["wrong"]["score"]
    assert found["weak"]["development_loss"] > found["wrong"]["development_loss"]
