"""Scores of predicted classes against labels.

labels, predictions ─ confusion ─▶ (classes, classes) ─ scores ─▶ UA, WA, macro-F1
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ConfigurationError

Labels = Sequence[int] | Sequence[str] | NDArray[np.integer] | NDArray[np.str_]
"""The class of each utterance: integers from 0, or strings."""

TIE_TOLERANCE = 1e-6
"""Scores count as equal within this share of the greatest, or within this number where that is below 1. Rounding in
float32 makes equal scores differ by less, from processor to processor."""


class Scores(NamedTuple):
    """Scores of one confusion matrix or a stack of them; arrays have the stack's shape.

    Attributes:
        ua: Unweighted accuracy.
        wa: Weighted accuracy.
        macro_f1: Mean F1 of the classes.
    """

    ua: NDArray[np.float64]
    wa: NDArray[np.float64]
    macro_f1: NDArray[np.float64]


def predicted_classes(values: ArrayLike) -> NDArray[np.int64]:
    """Choose the class with the greatest logit or probability, the first of equals (within `TIE_TOLERANCE`).

    Args:
        values: (…, classes).

    Returns:
        (…) class numbers.
    """
    table = np.asarray(values)
    slack = TIE_TOLERANCE * np.maximum(1.0, np.abs(table).max(-1, keepdims=True))
    return (table >= table.max(-1, keepdims=True) - slack).argmax(-1)


def best_index(values: Sequence[float]) -> int:
    """Choose the best epoch or setting.

    Args:
        values: Score of each; higher is better.

    Returns:
        Index of the greatest value, the first of equals: a later one must exceed it by more than `TIE_TOLERANCE`.
    """
    best = 0
    for index, value in enumerate(values):
        if value > values[best] + TIE_TOLERANCE * max(1.0, abs(values[best])):
            best = index
    return best


def scores(confusions: ArrayLike) -> Scores:
    """Compute UA, WA and macro-F1 of confusion matrices.

    UA is the mean recall over classes present in the target. Macro-F1 is the mean of 2·TP / (2·TP + FP + FN) over
    classes present in the target or the prediction (as in scikit-learn).

    Args:
        confusions: (…, classes, classes), rows the target, columns the prediction. Counts may be fractional (weighted,
            or averaged over seeds).

    Returns:
        Scores (…); NaN for a matrix of zeros.

    Raises:
        ConfigurationError: The matrices are not square.
    """
    matrix = np.asarray(confusions, dtype=np.float64)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ConfigurationError(f"confusion matrices have shape {matrix.shape}; (…, classes, classes) is required")
    right = np.diagonal(matrix, axis1=-2, axis2=-1)
    target, predicted = matrix.sum(-1), matrix.sum(-2)
    recall, f1 = ratio(right, target), ratio(2 * right, target + predicted)
    return Scores(_mean_defined(recall), ratio(right.sum(-1), target.sum(-1)), _mean_defined(f1))


def confusion(target: Labels, predicted: Labels, n_classes: int | None = None) -> NDArray[np.int64]:
    """Count a confusion matrix.

    Args:
        target: (n,) true class of each utterance.
        predicted: (n,) predicted class of each utterance.
        n_classes: Number of classes; by default one more than the greatest label. Of strings, only labels that occur
            have a row.

    Returns:
        (classes, classes) counts: rows the target, columns the prediction.

    Raises:
        ConfigurationError: There is no utterance, lengths or types differ, or a label is outside the classes.
    """
    truth, answer, size = _codes(target, predicted, n_classes)
    return np.bincount(truth * size + answer, minlength=size * size).reshape(size, size)


def unweighted_accuracy(target: Labels, predicted: Labels, n_classes: int | None = None) -> float:
    """UA: the mean recall of the classes present in `target`.

    A constant prediction of a class that is present scores 1 / (classes present). A predicted class that is never the
    target makes its utterances wrong and adds no class.

    Args:
        target: As for `confusion`.
        predicted: As for `confusion`.
        n_classes: As for `confusion`.

    Returns:
        0–1.

    Raises:
        ConfigurationError: As `confusion`.
    """
    return float(scores(confusion(target, predicted, n_classes)).ua)


def weighted_accuracy(target: Labels, predicted: Labels, n_classes: int | None = None) -> float:
    """WA: the share of correct predictions.

    Args:
        target: As for `confusion`.
        predicted: As for `confusion`.
        n_classes: As for `confusion`.

    Returns:
        0–1.

    Raises:
        ConfigurationError: As `confusion`.
    """
    return float(scores(confusion(target, predicted, n_classes)).wa)


def macro_f1(target: Labels, predicted: Labels, n_classes: int | None = None) -> float:
    """Mean F1 of the classes that occur in `target` or `predicted`; a class that is never right scores 0.

    Args:
        target: As for `confusion`.
        predicted: As for `confusion`.
        n_classes: As for `confusion`.

    Returns:
        0–1.

    Raises:
        ConfigurationError: As `confusion`.
    """
    return float(scores(confusion(target, predicted, n_classes)).macro_f1)


def recalls(target: Labels, predicted: Labels, n_classes: int | None = None) -> NDArray[np.float64]:
    """Recall of each class.

    Args:
        target: As for `confusion`.
        predicted: As for `confusion`.
        n_classes: As for `confusion`.

    Returns:
        (classes,) 0–1; NaN for a class that is absent from `target`.

    Raises:
        ConfigurationError: As `confusion`.
    """
    matrix = confusion(target, predicted, n_classes)
    return ratio(np.diagonal(matrix), matrix.sum(1))


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """Divide, without a warning.

    Args:
        numerator: Any shape.
        denominator: Any shape that broadcasts with it.

    Returns:
        The quotient, NaN where the denominator is 0.
    """
    below = np.asarray(denominator, dtype=np.float64)
    result = np.full(np.broadcast_shapes(np.shape(numerator), below.shape), np.nan)
    return np.divide(numerator, below, out=result, where=below != 0)


def _mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis without NaN; NaN where all are NaN."""
    return ratio(np.nansum(values, axis=-1), (~np.isnan(values)).sum(-1))


def _codes(
    target: Labels, predicted: Labels, n_classes: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Both sequences of labels as integers from 0, and the number of classes."""
    truth, answer = np.asarray(target), np.asarray(predicted)
    if truth.ndim != 1 or truth.shape != answer.shape:
        raise ConfigurationError(
            f"target has shape {truth.shape} and predicted {answer.shape}; both must be one list of equal length"
        )
    if truth.size == 0:
        raise ConfigurationError("there is no utterance to score; a score needs at least one")
    if n_classes is not None and n_classes < 1:
        raise ConfigurationError(f"n_classes is {n_classes}; at least 1 is required")
    if truth.dtype.kind == answer.dtype.kind == "U":
        names, codes = np.unique(np.concatenate([truth, answer]), return_inverse=True)
        truth, answer = codes[: truth.size], codes[truth.size :]
        labels = ", ".join(map(str, names))
    elif truth.dtype.kind in "iu" and answer.dtype.kind in "iu":
        labels = f"{min(truth.min(), answer.min())} to {max(truth.max(), answer.max())}"
    else:
        raise ConfigurationError(
            f"target holds {truth.dtype} and predicted {answer.dtype}; both must be integers from 0, or both strings"
        )
    largest = int(max(truth.max(), answer.max()))
    size = largest + 1 if n_classes is None else n_classes
    if largest >= size or min(truth.min(), answer.min()) < 0:
        raise ConfigurationError(f"the labels are {labels}, outside the {size} classes 0 to {size - 1}")
    return truth.astype(np.int64), answer.astype(np.int64), size
