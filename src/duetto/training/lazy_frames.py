"""Frames of a corpus that is larger than memory: each utterance is read, and normalised, whenever a batch needs it.

memory-mapped features ─ LazyFrames ─ [i] ─▶ (frames, values)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

import numpy as np


class LazyFrames(Sequence[np.ndarray]):
    """A sequence of arrays that keeps none of them.

    Args:
        read: Number of an utterance → (frames, values).
        lengths: Frames of each utterance.

    Attributes:
        lengths: As given.
    """

    def __init__(self, read: Callable[[int], np.ndarray], lengths: Sequence[int]) -> None:
        self._read, self.lengths = read, lengths

    def __len__(self) -> int:
        """Number of utterances."""
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        """Frames of an utterance, (frames, values); of a slice a list of them."""
        if isinstance(index, slice):
            return [self._read(i) for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._read(index)


def within(limit: int, read: Callable[[int], np.ndarray], lengths: Sequence[int]) -> Sequence[np.ndarray]:
    """Read frames into memory, unless there are too many.

    Args:
        limit: Bytes that may be kept.
        read: Number of an utterance → (frames, values).
        lengths: Frames of each utterance.

    Returns:
        A list of them, or `LazyFrames`.
    """
    kept: list[np.ndarray] = []
    size = 0
    for number in range(len(lengths)):
        kept.append(read(number))
        size += kept[-1].nbytes
        if size > limit:
            return LazyFrames(read, lengths)
    return kept


def lengths_of(frames: Sequence[np.ndarray]) -> Sequence[int]:
    """List the lengths of sequences.

    Args:
        frames: (frames, values) of each utterance.

    Returns:
        Frames of each; nothing is read of `LazyFrames`.
    """
    return frames.lengths if isinstance(frames, LazyFrames) else [len(x) for x in frames]


def drawn(candidates: Sequence[Sequence[np.ndarray]], choice: np.ndarray) -> Sequence[np.ndarray]:
    """Take one of several variants of each utterance.

    Args:
        candidates: Variants, each the frames of all utterances.
        choice: (utterances,) number of the variant of each.

    Returns:
        The frames that were chosen; lazy where a variant is.
    """
    if not any(isinstance(variant, LazyFrames) for variant in candidates):
        return [candidates[c][i] for i, c in enumerate(choice)]
    lengths = [lengths_of(variant) for variant in candidates]
    return LazyFrames(lambda i: candidates[choice[i]][i], [lengths[c][i] for i, c in enumerate(choice)])
