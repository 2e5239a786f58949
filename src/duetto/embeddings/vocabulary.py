"""Text → tokens → ids, and how much of a corpus a set of vectors covers.

    "Okay, it's 7-ish…" ─ normalise ─▶ ["okay", "it's", "seven", "ish"] ─ Vocabulary.encode ─▶ (4,) int64

Tokens are written as the published Speech2Vec vectors write them: the letters a–z and the apostrophe.

Example:
    >>> words = Vocabulary.build([normalise("So good!"), normalise("so, so")])
    >>> words.words, words.encode(["so", "bad"]).tolist()
    (('so', 'good'), [2, 1])
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError, ModelError

PADDING_ID = 0
"""Id that fills a batch; its embedding is always zero."""

UNKNOWN_ID = 1
"""Id of every word outside the vocabulary."""

FIRST_WORD_ID = 2
"""Id of the first word of a vocabulary."""


def count(token_lists: Iterable[Sequence[str]]) -> Counter[str]:
    """How often each token occurs in all lists together."""
    counts: Counter[str] = Counter()
    for tokens in token_lists:
        if isinstance(tokens, str):
            raise ConfigurationError(f"a list of tokens is required, not the text {tokens[:40]!r}: normalise it first")
        counts.update(tokens)
    return counts


@dataclass(frozen=True)
class Vocabulary:
    """Words and their ids: 0 is padding, 1 is every unknown word, `words[i]` has the id i + 2.

    `len(vocabulary)` counts the two special ids too: it is the number of rows of an embedding table.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", tuple(self.words))
        bad = next((word for word in self.words if not isinstance(word, str) or not word), None)
        if bad is not None:
            raise ModelError(f"{bad!r} is no word of a vocabulary: non-empty strings are required")
        if len(self._ids) != len(self.words):
            word = Counter(self.words).most_common(1)[0][0]
            raise ModelError(f"{word!r} stands in the vocabulary more than once: each word has one id")

    @classmethod
    def build(cls, token_lists: Iterable[Sequence[str]], min_count: int = 1) -> Vocabulary:
        """The words seen at least `min_count` times, the most frequent first, equals in alphabetical order.

        No tokens give a vocabulary without words, in which every word is unknown.
        """
        if min_count < 1:
            raise ConfigurationError(f"min_count is {min_count}; a word must occur at least once: give 1 or more")
        counts = count(token_lists)
        return cls(tuple(sorted((w for w, n in counts.items() if n >= min_count), key=lambda w: (-counts[w], w))))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, FIRST_WORD_ID)}

    def __len__(self) -> int:
        return len(self.words) + FIRST_WORD_ID

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def encode(self, tokens: Sequence[str]) -> NDArray[np.int64]:
        """(n,) int64 ids of n tokens; a token outside the vocabulary gets `UNKNOWN_ID`."""
        if isinstance(tokens, str):
            raise ConfigurationError(f"a list of tokens is required, not the text {tokens[:40]!r}: normalise it first")
        ids = self._ids
        return np.array([ids.get(token, UNKNOWN_ID) for token in tokens], dtype=np.int64)

    def to_json(self) -> list[str]:
        """The words, as a list for a JSON file."""
        return list(self.words)

    @classmethod
    def from_json(cls, value: Any) -> Vocabulary:
        """The vocabulary that `to_json` wrote; anything but a list of distinct words is a `ModelError`."""
        if not isinstance(value, list):
            raise ModelError(f"a vocabulary is a JSON list of words, not {type(value).__name__}")
        return cls(tuple(value))


@dataclass(frozen=True)
class Coverage:
    """How much of a text has a vector.

    types, tokens: different words, and running words; known_types, known_tokens: those that have a vector.
    unknown: the words without one and their counts, the most frequent first, equals in alphabetical order.
    """

    types: int
    known_types: int
    tokens: int
    known_tokens: int
    unknown: tuple[tuple[str, int], ...]

    @property
    def type_rate(self) -> float:
        """Share of the different words that have a vector, 0–1; 1 where there is no word."""
        return self.known_types / self.types if self.types else 1.0

    @property
    def token_rate(self) -> float:
        """Share of the running words that have a vector, 0–1; 1 where there is no word."""
        return self.known_tokens / self.tokens if self.tokens else 1.0

    def to_json(self) -> dict[str, Any]:
        """All fields and both rates, for a JSON file."""
        return {
            "types": self.types,
            "known_types": self.known_types,
            "type_rate": self.type_rate,
            "tokens": self.tokens,
            "known_tokens": self.known_tokens,
            "token_rate": self.token_rate,
            "unknown": [list(pair) for pair in self.unknown],
        }


def coverage(counts: Vocabulary | Mapping[str, int], known: Container[str]) -> Coverage:
    """How many of the counted words stand in `known` (a `Vectors`, a set, …).

    counts: word → its count, as from `count`; for a `Vocabulary`, which holds no counts, each word counts once.
    """
    table = dict.fromkeys(counts.words, 1) if isinstance(counts, Vocabulary) else counts
    unknown = sorted(((w, n) for w, n in table.items() if w not in known), key=lambda pair: (-pair[1], pair[0]))
    tokens = sum(table.values())
    return Coverage(
        types=len(table),
        known_types=len(table) - len(unknown),
        tokens=tokens,
        known_tokens=tokens - sum(n for _, n in unknown),
        unknown=tuple(unknown),
    )
