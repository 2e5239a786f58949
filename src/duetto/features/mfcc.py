"""13 MFCC every 10 ms: the input of Speech2Vec (Chung & Glass 2018, section 3.1).

    samples ─ pre-emphasis ─ 25 ms Hamming windows ─ |FFT|² ─ 40 mel bands ─ log ─ DCT ─▶ (frames, 13) float32

That paper states the number of coefficients and the step; the rest are common settings: pre-emphasis 0.97, the mel
bands of `features.spectrogram`, an orthonormal DCT-II with the zeroth coefficient kept.

Frame t is centred at (t + ½)·10 ms, so a word from `start` to `end` seconds has the frames from start·100 to end·100.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from ..errors import ConfigurationError
from .extractor import cache_key
from .spectrogram import log_mel

BANDS = 40
"""Mel bands."""

PRE_EMPHASIS = 0.97
"""a of x[n] − a·x[n−1]."""

_VERSION = 3
_FRAMES_PER_PRODUCT = 500
"""Keeps a product below 2^18 multiplications, where OpenBLAS begins to start threads."""


@dataclass(frozen=True, slots=True)
class MfccConfig:
    """The extractor of MFCC.

    Attributes:
        coefficients: MFCC of a frame, the zeroth included; 1 to 40.
        centred: Subtract the recording's mean from each coefficient (cepstral mean normalisation), which removes much
            of the channel and of the speaker. Chung & Glass do not state it.

    Raises:
        ConfigurationError: A setting is not valid.
    """

    coefficients: int = 13
    centred: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.coefficients <= BANDS:
            raise ConfigurationError(f"coefficients = {self.coefficients} is not valid; give 1 to {BANDS}")

    def key(self) -> str:
        """The key of the feature store.

        Returns:
            Canonical JSON.
        """
        return cache_key("mfcc", _VERSION, **asdict(self))

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Compute MFCC.

        Args:
            samples: (n,) with full scale ±1, or int16.
            sample_rate: Hz, at least 2000.

        Returns:
            (⌈n / 10 ms⌉, coefficients) float32.

        Raises:
            AudioError: As `spectrogram.log_mel`.
        """
        features = extract(samples, sample_rate, coefficients=self.coefficients)
        return features - features.mean(0, np.float64).astype(np.float32) if self.centred else features


def extract(samples: np.ndarray, sample_rate: int, *, coefficients: int = 13) -> np.ndarray:
    """Compute MFCC without mean normalisation.

    Args:
        samples: (n,) with full scale ±1, or int16.
        sample_rate: Hz, at least 2000.
        coefficients: MFCC of a frame.

    Returns:
        (⌈n / 10 ms⌉, coefficients) float32.

    Raises:
        AudioError: As `spectrogram.log_mel`.
    """
    bands, cosines = log_mel(samples, sample_rate, bands=BANDS, pre_emphasis=PRE_EMPHASIS), _cosines(coefficients)
    out = np.empty((len(bands), coefficients), np.float32)
    for first in range(0, len(bands), _FRAMES_PER_PRODUCT):
        part = slice(first, first + _FRAMES_PER_PRODUCT)
        out[part] = bands[part].astype(np.float64) @ cosines  # in float32 the sum would differ between BLAS libraries
    return out


@lru_cache(maxsize=8)
def _cosines(coefficients: int) -> np.ndarray:
    """DCT-II, orthonormal: (bands, coefficients)."""
    angles = np.pi * (np.arange(BANDS)[:, None] + 0.5) * np.arange(coefficients)[None] / BANDS
    cosines = np.cos(angles) * np.sqrt(2.0 / BANDS)
    cosines[:, 0] = np.sqrt(1.0 / BANDS)
    return cosines
