"""The labels of several annotators: the class of most of them, the distribution of their votes, their agreement.

votes (annotator → labels) ─ majority ─▶ class
                           ─ shares ─▶ (classes,) soft label
utterances ─ vote_weights ─▶ arrays that `metrics.agreement` reads

An annotator who gives several labels splits one vote evenly between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .labels import NAMES
from .utterance import Utterance

_TIE = 1e-9


def majority(votes: Mapping[str, Sequence[str]]) -> str | None:
    """Return the label that most annotators give.

    Args:
        votes: Annotator → labels.

    Returns:
        The label with the largest sum of votes; None without votes, or where two labels have as many.
    """
    sums: dict[str, float] = {}
    for labels in votes.values():
        for label in labels:
            sums[label] = sums.get(label, 0.0) + 1 / len(labels)
    first, second = sorted([*sums.values(), 0.0, 0.0], reverse=True)[:2]
    if first - second <= _TIE:
        return None
    return max(sums, key=lambda label: sums[label])


def vote_weights(votes: Mapping[str, Sequence[str]] | None, classes: Sequence[str]) -> np.ndarray:
    """Return what each annotator gives to each class.

    Args:
        votes: Annotator → labels: classes, or names of emotions (`labels.NAMES`). Others are left out.
        classes: The classes, in order.

    Returns:
        (annotators, classes) float64; each row sums to 1. Annotators without any of the classes are left out.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    rows = []
    for labels in (votes or {}).values():
        row = np.zeros(len(classes))
        for label in labels:
            number = numbers.get(label, numbers.get(NAMES.get(label.strip().lower(), "")))
            if number is not None:
                row[number] += 1.0
        if row.any():
            rows.append(row / row.sum())
    return np.array(rows).reshape(len(rows), len(classes))


def soft_label(utterance: Utterance, classes: Sequence[str]) -> np.ndarray:
    """Return the distribution of the annotators' votes over the classes.

    Args:
        utterance: With a label that is one of the classes.
        classes: The classes, in order.

    Returns:
        (classes,) float32 that sums to 1; 1 for the label where no annotator gave any of the classes.
    """
    weights = vote_weights(utterance.votes, classes)
    if len(weights):
        return weights.mean(0).astype(np.float32)
    return np.array([name == utterance.label for name in classes], np.float32)
