"""The emotion model: one or both encoders, concatenated, a dense head, logits (paper, sections 2.5 and 4).

    ENC1 ─┐
          ├─ concatenate ─ [dense ─ ReLU ─ dropout] × head_layers ─ linear ─▶ logits (batch, classes)
    ENC2 ─┘

With one encoder it is a single-modality system: acoustic (Table 1, row 1; no further dense layer) or
embedding (rows 2 and 3; one further dense layer). Beyond the paper, `cross-attention` lets each encoder's steps
attend to the other's before they are pooled (`attention.CrossAttention`), and `confidence` gives each encoder a
head of its own (`confidence.ConfidenceFusion`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config.cnn_stacks import STACKS
from ..errors import ConfigurationError
from .attention import CrossAttention
from .cnn import ConvolutionalEncoder
from .confidence import ConfidenceFusion
from .encoders import SequenceEncoder, StatisticsEncoder, WordEncoder
from .multiresolution_cnn import MultiResolutionEncoder


class Batch(NamedTuple):
    """One batch of inputs; a modality that the system does not use is None.

    frames (batch, time, n_features) with frame_lengths (batch,); words (batch, n) ids or (batch, n, dim)
    vectors with word_lengths (batch,); target (batch,) class numbers.
    """

    frames: Tensor | None = None
    frame_lengths: Tensor | None = None
    words: Tensor | None = None
    word_lengths: Tensor | None = None
    target: Tensor | None = None


class Answer(NamedTuple):
    """What training wants beside the logits (batch, classes).

    encoded (batch, width): what the encoders say of each utterance. own, weighed: logits of each encoder by itself,
    and what it would add to those of the model if it were trusted, where the fusion is by confidence.
    """

    logits: Tensor
    encoded: Tensor
    own: list[Tensor]
    weighed: list[Tensor]


@dataclass(frozen=True)
class ModelConfig:
    """Shape of an `EmotionModel`; the defaults are the paper's (section 4).

    encoders: `acoustic`, `words`, or both. hidden: LSTM units per direction. dense: units of every
    dense layer. head_layers: dense layers between the encoders and the logits. n_features: values in a frame.
    recurrent_mask: of the recurrent dropout, see `models.lstm`. acoustic_encoder: `bilstm`, `statistics`, or one
    of `convolutions.STACKS`. pooling, fusion, word_encoder, modality_dropout: see `experiment.Experiment`, which
    checks that they fit together.
    """

    encoders: tuple[str, ...] = ("acoustic", "words")
    classes: int = 4
    n_features: int = 34
    word_dim: int = 50
    hidden: int = 128
    dense: int = 256
    head_layers: int = 1
    recurrent_dropout: float = 0.2
    recurrent_mask: str = "per-sample"
    dropout: float = 0.3
    pooling: str = "last"
    fusion: str = "concatenate"
    word_encoder: str = "bilstm"
    modality_dropout: float = 0.0
    acoustic_encoder: str = "bilstm"

    def __post_init__(self) -> None:
        if not self.encoders or set(self.encoders) - {"acoustic", "words"}:
            raise ConfigurationError(f"encoders {self.encoders} are not valid; choose acoustic, words, or both")


class EmotionModel(nn.Module):
    """Encoders and head. `table` (n, word_dim) initialises the word embeddings; None for given vectors."""

    def __init__(self, config: ModelConfig, table: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.acoustic = self._acoustic() if "acoustic" in config.encoders else None
        self.words = None
        if "words" in config.encoders:
            self.words = WordEncoder(table, config.word_dim, self._word_encoder())
        self.cross = self.confidence = self.head = None
        if config.fusion == "cross-attention":
            self.cross = nn.ModuleDict({e: CrossAttention(2 * config.hidden, config.hidden) for e in config.encoders})
        if config.fusion == "confidence":
            heads = {encoder: self._head(config.dense) for encoder in sorted(config.encoders)}
            self.confidence = ConfidenceFusion(heads, config.dense, config.classes)
        else:
            self.head = self._head(config.dense * len(config.encoders))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)  # Keras' default for dense layers
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def _acoustic(self) -> SequenceEncoder | StatisticsEncoder | ConvolutionalEncoder:
        c = self.config
        if c.acoustic_encoder == "bilstm":
            return self._encoder(c.n_features)
        if c.acoustic_encoder == "statistics":
            return StatisticsEncoder(c.n_features, c.dense, c.dropout)
        return ConvolutionalEncoder(STACKS[c.acoustic_encoder], c.n_features, c.dense, c.dropout)

    def _encoder(self, input_size: int) -> SequenceEncoder:
        c = self.config
        return SequenceEncoder(
            input_size, c.hidden, c.dense, c.recurrent_dropout, c.dropout, c.pooling, c.recurrent_mask
        )

    def _word_encoder(self) -> nn.Module:
        c = self.config
        if c.word_encoder == "mcnn":
            return MultiResolutionEncoder(c.word_dim, c.hidden, c.dense, c.dropout)
        return self._encoder(c.word_dim)

    def _head(self, width: int) -> nn.Sequential:
        """From an encoding (batch, width) to logits (batch, classes)."""
        layers: list[nn.Module] = []
        for _ in range(self.config.head_layers):
            layers += [nn.Linear(width, self.config.dense), nn.ReLU(), nn.Dropout(self.config.dropout)]
            width = self.config.dense
        return nn.Sequential(*layers, nn.Linear(width, self.config.classes))

    def forward(self, batch: Batch, detailed: bool = False) -> Tensor | Answer:
        """Logits (batch, classes), or with `detailed` the `Answer` that holds them."""
        encoded = self._encode(batch) if self.cross is None else self._encode_crosswise(batch)
        if self.training and self.config.modality_dropout:
            encoded = drop_one(encoded, self.config.modality_dropout)
        together, own, weighed = torch.cat(encoded, dim=-1), [], []
        if self.confidence is not None:
            logits, own, weighed = self.confidence(encoded)
        else:
            assert self.head is not None
            logits = self.head(together)
        return Answer(logits, together, own, weighed) if detailed else logits

    def _encode(self, batch: Batch) -> list[Tensor]:
        """(batch, dense) of each encoder, the acoustic one first."""
        encoded = []
        if self.acoustic is not None:
            assert batch.frames is not None and batch.frame_lengths is not None
            encoded.append(self.acoustic(batch.frames, batch.frame_lengths))
        if self.words is not None:
            assert batch.words is not None and batch.word_lengths is not None
            encoded.append(self.words(batch.words, batch.word_lengths))
        return encoded

    def _encode_crosswise(self, batch: Batch) -> list[Tensor]:
        """As `_encode`, with every frame looking at the words and every word at the frames."""
        assert self.cross is not None and self.words is not None
        hear, read = self.acoustic, self.words.encoder
        assert isinstance(hear, SequenceEncoder) and isinstance(read, SequenceEncoder)
        assert batch.frames is not None and batch.frame_lengths is not None
        assert batch.words is not None and batch.word_lengths is not None
        frames, n_frames = hear.states(batch.frames, batch.frame_lengths)
        words, n_words = read.states(self.words.vectors(batch.words), batch.word_lengths)
        return [
            hear.summarise(self.cross["acoustic"](frames, words, n_words), n_frames),
            read.summarise(self.cross["words"](words, frames, n_frames), n_words),
        ]


def drop_one(encoded: list[Tensor], share: float) -> list[Tensor]:
    """Encodings (batch, width), one of them zero for a `share` of the rows: which rows and which one is drawn.

    So neither modality can be relied on alone (Neverova et al. 2016, "ModDrop").
    """
    rows, device = len(encoded[0]), encoded[0].device
    dropped = torch.rand(rows, device=device) < share
    which = torch.randint(len(encoded), (rows,), device=device)
    return [x.masked_fill((dropped & (which == i))[:, None], 0.0) for i, x in enumerate(encoded)]
