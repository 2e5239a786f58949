"""The embedding table of a model: the vectors of its vocabulary, and values for words without a vector.

Vocabulary, Vectors ─ table ─▶ (len(vocabulary), d) float32
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError
from .vectors import Vectors
from .vocabulary import FIRST_WORD_ID, UNKNOWN_ID, Coverage, Vocabulary, coverage

UnknownPolicy = Literal["random", "zero", "subword", "mean", "spoken"]
"""How the embedding of a word without a vector is initialised; see `table`."""

_SUBWORD_NEIGHBOURS = 10


def table(
    vocabulary: Vocabulary,
    vectors: Vectors,
    *,
    unknown: UnknownPolicy | str = "random",
    seed: int = 0,
    sounds: Vectors | None = None,
) -> tuple[NDArray[np.float32], Coverage]:
    """Build the embedding table of a vocabulary. A word with a vector keeps it exactly; row 0 (padding) is zero.

    Words without a vector, and row 1 (out of vocabulary), follow a policy:

    - `random`: normal values with the mean and standard deviation of each dimension over the vectors found (over all
        vectors if none was found). They depend on seed and word only, not on the other words.
    - `zero`: zeros.
    - `mean`: the mean of the vectors found (of all vectors if none was found).
    - `subword`: the mean of the vectors of the ten most similar words of the file, weighted by similarity: the Jaccard
        index of the sets of character 3- to 5-grams, with `<` and `>` at the ends (the n-grams of fastText,
        Bojanowski et al. 2017). `mean` for row 1 and for a word that shares no n-gram with any.
    - `spoken`: the vector of the word that sounds most similar, by the cosine of `sounds`. `mean` for row 1 and for a
        word without sound.

    Args:
        vocabulary: Determines the rows.
        vectors: Of any words.
        unknown: The policy.
        seed: For `random`.
        sounds: For `spoken`: word → embedding of its sound.

    Returns:
        The table, (len(vocabulary), d) float32, and the coverage by types.

    Raises:
        ConfigurationError: There is no such policy, or `sounds` are missing.
    """
    if unknown not in get_args(UnknownPolicy):
        raise ConfigurationError(f"unknown={unknown!r} is no policy; choose from {', '.join(get_args(UnknownPolicy))}")
    found = {row: vectors.index[word] for row, word in _rows(vocabulary).items() if word in vectors}
    missing = {row: word for row, word in _rows(vocabulary).items() if word not in vectors}
    known = vectors.matrix[list(found.values())] if found else vectors.matrix
    result = np.zeros((len(vocabulary), vectors.dimension), dtype=np.float32)
    if found:
        result[list(found)] = known
    for row, vector in _initial(missing, vectors, known, unknown, seed, sounds).items():
        result[row] = vector
    return result, coverage(vocabulary, vectors)


def _rows(vocabulary: Vocabulary) -> dict[int, str]:
    return dict(enumerate(vocabulary.words, FIRST_WORD_ID))


def _initial(
    missing: dict[int, str],
    vectors: Vectors,
    known: NDArray[np.float32],
    policy: str,
    seed: int,
    sounds: Vectors | None,
) -> dict[int, NDArray[np.floating]]:
    """Row → vector of `UNKNOWN_ID` and of the words without one; `known` are the vectors found."""
    if policy == "zero":
        return {}
    mean: NDArray[np.floating] = known.mean(axis=0, dtype=np.float64)
    if policy == "random":
        deviation = known.std(axis=0, dtype=np.float64)
        words = {UNKNOWN_ID: "", **missing}
        return {row: mean + deviation * _normal(word, vectors.dimension, seed) for row, word in words.items()}
    result = dict.fromkeys((UNKNOWN_ID, *missing), mean)
    if policy == "subword":
        result |= _subword_vectors(missing, vectors)
    elif policy == "spoken":
        result |= _spoken_vectors(missing, vectors, sounds)
    return result


def random_table(vocabulary: Vocabulary, dimension: int, seed: int) -> NDArray[np.float32]:
    """Initialise an embedding table for training from scratch.

    Values are uniform between −0.05 and 0.05, as Keras initialises an `Embedding`; row 0 (padding) is zero. Each row
    depends on seed and word only.

    Args:
        vocabulary: Determines the rows.
        dimension: d, of an embedding.
        seed: Of the values.

    Returns:
        (len(vocabulary), d) float32.

    Raises:
        ConfigurationError: `dimension` is less than 1.
    """
    if dimension < 1:
        raise ConfigurationError(f"dimension is {dimension}; an embedding has 1 value or more")
    rows = [np.zeros(dimension)]
    rows += [_generator(word, seed).uniform(-0.05, 0.05, dimension) for word in ("", *vocabulary.words)]
    return np.stack(rows).astype(np.float32)


def _normal(word: str, dimension: int, seed: int) -> NDArray[np.float64]:
    return _generator(word, seed).standard_normal(dimension)


def _generator(word: str, seed: int) -> np.random.Generator:
    key = int.from_bytes(hashlib.sha256(word.encode("utf-8")).digest()[:8], "little")
    return np.random.default_rng([seed, key])


def _spoken_vectors(
    missing: dict[int, str], vectors: Vectors, sounds: Vectors | None
) -> dict[int, NDArray[np.floating]]:
    """Row → vector of the word that sounds most similar, for the words that have a sound."""
    if sounds is None:
        raise ConfigurationError("unknown='spoken' needs the sounds of the words; give table its `sounds`")
    common = [word for word in sounds.words if word in vectors]
    if not common:
        return {}
    known = Vectors(tuple(common), sounds.matrix[[sounds.row(word) for word in common]])
    return {
        row: vectors.lookup(known.nearest(sounds.lookup(word), 1)[0][0])
        for row, word in missing.items()
        if word in sounds
    }


def _subword_vectors(missing: dict[int, str], vectors: Vectors) -> dict[int, NDArray[np.floating]]:
    """Row → weighted mean of the most similar words' vectors, for the words that share an n-gram with any."""
    grams_of = {row: _grams(word) for row, word in missing.items()}
    rows_with: dict[str, list[int]] = {gram: [] for grams in grams_of.values() for gram in grams}
    sizes: dict[int, int] = {}
    for row, known in enumerate(vectors.words if missing else ()):
        grams = _grams(known)
        for gram in grams & rows_with.keys():
            rows_with[gram].append(row)
            sizes[row] = len(grams)
    result: dict[int, NDArray[np.floating]] = {}
    for target, grams in grams_of.items():
        shared = Counter(row for gram in grams for row in rows_with[gram])
        jaccard = {row: n / (len(grams) + sizes[row] - n) for row, n in shared.items()}
        best = sorted(jaccard, key=lambda row: (-jaccard[row], row))[:_SUBWORD_NEIGHBOURS]
        if best:
            weights = [jaccard[row] for row in best]
            result[target] = np.average(vectors.matrix[best].astype(np.float64), axis=0, weights=weights)
    return result


def _grams(word: str) -> set[str]:
    marked = f"<{word}>"
    return {marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1)}
