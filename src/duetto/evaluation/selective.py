"""Coverage and accuracy of a result: what is right of the answers that remain when the least confident are left out.

SystemResult ─ selective ─▶ Selective (accuracy at each of COVERAGES, area under the risk–coverage curve, the curve)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from .bootstrap import RESAMPLES, clusters_of, interval
from .result import SystemResult

COVERAGES = (1.0, 0.8, 0.6, 0.4)
"""Shares of the answers, the most confident first, whose accuracy is reported."""

_MOST_RESAMPLES = 500
"""Each takes a pass over all utterances; more change an interval by less than its last digit."""

_CELLS = 4_000_000
"""Utterances × resamples that are worked on together."""


@dataclass(frozen=True)
class Figure:
    """One measure.

    Attributes:
        mean: Over seeds.
        ci95: 95% percentile interval of the mean, resampling speakers where they are known.
    """

    mean: float
    ci95: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            The two fields.
        """
        return {"mean": self.mean, "ci95": list(self.ci95)}


@dataclass(frozen=True, eq=False)
class Selective:
    """Accuracy of the more confident answers, by probabilities after temperature scaling.

    Attributes:
        accuracy: Weighted accuracy in percent at each of `COVERAGES`.
        area: Area under the risk–coverage curve, from 0 (best) to 1.
        curve: Error rate at every coverage, mean over seeds.
    """

    accuracy: tuple[Figure, ...]
    area: Figure
    curve: metrics.RiskCoverage

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            `{"accuracy": {"100": {"mean", "ci95"}, "80": …}, "area": {"mean", "ci95"}}`, accuracy in percent, by
            coverage in percent.
        """
        named = {f"{100 * c:.0f}": each.to_json() for c, each in zip(COVERAGES, self.accuracy, strict=True)}
        return {"accuracy": named, "area": self.area.to_json()}


def selective(result: SystemResult, resamples: int = RESAMPLES, seed: int = 0) -> Selective:
    """Measure the accuracy of the more confident answers.

    Args:
        result: A result.
        resamples: Number of bootstrap resamples; no more than 500 are made.
        seed: Seed of the bootstrap.

    Returns:
        The measures.
    """
    clusters = clusters_of(result)[0]
    curves = [metrics.risk_coverage(table, result.target) for table in result.calibrated]
    drawn = np.mean(
        [_drawn(table, result, clusters, min(resamples, _MOST_RESAMPLES), seed) for table in result.calibrated], axis=0
    )
    means = [100 * float(np.mean([curve.accuracy(c) for curve in curves])) for c in COVERAGES]
    area = float(np.mean([curve.area for curve in curves]))
    accuracy = tuple(Figure(mean, interval(100 * drawn[:, i])) for i, mean in enumerate(means))
    curve = metrics.RiskCoverage(curves[0].coverage, np.mean([each.risk for each in curves], axis=0))
    return Selective(accuracy, Figure(area, interval(drawn[:, -1])), curve)


def _drawn(
    table: NDArray[np.float64], result: SystemResult, clusters: NDArray[np.int64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Accuracy at each coverage and the area, (resamples, coverages + 1), of one seed of the system."""
    confidence, right, _ = metrics.confidence_bins(table, result.target, 1)
    order = np.argsort(-np.round(confidence, 6), kind="stable")
    wrong, clusters = 1.0 - right[order], clusters[order]
    units = int(clusters.max()) + 1
    rng, step = np.random.default_rng(seed), max(1, _CELLS // len(order))
    parts = []
    for start in range(0, resamples, step):
        counts = rng.multinomial(units, np.full(units, 1 / units), size=min(step, resamples - start))
        weights = counts[:, clusters].astype(np.float64)
        kept, missed = np.cumsum(weights, axis=1), np.cumsum(weights * wrong, axis=1)
        risk = missed / np.maximum(kept, 1)
        rows = np.arange(len(kept))
        columns = [1 - risk[rows, (kept >= c * kept[:, -1:] - 1e-9).argmax(1)] for c in COVERAGES]
        parts.append(np.stack([*columns, (weights * risk).sum(1) / kept[:, -1]], axis=1))
    return np.concatenate(parts)
