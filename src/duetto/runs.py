"""The run folder: the only code that reads and writes it.

    run.json                experiment (or baseline), protocol, folds (the ids of each part), seeds, environment, and
                            digests of each utterance: of what is known of it, and of its recording's content
    result.npz              logits of all test utterances (`results.SystemResult`)
    audit.json              what the audit found (`audit.Audit`), where `experiments.runner.run_systems` trained
    control-*.npz           results of the controls
    foldK-seedS/            model.onnx + model.json (prediction; with language.json, spoken.*, sounds.vec where a
                            system reads words), model.safetensors, last.safetensors (training), tensorboard/,
                            teacher/ (the same of a teacher), outcome.npz (logits of this fold)
    lock                    held by the process that trains

A run folder is resumable at any point: every file in it is whole or absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import logging
import platform
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .baselines import Baseline
from .config.experiment import Experiment, from_mapping
from .corpora import iemocap
from .data.utterance import Utterance
from .errors import ConfigurationError, ModelError
from .evaluation import SystemResult, from_utterances
from .features.content import Contents
from .splits import Fold
from .utils.arrays import read_arrays
from .utils.files import LOCK, is_temporary, lock, recover, replacing, write_text
from .utils.reading import Record, parse_json, read_json, shortened

_log = logging.getLogger(__name__)

RUN, RESULT, OUTCOME = "run.json", "result.npz", "outcome.npz"
_LOGS = "tensorboard"
PARTS = ("train", "development", "test")
_FORMAT = "duetto-run-1"
_SEEDS = 1 << 63
_AUDITED = ("epoch_choice", "normalisation", "padding", "initial", "features", "embeddings")
"""Text in an experiment that is read without knowing the rest of it: a run of another version can be audited."""
_ANEW = "it is damaged, or of another version of duetto: train into a new folder"
_AGAIN = "delete it to train this fold and seed again"


def member(fold: int, seed: int) -> str:
    """Name of the folder of one fold and seed."""
    return f"fold{fold}-seed{seed}"


def environment(packages: Sequence[str]) -> dict[str, str]:
    """Versions that a result depends on: those of `packages` and of the core."""
    packages = ("duetto", "numpy", *packages, "soxr", "soundfile")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), "machine": platform.platform(), **versions}


def describe(
    system: Experiment | Baseline,
    protocol: str,
    folds: Sequence[Fold],
    seeds: Sequence[int],
    vectors: str = "",
    contents: Contents | None = None,
) -> dict[str, Any]:
    """What run.json holds; all but `environment` must agree for a run to be resumed.

    Args:
        system: What is trained.
        protocol: Name of the protocol that made the folds.
        folds: Its folds.
        seeds: One training of each fold for each seed.
        vectors: Which word vectors are read, and how they were trained.
        contents: Digests of the recordings, where the caller reads them too.
    """
    kind, packages = "experiment", ("torch", "lightning")
    if isinstance(system, Baseline):
        kind, packages = "baseline", ("scikit-learn", "scipy", "hmmlearn")
    return {
        "format": _FORMAT,
        kind: asdict(system),
        "protocol": protocol,
        "seeds": list(seeds),
        "utterances": _digests(folds, contents or Contents()),
        "vectors": vectors,
        "synthetic": _is_synthetic(folds),
        "folds": [
            {
                "name": fold.name,
                "disjoint_in": list(fold.disjoint_in),
                **{part: [u.id for u in getattr(fold, part)] for part in PARTS},
            }
            for fold in folds
        ],
        "environment": environment(packages),
    }


def _digests(folds: Sequence[Fold], contents: Contents) -> dict[str, str]:
    """Two digests of each utterance: of its label, speaker, words with their times, and cut; of its audio file's
    content, `-` where that can't be read."""
    utterances = {u.id: u for fold in folds for u in (*fold.train, *fold.development, *fold.test)}
    sounds = contents(u.audio.absolute() for u in utterances.values())
    found = {}
    for name, u in sorted(utterances.items()):
        words = [(w.word, w.start, w.end) for w in u.words or ()]
        known = json.dumps([u.label, u.speaker, u.text, words, u.start, u.end]).encode()
        found[name] = f"{hashlib.sha256(known).hexdigest()[:16]} {sounds.get(u.audio.absolute(), '-')}"
    return found


def _is_synthetic(folds: Sequence[Fold]) -> bool:
    """Whether the audio lies in a corpus that duetto synthesised."""
    parents = {u.audio.absolute().parent for u in folds[0].test}
    return any(iemocap.is_synthetic(folder) for parent in parents for folder in (parent, *parent.parents))


def comparable(protocol: str, folds: Sequence[Fold]) -> bool:
    """Whether the paper's figures may stand beside results on these folds: the fifth session of the real IEMOCAP."""
    test = [utterance.id for fold in folds for utterance in fold.test]
    return protocol == "session5" and all(map(iemocap.ID.fullmatch, test)) and not _is_synthetic(folds)


@contextlib.contextmanager
def held(folder: Path) -> Generator[None]:
    """Keep every other process from training in a run folder, which need not exist yet.

    Raises:
        ConfigurationError: Another process trains in it.
        ModelError: The folder holds something else than a run.
    """
    _check_own(folder)
    with lock(folder, busy="another process is training in it; wait for it, or choose another folder"):
        for path in recover(folder):
            _log.warning("%s: held nothing; what it belongs to is made anew", path)
            for part in path.relative_to(folder).parents:
                (folder / part / OUTCOME).unlink(missing_ok=True)
        yield


def _check_own(folder: Path) -> None:
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

    Raises:
        ModelError: As `check`.
    """
    check(folder, description)
    if not (folder / RUN).is_file():
        write_text(folder / RUN, json.dumps(description, indent=1, ensure_ascii=False))


def check(folder: Path, description: Mapping[str, Any]) -> None:
    """Whether a run can begin in a folder, or go on.

    Raises:
        ModelError: The folder holds another run, one of other utterances or recordings, or anything else.
    """
    if not (folder / RUN).is_file():
        _check_own(folder)
        return
    before = read(folder)
    if "experiment" in before:  # one of an earlier version lacks the keys that have come since
        before["experiment"] = json.loads(json.dumps(asdict(experiment_of(folder))))
    for key in ("experiment", "baseline", "protocol", "seeds", "folds", "vectors"):
        if before.get(key) != json.loads(json.dumps(description.get(key))):
            raise ModelError(f"{folder} holds a run that differs in {key}; choose another folder, or delete this one")
    if "utterances" not in before:
        raise ModelError(
            f"{folder} holds a run of an earlier version of duetto, which did not note what the recordings held, so "
            "that it can't be resumed; it can be evaluated and predict. Choose another folder, or delete this one"
        )
    _check_utterances(folder, before["utterances"], description["utterances"])


def _check_utterances(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Refuse a run whose utterances are no longer what they were."""
    changed = [name for name in now if before.get(name) != now[name]]
    if not changed:
        return
    sounds = [name for name in changed if before.get(name, "").split(" ")[-1] != now[name].split(" ")[-1]]
    what = "the recording" if sounds else "label, speaker, words or cut"
    first, *others = sounds or changed
    more = f" and {len(others)} others" if others else ""
    raise ModelError(
        f"{folder} holds a run that differs in {what} of utterance {first!r}{more}; restore the data, choose another "
        "folder, or delete this one"
    )


def read(folder: Path) -> dict[str, Any]:
    """run.json of a run folder, every key in it of the type that `describe` gives it.

    Raises:
        ModelError: The folder holds no run, or a key of its run.json is missing or mistyped.
    """
    path = folder / RUN
    if not path.is_file():
        raise ModelError(f"{folder}: no {RUN} in it, so it is no run folder; make one with: duetto train")
    record = read_json(path, error=ModelError, repair=_ANEW)
    if record["format"] != _FORMAT:
        raise record.wrong(f"its format is {shortened(record['format'])}, not {_FORMAT!r}")
    if ("experiment" in record) == ("baseline" in record):
        raise record.wrong("either 'experiment' or 'baseline' is required")
    system = record.record("experiment" if "experiment" in record else "baseline")
    system.text("name")
    if "experiment" in record:
        system.texts("encoders")
        for key in _AUDITED:
            if system.get(key) is not None:
                system.text(key)
    record.text("protocol")
    record.boolean("synthetic")
    record.text("vectors", "")
    seeds = record.items_of("seeds")
    if not seeds or not all(type(seed) is int and abs(seed) < _SEEDS for seed in seeds) or len({*seeds}) < len(seeds):
        raise record.wrong(f"'seeds' must be a list of distinct integers, not {shortened(seeds)}")
    if not record.items_of("folds"):
        raise record.wrong("'folds' is empty")
    for number, value in enumerate(record["folds"]):
        fold = Record(value, f"{path}: fold {number}", ModelError, _ANEW)
        fold.text("name")
        for key in ("disjoint_in", *PARTS):
            fold.texts(key)
    for key in ("environment", *(["utterances"] if "utterances" in record else [])):
        values = record.record(key)
        for name in values:
            values.text(name)
    return dict(record)


def experiment_of(folder: Path) -> Experiment:
    """The experiment of a run folder.

    Raises:
        ModelError: A baseline ran in it, or it holds no experiment of this version.
    """
    described = read(folder)
    if "baseline" in described:
        raise ModelError(
            f"{folder} holds a run of baseline {described['baseline']['name']!r}. Baselines keep no model: they can be "
            "compared (duetto evaluate), but can neither predict nor be exported nor be scored with other words"
        )
    try:
        return from_mapping(described["experiment"], str(folder / RUN))
    except ConfigurationError as error:
        raise ModelError(f"{error}; {_ANEW}") from error


def reads_words(folder: Path) -> bool:
    """Whether a run folder holds a model that reads words, which can be scored with others; baselines keep no model."""
    return "baseline" not in read(folder) and experiment_of(folder).uses_words


def save_outcome(path: Path, logits: np.ndarray, temperature: float, **more: Any) -> None:
    """Write the outcome of one fold and seed, atomically.

    Args:
        path: `outcome.npz` in the folder of that fold and seed.
        logits: (n, classes) of its test utterances.
        temperature: Fitted on its development utterances.
        more: JSON values.
    """
    texts: dict[str, Any] = {key: np.array(json.dumps(value)) for key, value in more.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, logits=logits, temperature=temperature, **texts)


def load_outcome(path: Path, shape: tuple[int, int] | None = None) -> tuple[np.ndarray, float]:
    """Logits (n, classes) and temperature in an outcome.

    Raises:
        ModelError: The file is damaged, or the logits have another shape than `shape`.
    """
    outcome = read_arrays(path, error=ModelError, repair=_AGAIN)
    logits, temperature = outcome.get("logits"), outcome.get("temperature")
    for array, dimensions in ((logits, 2), (temperature, 0)):
        if array is None or array.ndim != dimensions or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ModelError(f"{path}: damaged, no logits and temperature in it; {_AGAIN}")
    assert logits is not None and temperature is not None
    if shape is not None and logits.shape != shape:
        raise ModelError(f"{path}: damaged, logits {logits.shape} where {shape} should be; {_AGAIN}")
    return logits, float(temperature)


def noted(path: Path, key: str) -> Any:
    """A JSON value that `save_outcome` was given besides.

    Raises:
        ModelError: The file is damaged, or holds no such value.
    """
    outcome = read_arrays(path, error=ModelError, repair=_AGAIN)
    if key not in outcome:
        raise ModelError(f"{path}: damaged, {key!r} is missing; {_AGAIN}")
    return parse_json(str(outcome[key]), where=f"{path}: {key}", error=ModelError, repair=_AGAIN)


def result_of(folder: Path) -> SystemResult:
    """The result of a run folder.

    Raises:
        ModelError: The folder holds no run, or one that is not finished.
    """
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

    Raises:
        ModelError: One of them is damaged, or of other utterances or classes.
    """
    logits, temperatures = [], np.ones((len(seeds), len(folds)))
    for s, seed in enumerate(seeds):
        row = []
        for f in range(len(folds)):
            path = folder / member(f, seed) / OUTCOME
            outcome, temperatures[s, f] = load_outcome(path, (len(folds[f].test), len(labels)))
            row.append(outcome)
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
