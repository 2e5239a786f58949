"""From a manifest to results: folds × seeds of systems, each in its own run folder.

    utterances ─ audited_split ─▶ folds ─ Workspace.features, fold_inputs ─▶ FoldInputs
    FoldInputs × seeds ─ training.train ─▶ RUN/foldK-seedS/…, RUN/result.npz ─▶ SystemResult

Trainings that are finished are skipped, those that were killed are resumed (`runs` describes the folder).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .. import audit, runs, training
from ..config.experiment import LEAKING_CHOICE, Experiment, teacher_of
from ..data import labels
from ..data.utterance import Utterance
from ..errors import ModelError
from ..evaluation import SystemResult
from ..report import run_summary
from ..training import FoldInputs
from ..training.adapted import AFTER
from ..training.loop import check_accelerator
from ..utils import files, parallel
from ..utils.progress import Progress
from .fold_inputs import check_ratings, check_vectors, fold_inputs, vectors_identity
from .split import AuditedSplit, audited_split
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
        train_all(jobs, workers, progress, accelerator=accelerator, devices=devices)
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


@dataclass(frozen=True)
class Job:
    """One training: a system on one fold with one seed.

    Attributes:
        experiment: The system.
        inputs: What it reads on the fold.
        folder: Of this training.
        seed: Of this training.
    """

    experiment: Experiment
    inputs: FoldInputs
    folder: Path
    seed: int


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


def train_all(jobs: Sequence[Job], workers: int, progress: Progress | None, *, accelerator: str, devices: int) -> None:
    """Train in this process, or in several, the long trainings (with audio) first; the first error stops the rest.

    Args:
        jobs: The trainings; the outcome of each is saved in its folder.
        workers: Processes that train one job at a time each.
        progress: Counts trainings, or the steps of all.
        accelerator: See `training.train`.
        devices: See `training.train`.

    Raises:
        ModelError: A worker process was killed.
    """
    train = partial(_train, accelerator=accelerator, devices=devices)
    if workers == 1 or len(jobs) < 2:
        for done, job in enumerate(jobs):
            train(job, progress=_share(progress, done, len(jobs)))
        return
    ordered = sorted(jobs, key=lambda job: -len(job.experiment.encoders))
    try:
        with parallel.processes(workers) as pool:
            futures = [pool.submit(train, job) for job in ordered]
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                if progress:
                    progress(done, len(futures))
    except BrokenProcessPool as error:
        raise ModelError(
            f"a training process ended before its work was done, most likely killed for lack of memory ({error}); "
            "what is finished is kept: run the same again with fewer processes, --workers 1"
        ) from error


def _train(job: Job, *, accelerator: str, devices: int, progress: Progress | None = None) -> None:
    """Train, and save the outcome in the folder of this fold and seed."""
    outputs = training.train(
        job.experiment,
        job.inputs,
        job.folder,
        seed=job.seed,
        accelerator=accelerator,
        devices=devices,
        progress=progress,
    )
    path = job.folder / runs.OUTCOME
    more = {"adapted": outputs.adapted, "ratings": outputs.test_ratings, "history": asdict(outputs.history)}
    runs.save_outcome(path, outputs.test_logits, outputs.temperature, **more)


def _share(progress: Progress | None, done: int, jobs: int) -> Progress | None:
    """Progress of one of several equal jobs, as progress of all."""
    if progress is None:
        return None
    return lambda step, steps: progress(done * steps + step, jobs * steps)


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
