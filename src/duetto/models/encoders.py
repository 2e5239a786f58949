"""The two encoders: ENC1 hears how it is said, ENC2 hears what is said (paper, sections 2.3 and 2.4).

frames (batch, time, 34) ─ BiLSTM ─ last state ─ dense ─▶ (batch, dense)
words  (batch, words) ids or (batch, words, dim) vectors ─ BiLSTM ─ last state ─ dense ─▶ (batch, dense)

Instead of the last state, attention may pool all of them, which the paper leaves to future work.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attention import AttentionPooling, real_steps
from .lstm import BiLSTM
from .pooling import mean_and_deviation


class SequenceEncoder(nn.Module):
    """BiLSTM, its last states (or with pooling `attention` a weighted mean of all), a dense layer with ReLU, dropout.

    A sequence of length 0 (an utterance in which no word was found) is read as one step of zeros.
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
        """x (batch, time, input_size), lengths (batch,) → (batch, dense)."""
        if self.pool is None:
            return self._describe(self.lstm.last(x, lengths.clamp(min=1)))
        return self.summarise(*self.states(x, lengths))

    def states(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """States (batch, time, 2·hidden) of all steps, and the number of those that are real, (batch,) ≥ 1."""
        lengths = lengths.clamp(min=1)
        return self.lstm(x, lengths)[0], lengths

    def summarise(self, states: Tensor, lengths: Tensor) -> Tensor:
        """What follows the BiLSTM, for states that were changed after it; for pooling `attention` alone."""
        assert self.pool is not None
        return self._describe(self.pool(states, lengths))

    def _describe(self, pooled: Tensor) -> Tensor:
        return self.dropout(torch.relu(self.dense(pooled)))


class StatisticsEncoder(nn.Module):
    """Mean and standard deviation of every feature over the steps, then dropout, a dense layer with ReLU, dropout.

    Statistics pooling as in Snyder et al. 2018 ("X-vectors"), section 2, straight on the features: it knows nothing
    of the order of steps and little of how features meet in one of them, and so it can learn less of one corpus
    that is not so in another. The deviation is sqrt(variance + 1e-5). A sequence of length 0 is read as one step
    of zeros.
    """

    def __init__(self, input_size: int, dense: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(2 * input_size, dense)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x (batch, time, input_size), lengths (batch,) → (batch, dense)."""
        real = real_steps(x, lengths.clamp(min=1))[:, None]
        pooled = torch.cat(mean_and_deviation(x.transpose(1, 2), real), dim=-1)
        return self.dropout(torch.relu(self.dense(self.dropout(pooled))))


class WordEncoder(nn.Module):
    """An embedding table in front of an encoder of sequences; vectors that are given pass it by.

    table (n, dim): the initial embeddings; they are trained along (paper, section 2.4). Row 0 is
    padding and stays zero, row 1 stands for unknown words. None where only vectors will come.
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
        """words (batch, n) of ids or (batch, n, dim) of vectors, lengths (batch,) → (batch, dense)."""
        return self.encoder(self.vectors(words), lengths)

    def vectors(self, words: Tensor) -> Tensor:
        """(batch, n, dim) of words as in `forward`."""
        return words if self.embedding is None else self.embedding(words)
