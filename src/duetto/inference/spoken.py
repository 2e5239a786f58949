"""Spoken words without PyTorch: their embeddings, and replacing unknown words by known ones of similar sound.

a word's MFCC (frames, 13) ─ SpokenWordEncoder ─▶ (dim,) embedding
unknown Word, its MFCC ─ OovResolver ─▶ the known word whose sound is nearest, by cosine
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.text import normalise
from ..data.utterance import Utterance, Word
from ..embeddings import vectors as word_vectors
from ..embeddings.spoken_words import Segments, word_frames
from ..embeddings.vectors import Vectors
from ..errors import ConfigurationError, ModelError
from ..features.spectrogram import STEP_SECONDS
from ..preprocessing import REPAIR, pad
from ..utils import files, graph_check
from ..utils.onnx_file import FLOAT, INT64, Value
from ..utils.progress import Progress
from ..utils.reading import shortened
from .model_folder import SOUNDS, SPOKEN_GRAPH, spoken_settings
from .session import OnnxGraph, batches_by_length

EMBEDDED_AT_ONCE = 8192
"""Spoken words that `embed` holds in memory at a time."""

_LONGEST_WORD = 10_000
"""Frames (of 10 ms) of a spoken word for which the limits of its encoder's graph are computed."""


class SpokenWordEncoder:
    """The encoder of a trained Speech2Vec: MFCC of a spoken word → its embedding.

    Args:
        folder: Holds spoken.onnx and spoken.json.
        threads: Of ONNX Runtime.

    Attributes:
        folder: As given.
        about: How it was trained.
        dim: Values in an embedding.

    Raises:
        ModelError: A file is missing or damaged, or they are not of one model.
    """

    folder: Path
    about: dict[str, Any]
    dim: int

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.folder = folder
        settings = spoken_settings(folder)
        self._normaliser, self.about, self.dim = settings.normaliser, settings.about, settings.dim
        width = len(self._normaliser.mean)
        self._graph = OnnxGraph(
            folder / SPOKEN_GRAPH,
            {"frames": Value(FLOAT, ("batch", "time", width)), "lengths": Value(INT64, ("batch",))},
            {"time": _LONGEST_WORD},
            ("embedding", self.dim),
            threads=threads,
            operators=graph_check.SPOKEN_OPERATORS,
        )

    def __call__(self, words: Sequence[np.ndarray]) -> np.ndarray:
        """Embed spoken words.

        Args:
            words: (frames, coefficients) MFCC of each word, not normalised, at least one frame.

        Returns:
            (words, dim) float32.

        Raises:
            ModelError: The number of coefficients is not the one that the encoder was trained on.
        """
        if wrong := {word.shape[1] for word in words} - {len(self._normaliser.mean)}:
            raise ModelError(
                f"{self.folder}: reads {len(self._normaliser.mean)} MFCC a frame, and was given {wrong.pop()}; {REPAIR}"
            )
        embedded = np.zeros((len(words), self.dim), np.float32)
        for index in batches_by_length([len(word) for word in words]):
            batch = [self._normaliser(words[i]) for i in index]
            padded = pad(batch, maximum=max(map(len, batch)))
            embedded[index] = self._graph({"frames": padded.values, "lengths": padded.lengths})
        return embedded


@dataclass(frozen=True)
class OovResolver:
    """Replaces out-of-vocabulary words by the training words that sound most like them.

    Attributes:
        encoder: Of spoken words.
        sounds: Training word → the mean of its embeddings.
    """

    encoder: SpokenWordEncoder
    sounds: Vectors

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1) -> OovResolver:
        """Load a resolver.

        Args:
            folder: A model folder with sounds.vec and the encoder.
            threads: Of ONNX Runtime.

        Returns:
            The resolver.

        Raises:
            ModelError: A file is missing or damaged, or they are not of one model.
        """
        encoder, sounds = SpokenWordEncoder(folder, threads=threads), word_vectors.load(folder / SOUNDS)
        if sounds.dimension != encoder.dim:
            raise ModelError(
                f"{folder}: {SOUNDS} has vectors of {sounds.dimension} values, the encoder beside it gives "
                f"{encoder.dim}: they are not of one model; {REPAIR}"
            )
        if wrong := [word for word in sounds.words if normalise(word) != [word]]:
            raise ModelError(f"{folder / SOUNDS}: {shortened(wrong[0])} is no normalised word; {REPAIR}")
        return cls(encoder, sounds)

    def save(self, folder: Path) -> None:
        """Write sounds.vec; the encoder's files have to be copied separately.

        Args:
            folder: A model folder.
        """
        word_vectors.save(self.sounds, folder / SOUNDS)

    def respell(self, words: Sequence[Word], mfcc: np.ndarray, vocabulary: Container[str]) -> tuple[Word, ...]:
        """Give each unknown word the spelling of the training word that sounds most like it.

        Args:
            words: With times; words without times, or outside the recording, keep their spelling.
            mfcc: (frames, 13) of the recording.
            vocabulary: Known words, normalised; these keep their spelling.

        Returns:
            The words, in order.
        """
        unknown = [i for i, word in enumerate(words) if any(t not in vocabulary for t in normalise(word.word))]
        places = {i: word_frames(words[i], len(mfcc)) for i in unknown}
        frames = {i: mfcc[place[0] : place[1]] for i, place in places.items() if place is not None}
        result = list(words)
        for i, embedded in zip(frames, self.encoder(list(frames.values())), strict=True):
            result[i] = replace(words[i], word=self.sounds.nearest(embedded, 1)[0][0])
        return tuple(result)


@dataclass(frozen=True)
class SpokenWordEmbedder:
    """Embeds every spoken word of an utterance of a corpus.

    Attributes:
        folder: Of the encoder.
        frames: Utterance id → (frames, 13) MFCC.
        encoder: Of spoken words.
    """

    folder: Path
    frames: Mapping[str, np.ndarray]
    encoder: SpokenWordEncoder = field(repr=False)

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Embed the words of an utterance.

        Args:
            utterance: Words without times, or outside the recording, have no sound and are left out.

        Returns:
            (words, dim) float32, in their order.
        """
        segments = Segments.of([utterance], self.frames)
        return self.encoder([segments[i] for i in range(len(segments))])


@dataclass(frozen=True)
class OovReplacer:
    """Replaces the unknown words of an utterance of a corpus; see `OovResolver`.

    Attributes:
        frames: Utterance id → (frames, 13) MFCC.
        resolver: Of unknown words.
    """

    frames: Mapping[str, np.ndarray]
    resolver: OovResolver

    def __call__(self, utterance: Utterance, vocabulary: Container[str]) -> Utterance:
        """Replace the words that are not in a vocabulary.

        Args:
            utterance: With the times of its words.
            vocabulary: Known words, normalised.

        Returns:
            The utterance with known words in place of unknown ones.
        """
        if not utterance.words:
            return utterance
        words = self.resolver.respell(utterance.words, self.frames[utterance.id], vocabulary)
        return replace(utterance, words=words)


def embed(encoder: SpokenWordEncoder, segments: Segments, *, progress: Progress | None = None) -> np.ndarray:
    """Embed every spoken word of a corpus.

    Args:
        encoder: Of spoken words.
        segments: The spoken words.
        progress: Called with the number of words done, and of all.

    Returns:
        (words, dim) float32, in their order.

    Raises:
        ModelError: The features are not those that the encoder was trained on.
    """
    expected, actual = encoder.about.get("features"), getattr(segments.frames, "key", None)
    if expected and actual and expected != actual:
        raise ModelError(f"{encoder.folder}: was trained on features {expected}, not on {actual}; train it again")
    embedded = np.empty((len(segments), encoder.dim), np.float32)
    for start in range(0, len(segments), EMBEDDED_AT_ONCE):
        stop = min(start + EMBEDDED_AT_ONCE, len(segments))
        embedded[start:stop] = encoder([segments[i] for i in range(start, stop)])
        if progress:
            progress(stop, len(segments))
    return embedded


def type_vectors(
    encoder: SpokenWordEncoder, segments: Segments, *, min_count: int = 1, embedded: np.ndarray | None = None
) -> Vectors:
    """Compute the vector of each word type: the mean over its spoken instances.

    Args:
        encoder: Of spoken words.
        segments: The spoken words.
        min_count: Instances that a type must have.
        embedded: (words, dim) result of `embed` for these segments, if it has been computed already.

    Returns:
        The vectors, most frequent types first.

    Raises:
        ConfigurationError: No type has `min_count` instances.
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
    """Write every spoken word with its vector to a NumPy archive, atomically.

    Its arrays: `utterance` and `word` (n,) text, `start` and `end` (n,) seconds, `vector` (n, dim) float32.

    Args:
        path: The archive (.npz).
        segments: The spoken words.
        embedded: (n, dim) result of `embed`.
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
