"""A finished run, scored again with other words of its test utterances.

run folder + utterances ─ rescore ─▶ SystemResult
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import runs
from ..config.experiment import Experiment
from ..data.labels import classes
from ..data.utterance import Utterance
from ..errors import ConfigurationError
from ..evaluation import SystemResult, from_folds
from ..inference import Session, settings
from ..inference.fusion_folder import branch_folder, is_fusion, read_fusion, utterance_has_content
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
    described, experiments = runs.read(folder), runs.branches_of(folder)
    system = described[runs.kind_of(described)]
    if not any(e.uses_words for e in experiments):
        raise ConfigurationError(f"{folder}: system {system['name']!r} reads no words")
    folds = _test_folds(folder, described, utterances)
    tested, seeds = [u for fold in folds for u in fold.test], described["seeds"]
    logits: list[np.ndarray] = []
    temperature = np.ones((len(seeds), len(folds)))
    for s, seed in enumerate(seeds):
        row = []
        for f, fold in enumerate(folds):
            part = folder / runs.member(f, seed)
            joined = _fused if is_fusion(part) else _scored
            answers, temperature[s, f] = joined(experiments, part, fold, tested, workspace, seed)
            row.append(answers)
        logits.append(np.concatenate(row))
    return from_folds(
        f"{system['name']} ({words})",
        folds,
        classes(experiments[0].label_set),
        np.stack(logits),
        seeds,
        title=f"{system['title']}; {words} words",
        temperature=temperature,
        kind=runs.result_of(folder).kind,
    )


def _scored(
    experiments: Sequence[Experiment],
    part: Path,
    fold: Fold,
    tested: Sequence[Utterance],
    workspace: Workspace,
    seed: int,
) -> tuple[np.ndarray, float]:
    """Logits of a fold's test utterances by the only system, and its temperature."""
    session = Session(part)
    inputs = exported_inputs(experiments[0], part, fold, tested, workspace)
    return exported_logits(session, fold.test, inputs, seed=seed), session.temperature


def _fused(
    experiments: Sequence[Experiment],
    part: Path,
    fold: Fold,
    tested: Sequence[Utterance],
    workspace: Workspace,
    seed: int,
) -> tuple[np.ndarray, float]:
    """Log-posteriors of a fold's test utterances by the fusion of all branches, which have a temperature of 1."""
    fusion, _ = read_fusion(part)
    logits, present = [], []
    for experiment in experiments:
        own = branch_folder(part, experiment.name)
        logits.append(_scored([experiment], own, fold, tested, workspace, seed)[0])
        preprocessor, _ = settings(own)
        present.append([utterance_has_content(preprocessor, u) for u in fold.test])
    return fusion.log_posteriors(np.stack(logits), np.array(present)), 1.0


def _test_folds(folder: Path, described: Mapping[str, Any], utterances: Sequence[Utterance]) -> list[Fold]:
    """The test parts of a run's folds, of these utterances."""
    by_id = {utterance.id: utterance for utterance in utterances}
    missing = [i for fold in described["folds"] for i in fold["test"] if i not in by_id]
    if missing:
        raise ConfigurationError(
            f"{len(missing)} test utterances of {folder} are not in the manifest: {missing[0]!r}, …"
        )
    return [Fold(fold["name"], (), (), tuple(by_id[i] for i in fold["test"])) for fold in described["folds"]]
