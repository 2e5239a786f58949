"""13 MFCC every 10 ms: what Speech2Vec hears (Chung & Glass 2018, section 3.1).

    samples ─ pre-emphasis ─ 25 ms Hamming windows ─ |FFT|² ─ 40 mel bands ─ log ─ DCT ─▶ (frames, 13) float32

The recipe names the number of coefficients and the step; the rest are the usual settings: pre-emphasis 0.97,
the mel bands of `features.spectrogram`, orthonormal DCT-II with the zeroth coefficient kept.

Frame t is centred at (t + ½)·10 ms, so a word from `start` to `end` seconds is the frames from start·100 to
end·100.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from ..errors import ConfigurationError
from .extractor import cache_key
from .spectrogram import log_mel

BANDS = 40
PRE_EMPHASIS = 0.97


_VERSION = 3
_TOGETHER = 500
"""Frames of one product: below 2^18 multiplications, where OpenBLAS begins to start threads."""


@dataclass(frozen=True, slots=True)
class MfccConfig:
    """coefficients: how many MFCC a frame has, the zeroth included. centred: take the recording's mean away
    from each coefficient (cepstral mean normalisation), and with it much of what is the speaker's and the
    channel's; the published recipe says nothing of it."""

    coefficients: int = 13
    centred: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.coefficients <= BANDS:
            raise ConfigurationError(f"coefficients = {self.coefficients} is not valid; give 1 to {BANDS}")

    def key(self) -> str:
        """Canonical JSON that changes whenever the numbers can change."""
        return cache_key("mfcc", _VERSION, **asdict(self))

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """(n,) samples, full scale ±1 → (frames, coefficients) float32; frames = ⌈n / 10 ms⌉."""
        features = extract(samples, sample_rate, coefficients=self.coefficients)
        return features - features.mean(0, np.float64).astype(np.float32) if self.centred else features


def extract(signal: np.ndarray, sample_rate: int, *, coefficients: int = 13) -> np.ndarray:
    """MFCC of a signal: (n,) → (⌈n / 10 ms⌉, coefficients) float32; errors as `spectrogram.log_mel`."""
    bands, cosines = log_mel(signal, sample_rate, bands=BANDS, pre_emphasis=PRE_EMPHASIS), _cosines(coefficients)
    out = np.empty((len(bands), coefficients), np.float32)
    for first in range(0, len(bands), _TOGETHER):
        part = slice(first, first + _TOGETHER)
        out[part] = bands[part].astype(np.float64) @ cosines  # in float32 each BLAS has another sum
    return out


@lru_cache(maxsize=8)
def _cosines(coefficients: int) -> np.ndarray:
    """DCT-II, orthonormal: (bands, coefficients)."""
    angles = np.pi * (np.arange(BANDS)[:, None] + 0.5) * np.arange(coefficients)[None] / BANDS
    cosines = np.cos(angles) * np.sqrt(2.0 / BANDS)
    cosines[:, 0] = np.sqrt(1.0 / BANDS)
    return cosines
