"""Concordance and RMSE of the dimensions of a result, with intervals.

SystemResult ─ dimensions ─▶ (DimensionScore, …)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from .bootstrap import RESAMPLES, clusters_of, draws, interval
from .result import SystemResult
from .selective import Figure


@dataclass(frozen=True)
class DimensionScore:
    """Scores of one dimension.

    Attributes:
        name: Of the dimension.
        utterances: Number of test utterances with a rating.
        ccc: Concordance correlation coefficient (`metrics.concordance`), no percentage.
        rmse: Root mean square error, in the units of the ratings.
    """

    name: str
    utterances: int
    ccc: Figure
    rmse: Figure

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            `{"ccc": {"mean", "ci95"}, "rmse": {"mean", "ci95"}, "utterances"}`.
        """
        return {"ccc": self.ccc.to_json(), "rmse": self.rmse.to_json(), "utterances": self.utterances}


def dimensions(result: SystemResult, resamples: int = RESAMPLES, seed: int = 0) -> tuple[DimensionScore, ...]:
    """Score the dimensions of a result.

    Each measure is computed on the rated utterances of all folds together, under each seed; the mean is that over
    seeds. Intervals resample speakers, as those of UA do (`statistics.summary`).

    Args:
        result: A result.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.

    Returns:
        One entry for each dimension that any utterance is rated on; none for a result without dimensions.
    """
    if not result.dimensions:
        return ()
    # (utterances, seeds, dimensions, 7) → the sums of each cluster.
    each = metrics.paired_sums(result.ratings[:, None], result.predicted_ratings.transpose(1, 0, 2))
    clusters = clusters_of(result)[0]
    sums = np.zeros((int(clusters.max()) + 1, *each.shape[1:]))
    np.add.at(sums, clusters, each)
    point = metrics.scores_of_sums(sums.sum(0))
    drawn = metrics.scores_of_sums(draws(sums, np.ones(len(sums), np.int64), resamples, seed))
    rated = (~np.isnan(result.ratings)).sum(0)
    return tuple(
        DimensionScore(name, int(rated[d]), *(_figure(p[:, d], s[:, :, d]) for p, s in zip(point, drawn, strict=True)))
        for d, name in enumerate(result.dimensions)
        if rated[d]
    )


def _figure(seeds: NDArray[np.float64], drawn: NDArray[np.float64]) -> Figure:
    """The mean of (seeds,) values; its interval from (resamples, seeds), less resamples without a rating."""
    means = drawn.mean(1)
    return Figure(float(seeds.mean()), interval(means[np.isfinite(means)]))
