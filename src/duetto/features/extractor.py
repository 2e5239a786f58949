"""The interface of every feature extractor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Extractor(Protocol):
    """A frozen configuration that computes features from samples, such as `short_term.ShortTermConfig`.

    It is pickled for worker processes, so its class is defined in an importable module. A class attribute
    `half = True` states that its numbers are rounded to float16, and the feature store keeps them as such.
    """

    def key(self) -> str:
        """Identify the computation.

        Returns:
            A string that differs whenever the numbers can differ; the feature store is keyed by it. See `cache_key`.
        """
        ...

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Compute the features of a recording.

        Args:
            samples: (n,) float32 with full scale ±1.
            sample_rate: Hz; the feature store resamples to 16 kHz.

        Returns:
            (frames, dim), with at least one frame, and the same dim for every recording.
        """
        ...


def pooled_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Name the means and deviations of features over time.

    Args:
        columns: Of a frame.

    Returns:
        `NAME_mean` of all columns, then `NAME_std`.
    """
    return tuple(f"{name}_{kind}" for kind in ("mean", "std") for name in columns)


def pooled(frames: np.ndarray) -> np.ndarray:
    """Compute mean and population deviation of features over time.

    Args:
        frames: (frames, dim), at least one.

    Returns:
        (2 · dim,) float32, computed in float64: all means, then all deviations.
    """
    wide = np.asarray(frames, np.float64)
    return np.concatenate((wide.mean(0), wide.std(0))).astype(np.float32)


def stored_as_half(extractor: Extractor) -> bool:
    """Look up whether features are rounded to float16, so that storing them as such loses nothing.

    Args:
        extractor: Of the features.

    Returns:
        Its attribute `half`; False where it has none.
    """
    return bool(getattr(extractor, "half", False))


def cache_key(extractor: str, version: int, **settings: Any) -> str:
    """Compose the key of an extractor.

    Args:
        extractor: Its name.
        version: To be raised with every change of the code that changes numbers.
        **settings: All that its numbers depend on; JSON values.

    Returns:
        Canonical JSON.
    """
    return json.dumps({"extractor": extractor, "version": version} | settings, sort_keys=True)
