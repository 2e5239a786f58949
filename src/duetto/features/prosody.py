"""What a voice does over a whole recording: eight values that no gain changes.

    samples, their `Pitch` ─ sustained voiced parts ─ pitch, level, spectrum of each ─▶ (8,)

Emotions that are equally lively are told apart by where a voice is going, by what rises along with its loudness, and
by how clear its tone is. All but the clarity are differences within the recording, from which whatever colours all of
it alike falls out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import pitch
from ._workspace import BLOCK, Windows

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
"""prominence: cepstral peak prominence, dB, mean and standard deviation over the parts (see `peak_prominence`).
pitch_drift, level_drift: last third of the parts against the first; median pitch in octaves, mean level in dB.
pitch_, low_, tilt_with_level: the loudest third of the parts against the softest, means; octaves and dB. low: the
energy of 50–250 Hz against that of 250–1000 Hz; tilt: that of 50–1000 Hz against all above. pitch_level_correlation:
Pearson's, of the parts; near 0 where either hardly varies. Prominence and tilt depend on the sample rate, up to half
of which the spectrum reaches."""

SUSTAINED = 5
"""So many voiced parts in a row count as voice: shorter ones are often errors of the pitch track."""

_LOWEST, _CORNERS = 50.0, (250.0, 1000.0)
_QUEFRENCIES = 1 / 400, 1 / 60
_FLOOR = 1e-9
"""Against the mean power of a part; the rounding of 16-bit recordings that are not soft lies near it."""
_SMALLEST_CEPSTRUM = 1e-3
_PITCH_NOISE, _LEVEL_NOISE = 0.01, 0.1
"""Octaves and dB: what the track itself scatters by, so that a monotone has no correlation."""
_TIE = 1e-6
"""dB within which parts are equally loud: those of a steady tone are, but for rounding."""
_EVERY = 2
"""Spectra are taken of every second part: 40 ms each, 20 ms apart."""


class Spectra(NamedTuple):
    """prominence, low, tilt of every part in dB, each (parts,) float64."""

    prominence: np.ndarray
    low: np.ndarray
    tilt: np.ndarray


def extract(
    samples: np.ndarray, sample_rate: int, track: pitch.Pitch, loud: np.ndarray, voiced: np.ndarray
) -> np.ndarray:
    """(8,) float64, columns `NAMES`. track: of the same (n,) samples; loud, voiced: masks of its parts, (parts,).

    Of the voiced parts those count that have four voiced neighbours in a row; where there are none, all loud ones;
    where these are none either, all values are 0. Raises `AudioError` as `pitch.track` does.
    """
    heard = _sustained(voiced)
    heard = heard if heard.any() else loud
    at = np.flatnonzero(heard)
    if not len(at):
        return np.zeros(len(NAMES))
    octaves = _smoothed(np.log2(track.hertz), heard)[at]
    decibels = 10 * np.log10(np.maximum(track.level[at], pitch.SILENT))
    spectra = _spectra(samples, sample_rate, at[::_EVERY])
    third = max(1, len(at) // 3)
    return np.array(
        (
            spectra.prominence.mean(),
            spectra.prominence.std(),
            _drift(octaves, third, np.median),
            _drift(decibels, third, np.mean),
            _rise(octaves, decibels),
            _correlation(octaves, decibels),
            _rise(spectra.low, decibels[::_EVERY]),
            _rise(spectra.tilt, decibels[::_EVERY]),
        )
    )


def _drift(values: np.ndarray, third: int, middle: Callable[[np.ndarray], np.floating]) -> float:
    return float(middle(values[-third:]) - middle(values[:third]))


def _rise(values: np.ndarray, decibels: np.ndarray) -> float:
    """The mean value in the loudest third less that in the softest."""
    soft, strong = np.percentile(decibels, (33, 67))
    return float(values[decibels >= strong - _TIE].mean() - values[decibels <= soft + _TIE].mean())


def _correlation(octaves: np.ndarray, decibels: np.ndarray) -> float:
    covariance = ((octaves - octaves.mean()) * (decibels - decibels.mean())).mean()
    return float(covariance / np.sqrt((octaves.var() + _PITCH_NOISE**2) * (decibels.var() + _LEVEL_NOISE**2)))


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """[first, behind the last) of every stretch that is True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _sustained(mask: np.ndarray) -> np.ndarray:
    """The same mask without its runs shorter than `SUSTAINED`."""
    out = np.zeros_like(mask)
    for first, behind in _runs(mask):
        out[first:behind] = behind - first >= SUSTAINED
    return out


def _smoothed(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Medians of five within every run of the mask, whose ends are repeated: single octave errors go."""
    out = values.copy()
    for first, behind in _runs(mask):
        held = np.pad(values[first:behind], 2, mode="edge")
        out[first:behind] = np.median(np.lib.stride_tricks.sliding_window_view(held, 5), axis=1)
    return out


def _spectra(samples: np.ndarray, sample_rate: int, at: np.ndarray) -> Spectra:
    """Of the parts `at`, in blocks, so that memory does not grow with the recording."""
    windows, scale = pitch.windows(samples, sample_rate)
    taper, size, edges = _tables(windows.shape[1], sample_rate)
    work = Windows(windows, scale, size)
    out = np.empty((3, len(at)))
    for start in range(0, len(at), BLOCK):
        parts = work.centred(at[start : start + BLOCK])
        parts *= taper
        power = work.power(parts)
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
    """How far the largest value of 20·log₁₀|cepstrum| lies above the straight line through all of them, (parts,).

    Over the quefrencies of 60–400 Hz. A clear tone has one high peak, a breathy or rough one has none (Hillenbrand,
    Cleveland & Erickson, "Acoustic correlates of breathy vocal quality", JSHR 37, 1994; there the line is drawn
    from 1 ms on). cepstrum (parts, size): of spectra in dB.
    """
    first, last = (round(seconds * sample_rate) for seconds in _QUEFRENCIES)
    level = 20 * np.log10(np.abs(cepstrum[:, first : last + 1]) + _SMALLEST_CEPSTRUM)
    level -= level.mean(1, keepdims=True)
    steps = np.arange(level.shape[1]) - (level.shape[1] - 1) / 2
    slope = level @ steps / (steps @ steps)
    return (level - slope[:, None] * steps).max(1)


@lru_cache(maxsize=8)
def _tables(width: int, sample_rate: int) -> tuple[np.ndarray, int, np.ndarray]:
    """Hann window (width,), FFT size, and the first bins of the bands from 50, 250 and 1000 Hz on."""
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(width) + 0.5) / width)
    size = 1 << (width - 1).bit_length()
    return taper, size, np.ceil(np.array((_LOWEST, *_CORNERS)) * size / sample_rate).astype(int)
