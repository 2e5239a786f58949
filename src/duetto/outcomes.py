"""What one training of a run folder answered on test data: foldK-seedS/outcome.npz, written whole or not at all.

logits, temperature, and JSON texts ─ save ─▶ outcome.npz ─ load ─▶ arrays
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ModelError
from .utils import files

OUTCOME = "outcome.npz"


def member(fold: int, seed: int) -> str:
    """Name of the folder of one fold and seed."""
    return f"fold{fold}-seed{seed}"


def save(path: Path, logits: np.ndarray, temperature: float, **more: Any) -> None:
    """Write the outcome of one fold and seed, atomically. logits: (n, classes). more: JSON values."""
    texts: dict[str, Any] = {key: np.array(json.dumps(value)) for key, value in more.items()}
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, logits=logits, temperature=temperature, **texts)


def load(path: Path, shape: tuple[int, int] | None = None) -> dict[str, np.ndarray]:
    """What lies in an outcome: `logits` (n, classes), `temperature`, and JSON texts under further names.

    Errors: a `ModelError` where the file is damaged, or the logits have another shape than they must.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            outcome = {name: file[name] for name in file.files}
        logits, temperature = outcome["logits"], outcome["temperature"]
        if logits.ndim != 2 or temperature.ndim or logits.shape != (shape or logits.shape):
            raise ValueError(f"logits {logits.shape} where {shape or '(n, classes)'} should be")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: damaged ({error!r}); delete it to train this fold and seed again") from error
    return outcome
