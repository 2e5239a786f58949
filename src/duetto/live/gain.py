"""A gain for soft streams that depends on nothing later: what `detect_speech` does with the peak of a whole recording.

chunks ─ CausalGain ─▶ chunks without their offset, amplified to a running peak of `QUIET_PEAK` where they are softer
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..audio.activity import CHUNK_SECONDS, MAX_GAIN, QUIET_PEAK

HALVING_SECONDS = 10.0
"""The running peak falls by half in this time, so that one loud sound does not hold the gain down for ever."""

OFFSET_SECONDS = 1.0
"""Time constant of the running mean that is subtracted."""

_DECAY = 0.5 ** (CHUNK_SECONDS / HALVING_SECONDS)
_SHARE = CHUNK_SECONDS / OFFSET_SECONDS
_SOFTEST = QUIET_PEAK / MAX_GAIN


class CausalGain:
    """The gain of one stream, chunk by chunk.

    peak(c) = max((max − min) / 2 of chunk c, 2^(−0.032 / 10) · peak(c − 1), 0.05 / 500)
    gain(c) = max(1, 0.05 / peak(c))

    The gain of a chunk follows from that chunk, too, so a sudden loud sound is not amplified. The offset that is
    subtracted is a running mean over a second, which starts with that of the first chunk.
    """

    def __init__(self) -> None:
        """Start a stream."""
        self._peak = _SOFTEST
        self._offset: float | None = None

    def __call__(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Amplify the next chunks.

        Args:
            chunks: (n, 512) samples at 16 kHz.

        Returns:
            (n, 512) samples.
        """
        peaks = (chunks.max(axis=1).astype(np.float64) - chunks.min(axis=1)) / 2
        means = chunks.mean(axis=1, dtype=np.float64)
        gains, offsets = np.empty((2, len(chunks), 1), np.float32)
        for i, (peak, mean) in enumerate(zip(peaks.tolist(), means.tolist(), strict=True)):
            self._peak = max(peak, _DECAY * self._peak, _SOFTEST)
            self._offset = mean if self._offset is None else self._offset + _SHARE * (mean - self._offset)
            gains[i], offsets[i] = max(1.0, QUIET_PEAK / self._peak), self._offset
        return (chunks - offsets) * gains
