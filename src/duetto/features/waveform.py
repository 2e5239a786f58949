"""The samples themselves, cut into rows: what an encoder of raw sound hears.

    samples ─ rows of 10 ms ─▶ (frames, 160) float32 at 16 kHz

Nothing is computed and nothing overlaps: read row after row, the frames are the signal again, followed by the
zeros that fill the last one. So sound fits the same store, padding and batches as any feature.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from ..audio.signal import as_float
from ..audio.timing import SAMPLE_RATE, frame_count, frame_length
from ..errors import AudioError
from .spectrogram import STEP_SECONDS

WIDTH = frame_length(SAMPLE_RATE, STEP_SECONDS)
"""Samples in a row: 160."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class WaveformConfig:
    """There is nothing to choose."""

    def key(self) -> str:
        """Canonical JSON that changes whenever the numbers can change."""
        return json.dumps({"extractor": "waveform", "version": _VERSION}, sort_keys=True)

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """(n,) samples at 16 kHz, full scale ±1 → (⌈n / 160⌉, 160) float32.

        Raises `AudioError` for another rate, and for an empty or non-finite signal or one far beyond full scale.
        """
        signal = as_float(samples)
        if sample_rate != SAMPLE_RATE:
            raise AudioError(f"an encoder of samples hears {SAMPLE_RATE} of them a second, not {sample_rate}; resample")
        rows = np.zeros((frame_count(len(signal), WIDTH, partial=True), WIDTH), np.float32)
        rows.reshape(-1)[: len(signal)] = signal
        return rows
