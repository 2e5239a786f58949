"""Results from logits and the utterances that they answer.

utterances or folds, logits ─ from_utterances, from_folds ─▶ SystemResult
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.utterance import Utterance, ratings_of
from ..errors import ConfigurationError
from ..splits import Fold
from .result import SystemResult


def from_utterances(
    system: str,
    utterances: Sequence[Utterance],
    classes: Sequence[str],
    logits: NDArray[np.floating],
    seeds: Sequence[int],
    **others: Any,
) -> SystemResult:
    """Make a result, with ids, targets and groups from the utterances.

    Args:
        system: Short name of the system.
        utterances: The test utterances, labelled.
        classes: Names, in the order of the logits.
        logits: (seeds, utterances, classes).
        seeds: One number a row of `logits`.
        others: Other fields of the result, by name; `ratings` are those of the utterances where there are `dimensions`.

    Returns:
        The result.

    Raises:
        ConfigurationError: An utterance has a label that is not a class, or the arrays do not fit together.
    """
    index = {name: i for i, name in enumerate(classes)}
    for utterance in utterances:
        if utterance.label not in index:
            raise ConfigurationError(
                f"utterance {utterance.id!r} has label {utterance.label!r}, not one of {', '.join(classes)}; "
                "select labelled utterances first (labels.selected)"
            )
    groups: dict[str, Any] = {
        name: np.array([getattr(u, name) or "" for u in utterances], dtype=np.str_)
        for name in ("speaker", "gender", "session", "style")
    }
    if others.get("dimensions"):
        others["ratings"] = ratings_of(utterances, others["dimensions"])
    return SystemResult(
        system=system,
        classes=tuple(classes),
        ids=np.array([u.id for u in utterances], dtype=np.str_),
        target=np.array([index[u.label or ""] for u in utterances], dtype=np.int64),
        logits=np.asarray(logits, dtype=np.float64),
        seeds=tuple(seeds),
        **groups,
        **others,
    )


def from_folds(
    system: str,
    folds: Sequence[Fold],
    classes: Sequence[str],
    logits: NDArray[np.floating],
    seeds: Sequence[int],
    **others: Any,
) -> SystemResult:
    """Make a result over the test utterances of all folds, one fold after another.

    Args:
        system: Short name of the system.
        folds: Folds whose test utterances do not overlap.
        classes: Names, in the order of the logits.
        logits: (seeds, utterances, classes).
        seeds: One number a row of `logits`.
        others: Other fields of the result, by name.

    Returns:
        The result.

    Raises:
        ConfigurationError: An utterance is tested in two folds; and as `from_utterances`.
    """
    tested = [u for fold in folds for u in fold.test]
    if len({u.id for u in tested}) != len(tested):
        raise ConfigurationError("an utterance is tested in two folds; the folds of a protocol must not overlap")
    fold = np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds])
    return from_utterances(system, tested, classes, logits, seeds, fold=fold, **others)
