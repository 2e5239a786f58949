"""WordPiece, the tokenisation of BERT (Devlin et al. 2019, https://github.com/google-research/bert): text → pieces.

"Unaffable!" ─ split ─▶ ["unaffable", "!"] ─ pieces ─▶ ["una", "##ff", "##able", "!"] ─▶ ids
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

UNKNOWN, FIRST, LAST = "[UNK]", "[CLS]", "[SEP]"
"""Special tokens: a word that no pieces make up, and the beginning and the end of a text."""

LONGEST_WORD = 100
"""Characters of a word that is still taken apart; a longer one is `UNKNOWN`."""

_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


def split(text: str) -> list[str]:
    """Split a text into words: lower case, without accents; each punctuation mark and ideograph is one of its own.

    Args:
        text: Any text.

    Returns:
        The words.
    """
    spaced = "".join(_spaced(character) for character in text)
    plain = unicodedata.normalize("NFD", spaced.lower())
    plain = "".join(character for character in plain if unicodedata.category(character) != "Mn")
    return "".join(f" {character} " if _is_punctuation(character) else character for character in plain).split()


def _spaced(character: str) -> str:
    """The character; a space for any kind of space, nothing for a control character, spaces around an ideograph."""
    if character in "\t\n\r" or unicodedata.category(character) == "Zs":
        return " "
    if character in "\0\ufffd" or unicodedata.category(character).startswith("C"):
        return ""
    code = ord(character)
    return f" {character} " if any(low <= code <= high for low, high in _IDEOGRAPHS) else character


def _is_punctuation(character: str) -> bool:
    """Punctuation of Unicode, and whatever ASCII character is neither letter, digit nor space."""
    ascii_mark = character.isascii() and character.isprintable() and not character.isalnum() and character != " "
    return ascii_mark or unicodedata.category(character).startswith("P")


def pieces(word: str, vocabulary: Mapping[str, int]) -> list[str]:
    """Take a word apart into the longest pieces of the vocabulary, from its beginning.

    Args:
        word: From `split`.
        vocabulary: Piece → id; a piece that does not begin a word begins with `##`.

    Returns:
        The pieces; `UNKNOWN` alone where they do not make up the word.
    """
    found: list[str] = []
    start = 0
    while start < len(word) <= LONGEST_WORD:
        piece = next((p for p in _candidates(word, start) if p in vocabulary), None)
        if piece is None:
            break
        found.append(piece)
        start += len(piece) - (2 if start else 0)
    return found if start == len(word) else [UNKNOWN]


def _candidates(word: str, start: int) -> Iterator[str]:
    prefix = "##" if start else ""
    return (prefix + word[start:stop] for stop in range(len(word), start, -1))


def ids(text: str, vocabulary: Mapping[str, int], longest: int) -> list[int]:
    """Tokenise a text.

    Args:
        text: Any text.
        vocabulary: Piece → id; holds the special tokens.
        longest: Most ids, the two special ones included; the rest of the text is left out.

    Returns:
        The ids, from that of `FIRST` to that of `LAST`.
    """
    inner = [vocabulary[piece] for word in split(text) for piece in pieces(word, vocabulary)]
    return [vocabulary[FIRST], *inner[: longest - 2], vocabulary[LAST]]
