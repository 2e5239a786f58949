"""The encoders of sequences, and the registry of all encoders (paper, sections 2.3 and 2.4).

    frames (batch, time, 34) ─ BiLSTM ─ last state ─ dense ─▶ (batch, dense)
    words  (batch, words) ids or (batch, words, dim) vectors ─ BiLSTM ─ last state ─ dense ─▶ (batch, dense)

Instead of the last state, attention may pool all of them, which the paper leaves to future work.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ..config.cnn_stacks import STACKS, Stack
from ..config.model import ModelConfig
from .attention import AttentionPooling, real_steps
from .cnn import ConvolutionalEncoder
from .lstm import BiLSTM
from .multiresolution_cnn import MultiResolutionEncoder
from .pooling import mean_and_deviation


class SequenceEncoder(nn.Module):
    """A BiLSTM, pooling of its states, a dense layer with ReLU, dropout.

    A sequence of length 0 (an utterance in which no word was found) is read as one step of zeros.

    Args:
        input_size: Values in a step.
        hidden: LSTM units per direction.
        dense: Units of the dense layer.
        recurrent_dropout: Share of the LSTM states that is dropped in training.
        dropout: Share of the dense layer's outputs that is dropped in training.
        pooling: `last` takes the last state of each direction, `attention` a weighted mean of all states.
        recurrent_mask: `per-sample` or `shared`; see `models.lstm`.
    """

    def __init__(
        self,
        input_size: int,
        hidden: int,
        dense: int,
        recurrent_dropout: float,
        dropout: float,
        pooling: str = "last",
        recurrent_mask: str = "per-sample",
    ) -> None:
        super().__init__()
        self.lstm = BiLSTM(input_size, hidden, recurrent_dropout, recurrent_mask)
        self.pool = AttentionPooling(2 * hidden, hidden) if pooling == "attention" else None
        self.dense = nn.Linear(2 * hidden, dense)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Encode a batch.

        Args:
            x: (batch, time, input_size).
            lengths: (batch,) steps of each sequence.

        Returns:
            (batch, dense).
        """
        if self.pool is None:
            return self._project(self.lstm.last(x, lengths.clamp(min=1)))
        return self.pooled(*self.states(x, lengths))

    def states(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Run the BiLSTM alone.

        Args:
            x: (batch, time, input_size).
            lengths: (batch,) steps of each sequence.

        Returns:
            States (batch, time, 2·hidden) of all steps, and the number of steps (batch,) ≥ 1.
        """
        lengths = lengths.clamp(min=1)
        return self.lstm(x, lengths)[0], lengths

    def pooled(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Apply what follows the BiLSTM, for an encoder with pooling `attention`.

        Args:
            states: (batch, time, 2·hidden), possibly changed after the BiLSTM.
            lengths: (batch,) ≥ 1.

        Returns:
            (batch, dense).
        """
        assert self.pool is not None
        return self._project(self.pool(states, lengths))

    def _project(self, pooled: Tensor) -> Tensor:
        return self.dropout(torch.relu(self.dense(pooled)))


class StatisticsEncoder(nn.Module):
    """Mean and standard deviation of every feature over time, then dropout, a dense layer with ReLU, dropout.

    Statistics pooling as in Snyder et al. 2018 ("X-vectors"), section 2, directly on the features: it ignores the
    order of steps and most of how features interact within a step, and so can overfit less to one corpus. The
    deviation is sqrt(variance + 1e-5). A sequence of length 0 is read as one step of zeros.

    Args:
        input_size: Values in a step.
        dense: Units of the dense layer.
        dropout: Share of values that is dropped in training, before and after the dense layer.
    """

    def __init__(self, input_size: int, dense: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(2 * input_size, dense)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Encode a batch.

        Args:
            x: (batch, time, input_size).
            lengths: (batch,) steps of each sequence.

        Returns:
            (batch, dense).
        """
        real = real_steps(x, lengths.clamp(min=1))[:, None]
        pooled = torch.cat(mean_and_deviation(x.transpose(1, 2), real), dim=-1)
        return self.dropout(torch.relu(self.dense(self.dropout(pooled))))


class VectorEncoder(nn.Module):
    """One vector for each utterance: dropout, a dense layer with ReLU, dropout; or the vector as it is.

    A sequence has one step; of a longer one the first is read. A sequence of length 0 is read as a vector of zeros.

    Args:
        input_size: Values of the vector.
        dense: Units of the dense layer; None passes the vector on.
        dropout: Share of values that is dropped in training, before and after the dense layer.
    """

    def __init__(self, input_size: int, dense: int | None, dropout: float) -> None:
        super().__init__()
        self.dense = None if dense is None else nn.Linear(input_size, dense)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Encode a batch.

        Args:
            x: (batch, time, input_size), zero where padded.
            lengths: (batch,) steps of each sequence; not used.

        Returns:
            (batch, dense), or (batch, input_size) without a dense layer.
        """
        vector = x[:, 0]
        if self.dense is None:
            return vector
        return self.dropout(torch.relu(self.dense(self.dropout(vector))))


class WordEncoder(nn.Module):
    """An embedding table in front of an encoder of sequences; without a table, the input is vectors.

    Args:
        table: (n, dim) initial embeddings, which are fine-tuned (paper, section 2.4): row 0 is padding and stays
            zero, row 1 is the unknown word. None if the input is vectors.
        dim: Values in a vector.
        encoder: Maps vectors (batch, n, dim) and lengths (batch,) to (batch, dense).
    """

    def __init__(self, table: Tensor | None, dim: int, encoder: nn.Module) -> None:
        super().__init__()
        self.embedding = None if table is None else nn.Embedding(table.shape[0], dim, padding_idx=0)
        if self.embedding is not None and table is not None:
            with torch.no_grad():
                self.embedding.weight.copy_(table)
                self.embedding.weight[0] = 0.0
        self.encoder = encoder

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """Encode a batch.

        Args:
            words: (batch, n) ids, or (batch, n, dim) vectors.
            lengths: (batch,) words of each utterance.

        Returns:
            (batch, dense).
        """
        return self.encoder(self.vectors(words), lengths)

    def vectors(self, words: Tensor) -> Tensor:
        """Look up the vectors of words.

        Args:
            words: (batch, n) ids, or (batch, n, dim) vectors, which are returned as they are.

        Returns:
            (batch, n, dim).
        """
        return words if self.embedding is None else self.embedding(words)


def _bilstm(config: ModelConfig, input_size: int) -> nn.Module:
    return SequenceEncoder(
        input_size,
        config.hidden,
        config.dense,
        config.recurrent_dropout,
        config.dropout,
        config.pooling,
        config.recurrent_mask,
    )


def _statistics(config: ModelConfig, input_size: int) -> nn.Module:
    return StatisticsEncoder(input_size, config.dense, config.dropout)


def _multi_resolution(config: ModelConfig, input_size: int) -> nn.Module:
    return MultiResolutionEncoder(input_size, config.hidden, config.dense, config.dropout)


def _cnn(config: ModelConfig, input_size: int, *, stack: Stack) -> nn.Module:
    return ConvolutionalEncoder(stack, input_size, config.dense, config.dropout)


def _vector(config: ModelConfig, input_size: int) -> nn.Module:
    return VectorEncoder(input_size, config.dense if config.classifier == "network" else None, config.dropout)


ENCODERS: dict[str, Callable[[ModelConfig, int], nn.Module]] = {
    "bilstm": _bilstm,
    "statistics": _statistics,
    "vector": _vector,
    "mcnn": _multi_resolution,
    "tfidf": _vector,
    **{name: partial(_cnn, stack=stack) for name, stack in STACKS.items()},
}
"""Name of an encoder → function that builds it, given the configuration and the values in a step."""
