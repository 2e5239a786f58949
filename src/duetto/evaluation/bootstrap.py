"""The cluster bootstrap: whole speakers are drawn with replacement, from counts made once per speaker.

The confusion matrix of a resample is the sum of its speakers' confusion matrices, so drawing 2000 resamples is one
multinomial draw and one matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError
from .result import SystemResult

RESAMPLES = 2000
"""Default number of resamples."""
LEVEL = 0.95
"""Share of resamples that an interval holds."""
FEW_SPEAKERS = 10
"""With fewer speakers an interval over speakers is too narrow to be trusted; a note states it."""


def clusters_of(result: SystemResult) -> tuple[NDArray[np.int64], str, tuple[str, ...]]:
    """Group the utterances that are resampled together.

    Args:
        result: A result.

    Returns:
        The cluster of each utterance, (n,) integers from 0; what a cluster is, `speaker` or `utterance`; and notes for
        a reader of the intervals.
    """
    known = np.unique(result.speaker[result.speaker != ""])
    own = np.arange(len(result.ids))
    if len(known) < 2:
        known_speakers = "one speaker is" if len(known) else "no speaker is"
        note = f"{known_speakers} known: the intervals resample utterances, and do not generalise to other speakers"
        return own, "utterance", (note,)
    unknown = result.speaker == ""
    _, clusters = np.unique(np.where(unknown, -1 - own, np.searchsorted(known, result.speaker)), return_inverse=True)
    notes = []
    if unknown.any():
        notes.append(f"{int(unknown.sum())} utterances have no known speaker: each counts as a speaker of its own")
    if len(known) < FEW_SPEAKERS:
        notes.append(
            f"only {len(known)} speakers: intervals over so few are too narrow, and no evidence about other speakers"
        )
    return clusters.astype(np.int64), "speaker", tuple(notes)


def tally(
    target: NDArray[np.int64], predicted: NDArray[np.int64], clusters: NDArray[np.int64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the confusions of each cluster.

    Clusters of a single utterance with the same answers share a row, which makes resampling utterances as fast as
    resampling speakers.

    Args:
        target: (n,) integers.
        predicted: (runs, n) integers, a run being a seed of a system.
        clusters: (n,) integers from 0.
        size: Number of classes.

    Returns:
        Confusion counts (rows, runs, classes, classes), and the number of clusters that each row stands for, (rows,).
    """
    times = np.bincount(clusters)
    if times.max() == 1:
        cells, times = np.unique(np.vstack([target, predicted]), axis=1, return_counts=True)
        target, predicted, clusters = cells[0], cells[1:], np.arange(cells.shape[1])
    else:
        times = np.ones_like(times)
    runs = len(predicted)
    place = ((clusters * runs + np.arange(runs)[:, None]) * size + target) * size + predicted
    counts = np.bincount(place.ravel(), minlength=len(times) * runs * size * size)
    return counts.reshape(len(times), runs, size, size), times


def draws(sums: NDArray[Any], times: NDArray[np.int64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Draw clusters with replacement and add up their counts.

    Args:
        sums: (rows, …) counts of each row.
        times: (rows,) number of clusters that a row stands for.
        resamples: Number of resamples.
        seed: Seed of the generator.

    Returns:
        (resamples, …) totals.

    Raises:
        ConfigurationError: `resamples` is less than 1.
    """
    if resamples < 1:
        raise ConfigurationError(f"{resamples} resamples were requested; at least 1 is required, 2000 is usual")
    rng = np.random.default_rng(seed)
    total, step = int(times.sum()), max(1, 2_000_000 // len(times))
    rows = sums.reshape(len(times), -1).astype(np.float64)
    parts = [
        rng.multinomial(total, times / total, size=min(step, resamples - start)).astype(np.float64) @ rows
        for start in range(0, resamples, step)
    ]
    return np.concatenate(parts).reshape(resamples, *sums.shape[1:])


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Compute a percentile interval.

    Args:
        values: (resamples,) values of a measure.

    Returns:
        The bounds of the middle `LEVEL` of them.
    """
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
