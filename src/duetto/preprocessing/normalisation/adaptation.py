"""A speaker's own statistics, and how far they replace those of training.

    recordings ─ SpeakerSums.of, + ─▶ SpeakerSums (n, Σ mean, Σ mean square)
    training Normaliser + SpeakerSums ─ Adaptation ─▶ Normaliser of the speaker

With the training mean m₀ and mean square q₀ of each feature, a speaker's n recordings of means mᵢ and mean squares qᵢ,
and the shrinkage n₀ (in recordings):

    mean = (n₀·m₀ + g·Σ mᵢ) / (n₀ + g·n),   mean square = (n₀·q₀ + g·Σ qᵢ) / (n₀ + g·n)

which is the training normaliser for n = 0 and the speaker's own for large n: the maximum a posteriori estimate of both
moments under a conjugate prior that is worth n₀ recordings. Every recording counts once, however long it is. g in
(0, 1) is the `Guard`'s: how likely it is that the recordings show more than one emotion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...utils.reading import Record
from .guard import Guard
from .normaliser import Normaliser

MOST_SHRINKAGE = 1e6
"""Largest shrinkage of a model, in recordings."""


@dataclass(frozen=True)
class SpeakerSums:
    """Sums over the recordings of a speaker; the order of recordings does not matter.

    Attributes:
        count: Recordings.
        mean: (n_features,) float64, Σ of the mean of each feature over the frames of a recording.
        square: (n_features,) float64, Σ of the mean of its square.
        projected_square: (n_directions,) float64, Σ of the square of a recording's mean along each direction of the
            guard; empty without a guard.
    """

    count: int
    mean: np.ndarray
    square: np.ndarray
    projected_square: np.ndarray

    def __add__(self, other: SpeakerSums) -> SpeakerSums:
        """Join the sums of two sets of recordings."""
        return SpeakerSums(
            self.count + other.count,
            self.mean + other.mean,
            self.square + other.square,
            self.projected_square + other.projected_square,
        )


@dataclass(frozen=True)
class Adaptation:
    """How far a speaker's statistics replace those of training.

    Attributes:
        shrinkage: n₀, the number of recordings that the training statistics count for.
        guard: Recognises recordings of a single emotion, which count less; None counts every recording in full.
    """

    shrinkage: float
    guard: Guard | None = None

    def empty(self, training: Normaliser) -> SpeakerSums:
        """Sums over no recording.

        Args:
            training: The training statistics.

        Returns:
            Zeros.
        """
        zeros = np.zeros(len(training.mean))
        return SpeakerSums(0, zeros, zeros, np.zeros(0 if self.guard is None else self.guard.directions.shape[1]))

    def sums(self, features: np.ndarray, training: Normaliser) -> SpeakerSums:
        """Sums over one recording.

        Args:
            features: (frames, values), not normalised, of at least one frame.
            training: The training statistics.

        Returns:
            The sums; `count` is 1.
        """
        x = features.astype(np.float64).reshape(-1, len(training.mean))
        mean, projected = x.mean(0), np.zeros(0)
        if self.guard is not None:
            projected = ((mean - training.mean) / training.deviation) @ self.guard.directions
        return SpeakerSums(1, mean, (x * x).mean(0), projected * projected)

    def trusted(self, speaker: SpeakerSums, training: Normaliser) -> float:
        """How many recordings the speaker's statistics count for.

        Args:
            speaker: Sums over the speaker's recordings.
            training: The training statistics.

        Returns:
            Their number, reduced by the guard.
        """
        if self.guard is None or speaker.count == 0:
            return float(speaker.count)
        n = speaker.count
        z = (speaker.mean / n - training.mean) / training.deviation.astype(np.float64)
        along = speaker.projected_square - n * np.square(z @ self.guard.directions)
        return n * self.guard.weight(n, float(along.sum()))

    def normaliser(self, speaker: SpeakerSums, training: Normaliser) -> Normaliser:
        """Statistics to normalise a speaker's recordings by.

        Args:
            speaker: Sums over the speaker's recordings so far.
            training: The training statistics.

        Returns:
            `training` itself without recordings, else the shrunken statistics.
        """
        if speaker.count == 0:
            return training
        share = self.trusted(speaker, training) / speaker.count
        return self.shrunken(speaker.mean * share, speaker.square * share, speaker.count * share, training)

    def shrunken(self, mean: np.ndarray, square: np.ndarray, count: float, training: Normaliser) -> Normaliser:
        """Shrink sums towards the training statistics.

        Args:
            mean: (n_features,) Σ of means over recordings.
            square: (n_features,) Σ of mean squares.
            count: Number of recordings.
            training: The training statistics.

        Returns:
            The statistics; `training` itself where `count` is 0.
        """
        if count == 0:
            return training
        before = training.mean.astype(np.float64)
        before_square = np.square(training.deviation.astype(np.float64)) + before * before
        total = self.shrinkage + count
        return Normaliser.of_moments(
            (self.shrinkage * before + mean) / total, (self.shrinkage * before_square + square) / total
        )

    def with_shrinkage(self, shrinkage: float) -> Adaptation:
        """Change n₀.

        Args:
            shrinkage: The new one.

        Returns:
            The same adaptation otherwise.
        """
        return replace(self, shrinkage=shrinkage)

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            What `from_json` reads.
        """
        return {"shrinkage": self.shrinkage, "guard": None if self.guard is None else self.guard.to_json()}

    @classmethod
    def from_json(cls, record: Record, n_features: int) -> Adaptation:
        """Convert from JSON values; the inverse of `to_json`.

        Args:
            record: The JSON object.
            n_features: Values that a normaliser has statistics of.

        Returns:
            The adaptation.

        Raises:
            DuettoError: (of the record's class) The values are damaged, or do not fit together.
        """
        guard = None if record["guard"] is None else Guard.from_json(record.record("guard"), n_features)
        return cls(record.number("shrinkage", low=1e-6, high=MOST_SHRINKAGE), guard)
