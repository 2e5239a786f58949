"""Dimensions such as arousal: a table of their scores, and predicted against annotated ratings as scatter plots."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..evaluation import DimensionScore, SystemResult
from .formatting import interval, number
from .plots import ReliabilityDiagram
from .scores import ScoredResult
from .sections import Table

MOST_POINTS = 1500
"""Utterances that a scatter plot shows."""


class ScatterDiagram:
    """Predicted against annotated ratings, on the canvas of a `ReliabilityDiagram`; both axes have one range.

    Args:
        title: Of the dimension.
        ratings: (n,) of the annotators.
        predicted: (n,) of the system.

    Attributes:
        total: Number of utterances; of more than `MOST_POINTS`, evenly chosen ones are shown.
        ticks: Values of three grid lines.
    """

    side, left, top = ReliabilityDiagram.side, ReliabilityDiagram.left, ReliabilityDiagram.top
    width, height = ReliabilityDiagram.width, ReliabilityDiagram.height

    def __init__(self, title: str, ratings: NDArray[np.float64], predicted: NDArray[np.float64]) -> None:
        self.title, self.total = title, len(ratings)
        chosen = np.unique(np.linspace(0, self.total - 1, min(self.total, MOST_POINTS)).round().astype(int))
        self._pairs = np.stack([ratings, predicted], axis=1)[chosen]
        least, most = float(self._pairs.min()), float(self._pairs.max())
        step = 10.0 ** math.floor(math.log10(max(most - least, 1e-3)))
        low, high = math.floor(least / step) * step, math.ceil(most / step + 1e-9) * step
        self.ticks = (low, (low + high) / 2, high)

    def x(self, rating: float) -> float:
        """Find the horizontal place of a rating of the annotators.

        Args:
            rating: In its own units.

        Returns:
            Pixels from the left.
        """
        return self.left + self.side * self._share(rating)

    def y(self, rating: float) -> float:
        """Find the vertical place of a predicted rating.

        Args:
            rating: In its own units.

        Returns:
            Pixels from the top.
        """
        return self.top + self.side * (1 - self._share(rating))

    @property
    def points(self) -> list[tuple[float, float]]:
        """Place of each utterance."""
        return [(self.x(rating), self.y(predicted)) for rating, predicted in self._pairs.tolist()]

    def _share(self, rating: float) -> float:
        low, _, high = self.ticks
        return (rating - low) / (high - low)


def diagrams(system: ScoredResult) -> list[tuple[DimensionScore, ScatterDiagram]]:
    """Lay out a scatter plot for each dimension of a system, of the mean prediction over seeds.

    Args:
        system: The system.

    Returns:
        Scores and plot of each.
    """
    result, found = system.result, []
    for score in system.dimensions:
        d = result.dimensions.index(score.name)
        rated = ~np.isnan(result.ratings[:, d])
        predicted = mean_ratings(result)[rated, d]
        found.append((score, ScatterDiagram(score.name, result.ratings[rated, d], predicted)))
    return found


def mean_ratings(result: SystemResult) -> NDArray[np.float64]:
    """Average the predicted ratings over seeds.

    Args:
        result: With dimensions.

    Returns:
        (n, dimensions).
    """
    return result.predicted_ratings.mean(axis=0)


def table(systems: Sequence[ScoredResult]) -> Table | None:
    """List concordance and RMSE of every dimension of every system.

    Args:
        systems: The systems, in order.

    Returns:
        A row for each system and dimension; None where no system has any.
    """
    rows = [
        (
            f"{system.result.title}: {score.name}",
            f"{number(score.ccc.mean, 3)} [{interval(score.ccc.ci95, 3)}]",
            f"{number(score.rmse.mean, 3)} [{interval(score.rmse.ci95, 3)}]",
            f"{score.utterances:,}",
        )
        for system in systems
        for score in system.dimensions
    ]
    return Table("Dimensions", ("System", "CCC", "RMSE", "Utterances"), tuple(rows)) if rows else None
