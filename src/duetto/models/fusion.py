"""The emotion model: one or both encoders, concatenated, a dense head, logits (paper, sections 2.5 and 4).

    ENC1 ─┐
          ├─ concatenate ─ [dense ─ ReLU ─ dropout] × head_layers ─ linear ─▶ logits (batch, classes)
    ENC2 ─┘

With one encoder it is a single-modality system: acoustic (Table 1, row 1; no further dense layer) or
embedding (rows 2 and 3; one further dense layer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import ConfigurationError
from .encoders import SequenceEncoder, StatisticsEncoder, WordEncoder


class Batch(NamedTuple):
    """One batch of inputs; a modality that the system does not use is None.

    frames (batch, time, 34) with frame_lengths (batch,); words (batch, n) ids or (batch, n, dim)
    vectors with word_lengths (batch,); target (batch,) class numbers.
    """

    frames: Tensor | None = None
    frame_lengths: Tensor | None = None
    words: Tensor | None = None
    word_lengths: Tensor | None = None
    target: Tensor | None = None


@dataclass(frozen=True)
class ModelConfig:
    """Shape of an `EmotionModel`; the defaults are the paper's (section 4).

    encoders: `acoustic`, `words`, or both. hidden: LSTM units per direction. dense: units of every
    dense layer. head_layers: dense layers between the encoders and the logits. acoustic_encoder: `bilstm` or
    `statistics`; n_features: of a frame that it hears.
    """

    encoders: tuple[str, ...] = ("acoustic", "words")
    classes: int = 4
    n_features: int = 34
    word_dim: int = 50
    hidden: int = 128
    dense: int = 256
    head_layers: int = 1
    recurrent_dropout: float = 0.2
    dropout: float = 0.3
    acoustic_encoder: str = "bilstm"

    def __post_init__(self) -> None:
        if not self.encoders or set(self.encoders) - {"acoustic", "words"}:
            raise ConfigurationError(f"encoders {self.encoders} are not valid; choose acoustic, words, or both")


class EmotionModel(nn.Module):
    """Encoders and head. `table` (n, word_dim) initialises the word embeddings; None for given vectors."""

    def __init__(self, config: ModelConfig, table: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.acoustic = None
        if "acoustic" in config.encoders and config.acoustic_encoder == "statistics":
            self.acoustic = StatisticsEncoder(config.n_features, config.dense, config.dropout)
        elif "acoustic" in config.encoders:
            self.acoustic = self._encoder(config.n_features)
        self.words = None
        if "words" in config.encoders:
            self.words = WordEncoder(table, config.word_dim, self._encoder(config.word_dim))
        layers: list[nn.Module] = []
        width = config.dense * len(config.encoders)
        for _ in range(config.head_layers):
            layers += [nn.Linear(width, config.dense), nn.ReLU(), nn.Dropout(config.dropout)]
            width = config.dense
        self.head = nn.Sequential(*layers, nn.Linear(width, config.classes))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)  # Keras' default for dense layers
                nn.init.zeros_(module.bias)

    def _encoder(self, input_size: int) -> SequenceEncoder:
        c = self.config
        return SequenceEncoder(input_size, c.hidden, c.dense, c.recurrent_dropout, c.dropout)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (batch, classes)."""
        encoded = []
        if self.acoustic is not None:
            assert batch.frames is not None and batch.frame_lengths is not None
            encoded.append(self.acoustic(batch.frames, batch.frame_lengths))
        if self.words is not None:
            assert batch.words is not None and batch.word_lengths is not None
            encoded.append(self.words(batch.words, batch.word_lengths))
        return self.head(torch.cat(encoded, dim=-1))
