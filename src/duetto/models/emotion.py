"""The emotion model: one or both encoders, concatenated, a dense head, logits (paper, sections 2.5 and 4).

    ENC1 ─┐
          ├─ concatenate ─ [dense ─ ReLU ─ dropout] × head_layers ─ linear ─▶ logits (batch, classes)
    ENC2 ─┘

With one encoder it is a single-modality system: acoustic (Table 1, row 1; no further dense layer) or
embedding (rows 2 and 3; one further dense layer). Beyond the paper, `cross-attention` lets each encoder's steps
attend to the other's before they are pooled (`attention.CrossAttention`), and `confidence` gives each encoder a
head of its own (`confidence.ConfidenceFusion`). With a classifier that is no network, the encoder
passes on the utterance's one vector, and the head is fitted at once instead of trained (`heads`).
Dimensions such as arousal are a second linear layer on the encodings (`heads.DimensionHead`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config.encoders import LINEAR
from ..config.model import ModelConfig
from .attention import CrossAttention
from .confidence import ConfidenceFusion
from .encoders import ENCODERS, SequenceEncoder, WordEncoder
from .heads import DimensionHead, KernelHead


class Batch(NamedTuple):
    """One batch of inputs; a modality that the system does not use is None.

    Attributes:
        frames: (batch, time, n_features) float32.
        frame_lengths: (batch,) int64.
        words: (batch, n) int64 ids, or (batch, n, dim) float32 vectors.
        word_lengths: (batch,) int64.
        target: (batch,) int64 class numbers.
    """

    frames: Tensor | None = None
    frame_lengths: Tensor | None = None
    words: Tensor | None = None
    word_lengths: Tensor | None = None
    target: Tensor | None = None


class ModelOutput(NamedTuple):
    """Logits, and what the further losses of training need.

    Attributes:
        logits: (batch, classes).
        encoded: (batch, width) outputs of the encoders, concatenated.
        encoder_logits: (batch, classes) of each encoder by itself, for fusion by confidence; else empty.
        weighted: (batch, classes) of each encoder, what it adds to the logits at full trust; else empty.
        dimensions: (batch, dimensions) ratings in their own units; None for a model without.
    """

    logits: Tensor
    encoded: Tensor
    encoder_logits: list[Tensor]
    weighted: list[Tensor]
    dimensions: Tensor | None = None

    @property
    def joined(self) -> Tensor:
        """(batch, classes + dimensions): what the exported graph gives."""
        return self.logits if self.dimensions is None else torch.cat((self.logits, self.dimensions), dim=-1)

    def only(self, kept: Tensor) -> ModelOutput:
        """Select rows.

        Args:
            kept: (batch,) booleans.

        Returns:
            Everything but the dimensions of these rows.
        """
        own, weighted = ([x[kept] for x in each] for each in (self.encoder_logits, self.weighted))
        return ModelOutput(self.logits[kept], self.encoded[kept], own, weighted)


class EmotionModel(nn.Module):
    """Encoders and head.

    Args:
        config: The architecture.
        table: (n, word_dim) initial word embeddings; None if words come as vectors.
    """

    def __init__(self, config: ModelConfig, table: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.acoustic = self.words = None
        if "acoustic" in config.encoders:
            self.acoustic = ENCODERS[config.acoustic_encoder](config, config.n_features)
        if "words" in config.encoders:
            encoder = ENCODERS[config.word_encoder](config, config.word_dim)
            self.words = WordEncoder(table, config.word_dim, encoder)
        self.cross = self.confidence = self.head = None
        if config.fusion == "cross-attention":
            self.cross = nn.ModuleDict({e: CrossAttention(2 * config.hidden, config.hidden) for e in config.encoders})
        if config.fusion == "confidence":
            heads = {encoder: self._head(config.dense) for encoder in sorted(config.encoders)}
            self.confidence = ConfidenceFusion(heads, config.dense, config.classes)
        elif config.classifier == "svm":
            self.head = KernelHead(config.vector_size, config.classes)
        elif config.classifier in LINEAR:
            self.head = nn.Sequential(nn.Linear(config.vector_size, config.classes))
        else:
            self.head = self._head(config.encoded_size)
        _initialise(self)
        # Last, so that the other weights of a seed are the same with and without dimensions.
        self.dimensions = DimensionHead(config.encoded_size, config.dimensions) if config.dimensions else None
        if self.dimensions is not None:
            _initialise(self.dimensions)

    def _head(self, width: int) -> nn.Sequential:
        """From an encoding (batch, width) to logits (batch, classes)."""
        layers: list[nn.Module] = []
        for _ in range(self.config.head_layers):
            layers += [nn.Linear(width, self.config.dense), nn.ReLU(), nn.Dropout(self.config.dropout)]
            width = self.config.dense
        return nn.Sequential(*layers, nn.Linear(width, self.config.classes))

    def forward(self, batch: Batch, detailed: bool = False) -> Tensor | ModelOutput:
        """Classify a batch.

        Args:
            batch: The inputs that the configuration's encoders need.
            detailed: Whether to return what training needs beside the logits.

        Returns:
            Logits (batch, classes), or the `ModelOutput` that contains them.
        """
        encoded = self._encode(batch) if self.cross is None else self._cross_encode(batch)
        if self.training and self.config.modality_dropout:
            encoded = drop_one(encoded, self.config.modality_dropout)
        concatenated, own, weighted = torch.cat(encoded, dim=-1), [], []
        if self.confidence is not None:
            logits, own, weighted = self.confidence(encoded)
        else:
            assert self.head is not None
            logits = self.head(concatenated)
        if not detailed:
            return logits
        dimensions = None if self.dimensions is None else self.dimensions(concatenated)
        return ModelOutput(logits, concatenated, own, weighted, dimensions)

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

    def _cross_encode(self, batch: Batch) -> list[Tensor]:
        """As `_encode`, with every frame attending to the words and every word to the frames."""
        assert self.cross is not None and self.words is not None
        acoustic, words = self.acoustic, self.words.encoder
        assert isinstance(acoustic, SequenceEncoder) and isinstance(words, SequenceEncoder)
        assert batch.frames is not None and batch.frame_lengths is not None
        assert batch.words is not None and batch.word_lengths is not None
        frame_states, n_frames = acoustic.states(batch.frames, batch.frame_lengths)
        word_states, n_words = words.states(self.words.vectors(batch.words), batch.word_lengths)
        return [
            acoustic.pooled(self.cross["acoustic"](frame_states, word_states, n_words), n_frames),
            words.pooled(self.cross["words"](word_states, frame_states, n_frames), n_words),
        ]


def _initialise(model: nn.Module) -> None:
    """Draw the weights of all dense layers as Keras does by default."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def drop_one(encoded: list[Tensor], share: float) -> list[Tensor]:
    """Set one encoder's output to zero for some utterances, so that the model cannot rely on one modality alone.

    Modality dropout after Neverova et al. 2016, "ModDrop".

    Args:
        encoded: (batch, width) of each encoder.
        share: Share of the rows, drawn at random, for which one encoder, drawn at random, is set to zero.

    Returns:
        (batch, width) of each encoder.
    """
    rows, device = len(encoded[0]), encoded[0].device
    dropped = torch.rand(rows, device=device) < share
    which = torch.randint(len(encoded), (rows,), device=device)
    return [x.masked_fill((dropped & (which == i))[:, None], 0.0) for i, x in enumerate(encoded)]
