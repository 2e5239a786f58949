"""Scores of predictions against labels, and of probabilities against what came true. NumPy only.

    labels, predictions ─▶ confusion matrix ─▶ UA, WA, macro-F1, recalls
    labels, probabilities ─▶ ECE, reliability, negative log-likelihood, Brier score

UA (unweighted accuracy, also called UAR or balanced accuracy) is the mean of the per-class recalls, WA
(weighted accuracy) the share of utterances that are right. Published tables confuse the two; here the
names always mean this. Every score is a fraction, 0–1, unless its docstring says otherwise.

    >>> unweighted_accuracy([0, 0, 0, 1], [0, 0, 1, 1])
    0.8333333333333333
    >>> weighted_accuracy(["sad", "sad", "sad", "angry"], ["sad", "sad", "angry", "angry"])
    0.75

Classes are integers from 0, or strings; strings stand for classes in alphabetical order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ConfigurationError

Labels = Sequence[int] | Sequence[str] | NDArray[np.integer] | NDArray[np.str_]
"""One class an utterance: integers from 0, or strings."""

TIES = 1e-6
"""Share of the greatest of some scores, or of 1 where that is less, within which others count as equal to it. What
float32 arithmetic makes of equal scores differs by less from processor to processor."""

TEMPERATURES = (0.01, 1000.0)
"""Least and greatest temperature that `fit_temperature` returns."""


class Scores(NamedTuple):
    """UA, WA and macro-F1 of one confusion matrix or a stack of them, fractions of the stack's shape."""

    ua: NDArray[np.float64]
    wa: NDArray[np.float64]
    macro_f1: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence against accuracy in equal-width bins, each array (bins,).

    edges: (bins + 1,) from 0 to 1; bin m holds edges[m] < confidence ≤ edges[m + 1], both but for `TIES`.
    confidence, accuracy: means over the bin's utterances, NaN where it has none. count: how many.
    """

    edges: NDArray[np.float64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]


def answers(values: ArrayLike) -> NDArray[np.int64]:
    """The class with the greatest of logits or probabilities (…, classes), the first of equals (see `TIES`), (…)."""
    table = np.asarray(values)
    slack = TIES * np.maximum(1.0, np.abs(table).max(-1, keepdims=True))
    return (table >= table.max(-1, keepdims=True) - slack).argmax(-1)


def first_best(values: Sequence[float]) -> int:
    """Place of the first value that no later one exceeds by more than `TIES`: the epoch, or the setting, to choose."""
    best = 0
    for place, value in enumerate(values):
        if value > values[best] + TIES * max(1.0, abs(values[best])):
            best = place
    return best


def scores(confusions: ArrayLike) -> Scores:
    """UA, WA and macro-F1 of confusion matrices `(…, classes, classes)`, rows the target, columns the prediction.

    UA is the mean recall over classes present in the target. Macro-F1 is the mean of 2·TP / (2·TP + FP + FN)
    over classes present in the target or the prediction (the convention of scikit-learn). A matrix without
    any utterance scores NaN. Counts may be fractional (weighted or averaged over seeds).
    """
    matrix = np.asarray(confusions, dtype=np.float64)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ConfigurationError(f"confusion matrices have shape {matrix.shape}; (…, classes, classes) is required")
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    target, predicted = matrix.sum(-1), matrix.sum(-2)
    recall, f1 = _ratio(right, target), _ratio(2 * right, target + predicted)
    return Scores(_mean_defined(recall), _ratio(right.sum(-1), target.sum(-1)), _mean_defined(f1))


def confusion(target: Labels, predicted: Labels, n_classes: int | None = None) -> NDArray[np.int64]:
    """Confusion matrix `(classes, classes)` of counts: rows the target, columns the prediction.

    Without `n_classes` it is as large as the labels that occur require. String labels are ordered
    alphabetically, and only those that occur have a row.
    """
    truth, answer, size = _codes(target, predicted, n_classes)
    return np.bincount(truth * size + answer, minlength=size * size).reshape(size, size)


def unweighted_accuracy(target: Labels, predicted: Labels, n_classes: int | None = None) -> float:
    """UA: the mean, over classes present in `target`, of the share of that class's utterances that are right.

    0–1; a constant prediction of a class that is present scores 1 / (classes present). A predicted class that
    never is the target makes its utterances wrong and adds no class. No utterance at all is a ConfigurationError.
    """
    return float(scores(confusion(target, predicted, n_classes)).ua)


def weighted_accuracy(target: Labels, predicted: Labels, n_classes: int | None = None) -> float:
    """WA: the share of utterances that are right, 0–1. No utterance at all is a ConfigurationError."""
    return float(scores(confusion(target, predicted, n_classes)).wa)


def macro_f1(target: Labels, predicted: Labels, n_classes: int | None = None) -> float:
    """Mean F1 over the classes that occur in `target` or `predicted`, 0–1; a class never right scores 0."""
    return float(scores(confusion(target, predicted, n_classes)).macro_f1)


def recalls(target: Labels, predicted: Labels, n_classes: int | None = None) -> NDArray[np.float64]:
    """Recall of each class, `(classes,)`; NaN for a class that is absent from `target`."""
    matrix = confusion(target, predicted, n_classes)
    return _ratio(np.diagonal(matrix), matrix.sum(1))


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """exp(z) / Σ exp(z) over the last axis, in float64, without overflow; logits must be finite."""
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ConfigurationError(f"logits have shape {values.shape}; the last axis must hold at least one class")
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).any(-1).sum())
        raise ConfigurationError(f"{bad} rows of logits hold NaN or infinity; finite numbers are required")
    exponentials = np.exp(values - values.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def negative_log_likelihood(probabilities: ArrayLike, target: ArrayLike) -> float:
    """−mean log p(target), in nats; 0 is best, log(classes) what uniform probabilities score.

    probabilities: (n, classes), rows sum to 1. target: (n,) integers. A probability of exactly 0 counts as
    the smallest positive float64, so that one such answer costs 708 nats, not infinity.
    """
    table, truth = _probabilities(probabilities, target)
    chosen = table[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


def brier(probabilities: ArrayLike, target: ArrayLike) -> float:
    """Mean over utterances of Σ (p(class) − [class is the target])², summed over classes; 0 (best) to 2.

    Brier 1950, in its original form for several classes. Arguments as `negative_log_likelihood`.
    """
    table, truth = _probabilities(probabilities, target)
    return float(((table - np.eye(table.shape[1])[truth]) ** 2).sum(1).mean())


def reliability(probabilities: ArrayLike, target: ArrayLike, bins: int = 15) -> Reliability:
    """Mean confidence, accuracy and count in `bins` equal-width bins of the confidence max p.

    The answer is the most probable class, the first of equals. Arguments as `negative_log_likelihood`.
    """
    confidence, right, index = confidence_bins(probabilities, target, bins)
    count = np.bincount(index, minlength=bins)
    return Reliability(
        np.linspace(0.0, 1.0, bins + 1),
        _ratio(np.bincount(index, confidence, bins), count),
        _ratio(np.bincount(index, right, bins), count),
        count,
    )


def confidence_bins(
    probabilities: ArrayLike, target: ArrayLike, bins: int = 15
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """For each utterance its confidence max p, whether its answer is right, and its bin; each `(n,)`."""
    if bins < 1:
        raise ConfigurationError(f"{bins} bins were asked for; at least 1 is required")
    table, truth = _probabilities(probabilities, target)
    confidence = np.clip(table.max(1), 0.0, 1.0)
    # Bins are closed on the right (Guo et al. 2017), so that a confidence of 1 falls into the last.
    # A confidence such as 0.6 lies on an edge, whatever rounding made of it.
    edges = np.linspace(0.0, 1.0, bins + 1) + TIES
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    return confidence, answers(table) == truth, index


def expected_calibration_error(probabilities: ArrayLike, target: ArrayLike, bins: int = 15) -> float:
    """ECE = Σ over bins of (count / n) · |accuracy − confidence|, 0 (best) to 1.

    Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3. A finite sample scores above 0
    even if perfectly calibrated. Arguments as `reliability`.
    """
    curve = reliability(probabilities, target, bins)
    filled = curve.count > 0
    gaps = np.abs(curve.accuracy - curve.confidence)[filled]
    return float((curve.count[filled] / curve.count.sum() * gaps).sum())


def fit_temperature(logits: ArrayLike, target: ArrayLike) -> float:
    """The temperature T that minimises the negative log-likelihood of softmax(logits / T).

    Fit it on development data, never on test data (Guo et al. 2017, section 4.2). It changes no answer, only
    how sure the answers are. logits: (n, classes), finite. target: (n,) integers.

    The likelihood is convex in 1/T, so bisection on its slope finds the one minimum; the result lies within
    `TEMPERATURES`. Where the data say nothing the answer is 1: no utterance, or no logit above the target's,
    where ever smaller T would fit ever better (every utterance right) or all T alike (equal logits, see `TIES`).
    """
    values, truth = np.asarray(logits, dtype=np.float64), np.asarray(target)
    if values.ndim == 2 and len(values) == 0 == truth.size:
        return 1.0
    _probabilities(softmax(values), truth)
    chosen = values[np.arange(len(truth)), truth]
    if (chosen >= values.max(1) - TIES * np.maximum(1.0, np.abs(values).max(1))).all():
        return 1.0

    def slope(inverse: float) -> float:
        return float(((softmax(values * inverse) * values).sum(1) - chosen).mean())

    coldest, hottest = TEMPERATURES
    low, high = np.log(1 / hottest), np.log(1 / coldest)
    for _ in range(60):  # halves a range of 11.5 to below 1e-16
        middle = (low + high) / 2
        low, high = (middle, high) if slope(float(np.exp(middle))) < 0 else (low, middle)
    return float(np.clip(np.exp(-(low + high) / 2), coldest, hottest))


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """numerator / denominator, NaN where the denominator is 0."""
    below = np.asarray(denominator, dtype=np.float64)
    result = np.full(np.broadcast_shapes(np.shape(numerator), below.shape), np.nan)
    return np.divide(numerator, below, out=result, where=below != 0)


def _mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis without NaN; NaN where all are NaN."""
    return _ratio(np.nansum(values, axis=-1), (~np.isnan(values)).sum(-1))


def _codes(
    target: Labels, predicted: Labels, n_classes: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Both label lists as integers from 0, and the number of classes."""
    truth, answer = np.asarray(target), np.asarray(predicted)
    if truth.ndim != 1 or truth.shape != answer.shape:
        raise ConfigurationError(
            f"target has shape {truth.shape} and predicted {answer.shape}; both must be one list of equal length"
        )
    if truth.size == 0:
        raise ConfigurationError("there is no utterance to score; a score needs at least one")
    if n_classes is not None and n_classes < 1:
        raise ConfigurationError(f"n_classes is {n_classes}; at least 1 is required")
    if truth.dtype.kind == answer.dtype.kind == "U":
        names, codes = np.unique(np.concatenate([truth, answer]), return_inverse=True)
        truth, answer = codes[: truth.size], codes[truth.size :]
        what = ", ".join(map(str, names))
    elif truth.dtype.kind in "iu" and answer.dtype.kind in "iu":
        what = f"{min(truth.min(), answer.min())} to {max(truth.max(), answer.max())}"
    else:
        raise ConfigurationError(
            f"target holds {truth.dtype} and predicted {answer.dtype}; both must be integers from 0, or both strings"
        )
    largest = int(max(truth.max(), answer.max()))
    size = largest + 1 if n_classes is None else n_classes
    if largest >= size or min(truth.min(), answer.min()) < 0:
        raise ConfigurationError(f"the labels are {what}, outside the {size} classes 0 to {size - 1}")
    return truth.astype(np.int64), answer.astype(np.int64), size


def _probabilities(probabilities: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Both arguments validated: (n, classes) rows that sum to 1, and (n,) classes."""
    table, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(target)
    if table.ndim != 2 or truth.ndim != 1 or len(table) != len(truth):
        raise ConfigurationError(
            f"probabilities have shape {table.shape} and target {truth.shape}; (n, classes) and (n,) are required"
        )
    if truth.size == 0:
        raise ConfigurationError("there is no utterance to score; a score needs at least one")
    if truth.dtype.kind not in "iu" or truth.min() < 0 or truth.max() >= table.shape[1]:
        raise ConfigurationError(f"target must hold integers from 0 to {table.shape[1] - 1}, as many as probabilities")
    # 1e-4 lets float32 softmax and rounding to 6 decimals pass, and stops logits and unnormalised scores.
    if not (np.isfinite(table).all() and (table >= 0).all() and np.allclose(table.sum(1), 1.0, rtol=0, atol=1e-4)):
        raise ConfigurationError("probabilities must be finite, not negative, and sum to 1 in each row; see softmax")
    return table, truth.astype(np.int64)
