"""Sequences that stay on the device, as one flat tensor: a batch is one lookup, whatever it holds.

sequences (steps, …) ─ Resident.of ─▶ flat (Σ steps + 1, …) ─ resident(index) ─▶ values (batch, time, …), lengths
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Resident:
    """Batches of some sequences, padded as `inputs.pad` pads them."""

    def __init__(self, flat: Tensor, first: Tensor, lengths: Tensor, padding: str, maximum: int) -> None:
        self._flat, self._first, self._lengths = flat, first, lengths
        self._padding, self._maximum = padding, maximum

    @classmethod
    def of(
        cls, sequences: Sequence[np.ndarray], device: torch.device | str, *, padding: str = "packed", maximum: int
    ) -> Resident:
        """sequences, padding, maximum: as in `inputs.pad`."""
        cut = [s[-maximum:] if padding == "pre" else s[:maximum] for s in sequences]
        lengths = torch.tensor([len(s) for s in cut])
        empty = np.zeros((1, *cut[0].shape[1:]), cut[0].dtype)  # what padding reads
        flat = torch.from_numpy(np.concatenate((*cut, empty)))
        first = lengths.cumsum(0) - lengths
        return cls(flat.to(device), first.to(device), lengths.to(device), padding, maximum)

    def __call__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """index (batch,) → values (batch, time, …), zero where padded, and lengths (batch,) int64."""
        lengths = self._lengths[index]
        packed = self._padding == "packed"
        width = max(1, int(lengths.max())) if packed else self._maximum
        step = torch.arange(width, device=lengths.device).expand(len(index), -1)
        if self._padding == "pre":
            step = step - (width - lengths[:, None])
        real = (step >= 0) & (step < lengths[:, None])
        values = self._flat[torch.where(real, self._first[index, None] + step, len(self._flat) - 1)]
        return values, lengths if packed else torch.full_like(lengths, self._maximum)
