"""Padded batches of prepared utterances, on the device of the model.

Inputs + Preprocessor ─ Batches ─▶ models.emotion.Batch
                      ─ PreparedDataset ─▶ Item ─ collate ─▶ models.emotion.Batch, for a loop of one's own
lengths ─ buckets ─▶ indices of each batch
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..models.emotion import Batch
from ..preprocessing import Preprocessor, pad
from .inputs import Inputs
from .lazy_frames import LazyFrames


class Batches:
    """Batches of prepared utterances, which stay on the device of the last batch, so that a batch is one gather; except
    frames that are too many for that (`LazyFrames`), of which every batch is read, padded and moved.

    Args:
        preprocessor: Of the system: how sequences are padded and cut.
        inputs: The utterances.
    """

    def __init__(self, preprocessor: Preprocessor, inputs: Inputs) -> None:
        self.preprocessor, self.inputs = preprocessor, inputs
        self._device: torch.device | None = None
        self._frames: DeviceSequences | LazySequences | None = None
        self._words: DeviceSequences | None = None
        self._target = torch.from_numpy(inputs.target)

    def _move(self, device: torch.device) -> None:
        e, inputs = self.preprocessor.experiment, self.inputs
        if inputs.frames:
            kind = LazySequences if isinstance(inputs.frames, LazyFrames) else DeviceSequences.of
            self._frames = kind(inputs.frames, device, padding=e.padding, maximum=e.most_frames)
        if inputs.words:
            self._words = DeviceSequences.of(inputs.words, device, padding=e.padding, maximum=e.most_word_vectors)
        self._target = self._target.to(device)
        self._device = device

    def __call__(self, index: np.ndarray, device: torch.device) -> Batch:
        """Pad some utterances into one batch.

        Args:
            index: Their indices (batch,).
            device: Where the batch shall be.

        Returns:
            The batch, with its targets.
        """
        if device != self._device:
            self._move(device)
        chosen = torch.from_numpy(index).to(device)
        frames, frame_lengths = self._frames(chosen) if self._frames else (None, None)
        words, word_lengths = self._words(chosen) if self._words else (None, None)
        return Batch(frames, frame_lengths, words, word_lengths, self._target[chosen])


class Item(NamedTuple):
    """One prepared utterance; a modality that the system does not use is None.

    Attributes:
        frames: (frames, values) float32, normalised.
        words: (n,) int64 ids, or (n, dim) float32 vectors.
        target: Class number.
    """

    frames: Tensor | None
    words: Tensor | None
    target: int


class PreparedDataset(Dataset[Item]):
    """Prepared utterances as a dataset of PyTorch; `collate` is the `collate_fn` of its loader.

    Args:
        preprocessor: Of the system: how sequences are padded and cut.
        inputs: The utterances.
        ids: Of the utterances.

    Attributes:
        preprocessor: As given.
        inputs: As given.
        ids: As given.
        classes: Names of the classes, by number.
    """

    def __init__(self, preprocessor: Preprocessor, inputs: Inputs, ids: Sequence[str]) -> None:
        self.preprocessor, self.inputs, self.ids = preprocessor, inputs, tuple(ids)
        self.classes = preprocessor.classes

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Item:
        frames, words = (
            None if x is None else torch.from_numpy(np.array(x[index])) for x in (self.inputs.frames, self.inputs.words)
        )
        return Item(frames, words, int(self.inputs.target[index]))

    def collate(self, items: Sequence[Item]) -> Batch:
        """Pad items into one batch, as training and prediction do.

        Args:
            items: At least one.

        Returns:
            The batch: every sequence padded with zeros, its lengths, and the targets.
        """
        columns = [
            [x.numpy() for x in column if x is not None] or None for column in list(zip(*items, strict=True))[:2]
        ]
        padded = [
            each and (torch.from_numpy(each.values), torch.from_numpy(each.lengths))
            for each in self.preprocessor.collate(*columns)
        ]
        (frames, frame_lengths), (words, word_lengths) = (each or (None, None) for each in padded)
        target = torch.tensor([item.target for item in items])
        return Batch(frames, frame_lengths, words, word_lengths, target)


class DeviceSequences:
    """Sequences on a device, padded into batches as `preprocessing.pad` does. Make it with `of`.

    Args:
        flat: All sequences, end to end, and one zero step (steps + 1, …).
        first: First step of each sequence (sequences,) int64.
        lengths: Steps of each sequence (sequences,) int64.
        padding: See `preprocessing.pad`.
        maximum: See `preprocessing.pad`.
    """

    def __init__(self, flat: Tensor, first: Tensor, lengths: Tensor, padding: str, maximum: int) -> None:
        self._flat, self._first, self._lengths = flat, first, lengths
        self._padding, self._maximum = padding, maximum

    @classmethod
    def of(
        cls, sequences: Sequence[np.ndarray], device: torch.device | str, *, padding: str = "packed", maximum: int
    ) -> DeviceSequences:
        """Move sequences to a device.

        Args:
            sequences: Each (steps, …), of one dtype.
            device: Where to keep them.
            padding: See `preprocessing.pad`.
            maximum: See `preprocessing.pad`.

        Returns:
            The sequences, cut to `maximum`.
        """
        cut = [s[-maximum:] if padding == "pre" else s[:maximum] for s in sequences]
        lengths = torch.tensor([len(s) for s in cut])
        empty = np.zeros((1, *cut[0].shape[1:]), cut[0].dtype)  # what padding reads
        flat = torch.from_numpy(np.concatenate((*cut, empty)))
        first = lengths.cumsum(0) - lengths
        return cls(flat.to(device), first.to(device), lengths.to(device), padding, maximum)

    def __call__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Pad some sequences into one batch.

        Args:
            index: Their indices (batch,).

        Returns:
            Values (batch, time, …), zero where padded, and lengths (batch,) int64.
        """
        lengths = self._lengths[index]
        packed = self._padding == "packed"
        width = max(1, int(lengths.max())) if packed else self._maximum
        step = torch.arange(width, device=lengths.device).expand(len(index), -1)
        if self._padding == "pre":
            step = step - (width - lengths[:, None])
        real = (step >= 0) & (step < lengths[:, None])
        values = self._flat[torch.where(real, self._first[index, None] + step, len(self._flat) - 1)]
        return values, lengths if packed else torch.full_like(lengths, self._maximum)


class LazySequences:
    """Sequences that are read for each batch; the batches are those of `DeviceSequences`.

    Args:
        sequences: Each (steps, …).
        device: Where batches shall be.
        padding: See `preprocessing.pad`.
        maximum: See `preprocessing.pad`.
    """

    def __init__(
        self, sequences: Sequence[np.ndarray], device: torch.device, *, padding: str = "packed", maximum: int
    ) -> None:
        self._sequences, self._device, self._padding, self._maximum = sequences, device, padding, maximum

    def __call__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Pad some sequences into one batch.

        Args:
            index: Their indices (batch,).

        Returns:
            Values (batch, time, …), zero where padded, and lengths (batch,) int64.
        """
        chosen = [self._sequences[i] for i in index.tolist()]
        padded = pad(chosen, padding=self._padding, maximum=self._maximum)
        return torch.from_numpy(padded.values).to(self._device), torch.from_numpy(padded.lengths).to(self._device)


def buckets(
    lengths: Sequence[int] | np.ndarray, batch_size: int, rng: np.random.Generator, pool: int = 16
) -> list[np.ndarray]:
    """Draw shuffled batches of similar lengths, which need little padding and yet differ every epoch.

    A shuffled order is cut into pools; each pool is sorted by length and cut into batches, and all batches are
    shuffled.

    Args:
        lengths: Of each utterance.
        batch_size: Utterances in a batch; the last of a pool may be smaller.
        rng: Makes the draw.
        pool: Batches in a pool.

    Returns:
        Indices of each batch; every utterance once.
    """
    order = rng.permutation(len(lengths))
    by_length = np.asarray(lengths)
    batches = []
    for start in range(0, len(order), pool * batch_size):
        members = order[start : start + pool * batch_size]
        members = members[np.argsort(by_length[members], kind="stable")]
        batches += [members[i : i + batch_size] for i in range(0, len(members), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
