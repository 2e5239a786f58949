"""The outcome of one fold and seed: logits and ratings of its test utterances, and a temperature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..utils.arrays import read_arrays
from ..utils.files import replacing
from ..utils.reading import parse_json

_REPAIR = "delete it to train this fold and seed again"


def save_outcome(
    path: Path,
    logits: np.ndarray,
    temperature: float,
    *,
    adapted: np.ndarray | None = None,
    ratings: np.ndarray | None = None,
    **more: Any,
) -> None:
    """Write an outcome, atomically.

    Args:
        path: `outcome.npz` in the folder of a fold and seed.
        logits: (n, classes) of its test utterances.
        temperature: Fitted on its development utterances.
        adapted: (settings, orders, n, classes) logits after earlier utterances of the speaker; None for a system that
            does not adapt.
        ratings: (n, dimensions) predicted for these; None for a system without dimensions.
        more: JSON values to keep with it.
    """
    texts: dict[str, Any] = {key: np.array(json.dumps(value)) for key, value in more.items()}
    arrays = {name: x for name, x in (("adapted", adapted), ("ratings", ratings)) if x is not None}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, logits=logits, temperature=temperature, **arrays, **texts)


def load_outcome(path: Path, shape: tuple[int, int] | None = None) -> tuple[np.ndarray, float]:
    """Read an outcome.

    Args:
        path: The file.
        shape: Expected shape of the logits.

    Returns:
        Logits (n, classes) and temperature.

    Raises:
        ModelError: The file is damaged, or the logits have another shape than `shape`.
    """
    outcome = read_arrays(path, error=ModelError, repair=_REPAIR)
    logits, temperature = outcome.get("logits"), outcome.get("temperature")
    for array, dimensions in ((logits, 2), (temperature, 0)):
        if array is None or array.ndim != dimensions or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ModelError(f"{path}: damaged, no logits and temperature in it; {_REPAIR}")
    assert logits is not None and temperature is not None
    if shape is not None and logits.shape != shape:
        raise ModelError(f"{path}: damaged, logits {logits.shape} where {shape} should be; {_REPAIR}")
    return logits, float(temperature)


def adapted_logits(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Read the logits after earlier utterances of the speaker.

    Args:
        path: The file.
        shape: Expected numbers of settings, utterances and classes.

    Returns:
        (settings, orders, utterances, classes).

    Raises:
        ModelError: The file is damaged, or has no such logits.
    """
    adapted = read_arrays(path, error=ModelError, repair=_REPAIR).get("adapted")
    fits = adapted is not None and adapted.ndim == 4 and (adapted.shape[0], *adapted.shape[2:]) == shape
    if adapted is None or not fits or adapted.dtype.kind != "f" or not np.isfinite(adapted).all():
        raise ModelError(f"{path}: damaged, no logits after earlier utterances of the speaker in it; {_REPAIR}")
    return adapted


def outcome_ratings(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read the predicted ratings.

    Args:
        path: The file.
        shape: Expected numbers of utterances and dimensions.

    Returns:
        (utterances, dimensions).

    Raises:
        ModelError: The file is damaged, or has no such ratings.
    """
    ratings = read_arrays(path, error=ModelError, repair=_REPAIR).get("ratings")
    if ratings is None or ratings.shape != shape or ratings.dtype.kind != "f" or not np.isfinite(ratings).all():
        raise ModelError(f"{path}: damaged, no ratings of shape {shape} in it; {_REPAIR}")
    return ratings


def outcome_value(path: Path, key: str) -> Any:
    """Read a JSON value that was saved with an outcome.

    Args:
        path: The file.
        key: Name of the value, one of `more` in `save_outcome`.

    Returns:
        The value.

    Raises:
        ModelError: The file is damaged, or has no such value.
    """
    outcome = read_arrays(path, error=ModelError, repair=_REPAIR)
    if key not in outcome:
        raise ModelError(f"{path}: damaged, {key!r} is missing; {_REPAIR}")
    return parse_json(str(outcome[key]), where=f"{path}: {key}", error=ModelError, repair=_REPAIR)
