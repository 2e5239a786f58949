"""Speech2Vec: an encoder–decoder over spoken words (Chung & Glass 2018; paper, section 2.2).

    a spoken word (frames, 13 MFCC) ─ BiLSTM ─▶ z (dim)  ─ one shared LSTM ─▶ the MFCC of its neighbours

Skip-gram: predict each of the 2k neighbours from z of the centre word. CBOW: predict the centre word from the summed z
of its neighbours. The decoder is conditioned on z at every step. After training, z is the embedding: of one spoken
instance by itself, of a word type as the mean over its instances.

Without teacher forcing the decoder sees z alone, so its output is the same for every neighbour of a centre: it is
computed once and compared with all of them. With teacher forcing (not stated in the published recipe) every neighbour
is decoded by itself, all neighbours of a batch together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import ConfigurationError
from .lstm import LSTM, BiLSTM


@dataclass(frozen=True)
class Speech2VecConfig:
    """Shape of a `Speech2Vec`.

    Attributes:
        dim: Values in an embedding, even: half for each direction.
        n_features: MFCC per frame.
        objective: `skipgram` or `cbow`.
        decoder: Hidden units of the decoder.
        teacher_forcing: Whether the decoder is fed the true previous frame.

    Raises:
        ConfigurationError: A value is not valid.
    """

    dim: int = 50
    n_features: int = 13
    objective: str = "skipgram"
    decoder: int = 50
    teacher_forcing: bool = False

    def __post_init__(self) -> None:
        if self.objective not in ("skipgram", "cbow"):
            raise ConfigurationError(f"objective {self.objective!r} is not valid; choose skipgram or cbow")
        if self.dim < 2 or self.dim % 2:
            raise ConfigurationError(f"dim = {self.dim} is not valid; an even number is needed, half per direction")
        if self.decoder < 1:
            raise ConfigurationError(f"decoder = {self.decoder} is not valid; give it one unit or more")


class SpokenBatch(NamedTuple):
    """The words of one batch and which of them are neighbours. A tuple, as Fabric needs it for mixed precision.

    Attributes:
        inputs: (n, time, features) words to encode.
        input_lengths: (n,) their frames.
        targets: (m, time', features) words to decode.
        target_lengths: (m,) their frames.
        source: (pairs,) number of an input.
        target: (pairs,) number of the target that this input helps to predict.
    """

    inputs: Tensor
    input_lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    source: Tensor
    target: Tensor


class Speech2Vec(nn.Module):
    """Encoder and decoder; prediction needs `encode` alone.

    Args:
        config: The architecture.
    """

    def __init__(self, config: Speech2VecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = BiLSTM(config.n_features, config.dim // 2)
        self.decoder = LSTM(config.dim + (config.n_features if config.teacher_forcing else 0), config.decoder)
        self.output = nn.Linear(config.decoder, config.n_features)

    def encode(self, words: Tensor, lengths: Tensor) -> Tensor:
        """Embed words.

        Args:
            words: (n, time, features).
            lengths: (n,) ≥ 1.

        Returns:
            (n, dim).
        """
        return self.encoder.last(words, lengths)

    def forward(self, batch: SpokenBatch) -> Tensor:
        """Compute the mean squared error over the real frames of all pairs.

        Padding does not count. Every frame of every pair has the same weight, as in Σ‖x−y‖² of the paper.

        Args:
            batch: Words and pairs.

        Returns:
            A scalar.
        """
        z = self.encode(batch.inputs, batch.input_lengths)
        if self.config.objective == "cbow":
            total = z.new_zeros(len(batch.targets), z.shape[1]).index_add_(0, batch.target, z[batch.source])
            return self._error(total, batch.targets, batch.target_lengths)
        if self.config.teacher_forcing:
            return self._error(z[batch.source], batch.targets[batch.target], batch.target_lengths[batch.target])
        return self._shared_error(z, batch)

    def _decode(self, z: Tensor, time: int, targets: Tensor | None = None) -> Tensor:
        """z (n, dim) → frames (n, time, features)."""
        inputs = z[:, None].expand(-1, time, -1)
        if targets is not None:
            previous = torch.cat((torch.zeros_like(targets[:, :1]), targets[:, :-1]), dim=1)
            inputs = torch.cat((inputs, previous), dim=-1)
        return self.output(self.decoder(inputs))

    def _error(self, z: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """Error of decoding each target by itself."""
        decoded = self._decode(z, targets.shape[1], targets if self.config.teacher_forcing else None)
        real = _real(lengths, targets)
        return ((decoded - targets).square().mean(-1) * real).sum() / real.sum()

    def _shared_error(self, z: Tensor, batch: SpokenBatch) -> Tensor:
        """Error of decoding each input once and comparing it with all its targets.

        Σ over pairs of (y − x)² is computed from the per-step counts, sums and sums of squares of each
        input's targets, so pairs are never materialised: c·y² − 2·y·Σx + Σx².
        """
        time, n = batch.targets.shape[1], len(z)
        real = _real(batch.target_lengths, batch.targets)
        shape = (n, time, batch.targets.shape[2])
        x = (batch.targets * real[..., None])[batch.target]
        sums = z.new_zeros(shape).index_add_(0, batch.source, x)
        squares = z.new_zeros(shape).index_add_(0, batch.source, x * x)
        counts = z.new_zeros(n, time).index_add_(0, batch.source, real[batch.target])
        y = self._decode(z, time)
        error = counts[..., None] * y * y - 2 * y * sums + squares
        return error.mean(-1).sum() / counts.sum()


def _real(lengths: Tensor, frames: Tensor) -> Tensor:
    """(n, time), of the dtype of `frames` (n, time, features): 1 for real frames, 0 for padding."""
    return (torch.arange(frames.shape[1], device=lengths.device) < lengths[:, None]).to(frames.dtype)
