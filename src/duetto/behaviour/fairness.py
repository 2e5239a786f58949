"""Fairness: does a model find the emotions of one group less often, or answer a class more often for it?

Each group is compared with the utterances of all other groups. Both measures weigh the true classes alike, and take
only those that both sides have, so that a group is not judged by what it happened to say:

    UA(g) = mean over classes k of P(answer k | k, g)        share(c | g) = mean over classes k of P(answer c | k, g)

The intervals of one grouping hold all at once (Bonferroni), since a group among many differs by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..data.utterance import Utterance
from ..metrics.classification import ratio
from .correctness import GROUPINGS, groups
from .figures import Figure, Sample, combined, resampled, wider
from .outcome import FAILED, PASSED, UNDECIDED, Limit, Outcome
from .thresholds import Limits

_GROUP = "fairness"


def outcomes(sample: Sample, utterances: Sequence[Utterance], limits: Limits) -> Iterator[Outcome]:
    """Compare groups of people.

    Args:
        sample: Answers for the recordings as they are.
        utterances: Of the sample, in its order.
        limits: The limits.

    Yields:
        Two tests for each group; for two groups, of their difference alone.
    """
    for by in GROUPINGS:
        known = np.array([getattr(u, by) is not None for u in utterances], bool)
        found = groups(utterances, by)
        compared = dict(list(found.items())[:1]) if len(found) == 2 else found
        for name, inside in compared.items():
            other = next(n for n in found if n != name) if len(found) == 2 else "others"
            about = {"kind": by, "subject": name, "title": f"{name} − {other}"}
            pair = _Pair.of(sample, inside, known & ~inside, len(compared), by)
            if pair is not None:
                yield from pair.outcomes(limits, about)


class _Pair:
    """Answers for a group and for the others, over the classes that both have."""

    def __init__(self, group: Sample, others: Sample, rows: NDArray[np.int64], comparisons: int) -> None:
        self._sides, self._rows, self._comparisons = (group, others), rows, comparisons

    @classmethod
    def of(
        cls, sample: Sample, group: NDArray[np.bool_], others: NDArray[np.bool_], comparisons: int, by: str
    ) -> _Pair | None:
        target = sample.result.target
        rows = np.intersect1d(target[group], target[others])
        if not len(rows):
            return None
        both = np.isin(target, rows)
        sides = (sample.part(group & both, one_speaker=by == "speaker"), sample.part(others & both))
        return cls(*sides, rows, comparisons)

    def outcomes(self, limits: Limits, about: dict[str, str]) -> Iterator[Outcome]:
        limit = limits.limit(_GROUP, "ua_difference", about["subject"])
        weights = np.eye(len(self._sides[0].result.classes))[self._rows] / len(self._rows)
        yield self._figure(weights, self._comparisons).against(limit, _GROUP, "ua_difference", **about)
        yield self._shares(limits.limit(_GROUP, "share_difference", about["subject"]), about)

    def _figure(self, weights: NDArray[np.float64], comparisons: int) -> Figure:
        """Difference of Σ weights[k, c] · P(answer c | k) between the sides, in points."""
        sides = (self._terms(1, weights), self._terms(-1, weights))
        signed, hits, totals = (np.concatenate(pair) for pair in zip(*sides, strict=True))
        value, drawn = self._differences(weights)
        bounds = wider(resampled(value, drawn, comparisons), combined(signed, hits, totals, comparisons))
        problem = next(filter(None, (side.problem() for side in self._sides)), "")
        size = len(self._sides[0].result.ids)
        return Figure(100 * value, (100 * bounds[0], 100 * bounds[1]), size, problem)

    def _terms(self, sign: int, weights: NDArray[np.float64]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, hits and totals of one side: one share for each true class."""
        matrix = self._sides[0 if sign > 0 else 1].matrix[self._rows]
        chosen = weights > 0
        return sign * weights.max(1), (matrix * chosen).sum(1), matrix.sum(1)

    def _differences(self, weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The difference, and that of each resample; (resamples,) are paired at random."""

        def measured(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
            rates = ratio(matrices[:, self._rows], matrices[:, self._rows].sum(-1, keepdims=True))
            present = ~np.isnan(rates[..., 0])
            # A resample that lacks a class is measured on the classes that it has.
            return ratio(np.nansum(rates * weights, axis=(1, 2)) * len(self._rows), present.sum(1))

        group, others = self._sides
        point = measured(group.matrix[None].astype(float)) - measured(others.matrix[None].astype(float))
        return float(point[0]), measured(group.matrices) - measured(np.roll(others.matrices, 1, axis=0))

    def _shares(self, limit: Limit, about: dict[str, str]) -> Outcome:
        """The class whose share differs most; failed where any class fails, passed where all pass."""
        classes = self._sides[0].result.classes
        figures = []
        for c in range(len(classes)):
            weights = np.zeros((len(self._rows), len(classes)))
            weights[:, c] = 1 / len(self._rows)
            figures.append(self._figure(weights, self._comparisons * len(classes)))
        decided = [limit.decide(*figure.ci95) for figure in figures]
        most = metrics.best_index(
            [abs(figure.value) + 1e3 * (d == FAILED) for figure, d in zip(figures, decided, strict=True)]
        )
        largest = figures[most]
        outcome = largest.against(limit, _GROUP, "share_difference", **about)
        status = FAILED if FAILED in decided else PASSED if set(decided) == {PASSED} else UNDECIDED
        note = "; ".join(filter(None, (largest.problem, f"class {classes[most]}")))
        return Outcome(**{**outcome.__dict__, "status": UNDECIDED if largest.problem else status, "note": note})
