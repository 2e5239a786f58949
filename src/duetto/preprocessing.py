"""Features and words of utterances → padded arrays that a model reads. NumPy only: training and
prediction share every line of it.

    (frames, n) ─ Normaliser ─ cut ──┐
                                     ├─ pad ─▶ Padded(values (batch, time, …), lengths (batch,))
    ids (n,) or vectors (n, dim) ────┘
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .config.experiment import Experiment, from_mapping
from .data.labels import classes
from .embeddings.vocabulary import Vocabulary
from .errors import ConfigurationError, DuettoError, ModelError
from .features.registry import feature_spec
from .utils.reading import Record

_SMALLEST_DEVIATION = 1e-6
"""And as a share of the mean: what rounding leaves of a constant is some 1e-7 of it."""

REPAIR = "train or export again"
"""What to do about a damaged model folder."""


@dataclass(frozen=True)
class Padded:
    """values (batch, time, …), zero where padded; lengths (batch,) int64: steps that a model shall read."""

    values: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True)
class Normaliser:
    """z-scores of each feature: (x − mean) / deviation, both (n_features,) float32; (1,) where all are one quantity.

    A feature that does not vary where the statistics were taken (deviation below 1e-6, or 1e-6 of the mean) is only
    centred.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, sequences: Iterable[np.ndarray], n_features: int) -> Normaliser:
        """Statistics over all frames of `sequences`, each (frames, n_features); summed in float64. n_features = 1
        takes the values of frames of any size for one quantity."""
        count, total, squares = 0, np.zeros(n_features), np.zeros(n_features)
        for sequence in sequences:
            x = sequence.astype(np.float64).reshape(-1, n_features)
            count, total, squares = count + len(x), total + x.sum(0), squares + (x * x).sum(0)
        if count == 0:
            raise ConfigurationError("a normaliser needs at least one frame to take its statistics from")
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean * mean, 0.0))
        deviation[deviation < _SMALLEST_DEVIATION * np.maximum(1.0, np.abs(mean))] = 1.0
        return cls(mean.astype(np.float32), deviation.astype(np.float32))

    @classmethod
    def identity(cls, n_features: int) -> Normaliser:
        """Changes nothing."""
        return cls(np.zeros(n_features, np.float32), np.ones(n_features, np.float32))

    def __call__(self, sequence: np.ndarray) -> np.ndarray:
        return (sequence - self.mean) / self.deviation

    def to_json(self) -> dict[str, list[float]]:
        """Both statistics as lists."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    @classmethod
    def from_json(cls, record: Record) -> Normaliser:
        """The inverse of `to_json`; anything that `fit` cannot have given is an error of the record's class."""
        mean, deviation = record.array("mean"), record.array("deviation")
        if mean.ndim != 1 or mean.shape != deviation.shape:
            raise record.wrong(f"means of shape {mean.shape} and deviations of shape {deviation.shape}")
        # As float32: what is too large or too small for it is infinite or 0 there.
        with np.errstate(over="ignore", under="ignore"):
            statistics = cls(mean.astype(np.float32), deviation.astype(np.float32))
        if not (np.isfinite([statistics.mean, statistics.deviation]).all() and (statistics.deviation > 0).all()):
            raise record.wrong("a mean or deviation that is no finite number, or a deviation that is not above 0")
        return statistics


def cut(sequence: np.ndarray, *, padding: str, maximum: int) -> np.ndarray:
    """The first `maximum` steps of a sequence, or with `pre` the last."""
    return sequence[-maximum:] if padding == "pre" else sequence[:maximum]


def pad(sequences: Sequence[np.ndarray], *, padding: str = "packed", maximum: int) -> Padded:
    """Stack sequences (steps, …) of any lengths, each cut to its first `maximum` steps.

    `packed`: zeros behind each sequence up to the batch's longest; lengths are the true ones, at
    least one step is there. `post`, `pre`: zeros behind or before each up to `maximum`; lengths are
    all `maximum`, so a model reads the zeros too (Keras without masking; `pre` there also cuts the
    beginning of long sequences, and so does this).
    """
    kept = [cut(sequence, padding=padding, maximum=maximum) for sequence in sequences]
    lengths = np.array([len(s) for s in kept], np.int64)
    width = max(1, int(lengths.max(initial=0))) if padding == "packed" else maximum
    values = np.zeros((len(kept), width, *kept[0].shape[1:]), kept[0].dtype)
    for row, sequence in zip(values, kept, strict=True):
        start = width - len(sequence) if padding == "pre" else 0
        row[start : start + len(sequence)] = sequence
    return Padded(values, lengths if padding == "packed" else np.full(len(kept), maximum, np.int64))


@dataclass(frozen=True)
class Preprocessor:
    """All that stands between an utterance and a model: what training fixed and prediction must repeat.

    normaliser: training statistics of the features, for experiments that use them. vocabulary: words that
    have a row in the embedding table. word_normaliser: training statistics of the vectors of spoken words,
    for experiments that read those.
    """

    experiment: Experiment
    normaliser: Normaliser
    vocabulary: Vocabulary
    word_normaliser: Normaliser

    @property
    def classes(self) -> tuple[str, ...]:
        return classes(self.experiment.label_set)

    def frames(self, features: np.ndarray, speaker: Normaliser | None = None) -> np.ndarray:
        """Normalised frames of one utterance. `speaker`: that speaker's statistics, for experiments that
        normalise by speaker; without them, or normalising by utterance, the utterance's own are taken."""
        if self.experiment.normalisation in ("speaker", "utterance"):
            return (speaker or Normaliser.fit([features], len(self.normaliser.mean)))(features)
        return self.normaliser(features)

    def ids(self, tokens: Sequence[str]) -> np.ndarray:
        """Rows of the embedding table, (n,) int64; 1 for unknown words."""
        return self.vocabulary.encode(tokens)

    def vectors(self, spoken: np.ndarray) -> np.ndarray:
        """Normalised vectors of spoken words, (n, dim) float32."""
        return self.word_normaliser(spoken)

    def cut_words(self, words: np.ndarray) -> np.ndarray:
        """Those of an utterance's ids or vectors that a model gets to see, (up to max_words, …)."""
        return cut(words, padding=self.experiment.padding, maximum=self.experiment.max_words)

    def collate(
        self, frames: Sequence[np.ndarray] | None, words: Sequence[np.ndarray] | None
    ) -> tuple[Padded | None, Padded | None]:
        """Padded frames and words of one batch."""
        e = self.experiment
        return (
            None if frames is None else pad(frames, padding=e.padding, maximum=e.max_frames),
            None if words is None else pad(words, padding=e.padding, maximum=e.max_words),
        )

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "experiment": asdict(self.experiment),
            "features": self.normaliser.to_json(),
            "words": self.word_normaliser.to_json(),
            "vocabulary": self.vocabulary.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Preprocessor:
        """The inverse of `to_json`; `where` opens every error."""
        record = Record(value, where, ModelError, REPAIR)
        normaliser, of_words = (Normaliser.from_json(record.record(key)) for key in ("features", "words"))
        try:
            experiment = from_mapping(record.record("experiment"), "its experiment")
            preprocessor = cls(experiment, normaliser, Vocabulary.from_json(record["vocabulary"]), of_words)
            classes(experiment.label_set)
        except DuettoError as error:
            raise record.wrong(str(error)) from error
        given, features = len(normaliser.mean), experiment.features
        if experiment.uses_audio and given != feature_spec(features).statistics:
            raise ModelError(
                f"{where}: made for {given} values of features {features!r}, of which this version of duetto has "
                f"{feature_spec(features).statistics}; train it again"
            )
        if experiment.uses_words and experiment.embeddings == "spoken" and len(of_words.mean) != experiment.word_dim:
            raise record.wrong(f"statistics of {len(of_words.mean)} values for vectors of {experiment.word_dim}")
        return preprocessor
