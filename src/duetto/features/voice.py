"""Voice features that depend little on the recording: 25 values for every 100 ms in which there is sound.

    samples ─┬─ pitch every 10 ms, short-term features every 100 ms ─ 17 ─┬─ frames within 30 dB of the loudest
             └─ prosody of the whole recording (`prosody`) ─────────── 8 ─┘                       ─▶ (frames, 25)

For models that must work on any recording. Pauses before, within and after speech describe the studio more than the
speaker, so frames more than 30 dB below the loudest are left out. No value depends on the gain of a recording that is
loud enough: levels are relative to the loudest frame, and the first MFCC, which is the level, is left out. So are
chroma, the pitch class of a sung tone. Floors are absolute: 40 ms below −120 dB (mean square, full scale 0 dB) have no
period, and `short_term` has its own. On real speech every value but `periodicity`, which near-silent parts of a frame
lower, stays within 1e-3 under a gain that leaves the loudest 40 ms at −60 dB or more; below, pitch and voicing change
as well, and below −75 dB everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _windows, pitch, prosody
from .extractor import cache_key
from .short_term import NAMES as SHORT_TERM
from .short_term import ShortTermConfig

FLOOR_DECIBELS = -30.0
"""Frames softer than this relative to the loudest one are left out."""

VOICED_PERIODICITY = 0.5
"""A frame of the pitch track is voiced where half of its energy repeats."""

_FROM_SHORT_TERM = (
    "energy_entropy",
    "zcr",
    "spectral_centroid",
    "spectral_spread",
    "spectral_entropy",
    "spectral_flux",
    "spectral_rolloff",
    *(f"mfcc_{i}" for i in range(2, 7)),
)
NAMES: tuple[str, ...] = ("pitch", "pitch_range", "voiced", "periodicity", "level", *_FROM_SHORT_TERM, *prosody.NAMES)
"""The 25 columns; "pitch frames" are those of `pitch.track`, ten for each frame.

- pitch: octaves above 200 Hz, median of the voiced pitch frames; without two of these, the median over the frames of
  the recording that have them.
- pitch_range: octaves from the 10th to the 90th percentile of the voiced pitch frames.
- voiced: share of the pitch frames that are voiced. periodicity: their mean periodicity.
- level: dB relative to the loudest frame.
- the next twelve: columns of `features.short_term` (mode `corrected`); of spectral_flux the natural logarithm.
- the last eight: `prosody.NAMES`, of the whole recording, the same in all frames."""

_REFERENCE_HZ = 200.0
_PITCH_FRAMES = 10
_LEAD = 2
"""Pitch frames by which a frame is preceded: a 40 ms window that starts 20 ms earlier lies mostly within it."""
_SMALLEST_FLUX, _SMALLEST_ENERGY = 1e-8, 1e-12
_VERSION = 3


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """The extractor of voice features; it has no settings."""

    def key(self) -> str:
        """The key of the feature store.

        Returns:
            Canonical JSON.
        """
        return cache_key("voice", _VERSION, of=ShortTermConfig().key())

    @_windows.small_buffer
    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Compute voice features.

        Args:
            samples: (n,) with full scale ±1, or int16.
            sample_rate: Hz, at least 13 708.

        Returns:
            (frames, 25) float32, columns `NAMES`. A recording without sound keeps all its frames.

        Raises:
            AudioError: The sample rate is too low, or the samples are not valid (`audio.signal.validate_samples`).
        """
        base = ShortTermConfig().extract(samples, sample_rate).astype(np.float64)
        decibels = 10 * np.log10(np.maximum(base[:, SHORT_TERM.index("energy")], _SMALLEST_ENERGY))
        decibels -= decibels.max()
        short_term = base[:, [SHORT_TERM.index(name) for name in _FROM_SHORT_TERM]]
        flux = _FROM_SHORT_TERM.index("spectral_flux")
        short_term[:, flux] = np.log(short_term[:, flux] + _SMALLEST_FLUX)
        track = pitch.track(samples, sample_rate)
        loud = track.level > max(track.level.max() * 10 ** (FLOOR_DECIBELS / 10), pitch.SILENT)
        voiced = loud & (track.periodicity > VOICED_PERIODICITY)
        whole = np.tile(prosody.extract(samples, sample_rate, track, loud, voiced), (len(base), 1))
        columns = np.column_stack((_pitch_columns(track, voiced, len(base)), decibels, short_term, whole))
        return columns[decibels >= FLOOR_DECIBELS].astype(np.float32)


def _pitch_columns(track: pitch.Pitch, voiced: np.ndarray, count: int) -> np.ndarray:
    """The columns pitch, pitch_range, voiced and periodicity of `count` frames, (count, 4)."""
    octaves = np.log2(track.hertz / _REFERENCE_HZ)
    out = np.zeros((count, 4))
    has_pitch = np.zeros(count, bool)
    for t in range(count):
        within = slice(max(0, _PITCH_FRAMES * t - _LEAD), _PITCH_FRAMES * (t + 1) - _LEAD)
        pitches = octaves[within][voiced[within]]
        if len(voiced[within]):
            out[t, 2:] = voiced[within].mean(), track.periodicity[within].mean()
        if len(pitches) >= 2:
            has_pitch[t] = True
            low, middle, high = np.percentile(pitches, (10, 50, 90))
            out[t, :2] = middle, high - low
    if has_pitch.any():
        out[~has_pitch, 0] = np.median(out[has_pitch, 0])
    return out
