"""What the second encoder reads: vectors of words, learned from a fold's training part alone.

    fold.train ─ gensim ─────▶ word2vec vectors, one a word type
               ─ Speech2Vec ─▶ encoder ─▶ vectors, one a word type, or one for every spoken word
    (its epoch is chosen on fold.development)

Everything is trained once for a fold and kept in a folder, under a name made of what it was trained on, so
that all systems and seeds share it and nothing can be mistaken for something else.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.text import tokens
from ..embeddings import vectors as word_vectors
from ..embeddings import word2vec
from ..embeddings.spoken_words import Segments
from ..embeddings.vectors import Vectors
from ..errors import ConfigurationError
from ..inference import SPOKEN_DESCRIPTION, SPOKEN_GRAPH, OovResolver, SpokenWordEncoder
from ..inference.spoken import OovReplacer, SpokenWordEmbedder, type_vectors
from ..models.speech2vec import Speech2VecConfig
from ..splits import Fold
from ..utils.progress import Progress
from . import speech2vec
from .loop import TrainingConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddingConfig:
    """How vectors are trained. dim: of the embedding. window: words on each side (paper of Speech2Vec: 3).
    epochs: of Speech2Vec. word2vec_epochs: of word2vec. seed: of both."""

    dim: int = 50
    window: int = 3
    epochs: int = 10
    word2vec_epochs: int = 20
    learning_rate: float = 1e-3
    optimiser: str = "adam"
    seed: int = 0


@dataclass(frozen=True)
class Embeddings:
    """Vectors by fold, trained on demand and kept in `folder`.

    frames: utterance id → (frames, 13) MFCC of every utterance, for Speech2Vec; may be None for word2vec.
    """

    folder: Path
    config: EmbeddingConfig
    frames: Mapping[str, np.ndarray] | None = None

    def word2vec(self, fold: Fold) -> Vectors:
        """Skip-gram vectors of the training transcripts."""
        sentences = [tokens(utterance) for utterance in fold.train]
        path = self.folder / f"word2vec-{self._key('word2vec', sentences)}.vec"
        if not path.is_file():
            c = self.config
            trained = word2vec.train(sentences, dim=c.dim, window=c.window, epochs=c.word2vec_epochs, seed=c.seed)
            word_vectors.save(trained, path)
        return word_vectors.load(path)

    def has_encoder(self, fold: Fold) -> bool:
        """Whether Speech2Vec has been trained on this training part already."""
        return _has_encoder(self._encoder_folder(fold))

    def _encoder_folder(self, fold: Fold) -> Path:
        parts = [Segments.of(part, self._frames()).digest() for part in (fold.train, fold.development)]
        return self.folder / f"speech2vec-{self._key('speech2vec', parts)}"

    def encoder(self, fold: Fold, progress: Progress | None = None) -> SpokenWordEncoder:
        """Speech2Vec, trained on the spoken words of the training part."""
        folder = self._encoder_folder(fold)
        if not _has_encoder(folder):
            c = self.config
            speech2vec.train(
                fold.train,
                fold.development,
                self._frames(),
                folder,
                config=Speech2VecConfig(dim=c.dim, decoder=c.dim),
                training=TrainingConfig(
                    epochs=c.epochs, learning_rate=c.learning_rate, optimiser=c.optimiser, seed=c.seed
                ),
                window=c.window,
                wait=lambda: log.warning("%s: another process is training Speech2Vec there; waiting for it", folder),
                progress=progress,
            )
        return SpokenWordEncoder(folder)

    def speech2vec(self, fold: Fold) -> Vectors:
        """Speech2Vec's vector of each word type: the mean over its training instances."""
        encoder = self.encoder(fold)
        path = encoder.folder / "types.vec"
        if not path.is_file():
            segments = Segments.of(fold.train, self._frames())
            word_vectors.save(type_vectors(encoder, segments), path)
        return word_vectors.load(path)

    def spoken(self, fold: Fold) -> SpokenWordEmbedder:
        """Speech2Vec of every single spoken word."""
        encoder = self.encoder(fold)
        return SpokenWordEmbedder(encoder.folder, self._frames(), encoder)

    def oov_replacer(self, fold: Fold) -> OovReplacer:
        """Training words by their sound, for words that training did not hold."""
        return OovReplacer(self._frames(), OovResolver(self.encoder(fold), self.speech2vec(fold)))

    def _frames(self) -> Mapping[str, np.ndarray]:
        if self.frames is None:
            raise ConfigurationError("Speech2Vec needs the MFCC of every utterance: give Embeddings its frames")
        return self.frames

    def _key(self, kind: str, read: list[Any]) -> str:
        """Digest of all that training reads, and of the configuration."""
        content = json.dumps([kind, asdict(self.config), read], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def _has_encoder(folder: Path) -> bool:
    return (folder / SPOKEN_GRAPH).is_file() and (folder / SPOKEN_DESCRIPTION).is_file()
