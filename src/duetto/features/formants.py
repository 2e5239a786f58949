"""Formants by linear prediction from a power spectrum.

    power (n, bins) ─ 0–5.5 kHz, pre-emphasis ─ autocorrelation ─ Levinson–Durbin ─ peaks of the envelope ─▶ Formants

The envelope's peaks are taken instead of the polynomial's roots: where two formants merge into one peak, the higher one
is the next peak, but no eigenvalues are needed, which would take longer than all other contours together.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..audio.timing import SAMPLE_RATE

FORMANTS = 3
HIGHEST_HZ = 5500.0
"""Vowels of adults have five formants below it (Markel & Gray, "Linear prediction of speech", 1976)."""

_ORDER = 11
_LOWEST_HZ = 150.0
_EMPHASIS = 0.97
_POINTS = 512
_DEFAULTS_HZ = (600.0, 1600.0, 2700.0)
"""Of a formant that has no peak."""
_WHITE = 1e-4
"""Noise added to the autocorrelation, which keeps the recursion stable on pure tones."""


class Formants(NamedTuple):
    """Formants 1–3 of each frame.

    Attributes:
        hertz: (n, 3) frequencies.
        decibels: (n, 3) levels of the LPC envelope there, against its gain.
    """

    hertz: np.ndarray
    decibels: np.ndarray


def track(power: np.ndarray) -> Formants:
    """Find the formants of each frame.

    Args:
        power: (n, bins) float64 power spectra from 0 to 8 kHz, above 0.

    Returns:
        The first three peaks above 150 Hz; where there are fewer, those of a neutral vowel stand in.
    """
    bins = round(HIGHEST_HZ / SAMPLE_RATE * 2 * (power.shape[1] - 1)) + 1
    correlation = power[:, :bins] @ _correlating(power.shape[1])
    correlation[:, 0] *= 1 + _WHITE
    return _first_peaks(_inverse_envelope(levinson(correlation)))


def levinson(correlation: np.ndarray) -> np.ndarray:
    """Solve the normal equations of linear prediction by the Levinson–Durbin recursion.

    Args:
        correlation: (n, order + 1) autocorrelations, positive definite.

    Returns:
        (n, order + 1) coefficients of the prediction error filter, the first of them 1.
    """
    filters = np.zeros_like(correlation)
    filters[:, 0] = 1
    error = correlation[:, 0].copy()
    for order in range(1, correlation.shape[1]):
        reflection = -np.einsum("ij,ij->i", filters[:, :order], correlation[:, order:0:-1]) / error
        filters[:, 1 : order + 1] += reflection[:, None] * filters[:, :order][:, ::-1]
        error *= 1 - reflection**2
    return filters


def _inverse_envelope(filters: np.ndarray) -> np.ndarray:
    """|A|² of prediction error filters (n, order + 1), whose minima are the envelope's peaks: (n, points) from 0 to
    `HIGHEST_HZ`, by the cosine series of the filters' own autocorrelations."""
    length = filters.shape[1]
    own = [np.einsum("ij,ij->i", filters[:, : length - k], filters[:, k:]) for k in range(length)]
    return np.stack(own, axis=1) @ _cosines(length)


def _first_peaks(inverse: np.ndarray) -> Formants:
    """Frequency and level of the first peaks of 1 / inverse (n, points) from 0 to `HIGHEST_HZ`."""
    spacing = HIGHEST_HZ / (inverse.shape[1] - 1)
    inner = inverse[:, 1:-1]
    peak = (inner < inverse[:, :-2]) & (inner <= inverse[:, 2:])
    peak[:, : int(_LOWEST_HZ / spacing)] = False
    row, place = np.nonzero(peak)
    count = np.bincount(row, minlength=len(inverse))
    start, rows = np.cumsum(count) - count, np.arange(len(inverse))
    place = np.append(place, np.zeros(FORMANTS, int))  # beyond the last peak, where none is used
    hertz, decibels = np.empty((2, len(inverse), FORMANTS))
    for i, default in enumerate(_DEFAULTS_HZ):
        at = np.where(count > i, place[start + i] + 1, round(default / spacing))
        before, top, after = (-10 * np.log10(inverse[rows, at + step]) for step in (-1, 0, 1))
        bend = np.minimum(before - 2 * top + after, -1e-9)
        shift = np.where(count > i, np.clip(0.5 * (before - after) / bend, -0.5, 0.5), 0)
        hertz[:, i], decibels[:, i] = (at + shift) * spacing, top
    return Formants(hertz, decibels)


@lru_cache(maxsize=2)
def _correlating(bins: int) -> np.ndarray:
    """(bins up to `HIGHEST_HZ`, order + 1): what a power spectrum of `bins` up to 8 kHz is multiplied by to give the
    autocorrelations of the sound below `HIGHEST_HZ` after a pre-emphasis of 1 − 0.97·z⁻¹."""
    count = round(HIGHEST_HZ / SAMPLE_RATE * 2 * (bins - 1)) + 1
    angle = np.pi * np.arange(count) / (bins - 1)
    emphasis = 1 + _EMPHASIS**2 - 2 * _EMPHASIS * np.cos(angle)
    emphasis[1:-1] *= 2  # the negative frequencies
    turn = np.pi * np.arange(count) / (count - 1)
    return emphasis[:, None] / (2 * (count - 1)) * np.cos(turn[:, None] * np.arange(_ORDER + 1))


@lru_cache(maxsize=2)
def _cosines(length: int) -> np.ndarray:
    """(length, points): the cosine series of autocorrelations at lags 0, 1, …"""
    angle = np.pi * np.arange(_POINTS // 2 + 1) / (_POINTS // 2)
    series = 2 * np.cos(np.arange(length)[:, None] * angle)
    series[0] = 1
    return series
