"""The embedding table of a model: the vectors of its vocabulary, and what stands for words without one.

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
"""What stands in an embedding table for a word without a vector; see `table`."""

_SUBWORD_NEIGHBOURS = 10


def table(
    vocabulary: Vocabulary,
    vectors: Vectors,
    *,
    unknown: UnknownPolicy | str = "random",
    seed: int = 0,
    sounds: Vectors | None = None,
) -> tuple[NDArray[np.float32], Coverage]:
    """The embedding table of a vocabulary, (len(vocabulary), d) float32, and what it covers by types.

    Row 0 (padding) is zero. A word with a vector keeps it exactly. `unknown` says what a word without one gets:

    - `random`: normal values with the mean and standard deviation that each dimension has among the vectors found
        (among all vectors where none was found). They depend on seed and word alone, not on the other words.
    - `zero`: zeros.
    - `mean`: the mean of the vectors found (of all vectors where none was found).
    - `subword`: the mean of the vectors of the ten most alike words of the file, weighted by likeness: the Jaccard
        index of their sets of character 3- to 5-grams, with `<` and `>` at the ends (the n-grams of fastText,
        Bojanowski et al. 2017). A word that shares no n-gram with any gets `mean`.
    - `spoken`: the vector of the word that sounds most like it, by the cosine of their `sounds` (word → vector of its
        sound). A word without a sound gets `mean`.

    Row 1 (every other word) follows the policy too; `subword` and `spoken` give it `mean`.
    """
    if unknown not in get_args(UnknownPolicy):
        raise ConfigurationError(f"unknown={unknown!r} is no policy; choose from {', '.join(get_args(UnknownPolicy))}")
    found = [(row, vectors.index[w]) for row, w in enumerate(vocabulary.words, FIRST_WORD_ID) if w in vectors]
    result = np.zeros((len(vocabulary), vectors.dimension), dtype=np.float32)
    known = vectors.matrix[[source for _, source in found]] if found else vectors.matrix
    if found:
        result[[row for row, _ in found]] = known
    missing = {row: word for row, word in enumerate(vocabulary.words, FIRST_WORD_ID) if word not in vectors}
    if unknown == "random":
        mean, deviation = known.mean(axis=0, dtype=np.float64), known.std(axis=0, dtype=np.float64)
        for row, word in {UNKNOWN_ID: "", **missing}.items():
            result[row] = mean + deviation * _draw(word, vectors.dimension, seed)
    elif unknown != "zero":
        result[[UNKNOWN_ID, *missing]] = known.mean(axis=0, dtype=np.float64)
        if unknown == "subword":
            for word, vector in _subword_vectors(list(missing.values()), vectors).items():
                result[vocabulary.encode([word])] = vector
        elif unknown == "spoken":
            for row, alike in _sound_alikes(missing, vectors, sounds).items():
                result[row] = vectors.lookup(alike)
    return result, coverage(vocabulary, vectors)


def _sound_alikes(missing: dict[int, str], vectors: Vectors, sounds: Vectors | None) -> dict[int, str]:
    """Row → the word with a vector that sounds most like the row's word, for the words that have a sound."""
    if sounds is None:
        raise ConfigurationError("unknown='spoken' needs the sounds of the words; give table its `sounds`")
    heard = [word for word in sounds.words if word in vectors]
    if not heard:
        return {}
    known = Vectors(tuple(heard), sounds.matrix[[sounds.row(word) for word in heard]])
    return {row: known.nearest(sounds.lookup(word), 1)[0][0] for row, word in missing.items() if word in sounds}


def random_table(vocabulary: Vocabulary, dimension: int, seed: int) -> NDArray[np.float32]:
    """A table to be trained from scratch: (len(vocabulary), dimension) float32, row 0 zero.

    Uniform between −0.05 and 0.05, as Keras initialises an `Embedding`: rows so small leave it to training to
    set words apart. Each row depends on seed and word alone.
    """
    if dimension < 1:
        raise ConfigurationError(f"dimension is {dimension}; an embedding has 1 value or more")
    rows = [np.zeros(dimension)]
    rows += [_generator(word, seed).uniform(-0.05, 0.05, dimension) for word in ("", *vocabulary.words)]
    return np.stack(rows).astype(np.float32)


def _draw(word: str, dimension: int, seed: int) -> NDArray[np.float64]:
    return _generator(word, seed).standard_normal(dimension)


def _generator(word: str, seed: int) -> np.random.Generator:
    key = int.from_bytes(hashlib.sha256(word.encode("utf-8")).digest()[:8], "little")
    return np.random.default_rng([seed, key])


def _grams(word: str) -> set[str]:
    marked = f"<{word}>"
    return {marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1)}


def _subword_vectors(words: list[str], vectors: Vectors) -> dict[str, NDArray[np.float64]]:
    """Word → weighted mean of its most alike words' vectors, for the words that have any such."""
    wanted = {word: _grams(word) for word in words}
    carriers: dict[str, list[int]] = {gram: [] for grams in wanted.values() for gram in grams}
    sizes: dict[int, int] = {}
    for row, known in enumerate(vectors.words if wanted else ()):
        grams = _grams(known)
        for gram in grams & carriers.keys():
            carriers[gram].append(row)
            sizes[row] = len(grams)
    result = {}
    for word, grams in wanted.items():
        shared = Counter(row for gram in grams for row in carriers[gram])
        alike = {row: n / (len(grams) + sizes[row] - n) for row, n in shared.items()}
        best = sorted(alike, key=lambda row: (-alike[row], row))[:_SUBWORD_NEIGHBOURS]
        if best:
            weights = [alike[row] for row in best]
            result[word] = np.average(vectors.matrix[best].astype(np.float64), axis=0, weights=weights)
    return result
