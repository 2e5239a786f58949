"""Speech without its pauses: what lies before, after and between is cut to a stated length.

samples, segments of speech ─ speech_ranges ─▶ [(start, end), …] to the sample ─ keep_speech ─▶ samples

The network decides *whether* something is speech, in steps of 32 ms whose grid starts with the recording; *where* it
begins and ends is decided by the level, to the sample. So a recording with some seconds of silence added before, after
or within is cut to exactly the same samples, as long as its own background is softer than `FLOOR_DECIBELS`. In louder
background the boundaries are those of the network, with `REACH_SECONDS` around them, and vary by some tens of
milliseconds.

Levels are variances of 20 ms in integer arithmetic of 16-bit steps: exact, on every processor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .activity import Segment, detect_speech
from .signal import INT16_FULL_SCALE, as_float
from .timing import samples

LONGEST_PAUSE_SECONDS = 0.2
"""A longer pause between two stretches of speech is shortened to this: its first and its last half of it stay."""

FLOOR_DECIBELS = -40
"""Relative to the loudest 20 ms of speech: what is softer is a pause, whatever the network says."""

REACH_SECONDS = 0.2
"""How far a stretch of sound may exceed the segment of speech that it belongs to, at either end."""

WINDOW_SECONDS = 0.02
"""Of the level. A stretch of sound includes every window that is loud enough, so up to 20 ms of silence at each end:
the margin of what is kept."""

_BLOCK = 1 << 16
"""Windows computed at once."""

_FLOOR = 10 ** (-FLOOR_DECIBELS // 10)
_LARGEST = 2 * INT16_FULL_SCALE
"""Samples beyond twice full scale are clipped for the level, so that no sum overflows."""


def speech_ranges(signal: np.ndarray, segments: Sequence[Segment]) -> list[Segment]:
    """Move the boundaries of segments to where the sound begins and ends.

    Args:
        signal: (n,) samples at 16 kHz.
        segments: Of `activity.detect_speech`.

    Returns:
        Ranges in samples, in order, without overlap: the parts of segments, each extended by `REACH_SECONDS` at most,
        in which the level of 20 ms is above `FLOOR_DECIBELS`. None where there are no segments.

    Raises:
        AudioError: The samples are not valid (`signal.validate_samples`).
    """
    sound = as_float(signal)
    if not segments:
        return []
    window = min(samples(WINDOW_SECONDS), len(sound))
    loudest = max(_loudest(sound[max(0, start - window + 1) : end + window - 1], window) for start, end in segments)
    loud = np.zeros(len(sound) - window + 3, np.int8)
    for at, level in _levels(sound, window):
        loud[at + 1 : at + 1 + len(level)] = level * _FLOOR > loudest
    change = np.diff(loud)
    return _within(np.flatnonzero(change == 1), np.flatnonzero(change == -1) + window - 1, segments, len(sound))


def _loudest(sound: NDArray[np.floating], window: int) -> int:
    return max((int(level.max()) for _, level in _levels(sound, window)), default=0)


def _levels(sound: NDArray[np.floating], window: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The variance of every window × window², in 16-bit steps: blocks, and where each begins. None for short sounds."""
    for at in range(0, len(sound) - window + 1, _BLOCK):
        piece = sound[at : at + _BLOCK + window - 1]
        steps = np.rint(np.clip(piece * INT16_FULL_SCALE, -_LARGEST, _LARGEST)).astype(np.int64)
        sums = np.concatenate(([0], np.cumsum(steps)))
        squares = np.concatenate(([0], np.cumsum(steps * steps)))
        total = sums[window:] - sums[:-window]
        yield at, window * (squares[window:] - squares[:-window]) - total * total


def _within(
    begins: NDArray[np.intp], ends: NDArray[np.intp], segments: Sequence[Segment], length: int
) -> list[Segment]:
    """Parts of stretches of sound that lie within reach of a segment which they meet; neighbours are joined."""
    reach = samples(REACH_SECONDS)
    found: list[Segment] = []
    for start, end in segments:
        met = slice(np.searchsorted(ends, start, "right"), np.searchsorted(begins, end, "left"))
        for begin, finish in zip(begins[met].tolist(), ends[met].tolist(), strict=True):
            part = (max(begin, start - reach, 0), min(finish, end + reach, length))
            if found and part[0] <= found[-1][1]:
                part = (found.pop()[0], part[1])
            found.append(part)
    return found


def keep_speech(signal: np.ndarray, segments: Sequence[Segment] | None = None) -> np.ndarray:
    """Cut what is before and after speech, and shorten long pauses within.

    Args:
        signal: (n,) samples at 16 kHz.
        segments: Of `activity.detect_speech`; computed by default.

    Returns:
        (m,) samples of the same type, m ≤ n: from the first range of `speech_ranges` to the last, with pauses of at
        most `LONGEST_PAUSE_SECONDS` between them. A signal without speech is returned whole.

    Raises:
        AudioError: The samples are not valid (`signal.validate_samples`).
    """
    ranges = speech_ranges(signal, detect_speech(signal) if segments is None else segments)
    if not ranges:
        return signal
    half = samples(LONGEST_PAUSE_SECONDS) // 2
    start, parts = ranges[0][0], []
    for (_, end), (following, _) in pairwise(ranges):
        if following - end > 2 * half:
            parts.append(signal[start : end + half])
            start = following - half
    return np.concatenate((*parts, signal[start : ranges[-1][1]]))
