"""The spoken words of a corpus as segments of MFCC: the input of Speech2Vec.

utterances + (frames, 13) MFCC ─ Segments.of ─▶ Segments, an array (frames, 13) for each spoken word
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.text import normalise
from ..data.utterance import Utterance, Word
from ..errors import ConfigurationError
from ..features.mfcc import MfccConfig
from ..features.spectrogram import STEP_SECONDS
from ..features.store import FeatureStore, extract_corpus
from ..utils.progress import Progress

MAX_WORD_FRAMES = 100
"""Longest segment of a spoken word, 1 s; the rest of a longer word is cut off."""


def word_frames(word: Word, available: int) -> tuple[int, int] | None:
    """Locate a word in the frames of its recording.

    Args:
        word: With times in seconds.
        available: Frames of the recording.

    Returns:
        First frame and stop frame, at most `MAX_WORD_FRAMES` apart; None if the word has no times, is shorter than a
        frame, or lies outside the recording.
    """
    if word.start is None or word.end is None:
        return None
    first, last = round(word.start / STEP_SECONDS), min(round(word.end / STEP_SECONDS), available)
    return (first, min(last, first + MAX_WORD_FRAMES)) if first < last else None


def word_features(words: Iterable[Word], features: np.ndarray) -> list[np.ndarray]:
    """Cut the features of each word out of those of its recording.

    Args:
        words: Of the recording; those that `word_frames` cannot locate are left out.
        features: (frames, d).

    Returns:
        (frames, d) for each word.
    """
    places = (word_frames(word, len(features)) for word in words)
    return [features[place[0] : place[1]] for place in places if place is not None]


NO_NEIGHBOURS = (
    "Speech2Vec needs utterances with at least two words that have times; "
    "align the corpus first: duetto align MANIFEST -o ALIGNED.jsonl"
)


@dataclass(frozen=True)
class Segments:
    """The spoken words of a corpus, in order: position and spelling of each.

    Attributes:
        frames: Utterance id → (frames, 13) MFCC.
        ids: Of the utterances.
        utterance: (n,) index into `ids`; word i is `frames[ids[utterance[i]]][first[i]:last[i]]`.
        first: (n,) first frame.
        last: (n,) stop frame.
        words: n normalised spellings; "" if there is none or it is several words (`well-known`): such a word is used in
            training, but belongs to no type.
        dropped: Reason → number of words that cannot be used.
        cut: Number of words that were cut to 1 s.
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
        """Collect the words that have times; those that `word_frames` cannot locate are dropped and counted.

        Args:
            utterances: With timed words.
            frames: Utterance id → (frames, 13) MFCC.

        Returns:
            The words in order.
        """
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
        """Hash everything that training reads: the words, their positions, and the recordings.

        A recording is identified by its number of frames and its first frame, which any change of the recording changes
        since MFCC are centred (`mfcc.MfccConfig.centred`).

        Returns:
            32 hexadecimal digits.
        """
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
        """(n,) frames of each word."""
        return self.last - self.first

    def neighbours(self, centres: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
        """Pair centre words with the words around them in the same utterance.

        Args:
            centres: (m,) words.
            window: Greatest distance, in words.

        Returns:
            Positions in `centres` and words, (pairs,) each.
        """
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
    """Why a word cannot be located in a recording of `available` frames."""
    if word.start is None:
        return "without times"
    return "shorter than a frame" if _frame(word.start) < available else "outside the recording"


def extract_mfcc(
    utterances: Sequence[Utterance], folder: Path, *, workers: int = 0, progress: Progress | None = None
) -> tuple[list[Utterance], FeatureStore]:
    """Extract the MFCC that Speech2Vec reads, into a feature store.

    Args:
        utterances: Of the manifest.
        folder: Of the store.
        workers: Processes; 0 for one a core.
        progress: Called with (done, total).

    Returns:
        The utterances whose recording can be read, and the store, whose `skipped` gives the reasons for the others.

    Raises:
        ConfigurationError: No recording can be read.
    """
    store = extract_corpus(utterances, folder, MfccConfig(), workers=workers, progress=progress)
    readable = [utterance for utterance in utterances if utterance.id not in store.skipped]
    if not readable:
        raise ConfigurationError(f"none of {len(utterances)} recordings can be read")
    return readable, store


def require_times(utterances: Sequence[Utterance]) -> None:
    """Check that utterances can train Speech2Vec, before features are computed.

    Args:
        utterances: Of the manifest.

    Raises:
        ConfigurationError: No utterance has two words with times.
    """
    if not any(sum(w.start is not None for w in u.words or ()) > 1 for u in utterances):
        raise ConfigurationError(NO_NEIGHBOURS)
