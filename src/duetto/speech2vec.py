"""Train Speech2Vec on the spoken words of a corpus, and embed spoken words with it.

    utterances with word times + MFCC store ─ Segments ─ Speech2VecTask ─ training.fit ─▶ folder
    folder ─ runtime.SpokenEncoder ─▶ (words, dim) ─ mean over the instances of a type ─▶ Vectors

Everything is a slice of the memory-mapped MFCC store, so memory does not grow with the hours of speech.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from . import runtime
from .errors import ConfigurationError
from .features.mfcc import STEP_SECONDS
from .inputs import Normaliser, buckets, pad
from .models.speech2vec import Speech2Vec, Speech2VecConfig, SpokenBatch
from .progress import Progress
from .training import TrainingConfig, derive, fit
from .utterance import Utterance
from .words.vectors import Vectors
from .words.vocabulary import normalise

log = logging.getLogger(__name__)

MAX_FRAMES = 100
"""Frames of a word that are used, from its beginning: 1 s."""


@dataclass(frozen=True)
class Segments:
    """The spoken words of a corpus, in order: where each lies, and what it says.

    frames: utterance id → (frames, 13) MFCC. ids: utterances. utterance, first, last (n,): word i is
    frames[ids[utterance[i]]][first[i]:last[i]]. words (n,): normalised spelling, "" where not known.
    dropped: reason → number of words that cannot be used, and `cut` for those cut to 1 s.
    """

    frames: Mapping[str, np.ndarray]
    ids: tuple[str, ...]
    utterance: np.ndarray
    first: np.ndarray
    last: np.ndarray
    words: tuple[str, ...]
    dropped: Mapping[str, int]

    @classmethod
    def of(cls, utterances: Sequence[Utterance], frames: Mapping[str, np.ndarray]) -> Segments:
        """All words that have times. Words that lie outside the recording or are shorter than one 10 ms
        frame are dropped and counted."""
        rows: list[tuple[int, int, int]] = []
        words: list[str] = []
        dropped: Counter[str] = Counter()
        for number, utterance in enumerate(utterances):
            available = len(frames[utterance.id])
            for word in utterance.words or ():
                if word.start is None or word.end is None:
                    dropped["without times"] += 1
                    continue
                first, last = round(word.start / STEP_SECONDS), min(round(word.end / STEP_SECONDS), available)
                if last <= first:
                    dropped["shorter than a frame" if first < available else "outside the recording"] += 1
                    continue
                if last - first > MAX_FRAMES:
                    dropped["cut"] += 1
                    last = first + MAX_FRAMES
                rows.append((number, first, last))
                words.append(" ".join(normalise(word.word)))
        table = np.array(rows, np.int64).reshape(-1, 3)
        ids = tuple(u.id for u in utterances)
        return cls(frames, ids, table[:, 0], table[:, 1], table[:, 2], tuple(words), dict(dropped))

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


class Speech2VecTask:
    """Mean squared error of neighbours' MFCC (see `training.Task`). window: k of the paper, 3.

    Every word is a centre once an epoch; batches are bucketed by length. The score is minus the error
    on development words.
    """

    def __init__(
        self,
        train: Segments,
        development: Segments,
        normaliser: Normaliser,
        *,
        window: int = 3,
        batch_size: int = 128,
        seed: int = 0,
        objective: str = "skipgram",
    ) -> None:
        self.train, self.development, self.normaliser = train, development, normaliser
        self.window, self.batch_size, self.seed, self.objective = window, batch_size, seed, objective

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Centre words of each batch that have a neighbour."""
        return self._batches(self.train, derive(self.seed, "batches", epoch))

    def _batches(self, segments: Segments, seed: int) -> list[np.ndarray]:
        alone = np.bincount(segments.utterance, minlength=len(segments.ids)) < 2
        centres = np.flatnonzero(~alone[segments.utterance])
        batches = buckets(segments.lengths[centres], self.batch_size, np.random.default_rng(seed))
        return [centres[batch] for batch in batches]

    def loss(self, model: nn.Module, batch: np.ndarray) -> Tensor:
        """Mean squared error of one batch of centre words."""
        return model(self._collate(self.train, batch, next(model.parameters()).device))

    def develop(self, model: nn.Module) -> dict[str, float]:
        """Minus the error on development words."""
        device = next(model.parameters()).device
        batches = self._batches(self.development, 0)
        if not batches:
            return {"score": 0.0}
        errors = [float(model(self._collate(self.development, b, device))) for b in batches]
        error = float(np.average(errors, weights=[len(b) for b in batches]))
        return {"score": -error, "development_loss": error}

    def _collate(self, segments: Segments, centres: np.ndarray, device: torch.device) -> SpokenBatch:
        source, other = segments.neighbours(centres, self.window)
        around, target = np.unique(other, return_inverse=True)
        if self.objective == "cbow":
            centres, around, source, target = around, centres, target, source
        inputs, targets = (self._padded(segments, index, device) for index in (centres, around))
        pairs = (torch.from_numpy(x.astype(np.int64)).to(device) for x in (source, target))
        return SpokenBatch(*inputs, *targets, *pairs)

    def _padded(self, segments: Segments, index: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        padded = pad([self.normaliser(segments[i]) for i in index], maximum=MAX_FRAMES)
        return torch.from_numpy(padded.values).to(device), torch.from_numpy(padded.lengths).to(device)


def train(
    utterances: Sequence[Utterance],
    development: Sequence[Utterance],
    frames: Mapping[str, np.ndarray],
    folder: Path,
    *,
    config: Speech2VecConfig,
    training: TrainingConfig,
    window: int = 3,
    batch_size: int = 128,
    progress: Progress | None = None,
) -> runtime.SpokenEncoder:
    """Train Speech2Vec and leave its encoder in `folder`, ready for `runtime.SpokenEncoder`. Resumable.

    frames: utterance id → MFCC (`features.mfcc`). Errors: no two neighbouring words with times.
    """
    segments, held_out = Segments.of(utterances, frames), Segments.of(development, frames)
    if not len(segments.neighbours(np.arange(len(segments)), window)[0]):
        raise ConfigurationError(
            "Speech2Vec needs utterances with at least two words that have times; "
            "align the corpus first: duetto align MANIFEST -o ALIGNED.jsonl"
        )
    for reason, number in segments.dropped.items():
        log.warning("%d of %d words: %s", number, len(segments) + number, reason)
    normaliser = Normaliser.fit((segments[i] for i in range(len(segments))), config.n_features)
    torch.manual_seed(derive(training.seed, "weights"))
    model = Speech2Vec(config)
    task = Speech2VecTask(
        segments,
        held_out,
        normaliser,
        window=window,
        batch_size=batch_size,
        seed=training.seed,
        objective=config.objective,
    )
    fit(model, task, training, folder, progress=progress)
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    about = {"config": asdict(config), "window": window, "words": len(segments), "dropped": dict(segments.dropped)}
    runtime.export_spoken(weights, normaliser, about, folder)
    return runtime.SpokenEncoder(folder)


def type_vectors(encoder: runtime.SpokenEncoder, segments: Segments, *, min_count: int = 1) -> Vectors:
    """The vector of each word type: the mean over its spoken instances; most frequent types first."""
    embedded = encoder([segments[i] for i in range(len(segments))])
    counts = Counter(word for word in segments.words if word)
    types = sorted((w for w, n in counts.items() if n >= min_count), key=lambda w: (-counts[w], w))
    rows = {word: row for row, word in enumerate(types)}
    sums = np.zeros((len(types), embedded.shape[1]))
    for word, vector in zip(segments.words, embedded, strict=True):
        if word in rows:
            sums[rows[word]] += vector
    return Vectors(tuple(types), (sums / np.array([[counts[w]] for w in types])).astype(np.float32))
