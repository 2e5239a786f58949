"""Text → tokens → ids, and how much of a corpus a set of vectors covers.

    "Okay, it's 7-ish…" ─ normalise ─▶ ["okay", "it's", "seven", "ish"] ─ Vocabulary.encode ─▶ (4,) int64

Tokens are written as the published Speech2Vec vectors write them: the letters a–z and the apostrophe.

Example:
    >>> words = Vocabulary.build([normalise("So good!"), normalise("so, so")])
    >>> words.words, words.encode(["so", "bad"]).tolist()
    (('so', 'good'), [2, 1])
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError, ModelError
from ..utils.text import WINDOWS_1252
from ..utterance import Utterance

PADDING_ID = 0
"""Id that fills a batch; its embedding is always zero."""

UNKNOWN_ID = 1
"""Id of every word outside the vocabulary."""

FIRST_WORD_ID = 2
"""Id of the first word of a vocabulary."""

SPOKEN_SPELLINGS: dict[str, tuple[str, ...]] = {
    "okay": ("all", "right"),
    "ok": ("all", "right"),
    "gonna": ("going", "to"),
    "wanna": ("want", "to"),
    "gotta": ("got", "to"),
    "gimme": ("give", "me"),
    "lemme": ("let", "me"),
    "dunno": ("don't", "know"),
    "kinda": ("kind", "of"),
}
"""Colloquial spellings, frequent in IEMOCAP's transcripts, that vectors trained on read books lack."""

_QUOTES = str.maketrans(dict.fromkeys("’‘‛ʼ`´＇′", "'"))
_ASIDES = re.compile(r"\[[^\]]*\]|<[^>]*>|\+\+[^+]*\+\+|(?<=\w)\(\d+\)")  # [LAUGHTER], <sil>, ++NOISE++, really(2)
_NUMBER = re.compile(r"(\d+)(?:\.(\d+))?(st|nd|rd|th)?(?![a-z])|(\d+)")
_TOKEN = re.compile(r"[a-z']+")
_CLIPPED = frozenset({"'em", "'bout", "'cause", "'course", "'til", "'tis", "'twas", "'round"})
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def normalise(text: str, *, spellings: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """The spoken words of a text, in order: tokens over a–z and the apostrophe, in lower case.

    - Marks of what is no word are dropped: `[LAUGHTER]`, `<sil>`, `++NOISE++`, the variant number in `really(2)`.
    - Curly quotes (also U+0091, U+0092: Windows-1252 decoded as Latin-1) become `'`; it is kept inside a word
      (`don't`) and before a clipped word (`'em`), and dropped as a quotation mark. Accents are removed (`café` →
      `cafe`), hyphens and all other punctuation separate words.
    - Numbers are spelled, since vectors and pronouncing dictionaries hold no digits: cardinals up to 999,999
      (`1,200` → `one thousand two hundred`), ordinals (`3rd`), decimals (`2.5`); longer strings digit by digit.
      A year is spelled as a cardinal too. `&` and `%` become `and` and `percent`.
    - Letters of other scripts have no token.

    spellings: token → the tokens that replace it, e.g. `SPOKEN_SPELLINGS`. One token may become several, so do
        this to text only, not to words that carry times.
    """
    text = unicodedata.normalize("NFKD", text.translate(WINDOWS_1252).translate(_QUOTES)).lower().translate(_QUOTES)
    text = "".join(character for character in text if not unicodedata.combining(character))
    text = _ASIDES.sub(" ", text).replace("&", " and ").replace("%", " percent ")
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = _NUMBER.sub(_spelled, text)
    tokens = [token for match in _TOKEN.finditer(text) if (token := _unquoted(match.group()))]
    if spellings is None:
        return tokens
    return [part for token in tokens for part in spellings.get(token, (token,))]


def _unquoted(token: str) -> str:
    stripped = token.strip("'")
    return "'" + stripped if "'" + stripped in _CLIPPED and token.startswith("'") else stripped


def _spelled(match: re.Match[str]) -> str:
    whole, fraction, suffix, bare = match.groups()
    words = _cardinal(whole or bare)
    if fraction:
        words = [*words, "point", *(_ONES[int(digit)] for digit in fraction)]
    elif suffix:
        words = [*words[:-1], _ordinal(words[-1])]
    return f" {' '.join(words)} "


def _cardinal(digits: str) -> list[str]:
    if len(digits) > 6 or (len(digits) > 1 and digits.startswith("0")):
        return [_ONES[int(digit)] for digit in digits]
    thousands, rest = divmod(int(digits), 1000)
    words = [*_below_thousand(thousands), "thousand"] if thousands else []
    return words + (_below_thousand(rest) if rest or not thousands else [])


def _below_thousand(number: int) -> list[str]:
    hundreds, rest = divmod(number, 100)
    words = [_ONES[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        words += [_TENS[rest // 10]] + ([_ONES[rest % 10]] if rest % 10 else [])
    elif rest or not hundreds:
        words.append(_ONES[rest])
    return words


def _ordinal(cardinal: str) -> str:
    if cardinal in _ORDINALS:
        return _ORDINALS[cardinal]
    return cardinal[:-1] + "ieth" if cardinal.endswith("y") else cardinal + "th"


def tokens(utterance: Utterance) -> list[str]:
    """The words of an utterance, normalised: its `words` where there are any, else its transcript's."""
    if utterance.words is not None:
        return [token for word in utterance.words for token in normalise(word.word)]
    return normalise(utterance.text) if utterance.text else []


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
