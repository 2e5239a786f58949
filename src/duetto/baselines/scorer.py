"""What a fitted baseline keeps, to answer for recordings later: arrays, and how they become logits. NumPy alone.

frames (n, 34), ids of words (n,) ─ Scorer ─▶ logits (classes,)
Scorer ─ to_arrays ─▶ {name: array} ─ from_arrays ─▶ Scorer
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self

import numpy as np


class Scorer(ABC):
    """A fitted baseline; children are frozen dataclasses of arrays and tuples of arrays.

    They agree with the libraries that fitted them (tests compare both), and need none of these.
    """

    @abstractmethod
    def __call__(self, frames: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Classify one utterance.

        Args:
            frames: (n ≥ 1, 34) short-term features; not read by a baseline that reads words only.
            ids: (n,) of its words in the baseline's vocabulary; not read by a baseline that reads frames only.

        Returns:
            Logits (classes,) float64.
        """

    def to_arrays(self) -> dict[str, np.ndarray]:
        """List the fields.

        Returns:
            Name → array; `NAME.0`, `NAME.1`, … of a tuple.
        """
        found: dict[str, np.ndarray] = {}
        for field in fields(self):  # pyright: ignore[reportArgumentType]  (children are dataclasses)
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                found |= {f"{field.name}.{i}": np.asarray(each) for i, each in enumerate(value)}
            else:
                found[field.name] = np.asarray(value)
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Make the scorer of what `to_arrays` listed.

        Args:
            arrays: Name → array.

        Returns:
            The scorer.

        Raises:
            ValueError: An array is missing, or not of finite numbers.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):  # pyright: ignore[reportArgumentType]
            if str(field.type).startswith("tuple"):
                count = sum(name.startswith(f"{field.name}.") for name in arrays)
                values[field.name] = tuple(_numbers(arrays, f"{field.name}.{i}") for i in range(count))
            else:
                values[field.name] = _numbers(arrays, field.name)
        return cls(**values)


def _numbers(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        raise ValueError(f"no array {name!r}")
    if arrays[name].dtype.kind not in "fi" or not np.isfinite(arrays[name]).all():
        raise ValueError(f"array {name!r} does not hold finite numbers")
    return arrays[name]
