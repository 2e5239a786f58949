"""Speech without its pauses: what lies before, after and between is cut to a stated length.

samples, segments of speech ─ speech_ranges ─▶ [(start, end), …] to the sample ─ keep_speech ─▶ samples

The network decides *whether* something is speech, in steps of 32 ms whose grid starts with the recording; *where* it
begins and ends is decided by the level, to the sample. So a recording with some seconds of silence added before, after
or within is cut to exactly the same samples, as long as its own background is softer than `FLOOR_DECIBELS`. In louder
background the boundaries are those of the network, with `REACH_SECONDS` around them, and vary by some tens of
milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .activity import Segment, detect_speech
from .loudness import loud_ranges, loudest, with_silence
from .signal import as_float
from .timing import samples

LONGEST_PAUSE_SECONDS = 0.2
"""A longer pause between two stretches of speech is shortened to this: its first and its last half of it stay."""

FLOOR_DECIBELS = -40
"""Relative to the loudest 20 ms of speech: what is softer is a pause, whatever the network says."""

REACH_SECONDS = 0.2
"""How far a stretch of sound may exceed the segment of speech that it belongs to, at either end."""


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
    reference = max(loudest(sound[start:end]) for start, end in segments)
    return _within(*loud_ranges(sound, reference, FLOOR_DECIBELS), segments, len(sound))


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
        (m,) samples of the same type: from the first range of `speech_ranges` to the last, with pauses of at most
        `LONGEST_PAUSE_SECONDS` between them. Where the recording begins or ends with sound, up to 20 ms of silence are
        added there, as are kept of a silence that is recorded. A signal without speech is returned whole.

    Raises:
        AudioError: The samples are not valid (`signal.validate_samples`).
    """
    segments = detect_speech(signal) if segments is None else segments
    padded = with_silence(signal)
    margin = (len(padded) - len(signal)) // 2
    ranges = speech_ranges(padded, [(start + margin, end + margin) for start, end in segments])
    if not ranges:
        return signal
    signal = padded
    half = samples(LONGEST_PAUSE_SECONDS) // 2
    start, parts = ranges[0][0], []
    for (_, end), (following, _) in pairwise(ranges):
        if following - end > 2 * half:
            parts.append(signal[start : end + half])
            start = following - half
    return np.concatenate((*parts, signal[start : ranges[-1][1]]))
