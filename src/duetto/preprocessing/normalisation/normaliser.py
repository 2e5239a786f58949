"""z-scores of features by statistics of training, of a speaker, or of an utterance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ...errors import ConfigurationError
from ...utils.reading import Record

_SMALLEST_DEVIATION = 1e-6
"""Absolute, and relative to the mean: rounding leaves about 1e-7 of a constant."""


@dataclass(frozen=True)
class Normaliser:
    """z-scores of each feature: (x − mean) / deviation.

    A feature that is constant in the statistics (deviation below 1e-6, or below 1e-6 of the mean) is only centred.

    Attributes:
        mean: (n_features,) float32; (1,) where all values of a frame are one quantity.
        deviation: Standard deviation, of the same shape.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, sequences: Iterable[np.ndarray], n_features: int) -> Normaliser:
        """Take the statistics of all frames.

        Args:
            sequences: (frames, n_features) each.
            n_features: Values of a frame; 1 treats the values of frames of any size as one quantity.

        Returns:
            The normaliser; sums are in float64.

        Raises:
            ConfigurationError: There is no frame.
        """
        count, total, squares = 0, np.zeros(n_features), np.zeros(n_features)
        for sequence in sequences:
            x = sequence.astype(np.float64).reshape(-1, n_features)
            count, total, squares = count + len(x), total + x.sum(0), squares + (x * x).sum(0)
        if count == 0:
            raise ConfigurationError("a normaliser needs at least one frame to take its statistics from")
        return cls.of_moments(total / count, squares / count)

    @classmethod
    def of_moments(cls, mean: np.ndarray, square: np.ndarray) -> Normaliser:
        """Make a normaliser of first and second moments.

        Args:
            mean: (n_features,) float64, mean of each feature.
            square: (n_features,) float64, mean of its square.

        Returns:
            The normaliser.
        """
        deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
        deviation[deviation < _SMALLEST_DEVIATION * np.maximum(1.0, np.abs(mean))] = 1.0
        return cls(mean.astype(np.float32), deviation.astype(np.float32))

    @classmethod
    def identity(cls, n_features: int) -> Normaliser:
        """Make a normaliser that changes nothing.

        Args:
            n_features: Values of a frame.

        Returns:
            Mean 0 and deviation 1.
        """
        return cls(np.zeros(n_features, np.float32), np.ones(n_features, np.float32))

    def __call__(self, sequence: np.ndarray) -> np.ndarray:
        """Normalise a sequence (frames, n_features)."""
        return (sequence - self.mean) / self.deviation

    def to_json(self) -> dict[str, list[float]]:
        """Convert to JSON values.

        Returns:
            Both statistics as lists.
        """
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    @classmethod
    def from_json(cls, record: Record) -> Normaliser:
        """Convert from JSON values; the inverse of `to_json`.

        Args:
            record: The JSON object.

        Returns:
            The normaliser.

        Raises:
            DuettoError: (of the record's class) The statistics are not such as `fit` returns.
        """
        mean, deviation = record.array("mean"), record.array("deviation")
        if mean.ndim != 1 or mean.shape != deviation.shape:
            raise record.wrong(f"means of shape {mean.shape} and deviations of shape {deviation.shape}")
        # A number out of the range of float32 becomes infinite or 0 here.
        with np.errstate(over="ignore", under="ignore"):
            statistics = cls(mean.astype(np.float32), deviation.astype(np.float32))
        if not (np.isfinite([statistics.mean, statistics.deviation]).all() and (statistics.deviation > 0).all()):
            raise record.wrong("a mean or deviation that is no finite number, or a deviation that is not above 0")
        return statistics
