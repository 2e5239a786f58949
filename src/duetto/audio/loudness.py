"""Where a signal is loud, to the sample and exactly: variances of 20 ms in integer arithmetic of 16-bit steps.

samples ─ loudest ─▶ the largest variance ─ loud_ranges ─▶ [(start, end), …]

Sums of integers are the same on every processor, and those of a window do not depend on where the recording begins.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .signal import INT16_FULL_SCALE
from .timing import samples

WINDOW_SECONDS = 0.02
"""Of a variance. A range includes every window that is loud enough, and so up to 20 ms of silence at each end."""

_BLOCK = 1 << 16
"""Windows computed at once."""

_LARGEST = 2 * INT16_FULL_SCALE
"""Samples beyond twice full scale are clipped, so that no sum overflows."""


def loudest(sound: NDArray[np.floating]) -> int:
    """Find the loudest window.

    Args:
        sound: (n,) samples at 16 kHz.

    Returns:
        Its variance in 16-bit steps, times the square of the window's length; 0 for a constant.
    """
    return max((int(level.max()) for _, level in _levels(sound)), default=0)


def loud_ranges(
    sound: NDArray[np.floating], reference: int, decibels: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the stretches of sound.

    Args:
        sound: (n,) samples at 16 kHz.
        reference: A variance of `loudest`.
        decibels: Relative to the reference, −60 to 0; windows that are louder count.

    Returns:
        (ranges,) first samples, and (ranges,) samples after the last, in order. Ranges may overlap by less than 20 ms.
    """
    window = _window(sound)
    floor = reference // round(10 ** (-decibels / 10))
    loud = np.zeros(len(sound) - window + 3, np.int8)
    for at, level in _levels(sound):
        loud[at + 1 : at + 1 + len(level)] = level > floor
    change = np.diff(loud)
    return np.flatnonzero(change == 1), np.flatnonzero(change == -1) + window - 1


def with_silence(sound: np.ndarray) -> np.ndarray:
    """Put a window of silence before and after a signal, as if the recording had begun earlier and ended later.

    Args:
        sound: (n,) samples at 16 kHz.

    Returns:
        (n + 640,) samples of the same type. The silence has the mean of the signal, rounded to 1/256 of full scale, so
        that a recording with an offset does not begin with a step.
    """
    unit = INT16_FULL_SCALE if sound.dtype == np.int16 else 1.0
    offset = np.round(np.mean(sound, dtype=np.float64) / unit * 256) / 256 * unit
    return np.pad(sound, samples(WINDOW_SECONDS), constant_values=sound.dtype.type(offset))


def _window(sound: NDArray[np.floating]) -> int:
    return min(samples(WINDOW_SECONDS), len(sound))


def _levels(sound: NDArray[np.floating]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The variance of every window × window², in blocks, and where each block begins."""
    window = _window(sound)
    for at in range(0, len(sound) - window + 1, _BLOCK):
        piece = sound[at : at + _BLOCK + window - 1]
        steps = np.rint(np.clip(piece * INT16_FULL_SCALE, -_LARGEST, _LARGEST)).astype(np.int64)
        sums = np.concatenate(([0], np.cumsum(steps)))
        squares = np.concatenate(([0], np.cumsum(steps * steps)))
        total = sums[window:] - sums[:-window]
        yield at, window * (squares[window:] - squares[:-window]) - total * total
