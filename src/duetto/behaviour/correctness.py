"""Correctness: UA, WA, recall and precision of each class, UA of each group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..data.utterance import Utterance
from .figures import Figure, Sample
from .outcome import UNDECIDED, Outcome
from .thresholds import Limits

GROUPINGS = ("gender", "language", "corpus", "speaker")
"""Fields of an utterance by which people are compared."""

MOST_GROUPS = 40
"""Groups of a grouping that are tested, those with most utterances."""

_GROUP = "correctness"


def groups(utterances: Sequence[Utterance], by: str) -> dict[str, NDArray[np.bool_]]:
    """Divide utterances by a field.

    Args:
        utterances: The utterances.
        by: One of `GROUPINGS`.

    Returns:
        Value → (n,) which utterances have it; the `MOST_GROUPS` with most utterances, by name. Empty where all have the
        same value, or none has any.
    """
    values = [getattr(u, by) or "" for u in utterances]
    counted = Counter(value for value in values if value)
    if len(counted) < 2:
        return {}
    most = sorted(counted, key=lambda value: (-counted[value], value))[:MOST_GROUPS]
    return {value: np.array([v == value for v in values], bool) for value in sorted(most)}


def outcomes(sample: Sample, utterances: Sequence[Utterance], limits: Limits) -> Iterator[Outcome]:
    """Test how often answers are right.

    Args:
        sample: Answers for the recordings as they are.
        utterances: Of the sample, in its order.
        limits: The limits.

    Yields:
        The tests.
    """
    r, answer, target = sample.result, sample.result.predicted[0], sample.result.target
    ua = sample.ua()
    chance = 100 / int((sample.matrix.sum(1) > 0).sum())
    above = replace(ua, value=ua.value - chance, ci95=(ua.ci95[0] - chance, ua.ci95[1] - chance))
    for test, figure in (("ua", ua), ("wa", sample.share(answer == target)), ("above_chance", above)):
        if figure is not None:
            yield figure.against(limits.limit(_GROUP, test), _GROUP, test, title="all")
    for k, label in enumerate(r.classes):
        for test, among in (("recall", target == k), ("precision", answer == k)):
            figure = sample.share((target == k) & (answer == k), among)
            yield _of_class(figure, test, label, limits)
    for by in GROUPINGS:
        for name, inside in groups(utterances, by).items():
            figure = sample.part(inside, one_speaker=by == "speaker").ua()
            yield figure.against(limits.limit(_GROUP, "group_ua", name), _GROUP, "group_ua", kind=by, subject=name)


def _of_class(figure: Figure | None, test: str, label: str, limits: Limits) -> Outcome:
    limit = limits.limit(_GROUP, test, label)
    if figure is not None:
        return figure.against(limit, _GROUP, test, kind="class", subject=label)
    note = "no utterance has this label" if test == "recall" else "no answer is this class"
    return Outcome(_GROUP, test, "class", label, label, None, None, limit.low, limit.high, 0, UNDECIDED, note)
