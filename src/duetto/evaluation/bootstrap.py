"""The cluster bootstrap: whole speakers are drawn with replacement, as totals of counts made once a speaker.

A resample's confusion matrix is the sum of its speakers' confusion matrices, so drawing 2000 resamples is one
multinomial draw and one matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError
from .result import SystemResult

RESAMPLES = 2000
LEVEL = 0.95
"""Share of resamples that an interval holds."""
FEW_SPEAKERS = 10
"""Below this many speakers an interval over speakers is too narrow to be trusted, and says so."""


def clusters_of(result: SystemResult) -> tuple[NDArray[np.int64], str, tuple[str, ...]]:
    """For each utterance the number, from 0, of what is resampled with it; its name; and what to say of it."""
    known = np.unique(result.speaker[result.speaker != ""])
    own = np.arange(len(result.ids))
    if len(known) < 2:
        seen = "one speaker is" if len(known) else "no speaker is"
        note = f"{seen} known: the intervals resample utterances, and say nothing about other speakers"
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
    """Confusion counts (clusters, runs, classes, classes), and how many clusters have each.

    Clusters of one utterance that were answered alike are told by one row, which makes resampling
    utterances as quick as resampling speakers.
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
    """Totals (resamples, …) of `sums` (rows, …) over clusters drawn with replacement; row i stands for times[i]."""
    if resamples < 1:
        raise ConfigurationError(f"{resamples} resamples were asked for; at least 1 is required, 2000 is usual")
    rng = np.random.default_rng(seed)
    total, step = int(times.sum()), max(1, 2_000_000 // len(times))
    rows = sums.reshape(len(times), -1).astype(np.float64)
    parts = [
        rng.multinomial(total, times / total, size=min(step, resamples - start)).astype(np.float64) @ rows
        for start in range(0, resamples, step)
    ]
    return np.concatenate(parts).reshape(resamples, *sums.shape[1:])


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
