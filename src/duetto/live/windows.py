"""Windows of fixed length of a stream, whatever is in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..audio.timing import samples
from ..errors import ConfigurationError
from .history import History

SHORTEST, LONGEST = 0.5, 60.0
"""Seconds of a window, and of a hop."""


class Window(NamedTuple):
    """One window.

    Attributes:
        first: Sample of the stream at which it begins.
        samples: (n,) float32.
        known_at: Samples of the stream after which this is known: where it ends.
    """

    first: int
    samples: NDArray[np.float32]
    known_at: int


def check_timing(length: float, hop: float) -> None:
    """Check the length of windows and the hop between them.

    Args:
        length: Seconds of a window.
        hop: Seconds from the beginning of one to that of the next.

    Raises:
        ConfigurationError: One is out of its range.
    """
    for name, value in {"window": length, "hop": hop}.items():
        if not SHORTEST <= value <= LONGEST:
            raise ConfigurationError(f"{name} is {value!r}; give {SHORTEST:g} to {LONGEST:g} seconds")


class SlidingWindows:
    """Cuts a stream into windows; window k begins at k · hop.

    Args:
        length: Seconds of a window.
        hop: Seconds from the beginning of one to that of the next.
        longest_block: Samples that are pushed at once, at most.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    def __init__(self, length: float, hop: float, longest_block: int) -> None:
        check_timing(length, hop)
        self._length, self._hop = samples(length), samples(hop)
        self._history = History(self._length + longest_block)
        self._next = self._covered = 0

    def push(self, sound: NDArray[np.float32]) -> list[Window]:
        """Take the next samples.

        Args:
            sound: (n,) samples at 16 kHz, at most `longest_block`.

        Returns:
            The windows that are now complete.
        """
        self._history.append(sound)
        found = []
        while self._next + self._length <= self._history.end:
            found.append(self._window())
        self._history.drop(self._next)
        return found

    def finish(self) -> list[Window]:
        """End the stream.

        Returns:
            A shorter last window, if the stream has samples after the last one.
        """
        return [self._window()] if max(self._covered, self._next) < self._history.end else []

    def _window(self) -> Window:
        first, end = self._next, min(self._next + self._length, self._history.end)
        self._next, self._covered = first + self._hop, end
        return Window(first, self._history.cut(first, end), end)
