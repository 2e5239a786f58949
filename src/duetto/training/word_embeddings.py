"""Word vectors and encoders of spoken words, trained on the training part of a fold alone.

    fold.train ─ gensim ─────▶ file of word2vec vectors, one for each word type
               ─ Speech2Vec ─▶ folder of an encoder ─▶ file of vectors, one for each word type
    (its epoch is chosen on fold.development)

Each is trained once and kept in a cache folder, under a name derived from everything that its training reads, so that
all systems and seeds share it and a change of the data or the configuration gives another name.
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
from ..inference import SOUNDS, SPOKEN_DESCRIPTION, SPOKEN_GRAPH, SpokenWordEncoder
from ..inference.spoken import type_vectors
from ..models.speech2vec import Speech2VecConfig
from ..splits import Fold
from ..utils.progress import Progress
from . import speech2vec
from .loop import TrainingConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddingConfig:
    """How word vectors are trained.

    Attributes:
        dim: Dimensions of the embedding.
        window: Context words on each side (3 in the Speech2Vec paper).
        epochs: Of Speech2Vec.
        word2vec_epochs: Of word2vec.
        learning_rate: Of Speech2Vec.
        optimiser: Of Speech2Vec, `adam` or `sgd`.
        seed: Of both.
    """

    dim: int = 50
    window: int = 3
    epochs: int = 10
    word2vec_epochs: int = 20
    learning_rate: float = 1e-3
    optimiser: str = "adam"
    seed: int = 0


def word2vec_file(fold: Fold, config: EmbeddingConfig, cache: Path) -> Path:
    """Train skip-gram vectors on the training transcripts, unless the cache has them.

    Args:
        fold: Its training part is read.
        config: How to train.
        cache: Folder that keeps the file.

    Returns:
        The file of vectors.
    """
    sentences = [tokens(utterance) for utterance in fold.train]
    path = cache / f"word2vec-{_digest('word2vec', config, sentences)}.vec"
    if not path.is_file():
        trained = word2vec.train(
            sentences, dim=config.dim, window=config.window, epochs=config.word2vec_epochs, seed=config.seed
        )
        word_vectors.save(trained, path)
    return path


def encoder_folder(fold: Fold, mfcc: Mapping[str, np.ndarray], config: EmbeddingConfig, cache: Path) -> Path:
    """Name the folder of a fold's Speech2Vec.

    Args:
        fold: Its training and development parts are read.
        mfcc: Utterance id → (frames, 13) MFCC.
        config: How it is trained.
        cache: Folder that keeps encoders.

    Returns:
        The folder, which need not exist yet.
    """
    parts = [Segments.of(part, mfcc).digest() for part in (fold.train, fold.development)]
    return cache / f"speech2vec-{_digest('speech2vec', config, parts)}"


def is_trained(encoder: Path) -> bool:
    """Whether a folder holds a trained encoder.

    Args:
        encoder: As `encoder_folder` returns it.

    Returns:
        Whether it was trained to the end and exported.
    """
    return (encoder / SPOKEN_GRAPH).is_file() and (encoder / SPOKEN_DESCRIPTION).is_file()


def train_encoder(
    encoder: Path,
    fold: Fold,
    mfcc: Mapping[str, np.ndarray],
    config: EmbeddingConfig,
    progress: Progress | None = None,
) -> None:
    """Train Speech2Vec on the spoken words of a fold's training part, unless it is trained.

    Args:
        encoder: Folder to write, from `encoder_folder` with the same arguments. Another process that trains in it is
            waited for.
        fold: Its development part chooses the epoch.
        mfcc: Utterance id → (frames, 13) MFCC.
        config: How to train.
        progress: Of the training.
    """
    if is_trained(encoder):
        return
    speech2vec.train(
        fold.train,
        fold.development,
        mfcc,
        encoder,
        config=Speech2VecConfig(dim=config.dim, decoder=config.dim),
        training=TrainingConfig(
            epochs=config.epochs, learning_rate=config.learning_rate, optimiser=config.optimiser, seed=config.seed
        ),
        window=config.window,
        wait=lambda: log.warning("%s: another process is training Speech2Vec there; waiting for it", encoder),
        progress=progress,
    )


def speech2vec_file(encoder: Path, fold: Fold, mfcc: Mapping[str, np.ndarray]) -> Path:
    """Average the embeddings of each word type over its training instances, unless that is done.

    Args:
        encoder: Folder of the fold's encoder; it keeps the file, under the name that `OovResolver.load` expects.
        fold: Its training part is read.
        mfcc: Utterance id → (frames, 13) MFCC.

    Returns:
        The file of vectors.
    """
    path = encoder / SOUNDS
    if not path.is_file():
        word_vectors.save(type_vectors(SpokenWordEncoder(encoder), Segments.of(fold.train, mfcc)), path)
    return path


def _digest(kind: str, config: EmbeddingConfig, read: list[Any]) -> str:
    """Of the configuration and of everything that training reads."""
    content = json.dumps([kind, asdict(config), read], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
