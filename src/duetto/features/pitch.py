"""Pitch every 10 ms, by autocorrelation.

    samples ─ 40 ms Hann windows ─ autocorrelation ÷ that of the window ─ best lag ─▶ Pitch(hertz, periodicity, level)

Dividing by the window's own autocorrelation undoes its taper, so a periodic sound reaches 1 at its period (Boersma,
"Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled sound", IFA
Proceedings 17, 1993). Of equally good lags the shortest wins: a lag costs 0.02 per octave (Boersma's octave cost is
0.01). Frames are independent, without a search for the best path through them: `voice` and `prosody` take medians.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..audio.signal import INT16_FULL_SCALE, validate_samples
from ..errors import AudioError
from ._windows import BLOCK, Windows

STEP_SECONDS, WINDOW_SECONDS = 0.01, 0.04
"""Step between frames, and length of a frame."""

LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
"""Range of the fundamental frequency."""

OCTAVE_COST = 0.02
"""Periodicity that a lag loses for each octave below `HIGHEST_HZ`."""

SILENT = 1e-12
"""Mean square at or below which a frame has no period."""


class Pitch(NamedTuple):
    """The pitch track of a recording; arrays are (frames,) float64.

    Attributes:
        hertz: Fundamental frequency, meaningful where periodicity is high.
        periodicity: Normalised autocorrelation at that lag, 0–1: about the share of the energy that repeats.
        level: Mean square of the frame, its mean removed.
    """

    hertz: np.ndarray
    periodicity: np.ndarray
    level: np.ndarray


def track(samples: np.ndarray, sample_rate: int) -> Pitch:
    """Track the pitch of a recording; frame t covers 40 ms from t · 10 ms on.

    Only complete frames count; a recording shorter than one is zero-padded. Working memory is that of a block of
    frames.

    Args:
        samples: (n,) with full scale ±1, or int16.
        sample_rate: Hz, at least 2000: below, lags are too coarse.

    Returns:
        The pitch track.

    Raises:
        AudioError: The sample rate is too low, or the samples are not valid (`audio.signal.validate_samples`).
    """
    views, scale = windows(samples, sample_rate)
    first, last = int(sample_rate / HIGHEST_HZ), int(sample_rate / LOWEST_HZ)
    taper, own, size = window_tables(views.shape[1], last + 2)
    work = Windows(views, scale, size)
    out = np.empty((3, len(views)))
    for at in range(0, len(views), BLOCK):
        frames = work.centred(slice(at, at + BLOCK))
        part = out[:, at : at + BLOCK]
        part[2] = np.square(frames).mean(1)
        frames *= taper
        part[:2] = best_lags(work.inverse(work.power(frames)), own, first, last, views.shape[1])
        part[0] = sample_rate / part[0]
        part[1, part[2] <= SILENT] = 0
    return Pitch(*out)


def windows(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """Cut samples into the frames of `track`.

    Args:
        samples: As for `track`.
        sample_rate: As for `track`.

    Returns:
        (frames, width) view of the samples, and the factor that brings them to full scale ±1.

    Raises:
        AudioError: As `track`.
    """
    if not sample_rate >= 2000:
        raise AudioError(f"pitch needs a sample rate of at least 2000 Hz, not {sample_rate}")
    signal = validate_samples(samples)
    step, width = round(STEP_SECONDS * sample_rate), round(WINDOW_SECONDS * sample_rate)
    if len(signal) < width:
        signal = np.pad(signal, (0, width - len(signal)))
    scale = 1 / INT16_FULL_SCALE if signal.dtype == np.int16 else 1.0
    return np.lib.stride_tricks.sliding_window_view(signal, width)[::step], scale


def best_lags(
    correlation: np.ndarray, own: np.ndarray, first: int, last: int, width: int, *, between: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Find the best lag of each frame.

    Args:
        correlation: (frames, lags) autocorrelations, from lag 0 on.
        own: (lags,) normalised autocorrelation of the window.
        first: Shortest lag, in samples.
        last: Longest lag, in samples.
        width: Samples of a frame, for the floor of its energy.
        between: Whether the periodicity is that at the fraction of a sample, by the same parabola as the lag; else that
            at the whole sample next to it, which is lower for sounds with strong high harmonics.

    Returns:
        Lags in samples, with a fraction, and the periodicity there, 0–1; (frames,) each.
    """
    # One lag more on either side, for the parabola through the best and its neighbours.
    lags = slice(first - 1, last + 2)
    norm = np.maximum(correlation[:, :1], SILENT * width)
    periodicity = correlation[:, lags] / norm
    periodicity /= own[lags]
    candidates = np.arange(first, last + 1)
    best = (periodicity[:, 1:-1] - OCTAVE_COST * np.log2(candidates / first)).argmax(1) + 1
    rows = np.arange(len(best))
    before, at, after = (periodicity[rows, best + i] for i in (-1, 0, 1))
    bend = np.minimum(before - 2 * at + after, -1e-9)
    shift = np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    height = at - 0.25 * (before - after) * shift if between else at
    return candidates[best - 1] + shift, np.clip(height, 0, 1)


@lru_cache(maxsize=8)
def window_tables(width: int, lags: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Make what all frames of one width share.

    Args:
        width: Samples of a frame.
        lags: Of the autocorrelation that are needed.

    Returns:
        Hann window (width,), its normalised autocorrelation, and an FFT size at which these lags do not wrap around.
    """
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(width) + 0.5) / width)
    size = 1 << (width + lags - 1).bit_length()
    own = np.fft.irfft(np.square(np.abs(np.fft.rfft(taper, size))), size)
    return taper, own / own[0], size
