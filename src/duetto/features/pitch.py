"""Pitch every 10 ms, by autocorrelation.

    samples ─ 40 ms Hann windows ─ autocorrelation ÷ that of the window ─ best lag ─▶ Pitch(hertz, periodicity, level)

Dividing by the window's own autocorrelation undoes its taper, so a periodic sound reaches 1 at its period
(Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
sampled sound", IFA Proceedings 17, 1993). Of equally good lags the shortest is taken: a lag costs 0.02 an octave
(Boersma's octave cost is 0.01). No path is sought through the frames: what reads them takes medians.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..audio.signal import INT16_FULL_SCALE, validate_samples
from ..errors import AudioError
from ._workspace import BLOCK, Windows

STEP_SECONDS, WINDOW_SECONDS = 0.01, 0.04
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
OCTAVE_COST = 0.02
SILENT = 1e-12
"""Mean square below which a frame has no period."""


class Pitch(NamedTuple):
    """hertz: fundamental, meaningful where periodicity is high. periodicity: autocorrelation at that lag, 0–1,
    about the share of the energy that repeats. level: mean square. Each (frames,) float64."""

    hertz: np.ndarray
    periodicity: np.ndarray
    level: np.ndarray


def track(samples: np.ndarray, sample_rate: int) -> Pitch:
    """Pitch of (n,) samples, n ≥ 1, full scale ±1 or int16: frame t covers 40 ms from t · 10 ms on.

    Frames are those that fit whole; a shorter recording is filled with zeros to one frame. sample_rate: Hz.
    Raises `AudioError` for a rate below 2 kHz, at which a lag is too coarse a measure, and for samples that are
    empty, of another shape or type, not finite, or beyond ±100. Working memory is that of a block of frames.
    """
    cut, scale = windows(samples, sample_rate)
    first, last = int(sample_rate / HIGHEST_HZ), int(sample_rate / LOWEST_HZ)
    taper, own, size = window_tables(cut.shape[1], last + 2)
    work = Windows(cut, scale, size)
    out = np.empty((3, len(cut)))
    for at in range(0, len(cut), BLOCK):
        frames = work.centred(slice(at, at + BLOCK))
        part = out[:, at : at + BLOCK]
        part[2] = np.square(frames).mean(1)
        frames *= taper
        part[:2] = best_lags(work.inverse(work.power(frames)), own, first, last, cut.shape[1])
        part[0] = sample_rate / part[0]
        part[1, part[2] <= SILENT] = 0
    return Pitch(*out)


def windows(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """The frames of `track`, (frames, width), a view of the samples; and what brings them to full scale ±1.

    Raises `AudioError` as `track` does.
    """
    if not sample_rate >= 2000:
        raise AudioError(f"pitch needs at least 2000 samples a second, not {sample_rate}")
    signal = validate_samples(samples)
    step, width = round(STEP_SECONDS * sample_rate), round(WINDOW_SECONDS * sample_rate)
    if len(signal) < width:
        signal = np.pad(signal, (0, width - len(signal)))
    scale = 1 / INT16_FULL_SCALE if signal.dtype == np.int16 else 1.0
    return np.lib.stride_tricks.sliding_window_view(signal, width)[::step], scale


def best_lags(correlation: np.ndarray, own: np.ndarray, first: int, last: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The best lag from `first` to `last`, in samples, and the periodicity there, of autocorrelations (frames, lags).

    own: autocorrelation of the window. width: of a frame, for the floor of its energy.
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
    return candidates[best - 1] + shift, np.clip(at, 0, 1)


@lru_cache(maxsize=8)
def window_tables(width: int, lags: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Hann window (width,), its normalised autocorrelation, and an FFT size at which `lags` lags are not wrapped."""
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(width) + 0.5) / width)
    size = 1 << (width + lags - 1).bit_length()
    own = np.fft.irfft(np.square(np.abs(np.fft.rfft(taper, size))), size)
    return taper, own / own[0], size
