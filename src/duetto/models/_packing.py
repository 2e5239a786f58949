"""Sequences of unequal lengths without their padding, cut into time steps.

    x (batch, time, features), lengths ─ Packing ─▶ (rows, features), rows = Σ lengths

The sequences are sorted, longest first, and laid out step by step: first the first step of all, then the
second step of all that have one, and so on. Every step is then one block of rows, the block of a later step
continues the first rows of the one before it, and nothing is computed for padding.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Packing:
    """The place of each step of each sequence in the packed rows.

    Lengths are not validated. On the CPU a length beyond `time` raises IndexError here. A length of 0 has no row:
    `pack` and `mirrored` skip it, `pad` fills it with zeros, and `last` raises IndexError, or RuntimeError if all
    lengths are 0.

    Args:
        lengths: (batch,) from 1 to `time`.
        time: Steps of the padded batch.

    Attributes:
        counts: Number of sequences that reach each step, never increasing.
        shape: (batch, time).
    """

    counts: list[int]
    shape: tuple[int, int]

    def __init__(self, lengths: Tensor, time: int) -> None:
        longest_first, order = lengths.sort(descending=True, stable=True)
        reached = longest_first > torch.arange(time, device=lengths.device)[:, None]  # (time, batch)
        step, rank = reached.nonzero(as_tuple=True)
        per_step = reached.sum(1)
        self.counts = [n for n in per_step.tolist() if n]
        self.shape = (len(lengths), time)
        block = per_step.cumsum(0) - per_step  # the first row of each step
        at_end = longest_first - 1
        self._source = order[rank] * time + step
        self._rank = rank
        self._mirror = block[at_end[rank] - step] + rank
        self._last = torch.empty_like(order).scatter_(0, order, block[at_end] + torch.arange(len(order)).to(order))

    def pack(self, x: Tensor) -> Tensor:
        """Remove the padding.

        Args:
            x: (batch, time, features).

        Returns:
            (rows, features).
        """
        return x.flatten(0, 1).index_select(0, self._source)

    def mirrored(self, packed: Tensor) -> Tensor:
        """Reverse every sequence; its own inverse.

        Args:
            packed: (rows, features).

        Returns:
            (rows, features).
        """
        return packed.index_select(0, self._mirror)

    def pad(self, packed: Tensor) -> Tensor:
        """Invert `pack`.

        Args:
            packed: (rows, features).

        Returns:
            (batch, time, features), zero in the padding.
        """
        batch, time = self.shape
        padded = packed.new_zeros(batch * time, packed.shape[1]).index_copy(0, self._source, packed)
        return padded.view(batch, time, -1)

    def spread(self, values: Tensor) -> Tensor:
        """Repeat a value of each sequence for each of its rows.

        Args:
            values: (…, batch, n), sequences longest first.

        Returns:
            (…, rows, n).
        """
        return values.index_select(-2, self._rank)

    def last(self, packed: Tensor) -> Tensor:
        """Select the last step of every sequence.

        Args:
            packed: (…, rows, features).

        Returns:
            (…, batch, features).
        """
        return packed.index_select(-2, self._last)
