"""Which frames of a recording to decode, and whether they were there.

Cut(start, end) ─ frames ─▶ (first, last) ─ decoded ─ check, warnings
max_seconds ─ excerpt ────▶ (first, last)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..errors import AudioError
from .decoder import Decoder
from .signal import NO_SAMPLES

END_TOLERANCE = 0.1
"""Seconds by which `end` may lie beyond the file: corpora round their times."""
LENGTH_TOLERANCE = 0.1
"""Seconds by which a header may misstate the length without a warning: one frame of the features."""

Side = Literal["first", "last"]


@dataclass(frozen=True, slots=True)
class Cut:
    """The seconds `start` to `end` of a recording.

    Attributes:
        start: Seconds; None for the beginning.
        end: Seconds; None for the end of the recording.
    """

    start: float | None = None
    end: float | None = None

    def __str__(self) -> str:
        return f"the cut {0.0 if self.start is None else self.start}–{'' if self.end is None else self.end} s"

    def frames(self, decoder: Decoder) -> tuple[int, float]:
        """Convert the times to frames.

        Args:
            decoder: The recording.

        Returns:
            First frame, and the one to end before, at the sample rate of the recording; infinity where no end is given.

        Raises:
            AudioError: The times are negative or not finite, or there is no sample between them.
        """
        first = self._frame(decoder, 0.0 if self.start is None else self.start)
        if self.end is None:
            return first, math.inf
        last = self._frame(decoder, self.end)
        if last <= first:
            raise AudioError(f"{decoder.name}: {self} holds no sample: end must lie after start")
        return first, last

    def _frame(self, decoder: Decoder, seconds: float) -> int:
        if not (math.isfinite(seconds) and seconds >= 0):
            raise AudioError(f"{decoder.name}: {self} is not valid: give finite seconds from 0 on")
        return round(seconds * decoder.sample_rate)

    def check(self, decoder: Decoder, frames: int) -> None:
        """Check that the cut lies within the recording, once that was decoded and its true length may be known.

        Args:
            decoder: The recording.
            frames: How many frames of the cut were decoded.

        Raises:
            AudioError: The recording is empty, or the cut lies beyond it.
        """
        if decoder.length is None:
            return
        length = decoder.length / decoder.sample_rate
        if decoder.length == 0:
            raise AudioError(f"{decoder.name}: holds {NO_SAMPLES}")
        if not frames or (self.end is not None and self.end > length + END_TOLERANCE):
            raise AudioError(f"{decoder.name}: {self} lies beyond the file, which is {length:.3f} s long")

    def warnings(self, decoder: Decoder) -> Iterator[str]:
        """Compare the cut and the stated length with the true one, where the recording was decoded to its end.

        Args:
            decoder: The recording.

        Yields:
            By how much the cut was shortened, and what the header misstates.
        """
        if decoder.length is None:
            return
        length, stated = decoder.length / decoder.sample_rate, decoder.stated_length / decoder.sample_rate
        if self.end is not None and round(self.end * decoder.sample_rate) > decoder.length:
            yield f"cut at the end of the file: {self.end} s requested, {length:.3f} s there"
        if math.isfinite(stated) and stated > length + LENGTH_TOLERANCE:
            yield f"truncated: its header states {stated:.3f} s, of which {length:.3f} s are there"
        elif stated < length - LENGTH_TOLERANCE:
            yield f"longer than its header states: {length:.3f} s are there and read, not {stated:.3f} s"


def excerpt(decoder: Decoder, max_seconds: float, side: Side) -> tuple[int, int]:
    """Choose the frames of an excerpt of limited length.

    Args:
        decoder: The recording.
        max_seconds: Its length at most.
        side: Whether it is the first or the last part of the recording; the last begins at a whole second.

    Returns:
        First frame, and the one to end before.
    """
    if side == "first":
        return 0, max(1, round(max_seconds * decoder.sample_rate))
    length = decoder.measure_length()
    return max(0, math.floor(length / decoder.sample_rate - max_seconds)) * decoder.sample_rate, length
