"""TF-IDF: the words of an utterance as one vector of weighted counts.

    tokens ─ words and word pairs ─ 1 + ln(count) ─ × idf ─ ÷ length ─▶ (1, n-grams + 1)

The weighting of Salton & Buckley, "Term-weighting approaches in automatic text retrieval", 1988, with the smoothed
inverse document frequency of scikit-learn's `TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)`. The last value
is 1 for an utterance without any known n-gram and 0 for all others, so that a linear classifier has an answer of its
own for utterances that tell it nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import ModelError
from ..utils.reading import Record
from .vocabulary import Vocabulary

MOST = 500_000
"""N-grams that a model folder may hold: ten times as many as occur twice in a million words."""

_LARGEST_IDF = 100.0
"""Above 1 + ln of any number of documents that exists."""


def ngrams(tokens: Sequence[str]) -> list[str]:
    """List the words and the pairs of neighbouring words.

    Args:
        tokens: Normalised words, which contain no space.

    Returns:
        Each word, then each pair, its words joined by a space.
    """
    return [*tokens, *(f"{a} {b}" for a, b in pairwise(tokens))]


@dataclass(frozen=True, eq=False)
class Tfidf:
    """The n-grams that count, and their weights.

    Attributes:
        terms: Distinct n-grams, in the order of the values of a vector.
        idf: (n-grams,) float64 inverse document frequencies, above 0.

    Raises:
        ModelError: The terms are not distinct texts, or the weights do not fit them.
    """

    terms: tuple[str, ...]
    idf: np.ndarray

    def __post_init__(self) -> None:
        if not all(isinstance(term, str) and term for term in self.terms) or len(self._places) != len(self.terms):
            raise ModelError("the n-grams of a model are distinct texts that are not empty")
        fits = self.idf.shape == (len(self.terms),)
        if not fits or not ((self.idf > 0) & (self.idf <= _LARGEST_IDF)).all():
            raise ModelError(f"{len(self.terms)} n-grams need as many weights, above 0 and up to {_LARGEST_IDF:g}")

    @classmethod
    def fit(cls, documents: Iterable[Sequence[str]], least: int = 2) -> Tfidf:
        """Collect the n-grams of training utterances.

        Args:
            documents: Tokens of each utterance; utterances without words are not counted.
            least: Utterances that an n-gram must occur in.

        Returns:
            The n-grams in alphabetical order, with idf = 1 + ln((1 + utterances) / (1 + utterances with it)).
        """
        found = [set(ngrams(tokens)) for tokens in documents if tokens]
        counts = Counter(term for terms in found for term in terms)
        terms = tuple(sorted(term for term, count in counts.items() if count >= least))
        with_it = np.array([counts[term] for term in terms], np.float64)
        return cls(terms, 1 + np.log((1 + len(found)) / (1 + with_it)))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {term: place for place, term in enumerate(self.terms)}

    @property
    def dim(self) -> int:
        """Values of a vector."""
        return len(self.terms) + 1

    @property
    def vocabulary(self) -> Vocabulary:
        """The single words among the n-grams, and those of which pairs are made."""
        return Vocabulary(tuple(sorted({word for term in self.terms for word in term.split(" ")})))

    def __call__(self, tokens: Sequence[str]) -> np.ndarray:
        """Weigh the words of one utterance.

        Args:
            tokens: Normalised words; n-grams that are not known do not count.

        Returns:
            (1, n-grams + 1) float32, of length 1.
        """
        counts = Counter(place for term in ngrams(tokens) if (place := self._places.get(term)) is not None)
        vector = np.zeros(self.dim)
        for place, count in sorted(counts.items()):
            vector[place] = (1 + np.log(count)) * self.idf[place]
        vector[-1] = not counts
        return (vector / np.sqrt(vector @ vector)).astype(np.float32)[None]

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            What `from_json` reads.
        """
        return {"terms": list(self.terms), "idf": self.idf.tolist()}

    @classmethod
    def from_json(cls, record: Record) -> Tfidf:
        """Convert from JSON values; the inverse of `to_json`.

        Args:
            record: The JSON object.

        Returns:
            N-grams and weights.

        Raises:
            DuettoError: (of the record's class) The values are not such as `fit` returns, or more than `MOST`.
        """
        terms, idf = record.texts("terms"), record.array("idf")
        if len(terms) > MOST:
            raise record.wrong(f"{len(terms):,} n-grams; at most {MOST:,} are read")
        try:
            return cls(tuple(terms), idf.astype(np.float64))
        except ModelError as error:
            raise record.wrong(str(error)) from error
