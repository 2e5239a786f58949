"""The two encoders: ENC1 hears how it is said, ENC2 hears what is said (paper, sections 2.3 and 2.4).

frames (batch, time, 34) ─ BiLSTM ─ last state ─ dense ─▶ (batch, dense)
words  (batch, words) ids or (batch, words, dim) vectors ─ BiLSTM ─ last state ─ dense ─▶ (batch, dense)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .lstm import BiLSTM

VARIANCE_FLOOR = 1e-5
"""Added to a variance before its root is taken."""


class SequenceEncoder(nn.Module):
    """BiLSTM, its last states, a dense layer with ReLU, dropout.

    A sequence of length 0 (an utterance in which no word was found) is read as one step of zeros.
    """

    def __init__(self, input_size: int, hidden: int, dense: int, recurrent_dropout: float, dropout: float) -> None:
        super().__init__()
        self.lstm = BiLSTM(input_size, hidden, recurrent_dropout)
        self.dense = nn.Linear(2 * hidden, dense)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x (batch, time, input_size), lengths (batch,) → (batch, dense)."""
        _, last = self.lstm(x, lengths.clamp(min=1))
        return self.dropout(torch.relu(self.dense(last)))


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
        lengths = lengths.clamp(min=1)
        real = (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[..., None].to(x.dtype)
        count = lengths[:, None].to(x.dtype)
        mean = (x * real).sum(1) / count
        variance = (((x - mean[:, None]) * real) ** 2).sum(1) / count
        pooled = torch.cat((mean, (variance + VARIANCE_FLOOR).sqrt()), dim=-1)
        return self.dropout(torch.relu(self.dense(self.dropout(pooled))))


class WordEncoder(nn.Module):
    """An embedding table in front of a `SequenceEncoder`; vectors that are given pass it by.

    table (n, dim): the initial embeddings; they are trained along (paper, section 2.4). Row 0 is
    padding and stays zero, row 1 stands for unknown words. None where only vectors will come.
    """

    def __init__(self, table: Tensor | None, dim: int, encoder: SequenceEncoder) -> None:
        super().__init__()
        self.embedding = None if table is None else nn.Embedding(table.shape[0], dim, padding_idx=0)
        if self.embedding is not None and table is not None:
            with torch.no_grad():
                self.embedding.weight.copy_(table)
                self.embedding.weight[0] = 0.0
        self.encoder = encoder

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """words (batch, n) of ids or (batch, n, dim) of vectors, lengths (batch,) → (batch, dense)."""
        if self.embedding is not None:
            words = self.embedding(words)
        return self.encoder(words, lengths)
