"""The state of a segmenter: probabilities of chunks in, what they decide out, in whole chunks.

probability, level ─ UtteranceState.step ─▶ [Found, …]
"""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple

from ..audio.silero import CHUNK
from ..audio.timing import samples


def in_chunks(seconds: float) -> int:
    """Convert a duration to whole chunks.

    Args:
        seconds: The duration.

    Returns:
        The fewest chunks that last as long.
    """
    return -(-samples(seconds) // CHUNK)


class Found(NamedTuple):
    """What was decided.

    Attributes:
        kind: What it is.
        start: Its first chunk.
        end: The chunk after its last one of speech.
        limit: The chunk before which its sound must end.
        cut: Whether an utterance was too long.
    """

    kind: Literal["begin", "snapshot", "utterance", "end"]
    start: int
    end: int
    limit: int
    cut: bool = False


class _Chunk(NamedTuple):
    """speech: whether it counts as such. level: variance."""

    speech: bool
    level: int


class UtteranceState:
    """Hysteresis, least and longest length; all lengths in chunks.

    Args:
        threshold: See `SegmenterConfig`.
        release: See `SegmenterConfig`.
        shortest: Chunks of speech of an utterance.
        pause: Chunks without speech that end it.
        longest: Chunks of an utterance, pauses included.
        window: Of the last chunks of a longer one, in which it is cut.
        snapshot: Chunks between snapshots; None for none.
    """

    def __init__(
        self,
        *,
        threshold: float,
        release: float,
        shortest: int,
        pause: int,
        longest: int,
        window: int,
        snapshot: int | None,
    ) -> None:
        self._threshold, self._release, self._shortest = threshold, release, shortest
        self._pause, self._longest, self._window, self._snapshot = pause, longest, window, snapshot
        self._recent: deque[_Chunk] = deque(maxlen=window + pause)
        self._count = 0
        self._active = self._begun = False
        self._start: int | None = None
        self._spoken = self._silent = self._last = 0

    @property
    def needed(self) -> int:
        """The first chunk that an utterance may still begin with."""
        return self._count if self._start is None else self._start

    def step(self, probability: float, level: int) -> list[Found]:
        """Take the next chunk.

        Args:
            probability: Of speech in it.
            level: Its variance; the least one is where an utterance that is too long is cut.

        Returns:
            What it decides, in order.
        """
        at, self._count = self._count, self._count + 1
        speech = probability >= (self._release if self._active else self._threshold)
        self._recent.append(_Chunk(speech, level))
        if not (self._active or speech):
            return []
        self._active = True
        self._add(at, speech)
        found: list[Found] = []
        if self._start is not None and not self._begun and self._spoken >= self._shortest:
            self._begun = True
            found.append(Found("begin", self._start, self._last, self._count))
        if self._silent >= self._pause:
            return found + self.close()
        if self._start is None:
            return found
        length = self._count - self._start
        if length >= self._longest:
            return found + self._cut()
        if self._snapshot and length % self._snapshot == 0 and self._spoken >= self._shortest:
            found.append(Found("snapshot", self._start, self._last, self._count))
        return found

    def close(self) -> list[Found]:
        """End what has begun: with a pause, or with the stream.

        Returns:
            The utterance, where there is one, and the end of speech.
        """
        found = []
        if self._start is not None and self._spoken >= self._shortest:
            found.append(Found("utterance", self._start, self._last, self._count))
        if self._begun:
            found.append(Found("end", self._last, self._last, self._count))
        self._active = self._begun = False
        self._start, self._spoken, self._silent = None, 0, 0
        return found

    def _add(self, at: int, speech: bool) -> None:
        if not speech:
            self._silent += 1
            return
        if self._start is None:
            self._start, self._spoken = at, 0
        self._spoken, self._silent, self._last = self._spoken + 1, 0, at + 1

    def _cut(self) -> list[Found]:
        """The utterance up to the quietest of its last chunks, the latest of equals; the rest begins the next one."""
        assert self._start is not None
        first = self._count - len(self._recent)
        place = min(range(self._count - self._window, self._count), key=lambda i: (self._recent[i - first].level, -i))
        rest = [i for i in range(place, self._count) if self._recent[i - first].speech]
        end = 1 + max(i for i in range(first, place) if self._recent[i - first].speech)
        enough = self._spoken - len(rest) >= self._shortest
        found = [Found("utterance", self._start, end, place, cut=True)] if enough else []
        self._start, self._spoken = (rest[0] if rest else None), len(rest)
        return found
