"""Where a signal is loud, to the sample and exactly: variances of 20 ms in integer arithmetic of 16-bit steps.

samples ─ loudest ─▶ the largest variance ─ loud_ranges ─▶ [(start, end), …]
        └────────── sound_ranges ─────────────────────────▶ the same, relative to the loudest window

Sums of integers are the same on every processor, and those of a window do not depend on where the recording begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from .signal import INT16_FULL_SCALE
from .timing import samples

WINDOW_SECONDS = 0.02
"""Of a variance. A range includes every window that is loud enough, and so up to 20 ms of silence at each end."""

_BLOCK = 1 << 14
"""Windows computed at once: what they take is reused by the allocator. Larger arrays go back to the system each time,
and making them anew costs more than their content."""

_MOST_KEPT = 1 << 20
"""Windows whose variances are kept between two passes, 8 MB; those of a longer signal are computed twice."""

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
    return _ranges(sound, _levels(sound), reference, decibels)


def sound_ranges(sound: NDArray[np.floating], decibels: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the stretches of sound relative to the loudest window: `loud_ranges` with `loudest` as its reference.

    Args:
        sound: As for `loud_ranges`.
        decibels: Relative to the loudest window; as for `loud_ranges`.

    Returns:
        As `loud_ranges`.
    """
    if len(sound) > _MOST_KEPT:
        return loud_ranges(sound, loudest(sound), decibels)
    levels = list(_levels(sound))
    return _ranges(sound, levels, max((int(level.max()) for _, level in levels), default=0), decibels)


def _ranges(
    sound: NDArray[np.floating], levels: Iterable[tuple[int, NDArray[np.int64]]], reference: int, decibels: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    window = _window(sound)
    floor = reference // round(10 ** (-decibels / 10))
    loud = np.zeros(len(sound) - window + 3, np.int8)
    for at, level in levels:
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


def chunk_variances(chunks: NDArray[np.floating]) -> NDArray[np.int64]:
    """Compute the level of chunks.

    Args:
        chunks: (n, length) samples.

    Returns:
        (n,) variances in 16-bit steps, times the square of the chunks' length.
    """
    steps = _steps(chunks)
    return chunks.shape[1] * np.sum(steps * steps, axis=1) - np.sum(steps, axis=1) ** 2


def _window(sound: NDArray[np.floating]) -> int:
    return min(samples(WINDOW_SECONDS), len(sound))


def _levels(sound: NDArray[np.floating]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The variance of every window × window², in blocks, and where each block begins."""
    window = _window(sound)
    for at in range(0, len(sound) - window + 1, _BLOCK):
        piece = sound[at : at + _BLOCK + window - 1]
        steps = _steps(piece)
        total = _window_sums(steps, window)
        total *= total
        steps *= steps
        level = _window_sums(steps, window)
        level *= window
        level -= total
        yield at, level


def _steps(sound: NDArray[np.floating]) -> NDArray[np.int64]:
    """Samples in 16-bit steps."""
    clipped = np.clip(sound * INT16_FULL_SCALE, -_LARGEST, _LARGEST)
    return np.rint(clipped, out=clipped).astype(np.int64)


def _window_sums(values: NDArray[np.int64], window: int) -> NDArray[np.int64]:
    """The sum of every `window` values in turn."""
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:])
    return sums[window:] - sums[:-window]
