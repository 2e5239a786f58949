"""Folds × seeds of one system, in one run folder.

    Experiment + folds + Sources ─ run_all ─▶ RUN/foldK-seedS/…, RUN/run.json, RUN/result.npz ─▶ SystemResult

A run folder is resumable at any point: what is finished is not trained again, what was killed goes on.

    run.json                experiment (or baseline), protocol, folds (the ids of each part), seeds, environment
    result.npz              logits of all test utterances (`results.SystemResult`)
    audit.json              what the audit found (`audit.Audit`), where `system.run_systems` trained
    control-*.npz           results of the controls
    foldK-seedS/            model.onnx + model.json (prediction; with language.json, spoken.*, sounds.vec where a
                            system reads words), model.safetensors, last.safetensors (training), tensorboard/,
                            teacher/ (the same of a teacher), outcome.npz (logits of this fold)
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import audit, outcomes
from .audit import Audit, Finding
from .baselines import Baseline
from .baselines.controls import CONTROLS
from .corpora.iemocap import SYNTHETIC_MARKER
from .errors import ConfigurationError, ModelError
from .experiment import LEAKING_CHOICE, Experiment, from_mapping
from .labels import classes
from .outcomes import OUTCOME, member
from .progress import Progress
from .results import SystemResult, from_utterances
from .splits import LEAKING, Fold
from .utils import files
from .utterance import Utterance

if TYPE_CHECKING:
    from .emotion import Sources

_CONTROL_FILES = tuple(f"control-{name}.npz" for name in CONTROLS)
RUN, RESULT = "run.json", "result.npz"
_FORMAT = "duetto-run-1"
_KEYS = ("protocol", "seeds", "folds", "synthetic", "environment")


def environment(packages: Sequence[str]) -> dict[str, str]:
    """Versions that a result depends on: those of `packages` and of the core."""
    packages = ("duetto", "numpy", *packages, "soxr", "soundfile")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), "machine": platform.platform(), **versions}


def describe(
    system: Experiment | Baseline, protocol: str, folds: Sequence[Fold], seeds: Sequence[int], vectors: str = ""
) -> dict[str, Any]:
    """What run.json holds; all but `environment` must agree for a run to be resumed. vectors: says which word
    vectors are read, and how they were trained."""
    kind, packages = "experiment", ("torch", "lightning")
    if isinstance(system, Baseline):
        kind, packages = "baseline", ("scikit-learn", "scipy", "hmmlearn")
    return {
        "format": _FORMAT,
        kind: asdict(system),
        "protocol": protocol,
        "seeds": list(seeds),
        "data": _digest(folds),
        "vectors": vectors,
        "synthetic": _is_synthetic(folds),
        "folds": [
            {
                "name": fold.name,
                "disjoint_in": list(fold.disjoint_in),
                **{part: [u.id for u in getattr(fold, part)] for part in ("train", "development", "test")},
            }
            for fold in folds
        ],
        "environment": environment(packages),
    }


def _digest(folds: Sequence[Fold]) -> str:
    """Digest of all that is known of the utterances: label, speaker, words with their times, size of the audio."""
    utterances = {u.id: u for fold in folds for u in (*fold.train, *fold.development, *fold.test)}
    content = hashlib.sha256()
    for _, u in sorted(utterances.items()):
        words = [(w.word, w.start, w.end) for w in u.words or ()]
        size = u.audio.stat().st_size if u.audio.is_file() else None
        content.update(json.dumps([u.id, u.label, u.speaker, u.text, words, u.start, u.end, size]).encode())
    return content.hexdigest()[:16]


def _is_synthetic(folds: Sequence[Fold]) -> bool:
    """Whether the audio lies in a corpus that duetto synthesised."""
    parents = {u.audio.absolute().parent for u in folds[0].test}
    return any((folder / SYNTHETIC_MARKER).is_file() for parent in parents for folder in (parent, *parent.parents))


@dataclass(frozen=True)
class Run:
    """One experiment, what it reads, its run folder, and what run.json says of its vectors."""

    experiment: Experiment
    sources: Sources
    folder: Path
    vectors: str = ""


def run_all(
    runs: Sequence[Run],
    protocol: str,
    folds: Sequence[Fold],
    *,
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    accelerator: str = "cpu",
    devices: int = 1,
    leak: bool = False,
    progress: Progress | None = None,
) -> list[SystemResult]:
    """Train and score every fold with every seed of every run; resumes what the folders hold of the same runs.

    workers: processes, each training one (run, fold, seed) at a time on one thread; with 1, training
    happens in this process. The results do not depend on it. leak: the folds are known to leak (see `audit`),
    and so the results are marked.
    Errors: a folder that holds another run, or anything in the data that an experiment cannot use.
    """
    for run in runs:
        begin(run.folder, describe(run.experiment, protocol, folds, seeds, run.vectors))
    jobs = [
        _Job(run, folds[f], f, seed, accelerator, devices)
        for run in runs
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
    for run in runs:
        e = run.experiment
        leaks = leak or protocol in LEAKING or e.epoch_choice == LEAKING_CHOICE
        kind = "leak" if leaks else "system"
        results.append(
            collect(e.name, e.title, classes(e.label_set), folds, seeds, run.folder, paper_ua=e.paper_ua, kind=kind)
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
    outcomes.save(part / OUTCOME, outcome.test_logits, outcome.temperature, history=asdict(outcome.history))


def _train_in_processes(jobs: Sequence[_Job], workers: int, progress: Progress | None) -> None:
    """All jobs, the long ones (with audio) first; the first error stops the rest.

    Errors: those of a training; a `ModelError` where a process was killed.
    """
    ordered = sorted(jobs, key=lambda job: -len(job.run.experiment.encoders))
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        try:
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
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _share(progress: Progress | None, done: int, jobs: int) -> Progress | None:
    """Progress of one of several equal jobs, as progress of all."""
    if progress is None:
        return None
    return lambda step, steps: progress(done * steps + step, jobs * steps)


def begin(folder: Path, description: Mapping[str, Any]) -> None:
    """Make a run folder; one that holds the same run already is left as it is, any other is a `ModelError`."""
    path = folder / RUN
    if path.is_file():
        before = read(folder)
        if "experiment" in before:  # one of an earlier version lacks the keys that have come since
            before["experiment"] = asdict(from_mapping(before["experiment"], str(path)))
            before = json.loads(json.dumps(before))
        for key in ("experiment", "baseline", "protocol", "seeds", "folds", "data", "vectors"):
            if before.get(key) != json.loads(json.dumps(description.get(key))):
                raise ModelError(
                    f"{folder} holds a run that differs in {key}; choose another folder, or delete this one"
                )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise ModelError(f"{folder} is not empty and holds no run; choose another folder")
    files.write_text(path, json.dumps(description, indent=1, ensure_ascii=False))


def read(folder: Path) -> dict[str, Any]:
    """run.json of a run folder."""
    path = folder / RUN
    if not path.is_file():
        raise ModelError(f"{folder}: no {RUN} in it, so it is no run folder; make one with: duetto train")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value["format"] != _FORMAT:
            raise ValueError(f"format {value['format']!r}")
        if lacking := [key for key in _KEYS if key not in value]:
            raise KeyError(*lacking)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged, or of another version ({error!r}); train into a new folder") from error
    return value


def experiment_of(folder: Path) -> Experiment:
    """The experiment of a run folder; a `ModelError` where a baseline ran in it."""
    described = read(folder)
    if "baseline" in described:
        raise ModelError(
            f"{folder} holds a run of baseline {described['baseline']['name']!r}. Baselines keep no model: they can be "
            "compared (duetto evaluate), but can neither predict nor be exported nor be scored with other words"
        )
    return from_mapping(described["experiment"], str(folder / RUN))


def reads_words(folder: Path) -> bool:
    """Whether a run folder holds a model that reads words, which can be scored with others; baselines keep no model."""
    return "words" in read(folder).get("experiment", {}).get("encoders", ())


def result_of(folder: Path) -> SystemResult:
    """The result of a run folder; says so where the run is not finished."""
    described = read(folder)
    if not (folder / RESULT).is_file():
        jobs = [member(f, seed) for f in range(len(described["folds"])) for seed in described["seeds"]]
        done = sum((folder / job / OUTCOME).is_file() for job in jobs)
        raise ModelError(
            f"{folder}: unfinished, {done} of {len(jobs)} trainings done; run the same `duetto train` again to go on"
        )
    return SystemResult.load(folder / RESULT)


def collect(
    name: str,
    title: str,
    labels: tuple[str, ...],
    folds: Sequence[Fold],
    seeds: Sequence[int],
    folder: Path,
    **more: Any,
) -> SystemResult:
    """The outcomes in a run folder as one result of all folds' test utterances, saved there too.

    Errors: a `ModelError` where one of them is damaged, or of other utterances or classes.
    """
    logits, temperatures = [], np.ones((len(seeds), len(folds)))
    for s, seed in enumerate(seeds):
        row = []
        for f in range(len(folds)):
            outcome = outcomes.load(folder / member(f, seed) / OUTCOME, (len(folds[f].test), len(labels)))
            row.append(outcome["logits"])
            temperatures[s, f] = outcome["temperature"]
        logits.append(np.concatenate(row))
    result = assemble(name, title, labels, folds, np.stack(logits), seeds, temperature=temperatures, **more)
    result.save(folder / RESULT)
    return result


def assemble(
    name: str,
    title: str,
    labels: tuple[str, ...],
    folds: Sequence[Fold],
    logits: np.ndarray,
    seeds: Sequence[int],
    **more: Any,
) -> SystemResult:
    """A `SystemResult` from logits (seeds, n, classes) over the folds' test utterances, one after another."""
    tested: list[Utterance] = [u for fold in folds for u in fold.test]
    if len({u.id for u in tested}) != len(tested):
        raise ConfigurationError("an utterance is tested in two folds; the folds of a protocol must not overlap")

    fold = np.concatenate([np.full(len(fold.test), f, np.int64) for f, fold in enumerate(folds)])
    return from_utterances(name, tested, labels, logits, seeds, title=title, fold=fold, **more)


def controls(folds: Sequence[Fold], labels: tuple[str, ...]) -> list[SystemResult]:
    """Every control on the same folds."""
    return [
        assemble(
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
        described = read(folder)
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
