"""From a manifest to results: folds × seeds of systems, each in its own run folder.

    utterances ─ audited_split ─▶ folds ─ Workspace.features, fold_inputs ─▶ FoldInputs
    FoldInputs × seeds ─ training.train ─▶ RUN/foldK-seedS/…, RUN/result.npz ─▶ SystemResult

Trainings that are finished are skipped, those that were killed are resumed (`runs` describes the folder).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import audit, runs
from ..config.experiment import LEAKING_CHOICE, Experiment, teacher_of
from ..data import labels
from ..data.utterance import Utterance
from ..evaluation import SystemResult
from ..report import run_summary
from ..training.adapted import AFTER
from ..training.loop import check_accelerator
from ..utils import files
from .fold_inputs import check_ratings, check_vectors, fold_inputs, vectors_identity
from .split import AuditedSplit, audited_split
from .trainings import Job, train_all
from .workspace import Workspace


def run_systems(
    experiments: Sequence[Experiment],
    utterances: Sequence[Utterance],
    protocol: str,
    folders: Sequence[Path],
    workspace: Workspace,
    *,
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    accelerator: str = "cpu",
    devices: int = 1,
    engine: str = "processes",
    declare_leak: bool = False,
    split: AuditedSplit | None = None,
) -> list[SystemResult]:
    """Train and score systems on every fold of a protocol with every seed, each in its own run folder.

    Args:
        experiments: The systems. They share features and word vectors.
        utterances: The corpus.
        protocol: One of `splits.PROTOCOLS`.
        folders: Run folder of each system; a folder that holds the same run is resumed.
        workspace: Caches features and word vectors.
        seeds: Each fold is trained once with each.
        workers: Processes that each train one (system, fold, seed) at a time; results do not depend on it.
        accelerator: See `training.train`.
        devices: See `training.train`.
        engine: One of `config.accelerators.ENGINES`.
        declare_leak: Train although the audit finds a leak; results are marked as such.
        split: `audited_split` of the same utterances and protocol, where it is at hand.

    Returns:
        The result of each system. Every run folder also holds the controls and the audit.

    Raises:
        ConfigurationError: The folds leak and that was not declared, an experiment does not suit the data, or another
            process trains in a folder.
        CorpusError: A recording cannot be read.
        ModelError: A folder holds another run.
    """
    for experiment in experiments:
        labels.check_labels(utterances, experiment.label_set)
    check_accelerator(accelerator)
    if split is None:
        progress = workspace.progress("audit the split")
        learned = [name for e in experiments for name in e.dimensions]
        split = audited_split(utterances, protocol, dimensions=learned, declare_leak=declare_leak, progress=progress)
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(runs.locked(folder))
        planned = _plan(experiments, folders, split, seeds, workspace)
        jobs = [job for run in planned for job in _jobs(run, split, seeds, workspace)]
        for run in planned:
            runs.begin(run.folder, run.description)
        progress = workspace.progress("train " + ", ".join(e.name for e in experiments))
        train_all(jobs, workers, progress, accelerator=accelerator, devices=devices, engine=engine)
        return [_collect(run, split, seeds, workspace) for run in planned]


@dataclass(frozen=True)
class _Run:
    """One system on all folds and seeds: its run folder, and what `run.json` holds."""

    experiment: Experiment
    folder: Path
    description: Mapping[str, Any]


def _plan(
    experiments: Sequence[Experiment],
    folders: Sequence[Path],
    split: AuditedSplit,
    seeds: Sequence[int],
    workspace: Workspace,
) -> list[_Run]:
    """The runs, checked before hours of work: that each folder is free or holds the same run, and its vectors exist."""
    contents, planned = workspace.contents(split.utterances), []
    for experiment, folder in zip(experiments, folders, strict=True):
        identity = vectors_identity(experiment, workspace)
        description = runs.describe(experiment, split.protocol, split.folds, seeds, identity, contents)
        runs.check(folder, description)
        check_vectors(experiment, split.utterances, workspace)
        check_ratings(experiment, split.folds)
        planned.append(_Run(experiment, folder, description))
    return planned


def _jobs(run: _Run, split: AuditedSplit, seeds: Sequence[int], workspace: Workspace) -> list[Job]:
    """The trainings that a run lacks. The inputs of each fold are built once, for all seeds."""
    features, jobs = workspace.features(run.experiment, split.utterances), []
    files.recover(workspace.vectors_folder)
    for number, fold in enumerate(split.folds):
        parts = {seed: run.folder / runs.member(number, seed) for seed in seeds}
        unfinished = [seed for seed, part in parts.items() if not (part / runs.OUTCOME).is_file()]
        if unfinished:
            inputs = fold_inputs(run.experiment, fold, features, workspace)
            jobs += [Job(run.experiment, inputs, parts[seed], seed) for seed in unfinished]
    return jobs


def _collect(run: _Run, split: AuditedSplit, seeds: Sequence[int], workspace: Workspace) -> SystemResult:
    """The result of a finished run; controls and audit are written beside it."""
    e = run.experiment
    result = runs.collect(
        e.name,
        e.title,
        labels.classes(e.label_set),
        split.folds,
        seeds,
        run.folder,
        paper_ua=e.paper_ua if runs.comparable(split.protocol, split.folds) else None,
        kind="leak" if split.leaks or e.epoch_choice == LEAKING_CHOICE else "system",
        after=AFTER if e.normalisation == "shrinkage" else (),
        dimensions=e.dimensions,
    )
    runs.save_controls(run_summary.controls(split.folds, result.classes), run.folder)
    supplied = workspace.supplied_vectors(teacher_of(e) or e)
    findings = audit.audit_run(
        run.folder,
        split.utterances,
        features=workspace.features_folder,
        split=split.audit,
        vectors=None if supplied is None else supplied.name,
    )
    audit.save(findings, run.folder)
    return result
