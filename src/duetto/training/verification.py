"""Check that an exported graph computes what the PyTorch model computes.

    Preprocessor ─ random_inputs ─▶ inputs of every length ┐
    real inputs ───────────────────────────────┴─ the model ─▶ outputs ┐
                                               └─ Session ─▶ outputs ──┴─ verify ─▶ largest difference, or an error

Outputs are logits, and the ratings of dimensions where a system has any.
The inputs come in twice: alone, as in prediction, and in padded batches, as in scoring.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ModelError
from ..features.registry import feature_spec
from ..inference.session import Session
from ..preprocessing import Preprocessor

TOLERANCE = 1e-5
"""Largest difference of a logit, in units of the largest logit where that exceeds 1. Two libraries that sum float32
in different orders differ by some 1e-6 over 200 steps; a wrong gate, length or layer by 1e-2 and more."""

Sequences = Sequence[np.ndarray] | None


def lengths(maximum: int) -> list[int]:
    """List lengths of sequences to verify with.

    Args:
        maximum: Longest sequence that the model reads.

    Returns:
        The Fibonacci numbers below it (0, 1, 2, 3, 5, 8, …), `maximum`, and one more, which is cut.
    """
    found, following = [0, 1], 2
    while following < maximum:
        found.append(following)
        following = found[-1] + found[-2]
    return sorted({*found, maximum, maximum + 1})


def random_inputs(preprocessor: Preprocessor, seed: int = 0) -> tuple[Sequences, Sequences]:
    """Draw inputs of every length in `lengths`, distributed as a system's own.

    Normalised features and vectors have mean 0 and standard deviation 1 over the training data, so they are drawn from
    the standard normal distribution; ids are drawn uniformly from the vocabulary and the unknown word; n-grams
    uniformly, one for each word. A system that reads one vector for each utterance also gets none and two, of which it
    reads the first. Where a system has both inputs, long frames are paired with short words, then with long words.

    Args:
        preprocessor: Of the system.
        seed: Of the draw.

    Returns:
        Frames (each (n, values)) and words (each (n,) or (n, dim)) of the same number of utterances; None for an input
        that the system lacks.
    """
    rng = np.random.default_rng(seed)
    e = preprocessor.experiment
    frames = words = None
    if e.uses_audio:
        frames = [rng.standard_normal((n, feature_spec(e.features).dim), np.float32) for n in lengths(e.most_frames)]
    if preprocessor.tfidf is not None:
        words = [_encoded(preprocessor, n, rng) for n in (0, *lengths(e.max_words))]
    elif e.uses_words and e.embeddings == "spoken":
        words = [rng.standard_normal((n, preprocessor.word_dim), np.float32) for n in lengths(e.max_words)]
    elif e.uses_words:
        words = [rng.integers(1, len(preprocessor.vocabulary), n) for n in lengths(e.max_words)]
    if frames is None or words is None:
        return frames, words
    count = max(len(frames), len(words))
    rising = [[x[i] for i in np.linspace(0, len(x) - 1, count).round().astype(int)] for x in (frames, words)]
    return rising[0] * 2, rising[1][::-1] + rising[1]


def _encoded(preprocessor: Preprocessor, n: int, rng: np.random.Generator) -> np.ndarray:
    """The vector (1, `word_dim`) of n terms."""
    terms = preprocessor.tfidf.terms if preprocessor.tfidf else ()
    return preprocessor.encode_words(" ".join(rng.choice(terms, n)).split() if terms else ())


def outputs_one_by_one(session: Session, frames: Sequences, words: Sequences) -> np.ndarray:
    """Score utterances one at a time, as prediction does.

    Args:
        session: An exported model.
        frames: Of n utterances, or None.
        words: Of n utterances, or None.

    Returns:
        Outputs (n, classes + dimensions).
    """
    count = len(frames if frames is not None else words or [])
    rows = [[None if x is None else [x[i]] for x in (frames, words)] for i in range(count)]
    return np.concatenate([session.outputs(*session.preprocessor.collate(*row)) for row in rows])


def verify(session: Session, frames: Sequences, words: Sequences, expected: np.ndarray) -> float:
    """Compare an exported graph with the model that it was made from.

    Args:
        session: The exported model.
        frames: Of n utterances (see `Session.outputs_of`), or None.
        words: Of n utterances, or None.
        expected: Outputs (n, classes + dimensions) of the PyTorch model.

    Returns:
        The largest difference of an output.

    Raises:
        ModelError: It exceeds `TOLERANCE`, or a logit is not finite.
    """
    scale = max(1.0, float(np.abs(expected).max()))
    given = (session.outputs_of(frames, words), outputs_one_by_one(session, frames, words))
    differences = [float(np.abs(outputs - expected).max()) for outputs in given]
    largest = max(differences) if np.isfinite(differences).all() else float("nan")
    if not largest <= TOLERANCE * scale:
        raise ModelError(
            f"{session.folder}: the exported graph departs from the trained model by {largest:.3g} in a logit of up to "
            f"{scale:.3g}; at most {TOLERANCE:g} of that is rounding. This is a defect of duetto: please report it"
        )
    return largest


def spread(by_length: Sequence[int], count: int) -> np.ndarray:
    """Select utterances evenly spread over their lengths.

    Args:
        by_length: Length of each utterance.
        count: How many to select; all, where there are fewer.

    Returns:
        Indices, the shortest utterance first.
    """
    order = np.argsort(by_length, kind="stable")
    return order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))]
