"""Letter-to-sound: predict the pronunciation of words that the dictionary lacks.

    "duetto" ─ guess ─▶ ("D","UW","T","OW")

The model is learnt from CMUdict at its first use (3–4 s, then kept for the process). Each letter emits no phone, one,
or two. Letters and phones are aligned by hard expectation–maximisation (Damper et al. 2005); the phones of a letter
then depend on the letters around it and on the previous outputs, with interpolated back-off from wide contexts to
narrow ones, and a beam search finds the best sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError, ModelError
from .pronunciation import Dictionary, Phones, dictionary

LONGEST_WORD = 100
"""Letters of the longest token that is taken for a word by the aligner and by language models."""

_Ids = NDArray[np.int64]

_LETTERS = "abcdefghijklmnopqrstuvwxyz'"
_EDGE = 0  # symbol before the first and after the last letter; letter i of _LETTERS is symbol i + 1
_LONGEST = 16  # letters and phones of a training word
_ROUNDS = 4  # of expectation–maximisation
_OUTPUTS = 256  # distinct phone strings of one letter that are kept; 8 bits of a context key
_START = _OUTPUTS - 1  # "output" before the first letter
_BEAM = 6
# Context of each back-off level, narrow to wide: letters before, letters after, outputs before.
_LEVELS = ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 2, 0), (1, 2, 1), (2, 2, 1), (2, 3, 1), (3, 3, 2), (4, 4, 1))
_WIDEST = max(max(before, after) for before, after, _ in _LEVELS)


def guess(word: str) -> Phones:
    """Predict the pronunciation of a word from its letters.

    For words that the dictionary lacks: `pronunciations` is more accurate. On CMUdict words held out of the training
    the phone error rate is 7.6 % and 66 % of words are entirely correct (2,000 words; much of CMUdict is names).

    Args:
        word: Characters other than letters and the apostrophe are ignored.

    Returns:
        At least one phone.

    Raises:
        ConfigurationError: The word has no letter.
    """
    return _model().guess(word)


@cache
def _model() -> LetterToSound:
    return LetterToSound.fit(dictionary())


class _Node(NamedTuple):
    """The last output of a hypothesis, and the hypothesis before it: prefixes are shared, not copied."""

    output: int
    previous: _Node | None

    def outputs(self) -> list[int]:
        """All outputs, the first one first."""
        result, node = [], self
        while node is not None:
            result.append(node.output)
            node = node.previous
        return result[::-1]


@dataclass(frozen=True)
class LetterToSound:
    """A letter-to-sound model; `guess` of this module uses one that is fitted to all of CMUdict.

    Attributes:
        outputs: The phone strings a letter can emit.
        contexts: For each level of `_LEVELS` the sorted keys `context · 256 + output` and their counts, both int64.
    """

    outputs: tuple[Phones, ...]
    contexts: tuple[tuple[_Ids, _Ids], ...]

    @classmethod
    def fit(cls, entries: Dictionary) -> LetterToSound:
        """Learn from the main pronunciation of every word of 2–16 letters and at most 16 phones (two a letter).

        Args:
            entries: The dictionary.

        Returns:
            The model.

        Raises:
            ModelError: There is no such word.
        """
        chosen = {word: variants[0] for word, variants in entries.items() if _is_learnable(word, variants[0])}
        if not chosen:
            raise ModelError("no word of 2–16 letters a–z in the dictionary: nothing to learn pronunciation from")
        names = tuple(sorted({phone for phones in chosen.values() for phone in phones}))
        ids = {phone: number for number, phone in enumerate(names, 1)}
        letters = _pad([_symbols(word) for word in chosen])
        phones = _pad([[ids[phone] for phone in sequence] for sequence in chosen.values()])
        first, second = _align(letters, phones, len(names) + 1)
        pairs, inverse = np.unique((first * (len(names) + 1) + second)[letters > 0], return_inverse=True)
        kept = np.sort(np.argsort(-np.bincount(inverse), kind="stable")[: _START - 1])
        number = np.full(len(pairs), -1)
        number[kept] = np.arange(len(kept))
        emitted = np.full(letters.shape, _START)
        emitted[letters > 0] = number[inverse]
        outputs = [divmod(int(pairs[i]), len(names) + 1) for i in kept]
        texts = tuple(tuple(names[p - 1] for p in output if p) for output in outputs)
        return cls(texts, _count_contexts(letters, emitted))

    def guess(self, word: str) -> Phones:
        """Predict the phones of a word by beam search, in time proportional to its length.

        Args:
            word: As for the function `guess` of this module.

        Returns:
            At least one phone.

        Raises:
            ConfigurationError: The word has no letter.
        """
        symbols = _symbols(word.lower())
        if not any(symbol <= 26 for symbol in symbols):
            raise ConfigurationError(f"{word!r} holds no letter a–z: there is nothing to pronounce")
        padded = [_EDGE] * _WIDEST + symbols + [_EDGE] * _WIDEST
        beam: list[tuple[float, _Node]] = [(0.0, _Node(_START, _Node(_START, None)))]
        for position in range(_WIDEST, _WIDEST + len(symbols)):
            longer = list(self._extend(beam, padded, position))
            beam = sorted(longer, key=lambda item: -round(item[0], 9))[:_BEAM]  # equal up to rounding is equal
        answers = (tuple(p for output in last.outputs()[2:] for p in self.outputs[output]) for _, last in beam)
        return next((answer for answer in answers if answer), None) or self._first_sound(symbols)

    def _extend(
        self, beam: list[tuple[float, _Node]], padded: list[int], position: int
    ) -> Iterator[tuple[float, _Node]]:
        """Every hypothesis of the beam, longer by each of the likeliest outputs of the next letter."""
        computed: dict[tuple[int, int], NDArray[np.float64]] = {}
        for score, node in beam:
            assert node.previous is not None
            last = (node.output, node.previous.output)
            if last not in computed:
                computed[last] = np.log(self._distribution(padded, position, last))
            for output in np.argsort(-computed[last].round(9), kind="stable")[:_BEAM]:
                yield score + float(computed[last][output]), _Node(int(output), node)

    def _first_sound(self, symbols: list[int]) -> Phones:
        """The likeliest phone of the first letter: for a word whose letters are all predicted to be silent."""
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


def _is_learnable(word: str, phones: Phones) -> bool:
    short = 2 <= len(word) <= _LONGEST and len(phones) <= min(_LONGEST, 2 * len(word))
    return short and not set(word) - set(_LETTERS)


def _symbols(word: str) -> list[int]:
    return [_LETTERS.index(letter) + 1 for letter in word if letter in _LETTERS]


def _pad(sequences: list[list[int]]) -> _Ids:
    result = np.zeros((len(sequences), _LONGEST), dtype=np.int64)
    for row, sequence in enumerate(sequences):
        result[row, : len(sequence)] = sequence
    return result


def _count_contexts(letters: _Ids, emitted: _Ids) -> tuple[tuple[_Ids, _Ids], ...]:
    """Keys and counts of every level, from (words, 16) letters and outputs (−1: one that is too rare to be kept)."""
    around = np.pad(letters, ((0, 0), (_WIDEST, _WIDEST)))
    earlier = np.pad(np.where(emitted < 0, _START, emitted), ((0, 0), (2, 0)), constant_values=_START)
    use = (letters > 0) & (emitted >= 0)
    result = []
    for before, after, history in _LEVELS:
        key = np.zeros_like(letters)
        for shift in range(-before, after + 1):
            key = key << 5 | around[:, _WIDEST + shift : _WIDEST + shift + _LONGEST]
        for back in range(history):
            key = key << 8 | earlier[:, 1 - back : 1 - back + _LONGEST]
        keys, counts = np.unique((key << 8 | emitted)[use], return_counts=True)
        result.append((keys, counts))
    return tuple(result)


def _align(letters: _Ids, phones: _Ids, n_phones: int) -> tuple[_Ids, _Ids]:
    """The phones each letter emits: two arrays shaped like `letters`, 0 for none (one phone: second is 0).

    Initialised with how often letter and phone occur near each other; then alternates best alignment and counting
    on every eighth word. The last alignment is of all words.
    """
    subset = slice(None, None, 8 if len(letters) > 8000 else 1)
    scores = _first_scores(letters[subset], phones[subset], n_phones)
    for _ in range(_ROUNDS):
        first, second = _best_paths(letters[subset], phones[subset], scores)
        cell = (letters[subset] * n_phones + first) * n_phones + second
        size = (len(_LETTERS) + 1) * n_phones**2
        counts = np.bincount(cell.ravel(), minlength=size).reshape(-1, n_phones, n_phones) + 0.01
        scores = np.log(counts / counts.sum(axis=(1, 2), keepdims=True))
    return _best_paths(letters, phones, scores)


def _first_scores(letters: _Ids, phones: _Ids, n_phones: int) -> NDArray[np.float64]:
    """(letters, phones, phones) initial log scores of a letter's phones; index 0 is no phone."""
    together = np.zeros((len(_LETTERS) + 1, n_phones))
    for i in range(_LONGEST):
        for j in range(max(0, i - 2), min(_LONGEST, i + 2)):
            np.add.at(together, (letters[:, i], phones[:, j]), 1)
    together[0] = together[:, 0] = 0
    expected = together.sum(1, keepdims=True) * together.sum(0, keepdims=True) / together.sum()
    single = np.log((together + 0.01) / (expected + 1))
    # No phone, or two, cost more at first than any phone that is common near the letter.
    scores = (single[:, :, None] + single[:, None, :]) / 2 - 3.0
    scores[:, :, 0] = single
    scores[:, 0, 0] = -1.5
    return scores


def _best_paths(letters: _Ids, phones: _Ids, scores: NDArray[np.float64]) -> tuple[_Ids, _Ids]:
    """Viterbi alignment of all words, those of one length at a time."""
    lengths, n_phones = (letters > 0).sum(1), (phones > 0).sum(1)
    first, second = np.zeros_like(letters), np.zeros_like(letters)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        longest = int(n_phones[rows].max())
        moves = _best_moves(letters[rows, :length], phones[rows, :longest], scores)
        j = n_phones[rows]
        for i in range(length - 1, -1, -1):
            move = moves[i, j, np.arange(len(rows))]
            first[rows, i] = np.where(move >= 1, phones[rows, np.maximum(j - np.maximum(move, 1), 0)], 0)
            second[rows, i] = np.where(move == 2, phones[rows, np.maximum(j - 1, 0)], 0)
            j = j - move
    return first, second


def _best_moves(letters: _Ids, phones: _Ids, scores: NDArray[np.float64]) -> NDArray[np.int8]:
    """(letters, phones + 1, words): how many phones letter i emits on the best path to (i + 1 letters, j phones)."""
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
