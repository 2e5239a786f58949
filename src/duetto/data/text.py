"""The one normalisation of text: written text → the tokens that are spoken.

"Dr. Smith paid $20!" ─ normalise ─▶ ["dr", "smith", "paid", "twenty"]

Whatever reads words (vocabularies, language models, encoders) takes them from `tokens` or `word_tokens`, and does not
normalise again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from ..utils.text import WINDOWS_1252
from .utterance import Utterance, Word

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
    """Split a text into tokens over a–z and the apostrophe, in lower case.

    - Markup of non-words is dropped: `[LAUGHTER]`, `<sil>`, `++NOISE++`, the variant number in `really(2)`.
    - Curly quotes (also U+0091, U+0092: Windows-1252 decoded as Latin-1) become `'`, which is kept inside a word
      (`don't`) and before a clipped word (`'em`), and dropped as a quotation mark. Accents are removed (`café` →
      `cafe`); hyphens and all other punctuation separate words.
    - Numbers are spelled out, since vectors and pronouncing dictionaries hold no digits: cardinals up to 999,999
      (`1,200` → `one thousand two hundred`), ordinals (`3rd`), decimals (`2.5`); longer strings digit by digit.
      A year is spelled as a cardinal too. `&` and `%` become `and` and `percent`.
    - Letters of other scripts have no token.

    Normalising tokens again changes nothing.

    Args:
        text: Any text.
        spellings: Token → the tokens that replace it, such as `SPOKEN_SPELLINGS`. One token may become several, so
            apply this to text only, not to words with times.

    Returns:
        The tokens, in order.

    >>> normalise("“Well-known”, she said: 3rd [LAUGHTER] really?")
    ['well', 'known', 'she', 'said', 'third', 'really']
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


def word_tokens(words: Iterable[Word]) -> list[str]:
    """Normalise words.

    Args:
        words: Words of any source.

    Returns:
        Their tokens, in order; a word can have none (`[noise]`) or several (`well-known`).
    """
    return [token for word in words for token in normalise(word.word)]


def tokens(utterance: Utterance) -> list[str]:
    """Normalise the words of an utterance.

    Args:
        utterance: Its `words` are used where there are any, else its transcript.

    Returns:
        The tokens, in order.
    """
    if utterance.words is not None:
        return word_tokens(utterance.words)
    return normalise(utterance.text) if utterance.text else []
