"""Metrics of segmentation and recognition: precision, recall, F-score, R-value, time errors, word error rate.

    reference words, found words ─ boundary_counts ─▶ BoundaryCounts ─▶ .precision .recall .f_score .r_value
                                 ─ boundary_errors ─▶ BoundaryErrors    time differences of equal words
    reference words, found words ─ word_errors ─▶ WordErrors ─▶ .rate

Counts of several utterances are added (`+`); rates are never averaged, so that an utterance weighs in proportion to its
length. A ratio is 0 if only one side is non-empty, and NaN if neither is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..data.utterance import Word
from ..errors import ConfigurationError

_FUZZ = 1e-9  # seconds: 0.12 − 0.10 counts as within a tolerance of 0.02


@dataclass(frozen=True, slots=True)
class BoundaryCounts:
    """Counts behind precision and recall of boundaries.

    Attributes:
        hits: Pairs of a reference and a found boundary within the tolerance.
        reference: Boundaries in the reference.
        found: Boundaries found.
    """

    hits: int
    reference: int
    found: int

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        return BoundaryCounts(self.hits + other.hits, self.reference + other.reference, self.found + other.found)

    @property
    def precision(self) -> float:
        """Fraction of the found boundaries that are correct."""
        return _ratio(self.hits, self.found, self.reference)

    @property
    def recall(self) -> float:
        """Fraction of the reference boundaries that were found."""
        return _ratio(self.hits, self.reference, self.found)

    @property
    def f_score(self) -> float:
        """Harmonic mean of precision and recall: 2 hits / (reference + found)."""
        return _ratio(2 * self.hits, self.reference + self.found, 0)

    @property
    def r_value(self) -> float:
        """R-value: closeness to full recall without over-segmentation (Räsänen, Laine & Altosaar 2009).

        With recall H and over-segmentation O = found / reference − 1:
        R = 1 − (|r1| + |r2|) / 2, r1 = √((1 − H)² + O²), r2 = (H − O − 1) / √2. 1 is perfect; unlike the
        F-score it cannot be raised by adding random boundaries. Negative for more than about twice too many.
        """
        if self.reference == 0:
            return math.nan
        recall, over = self.hits / self.reference, self.found / self.reference - 1
        return 1 - (math.hypot(1 - recall, over) + abs(recall - over - 1) / math.sqrt(2)) / 2


def _ratio(numerator: int, denominator: int, other: int) -> float:
    if denominator:
        return numerator / denominator
    return 0.0 if other else math.nan


def boundary_times(words: Iterable[Word]) -> NDArray[np.float64]:
    """Collect the boundaries of words.

    Args:
        words: Those without times are ignored.

    Returns:
        Sorted times (n,) float64 in seconds of all starts and ends; an end that is also a start counts once.
    """
    times = [time for word in words for time in (word.start, word.end) if time is not None]
    return np.unique(np.round(np.array(times, dtype=np.float64), 6))


def boundary_counts(reference: ArrayLike, found: ArrayLike, tolerance: float = 0.02) -> BoundaryCounts:
    """Count the boundaries that were found; each boundary is paired at most once, and the pairing is maximal.

    Args:
        reference: Times (n,) in seconds, in any order; for words from `boundary_times`.
        found: Times (m,).
        tolerance: In seconds; 0.02 is usual for phones, 0.05 for words.

    Returns:
        The counts.

    Raises:
        ConfigurationError: Times or tolerance are not finite.
    """
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise ConfigurationError(f"tolerance is {tolerance}; give seconds, 0 or more")
    first, second = _times(reference, "reference"), _times(found, "found")
    # Greedy pairing is optimal: both are sorted, and all pairs have the same tolerance.
    hits = i = j = 0
    while i < len(first) and j < len(second):
        gap = second[j] - first[i]
        if abs(gap) <= tolerance + _FUZZ:
            hits, i, j = hits + 1, i + 1, j + 1
        elif gap > 0:
            i += 1
        else:
            j += 1
    return BoundaryCounts(hits, len(first), len(second))


def _times(times: ArrayLike, name: str) -> list[float]:
    array = np.asarray(times, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ConfigurationError(f"{name} boundaries must be finite seconds of shape (n,), not shape {array.shape}")
    return np.sort(array).tolist()


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Edits that turn the reference words into the recognised ones.

    Attributes:
        substitutions: Number of words replaced.
        deletions: Number of reference words that are missing.
        insertions: Number of words that are not in the reference.
        reference: Number of reference words.
    """

    substitutions: int
    deletions: int
    insertions: int
    reference: int

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference + other.reference,
        )

    @property
    def rate(self) -> float:
        """Word error rate: edits per reference word; above 1 if many words were inserted."""
        errors = self.substitutions + self.deletions + self.insertions
        if self.reference:
            return errors / self.reference
        return math.inf if errors else math.nan


def word_errors(reference: Sequence[str], recognised: Sequence[str]) -> WordErrors:
    """Count the errors along a Levenshtein alignment of two word sequences.

    Among alignments with the same number of edits, one with the most correct words is counted.

    Args:
        reference: Words; they are compared as they are, so normalise both sequences first.
        recognised: Words.

    Returns:
        The counts.
    """
    pairs = _edit_path(reference, recognised)
    substitutions = sum(a is not None and b is not None and reference[a] != recognised[b] for a, b in pairs)
    return WordErrors(substitutions, sum(b is None for _, b in pairs), sum(a is None for a, _ in pairs), len(reference))


def _edit_path(reference: Sequence[str], recognised: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """The shortest edit path with the most matches, as pairs of positions; None: deleted, or inserted."""
    ids = {word: number for number, word in enumerate(dict.fromkeys((*reference, *recognised)))}
    first = np.array([ids[word] for word in reference], dtype=np.int64)
    second = np.array([ids[word] for word in recognised], dtype=np.int64)
    n, m = len(first), len(second)
    edit = min(n, m) + 1  # cost of one edit, against −1 for a match: no number of matches outweighs an edit
    insertions = np.arange(m + 1, dtype=np.int64) * edit
    cost = np.empty((n + 1, m + 1), dtype=np.int64)
    cost[0] = insertions
    for i in range(1, n + 1):
        row = cost[i - 1] + edit  # deletion; then match or substitution, then runs of insertions in one sweep
        row[1:] = np.minimum(row[1:], cost[i - 1, :-1] + np.where(second == first[i - 1], -1, edit))
        cost[i] = np.minimum.accumulate(row - insertions) + insertions
    pairs: list[tuple[int | None, int | None]] = []
    i, j = n, m
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (-1 if first[i - 1] == second[j - 1] else edit):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and cost[i, j] == cost[i - 1, j] + edit:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


@dataclass(frozen=True, slots=True, eq=False)
class BoundaryErrors:
    """Absolute time errors of the words that two sequences share.

    Attributes:
        starts: (n,) float64, in seconds, one for each paired word.
        ends: (n,) float64, in seconds.
        unpaired: Timed reference words without a pair.
    """

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    unpaired: int

    def __add__(self, other: BoundaryErrors) -> BoundaryErrors:
        return BoundaryErrors(
            np.concatenate([self.starts, other.starts]),
            np.concatenate([self.ends, other.ends]),
            self.unpaired + other.unpaired,
        )

    def summary(self) -> dict[str, float]:
        """Summarise the errors.

        Returns:
            `{start,end}_{median,p90,max}` in seconds; NaN if no word was paired.
        """
        return {
            f"{name}_{label}": float(np.percentile(errors, share)) if len(errors) else math.nan
            for name, errors in (("start", self.starts), ("end", self.ends))
            for label, share in (("median", 50), ("p90", 90), ("max", 100))
        }


def boundary_errors(reference: Sequence[Word], found: Sequence[Word]) -> BoundaryErrors:
    """Compare the times of equal words, paired along a shortest edit path over their spelling.

    Args:
        reference: Words; those without times are ignored.
        found: Words; those without times are ignored.

    Returns:
        The absolute time errors.
    """
    first = [word for word in reference if word.start is not None]
    second = [word for word in found if word.start is not None]
    pairs = [
        (first[a], second[b])
        for a, b in _edit_path([word.word for word in first], [word.word for word in second])
        if a is not None and b is not None and first[a].word == second[b].word
    ]
    starts = np.array([(a.start or 0.0) - (b.start or 0.0) for a, b in pairs], dtype=np.float64)
    ends = np.array([(a.end or 0.0) - (b.end or 0.0) for a, b in pairs], dtype=np.float64)
    return BoundaryErrors(np.abs(starts), np.abs(ends), len(first) - len(pairs))
