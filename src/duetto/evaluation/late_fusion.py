"""Late fusion of finished systems: the mean or the product of their calibrated posteriors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigurationError
from .product import RULES
from .result import SystemResult
from .statistics import aligned


def combine(
    results: Sequence[SystemResult], name: str, title: str = "", paper_ua: float | None = None, *, rule: str = "mean"
) -> SystemResult:
    """Combine two or more systems that were tested on the same utterances.

    The logits are the log of the mean, or of the product, of the members' calibrated posteriors, softmax(logits /
    temperature), with equal weights: nothing is fitted, so test data decide nothing. The temperature is 1. Members are
    combined seed by seed; one with a single seed, such as a baseline, is combined with every seed of the others. Folds
    and groups are those of the first member. A combination with a leak is a leak.

    Args:
        results: The members, each with its utterances in any order.
        name: Short name of the combination.
        title: Its name in tables.
        paper_ua: The published figure, in percent.
        rule: One of `product.RULES`.

    Returns:
        The combination.

    Raises:
        ConfigurationError: There are fewer than two members, or their utterances, labels, classes or seeds differ; or
            the rule is not known.
    """
    if rule not in RULES:
        raise ConfigurationError(f"rule {rule!r} is not known; choose from {', '.join(RULES)}")
    if len(results) < 2:
        raise ConfigurationError(f"system {name!r} combines {len(results)} results; give two or more")
    first = results[0]
    members = [first, *(aligned(first, other, "combined") for other in results[1:])]
    seeds = _seeds(members)
    posteriors = [np.broadcast_to(_log_posteriors(m), (len(seeds), *first.logits.shape[1:])) for m in members]
    kinds = {member.kind for member in members}
    notes = [f"{rule} of the calibrated posteriors of {', '.join(member.system for member in members)}"]
    return SystemResult(
        system=name,
        classes=first.classes,
        ids=first.ids,
        target=first.target,
        logits=np.logaddexp.reduce(posteriors) - np.log(len(members)) if rule == "mean" else np.sum(posteriors, axis=0),
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
    """The seeds of the members with more than one, which must be the same; the first member's where none has more."""
    several = [member for member in members if len(member.seeds) > 1] or [members[0]]
    for other in several[1:]:
        if other.seeds != several[0].seeds:
            raise ConfigurationError(
                f"{several[0].system!r} and {other.system!r} cannot be combined: they have seeds "
                f"{several[0].seeds} and {other.seeds}. Train both with the same seeds"
            )
    return several[0].seeds


def _log_posteriors(result: SystemResult) -> NDArray[np.float64]:
    """log softmax(logits / temperature), (seeds, n, classes); finite, however confident the system is."""
    scaled = result.logits / result.temperature[:, result.fold, None]
    return scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True)
