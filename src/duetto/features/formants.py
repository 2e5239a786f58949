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
        power: (n, bins) power spectra from 0 to 8 kHz, above 0.

    Returns:
        The first three peaks above 150 Hz; where there are fewer, those of a neutral vowel stand in.
    """
    emphasis = _pre_emphasis(power.shape[1])
    correlation = np.fft.irfft(power[:, : len(emphasis)] * emphasis, axis=1)[:, : _ORDER + 1]
    correlation[:, 0] *= 1 + _WHITE
    envelope = -20 * np.log10(np.abs(np.fft.rfft(levinson(correlation), _POINTS, axis=1)))
    return _first_peaks(envelope)


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


def _first_peaks(envelope: np.ndarray) -> Formants:
    """Frequency and level of the first peaks of envelopes (n, points) from 0 to `HIGHEST_HZ`."""
    spacing = HIGHEST_HZ / (envelope.shape[1] - 1)
    inner = envelope[:, 1:-1]
    peak = (inner > envelope[:, :-2]) & (inner >= envelope[:, 2:])
    peak[:, : int(_LOWEST_HZ / spacing)] = False
    number = np.cumsum(peak, axis=1, dtype=np.int16)
    rows = np.arange(len(envelope))
    hertz, decibels = np.empty((2, len(envelope), FORMANTS))
    for i, default in enumerate(_DEFAULTS_HZ):
        at = np.where(number[:, -1] > i, (number > i).argmax(1) + 1, round(default / spacing))
        before, top, after = (envelope[rows, at + step] for step in (-1, 0, 1))
        bend = np.minimum(before - 2 * top + after, -1e-9)
        shift = np.where(number[:, -1] > i, np.clip(0.5 * (before - after) / bend, -0.5, 0.5), 0)
        hertz[:, i], decibels[:, i] = (at + shift) * spacing, top
    return Formants(hertz, decibels)


@lru_cache(maxsize=2)
def _pre_emphasis(bins: int) -> np.ndarray:
    """|1 − 0.97·z⁻¹|² of the bins up to `HIGHEST_HZ`."""
    hertz = np.arange(round(HIGHEST_HZ / SAMPLE_RATE * 2 * (bins - 1)) + 1) * SAMPLE_RATE / (2 * (bins - 1))
    return 1 + _EMPHASIS**2 - 2 * _EMPHASIS * np.cos(2 * np.pi * hertz / SAMPLE_RATE)
