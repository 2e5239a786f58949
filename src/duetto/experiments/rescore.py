"""A finished run, scored again with other words of its test utterances.

run folder + utterances ─ rescore ─▶ SystemResult
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import runs
from ..data.labels import classes
from ..data.utterance import Utterance
from ..errors import ConfigurationError
from ..evaluation import SystemResult, from_folds
from ..inference import Session
from ..splits import Fold
from ..training import exported_logits
from .fold_inputs import exported_inputs
from .workspace import Workspace


def rescore(folder: Path, utterances: Sequence[Utterance], workspace: Workspace, words: str) -> SystemResult:
    """Score a finished run again on its own test utterances with other words: recognised, or merely segmented.

    Nothing is trained; the exported models answer, as in prediction.

    Args:
        folder: Run folder of a system that reads words.
        utterances: All test utterances of the run, with these words.
        workspace: Caches features.
        words: What a table calls these words.

    Returns:
        The result; of kind `leak` where the run is.

    Raises:
        ConfigurationError: The system reads no words, or test utterances are missing.
        ModelError: The folder holds no finished run of a system.
    """
    described, experiment = runs.read(folder), runs.experiment_of(folder)
    if not experiment.uses_words:
        raise ConfigurationError(f"{folder}: system {experiment.name!r} reads no words")
    folds = _test_folds(folder, described, utterances)
    tested, seeds = [u for fold in folds for u in fold.test], described["seeds"]
    logits: list[np.ndarray] = []
    temperature = np.ones((len(seeds), len(folds)))
    for s, seed in enumerate(seeds):
        row = []
        for f, fold in enumerate(folds):
            part = folder / runs.member(f, seed)
            session = Session(part)
            inputs = exported_inputs(experiment, part, fold, tested, workspace)
            row.append(exported_logits(session, fold.test, inputs, seed=seed))
            temperature[s, f] = session.temperature
        logits.append(np.concatenate(row))
    return from_folds(
        f"{experiment.name} ({words})",
        folds,
        classes(experiment.label_set),
        np.stack(logits),
        seeds,
        title=f"{experiment.title}; {words} words",
        temperature=temperature,
        kind=runs.result_of(folder).kind,
    )


def _test_folds(folder: Path, described: Mapping[str, Any], utterances: Sequence[Utterance]) -> list[Fold]:
    """The test parts of a run's folds, of these utterances."""
    by_id = {utterance.id: utterance for utterance in utterances}
    missing = [i for fold in described["folds"] for i in fold["test"] if i not in by_id]
    if missing:
        raise ConfigurationError(
            f"{len(missing)} test utterances of {folder} are not in the manifest: {missing[0]!r}, …"
        )
    return [Fold(fold["name"], (), (), tuple(by_id[i] for i in fold["test"])) for fold in described["folds"]]
