"""Making, resuming and reading a run folder."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..baselines.controls import CONTROLS
from ..config.experiment import Experiment, from_mapping
from ..config.fusion import BRANCHES
from ..errors import ConfigurationError, ModelError
from ..evaluation import SystemResult, from_folds
from ..splits import Fold
from ..utils.files import LOCK, is_temporary, lock, recover, write_text
from . import description as run_description
from .outcome import adapted_logits, load_outcome, outcome_ratings
from .tested import save_tested

RUN, RESULT, OUTCOME = "run.json", "result.npz", "outcome.npz"
"""Files of a run folder: its description, its result, and the outcome of each fold and seed."""

_log = logging.getLogger(__name__)
_CONTROL = "control-"
_LOGS = "tensorboard"
_COMPARED = ("experiment", "fusion", "baseline", "protocol", "seeds", "folds", "vectors")


def member(fold: int, seed: int) -> str:
    """Name the folder of one fold and seed.

    Args:
        fold: Number of the fold, from 0.
        seed: The seed.

    Returns:
        Its name within the run folder.
    """
    return f"fold{fold}-seed{seed}"


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None]:
    """Keep other processes from training in a run folder.

    Args:
        folder: The run folder, which need not exist yet.

    Yields:
        Nothing; the lock is held meanwhile.

    Raises:
        ConfigurationError: Another process trains in it.
        ModelError: The folder holds something else than a run.
    """
    _check_is_run_or_empty(folder)
    with lock(folder, busy="another process is training in it; wait for it, or choose another folder"):
        for path in recover(folder):
            _log.warning("%s: was empty; the training it belongs to is repeated", path)
            for part in path.relative_to(folder).parents:
                (folder / part / OUTCOME).unlink(missing_ok=True)
        yield


def _check_is_run_or_empty(folder: Path) -> None:
    if (folder / RUN).is_file():
        return
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if not (path.is_dir() or path.name == LOCK or _LOGS in inside.parts or is_temporary(inside)):
            raise ModelError(
                f"{folder} is not empty ({inside}) and holds no run; choose another folder, or delete this one"
            )


def begin(folder: Path, description: Mapping[str, Any]) -> None:
    """Make a run folder, or resume one that holds the same run.

    Args:
        folder: The run folder.
        description: From `describe`.

    Raises:
        ModelError: As `check`.
    """
    check(folder, description)
    if not (folder / RUN).is_file():
        write_text(folder / RUN, json.dumps(description, indent=1, ensure_ascii=False))


def check(folder: Path, description: Mapping[str, Any]) -> None:
    """Check that a run can be started or resumed in a folder.

    Args:
        folder: The run folder.
        description: From `describe`.

    Raises:
        ModelError: The folder holds another run, one of other utterances or recordings, or anything else.
    """
    if not (folder / RUN).is_file():
        _check_is_run_or_empty(folder)
        return
    before = read(folder)
    if "experiment" in before:  # a run of an earlier version lacks the keys that were added since
        before["experiment"] = json.loads(json.dumps(asdict(experiment_of(folder))))
    if "fusion" in before:
        now = [asdict(e) for e in branches_of(folder)]
        before["fusion"] = {**before["fusion"], "experiments": json.loads(json.dumps(now))}
    for key in _COMPARED:
        if before.get(key) != json.loads(json.dumps(description.get(key))):
            raise ModelError(f"{folder} holds a run that differs in {key}; choose another folder, or delete this one")
    if "utterances" not in before:
        raise ModelError(
            f"{folder} holds a run of an earlier version of duetto, which did not record the content of the "
            "recordings, so that it can't be resumed; it can be evaluated and predict. Choose another folder, or "
            "delete this one"
        )
    _check_utterances(folder, before["utterances"], description["utterances"])


def _check_utterances(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse a run whose utterances are no longer what they were."""
    changed = [name for name in now if before.get(name) != now[name]]
    if not changed:
        return
    audio = [name for name in changed if before.get(name, "").split(" ")[-1] != now[name].split(" ")[-1]]
    what = "the recording" if audio else "label, speaker, words or cut"
    first, *others = audio or changed
    more = f" and {len(others)} others" if others else ""
    raise ModelError(
        f"{folder} holds a run that differs in {what} of utterance {first!r}{more}; restore the data, choose another "
        "folder, or delete this one"
    )


def read(folder: Path) -> dict[str, Any]:
    """Read the description of a run.

    Args:
        folder: The run folder.

    Returns:
        The content of run.json, every key of the type that `describe` gives it.

    Raises:
        ModelError: The folder holds no run, or a key of its run.json is missing or mistyped.
    """
    path = folder / RUN
    if not path.is_file():
        raise ModelError(f"{folder}: no {RUN} in it, so it is no run folder; make one with: duetto train")
    return run_description.parse(path)


def experiment_of(folder: Path) -> Experiment:
    """Read the experiment of a run.

    Args:
        folder: The run folder.

    Returns:
        The experiment.

    Raises:
        ModelError: The run is of a baseline or a fusion, or its experiment is not valid in this version.
    """
    description = read(folder)
    if "fusion" in description:
        names = ", ".join(e["name"] for e in description["fusion"]["experiments"])
        raise ModelError(f"{folder} holds a run of a fusion, which has no experiment of its own; its branches: {names}")
    if "baseline" in description:
        raise ModelError(
            f"{folder} holds a run of baseline {description['baseline']['name']!r}, which has no experiment. It can be "
            "evaluated and exported and predicts, but it can't be scored with other words or adapted"
        )
    try:
        return from_mapping(description["experiment"], str(folder / RUN))
    except ConfigurationError as error:
        raise ModelError(f"{error}; {run_description.REPAIR}") from error


def branches_of(folder: Path) -> tuple[Experiment, ...]:
    """Read the experiments of a run: those of the branches of a fusion, or the only one of another system.

    Args:
        folder: The run folder.

    Returns:
        The experiments.

    Raises:
        ModelError: The run is of a baseline, or an experiment is not valid in this version.
    """
    description = read(folder)
    if "fusion" not in description:
        return (experiment_of(folder),)
    try:
        return tuple(from_mapping(each, str(folder / RUN)) for each in description["fusion"]["experiments"])
    except ConfigurationError as error:
        raise ModelError(f"{error}; {run_description.REPAIR}") from error


def reads_words(folder: Path) -> bool:
    """Check whether a run can be scored with other words.

    Args:
        folder: The run folder.

    Returns:
        Whether it holds a network that reads words.

    Raises:
        ModelError: The folder holds no run of this version.
    """
    return "baseline" not in read(folder) and any(e.uses_words for e in branches_of(folder))


def result_of(folder: Path) -> SystemResult:
    """Read the result of a run.

    Args:
        folder: The run folder.

    Returns:
        The result over all folds and seeds.

    Raises:
        ModelError: The folder holds no run, or one that is not finished.
    """
    description = read(folder)
    if not (folder / RESULT).is_file():
        jobs = [member(f, seed) for f in range(len(description["folds"])) for seed in description["seeds"]]
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
    *,
    after: tuple[int, ...] = (),
    dimensions: tuple[str, ...] = (),
    **more: Any,
) -> SystemResult:
    """Join the outcomes in a run folder to one result, and save it there.

    Args:
        name: Short name of the system.
        title: Its name in tables.
        labels: Classes, in the order of the logits.
        folds: Folds of the run.
        seeds: Seeds of the run.
        folder: The run folder.
        after: Numbers of earlier utterances of the speaker after which a system that adapts was scored.
        dimensions: That the system predicts.
        more: Other fields of the result, by name.

    Returns:
        The result over all folds' test utterances.

    Raises:
        ModelError: An outcome is damaged, or of other utterances or classes.
    """
    result = _joined(name, title, labels, folds, seeds, folder, ".", after=after, dimensions=dimensions, **more)
    save_tested(folder, [u for fold in folds for u in fold.test])
    result.save(folder / RESULT)
    return result


def collect_branch(
    name: str,
    title: str,
    labels: tuple[str, ...],
    folds: Sequence[Fold],
    seeds: Sequence[int],
    folder: Path,
    *,
    dimensions: tuple[str, ...] = (),
    **more: Any,
) -> SystemResult:
    """Join the outcomes of one branch of a fusion to the result of the branch by itself, and save it.

    Args:
        name: Of the branch.
        title: Its name in tables.
        labels: Classes, in the order of the logits.
        folds: Folds of the run.
        seeds: Seeds of the run.
        folder: The run folder.
        dimensions: That the branch predicts.
        more: Other fields of the result, by name.

    Returns:
        The result over all folds' test utterances.

    Raises:
        ModelError: An outcome is damaged, or of other utterances or classes.
    """
    result = _joined(name, title, labels, folds, seeds, folder, f"{BRANCHES}/{name}", dimensions=dimensions, **more)
    result.save(folder / f"branch-{name}.npz")
    return result


def branch_results(folder: Path) -> tuple[SystemResult, ...]:
    """Read the results of the branches of a fusion, each by itself.

    Args:
        folder: The run folder.

    Returns:
        Those that are there, in the order of the branches; none for a run of another system.

    Raises:
        ModelError: The folder holds no run, or a damaged one.
    """
    experiments = read(folder).get("fusion", {}).get("experiments", ())
    paths = [folder / f"branch-{experiment['name']}.npz" for experiment in experiments]
    return tuple(SystemResult.load(path) for path in paths if path.is_file())


def _joined(
    name: str,
    title: str,
    labels: tuple[str, ...],
    folds: Sequence[Fold],
    seeds: Sequence[int],
    folder: Path,
    within: str,
    *,
    after: tuple[int, ...] = (),
    dimensions: tuple[str, ...] = (),
    **more: Any,
) -> SystemResult:
    """The outcomes in a folder within that of every fold and seed, as one result."""
    logits, adapted, ratings, temperatures = [], [], [], np.ones((len(seeds), len(folds)))
    for s, seed in enumerate(seeds):
        row, sessions, rated = [], [], []
        for f in range(len(folds)):
            path = folder / member(f, seed) / within / OUTCOME
            outcome, temperatures[s, f] = load_outcome(path, (len(folds[f].test), len(labels)))
            row.append(outcome)
            if after:
                sessions.append(adapted_logits(path, (len(after), *outcome.shape)))
            if dimensions:
                rated.append(outcome_ratings(path, (len(outcome), len(dimensions))))
        logits.append(np.concatenate(row))
        adapted += [np.concatenate(sessions, axis=2)] if after else []
        ratings += [np.concatenate(rated)] if dimensions else []
    fields = {"title": title, "temperature": temperatures, **more}
    if after:
        fields |= {"after": after, "adapted": np.stack(adapted)}
    if dimensions:
        fields |= {"dimensions": dimensions, "predicted_ratings": np.stack(ratings)}
    return from_folds(name, folds, labels, np.stack(logits), seeds, **fields)


def save_controls(results: Iterable[SystemResult], folder: Path) -> None:
    """Save the results of controls, so that the report of a run has them.

    Args:
        results: Of the controls (`report.run_summary.controls`).
        folder: The run folder.
    """
    for result in results:
        result.save(folder / f"{_CONTROL}{result.system}.npz")


def controls_of(folder: Path) -> list[SystemResult]:
    """Read the results of the controls in a run folder.

    Args:
        folder: The run folder.

    Returns:
        Those that are there, in the order of `baselines.controls.CONTROLS`.
    """
    paths = [folder / f"{_CONTROL}{name}.npz" for name in CONTROLS]
    return [SystemResult.load(path) for path in paths if path.is_file()]
