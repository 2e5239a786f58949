"""Late fusion of finished systems: the mean of what they hold to be likely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError
from .result import SystemResult
from .statistics import aligned


def combine(results: Sequence[SystemResult], name: str, title: str = "", paper_ua: float | None = None) -> SystemResult:
    """One system out of two or more that were tested on the same utterances, in any order.

    Its logits are the log of the mean of the members' calibrated posteriors, softmax(logits / temperature), each
    member weighing the same: nothing is fitted, so test data decide nothing. Its temperature is 1. The members
    meet seed by seed; one with a single seed, such as a baseline, meets every seed of the others. Folds and
    groups are those of the first member. A member that leaks makes the combination a leak.
    Errors: fewer than two members, other utterances, labels or classes, seeds that differ.
    """
    if len(results) < 2:
        raise ConfigurationError(f"system {name!r} combines {len(results)} results; give two or more")
    first = results[0]
    members = [first, *(aligned(first, other, "combined") for other in results[1:])]
    seeds = _seeds(members)
    posteriors = [np.broadcast_to(_log_posteriors(m), (len(seeds), *first.logits.shape[1:])) for m in members]
    kinds = {member.kind for member in members}
    notes = [f"mean of the calibrated posteriors of {', '.join(member.system for member in members)}"]
    return SystemResult(
        system=name,
        classes=first.classes,
        ids=first.ids,
        target=first.target,
        logits=np.logaddexp.reduce(posteriors) - np.log(len(members)),
        seeds=seeds,
        speaker=first.speaker,
        gender=first.gender,
        session=first.session,
        style=first.style,
        fold=first.fold,
        title=title,
        paper_ua=paper_ua,
        kind=next(kind for kind in ("leak", "system", "control") if kind in kinds),
        notes=tuple(dict.fromkeys([*notes, *(note for member in members for note in member.notes)])),
    )


def _seeds(members: Sequence[SystemResult]) -> tuple[int, ...]:
    """The seeds that all members with more than one share; the first member's where none has more."""
    several = [member for member in members if len(member.seeds) > 1] or [members[0]]
    for other in several[1:]:
        if other.seeds != several[0].seeds:
            raise ConfigurationError(
                f"{several[0].system!r} and {other.system!r} cannot be combined: they have seeds "
                f"{several[0].seeds} and {other.seeds}. Train both with the same seeds"
            )
    return several[0].seeds


def _log_posteriors(result: SystemResult) -> NDArray[np.float64]:
    """log softmax(logits / temperature), (seeds, n, classes); finite, however sure the system is."""
    scaled = result.logits / result.temperature[:, result.fold, None]
    return scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True)
