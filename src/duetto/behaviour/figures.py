"""Figures of a result with the interval that decides a test.

The interval is the wider of two, in each direction. The one resamples whole speakers (`evaluation.bootstrap`), since
utterances of a speaker resemble each other. The other takes utterances as independent, but knows that few of them say
little even where all are right: Wilson's score interval of a share (1927), and for a weighted sum of shares, such as UA
or a difference of two UA, the combination of their Wilson intervals by Zou and Donner ("Construction of confidence
limits about effect measures: a general approach", Statistics in Medicine 27, 2008; "MOVER").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import metrics
from ..evaluation import LEVEL, RESAMPLES, SystemResult
from ..evaluation.bootstrap import clusters_of, draws, interval, tally
from .outcome import Figure
from .thresholds import Limits

Bounds = tuple[float, float]


def quantile(comparisons: int = 1) -> float:
    """Quantile of the normal distribution for intervals that all hold at once (Bonferroni).

    Args:
        comparisons: Number of intervals.

    Returns:
        1.96 for one.
    """
    return NormalDist().inv_cdf(1 - (1 - LEVEL) / (2 * comparisons))


def wilson(hits: float, total: float, z: float) -> Bounds:
    """Wilson's score interval of a share.

    Args:
        hits: Number of hits.
        total: Number of trials, above 0.
        z: Quantile of the normal distribution.

    Returns:
        Its bounds, from 0 to 1.
    """
    share = hits / total
    centre = share + z * z / (2 * total)
    half = z * math.sqrt(max(0.0, share * (1 - share) / total + (z / (2 * total)) ** 2))
    scale = 1 + z * z / total
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def combined(weights: ArrayLike, hits: ArrayLike, totals: ArrayLike, comparisons: int = 1) -> Bounds:
    """Interval of a weighted sum of independent shares, by Zou and Donner.

    Args:
        weights: (m,) of any sign.
        hits: (m,) of each share.
        totals: (m,) of each share; those of 0 trials are left out.
        comparisons: See `quantile`.

    Returns:
        Its bounds.
    """
    z, value, below, above = quantile(comparisons), 0.0, 0.0, 0.0
    for weight, hit, total in zip(*(np.ravel(a).tolist() for a in (weights, hits, totals)), strict=True):
        if total > 0:
            share, (low, high) = hit / total, wilson(hit, total, z)
            value += weight * share
            down, up = (share - low, high - share) if weight >= 0 else (high - share, share - low)
            below, above = below + (weight * down) ** 2, above + (weight * up) ** 2
    return value - math.sqrt(below), value + math.sqrt(above)


def wider(first: Bounds, second: Bounds) -> Bounds:
    """The interval that holds two.

    Args:
        first: An interval.
        second: Another.

    Returns:
        Its bounds.
    """
    return min(first[0], second[0]), max(first[1], second[1])


def resampled(value: float, drawn: NDArray[np.float64], comparisons: int = 1) -> Bounds:
    """Interval from resamples.

    Args:
        value: The figure.
        drawn: (resamples,) of it; NaN where a resample does not define it.
        comparisons: Number of intervals that shall all hold at once.

    Returns:
        Percentiles for one; for more, which lie too far out to be read from the resamples, the normal interval by
        their standard deviation.
    """
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return -math.inf, math.inf
    if comparisons == 1:
        return interval(defined)
    half = quantile(comparisons) * float(defined.std())
    return value - half, value + half


@dataclass(frozen=True, eq=False)
class Sample:
    """Answers of one model, and what an interval over them may rest on.

    Attributes:
        result: Of one seed.
        limits: How many speakers and utterances decide.
        one_speaker: Whether it is about a single speaker, so that utterances are resampled.
    """

    result: SystemResult
    limits: Limits
    one_speaker: bool = False

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """(n,) what is resampled together: the speaker, or where none is known the utterance."""
        return clusters_of(self.result)[0]

    @cached_property
    def matrix(self) -> NDArray[np.int64]:
        """(classes, classes) confusions, rows the target."""
        return metrics.confusion(self.result.target, self.result.predicted[0], len(self.result.classes))

    @cached_property
    def matrices(self) -> NDArray[np.float64]:
        """(resamples, classes, classes) confusions of each resample."""
        r = self.result
        return draws(*tally(r.target, r.predicted, self.clusters, len(r.classes)), RESAMPLES, 0)[:, 0]

    def problem(self, among: NDArray[np.bool_] | None = None) -> str:
        """State why nothing can be decided.

        Args:
            among: (n,) the utterances that count; all by default.

        Returns:
            The reason; empty where there is none.
        """
        counted = np.ones(len(self.result.ids), bool) if among is None else among
        utterances = int(counted.sum())
        if utterances < self.limits.least_utterances:
            return f"{utterances} utterances; {self.limits.least_utterances} are the least that decide"
        speakers = set(self.result.speaker[counted].tolist())
        if "" in speakers or self.one_speaker or len(speakers) >= self.limits.least_speakers:
            return ""
        named = "1 speaker" if len(speakers) == 1 else f"{len(speakers)} speakers"
        return f"{named}; {self.limits.least_speakers} are the least that decide"

    def share(self, hits: NDArray[np.bool_], among: NDArray[np.bool_] | None = None, note: str = "") -> Figure | None:
        """Measure a share of utterances.

        Args:
            hits: (n,) which ones.
            among: (n,) of which; all by default.
            note: See `Figure`.

        Returns:
            The share in percent; None where there is nothing to take it of.
        """
        counted = np.ones(len(hits), bool) if among is None else among
        total, found = int(counted.sum()), int((hits & counted).sum())
        if not total:
            return None
        sums = np.zeros((int(self.clusters.max()) + 1, 2))
        np.add.at(sums, self.clusters, np.stack([hits & counted, counted], axis=1).astype(float))
        drawn = draws(sums, np.ones(len(sums), np.int64), RESAMPLES, 0)
        over_speakers = resampled(found / total, metrics.classification.ratio(drawn[:, 0], drawn[:, 1]))
        low, high = wider(over_speakers, wilson(found, total, quantile()))
        return Figure(100 * found / total, (100 * low, 100 * high), total, self.problem(counted), note)

    def mean(self, values: NDArray[np.float64]) -> Figure:
        """Measure a mean over utterances.

        Args:
            values: (n,).

        Returns:
            The mean, with the interval of the resamples alone.
        """
        sums = np.zeros((int(self.clusters.max()) + 1, 2))
        np.add.at(sums, self.clusters, np.stack([values, np.ones(len(values))], axis=1))
        drawn = draws(sums, np.ones(len(sums), np.int64), RESAMPLES, 0)
        value = float(values.mean())
        return Figure(value, resampled(value, drawn[:, 0] / drawn[:, 1]), len(values), self.problem())

    def ua(self) -> Figure:
        """Measure UA.

        Returns:
            The mean recall of the classes that occur, in percent.
        """
        totals = self.matrix.sum(1)
        present = totals > 0
        value = float(metrics.scores(self.matrix).ua)
        alone = combined(np.full(len(totals), 1 / present.sum()), np.diagonal(self.matrix), totals)
        low, high = wider(resampled(value, metrics.scores(self.matrices).ua), alone)
        return Figure(100 * value, (100 * low, 100 * high), int(totals.sum()), self.problem())

    def part(self, keep: NDArray[np.bool_], *, one_speaker: bool = False) -> Sample:
        """Select utterances.

        Args:
            keep: (n,).
            one_speaker: See the attribute.

        Returns:
            The sample of these.
        """
        return Sample(self.result.subset(keep), self.limits, one_speaker)


def listed(figures: Sequence[Figure | None]) -> list[Figure]:
    """Leave out what could not be measured.

    Args:
        figures: Figures or None.

    Returns:
        The figures.
    """
    return [figure for figure in figures if figure is not None]
