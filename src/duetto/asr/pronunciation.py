"""How English words are pronounced: CMUdict, homophones, distances, and a guess for words outside the dictionary.

    "read" ─ pronunciations ─▶ (("R","EH","D"), ("R","IY","D"))        "duetto" ─ guess ─▶ ("D","UW","T","OW")

The dictionary is the one inside the pocketsphinx package (CMUdict without stress marks: 39 ARPAbet phones).

The guess is a letter-to-sound model learnt from that dictionary at its first use (3–4 s, then kept for the
process). Each letter gives no phone, one, or two. Letters and phones are aligned by hard expectation–maximisation
(Damper et al. 2005); the phones of a letter then depend on the letters around it and on what the letters before gave,
with interpolated back-off from wide contexts to narrow ones, and a beam search finds the best sequence.
"""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError, ModelError

Phones = tuple[str, ...]
Dictionary = Mapping[str, tuple[Phones, ...]]
_Ids = NDArray[np.int64]

_LETTERS = "abcdefghijklmnopqrstuvwxyz'"
_EDGE = 0  # symbol before the first and after the last letter; letter i of _LETTERS is symbol i + 1
_LONGEST = 16  # letters and phones of a word that is learnt from
_ROUNDS = 4  # of expectation–maximisation
_OUTPUTS = 256  # different phone strings of one letter that are kept apart; 8 bits of a context key
_START = _OUTPUTS - 1  # "output" before the first letter
_BEAM = 6
# Context of each back-off level, narrow to wide: letters before, letters after, outputs before.
_LEVELS = ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 2, 0), (1, 2, 1), (2, 2, 1), (2, 3, 1), (3, 3, 2), (4, 4, 1))


def dictionary_path() -> Path:
    """The pronouncing dictionary inside the pocketsphinx package; found without loading its decoder."""
    found = importlib.util.find_spec("pocketsphinx")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / "model" / "en-us" / "cmudict-en-us.dict"
        if path.is_file():
            return path
    raise ModelError("pocketsphinx with its English model is not installed. Run: pip install 'pocketsphinx>=5.0.3'")


@cache
def dictionary() -> Dictionary:
    """Word → its pronunciations, for the whole of CMUdict (about 126,000 words); read once in a process."""
    path = dictionary_path()
    entries: defaultdict[str, list[Phones]] = defaultdict(list)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, *phones = line.split()
        if not phones:
            raise ModelError(f"{path}:{number}: no phones after {name!r}; install pocketsphinx again")
        entries[name.partition("(")[0]].append(tuple(phones))
    return {word: tuple(dict.fromkeys(variants)) for word, variants in entries.items()}


def pronunciations(word: str) -> tuple[Phones, ...]:
    """The pronunciations of a lower-case word in CMUdict, the main one first; () where it has none."""
    return dictionary().get(word, ())


def homophones(words: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of differently spelt words with a pronunciation in common, each pair and the list in alphabetical order.

    Words outside the dictionary have no part in it. Variant spellings (`gray`, `grey`) and inflections (`boys`,
    `boy's`) are homophones too.
    """
    sounds: defaultdict[Phones, set[str]] = defaultdict(set)
    for word in words:
        for phones in pronunciations(word):
            sounds[phones].add(word)
    return sorted({pair for alike in sounds.values() for pair in combinations(sorted(alike), 2)})


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Fewest insertions, deletions and substitutions of items that turn one sequence into the other (Levenshtein)."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            diagonal, row[j] = row[j], min(diagonal + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def phone_distance(first: Sequence[str], second: Sequence[str]) -> float:
    """Edit distance over phones divided by the longer length: 0 (equal) to 1; 0 for two empty sequences."""
    longer = max(len(first), len(second))
    return edit_distance(first, second) / longer if longer else 0.0


def guess(word: str) -> Phones:
    """The likely pronunciation of a word from its letters alone; at least one phone.

    For words outside the dictionary: `pronunciations` knows better. On CMUdict words held out of the training the
    phone error rate is 7.6 % and 66 % of words are right as a whole (2,000 words; much of CMUdict is names).
    Characters other than letters and the apostrophe are passed over; a word without letters is a
    `ConfigurationError`.
    """
    return _guesser().guess(word)


@cache
def _guesser() -> Guesser:
    return Guesser.fit(dictionary())


@dataclass(frozen=True)
class Guesser:
    """A letter-to-sound model; `guess` of this module uses one that is fitted to all of CMUdict.

    outputs: the phone strings a letter can give. contexts: for each level of `_LEVELS`, the sorted keys
    `context · 256 + output` (int64) and how often each was seen (int64).
    """

    outputs: tuple[Phones, ...]
    contexts: tuple[tuple[_Ids, _Ids], ...]

    @classmethod
    def fit(cls, entries: Dictionary) -> Guesser:
        """Learn from the main pronunciation of every word of 2–16 letters and at most 16 phones (two a letter)."""
        chosen = {
            word: variants[0]
            for word, variants in entries.items()
            if 2 <= len(word) <= _LONGEST
            and len(variants[0]) <= min(_LONGEST, 2 * len(word))
            and not set(word) - set(_LETTERS)
        }
        if not chosen:
            raise ModelError("no word of 2–16 letters a–z in the dictionary: nothing to learn pronunciation from")
        names = tuple(sorted({phone for phones in chosen.values() for phone in phones}))
        letters = _padded([_symbols(word) for word in chosen])
        numbers = {phone: number for number, phone in enumerate(names, 1)}
        phones = _padded([[numbers[phone] for phone in sequence] for sequence in chosen.values()])
        first, second = _align(letters, phones, len(names) + 1)
        pairs, ids = np.unique((first * (len(names) + 1) + second)[letters > 0], return_inverse=True)
        counts = np.bincount(ids)
        kept = np.sort(np.argsort(-counts, kind="stable")[: _START - 1])
        outputs = [divmod(int(pairs[i]), len(names) + 1) for i in kept]
        number = np.full(len(pairs), -1)
        number[kept] = np.arange(len(kept))
        emitted = np.full(letters.shape, _START)
        emitted[letters > 0] = number[ids]
        texts = tuple(tuple(names[p - 1] for p in output if p) for output in outputs)
        return cls(texts, _count_contexts(letters, emitted))

    def guess(self, word: str) -> Phones:
        """The likely phones of a word, as the function `guess` of this module gives them."""
        symbols = _symbols(word.lower())
        if not any(symbol <= 26 for symbol in symbols):
            raise ConfigurationError(f"{word!r} holds no letter a–z: there is nothing to pronounce")
        edge = [_EDGE] * max(max(before, after) for before, after, _ in _LEVELS)
        padded = edge + symbols + edge
        beam: list[tuple[float, tuple[int, ...]]] = [(0.0, (_START, _START))]
        for position in range(len(edge), len(edge) + len(symbols)):
            longer = []
            seen: dict[tuple[int, int], NDArray[np.float64]] = {}
            for score, history in beam:
                last = (history[-1], history[-2])
                if last not in seen:
                    seen[last] = np.log(self._distribution(padded, position, last))
                for output in np.argsort(-seen[last].round(9), kind="stable")[:_BEAM]:
                    longer.append((score + float(seen[last][output]), (*history, int(output))))
            beam = sorted(longer, key=lambda item: -round(item[0], 9))[:_BEAM]  # equal but for rounding is equal
        answers = (tuple(p for output in history[2:] for p in self.outputs[output]) for _, history in beam)
        return next((answer for answer in answers if answer), None) or self._first_sound(symbols)

    def _first_sound(self, symbols: list[int]) -> Phones:
        """The likeliest phone of the first letter: for a word whose letters all seem silent."""
        shares = self._distribution([symbols[0]], 0, (_START, _START), levels=1)
        return next(self.outputs[i] for i in np.argsort(-shares, kind="stable") if self.outputs[i])

    def _distribution(
        self, padded: list[int], position: int, last: tuple[int, int], levels: int = len(_LEVELS)
    ) -> NDArray[np.float64]:
        """(outputs,) probability of each output of one letter, by Witten–Bell interpolation from narrow to wide."""
        shares = np.full(len(self.outputs), 1 / len(self.outputs))
        for (before, after, history), (keys, counts) in zip(_LEVELS[:levels], self.contexts, strict=False):
            key = 0
            for symbol in padded[position - before : position + after + 1]:
                key = key << 5 | symbol
            for output in last[:history]:
                key = key << 8 | output
            low, high = np.searchsorted(keys, (key << 8, (key + 1) << 8))
            if low == high:
                break  # a wider context of an unseen one is unseen too
            seen = counts[low:high]
            shares = shares * (high - low)
            shares[keys[low:high] & (_OUTPUTS - 1)] += seen
            shares /= seen.sum() + (high - low)
        return shares


def _symbols(word: str) -> list[int]:
    return [_LETTERS.index(letter) + 1 for letter in word if letter in _LETTERS]


def _padded(sequences: list[list[int]]) -> _Ids:
    result = np.zeros((len(sequences), _LONGEST), dtype=np.int64)
    for row, sequence in enumerate(sequences):
        result[row, : len(sequence)] = sequence
    return result


def _count_contexts(letters: _Ids, emitted: _Ids) -> tuple[tuple[_Ids, _Ids], ...]:
    """Keys and counts of every level, from (words, 16) letters and outputs (−1: too rare an output to be kept)."""
    wide = max(max(before, after) for before, after, _ in _LEVELS)
    around = np.pad(letters, ((0, 0), (wide, wide)))
    earlier = np.pad(np.where(emitted < 0, _START, emitted), ((0, 0), (2, 0)), constant_values=_START)
    use = (letters > 0) & (emitted >= 0)
    result = []
    for before, after, history in _LEVELS:
        key = np.zeros_like(letters)
        for shift in range(-before, after + 1):
            key = key << 5 | around[:, wide + shift : wide + shift + _LONGEST]
        for back in range(history):
            key = key << 8 | earlier[:, 1 - back : 1 - back + _LONGEST]
        keys, counts = np.unique((key << 8 | emitted)[use], return_counts=True)
        result.append((keys, counts))
    return tuple(result)


def _align(letters: _Ids, phones: _Ids, n_phones: int) -> tuple[_Ids, _Ids]:
    """The phones each letter gives: two arrays shaped like `letters`, 0 for none (one phone: second is 0).

    Starts from how often letter and phone stand near each other, then alternates best alignment and counting, on
    every eighth word; the last alignment is of all words.
    """
    few = slice(None, None, 8 if len(letters) > 8000 else 1)
    scores = _first_scores(letters[few], phones[few], n_phones)
    for _ in range(_ROUNDS):
        first, second = _best_paths(letters[few], phones[few], scores)
        cell = (letters[few] * n_phones + first) * n_phones + second
        size = (len(_LETTERS) + 1) * n_phones**2
        counts = np.bincount(cell.ravel(), minlength=size).reshape(-1, n_phones, n_phones) + 0.01
        scores = np.log(counts / counts.sum(axis=(1, 2), keepdims=True))
    return _best_paths(letters, phones, scores)


def _first_scores(letters: _Ids, phones: _Ids, n_phones: int) -> NDArray[np.float64]:
    """(letters, phones, phones) first log scores of a letter's phones; index 0 is no phone."""
    together = np.zeros((len(_LETTERS) + 1, n_phones))
    for i in range(_LONGEST):
        for j in range(max(0, i - 2), min(_LONGEST, i + 2)):
            np.add.at(together, (letters[:, i], phones[:, j]), 1)
    together[0] = together[:, 0] = 0
    expected = together.sum(1, keepdims=True) * together.sum(0, keepdims=True) / together.sum()
    single = np.log((together + 0.01) / (expected + 1))
    # No phone, or two, start out dearer than any phone that is common near the letter.
    scores = (single[:, :, None] + single[:, None, :]) / 2 - 3.0
    scores[:, :, 0] = single
    scores[:, 0, 0] = -1.5
    return scores


def _best_paths(letters: _Ids, phones: _Ids, scores: NDArray[np.float64]) -> tuple[_Ids, _Ids]:
    """Viterbi alignment of all words, those of one length at a time."""
    lengths, spoken = (letters > 0).sum(1), (phones > 0).sum(1)
    first, second = np.zeros_like(letters), np.zeros_like(letters)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        longest = int(spoken[rows].max())
        moves = _best_moves(letters[rows, :length], phones[rows, :longest], scores)
        j = spoken[rows]
        for i in range(length - 1, -1, -1):
            move = moves[i, j, np.arange(len(rows))]
            first[rows, i] = np.where(move >= 1, phones[rows, np.maximum(j - np.maximum(move, 1), 0)], 0)
            second[rows, i] = np.where(move == 2, phones[rows, np.maximum(j - 1, 0)], 0)
            j = j - move
    return first, second


def _best_moves(letters: _Ids, phones: _Ids, scores: NDArray[np.float64]) -> NDArray[np.int8]:
    """(letters, phones + 1, words): how many phones letter i gives on the best path to (i + 1 letters, j phones)."""
    (n, length), longest = letters.shape, phones.shape[1]
    moves = np.zeros((length, longest + 1, n), dtype=np.int8)
    best = np.full((longest + 1, n), -np.inf)
    best[0] = 0.0
    for i in range(length):
        letter, step = letters[:, i], best + scores[letters[:, i], 0, 0]
        for j in range(1, min(longest, 2 * i + 2) + 1):
            single = best[j - 1] + scores[letter, phones[:, j - 1], 0]
            moves[i, j] = single > step[j]
            np.maximum(step[j], single, out=step[j])
            if j >= 2:
                double = best[j - 2] + scores[letter, phones[:, j - 2], phones[:, j - 1]]
                moves[i, j][double > step[j]] = 2
                np.maximum(step[j], double, out=step[j])
        best = step
    return moves
