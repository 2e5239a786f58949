"""Spoken words without PyTorch: their embeddings, and the known words that unknown ones sound most like.

a word's MFCC (frames, 13) ─ SpokenWordEncoder ─▶ (dim,) embedding
unknown Word, its MFCC ─ OovResolver ─▶ the known word of the nearest sound, by cosine
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..config.experiment import WIDEST
from ..data.text import normalise
from ..data.utterance import Utterance, Word
from ..embeddings import vectors as word_vectors
from ..embeddings.spoken_words import Segments, word_frames
from ..embeddings.vectors import Vectors
from ..errors import ConfigurationError, ModelError
from ..features.spectrogram import STEP_SECONDS
from ..preprocessing import REPAIR, Normaliser, pad
from ..utils import files
from ..utils.progress import Progress
from ..utils.reading import shortened
from . import graph_check
from .onnx_file import FLOAT, INT64, Value
from .session import _BATCH, _LONG_WORD, _SPOKEN_FORMAT, SPOKEN_DESCRIPTION, SPOKEN_GRAPH, _description, _Graph

SOUNDS = "sounds.vec"


@dataclass(frozen=True)
class OovResolver:
    """encoder: of spoken words. sounds: word of the training part → mean of its embeddings."""

    encoder: SpokenWordEncoder
    sounds: Vectors

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1) -> OovResolver:
        """What `save` left in a model's folder, beside its encoder."""
        encoder, sounds = SpokenWordEncoder(folder, threads=threads), word_vectors.load(folder / SOUNDS)
        if sounds.dimension != encoder.dim:
            raise ModelError(
                f"{folder}: {SOUNDS} has vectors of {sounds.dimension} values, the encoder beside it gives "
                f"{encoder.dim}: they are not of one model; {REPAIR}"
            )
        if odd := [word for word in sounds.words if normalise(word) != [word]]:
            raise ModelError(f"{folder / SOUNDS}: {shortened(odd[0])} is no word as duetto writes them; {REPAIR}")
        return cls(encoder, sounds)

    def save(self, folder: Path) -> None:
        """Write the sounds into a model's folder; the encoder's files are copied there by whoever exports it."""
        word_vectors.save(self.sounds, folder / SOUNDS)

    def respell(self, words: Sequence[Word], mfcc: np.ndarray, known: Container[str]) -> tuple[Word, ...]:
        """The words, each that is not `known` with the spelling of the training word that sounds most like it.

        mfcc: (frames, 13) of the recording. Words without times, or outside the recording, keep their spelling.
        """
        unknown = [i for i, word in enumerate(words) if any(t not in known for t in normalise(word.word))]
        places = {i: word_frames(words[i], len(mfcc)) for i in unknown}
        heard = {i: mfcc[place[0] : place[1]] for i, place in places.items() if place is not None}
        spelled = list(words)
        for i, embedded in zip(heard, self.encoder(list(heard.values())), strict=True):
            spelled[i] = replace(words[i], word=self.sounds.nearest(embedded, 1)[0][0])
        return tuple(spelled)


_EMBEDDED_AT_ONCE = 8192


def embed(encoder: SpokenWordEncoder, segments: Segments, *, progress: Progress | None = None) -> np.ndarray:
    """The embedding of every spoken word: (words, dim) float32, in their order.

    Errors: features of another kind than those that the encoder was trained on.
    """
    trained_on, given = encoder.about.get("features"), getattr(segments.frames, "key", None)
    if trained_on and given and trained_on != given:
        raise ModelError(f"{encoder.folder}: was trained on features {trained_on}, not on {given}; train it again")
    embedded = np.empty((len(segments), encoder.dim), np.float32)
    for start in range(0, len(segments), _EMBEDDED_AT_ONCE):
        stop = min(start + _EMBEDDED_AT_ONCE, len(segments))
        embedded[start:stop] = encoder([segments[i] for i in range(start, stop)])
        if progress:
            progress(stop, len(segments))
    return embedded


def type_vectors(
    encoder: SpokenWordEncoder, segments: Segments, *, min_count: int = 1, embedded: np.ndarray | None = None
) -> Vectors:
    """The vector of each word type: the mean over its spoken instances; most frequent types first.

    embedded: what `embed` gave for these segments, where it is at hand. Errors: no type occurs `min_count` times.
    """
    embedded = embed(encoder, segments) if embedded is None else embedded
    counts = Counter(word for word in segments.words if word)
    types = sorted((w for w, n in counts.items() if n >= min_count), key=lambda w: (-counts[w], w))
    if not types:
        raise ConfigurationError(
            f"none of {len(counts)} word types has {min_count} spoken instance(s); "
            "align the corpus (duetto align), or lower min_count"
        )
    rows = {word: row for row, word in enumerate(types)}
    row = np.array([rows.get(word, -1) for word in segments.words])
    sums = np.zeros((len(types), embedded.shape[1]))
    np.add.at(sums, row[row >= 0], embedded[row >= 0])
    return Vectors(tuple(types), (sums / np.array([[counts[w]] for w in types])).astype(np.float32))


def save_instances(path: Path, segments: Segments, embedded: np.ndarray) -> None:
    """Write every spoken word with its vector to a NumPy archive (.npz), atomically.

    Arrays: `utterance` and `word` (n,) text, `start` and `end` (n,) seconds, `vector` (n, dim) float32.
    """
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            utterance=np.array(segments.ids, dtype=str)[segments.utterance],
            word=np.array(segments.words, dtype=str),
            start=segments.first * STEP_SECONDS,
            end=segments.last * STEP_SECONDS,
            vector=embedded,
        )


@dataclass(frozen=True)
class SpokenWordEmbedder:
    """Embeds every spoken word of an utterance: (words with times, dim) float32, in their order.

    Words without times, or outside the recording, have no sound and are left out; an utterance of
    none is (0, dim).
    """

    folder: Path
    frames: Mapping[str, np.ndarray]
    encoder: SpokenWordEncoder = field(repr=False)

    def __call__(self, utterance: Utterance) -> np.ndarray:
        segments = Segments.of([utterance], self.frames)
        return self.encoder([segments[i] for i in range(len(segments))])


@dataclass(frozen=True)
class OovReplacer:
    """Spells the unknown words of an utterance as known ones that sound like them; see `OovResolver`."""

    frames: Mapping[str, np.ndarray]
    resolver: OovResolver

    def __call__(self, utterance: Utterance, known: Container[str]) -> Utterance:
        if not utterance.words:
            return utterance
        return replace(utterance, words=self.resolver.respell(utterance.words, self.frames[utterance.id], known))


class SpokenWordEncoder:
    """The encoder of a trained Speech2Vec: a spoken word's MFCC → its embedding.

    folder: holds spoken.onnx and spoken.json. `about` is what its training noted of it.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.folder = folder
        value = _description(folder, SPOKEN_DESCRIPTION, _SPOKEN_FORMAT)
        self._normaliser = Normaliser.from_json(value.record("mfcc"))
        self.about: dict[str, Any] = dict(value.record("about"))
        self.dim = value.record("about").record("config").integer("dim", low=1, high=WIDEST)
        width = len(self._normaliser.mean)
        inputs = {"frames": Value(FLOAT, ("batch", "time", width)), "lengths": Value(INT64, ("batch",))}
        self._graph = _Graph(
            folder / SPOKEN_GRAPH,
            inputs,
            {"time": _LONG_WORD},
            ("embedding", self.dim),
            threads=threads,
            operators=graph_check.SPOKEN_OPERATORS,
        )

    def __call__(self, words: Sequence[np.ndarray]) -> np.ndarray:
        """words: each (frames, features) MFCC, not normalised, at least one frame → (words, dim) float32."""
        if odd := {word.shape[1] for word in words} - {len(self._normaliser.mean)}:
            raise ModelError(
                f"{self.folder}: reads {len(self._normaliser.mean)} MFCC a frame, and was given {odd.pop()}; {REPAIR}"
            )
        embedded = np.zeros((len(words), self.dim), np.float32)
        order = np.argsort([len(word) for word in words], kind="stable")
        for start in range(0, len(order), _BATCH):
            index = order[start : start + _BATCH]
            batch = [self._normaliser(words[i]) for i in index]
            padded = pad(batch, maximum=max(map(len, batch)))
            feed = {"frames": padded.values, "lengths": padded.lengths}
            embedded[index] = self._graph(feed)
        return embedded
