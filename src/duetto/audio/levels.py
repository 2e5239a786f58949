"""What is odd about the sound itself: silence, clipping, a narrow band."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .timing import FRAME_SECONDS

SILENCE_PEAK = 1e-4
"""A range (largest minus smallest sample) below this, −80 dB of full scale, counts as silence."""
CLIPPED_SHARE = 1e-3
"""A recording with a larger share of its samples at full scale is reported as clipped.

A file that was only normalised to its peak has a handful of such samples."""


@dataclass(slots=True)
class LevelMeter:
    """Collects the levels of a recording, block by block before resampling, for its warnings.

    Attributes:
        sample_rate: Hz.
        full_scale: Magnitude from which a sample counts as clipped.
        frames: Number of frames so far.
        low: Smallest sample, mixed down.
        high: Largest sample, mixed down.
        peak: Largest magnitude in any channel.
        clipped: Number of clipped frames; a frame counts with the share of its channels that are clipped.
        distinct: Channels, where they are not all alike; else 0.
    """

    sample_rate: int
    full_scale: float
    frames: int = 0
    low: float = math.inf
    high: float = -math.inf
    peak: float = 0.0
    clipped: float = 0.0
    distinct: int = 0

    def add(self, block: np.ndarray, mono: np.ndarray) -> None:
        """Add a block.

        Args:
            block: (n, channels) samples.
            mono: (n,), their mean over the channels.
        """
        self.frames += len(mono)
        self.low = min(self.low, float(mono.min()))
        self.high = max(self.high, float(mono.max()))
        magnitude = np.abs(block)
        self.peak = max(self.peak, float(magnitude.max()))
        self.clipped += np.count_nonzero(magnitude >= self.full_scale) / block.shape[1]
        if not self.distinct and block.shape[1] > 1 and not (block == block[:, :1]).all():
            self.distinct = block.shape[1]

    def warnings(self, sample_rate: int) -> Iterator[str]:
        """Report what is odd.

        Args:
            sample_rate: To which the recording is resampled, in Hz.

        Yields:
            One line for each thing.
        """
        if self.frames == 1:
            yield "only one sample"
        elif self.frames < FRAME_SECONDS * self.sample_rate:
            yield f"only {self.frames / self.sample_rate:.3f} s long: less than one frame of {FRAME_SECONDS} s"
        if self.high - self.low < SILENCE_PEAK:
            if max(abs(self.low), abs(self.high)) >= SILENCE_PEAK:
                yield f"constant: every sample is about {self.high:.3g} (DC only), there is no sound in it"
            elif self.peak >= SILENCE_PEAK:
                yield "silent after mixing down: the channels cancel each other out"
            else:
                yield "silent: no sample above −80 dB of full scale"
        elif self.clipped > CLIPPED_SHARE * self.frames:
            yield f"clipped: {100 * self.clipped / self.frames:.1f} % of the samples are at full scale"
        if self.sample_rate < sample_rate:
            rate = self.sample_rate
            yield f"narrow-band: sampled at {rate} Hz, so there is nothing above {rate // 2} Hz"
