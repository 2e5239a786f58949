"""One vector a recording: how the contours of its speech are distributed, and how they move.

    samples ─ contours (frames, 39) ─ weighted statistics of speech, of voice ─┬─▶ (1, 632)
                                    └ timing of speech, pauses and voicing ────┘

Mean and deviation alone lose four to five points of UA against all statistics; the mel-cepstra are the core of them.
Frames count by weights between 0 and 1, so silence before, within and after speech does not count, and nothing jumps
where a frame is neither speech nor silence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _windows, contours
from .contours import Contours
from .extractor import cache_key
from .pitch import STEP_SECONDS

STATISTICS: tuple[str, ...] = (
    "mean",
    "deviation",
    "p5",
    "p20",
    "p50",
    "p80",
    "p95",
    "range_90",
    "range_60",
    "skew",
    "tail",
    "slope",
    "drift",
    "step",
    "step_deviation",
    "stride",
)
"""Of each contour over the frames that count, weighted. p5–p95: percentiles. range_90, range_60: p95 − p5, p80 − p20.
skew, tail: third moment, and root of the fourth, of the standardised values. slope: least-squares change over the
time that counts. drift: mean of the last third less that of the first, their edges soft. step, step_deviation: mean
size, and root mean square, of the change in 10 ms; stride: mean size of the change in 50 ms."""

TIMING: tuple[str, ...] = (
    "speech_share",
    "pause_rate",
    "pause_seconds",
    "voiced_share",
    "voiced_rate",
    "voiced_seconds",
    "unvoiced_seconds",
    "log_seconds",
)
"""Of the time from the first speech to the last. _share: of that time. _rate: stretches a second. _seconds: their mean
length. log_seconds: natural logarithm of the time itself."""

NAMES: tuple[str, ...] = (*(f"{name}_{statistic}" for statistic in STATISTICS for name in contours.NAMES), *TIMING)
LONGEST_SECONDS = 600.0
"""A longer recording is described by its first ten minutes, which bounds the memory: 60,000 frames."""

_PERCENTILES = np.array((0.05, 0.2, 0.5, 0.8, 0.95))
_STRIDE = 5
_CONSTANT = 1e-3
"""Added to deviations before values are divided by them, in each contour's own unit: far above rounding (1e-5), far
below what speech varies, so that the skew of a constant is 0."""
_SMALLEST = 1e-6
"""Sum of weights below which nothing counts."""
_SLIGHT = 1e-3
"""Weight of speech where voice is asked for: a recording without voice has statistics all the same."""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class FunctionalsConfig:
    """The extractor of functionals; it has no settings."""

    def key(self) -> str:
        """The key of the feature store.

        Returns:
            Canonical JSON.
        """
        return cache_key("functionals", _VERSION)

    @_windows.small_buffer
    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Compute the functionals of a recording, or of its first `LONGEST_SECONDS`.

        Args:
            samples: (n,), n ≥ 1, full scale ±1 or int16.
            sample_rate: 16 000 Hz.

        Returns:
            (1, 632) float32, columns `NAMES`, all finite.

        Raises:
            AudioError: As `contours.extract`.
        """
        found = contours.extract(samples, sample_rate, round(LONGEST_SECONDS / STEP_SECONDS))
        voiced = np.isin(contours.NAMES, contours.VOICED_ONLY)
        values = np.empty((len(STATISTICS), len(contours.NAMES)))
        values[:, ~voiced] = statistics(found.values[:, ~voiced], found.speech)
        values[:, voiced] = statistics(found.values[:, voiced], found.voiced + _SLIGHT * found.speech)
        return np.concatenate((values.ravel(), timing(found))).astype(np.float32)[None]


def statistics(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the weighted statistics of contours.

    Args:
        values: (frames, n).
        weights: (frames,), at least 0, not all 0. A frame of weight 0 changes nothing.

    Returns:
        (16, n) float64, rows `STATISTICS`.
    """
    share = weights / weights.sum()
    mean = share @ values
    centred = values - mean
    deviation = np.sqrt(share @ centred**2)
    scaled = centred / (deviation + _CONSTANT)
    squares = scaled**2
    percentiles = _percentiles(centred, share) + mean
    time = np.cumsum(share) - share / 2  # 0–1, in frames that count
    late = share * (time - share @ time)
    slope = late @ centred / max(late @ time, _SMALLEST)
    drift = _mean_of(centred, share * np.clip((time - 0.6) / 0.1, 0, 1))
    drift -= _mean_of(centred, share * np.clip((0.4 - time) / 0.1, 0, 1))
    step, step_deviation = _changes(values, weights, 1)
    return np.stack(
        (
            mean,
            deviation,
            *percentiles,
            percentiles[4] - percentiles[0],
            percentiles[3] - percentiles[1],
            share @ (squares * scaled),
            np.sqrt(share @ squares**2),
            slope,
            drift,
            step,
            step_deviation,
            _changes(values, weights, _STRIDE)[0],
        )
    )


def timing(found: Contours) -> np.ndarray:
    """Describe speech, pauses and voicing from the first speech to the last.

    Args:
        found: Contours of a recording, whose weights count a frame in part where it is neither one thing nor the other.

    Returns:
        (8,) float64, columns `TIMING`.
    """
    speech, voiced = found.speech, found.voiced
    inside = np.minimum(np.maximum.accumulate(speech), np.maximum.accumulate(speech[::-1])[::-1])
    frames = inside.sum()
    seconds = frames * STEP_SECONDS
    pauses, voices = _stretches(inside - speech), _stretches(voiced)
    return np.array(
        (
            speech.sum() / frames,
            pauses / seconds,
            (inside - speech).sum() * STEP_SECONDS / max(pauses, 1),
            voiced.sum() / frames,
            voices / seconds,
            voiced.sum() * STEP_SECONDS / max(voices, 1),
            (inside - voiced).sum() * STEP_SECONDS / (voices + 1),
            np.log(seconds),
        )
    )


def _mean_of(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means (n,) of (frames, n); of nothing, 0."""
    return weights @ values / max(weights.sum(), _SMALLEST)


def _percentiles(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(5, n) weighted percentiles of (frames, n); share: (frames,) weights that sum to 1.

    The mean of the quantile function over the width of one frame about each percentile. Where all weights are equal,
    that is Hazen's interpolation between two values; where they are not, it takes unlike weights into account without a
    jump. A frame's width is the sum of the squared shares: 1 / n for n equal ones.
    """
    half = (share @ share) / 2
    low, high = np.maximum(_PERCENTILES - half, 0), np.minimum(_PERCENTILES + half, 1)
    order = values.argsort(0)
    ranked, weights = np.take_along_axis(values, order, 0), share[order]
    edges, integrals = np.zeros((2, len(values) + 1, values.shape[1]))
    np.cumsum(weights, axis=0, out=edges[1:])
    np.cumsum(weights * ranked, axis=0, out=integrals[1:])
    wanted = np.concatenate((low, high))
    found = [np.interp(wanted, edges[:, i], integrals[:, i]) for i in range(values.shape[1])]
    lower, upper = np.split(np.stack(found, axis=1), 2)
    return (upper - lower) / (high - low)[:, None]


def _changes(values: np.ndarray, weights: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean size and root mean square (n,) of the changes over `stride` frames between frames that both count."""
    if len(values) <= stride:
        return np.zeros(values.shape[1]), np.zeros(values.shape[1])
    change = values[stride:] - values[:-stride]
    both = weights[stride:] * weights[:-stride]
    return _mean_of(np.abs(change), both), np.sqrt(_mean_of(change**2, both))


def _stretches(weights: np.ndarray) -> float:
    """How often weights (frames,) rise from 0 to 1, partial rises counted in part."""
    return float(np.maximum(np.diff(weights, prepend=0.0), 0).sum())
