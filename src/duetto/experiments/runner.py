"""From a manifest to results: folds × seeds of systems, each in its own run folder.

    utterances ─ split ─▶ folds ─ Workspace ─▶ Sources ─ run_all ─▶ RUN/foldK-seedS/…, RUN/result.npz ─▶ SystemResult

What is finished is not trained again, what was killed goes on (`runs` describes the folder).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import audit, runs, splits
from ..audit import Audit
from ..baselines import BASELINES, Baseline, Inputs
from ..config.experiment import LEAKING_CHOICE, SYSTEMS, Experiment, load, teacher_of
from ..data import labels
from ..data.labels import classes
from ..data.text import tokens
from ..data.utterance import Utterance
from ..errors import ConfigurationError, ModelError
from ..evaluation import SystemResult
from ..features.content import Contents
from ..report import run_summary
from ..runs import OUTCOME, collect, member
from ..splits import LEAKING, Fold
from ..training import Sources
from ..training.loop import check_accelerator
from ..utils import parallel
from ..utils.progress import Progress
from . import baseline_runner, runner
from .workspace import Workspace, _Split

if TYPE_CHECKING:
    from ..training import Sources


@dataclass(frozen=True)
class Run:
    """One experiment, what it reads, its run folder, and what run.json says of its vectors."""

    experiment: Experiment
    sources: Sources
    folder: Path
    vectors: str = ""


def run_all(
    planned: Sequence[Run],
    protocol: str,
    folds: Sequence[Fold],
    *,
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    accelerator: str = "cpu",
    devices: int = 1,
    leak: bool = False,
    contents: Contents | None = None,
    progress: Progress | None = None,
) -> list[SystemResult]:
    """Train and score every fold with every seed of every run; resumes what the folders hold of the same runs.

    workers: processes, each training one (run, fold, seed) at a time on one thread; with 1, training
    happens in this process. The results do not depend on it. leak: the folds are known to leak (see `audit`),
    and so the results are marked. contents: digests of the recordings, where the caller reads them too.
    Errors: a folder that holds another run, or anything in the data that an experiment cannot use.
    """
    for run in planned:
        runs.begin(run.folder, runs.describe(run.experiment, protocol, folds, seeds, run.vectors, contents))
    jobs = [
        _Job(run, folds[f], f, seed, accelerator, devices)
        for run in planned
        for f in range(len(folds))
        for seed in seeds
        if not (run.folder / member(f, seed) / OUTCOME).is_file()
    ]
    if workers == 1 or len(jobs) < 2:
        for done, job in enumerate(jobs):
            _train(job, _share(progress, done, len(jobs)))
    else:
        _train_in_processes(jobs, workers, progress)
    results = []
    for run in planned:
        e = run.experiment
        leaks = leak or protocol in LEAKING or e.epoch_choice == LEAKING_CHOICE
        kind = "leak" if leaks else "system"
        paper = e.paper_ua if runs.comparable(protocol, folds) else None
        results.append(
            collect(e.name, e.title, classes(e.label_set), folds, seeds, run.folder, paper_ua=paper, kind=kind)
        )
    return results


@dataclass(frozen=True)
class _Job:
    """One training: a run's fold (number `number`) with one seed."""

    run: Run
    fold: Fold
    number: int
    seed: int
    accelerator: str
    devices: int


def _train(job: _Job, progress: Progress | None = None) -> None:
    from .. import training

    part = job.run.folder / member(job.number, job.seed)
    outcome = training.train(
        job.run.experiment,
        job.fold,
        job.run.sources,
        part,
        seed=job.seed,
        accelerator=job.accelerator,
        devices=job.devices,
        progress=progress,
    )
    runs.save_outcome(part / OUTCOME, outcome.test_logits, outcome.temperature, history=asdict(outcome.history))


def _train_in_processes(jobs: Sequence[_Job], workers: int, progress: Progress | None) -> None:
    """All jobs, the long ones (with audio) first; the first error stops the rest.

    Errors: those of a training; a `ModelError` where a process was killed.
    """
    ordered = sorted(jobs, key=lambda job: -len(job.run.experiment.encoders))
    try:
        with parallel.processes(workers) as pool:
            futures = [pool.submit(_train, job) for job in ordered]
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                if progress:
                    progress(done, len(futures))
    except BrokenProcessPool as error:
        raise ModelError(
            f"a training process ended before its work was done, most likely killed for want of memory ({error}); "
            "what is finished is kept: run the same again with fewer processes, --workers 1"
        ) from error


def _share(progress: Progress | None, done: int, jobs: int) -> Progress | None:
    """Progress of one of several equal jobs, as progress of all."""
    if progress is None:
        return None
    return lambda step, steps: progress(done * steps + step, jobs * steps)


def named(system: str) -> Experiment | Baseline:
    """The system of a name in `SYSTEMS`, the baseline of one in `BASELINES`, or the experiment of a TOML file."""
    if system in BASELINES and system not in SYSTEMS:
        return BASELINES[system]
    if system not in SYSTEMS and not Path(system).is_file():
        raise ConfigurationError(
            f"{system!r} is no system, no baseline and no file; systems are {', '.join(SYSTEMS)}; "
            f"baselines are {', '.join(BASELINES)}; any TOML experiment file works as well"
        )
    return load(system)


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
) -> list[SystemResult]:
    """Train and score systems on one protocol, each in its own run folder, with shared features and vectors.

    workers: processes that train, each one (system, fold, seed) at a time. declare_leak: train although the audit
    finds a leak; the results are then marked as such. Every run folder gets its audit (audit.json).
    Errors: a leak that is not declared, whatever an experiment cannot use, a folder of another run, or one in which
    another process trains.
    """
    for experiment in experiments:
        labels.check_labels(utterances, experiment.label_set)
    check_accelerator(accelerator)
    labelled, folds, checked = split(utterances, protocol, workspace, declare_leak)
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(runs.held(folder))
        contents = workspace.contents(labelled)
        for experiment, folder in zip(experiments, folders, strict=True):  # before hours of work on what it reads
            reads = workspace.reads(experiment)
            runs.check(folder, runs.describe(experiment, protocol, folds, seeds, reads, contents))
        planned = [
            runner.Run(experiment, workspace.sources(experiment, labelled, folds), folder, workspace.reads(experiment))
            for experiment, folder in zip(experiments, folders, strict=True)
        ]
        results = runner.run_all(
            planned,
            protocol,
            folds,
            seeds=seeds,
            workers=workers,
            accelerator=accelerator,
            devices=devices,
            leak=bool(checked.leaks),
            contents=contents,
            progress=workspace.step("train " + ", ".join(e.name for e in experiments)),
        )
        for experiment, folder in zip(experiments, folders, strict=True):
            brought = (workspace.vectors or {}).get((teacher_of(experiment) or experiment).embeddings)
            name = None if brought is None else brought.name
            features = workspace.folder / "features"
            run_summary.save_controls(folds, classes(experiment.label_set), folder)
            audit.save(audit.audit_run(folder, labelled, features=features, split=checked, vectors=name), folder)
        return results


def run_baseline(
    baseline: Baseline,
    utterances: Sequence[Utterance],
    protocol: str,
    folder: Path,
    workspace: Workspace,
    *,
    seeds: Sequence[int] = (0,),
    declare_leak: bool = False,
) -> SystemResult:
    """Fit and score a classical baseline on one protocol, in a run folder with its audit; see `classical`.

    declare_leak, errors: as `run_systems`.
    """
    labelled, folds, checked = split(utterances, protocol, workspace, declare_leak)
    with runs.held(folder):
        contents = workspace.contents(labelled)
        runs.check(folder, runs.describe(baseline, protocol, folds, seeds, contents=contents))
        inputs = Inputs(
            frames=workspace.short_term(labelled) if "frames" in baseline.needs else None,
            tokens={u.id: tokens(u) for u in labelled} if "words" in baseline.needs else None,
        )
        step = workspace.step(f"train {baseline.name}")
        how = {"seeds": seeds, "leak": bool(checked.leaks), "contents": contents, "progress": step}
        result = baseline_runner.run(baseline, inputs, protocol, folds, folder, **how)
        run_summary.save_controls(folds, result.classes, folder)
        audit.save(checked, folder)
    return result


def split(
    utterances: Sequence[Utterance], protocol: str, workspace: Workspace, declare_leak: bool
) -> tuple[list[Utterance], list[Fold], Audit]:
    """The utterances that have a label, their folds, and the audit of these; a leak must be declared.

    The same list of utterances is split and audited once in a workspace, however many systems are trained on it.
    """
    key = (protocol, declare_leak, id(utterances))
    if (known := workspace._splits.get(key)) is not None:
        return known.labelled, known.folds, known.checked
    labelled = [u for u in utterances if u.label is not None]
    folds = splits.folds(protocol, labelled)
    checked = audit.audit_folds(folds, protocol, declared=declare_leak, progress=workspace.step("audit the split"))
    if checked.verdict == "leak":
        raise ConfigurationError(_refusal(checked))
    workspace._splits[key] = _Split(utterances, labelled, folds, checked)
    return labelled, folds, checked


def _refusal(checked: Audit) -> str:
    """Why a split is not trained on, and what to do."""
    first, *others = checked.leaks
    where = "" if first.fold is None else f" (fold {first.fold!r}, such as {', '.join(first.evidence['examples'])})"
    more = f" and {len(others)} more: {', '.join(sorted({f.kind for f in others}))}." if others else ""
    return (
        f"protocol {checked.protocol!r} leaks here: {first.detail}{where}.{more} A figure on such test data says "
        "nothing about new speech. See all of it: duetto audit MANIFEST --protocol NAME. Repair the manifest or choose "
        "another protocol; to train all the same, with the results marked as a leak: --declare-leak (declare_leak=True)"
    )
