"""Pronunciations of English words: CMUdict, homophones, phone distances.

    "read" ─ pronunciations ─▶ (("R","EH","D"), ("R","IY","D"))

The dictionary is the one inside the pocketsphinx package (CMUdict without stress marks: 39 ARPAbet phones). For words
outside it see `letter_to_sound`.
"""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path

from ..errors import ModelError

Phones = tuple[str, ...]
"""A pronunciation: ARPAbet phones without stress."""

Dictionary = Mapping[str, tuple[Phones, ...]]
"""Word → its pronunciations, the main one first."""


def dictionary_path() -> Path:
    """Locate the pronouncing dictionary of the pocketsphinx package, without importing the package.

    Returns:
        The path of CMUdict.

    Raises:
        ModelError: pocketsphinx is not installed.
    """
    found = importlib.util.find_spec("pocketsphinx")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / "model" / "en-us" / "cmudict-en-us.dict"
        if path.is_file():
            return path
    raise ModelError("pocketsphinx with its English model is not installed. Run: pip install 'pocketsphinx>=5.0.3'")


@cache
def dictionary() -> Dictionary:
    """Read CMUdict, once in a process.

    Returns:
        Word → its pronunciations, for about 126,000 words.

    Raises:
        ModelError: The file is missing or damaged.
    """
    path = dictionary_path()
    entries: defaultdict[str, list[Phones]] = defaultdict(list)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, *phones = line.split()
        if not phones:
            raise ModelError(f"{path}:{number}: no phones after {name!r}; install pocketsphinx again")
        entries[name.partition("(")[0]].append(tuple(phones))
    return {word: tuple(dict.fromkeys(variants)) for word, variants in entries.items()}


def pronunciations(word: str) -> tuple[Phones, ...]:
    """Look a word up in CMUdict.

    Args:
        word: In lower case.

    Returns:
        Its pronunciations, the main one first; () if the dictionary lacks it.
    """
    return dictionary().get(word, ())


def homophones(words: Iterable[str]) -> list[tuple[str, str]]:
    """Find the homophones among words: pairs of different spelling with a pronunciation in common.

    Variant spellings (`gray`, `grey`) and inflections (`boys`, `boy's`) are homophones too.

    Args:
        words: In lower case; those that the dictionary lacks are ignored.

    Returns:
        The pairs, each pair and the list in alphabetical order.
    """
    words_of: defaultdict[Phones, set[str]] = defaultdict(set)
    for word in words:
        for phones in pronunciations(word):
            words_of[phones].add(word)
    return sorted({pair for same in words_of.values() for pair in combinations(sorted(same), 2)})


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Compute the Levenshtein distance: the fewest insertions, deletions and substitutions between two sequences.

    Args:
        first: Any sequence of strings, or a string.
        second: The other one.

    Returns:
        The number of edits.
    """
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            diagonal, row[j] = row[j], min(diagonal + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def phone_distance(first: Sequence[str], second: Sequence[str]) -> float:
    """Compute the edit distance of two pronunciations, divided by the longer length.

    Args:
        first: Phones.
        second: Phones.

    Returns:
        0 (equal) to 1; 0 for two empty sequences.
    """
    longer = max(len(first), len(second))
    return edit_distance(first, second) / longer if longer else 0.0
