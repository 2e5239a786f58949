"""The spoken words of a corpus as stretches of MFCC: what Speech2Vec is trained on and embeds.

utterances + (frames, 13) MFCC ─ Segments.of ─▶ Segments, one (frames, 13) for each spoken word
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..data.text import normalise
from ..data.utterance import Utterance, Word
from ..errors import ConfigurationError
from ..features.spectrogram import STEP_SECONDS

MAX_WORD_FRAMES = 100
"""Frames of a spoken word that are used, from its beginning: 1 s."""


def word_frames(word: Word, available: int) -> tuple[int, int] | None:
    """The frames [first, last) of a word in a recording of `available` frames, at most `MAX_WORD_FRAMES`.

    None for a word without sound: without times, shorter than a frame, or outside the recording.
    """
    if word.start is None or word.end is None:
        return None
    first, last = round(word.start / STEP_SECONDS), min(round(word.end / STEP_SECONDS), available)
    return (first, min(last, first + MAX_WORD_FRAMES)) if first < last else None


def word_features(words: Iterable[Word], features: np.ndarray) -> list[np.ndarray]:
    """The MFCC of each word that has a sound, cut out of those of its recording, (frames, coefficients)."""
    places = (word_frames(word, len(features)) for word in words)
    return [features[place[0] : place[1]] for place in places if place is not None]


NO_NEIGHBOURS = (
    "Speech2Vec needs utterances with at least two words that have times; "
    "align the corpus first: duetto align MANIFEST -o ALIGNED.jsonl"
)


@dataclass(frozen=True)
class Segments:
    """The spoken words of a corpus, in order: where each lies, and what it says.

    frames: utterance id → (frames, 13) MFCC. ids: utterances. utterance, first, last (n,): word i is
    frames[ids[utterance[i]]][first[i]:last[i]]. words (n,): normalised spelling, "" where there is none or it
    is several words (`well-known`): such a word is heard in training, but belongs to no type.
    dropped: reason → number of words that cannot be used. cut: how many were cut to 1 s.
    """

    frames: Mapping[str, np.ndarray]
    ids: tuple[str, ...]
    utterance: np.ndarray
    first: np.ndarray
    last: np.ndarray
    words: tuple[str, ...]
    dropped: Mapping[str, int]
    cut: int

    @classmethod
    def of(cls, utterances: Sequence[Utterance], frames: Mapping[str, np.ndarray]) -> Segments:
        """All words that have times. Words that lie outside the recording or are shorter than one 10 ms
        frame are dropped and counted."""
        rows: list[tuple[int, int, int]] = []
        words: list[str] = []
        dropped: Counter[str] = Counter()
        cut = 0
        for number, utterance in enumerate(utterances):
            available = len(frames[utterance.id]) if utterance.words else 0
            for word in utterance.words or ():
                place = word_frames(word, available)
                if place is None:
                    dropped[_reason(word, available)] += 1
                    continue
                cut += min(_frame(word.end), available) - place[0] > MAX_WORD_FRAMES
                rows.append((number, *place))
                spelling = normalise(word.word)
                words.append(spelling[0] if len(spelling) == 1 else "")
        table = np.array(rows, np.int64).reshape(-1, 3)
        ids = tuple(u.id for u in utterances)
        return cls(frames, ids, table[:, 0], table[:, 1], table[:, 2], tuple(words), dict(dropped), cut)

    def digest(self) -> str:
        """Of what training reads: the words, where they lie, and the recordings. Each recording is known by
        its number of frames and its first one, which any change of its sound moves (`mfcc.MfccConfig.centred`)."""
        digest = hashlib.blake2b(json.dumps([self.ids, self.words]).encode(), digest_size=16)
        for column in (self.utterance, self.first, self.last):
            digest.update(column.tobytes())
        for number in np.unique(self.utterance):
            recording = self.frames[self.ids[number]]
            digest.update(repr(recording.shape).encode() + recording[:1].tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, i: int) -> np.ndarray:
        """(frames, 13) MFCC of word i, not normalised."""
        return self.frames[self.ids[self.utterance[i]]][self.first[i] : self.last[i]]

    @property
    def lengths(self) -> np.ndarray:
        return self.last - self.first

    def neighbours(self, centres: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
        """Every pair (position in `centres`, word) of a centre and a word up to `window` words away in
        the same utterance: two arrays (pairs,)."""
        offsets = np.array([o for o in range(-window, window + 1) if o])
        other = centres[:, None] + offsets
        inside = (other >= 0) & (other < len(self))
        other = np.where(inside, other, 0)
        together = inside & (self.utterance[other] == self.utterance[centres][:, None])
        source, column = np.nonzero(together)
        return source, other[source, column]


def _frame(seconds: float | None) -> int:
    return 0 if seconds is None else round(seconds / STEP_SECONDS)


def _reason(word: Word, available: int) -> str:
    """Why a word has no sound in a recording of so many frames."""
    if word.start is None:
        return "without times"
    return "shorter than a frame" if _frame(word.start) < available else "outside the recording"


def require_times(utterances: Sequence[Utterance]) -> None:
    """Raises `ConfigurationError` where no utterance has two words with times: before any feature is computed."""
    if not any(sum(w.start is not None for w in u.words or ()) > 1 for u in utterances):
        raise ConfigurationError(NO_NEIGHBOURS)
