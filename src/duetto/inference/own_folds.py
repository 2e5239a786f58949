"""A run scored on its own manifest: every utterance by the model of the fold that tests it.

run folder, utterances ─ own_folds ─▶ [OwnFold(folder of a model, its test utterances), …]
one Scored for each ─ joined ─▶ Scored
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import runs
from ..data.utterance import Utterance
from ..features.content import Contents
from .fusion_folder import is_fusion
from .model_folder import DESCRIPTION
from .scoring import Scored


@dataclass(frozen=True)
class OwnFold:
    """One fold of a run.

    Attributes:
        number: From 0.
        folder: Of its model, under the first seed that has one.
        utterances: Of its test part.
    """

    number: int
    folder: Path
    utterances: tuple[Utterance, ...]


def own_folds(model: str, utterances: Sequence[Utterance]) -> list[OwnFold]:
    """Divide the run's own manifest among its folds.

    Args:
        model: Name or folder of a model.
        utterances: Of a manifest.

    Returns:
        The folds that test any of the utterances. None where the model is no run folder, an utterance with a label is
        not the run's own (by id and recording), or a fold has no finished training.
    """
    run = Path(model)
    if not (run / runs.RUN).is_file():
        return []
    described = runs.read(run)
    known = {name: str(value).split(" ")[-1] for name, value in (described.get("utterances") or {}).items()}
    labelled = [u for u in utterances if u.label is not None]
    if not all(known.get(u.id, "-") != "-" for u in labelled):
        return []
    found = Contents()(u.audio.absolute() for u in labelled)
    if any(found.get(u.audio.absolute()) != known[u.id] for u in labelled):
        return []
    folds = []
    for number, fold in enumerate(described["folds"]):
        tested = set(fold["test"])
        if inside := tuple(u for u in labelled if u.id in tested):
            members = [run / runs.member(number, seed) for seed in described["seeds"]]
            trained = next((path for path in members if (path / DESCRIPTION).is_file() or is_fusion(path)), None)
            if trained is None:
                return []
            folds.append(OwnFold(number, trained, inside))
    return folds


def joined(model: str, folds: Sequence[OwnFold], scored: Sequence[Scored], utterances: Sequence[Utterance]) -> Scored:
    """Join what the models of all folds answered.

    Args:
        model: Of the run.
        folds: The folds.
        scored: Their test utterances, each scored by the model of its fold.
        utterances: Of the manifest.

    Returns:
        All of it; each utterance knows its fold.
    """
    numbers = [fold.number for fold, each in zip(folds, scored, strict=True) for _ in each.answers]
    untested = sum(u.label is not None for u in utterances) - sum(len(fold.utterances) for fold in folds)
    other_labels: dict[str, int] = {}
    for each in scored:
        for label, count in each.other_labels.items():
            other_labels[label] = other_labels.get(label, 0) + count
    return replace(
        scored[0],
        model=model,
        answers=tuple(answer for each in scored for answer in each.answers),
        other_labels=other_labels,
        unlabelled=sum(u.label is None for u in utterances),
        trained_on=sum(each.trained_on or 0 for each in scored),
        folds=tuple(numbers),
        untested=untested,
    )
