"""Vocabulary: tokens → ids, and how much of a corpus a set of vectors covers.

    ["okay", "it's", "seven", "ish"] ─ Vocabulary.encode ─▶ (4,) int64

Tokens come from `data.text.normalise`, in the spelling of the published Speech2Vec vectors: the letters a–z and the
apostrophe.

Example:
    >>> from duetto.data.text import normalise
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
"""Id of padding; its embedding is always zero."""

UNKNOWN_ID = 1
"""Id of all out-of-vocabulary words."""

FIRST_WORD_ID = 2
"""Id of the first word of a vocabulary."""


def count(token_lists: Iterable[Sequence[str]]) -> Counter[str]:
    """Count the tokens of a corpus.

    Args:
        token_lists: A list of tokens for each utterance.

    Returns:
        Token → number of occurrences.

    Raises:
        ConfigurationError: An item is a text instead of a list of tokens.
    """
    counts: Counter[str] = Counter()
    for tokens in token_lists:
        if isinstance(tokens, str):
            raise ConfigurationError(f"a list of tokens is required, not the text {tokens[:40]!r}: normalise it first")
        counts.update(tokens)
    return counts


@dataclass(frozen=True)
class Vocabulary:
    """Words and their ids: 0 is padding, 1 is any unknown word, `words[i]` has the id i + 2.

    `len(vocabulary)` includes the two special ids: it is the number of rows of an embedding table.

    Attributes:
        words: Distinct and not empty.

    Raises:
        ModelError: `words` are not valid.
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
        """Collect the words of a corpus, the most frequent first, ties in alphabetical order.

        Args:
            token_lists: A list of tokens for each utterance; none gives a vocabulary in which every word is unknown.
            min_count: Fewest occurrences of a word.

        Returns:
            The vocabulary.

        Raises:
            ConfigurationError: An argument is not valid.
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
        """Convert tokens to ids.

        Args:
            tokens: n tokens; those out of vocabulary get `UNKNOWN_ID`.

        Returns:
            (n,) int64.

        Raises:
            ConfigurationError: `tokens` is a text.
        """
        if isinstance(tokens, str):
            raise ConfigurationError(f"a list of tokens is required, not the text {tokens[:40]!r}: normalise it first")
        ids = self._ids
        return np.array([ids.get(token, UNKNOWN_ID) for token in tokens], dtype=np.int64)

    def to_json(self) -> list[str]:
        """Convert to a JSON value.

        Returns:
            The words.
        """
        return list(self.words)

    @classmethod
    def from_json(cls, value: Any) -> Vocabulary:
        """Read the value of `to_json`.

        Args:
            value: A list of distinct words.

        Returns:
            The vocabulary.

        Raises:
            ModelError: `value` is anything else.
        """
        if not isinstance(value, list):
            raise ModelError(f"a vocabulary is a JSON list of words, not {type(value).__name__}")
        return cls(tuple(value))


@dataclass(frozen=True)
class Coverage:
    """How many words of a text have a vector.

    Attributes:
        types: Distinct words.
        known_types: Those that have a vector.
        tokens: Running words.
        known_tokens: Those that have a vector.
        unknown: The words without a vector and their counts, the most frequent first, ties in alphabetical order.
    """

    types: int
    known_types: int
    tokens: int
    known_tokens: int
    unknown: tuple[tuple[str, int], ...]

    @property
    def type_rate(self) -> float:
        """Fraction of the distinct words that have a vector, 0–1; 1 if there is no word."""
        return self.known_types / self.types if self.types else 1.0

    @property
    def token_rate(self) -> float:
        """Fraction of the running words that have a vector, 0–1; 1 if there is no word."""
        return self.known_tokens / self.tokens if self.tokens else 1.0

    def to_json(self) -> dict[str, Any]:
        """Convert to a JSON object.

        Returns:
            All fields and both rates.
        """
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
    """Compute how many words are known.

    Args:
        counts: Word → its count, from `count`; in a `Vocabulary`, which has no counts, each word counts once.
        known: The known words: a `Vectors`, a set, ….

    Returns:
        The coverage of types and tokens.
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
