"""Fits `Confidence` to answers for recordings of speakers, channels or corpora that training did not contain.

[HeldOut, …] (log-posteriors, target, distance, weight) ─ fit ─▶ Confidence
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from .confidence import Confidence
from .familiarity import Familiarity

SLOPES = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Candidates for a, the flattest first."""

KNEES = (1.0, 1.25, 1.5)
"""Candidates for d₀, in the unit of a distance: 1 is the median of unseen speakers of the training corpora."""

UNFAMILIAR = 0.95
"""Share of the recordings of unseen speakers of the training corpora that are not unfamiliar."""

THRESHOLDS = np.arange(1, 100) / 100
"""On the confidence; their error rates are stored."""

_DIGITS = 6


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Answers of models that were not trained on what they answer.

    Attributes:
        kind: What is new in these recordings: `speakers`, `channels` or `corpora`. Each kind counts as much as the
            others, however many answers it has.
        log_posteriors: (n, classes), by the temperature of the model.
        target: (n,) classes.
        distances: (n,) d from the training data of the model; NaN for models that read no audio.
    """

    kind: str
    log_posteriors: NDArray[np.float64]
    target: NDArray[np.int64]
    distances: NDArray[np.float64]


def fit(
    held_out: Sequence[HeldOut],
    densities: Mapping[str, Familiarity],
    unseen: NDArray[np.float64],
    about: Mapping[str, Any],
    shape: tuple[float, float] | None = None,
) -> Confidence:
    """Fit T(d) by least weighted negative log-likelihood, and the error rate of every threshold.

    T₀ is fitted for each candidate for a and d₀; of those with the least loss, the flattest is taken.

    Args:
        held_out: The answers; there is at least one.
        densities: See `Confidence`.
        unseen: Distances of unseen speakers of the training corpora, which define what is unfamiliar; may be empty.
        about: See `Confidence`.
        shape: a and d₀, where the answers cannot show them; None to choose them.

    Returns:
        The fitted confidence.
    """
    logits = np.concatenate([each.log_posteriors for each in held_out])
    target = np.concatenate([each.target for each in held_out])
    distances = np.concatenate([each.distances for each in held_out])
    weights = _weights(held_out)
    known = np.where(np.isnan(distances), -np.inf, distances)
    losses, candidates = [], []
    slopes = SLOPES if densities else SLOPES[:1]
    every = [(slope, knee) for slope in slopes for knee in (KNEES if slope else KNEES[:1])]
    for slope, knee in every if shape is None else [shape]:
        scaled = logits / (1 + slope * np.maximum(0.0, known - knee))[:, None]
        temperature = metrics.fit_temperature(scaled, target, weights)
        answers = metrics.softmax(scaled / temperature)[np.arange(len(target)), target]
        losses.append(float((weights * np.log(np.maximum(answers, 1e-300))).sum() / weights.sum()))
        candidates.append((float(f"{temperature:.{_DIGITS}g}"), slope, knee))
    temperature, slope, knee = candidates[metrics.best_index(losses)]
    limit = float(f"{np.quantile(unseen, UNFAMILIAR):.{_DIGITS}g}") if len(unseen) else 1e6
    scaled = logits / (temperature * (1 + slope * np.maximum(0.0, known - knee)))[:, None]
    right, far = metrics.predicted_classes(logits) == target, known > limit + metrics.TIE_TOLERANCE
    tables = [_points(metrics.softmax(scaled).max(1), right, weights, rows) for rows in (~far, far)]
    return Confidence(densities, temperature, slope, knee, limit, tables[0], tables[1], about)


def _points(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], weights: NDArray[np.float64], rows: NDArray[np.bool_]
) -> metrics.OperatingPoints:
    """Thresholds for some of the answers, whose weights are scaled to their number; without any, none holds a rate."""
    if not rows.any():
        return metrics.OperatingPoints(THRESHOLDS, np.full(len(THRESHOLDS), np.nan), np.zeros(len(THRESHOLDS)))
    own = weights[rows]
    return metrics.operating_points(confidence[rows], right[rows], THRESHOLDS, own * (len(own) / own.sum()))


def _weights(held_out: Sequence[HeldOut]) -> NDArray[np.float64]:
    """How many answers each counts for: the kinds have equal totals, and all together the number of answers."""
    kinds = {each.kind for each in held_out}
    sizes = {kind: sum(len(each.target) for each in held_out if each.kind == kind) for kind in kinds}
    total = sum(sizes.values())
    return np.concatenate([np.full(len(each.target), total / len(kinds) / sizes[each.kind]) for each in held_out])
