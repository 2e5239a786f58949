"""word2vec on text: the baseline for Speech2Vec (skip-gram with negative sampling, by gensim).

list of tokenised sentences ─ train ─▶ Vectors
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from typing import Any

import numpy as np

from ..errors import ConfigurationError, MissingExtraError
from .vectors import Vectors

logger = logging.getLogger(__name__)


def train(
    sentences: list[list[str]], *, dim: int = 100, window: int = 3, epochs: int = 5, min_count: int = 1, seed: int = 0
) -> Vectors:
    """Train skip-gram vectors. Progress is logged, one line an epoch.

    Frequent words are subsampled at 1e-3; each pair has five negative samples. One thread, a fixed hash function and
    the seed make the result reproducible in every process on one machine.

    Args:
        sentences: Lists of tokens.
        dim: Dimension of the vectors.
        window: Context words on each side (3 in Chung & Glass 2018); like word2vec, gensim draws the actual number from
            1 to `window` for each word.
        epochs: Passes over the sentences.
        min_count: Fewest occurrences of a word.
        seed: Of initialisation and sampling, 0 to 2³² − 1.

    Returns:
        The vectors, the most frequent words first.

    Raises:
        ConfigurationError: An option is out of range, or no sentence has two words to learn from.
        MissingExtraError: The extra `train` is not installed.
    """
    _check(sentences, {"dim": dim, "window": window, "epochs": epochs, "min_count": min_count}, seed)
    counts = Counter(word for sentence in sentences for word in sentence)
    # Ties in frequency are broken alphabetically, so that the row order does not depend on the order of sentences.
    kept = dict(sorted(((w, n) for w, n in counts.items() if n >= min_count), key=lambda pair: (-pair[1], pair[0])))
    if not any(sum(word in kept for word in sentence) >= 2 for sentence in sentences):
        raise ConfigurationError(
            f"no sentence holds two words seen at least {min_count} times (of {len(counts)} different words): "
            "there are no neighbours to learn from; give more text or a lower min_count"
        )
    model = _gensim_model(dim=dim, window=window, min_count=min_count, seed=seed)
    model.build_vocab_from_freq(dict(kept), corpus_count=len(sentences))
    total, callbacks = sum(counts.values()), [_progress(epochs)]
    model.train(sentences, total_examples=len(sentences), total_words=total, epochs=epochs, callbacks=callbacks)
    rows = {str(word): row for row, word in enumerate(model.wv.index_to_key)}
    matrix = np.asarray(model.wv.vectors, dtype=np.float32)[[rows[word] for word in kept]]
    logger.info("word2vec: %d words of %d kept, %d sentences", len(kept), len(counts), len(sentences))
    return Vectors(tuple(kept), matrix)


def _check(sentences: list[list[str]], positive: dict[str, int], seed: int) -> None:
    for name, value in positive.items():
        if value < 1:
            raise ConfigurationError(f"{name} is {value}; give 1 or more")
    if not 0 <= seed < 2**32:
        raise ConfigurationError(f"seed is {seed}; give a whole number from 0 to 2³² − 1")
    if any(isinstance(sentence, str) for sentence in sentences):
        raise ConfigurationError("sentences must be lists of tokens, not texts: normalise them first")


def _gensim_model(*, dim: int, window: int, min_count: int, seed: int) -> Any:
    try:
        from gensim.models import Word2Vec
    except ImportError as error:
        raise MissingExtraError("training word2vec", "train") from error
    return Word2Vec(
        vector_size=dim, window=window, min_count=min_count, seed=seed, sg=1, workers=1, hashfxn=_fixed_hash
    )


def _fixed_hash(text: str) -> int:
    """A hash that, unlike Python's own, is the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:4], "little")


def _progress(epochs: int) -> Any:
    from gensim.models.callbacks import CallbackAny2Vec

    class Progress(CallbackAny2Vec):
        """Logs each epoch at its end."""

        def __init__(self) -> None:
            self.done = 0

        def on_epoch_end(self, model: object) -> None:
            self.done += 1
            logger.info("word2vec: epoch %d of %d", self.done, epochs)

    return Progress()
