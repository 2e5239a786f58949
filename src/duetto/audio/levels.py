"""What is odd about the sound itself: silence, clipping, a narrow band."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .timing import FRAME_SECONDS

SILENCE_PEAK = 1e-4
"""A swing (largest minus smallest sample) below this, −80 dB of full scale, counts as silence."""
CLIPPED_SHARE = 1e-3
"""A recording with a larger share of its samples at full scale is reported as clipped.

A file that was only normalised to its peak has a handful of such samples."""


@dataclass(slots=True)
class Levels:
    """What the warnings need to know, gathered block by block before resampling."""

    rate: int
    full_scale: float
    frames: int = 0
    low: float = math.inf
    high: float = -math.inf
    peak: float = 0.0
    clipped: float = 0.0

    def add(self, block: np.ndarray, mono: np.ndarray) -> None:
        """Take in (n, channels) samples and their mean (n,)."""
        self.frames += len(mono)
        self.low = min(self.low, float(mono.min()))
        self.high = max(self.high, float(mono.max()))
        magnitude = np.abs(block)
        self.peak = max(self.peak, float(magnitude.max()))
        self.clipped += np.count_nonzero(magnitude >= self.full_scale) / block.shape[1]

    def warnings(self, sample_rate: int) -> Iterator[str]:
        """One line for each thing; `sample_rate`: what the sound is resampled to."""
        if self.frames == 1:
            yield "only one sample"
        elif self.frames < FRAME_SECONDS * self.rate:
            yield f"only {self.frames / self.rate:.3f} s long: less than one frame of {FRAME_SECONDS} s"
        if self.high - self.low < SILENCE_PEAK:
            if max(abs(self.low), abs(self.high)) >= SILENCE_PEAK:
                yield f"constant: every sample is about {self.high:.3g} (DC only), there is no sound in it"
            elif self.peak >= SILENCE_PEAK:
                yield "silent after mixing down: the channels cancel each other out"
            else:
                yield "silent: no sample above −80 dB of full scale"
        elif self.clipped > CLIPPED_SHARE * self.frames:
            yield f"clipped: {100 * self.clipped / self.frames:.1f} % of the samples are at full scale"
        if self.rate < sample_rate:
            yield f"narrow-band: sampled at {self.rate} Hz, so there is nothing above {self.rate // 2} Hz"
