"""Folds × seeds of one experiment, in one run folder.

    Experiment + folds + Sources ─ run ─▶ RUN/foldK-seedS/…, RUN/run.json, RUN/result.npz ─▶ SystemResult

A run folder is resumable at any point: what is finished is not trained again, what was killed goes on.

    run.json                experiment, protocol, folds (the ids of each part), seeds, environment
    result.npz              logits of all test utterances (`results.SystemResult`)
    foldK-seedS/            model.onnx + model.json (prediction), model.safetensors, last.safetensors
                            (training), tensorboard/, outcome.npz (logits of this fold)
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .baselines.controls import CONTROLS
from .errors import ConfigurationError, ModelError
from .experiment import Experiment, from_mapping
from .labels import classes
from .progress import Progress
from .results import SystemResult, from_utterances
from .splits import LEAKING, Fold
from .training import History
from .utterance import Utterance

RUN, RESULT = "run.json", "result.npz"
_FORMAT = "duetto-run-1"
_OUTCOME = "outcome.npz"


def member(fold: int, seed: int) -> str:
    """Name of the folder of one fold and seed."""
    return f"fold{fold}-seed{seed}"


def environment() -> dict[str, str]:
    """Versions that a result depends on."""
    packages = ("duetto", "numpy", "torch", "lightning", "soxr", "soundfile")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), "machine": platform.platform(), **versions}


def describe(experiment: Experiment, protocol: str, folds: Sequence[Fold], seeds: Sequence[int]) -> dict[str, Any]:
    """What run.json holds; all but `environment` must agree for a run to be resumed."""
    return {
        "format": _FORMAT,
        "experiment": asdict(experiment),
        "protocol": protocol,
        "seeds": list(seeds),
        "folds": [
            {
                "name": fold.name,
                "disjoint_in": list(fold.disjoint_in),
                **{part: [u.id for u in getattr(fold, part)] for part in ("train", "development", "test")},
            }
            for fold in folds
        ],
        "environment": environment(),
    }


def run(
    experiment: Experiment,
    protocol: str,
    folds: Sequence[Fold],
    sources: Any,
    folder: Path,
    *,
    seeds: Sequence[int] = (0,),
    accelerator: str = "cpu",
    devices: int = 1,
    progress: Progress | None = None,
) -> SystemResult:
    """Train and score every fold with every seed; resumes what `folder` holds of the same run.

    sources: `emotion.Sources`. Errors: a folder that holds another run, or anything in the data that
    the experiment cannot use.
    """
    from . import emotion

    _begin(folder, describe(experiment, protocol, folds, seeds))
    jobs = [(f, seed) for f in range(len(folds)) for seed in seeds]
    for done, (f, seed) in enumerate(jobs):
        part = folder / member(f, seed)
        if not (part / _OUTCOME).is_file():
            outcome = emotion.train(
                experiment,
                folds[f],
                sources,
                part,
                seed=seed,
                accelerator=accelerator,
                devices=devices,
                progress=_share(progress, done, len(jobs)),
            )
            _save(part / _OUTCOME, outcome.test_logits, outcome.temperature, outcome.history)
    result = _collect(experiment, protocol, folds, seeds, folder)
    result.save(folder / RESULT)
    return result


def _share(progress: Progress | None, done: int, jobs: int) -> Progress | None:
    """Progress of one of several equal jobs, as progress of all."""
    if progress is None:
        return None
    return lambda step, steps: progress(done * steps + step, jobs * steps)


def _begin(folder: Path, description: Mapping[str, Any]) -> None:
    path = folder / RUN
    if path.is_file():
        before = read(folder)
        for key in ("experiment", "protocol", "seeds", "folds"):
            if before[key] != json.loads(json.dumps(description[key])):
                raise ModelError(f"{folder} holds a run with another {key}; choose another folder, or delete this one")
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise ModelError(f"{folder} is not empty and holds no run; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(RUN + ".partial")
    partial.write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")
    os.replace(partial, path)


def read(folder: Path) -> dict[str, Any]:
    """run.json of a run folder."""
    path = folder / RUN
    if not path.is_file():
        raise ModelError(f"{folder}: no {RUN} in it, so it is no run folder; make one with: duetto train")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value["format"] != _FORMAT:
            raise ValueError(f"format {value['format']!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged, or of another version ({error!r}); train again") from error
    return value


def experiment_of(folder: Path) -> Experiment:
    """The experiment of a run folder."""
    return from_mapping(read(folder)["experiment"], str(folder / RUN))


def result_of(folder: Path) -> SystemResult:
    """The result of a run folder; says so where the run is not finished."""
    described = read(folder)
    if not (folder / RESULT).is_file():
        jobs = [member(f, seed) for f in range(len(described["folds"])) for seed in described["seeds"]]
        done = sum((folder / job / _OUTCOME).is_file() for job in jobs)
        raise ModelError(
            f"{folder}: unfinished, {done} of {len(jobs)} trainings done; run the same `duetto train` again to go on"
        )
    return SystemResult.load(folder / RESULT)


def _save(path: Path, logits: np.ndarray, temperature: float, history: History) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, logits=logits, temperature=temperature, history=np.array(json.dumps(asdict(history))))
    os.replace(partial, path)


def _collect(
    experiment: Experiment, protocol: str, folds: Sequence[Fold], seeds: Sequence[int], folder: Path
) -> SystemResult:
    """One result of all folds' test utterances."""
    logits, temperatures = [], np.ones((len(seeds), len(folds)))
    for s, seed in enumerate(seeds):
        row = []
        for f in range(len(folds)):
            with np.load(folder / member(f, seed) / _OUTCOME, allow_pickle=False) as outcome:
                row.append(outcome["logits"])
                temperatures[s, f] = outcome["temperature"]
        logits.append(np.concatenate(row))
    return assemble(
        experiment.name,
        experiment.title,
        classes(experiment.label_set),
        folds,
        np.stack(logits),
        seeds,
        temperature=temperatures,
        paper_ua=experiment.paper_ua,
        kind="leak" if protocol in LEAKING else "system",
    )


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
