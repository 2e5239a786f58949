"""The description of a run, which run.json holds: what is trained, on what, and with which packages."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..baselines import Baseline
from ..config.experiment import Experiment
from ..config.fusion import Fusion, branch_experiments
from ..corpora import iemocap
from ..data.utterance import Utterance
from ..errors import ModelError
from ..features.content import Contents
from ..splits import Fold
from ..utils.reading import Record, read_json, shortened

PARTS = ("train", "development", "test")
"""Parts of a fold."""
RATED = "rated"
"""Part of a fold of a system that learns dimensions: training utterances without a class. Not every fold has it."""
SYSTEM_KINDS = ("experiment", "fusion", "baseline")
"""What a run can be of: keys of run.json, of which each has one."""
REPAIR = "it is damaged, or of another version of duetto: train into a new folder"
"""What to do about an invalid run.json."""

_FORMAT = "duetto-run-1"
_MAX_SEED = 1 << 63
_AUDITED = ("epoch_choice", "normalisation", "padding", "initial", "features", "embeddings")
"""Texts of an experiment that are read without parsing all of it, so that a run of another version can be audited."""


def environment(packages: Sequence[str]) -> dict[str, str]:
    """Look up the versions that a result depends on.

    Args:
        packages: Distributions besides those of the core.

    Returns:
        Package → version, and `python` and `machine`.
    """
    packages = ("duetto", "numpy", *packages, "soxr", "soundfile")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), "machine": platform.platform(), **versions}


def describe(
    system: Experiment | Fusion | Baseline,
    protocol: str,
    folds: Sequence[Fold],
    seeds: Sequence[int],
    vectors: str = "",
    contents: Contents | None = None,
) -> dict[str, Any]:
    """Describe a run; all but `environment` must agree for a run to be resumed.

    Args:
        system: What is trained.
        protocol: Name of the protocol that made the folds.
        folds: Its folds.
        seeds: One training of each fold for each seed.
        vectors: Which word vectors are read, and how they were trained.
        contents: Digests of the recordings, where the caller reads them too.

    Returns:
        The content of run.json.
    """
    kind, packages, value = "experiment", ("torch", "lightning"), asdict(system)
    if isinstance(system, Fusion):
        kind, value = "fusion", {**value, "experiments": [asdict(e) for e in branch_experiments(system)]}
    if isinstance(system, Experiment) and system.classifier != "network":
        packages = ("torch", "scikit-learn")
    if isinstance(system, Baseline):
        kind, packages = "baseline", ("scikit-learn", "scipy", "hmmlearn")
    dimensions = dimensions_of(system)
    return {
        "format": _FORMAT,
        kind: value,
        "protocol": protocol,
        "seeds": list(seeds),
        "utterances": _digests(folds, contents or Contents(), dimensions),
        "vectors": vectors,
        "synthetic": is_synthetic(folds[0].test),
        "folds": [_describe_fold(fold, rated=bool(dimensions)) for fold in folds],
        "environment": environment(packages),
    }


def _describe_fold(fold: Fold, *, rated: bool) -> dict[str, Any]:
    parts = (*PARTS, RATED) if rated and fold.rated else PARTS
    ids = {part: [u.id for u in getattr(fold, part)] for part in parts}
    return {"name": fold.name, "disjoint_in": list(fold.disjoint_in), **ids}


def dimensions_of(system: Experiment | Fusion | Baseline) -> tuple[str, ...]:
    """List the dimensions that a system learns.

    Args:
        system: What is trained.

    Returns:
        Their names, each once; those of all branches for a fusion.
    """
    experiments = branch_experiments(system) if isinstance(system, Fusion) else [system]
    return tuple(dict.fromkeys(name for e in experiments for name in getattr(e, "dimensions", ())))


def _digests(folds: Sequence[Fold], contents: Contents, dimensions: Sequence[str]) -> dict[str, str]:
    """Two digests of each utterance: of its label, speaker, words with their times, cut, and ratings of the dimensions
    that are learned; of its audio file's content, `-` where that can't be read."""
    rated = [u for fold in folds for u in fold.rated] if dimensions else []
    utterances = {u.id: u for fold in folds for u in (*fold.train, *fold.development, *fold.test)}
    utterances |= {u.id: u for u in rated}
    audio = contents(u.audio.absolute() for u in utterances.values())
    found = {}
    for name, u in sorted(utterances.items()):
        words = [(w.word, w.start, w.end) for w in u.words or ()]
        ratings = [[(u.dimensions or {}).get(name) for name in dimensions]] if dimensions else []
        facts = json.dumps([u.label, u.speaker, u.text, words, u.start, u.end, *ratings]).encode()
        found[name] = f"{hashlib.sha256(facts).hexdigest()[:16]} {audio.get(u.audio.absolute(), '-')}"
    return found


def is_synthetic(utterances: Iterable[Utterance]) -> bool:
    """Check whether recordings lie in a corpus that duetto synthesised.

    Args:
        utterances: The utterances.

    Returns:
        Whether the recording of any of them does.
    """
    parents = {u.audio.absolute().parent for u in utterances}
    return any(iemocap.is_synthetic(folder) for parent in parents for folder in (parent, *parent.parents))


def comparable(protocol: str, folds: Sequence[Fold]) -> bool:
    """Check whether results on these folds may be compared with the paper's.

    Args:
        protocol: Name of the protocol that made the folds.
        folds: Its folds.

    Returns:
        Whether they test on session 5 of the real IEMOCAP.
    """
    test = [utterance.id for fold in folds for utterance in fold.test]
    return protocol == "session5" and all(map(iemocap.ID.fullmatch, test)) and not is_synthetic(folds[0].test)


def parse(path: Path) -> dict[str, Any]:
    """Read run.json.

    Args:
        path: The file.

    Returns:
        Its content, every key of the type that `describe` gives it.

    Raises:
        ModelError: A key is missing or mistyped.
    """
    record = read_json(path, error=ModelError, repair=REPAIR)
    if record["format"] != _FORMAT:
        raise record.wrong(f"its format is {shortened(record['format'])}, not {_FORMAT!r}")
    if sum(kind in record for kind in SYSTEM_KINDS) != 1:
        raise record.wrong(f"one of {', '.join(map(repr, SYSTEM_KINDS))} is required")
    _check_system(record)
    record.text("protocol")
    record.boolean("synthetic")
    record.text("vectors", "")
    _check_seeds(record)
    _check_folds(record, path)
    for key in ("environment", *(["utterances"] if "utterances" in record else [])):
        values = record.record(key)
        for name in values:
            values.text(name)
    return dict(record)


def _check_system(record: Record) -> None:
    system = record.record(kind_of(record))
    system.text("name")
    experiments = [system] if "experiment" in record else []
    if "fusion" in record:
        where = f"{system.where}: branch"
        experiments = [Record(each, where, ModelError, REPAIR) for each in system.items_of("experiments")]
    for experiment in experiments:
        experiment.texts("encoders")
        for key in _AUDITED:
            if experiment.get(key) is not None:
                experiment.text(key)


def kind_of(description: Mapping[str, Any]) -> str:
    """Look up what a run is of.

    Args:
        description: The content of run.json.

    Returns:
        The one of `SYSTEM_KINDS` that is a key of it.
    """
    return next(kind for kind in SYSTEM_KINDS if kind in description)


def _check_seeds(record: Record) -> None:
    seeds = record.items_of("seeds")
    integers = all(type(seed) is int and abs(seed) < _MAX_SEED for seed in seeds)
    if not seeds or not integers or len({*seeds}) < len(seeds):
        raise record.wrong(f"'seeds' must be a list of distinct integers, not {shortened(seeds)}")


def _check_folds(record: Record, path: Path) -> None:
    if not record.items_of("folds"):
        raise record.wrong("'folds' is empty")
    for number, value in enumerate(record["folds"]):
        fold = Record(value, f"{path}: fold {number}", ModelError, REPAIR)
        fold.text("name")
        for key in ("disjoint_in", *PARTS, *([RATED] if RATED in fold else [])):
            fold.texts(key)
