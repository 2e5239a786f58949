"""Classifiers on one vector for each utterance: fitted on training data, chosen on development data.

    vectors (n, d) ─ one fit for each candidate ─▶ development logits ─ lowest calibrated loss ─▶ EmotionModel

There are no epochs: the history of such a training has one entry for each candidate. The problems are convex and
solved to a tolerance far below what changes a choice, so nothing depends on a seed or, beyond rounding, on the
processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import metrics
from ..config.encoders import KERNEL_LIMIT
from ..config.experiment import Experiment
from ..errors import ConfigurationError, MissingExtraError
from ..models.emotion import EmotionModel
from ..models.heads import KernelHead
from ..preprocessing import Preprocessor
from . import checkpoint
from .inputs import Inputs
from .loop import CHOSEN, History

COSTS = (1.0, 3.0, 10.0)
"""Candidates for C of a support vector machine, the most regularised first."""

WIDTHS = (0.25, 0.5, 1.0)
"""Candidates for γ of its kernel, the smoothest first, in units of 1 / mean squared length of a training vector."""

STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Candidates for C of logistic regression, the most regularised first, in the same unit."""

STEEPNESS = 2.0
"""Factor of a machine's decision before its tanh: of 0.5, 1, 2 and 4 the one whose votes development speakers of EmoDB
and RAVDESS favour, by accuracy and calibration together."""

DISCRIMINANT_SHRINKAGE = 0.7
"""Weight of the spherical covariance in discriminant analysis. Not left to development speakers, who resemble those of
training, but chosen on the first half of the speakers of EmoDB and RAVDESS by name, each corpus answered by models of
the other (docs/pretrained.md)."""

_FLOOR = 30.0
"""How far the logit of a class without training data lies below the others."""

_FLAWLESS = 1e-3
"""Factor of the loss of a candidate without an error on development data."""

_SVM_TOLERANCE = 1e-5
_LOGISTIC_TOLERANCE = 1e-8
_MOST_ITERATIONS = 20_000


@dataclass(frozen=True)
class Rows:
    """Training data of a classifier.

    Attributes:
        x: (n, d) float64.
        target: Class of each row, (n,).
        weights: Of the classes in the loss, (classes,).
    """

    x: np.ndarray
    target: np.ndarray
    weights: np.ndarray

    @property
    def squared_length(self) -> float:
        """Mean squared length of a row."""
        return max(float(np.einsum("ij,ij->", self.x, self.x)) / len(self.x), 1e-6)

    @property
    def present(self) -> list[int]:
        """Classes that have data."""
        return np.unique(self.target).tolist()


@dataclass(frozen=True)
class _Candidate:
    """Settings, and the state dict of the head that they give."""

    settings: dict[str, float]
    head: dict[str, Tensor]


def fit(
    model: EmotionModel,
    preprocessor: Preprocessor,
    training: Inputs,
    development: Inputs,
    copies: Sequence[Inputs],
    folder: Path,
) -> History:
    """Fit the head of a model by the classifier of its experiment; write `folder`/model.safetensors.

    Args:
        model: Its encoder passes on one vector for each utterance. Afterwards it holds the chosen head.
        preprocessor: Of the system.
        training: What is fitted.
        development: What chooses among the candidates: that with the lowest negative log-likelihood after a temperature
            of its own, the most regularised of equals.
        copies: The training utterances again, recorded elsewhere: further rows.
        folder: Of the training.

    Returns:
        The candidates as epochs, and the one that was chosen.

    Raises:
        ConfigurationError: There are fewer than two classes in the training data, or no development data.
        MissingExtraError: scikit-learn is not installed.
    """
    e = preprocessor.experiment
    if not len(development.target):
        raise ConfigurationError(f"classifier = {e.classifier!r} is chosen on development data, and there are none")
    rows = rows_of(e, [training, *copies], len(preprocessor.classes))
    states, history = [], []
    for number, candidate in enumerate(_FITTERS[e.classifier](rows)):
        _load(model, candidate.head)
        states.append(candidate.head)
        history.append({"epoch": number, **candidate.settings, **scores(model, development, preprocessor)})
    chosen = metrics.best_index([record["score"] for record in history])
    head = states[chosen]
    if preprocessor.tfidf is not None and e.classifier == "logistic":
        head = _with_prior(head, development, np.bincount(training.target, minlength=len(preprocessor.classes)))
    _load(model, head)
    meta = {"classifier": e.classifier, "history": history, "chosen": chosen}
    checkpoint.save(folder / CHOSEN, model.state_dict(), meta)
    return History(tuple(history), chosen)


def vectors(inputs: Inputs) -> np.ndarray:
    """Stack the vectors of utterances.

    Args:
        inputs: Of one modality, one step for each utterance.

    Returns:
        (n, d) float64.
    """
    return np.stack([x[0] for x in (inputs.frames or inputs.words or [])]).astype(np.float64)


def rows_of(experiment: Experiment, parts: Sequence[Inputs], n_classes: int) -> Rows:
    """Stack the training data of a classifier.

    Args:
        experiment: States whether classes are weighted.
        parts: Training utterances, and copies of them.
        n_classes: Number of classes.

    Returns:
        The rows.

    Raises:
        ConfigurationError: They have fewer than two classes.
    """
    x, target = np.concatenate([vectors(part) for part in parts]), np.concatenate([part.target for part in parts])
    counts = np.bincount(target, minlength=n_classes)
    if np.count_nonzero(counts) < 2:
        raise ConfigurationError("the training data have one class; a classifier needs two or more")
    balanced = len(target) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return Rows(x, target, balanced if experiment.class_weights else np.ones(n_classes))


def _load(model: EmotionModel, head: Mapping[str, Tensor]) -> None:
    assert model.head is not None
    if isinstance(model.head, KernelHead):
        model.head.resize(len(head["support"]))
    model.head.load_state_dict(head)
    model.eval()


@torch.no_grad()
def scores(model: EmotionModel, development: Inputs, preprocessor: Preprocessor) -> dict[str, float]:
    """Score a candidate on development data.

    `score` is the calibrated log-likelihood, which ranks candidates more finely than an accuracy on the few utterances
    of one or two speakers can. A candidate without an error fits ever better at ever smaller temperatures, so it comes
    before all that have one. Its temperature stays 1, so several of them rank by their log-likelihood as it is.

    Args:
        model: With the head of the candidate.
        development: The utterances.
        preprocessor: Of the system.

    Returns:
        `score`, `development_ua`, `development_wa` and `development_loss`.
    """
    assert model.head is not None
    answers = model.head(torch.from_numpy(vectors(development).astype(np.float32))).numpy()
    target, n = development.target, len(preprocessor.classes)
    temperature = metrics.fit_temperature(answers, target)
    loss = metrics.negative_log_likelihood(metrics.softmax(answers / temperature), target)
    predicted = metrics.predicted_classes(answers)
    errors = int((predicted != target).sum())
    return {
        "score": -loss if errors else -_FLAWLESS * loss,
        "development_ua": metrics.unweighted_accuracy(target, predicted, n),
        "development_wa": metrics.weighted_accuracy(target, predicted, n),
        "development_loss": loss,
    }


def _svms(rows: Rows) -> Iterator[_Candidate]:
    """A machine for each pair of classes, for each candidate (see `models.heads.KernelHead`)."""
    rows = replace(rows, x=KERNEL_LIMIT * np.tanh(rows.x / KERNEL_LIMIT))
    for cost, width in product(COSTS, WIDTHS):
        gamma = width / rows.squared_length
        yield _Candidate({"cost": cost, "gamma": gamma}, fit_svm(rows, cost, gamma))


def fit_svm(rows: Rows, cost: float, gamma: float) -> dict[str, Tensor]:
    """Fit a machine for each pair of classes.

    Args:
        rows: Training data, within `KERNEL_LIMIT`.
        cost: C of each machine.
        gamma: Factor of the squared distance in the kernel.

    Returns:
        State dict of a `KernelHead`.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.svm import SVC
    except ImportError as error:
        raise MissingExtraError("A support vector machine", "train") from error
    classes = len(rows.weights)
    pairs = list(combinations(range(classes), 2))
    coefficients, intercepts = np.zeros((len(rows.x), len(pairs))), np.zeros(len(pairs))
    for column, (first, second) in enumerate(pairs):
        present = [k for k in (first, second) if k in rows.present]
        if len(present) < 2:  # every vote is for the class that has data
            intercepts[column] = _FLOOR * (present == [first]) - _FLOOR * (present == [second])
            continue
        index = np.flatnonzero(np.isin(rows.target, (first, second)))
        weight = {True: rows.weights[first], False: rows.weights[second]}
        width: Any = gamma  # scikit-learn's annotation is that of the default
        machine = SVC(C=cost, gamma=width, class_weight=weight, tol=_SVM_TOLERANCE)
        machine.fit(rows.x[index], rows.target[index] == first)
        coefficients[index[machine.support_], column] = machine.dual_coef_[0]
        intercepts[column] = machine.intercept_[0]
    return kernel_state(rows.x, coefficients, intercepts, gamma, classes)


def kernel_state(
    x: np.ndarray, coefficients: np.ndarray, intercepts: np.ndarray, gamma: float, classes: int
) -> dict[str, Tensor]:
    """Make the buffers of a `KernelHead` from the rows that have a coefficient in any machine.

    Args:
        x: (n, d).
        coefficients: Of each row in each machine, (n, pairs).
        intercepts: (pairs,).
        gamma: Factor of the squared distance in the kernel.
        classes: Number of classes.

    Returns:
        State dict.
    """
    used = np.flatnonzero(coefficients.any(1))
    scale = np.sqrt(2 * gamma)
    support = x[used] * scale
    values = {
        "support": support,
        "halves": np.square(support.astype(np.float32).astype(np.float64)).sum(1) / 2,
        "scale": np.array(KERNEL_LIMIT * scale),
        "coefficients": STEEPNESS * coefficients[used],
        "intercepts": STEEPNESS * intercepts,
    }
    return {
        **{name: torch.from_numpy(value.astype(np.float32)) for name, value in values.items()},
        "votes": KernelHead(1, classes).votes,
    }


def _logistics(rows: Rows) -> Iterator[_Candidate]:
    """Multinomial logistic regression, for each candidate."""
    for strength in STRENGTHS:
        cost = strength / rows.squared_length
        weight, bias = fit_logistic(rows, cost)
        yield _Candidate({"cost": cost}, _linear_state(weight, bias))


def fit_logistic(rows: Rows, cost: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit multinomial logistic regression.

    Args:
        rows: Training data.
        cost: Inverse strength of the penalty, C.

    Returns:
        Weights (classes, d) and biases (classes,).

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtraError("Logistic regression", "train") from error
    fitted = LogisticRegression(
        C=cost,
        class_weight={k: rows.weights[k] for k in rows.present},
        tol=_LOGISTIC_TOLERANCE,
        max_iter=_MOST_ITERATIONS,
    ).fit(rows.x, rows.target)
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(rows.present) == 2:  # one row, in favour of the second class
        coefficients, intercepts = (np.concatenate((-v, v)) / 2 for v in (coefficients, intercepts))
    weight, bias = np.zeros((len(rows.weights), rows.x.shape[1])), np.full(len(rows.weights), -_FLOOR)
    weight[rows.present], bias[rows.present] = coefficients, intercepts
    return weight, bias


def _discriminants(rows: Rows) -> Iterator[_Candidate]:
    """Linear discriminant analysis; there is one candidate."""
    weight, bias = fit_discriminant(rows, DISCRIMINANT_SHRINKAGE)
    yield _Candidate({"shrinkage": DISCRIMINANT_SHRINKAGE}, _linear_state(weight, bias))


def fit_discriminant(rows: Rows, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit linear discriminant analysis with a regularised covariance.

    With class means μ_c, priors π_c and the pooled within-class covariance S, Σ = (1 − λ)·S + λ·(tr S / d)·I (Friedman,
    "Regularized discriminant analysis", 1989, equation 18), and the logit of a class is
    μ_cᵀΣ⁻¹x − ½·μ_cᵀΣ⁻¹μ_c + log π_c (Hastie et al., "The Elements of Statistical Learning", equation 4.10). What
    varies within a class, such as speakers and augmented copies, counts less than what does not.

    Args:
        rows: Training data; their weights decide what share each class has in S and π.
        shrinkage: λ.

    Returns:
        Weights (classes, d) and biases (classes,).
    """
    share = rows.weights[rows.target] / rows.weights[rows.target].sum()
    prior = np.bincount(rows.target, share, minlength=len(rows.weights))[rows.present]
    means = np.stack([rows.x[rows.target == k].mean(0) for k in rows.present])
    centred = (rows.x - means[np.searchsorted(rows.present, rows.target)]) * np.sqrt(share)[:, None]
    covariance = centred.T @ centred
    d = len(covariance)
    spherical = max(float(np.trace(covariance)) / d, 1e-6)
    covariance = (1 - shrinkage) * covariance + shrinkage * spherical * np.eye(d)
    fitted = np.linalg.solve(covariance, means.T).T
    weight, bias = np.zeros((len(rows.weights), d)), np.full(len(rows.weights), -_FLOOR)
    weight[rows.present] = fitted
    bias[rows.present] = np.log(prior) - 0.5 * np.einsum("cd,cd->c", means, fitted)
    return weight, bias


def _linear_state(weight: np.ndarray, bias: np.ndarray) -> dict[str, Tensor]:
    return {f"0.{name}": torch.from_numpy(v.astype(np.float32)) for name, v in (("weight", weight), ("bias", bias))}


def _with_prior(head: Mapping[str, Tensor], development: Inputs, counts: np.ndarray) -> dict[str, Tensor]:
    """Logistic regression on weighted counts (`embeddings.tfidf`) that gives utterances without known n-grams, whose
    last value is 1 and all others 0, the class shares of the training data.

    Shares are probabilities already, so the temperature of the others moves into their weights: what is fitted to all
    logits afterwards is about 1.
    """
    weight, bias = (head[f"0.{name}"].double().numpy() for name in ("weight", "bias"))
    x = vectors(development)
    known = x[:, -1] == 0
    temperature = 1.0
    if known.any():
        temperature = metrics.fit_temperature(x[known] @ weight.T + bias, development.target[known])
    weight, bias = weight / temperature, bias / temperature
    shares = np.log(np.maximum(counts, 1e-300) / counts.sum())
    weight[:, -1] = np.maximum(shares, shares.max() - _FLOOR) - bias
    return _linear_state(weight, bias)


_Fitter = Callable[[Rows], Iterator[_Candidate]]
_FITTERS: dict[str, _Fitter] = {"svm": _svms, "logistic": _logistics, "discriminant": _discriminants}
