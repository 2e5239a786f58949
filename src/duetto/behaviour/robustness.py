"""Robustness: the same recordings under noise, in rooms, over lines and codecs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..evaluation import paired_bootstrap
from .answers import Answered
from .conditions import CONDITIONS
from .figures import Figure, Sample, combined, wider
from .outcome import UNDECIDED, Outcome
from .thresholds import Limits

_GROUP = "robustness"


def outcomes(
    clean: Answered, changed: Answered, condition: str, classes: tuple[str, ...], limits: Limits
) -> Iterator[Outcome]:
    """Compare answers under a condition with those for the recordings as they are.

    Args:
        clean: Answers for the recordings as they are.
        changed: Answers under the condition.
        condition: Key of `CONDITIONS`.
        classes: Of the model.
        limits: The limits.

    Yields:
        The change of UA, and the share of answers that change.
    """
    both = {u.id for u in clean.utterances} & {u.id for u in changed.utterances}
    about = {"kind": "condition", "subject": condition, "title": CONDITIONS[condition].title}
    if not both:
        yield from undecided(condition, limits, "no recording was answered")
        return
    before = _only(clean, both)
    after = _only(changed, both)
    lost = int((after.without_speech & ~before.without_speech).sum())
    note = f"speech is no longer found in {lost} of {len(both)}" if lost else ""
    sample = Sample(before.result("before", classes), limits)
    under = Sample(after.result("under", classes), limits)
    ua = under.ua()
    note = "; ".join(filter(None, (f"UA {ua.value:.1f} %", note)))
    change = ua_change(sample, under, note)
    yield change.against(limits.limit(_GROUP, "ua_change", condition), _GROUP, "ua_change", **about)
    different = sample.share(sample.result.predicted[0] != under.result.predicted[0])
    if different is not None:
        yield different.against(limits.limit(_GROUP, "changed", condition), _GROUP, "changed", **about)


def ua_change(before: Sample, after: Sample, note: str = "") -> Figure:
    """Measure the change of UA.

    Args:
        before: Answers for the recordings as they are.
        after: Answers for the same utterances, in the same order.
        note: See `Figure`.

    Returns:
        UA after − UA before, in points: the share of each class that becomes right less that which becomes wrong.
    """
    r = before.result
    first, second = r.predicted[0] == r.target, after.result.predicted[0] == r.target
    totals = before.matrix.sum(1)
    size, present = len(r.classes), (totals > 0).sum()
    gained, lost = (np.bincount(r.target[which], minlength=size) for which in (second & ~first, first & ~second))
    weights = np.concatenate([np.full(size, 1 / present), np.full(size, -1 / present)])
    alone = combined(weights, np.concatenate([gained, lost]), np.concatenate([totals, totals]))
    found = paired_bootstrap(after.result, r)
    low, high = wider((found.ci95[0] / 100, found.ci95[1] / 100), alone)
    return Figure(found.mean, (100 * low, 100 * high), len(r.ids), before.problem(), note)


def undecided(condition: str, limits: Limits, note: str) -> Iterator[Outcome]:
    """State that a condition was not tested.

    Args:
        condition: Key of `CONDITIONS`.
        limits: The limits.
        note: Why.

    Yields:
        Both tests, undecided.
    """
    title = CONDITIONS[condition].title
    for test in ("ua_change", "changed"):
        limit = limits.limit(_GROUP, test, condition)
        about = (_GROUP, test, "condition", condition, title)
        yield Outcome(*about, None, None, limit.low, limit.high, 0, UNDECIDED, note)


def _only(answered: Answered, ids: set[str]) -> Answered:
    kept = [(u, a) for u, a in zip(answered.utterances, answered.answers, strict=True) if u.id in ids]
    return Answered(tuple(u for u, _ in kept), tuple(a for _, a in kept), answered.errors)
