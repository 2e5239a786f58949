"""`PendingAudio`: sound of a stream that has come and is not analysed yet, given out in pieces that may add something.

Answers follow from groups of chunks at fixed places of a stream (`live.segments`), so analysing a part of a group adds
nothing but the cost of a call to another process: 128 ms of sound are one call, in whatever frames a client sends them.
"""

from __future__ import annotations

import time
from collections import deque

from ..audio.silero import CHUNK
from ..audio.timing import SAMPLE_RATE
from ..live.segments import GROUP

_PIECE_SECONDS = 1.0
"""Sound that is analysed in one call."""
_BUFFER_SECONDS = 8.0
"""Sound that may wait."""


class PendingAudio:
    """Bytes in as they come, pieces of whole groups out.

    Args:
        rate: Of the samples, in Hz. At other rates than 16 kHz a piece ends with any chunk, since the place of a group
            is that of converted samples.
        channels: Of the sound, interleaved.

    Attributes:
        width: Bytes of one frame.
        taken: Bytes that were given out.
    """

    width: int
    taken: int

    def __init__(self, rate: int, channels: int) -> None:
        self.width, self.taken = 2 * channels, 0
        grid = GROUP * CHUNK if rate == SAMPLE_RATE else CHUNK * rate // SAMPLE_RATE
        self._grid = grid * self.width
        self._piece, self._most = (round(s * rate) * self.width for s in (_PIECE_SECONDS, _BUFFER_SECONDS))
        self._bytes = bytearray()
        self._arrivals: deque[tuple[int, float]] = deque()

    def __len__(self) -> int:
        """Bytes that wait."""
        return len(self._bytes)

    @property
    def full(self) -> bool:
        """Whether nothing more should be read from the client."""
        return len(self._bytes) >= self._most

    @property
    def ready(self) -> bool:
        """Whether a whole group is there."""
        return self._complete > self.taken

    @property
    def _complete(self) -> int:
        """Bytes of the stream up to the end of its last whole group."""
        return (self.taken + len(self._bytes)) // self._grid * self._grid

    def add(self, data: bytes) -> None:
        """Take what has come.

        Args:
            data: Any number of bytes.
        """
        before = self._complete
        self._bytes += data
        if self._complete > before:
            self._arrivals.append((self._complete, time.monotonic()))

    def take(self, *, ended: bool) -> tuple[bytes, float] | None:
        """Give out the next piece.

        Args:
            ended: Whether no more comes, so that an incomplete group is given out, too.

        Returns:
            Whole frames, and when the last of them came (`time.monotonic`); None where there are none.
        """
        end = min(self._complete, (self.taken + self._piece) // self._grid * self._grid)
        if end <= self.taken:
            if not ended:
                return None
            end = self.taken + len(self._bytes) // self.width * self.width
        piece = bytes(self._bytes[: end - self.taken])
        del self._bytes[: end - self.taken]
        self.taken = end
        while self._arrivals and self._arrivals[0][0] < end:
            self._arrivals.popleft()
        arrived = self._arrivals[0][1] if self._arrivals else time.monotonic()
        return (piece, arrived) if piece else None
