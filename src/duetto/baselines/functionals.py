"""One vector per utterance: mean and deviation of the 34 short-term features, z-scored on training data.

(frames, 34) ─ short_term.functionals ─▶ (68,) ─ Normaliser of the training part ─▶ classifier
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.utterance import Utterance
from ..features import short_term
from ..preprocessing import Normaliser
from ..splits import Fold
from . import base
from .base import BaselineInputs


def matrix(inputs: BaselineInputs, utterances: Sequence[Utterance]) -> np.ndarray:
    """Compute the functionals of utterances.

    Args:
        inputs: With frames.
        utterances: To compute them for.

    Returns:
        (n, 68) float32; see `short_term.FUNCTIONAL_NAMES`.
    """
    rows = [short_term.functionals(x) for x in base.frames(inputs, utterances)]
    return np.stack(rows) if rows else np.empty((0, len(short_term.FUNCTIONAL_NAMES)), np.float32)


def standardised(train: np.ndarray, *others: np.ndarray) -> tuple[tuple[np.ndarray, ...], Normaliser]:
    """Compute z-scores by the statistics of training data; a column that is constant there is only centred.

    Args:
        train: (n, d).
        others: (m, d) each.

    Returns:
        All arrays, `train` first; and the statistics.
    """
    normaliser = Normaliser.fit([train], train.shape[1])
    return tuple(normaliser(x) for x in (train, *others)), normaliser


def of(fold: Fold, inputs: BaselineInputs) -> tuple[tuple[np.ndarray, ...], Normaliser]:
    """Compute the z-scored functionals of a fold.

    Args:
        fold: The fold.
        inputs: With frames.

    Returns:
        Training, development and test data, each (n, 68) float32; and the statistics.
    """
    train, development, test = (matrix(inputs, part) for part in base.parts(fold))
    return standardised(train, development, test)
