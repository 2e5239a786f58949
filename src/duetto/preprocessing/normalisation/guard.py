"""Whether the recordings of a session show more than one emotion, judged without labels.

A speaker who shows one emotion only has statistics of that emotion: normalised by them, it would look like the average
of all. The guard compares how far the session's recordings lie apart along the directions that tell the classes apart
with what recordings of one emotion, and of mixed emotions, of training speakers show there:

    x (recordings, n_features) z-scores ─ directions ─▶ a (recordings, k), scatter S = Σ |a − ā|²
    log-odds of mixed emotions = ½·(S/v₁ − S/v₂ − (n − 1)·k·ln(v₂/v₁))

with the variances v₁ within one emotion and v₂ over mixed emotions of one speaker: the likelihood ratio of two normal
distributions, the prior odds even.

Directions: discriminant analysis within speakers (Fisher 1936; Hastie et al. 2009, section 4.3), its covariance shrunk
by half towards a multiple of the identity (as Friedman 1989), so that it exists for more features than recordings. v₁
and v₂ are measured on speakers that the directions were not fitted to; on the others both would be flattered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...utils.reading import Record

_REGULARISATION = 0.5
_GROUPS = 5
_FEWEST_SPEAKERS = 4
_MOST_DIRECTIONS = 100


@dataclass(frozen=True)
class Guard:
    """What recordings of one emotion, and of mixed emotions, of a training speaker look like.

    Attributes:
        directions: (n_features, k) float32, of z-scores by the training statistics.
        single: v₁, the mean variance along a direction within one emotion of one speaker.
        mixed: v₂ > v₁, the same over all emotions of one speaker, each counted alike.
    """

    directions: np.ndarray
    single: float
    mixed: float

    def weight(self, count: int, along: float) -> float:
        """How likely it is that recordings show more than one emotion.

        Args:
            count: Recordings, at least 1.
            along: S, Σ of squared deviations along all directions.

        Returns:
            In (0, 1); 0.5 for one recording.
        """
        freedom = (count - 1) * self.directions.shape[1]
        odds = 0.5 * (along / self.single - along / self.mixed - freedom * np.log(self.mixed / self.single))
        return float(1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0))))

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            What `from_json` reads.
        """
        return {"directions": self.directions.T.tolist(), "single": self.single, "mixed": self.mixed}

    @classmethod
    def from_json(cls, record: Record, n_features: int) -> Guard:
        """Convert from JSON values; the inverse of `to_json`.

        Args:
            record: The JSON object.
            n_features: Values that a normaliser has statistics of.

        Returns:
            The guard.

        Raises:
            DuettoError: (of the record's class) The values are damaged, or do not fit together.
        """
        directions = record.array("directions").T.astype(np.float32)
        if directions.ndim != 2 or directions.shape[0] != n_features or not 0 < directions.shape[1] <= _MOST_DIRECTIONS:
            raise record.wrong(f"directions of shape {directions.shape} for {n_features} features")
        single, mixed = (record.number(key, low=1e-12) for key in ("single", "mixed"))
        if not np.isfinite(directions).all() or mixed <= single:
            raise record.wrong("a direction that is not finite, or a variance of mixed emotions not above that of one")
        return cls(directions, single, mixed)


def fit_guard(z: np.ndarray, target: np.ndarray, speakers: np.ndarray) -> Guard | None:
    """Fit a guard to training recordings.

    Args:
        z: (n, n_features) means of the z-scored frames of each recording.
        target: (n,) integers, their classes.
        speakers: (n,) strings; "" where unknown, and these recordings are left out.

    Returns:
        The guard. None where fewer than four speakers show several classes, or where classes of speakers the
        directions were not fitted to lie no farther apart than recordings of one class: nothing could be recognised.
    """
    z, target, speakers = _several_classes(z.astype(np.float64), target, speakers)
    names = np.unique(speakers)
    if len(names) < _FEWEST_SPEAKERS:
        return None
    single, mixed = _variances(z, target, speakers, names)
    if not 0 < single < mixed:
        return None
    return Guard(_directions(z, target, speakers).astype(np.float32), single, mixed)


def _several_classes(z: np.ndarray, target: np.ndarray, speakers: np.ndarray) -> tuple[np.ndarray, ...]:
    """The recordings of known speakers who show more than one class."""
    keep = np.zeros(len(z), bool)
    for speaker in np.unique(speakers):
        own = speakers == speaker
        keep |= own & (speaker != "" and len(np.unique(target[own])) > 1)
    return z[keep], target[keep], speakers[keep]


def _cells(target: np.ndarray, speakers: np.ndarray) -> Iterator[np.ndarray]:
    """(n,) booleans of each class of each speaker that occurs."""
    for speaker in np.unique(speakers):
        own = speakers == speaker
        for label in np.unique(target[own]):
            yield own & (target == label)


def _variances(z: np.ndarray, target: np.ndarray, speakers: np.ndarray, names: np.ndarray) -> tuple[float, float]:
    """v₁ and v₂, each speaker measured along directions that other speakers give."""
    groups = np.random.default_rng(0).permutation(len(names)) % min(_GROUPS, len(names))
    within, freedom, mixed, directions = 0.0, 0, [], 1
    for group in range(groups.max() + 1):
        held = np.isin(speakers, names[groups == group])
        axes = _directions(z[~held], target[~held], speakers[~held])
        a, labels, of = z[held] @ axes, target[held], speakers[held]
        directions = axes.shape[1]
        for cell in _cells(labels, of):
            within += float(np.square(a[cell] - a[cell].mean(0)).sum())
            freedom += int(cell.sum()) - 1
        mixed += [_balanced_variance(a[of == speaker], labels[of == speaker]) for speaker in np.unique(of)]
    return within / max(freedom, 1) / directions, float(np.mean(mixed)) / directions


def _balanced_variance(a: np.ndarray, labels: np.ndarray) -> float:
    """Variance of points, summed over directions, where every class counts alike."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights = 1.0 / counts[inverse] / len(counts)
    scatter = weights @ np.square(a - weights @ a).sum(1)
    return float(scatter / (1.0 - np.square(weights).sum()))


def _directions(z: np.ndarray, target: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """(n_features, k) discriminant directions within speakers, the regularised variance along each 1."""
    centred, labels = np.empty_like(z), np.unique(target)
    for speaker in np.unique(speakers):
        own = speakers == speaker
        classes = [z[own & (target == label)].mean(0) for label in np.unique(target[own])]
        centred[own] = z[own] - np.mean(classes, axis=0)
    means = np.array([centred[target == label].mean(0) for label in labels])
    residual = centred - means[np.searchsorted(labels, target)]
    covariance = residual.T @ residual / len(z)
    level = max(float(np.trace(covariance)) / len(covariance), 1e-12)
    covariance = (1 - _REGULARISATION) * covariance + _REGULARISATION * level * np.eye(len(covariance))
    factor = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(factor, (means - means.mean(0)).T)
    axes = np.linalg.svd(whitened, full_matrices=False)[0][:, : max(1, len(labels) - 1)]
    return np.linalg.solve(factor.T, axes)
