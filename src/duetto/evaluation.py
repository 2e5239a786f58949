"""Folds × seeds of one system, in one run folder.

    Experiment + folds + Sources ─ run_all ─▶ RUN/foldK-seedS/…, RUN/run.json, RUN/result.npz ─▶ SystemResult

What is finished is not trained again, what was killed goes on (`runs` describes the folder).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import audit, parallel, runs
from .audit import Audit, Finding
from .baselines.controls import CONTROLS
from .errors import ModelError
from .experiment import LEAKING_CHOICE, Experiment
from .features.content import Contents
from .labels import classes
from .progress import Progress
from .results import SystemResult
from .runs import OUTCOME, collect, member
from .splits import LEAKING, Fold

if TYPE_CHECKING:
    from .emotion import Sources

_CONTROL_FILES = tuple(f"control-{name}.npz" for name in CONTROLS)


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
    from . import emotion

    part = job.run.folder / member(job.number, job.seed)
    outcome = emotion.train(
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


def controls(folds: Sequence[Fold], labels: tuple[str, ...]) -> list[SystemResult]:
    """Every control on the same folds."""
    return [
        runs.assemble(
            name,
            title,
            labels,
            folds,
            np.concatenate([control(fold, labels) for fold in folds])[None],
            seeds=(0,),
            kind="control",
        )
        for name, (title, control) in CONTROLS.items()
    ]


def findings_of(folders: Sequence[Path]) -> tuple[Finding, ...] | None:
    """What the audits of run folders found, each thing once, with the system that it is of (`audit.merged`); None
    where one of them was never audited."""
    audits: dict[str, Audit] = {}
    for folder in folders:
        if (checked := audit.load(folder)) is None:
            return None
        described = runs.read(folder)
        name = described["baseline" if "baseline" in described else "experiment"]["name"]
        audits[name if name not in audits else f"{name} ({folder})"] = checked
    return audit.merged(audits)


def save_controls(folds: Sequence[Fold], labels: tuple[str, ...], folder: Path) -> None:
    """Leave every control beside a run's result, so that a report never lacks them."""
    for result in controls(folds, labels):
        result.save(folder / f"control-{result.system}.npz")


def controls_of(folder: Path) -> list[SystemResult]:
    """The controls that lie beside a run's result."""
    return [SystemResult.load(path) for path in map(folder.joinpath, _CONTROL_FILES) if path.is_file()]


def report_context(
    described: Mapping[str, Any],
    results: Sequence[SystemResult],
    *,
    findings: Sequence[Finding] | None = None,
) -> dict[str, Any]:
    """What `report.write` shall say of protocol, corpus and audit, from a run's description."""
    first = results[0]
    counts = {label: int((first.target == i).sum()) for i, label in enumerate(first.classes)}
    folds = described["folds"]
    choice = described.get("experiment", {}).get("epoch_choice", "development")
    return {
        "title": f"Speech emotion recognition, protocol {described['protocol']}",
        "corpus": {"name": "", "counts": counts, "synthetic": described["synthetic"]},
        "protocol": {
            "protocol": described["protocol"],
            "folds": [
                f"{fold['name']}: {len(fold['train'])} training, {len(fold['development'])} development, "
                f"{len(fold['test'])} test utterances; disjoint in {', '.join(fold['disjoint_in']) or 'NOTHING'}"
                for fold in folds
            ],
            "seeds": described["seeds"],
            f"choice of {'epoch' if 'experiment' in described else 'settings'}": choice
            + (" data, never test data" if choice == "development" else ""),
            "temperature": "fitted on development data",
            "environment": described["environment"],
        },
        "audit": findings,
    }
