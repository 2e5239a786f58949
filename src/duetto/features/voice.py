"""How a voice sounds, whatever it was recorded with: 25 values for every 100 ms in which there is sound.

    samples ─┬─ pitch every 10 ms, short-term features every 100 ms ─ 17 ─┬─ frames within 30 dB of the loudest
             └─ what the voice does over the recording (`prosody`) ─── 8 ─┘                       ─▶ (frames, 25)

Made for models that shall travel between recordings. Pauses before, within and after speech say more of the
studio than of the speaker: frames more than 30 dB below the loudest are left out. Nothing depends on the gain
where the recording is loud enough: levels are relative to the loudest frame, and the cepstral coefficient that is
the level is not among the columns. Floors are absolute: a 40 ms part below −120 dB (mean square, full scale 0 dB)
has no period, and `short_term` has its own. On real speech every value but `periodicity`, which near-silent parts of a
frame lower, stays within 1e-3 under a gain that leaves the loudest 40 ms at −60 dB or more; below, pitch and voicing
change as well, and below −75 dB everything. Chroma are left out too: they name the pitch class of a sung tone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import _workspace, pitch, prosody
from .extractor import cache_key
from .short_term import NAMES as SHORT_TERM
from .short_term import ShortTermConfig

FLOOR_DECIBELS = -30.0
"""Frames softer than this against the loudest one are left out."""

VOICED_PERIODICITY = 0.5
"""A 10 ms frame counts as voiced where half of its energy repeats."""

_TAKEN = (
    "energy_entropy",
    "zcr",
    "spectral_centroid",
    "spectral_spread",
    "spectral_entropy",
    "spectral_flux",
    "spectral_rolloff",
    *(f"mfcc_{i}" for i in range(2, 7)),
)
NAMES: tuple[str, ...] = ("pitch", "pitch_range", "voiced", "periodicity", "level", *_TAKEN, *prosody.NAMES)
"""Columns. pitch: octaves above 200 Hz, the median of the frame's voiced parts; where there are none, the median
of the recording's frames that have them. pitch_range: octaves from the 10th to the 90th percentile within the
frame. voiced: share of its parts. periodicity: their mean. level: dB against the loudest frame. The next are those of
`features.short_term` (mode `corrected`), spectral_flux as its natural logarithm. The last eight, `prosody.NAMES`, are
of the whole recording, the same in all its frames."""

_REFERENCE_HZ = 200.0
_PARTS = 10
_LEAD = 2
"""A 40 ms window that begins up to 20 ms before the frame has most of its weight within it."""
_SMALLEST_FLUX, _SMALLEST_ENERGY = 1e-8, 1e-12
_VERSION = 3


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """The extractor; nothing of it can be set."""

    def key(self) -> str:
        """Canonical JSON that changes whenever the numbers can change."""
        return cache_key("voice", _VERSION, of=ShortTermConfig().key())

    @_workspace.small
    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """(n,) samples, n ≥ 1, full scale ±1 or int16 → (frames, 25) float32, columns `NAMES`, frames ≥ 1.

        sample_rate: Hz, at least 13 708. A recording without sound keeps all its frames. Raises `AudioError` for
        a lower rate, and for samples that are empty, of another shape or type, not finite, or beyond ±100.
        """
        base = ShortTermConfig().extract(samples, sample_rate).astype(np.float64)
        decibels = 10 * np.log10(np.maximum(base[:, SHORT_TERM.index("energy")], _SMALLEST_ENERGY))
        decibels -= decibels.max()
        taken = base[:, [SHORT_TERM.index(name) for name in _TAKEN]]
        flux = _TAKEN.index("spectral_flux")
        taken[:, flux] = np.log(taken[:, flux] + _SMALLEST_FLUX)
        track = pitch.track(samples, sample_rate)
        loud = track.level > max(track.level.max() * 10 ** (FLOOR_DECIBELS / 10), pitch.SILENT)
        voiced = loud & (track.periodicity > VOICED_PERIODICITY)
        whole = prosody.extract(samples, sample_rate, track, loud, voiced)
        columns = np.column_stack((_tones(track, voiced, len(base)), decibels, taken, np.tile(whole, (len(base), 1))))
        return columns[decibels >= FLOOR_DECIBELS].astype(np.float32)


def _tones(track: pitch.Pitch, voiced: np.ndarray, count: int) -> np.ndarray:
    """The columns pitch, pitch_range, voiced and periodicity of `count` frames, (count, 4)."""
    octaves = np.log2(track.hertz / _REFERENCE_HZ)
    out = np.zeros((count, 4))
    known = np.zeros(count, bool)
    for t in range(count):
        parts = slice(max(0, _PARTS * t - _LEAD), _PARTS * (t + 1) - _LEAD)
        sung = octaves[parts][voiced[parts]]
        if len(voiced[parts]):
            out[t, 2:] = voiced[parts].mean(), track.periodicity[parts].mean()
        if len(sung) >= 2:
            known[t] = True
            low, middle, high = np.percentile(sung, (10, 50, 90))
            out[t, :2] = middle, high - low
    if known.any():
        out[~known, 0] = np.median(out[known, 0])
    return out
