"""Calibration: how well probabilities match the frequency of correct predictions.

logits, labels ─ fit_temperature ─▶ T
probabilities, labels ─▶ ECE, reliability diagram, negative log-likelihood, Brier score
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ConfigurationError
from .classification import TIE_TOLERANCE, predicted_classes, ratio

TEMPERATURES = (0.01, 1000.0)
"""Least and greatest temperature that `fit_temperature` returns."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability diagram: confidence and accuracy in equal-width bins.

    Attributes:
        edges: (bins + 1,) from 0 to 1; bin m holds edges[m] < confidence ≤ edges[m + 1], within `TIE_TOLERANCE`.
        confidence: (bins,) mean confidence, NaN in an empty bin.
        accuracy: (bins,) share of correct predictions, NaN in an empty bin.
        count: (bins,) number of utterances.
    """

    edges: NDArray[np.float64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Softmax exp(z) / Σ exp(z) over the last axis, in float64 and without overflow.

    Args:
        logits: (…, classes), finite.

    Returns:
        (…, classes) probabilities.

    Raises:
        ConfigurationError: Logits are not finite, or there is no class.
    """
    values = np.asarray(logits, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ConfigurationError(f"logits have shape {values.shape}; the last axis must hold at least one class")
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).any(-1).sum())
        raise ConfigurationError(f"{bad} rows of logits hold NaN or infinity; finite numbers are required")
    exponentials = np.exp(values - values.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def negative_log_likelihood(probabilities: ArrayLike, target: ArrayLike) -> float:
    """Negative log-likelihood −mean log p(target), in nats.

    A probability of exactly 0 counts as the smallest positive normal float64, so that it costs 708 nats, not infinity.

    Args:
        probabilities: (n, classes), rows sum to 1.
        target: (n,) integers.

    Returns:
        From 0 (best); log(classes) for uniform probabilities.

    Raises:
        ConfigurationError: The arguments are not of this form, or there is no utterance.
    """
    table, truth = _probabilities(probabilities, target)
    chosen = table[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


def brier(probabilities: ArrayLike, target: ArrayLike) -> float:
    """Brier score: the mean over utterances of Σ (p(class) − [class is the target])², summed over classes.

    Brier 1950, in its original form for several classes.

    Args:
        probabilities: As for `negative_log_likelihood`.
        target: As for `negative_log_likelihood`.

    Returns:
        0 (best) to 2.

    Raises:
        ConfigurationError: As `negative_log_likelihood`.
    """
    table, truth = _probabilities(probabilities, target)
    return float(((table - np.eye(table.shape[1])[truth]) ** 2).sum(1).mean())


def reliability(probabilities: ArrayLike, target: ArrayLike, bins: int = 15) -> Reliability:
    """Compute a reliability diagram, over the confidence max p.

    Args:
        probabilities: As for `negative_log_likelihood`.
        target: As for `negative_log_likelihood`.
        bins: Number of equal-width bins.

    Returns:
        Mean confidence, accuracy and count of each bin.

    Raises:
        ConfigurationError: As `negative_log_likelihood`, or there is no bin.
    """
    confidence, right, index = confidence_bins(probabilities, target, bins)
    count = np.bincount(index, minlength=bins)
    return Reliability(
        np.linspace(0.0, 1.0, bins + 1),
        ratio(np.bincount(index, confidence, bins), count),
        ratio(np.bincount(index, right, bins), count),
        count,
    )


def confidence_bins(
    probabilities: ArrayLike, target: ArrayLike, bins: int = 15
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Sort utterances into equal-width bins of confidence.

    Args:
        probabilities: As for `negative_log_likelihood`.
        target: As for `negative_log_likelihood`.
        bins: Number of bins.

    Returns:
        (n,) confidence max p of each utterance, (n,) whether its prediction is correct, and (n,) its bin.

    Raises:
        ConfigurationError: As `negative_log_likelihood`, or there is no bin.
    """
    if bins < 1:
        raise ConfigurationError(f"bins is {bins}; at least 1 is required")
    table, truth = _probabilities(probabilities, target)
    confidence = np.clip(table.max(1), 0.0, 1.0)
    # Bins are closed on the right (Guo et al. 2017), so that a confidence of 1 falls into the last.
    # The tolerance keeps a confidence such as 0.6, which lies on an edge, in the same bin whatever its rounding.
    edges = np.linspace(0.0, 1.0, bins + 1) + TIE_TOLERANCE
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    return confidence, predicted_classes(table) == truth, index


def expected_calibration_error(probabilities: ArrayLike, target: ArrayLike, bins: int = 15) -> float:
    """ECE = Σ over bins of (count / n) · |accuracy − confidence|.

    Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3. A finite sample scores above 0 even where
    probabilities are perfectly calibrated.

    Args:
        probabilities: As for `negative_log_likelihood`.
        target: As for `negative_log_likelihood`.
        bins: Number of equal-width bins.

    Returns:
        0 (best) to 1.

    Raises:
        ConfigurationError: As `reliability`.
    """
    curve = reliability(probabilities, target, bins)
    filled = curve.count > 0
    gaps = np.abs(curve.accuracy - curve.confidence)[filled]
    return float((curve.count[filled] / curve.count.sum() * gaps).sum())


def fit_temperature(logits: ArrayLike, target: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Fit the temperature T that minimises the negative log-likelihood of softmax(logits / T).

    For development data, never for test data (Guo et al. 2017, section 4.2). It changes no prediction, only its
    confidence. The negative log-likelihood is convex in 1/T, so bisection on its slope finds the only minimum.

    Args:
        logits: (n, classes), finite.
        target: (n,) integers.
        weights: (n,) how much each utterance counts, above 0; all the same by default.

    Returns:
        T, within `TEMPERATURES`. 1 where the data do not determine it: there is no utterance, or no logit exceeds the
        target's, so that ever smaller T fit ever better (every prediction is right) or all T equally (logits are equal,
        within `TIE_TOLERANCE`).

    Raises:
        ConfigurationError: The arguments are not of this form.
    """
    values, truth = np.asarray(logits, dtype=np.float64), np.asarray(target)
    if values.ndim == 2 and len(values) == 0 == truth.size:
        return 1.0
    _probabilities(softmax(values), truth)
    chosen = values[np.arange(len(truth)), truth]
    if (chosen >= values.max(1) - TIE_TOLERANCE * np.maximum(1.0, np.abs(values).max(1))).all():
        return 1.0

    each = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=np.float64)
    if each.shape != truth.shape or not (np.isfinite(each) & (each > 0)).all():
        raise ConfigurationError(f"weights have shape {each.shape}; {truth.shape} numbers above 0 are required")

    def slope(inverse: float) -> float:
        return float((((softmax(values * inverse) * values).sum(1) - chosen) * each).mean())

    coldest, hottest = TEMPERATURES
    low, high = np.log(1 / hottest), np.log(1 / coldest)
    for _ in range(60):  # halves a range of 11.5 to below 1e-16
        middle = (low + high) / 2
        low, high = (middle, high) if slope(float(np.exp(middle))) < 0 else (low, middle)
    return float(np.clip(np.exp(-(low + high) / 2), coldest, hottest))


def _probabilities(probabilities: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Validate both arguments: (n, classes) with rows that sum to 1, and (n,) classes."""
    table, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(target)
    if table.ndim != 2 or truth.ndim != 1 or len(table) != len(truth):
        raise ConfigurationError(
            f"probabilities have shape {table.shape} and target {truth.shape}; (n, classes) and (n,) are required"
        )
    if truth.size == 0:
        raise ConfigurationError("there is no utterance to score; a score needs at least one")
    if truth.dtype.kind not in "iu" or truth.min() < 0 or truth.max() >= table.shape[1]:
        raise ConfigurationError(f"target must hold integers from 0 to {table.shape[1] - 1}, as many as probabilities")
    # 1e-4 accepts a float32 softmax and rounding to 6 decimals, and rejects logits and unnormalised scores.
    if not (np.isfinite(table).all() and (table >= 0).all() and np.allclose(table.sum(1), 1.0, rtol=0, atol=1e-4)):
        raise ConfigurationError("probabilities must be finite, not negative, and sum to 1 in each row; see softmax")
    return table, truth.astype(np.int64)
