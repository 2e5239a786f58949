"""Calibration: do probabilities state how often an answer is right?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .. import evaluation, metrics
from ..metrics import TIE_TOLERANCE
from .figures import Figure, Sample
from .outcome import UNDECIDED, Outcome
from .thresholds import Limits

CONFIDENT = 0.8
"""Least probability of a confident answer."""

_GROUP = "calibration"
_SIMULATIONS = 500


def outcomes(sample: Sample, limits: Limits) -> Iterator[Outcome]:
    """Test the probabilities.

    Args:
        sample: Answers for the recordings as they are.
        limits: The limits.

    Yields:
        The tests.
    """
    figures = {"ece": ece_above_perfect(sample), "brier_skill": brier_skill(sample), "confident_wrong": _wrong(sample)}
    for test, figure in figures.items():
        limit = limits.limit(_GROUP, test)
        if figure is not None:
            yield figure.against(limit, _GROUP, test, title="all")
        else:
            note = f"no answer has p ≥ {CONFIDENT:g}"
            yield Outcome(_GROUP, test, "", "", "all", None, None, limit.low, limit.high, 0, UNDECIDED, note)


def ece_above_perfect(sample: Sample) -> Figure:
    """Measure the calibration error beyond chance.

    A finite sample has an ECE above 0 even where every probability is right. That much, the mean ECE of answers drawn
    right or wrong with the probabilities stated, is subtracted.

    Args:
        sample: The answers.

    Returns:
        The difference in percentage points; below 0 where the sample is closer than chance.
    """
    r = sample.result
    found = evaluation.calibration(r)
    chance = expected_ece(r.probabilities[0], r.target)
    low, high = found.ece_ci95[0]
    note = f"ECE {100 * found.ece[0]:.1f} %, of which {100 * chance:.1f} % come by chance"
    bounds = (100 * (low - chance), 100 * (high - chance))
    return Figure(100 * (found.ece[0] - chance), bounds, len(r.ids), sample.problem(), note)


def expected_ece(probabilities: NDArray[np.float64], target: NDArray[np.int64]) -> float:
    """Compute the mean ECE of as many answers that are right exactly as often as they state.

    Args:
        probabilities: (n, classes).
        target: (n,); not used but for its length.

    Returns:
        The mean over simulations.
    """
    confidence, _, index = metrics.confidence_bins(probabilities, target, evaluation.BINS)
    right = np.random.default_rng(0).random((_SIMULATIONS, len(confidence))) < confidence
    gaps = (right - confidence) @ np.eye(evaluation.BINS)[index]
    return float(np.abs(gaps).sum(1).mean() / len(confidence))


def brier_skill(sample: Sample) -> Figure:
    """Measure the Brier score against that of equal probabilities.

    Args:
        sample: The answers.

    Returns:
        100 · (1 − Brier / (1 − 1/classes)): 100 for certain and right answers, 0 for equal probabilities, below 0 for
        worse.
    """
    table, target = sample.result.probabilities[0], sample.result.target
    size = table.shape[1]
    each = ((table - np.eye(size)[target]) ** 2).sum(1)
    return sample.mean(100 * (1 - each / (1 - 1 / size)))


def _wrong(sample: Sample) -> Figure | None:
    table = sample.result.probabilities[0]
    confident = table.max(1) >= CONFIDENT - TIE_TOLERANCE
    note = f"{confident.sum()} of {len(table)} answers"
    return sample.share(sample.result.predicted[0] != sample.result.target, confident, note)
