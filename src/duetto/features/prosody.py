"""Prosody of a whole recording: eight values that do not depend on the gain.

    samples, their `Pitch` ─ sustained voiced frames ─ pitch, level, spectrum of each ─▶ (8,)

Emotions of similar arousal differ in how pitch and level develop, in what rises with loudness, and in how clear the
tone is. All values but the clarity are differences within the recording, so a constant colouration by room, microphone
or line cancels out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import pitch
from ._windows import BLOCK, Windows

NAMES: tuple[str, ...] = (
    "prominence",
    "prominence_deviation",
    "pitch_drift",
    "level_drift",
    "pitch_with_level",
    "pitch_level_correlation",
    "low_with_level",
    "tilt_with_level",
)
"""The eight values, over the sustained voiced frames of the pitch track.

- prominence, prominence_deviation: cepstral peak prominence in dB, mean and standard deviation (`peak_prominence`).
- pitch_drift, level_drift: last third of the frames minus the first; median pitch in octaves, mean level in dB.
- pitch_with_level, low_with_level, tilt_with_level: mean over the loudest third of the frames minus that over the
  softest, in octaves and dB. low is the energy of 50–250 Hz relative to 250–1000 Hz, tilt that of 50–1000 Hz relative
  to all above.
- pitch_level_correlation: Pearson's; near 0 where either hardly varies.

Prominence and tilt depend on the sample rate, since the spectrum reaches up to half of it."""

SUSTAINED = 5
"""Shortest run of voiced frames that counts as voice: shorter ones are often errors of the pitch track."""

_LOWEST, _CORNERS = 50.0, (250.0, 1000.0)
_QUEFRENCIES = 1 / 400, 1 / 60
_FLOOR = 1e-9
"""Relative to the mean power of a frame; about the rounding noise of 16-bit recordings that are not soft."""
_SMALLEST_CEPSTRUM = 1e-3
_PITCH_NOISE, _LEVEL_NOISE = 0.01, 0.1
"""Octaves and dB: the scatter of the track itself, which keeps the correlation of a monotone near 0."""
_TIE = 1e-6
"""dB within which frames are equally loud, as those of a steady tone are but for rounding."""
_EVERY = 2
"""Spectra are taken of every second frame: 40 ms each, 20 ms apart."""


class Spectra(NamedTuple):
    """Spectral measures of frames in dB, each (frames,) float64; see `NAMES`.

    Attributes:
        prominence: Cepstral peak prominence.
        low: Energy of 50–250 Hz relative to 250–1000 Hz.
        tilt: Energy of 50–1000 Hz relative to all above.
    """

    prominence: np.ndarray
    low: np.ndarray
    tilt: np.ndarray


def extract(
    samples: np.ndarray, sample_rate: int, track: pitch.Pitch, loud: np.ndarray, voiced: np.ndarray
) -> np.ndarray:
    """Compute the prosody of a recording.

    The frames that count are those in runs of at least `SUSTAINED` voiced ones; where there are none, all loud ones;
    where there are none of these either, all values are 0.

    Args:
        samples: (n,) with full scale ±1, or int16.
        sample_rate: Hz, at least 2000.
        track: `pitch.track` of these samples.
        loud: Mask of the loud frames of the track, (frames,).
        voiced: Mask of the voiced frames of the track, (frames,).

    Returns:
        (8,) float64, in the order of `NAMES`.

    Raises:
        AudioError: As `pitch.track`.
    """
    counted = sustained(voiced)
    counted = counted if counted.any() else loud
    at = np.flatnonzero(counted)
    if not len(at):
        return np.zeros(len(NAMES))
    octaves = smoothed(np.log2(track.hertz), counted)[at]
    decibels = 10 * np.log10(np.maximum(track.level[at], pitch.SILENT))
    spectra = _spectra(samples, sample_rate, at[::_EVERY])
    third = max(1, len(at) // 3)
    return np.array(
        (
            spectra.prominence.mean(),
            spectra.prominence.std(),
            _drift(octaves, third, np.median),
            _drift(decibels, third, np.mean),
            rise(octaves, decibels),
            _correlation(octaves, decibels),
            rise(spectra.low, decibels[::_EVERY]),
            rise(spectra.tilt, decibels[::_EVERY]),
        )
    )


def _drift(values: np.ndarray, third: int, middle: Callable[[np.ndarray], np.floating]) -> float:
    return float(middle(values[-third:]) - middle(values[:third]))


def rise(values: np.ndarray, decibels: np.ndarray) -> float:
    """Compute how much a value rises with the level.

    Args:
        values: Of each part, (n,).
        decibels: Level of each part, (n,).

    Returns:
        Mean value in the loudest third minus that in the softest.
    """
    soft, strong = np.percentile(decibels, (33, 67))
    return float(values[decibels >= strong - _TIE].mean() - values[decibels <= soft + _TIE].mean())


def _correlation(octaves: np.ndarray, decibels: np.ndarray) -> float:
    covariance = ((octaves - octaves.mean()) * (decibels - decibels.mean())).mean()
    return float(covariance / np.sqrt((octaves.var() + _PITCH_NOISE**2) * (decibels.var() + _LEVEL_NOISE**2)))


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """[start, stop) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def sustained(mask: np.ndarray) -> np.ndarray:
    """Remove runs shorter than `SUSTAINED` from a mask.

    Args:
        mask: (n,) bool.

    Returns:
        (n,) bool.
    """
    out = np.zeros_like(mask)
    for start, stop in _runs(mask):
        out[start:stop] = stop - start >= SUSTAINED
    return out


def smoothed(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Compute running medians of five within every run of a mask, with its ends repeated: no single octave errors.

    Args:
        values: (n,).
        mask: (n,) bool.

    Returns:
        (n,); values outside of the mask are unchanged.
    """
    out = values.copy()
    for start, stop in _runs(mask):
        padded = np.pad(values[start:stop], 2, mode="edge")
        out[start:stop] = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    return out


def _spectra(samples: np.ndarray, sample_rate: int, at: np.ndarray) -> Spectra:
    """Measures of the frames `at`, in blocks, so that memory does not grow with the recording."""
    windows, scale = pitch.windows(samples, sample_rate)
    taper, size, edges = _tables(windows.shape[1], sample_rate)
    work = Windows(windows, scale, size)
    out = np.empty((3, len(at)))
    for start in range(0, len(at), BLOCK):
        frames = work.centred(at[start : start + BLOCK])
        frames *= taper
        power = work.power(frames)
        power += _FLOOR * power.mean(1, keepdims=True) + np.finfo(float).tiny
        lowest, middle, high = np.add.reduceat(power[:, edges[0] :], edges - edges[0], axis=1).T
        decibels = np.log10(power, out=power)
        decibels *= 10
        out[:, start : start + BLOCK] = (
            peak_prominence(work.inverse(decibels), sample_rate),
            10 * np.log10(lowest / middle),
            10 * np.log10((lowest + middle) / high),
        )
    return Spectra(*out)


def peak_prominence(cepstrum: np.ndarray, sample_rate: int) -> np.ndarray:
    """Compute how far the largest value of 20·log₁₀|cepstrum| lies above the regression line of all values.

    Over the quefrencies of 60–400 Hz. A clear tone has one high peak, a breathy or rough one has none (Hillenbrand,
    Cleveland & Erickson, "Acoustic correlates of breathy vocal quality", JSHR 37, 1994; there the line starts at 1 ms).

    Args:
        cepstrum: (frames, size), of spectra in dB.
        sample_rate: Hz.

    Returns:
        (frames,) dB.
    """
    first, last = (round(seconds * sample_rate) for seconds in _QUEFRENCIES)
    level = 20 * np.log10(np.abs(cepstrum[:, first : last + 1]) + _SMALLEST_CEPSTRUM)
    level -= level.mean(1, keepdims=True)
    steps = np.arange(level.shape[1]) - (level.shape[1] - 1) / 2
    slope = level @ steps / (steps @ steps)
    return (level - slope[:, None] * steps).max(1)


@lru_cache(maxsize=8)
def _tables(width: int, sample_rate: int) -> tuple[np.ndarray, int, np.ndarray]:
    """Hann window (width,), FFT size, and the first bins of the bands above 50, 250 and 1000 Hz."""
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(width) + 0.5) / width)
    size = 1 << (width - 1).bit_length()
    return taper, size, np.ceil(np.array((_LOWEST, *_CORNERS)) * size / sample_rate).astype(int)
