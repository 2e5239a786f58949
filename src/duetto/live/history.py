"""The last samples of a stream, in an array of fixed size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class History:
    """The samples of a stream that are still needed, by their place in the stream.

    Args:
        capacity: Samples that it can hold.

    Attributes:
        begin: Place of the first sample that it holds.
        end: Place after the last one, which is the number of samples of the stream so far.
    """

    begin: int
    end: int

    def __init__(self, capacity: int) -> None:
        self._samples = np.empty(2 * capacity, np.float32)  # twice, so that samples are seldom moved
        self._at = 0
        self.begin = self.end = 0

    def append(self, samples: NDArray[np.float32]) -> None:
        """Add the next samples.

        Args:
            samples: (n,), not more than fit beside those that it holds.
        """
        count = self.end - self.begin
        if self._at + count + len(samples) > len(self._samples):
            self._samples[:count] = self._samples[self._at : self._at + count]
            self._at = 0
        self._samples[self._at + count : self._at + count + len(samples)] = samples
        self.end += len(samples)

    def cut(self, start: int, end: int) -> NDArray[np.float32]:
        """Copy a part.

        Args:
            start: Place of its first sample, not before `begin`.
            end: Place after its last one; what is beyond the stream is left out.

        Returns:
            (n,) samples.
        """
        at = self._at - self.begin
        return self._samples[at + start : at + min(end, self.end)].copy()

    def drop(self, before: int) -> None:
        """Forget samples.

        Args:
            before: Place of the first one that is still needed.
        """
        dropped = min(before, self.end) - self.begin
        if dropped > 0:
            self._at += dropped
            self.begin += dropped
