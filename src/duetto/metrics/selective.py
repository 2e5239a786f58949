"""Selective prediction: what is wrong of the answers that remain when the least confident are left out.

probabilities, labels ─ risk_coverage ─▶ RiskCoverage (accuracy at a coverage, area under the curve)
confidence, right or wrong ─ operating_points ─▶ OperatingPoints (threshold ↔ error rate ↔ coverage)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ConfigurationError
from .calibration import confidence_bins
from .classification import TIE_TOLERANCE


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """Error rate (selective risk) of the k most confident answers, for every k from 1 to n.

    El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", 2010. Answers of equal confidence
    (within `TIE_TOLERANCE`) are taken in random order: the errors of a part of them are the expected number.

    Attributes:
        coverage: (n,) k / n.
        risk: (n,) expected share of wrong answers among the k most confident.
    """

    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Area under the risk–coverage curve: the mean risk over all k (AURC; Geifman et al. 2019); 0 is best."""
        return float(self.risk.mean())

    def accuracy(self, coverage: float) -> float:
        """Accuracy of the most confident answers.

        Args:
            coverage: Their share of all answers, above 0 and at most 1; rounded up to whole answers.

        Returns:
            1 − risk.

        Raises:
            ConfigurationError: The coverage is not valid.
        """
        if not 0 < coverage <= 1:
            raise ConfigurationError(f"coverage = {coverage} is not valid; give a number above 0 and at most 1")
        n = len(self.risk)
        return float(1 - self.risk[max(1, int(np.ceil(coverage * n - 1e-9))) - 1])


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """Thresholds on the confidence, and what holds of the answers that reach them.

    Attributes:
        threshold: (points,) rising.
        error_rate: (points,) share of wrong answers among them, estimated with one more wrong answer; NaN where none
            reaches the threshold.
        coverage: (points,) share of all answers.
    """

    threshold: NDArray[np.float64]
    error_rate: NDArray[np.float64]
    coverage: NDArray[np.float64]

    @property
    def best(self) -> float:
        """The lowest error rate of any threshold; 1 where no answer reaches one."""
        rates = self.error_rate[~np.isnan(self.error_rate)]
        return float(rates.min()) if len(rates) else 1.0

    def at(self, error_rate: float) -> int | None:
        """Find the threshold that keeps most answers and holds an error rate.

        Args:
            error_rate: Greatest share of wrong answers among those that are kept.

        Returns:
            Its index; None where no threshold holds the rate.
        """
        found = np.flatnonzero(self.error_rate <= error_rate + 1e-12)  # NaN compares as false
        return int(found[0]) if len(found) else None


def risk_coverage(probabilities: ArrayLike, target: ArrayLike) -> RiskCoverage:
    """Compute the risk–coverage curve of answers by their confidence max p.

    Args:
        probabilities: (n, classes), rows sum to 1.
        target: (n,) integers.

    Returns:
        The curve.

    Raises:
        ConfigurationError: The arguments are not of this form, or there is no utterance.
    """
    confidence, right, _ = confidence_bins(probabilities, target, 1)
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence, wrong = confidence[order], 1.0 - right[order]
    ties = np.cumsum(np.concatenate(([False], -np.diff(sorted_confidence) > TIE_TOLERANCE)))
    shares = np.bincount(ties, wrong) / np.bincount(ties)
    k = np.arange(1, len(wrong) + 1)
    return RiskCoverage(k / len(wrong), np.cumsum(shares[ties]) / k)


def operating_points(
    confidence: ArrayLike, right: ArrayLike, thresholds: ArrayLike, weights: ArrayLike | None = None
) -> OperatingPoints:
    """Estimate the error rate of the answers that reach each threshold.

    The estimate (wrong + 1) / (answers + 1) counts one more wrong answer, so that few answers promise little (the
    finite-sample correction of conformal risk control; Angelopoulos et al. 2022).

    Args:
        confidence: (n,) of each answer, for speakers that nothing was fitted to.
        right: (n,) whether it is right.
        thresholds: (points,) rising. A confidence within `TIE_TOLERANCE` below a threshold reaches it.
        weights: (n,) how many answers each one counts for; 1 by default.

    Returns:
        The points.

    Raises:
        ConfigurationError: The arrays do not fit together, or there is no answer.
    """
    values, correct = np.asarray(confidence, np.float64), np.asarray(right, bool)
    each = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    if values.ndim != 1 or values.shape != correct.shape or values.shape != each.shape or not len(values):
        raise ConfigurationError(
            f"confidence has shape {values.shape}, right {correct.shape} and weights {each.shape}; (n,) each, with n "
            "above 0, is required"
        )
    steps = np.asarray(thresholds, np.float64)
    reached = values[None] >= steps[:, None] - TIE_TOLERANCE
    kept, wrong = reached @ each, reached @ (each * ~correct)
    rate = np.where(reached.any(1), (wrong + 1) / (kept + 1), np.nan)
    return OperatingPoints(steps, rate, kept / each.sum())
