"""Features and words of utterances → padded arrays, the input of a model. NumPy only: shared by training and inference.

(frames, n) ─ Normaliser ─ truncate ──┐
                                      ├─ pad ─▶ Padded(values (batch, time, …), lengths (batch,))
ids (n,) or vectors (n, dim) ─────────┘
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..config.experiment import Experiment, from_mapping
from ..data.labels import classes
from ..embeddings import sentences
from ..embeddings.tfidf import Tfidf
from ..embeddings.vocabulary import Vocabulary
from ..errors import DuettoError, ModelError
from ..features.registry import feature_spec
from ..utils.reading import Record, finite, shortened
from .normalisation import Adaptation, Normaliser

Sequences = TypeVar("Sequences", np.ndarray, Sequence[str])
"""What has steps that can be cut: an array, or tokens."""

REPAIR = "train or export again"
"""What to do about a damaged model folder."""


@dataclass(frozen=True)
class Padded:
    """A batch of sequences, padded to one length.

    Attributes:
        values: (batch, time, …), zero where padded.
        lengths: (batch,) int64, steps that a model reads.
    """

    values: np.ndarray
    lengths: np.ndarray


def truncate(sequence: Sequences, *, padding: str, maximum: int) -> Sequences:
    """Shorten a sequence as `pad` does.

    Args:
        sequence: (steps, …), or a list.
        padding: As for `pad`.
        maximum: Most steps to keep.

    Returns:
        The first `maximum` steps; with padding `pre` the last.
    """
    return sequence[-maximum:] if padding == "pre" else sequence[:maximum]


def pad(sequences: Sequence[np.ndarray], *, padding: str = "packed", maximum: int) -> Padded:
    """Stack sequences of any lengths into one array.

    Args:
        sequences: (steps, …) each; truncated to `maximum` steps.
        padding: `packed` puts zeros behind each sequence, up to the longest of the batch and to at least one step;
            lengths are those of the sequences. `post` and `pre` put zeros behind or before each up to `maximum`, and
            lengths are all `maximum`, so that a model reads the zeros too: Keras without masking, whose `pre` also
            truncates at the beginning.
        maximum: Most steps of a sequence.

    Returns:
        The batch.
    """
    kept = [truncate(sequence, padding=padding, maximum=maximum) for sequence in sequences]
    lengths = np.array([len(s) for s in kept], np.int64)
    width = max(1, int(lengths.max(initial=0))) if padding == "packed" else maximum
    values = np.zeros((len(kept), width, *kept[0].shape[1:]), kept[0].dtype)
    for row, sequence in zip(values, kept, strict=True):
        start = width - len(sequence) if padding == "pre" else 0
        row[start : start + len(sequence)] = sequence
    return Padded(values, lengths if padding == "packed" else np.full(len(kept), maximum, np.int64))


@dataclass(frozen=True)
class Preprocessor:
    """All that lies between an utterance and a model: fixed by training, repeated by inference.

    Attributes:
        experiment: The configuration.
        normaliser: Training statistics of the features; unused where the experiment has no acoustic encoder.
        vocabulary: Words that have a row in the embedding table.
        word_normaliser: Training statistics of the vectors of spoken words, with `embeddings = "spoken"`, or of the
            embeddings of sentences, with `sentences`; else unused.
        tfidf: N-grams of the training transcripts; None unless `word_encoder = "tfidf"`.
        adaptation: How far a speaker's own statistics replace those of training; None unless
            `normalisation = "shrinkage"`.
        ranges: (lowest, highest) training rating of each dimension of the experiment; predictions stay within.
    """

    experiment: Experiment
    normaliser: Normaliser
    vocabulary: Vocabulary
    word_normaliser: Normaliser
    tfidf: Tfidf | None = None
    adaptation: Adaptation | None = None
    ranges: tuple[tuple[float, float], ...] = ()

    @property
    def word_dim(self) -> int:
        """Values in the vector of a word, or of all words where they are counted; unused where words have ids."""
        embedded = len(self.word_normaliser.mean)
        if self.tfidf is None:
            return embedded
        return self.tfidf.dim + (embedded if self.experiment.sentences else 0)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the experiment's label set, in the order of the logits."""
        return classes(self.experiment.label_set)

    def split(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Split the outputs of the network into logits and ratings.

        Args:
            outputs: (…, classes + dimensions).

        Returns:
            Logits (…, classes), and ratings (…, dimensions) within `ranges`: a line that is followed far beyond the
            training data ends anywhere.
        """
        classes = len(self.classes)
        ratings = outputs[..., classes:]
        if self.ranges:
            ratings = np.clip(ratings, *np.array(self.ranges, ratings.dtype).T)
        return outputs[..., :classes], ratings

    def normalise_frames(self, features: np.ndarray, speaker: Normaliser | None = None) -> np.ndarray:
        """Normalise the features of one utterance.

        Args:
            features: (frames, n_features).
            speaker: Statistics of the speaker, for `normalisation` of `speaker` and `shrinkage`. By default those of
                the utterance; of training data for `shrinkage`, and where an utterance has one frame, which has no
                statistics.

        Returns:
            (frames, n_features).
        """
        e = self.experiment
        if e.normalisation in ("speaker", "utterance", "shrinkage") and speaker is not None:
            return speaker(features)
        if e.normalisation in ("speaker", "utterance") and not feature_spec(e.features).whole_recording:
            return Normaliser.fit([features], len(self.normaliser.mean))(features)
        return self.normaliser(features)

    def ids(self, tokens: Sequence[str]) -> np.ndarray:
        """Look up the rows of words in the embedding table.

        Args:
            tokens: Normalised words.

        Returns:
            (n,) int64; 1 for words outside the vocabulary.
        """
        return self.vocabulary.encode(tokens)

    def encode_words(self, tokens: Sequence[str]) -> np.ndarray:
        """Encode words by their spelling, as the word encoder reads them.

        Args:
            tokens: Normalised words.

        Returns:
            Rows in the embedding table (n,) int64; or one vector (1, `word_dim`) float32: weighted counts, and in front
            of them the sentence embedding where the experiment has one, scaled to a mean length of about 1 like these.
            The last value is 1 if there are no words for either.
        """
        if self.tfidf is None:
            return self.ids(tokens)
        read = self.truncate_words(tokens)
        counts = self.tfidf(read)
        if not self.experiment.sentences:
            return counts
        embedded = self.word_normaliser(sentences.embed(Path(self.experiment.sentences), tuple(read))[None])
        if read:
            counts[0, -1] = 0.0
        else:
            embedded = np.zeros_like(embedded)
        return np.concatenate([embedded / np.float32(np.sqrt(embedded.shape[1])), counts], axis=1)

    def normalise_vectors(self, spoken: np.ndarray) -> np.ndarray:
        """Normalise the vectors of spoken words.

        Args:
            spoken: (n, dim).

        Returns:
            (n, dim) float32.
        """
        return self.word_normaliser(spoken)

    def truncate_words(self, words: Sequences) -> Sequences:
        """Keep the words that a model reads.

        Args:
            words: Tokens, ids (n,) or vectors (n, dim).

        Returns:
            At most `max_words` of them.
        """
        return truncate(words, padding=self.experiment.padding, maximum=self.experiment.max_words)

    def collate(
        self, frames: Sequence[np.ndarray] | None, words: Sequence[np.ndarray] | None
    ) -> tuple[Padded | None, Padded | None]:
        """Pad the inputs of a batch.

        Args:
            frames: Normalised frames of each utterance; None without an acoustic encoder.
            words: Ids, normalised vectors or weighted counts of each utterance; None without a word encoder.

        Returns:
            Padded frames and padded words; None where the argument is None.
        """
        e = self.experiment
        return (
            None if frames is None else pad(frames, padding=e.padding, maximum=e.most_frames),
            None if words is None else pad(words, padding=e.padding, maximum=e.most_word_vectors),
        )

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            What `from_json` reads.
        """
        adaptation = {} if self.adaptation is None else {"adaptation": self.adaptation.to_json()}
        return {
            "experiment": asdict(self.experiment),
            "features": self.normaliser.to_json(),
            "words": self.word_normaliser.to_json(),
            "vocabulary": self.vocabulary.to_json(),
            **({} if self.tfidf is None else {"ngrams": self.tfidf.to_json()}),
            **({"ranges": list(map(list, self.ranges))} if self.ranges else {}),
            **adaptation,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Preprocessor:
        """Convert from JSON values; the inverse of `to_json`.

        Args:
            value: The JSON object.
            where: Opens the message of every error, such as the name of the file.

        Returns:
            The preprocessor.

        Raises:
            ModelError: The values are damaged, do not fit together, or are of features that have changed since.
        """
        record = Record(value, where, ModelError, REPAIR)
        normaliser, word_normaliser = (Normaliser.from_json(record.record(key)) for key in ("features", "words"))
        try:
            experiment = from_mapping(record.record("experiment"), "its experiment")
            vocabulary = Vocabulary.from_json(record["vocabulary"])
            classes(experiment.label_set)
            tfidf = Tfidf.from_json(record.record("ngrams")) if experiment.counts_words else None
        except DuettoError as error:
            raise record.wrong(str(error)) from error
        _check_sizes(experiment, len(normaliser.mean), len(word_normaliser.mean), record)
        adaptation = None
        if experiment.normalisation == "shrinkage":
            adaptation = Adaptation.from_json(record.record("adaptation"), len(normaliser.mean))
        ranges = _ranges(record) if experiment.dimensions else ()
        if len(ranges) != len(experiment.dimensions):
            raise record.wrong(f"{len(ranges)} 'ranges' for {len(experiment.dimensions)} dimensions")
        return cls(experiment, normaliser, vocabulary, word_normaliser, tfidf, adaptation, ranges)


def _ranges(record: Record) -> tuple[tuple[float, float], ...]:
    found = []
    for pair in record.items_of("ranges"):
        low, high = map(finite, pair) if isinstance(pair, list) and len(pair) == 2 else (None, None)
        if low is None or high is None or low > high:
            raise record.wrong(f"'ranges' must hold [lowest, highest] of each dimension, not {shortened(pair)}")
        found.append((low, high))
    return tuple(found)


def _check_sizes(experiment: Experiment, statistics: int, word_statistics: int, record: Record) -> None:
    if experiment.uses_audio and statistics != (expected := feature_spec(experiment.features).statistics):
        raise ModelError(
            f"{record.where}: made for {statistics} values of features {experiment.features!r}, of which this version "
            f"of duetto has {expected}; train it again"
        )
    if experiment.uses_words and experiment.embeddings == "spoken" and word_statistics != experiment.word_dim:
        raise record.wrong(f"statistics of {word_statistics} values for vectors of {experiment.word_dim}")
