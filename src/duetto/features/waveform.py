"""Raw samples, cut into rows: the input of the `waveform-cnn` encoder.

    samples ─ rows of 10 ms ─▶ (frames, 160) float32 at 16 kHz

Rows do not overlap: concatenated, they are the signal, followed by the zeros that fill the last row. So waveforms fit
the same store, padding and batches as any other features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..audio.signal import as_float
from ..audio.timing import SAMPLE_RATE, frame_count, frame_length
from ..errors import AudioError
from .extractor import cache_key
from .spectrogram import STEP_SECONDS

WIDTH = frame_length(SAMPLE_RATE, STEP_SECONDS)
"""Samples of a row: 160."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class WaveformConfig:
    """The extractor of waveforms; it has no settings."""

    def key(self) -> str:
        """The key of the feature store.

        Returns:
            Canonical JSON.
        """
        return cache_key("waveform", _VERSION)

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Cut a signal into rows.

        Args:
            samples: (n,) with full scale ±1, or int16.
            sample_rate: 16 kHz.

        Returns:
            (⌈n / 160⌉, 160) float32.

        Raises:
            AudioError: The sample rate is another, or the samples are not valid (`audio.signal.validate_samples`).
        """
        signal = as_float(samples)
        if sample_rate != SAMPLE_RATE:
            raise AudioError(f"waveforms need a sample rate of {SAMPLE_RATE} Hz, not {sample_rate}; resample")
        rows = np.zeros((frame_count(len(signal), WIDTH, partial=True), WIDTH), np.float32)
        rows.reshape(-1)[: len(signal)] = signal
        return rows
