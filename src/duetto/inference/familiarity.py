"""How far a recording is from those of training.

    normalised frames ─ embedding ─▶ (values,)
    embeddings of training utterances, speakers ─ Familiarity.fit ─▶ Familiarity ─ distance ─▶ d

An embedding is what the network reads: its one vector, or mean and standard deviation over time of its frames. Its
distance has two parts of equal weight: the Mahalanobis distance within the principal components of the training data,
whose variances are shrunk towards their mean (Ledoit and Wolf 2004, with a fixed intensity), and the length of what
those components leave over, which grows where a recording differs in a way in which training recordings do not differ
at all. d is in units of the median distance of utterances whose speakers took no part in the fit, so that about half of
the recordings of an unseen speaker of the same corpus have d < 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError

COMPONENTS = 64
"""Principal components at most; there are no more than a quarter of the utterances."""

SHRINKAGE = 0.1
"""How far variances move towards their mean."""

PARTS = 5
"""Parts of the speakers, each of which is left out of a fit once, to find the unit."""

MOST_UTTERANCES = 1000
"""Training utterances that are used, spread evenly; more change little and cost minutes."""

_TINY = 1e-6
_ARRAYS = ("mean", "directions", "deviations", "scale")


def embedding(frames: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pool what a network reads of a recording over time.

    Args:
        frames: (frames, values), normalised.

    Returns:
        Mean and standard deviation over time, (2 · values,); zeros where there is no frame.
    """
    x = _flat(frames)
    if len(x) == 0:
        return np.zeros(2 * x.shape[1])
    return np.concatenate([x.mean(0), x.std(0)])


@dataclass(frozen=True, eq=False)
class Familiarity:
    """A density of training embeddings.

    Attributes:
        mean: (values,) of the embeddings.
        directions: (values, components), orthonormal.
        deviations: (components,) standard deviation along each direction, shrunk.
        residual: Root mean square length of what the directions leave over of a training embedding; 0 where they leave
            nothing over, and it is not used then.
        unit: Median distance of utterances of speakers that a fit did not use.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    deviations: NDArray[np.float64]
    residual: float
    unit: float = 1.0

    @classmethod
    def fit(cls, embeddings: NDArray[np.floating], speakers: Sequence[str]) -> tuple[Familiarity, NDArray[np.float64]]:
        """Fit to training utterances.

        Args:
            embeddings: (n, values), n above 0, in an order that depends on the utterances alone.
            speakers: (n,) of each.

        Returns:
            The density, and the distances d of utterances whose speakers a fit did not use; of all where there is one
            speaker.
        """
        chosen = np.unique(np.linspace(0, len(embeddings) - 1, min(len(embeddings), MOST_UTTERANCES)).round())
        x = np.asarray(embeddings, np.float64)[chosen.astype(int)]
        part = _parts([speakers[int(i)] for i in chosen])
        whole = cls._of(x)
        raw = np.empty(len(x))
        for number in range(int(part.max()) + 1):
            inside = part == number
            raw[inside] = (whole if inside.all() else cls._of(x[~inside])).distances(x[inside])
        unit = max(float(np.median(raw)), _TINY)
        return replace(whole, unit=unit), raw / unit

    @classmethod
    def _of(cls, x: NDArray[np.float64]) -> Familiarity:
        mean = x.mean(0)
        _, singular, rows = np.linalg.svd(x - mean, full_matrices=False)
        largest = max(float(singular.max(initial=0.0)), _TINY)
        rank = int((singular > 1e-6 * largest).sum())
        k = max(1, min(COMPONENTS, len(x) // 4, rank))
        variances = np.square(singular[:k]) / max(1, len(x) - 1)
        variances = (1 - SHRINKAGE) * variances + SHRINKAGE * variances.mean()
        left = float(np.sqrt(np.square(singular[k:rank]).sum() / len(x)))
        deviations = np.maximum(np.sqrt(variances), _TINY)
        return cls(mean, rows[:k].T, deviations, left if left > 1e-3 * float(deviations.max()) else 0.0)

    def distances(self, embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
        """Distances from the training data.

        Args:
            embeddings: (n, values).

        Returns:
            (n,) d.
        """
        centred = np.asarray(embeddings, np.float64) - self.mean
        along = centred @ self.directions
        within = np.square(along / self.deviations).mean(1)
        if self.residual:
            left = np.maximum(np.square(centred).sum(1) - np.square(along).sum(1), 0.0)
            within = (within + left / self.residual**2) / 2
        return np.sqrt(within) / self.unit

    def distance(self, frames: NDArray[np.floating]) -> float:
        """Distance of one recording from the training data.

        Args:
            frames: (frames, values), normalised.

        Returns:
            d.
        """
        return float(self.distances(self.embedded([frames]))[0])

    def embedded(self, frames: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
        """Embed recordings as the training utterances were.

        Args:
            frames: (frames, values) of each, normalised.

        Returns:
            (n, values).
        """
        return stacked(frames, whole=len(self.mean) == _flat(frames[0]).shape[1])

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Convert to arrays.

        Returns:
            What `of_arrays` reads, float32.
        """
        values = {
            "mean": self.mean,
            "directions": self.directions,
            "deviations": self.deviations,
            "scale": np.array([self.residual, self.unit]),
        }
        return {name: np.ascontiguousarray(value, np.float32) for name, value in values.items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], where: str) -> Familiarity:
        """Convert from arrays; the inverse of `arrays`.

        Args:
            arrays: Name → array.
            where: Opens the message of every error, such as the name of the file.

        Returns:
            The density.

        Raises:
            ModelError: They are damaged.
        """
        if any(name not in arrays or arrays[name].dtype != np.float32 for name in _ARRAYS):
            raise ModelError(f"{where}: lacks {', '.join(_ARRAYS)} as float32; fit it again")
        mean, directions, deviations, scale = (arrays[name].astype(np.float64) for name in _ARRAYS)
        fit = (
            mean.ndim == deviations.ndim == 1
            and directions.shape == (len(mean), len(deviations))
            and scale.shape == (2,)
        )
        finite = all(np.isfinite(array).all() for array in (mean, directions, deviations, scale))
        if not (fit and finite) or (deviations <= 0).any() or scale[0] < 0 or scale[1] <= 0:
            raise ModelError(f"{where}: its arrays are damaged, or of different models; fit it again")
        return cls(mean, directions, deviations, float(scale[0]), float(scale[1]))


def stacked(frames: Sequence[NDArray[np.floating]], *, whole: bool) -> NDArray[np.float64]:
    """Embed recordings.

    Args:
        frames: (frames, values) of each, normalised.
        whole: Whether the system reads one vector for each recording.

    Returns:
        (n, values), or (n, 2 · values) for systems that read several frames.
    """
    if whole:
        return np.stack([_flat(x)[:1].sum(0) for x in frames])  # zeros where there is none
    return np.stack([embedding(x) for x in frames])


def _flat(frames: NDArray[np.floating]) -> NDArray[np.float64]:
    """(frames, values) of frames of any shape, which may be none."""
    x = np.asarray(frames, np.float64)
    return x.reshape(len(x), math.prod(x.shape[1:]))


def _parts(speakers: Sequence[str]) -> NDArray[np.int64]:
    """The part of each utterance's speaker: speakers, the largest first, go to the smallest part."""
    sizes = Counter(speakers)
    filled = [0] * min(PARTS, len(sizes))
    of: dict[str, int] = {}
    for speaker in sorted(sizes, key=lambda name: (-sizes[name], name)):
        of[speaker] = filled.index(min(filled))
        filled[of[speaker]] += sizes[speaker]
    return np.array([of[speaker] for speaker in speakers], np.int64)
