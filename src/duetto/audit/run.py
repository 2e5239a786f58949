"""A run folder → findings: how its data were split, what was fitted on them, how its epochs were chosen.

    run.json, foldK-seedS/{model.json, language.json, outcome.npz} + manifest + features ─ audit_run ─▶ Audit

What was fitted is read as plain JSON, so that a model that other code wrote, or somebody changed, is examined too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import runs
from ..data.text import tokens
from ..data.utterance import Utterance
from ..errors import ConfigurationError, DuettoError, ModelError
from ..features.registry import feature_spec
from ..features.store import FeatureStore
from ..metrics import best_index
from ..preprocessing import Normaliser
from ..splits import LEAKING, Fold
from ..utils.progress import Progress
from ..utils.reading import Record, read_json
from .findings import Audit, Finding, found, load
from .folds import PARTS, audit_folds, identity

CHOICES = ("development", "last")
"""Ways to choose an epoch that see no test data."""

_TOLERANCE = 1e-3
"""Deviations by which two means may differ, or relative difference of two deviations: far above what float32 and
the order of a sum do, far below what other data do."""


@dataclass(frozen=True)
class _Run:
    """What a run folder says. `known`: whether a manifest gave the utterances of the folds."""

    folder: Path
    described: Mapping[str, Any]
    folds: tuple[Fold, ...]
    known: bool

    @property
    def experiment(self) -> Mapping[str, Any]:
        """Of a trained system; a baseline has none."""
        return self.described["experiment"]

    @property
    def protocol(self) -> str:
        return self.described["protocol"]

    def trained(self, fold: int) -> Iterator[tuple[int, Path]]:
        """Seed and folder of every finished training of a fold."""
        for seed in self.described["seeds"]:
            part = self.folder / runs.member(fold, seed)
            if (part / "model.json").is_file():
                yield seed, part


def audit_run(
    folder: Path,
    utterances: Sequence[Utterance] | None = None,
    *,
    features: Path | None = None,
    split: Audit | None = None,
    vectors: str | None = None,
    sound: bool = True,
    progress: Progress | None = None,
) -> Audit:
    """Examine a run folder.

    utterances: of its manifest; without them, the split is judged by the audit that training left in the folder
        (where it did), and transcripts and vocabularies cannot be compared. features: folder of the feature store
        that training used; without it the normalisation cannot be recomputed. split: an audit of the same folds
        that is at hand already. vectors: name of the file of word vectors that training was given, if it was.
        sound: as in `audit_folds`.
    Errors: `ModelError` where the folder holds no run; `ConfigurationError` where the manifest is of another corpus.
    """
    run, missing = _read(folder, utterances)
    before = load(folder)
    declared = before is not None and before.declared
    findings = list(_missing(run, missing))
    if split is None and run.known:
        split = audit_folds(run.folds, run.protocol, declared=declared, sound=sound, progress=progress)
    elif split is None and before is not None:
        split = before
    if split is None:
        findings.append(_unexamined("no manifest was given, so speakers, transcripts and recordings were not compared"))
    else:
        findings += split.findings
    if not run.known:
        findings += [finding for fold in run.folds for finding in identity(fold)]
    if before is not None:
        findings += [finding for finding in before.findings if finding.kind == "unknown-vectors"]
    if vectors is not None:
        findings.append(unknown_vectors(vectors))
    if "baseline" in run.described:
        findings.append(_unexamined("a baseline keeps no model, so that what it was fitted on was not examined"))
    else:
        findings += _settings(run)
        findings += _epochs(run)
        findings += _statistics(run, features)
        findings += _vocabularies(run)
    count = len({u.id for fold in run.folds for part in PARTS for u in getattr(fold, part)})
    declared = declared or run.protocol in LEAKING or (split is not None and split.declared)
    return Audit(tuple(findings), run.protocol, len(run.folds), count, declared)


def _read(folder: Path, utterances: Sequence[Utterance] | None) -> tuple[_Run, list[str]]:
    """The run, and the ids of its utterances that the manifest lacks."""
    by_id = None if utterances is None else {u.id: u for u in utterances}
    missing: dict[str, None] = {}
    described = runs.read(folder)
    folds = []
    for fold in described["folds"]:
        parts = {}
        for part in PARTS:
            missing.update(dict.fromkeys(i for i in fold[part] if by_id is not None and i not in by_id))
            known = {i: Utterance(i, Path(i)) for i in fold[part]} if by_id is None else by_id
            parts[part] = tuple(known[i] for i in fold[part] if i in known)
        folds.append(Fold(fold["name"], **parts))
    run = _Run(folder, described, tuple(folds), by_id is not None)
    if missing and not any(fold.test for fold in run.folds):
        raise ConfigurationError(
            f"none of the test utterances of {folder}, such as {next(iter(missing))!r}, is in the manifest; "
            "give the manifest that it was trained on"
        )
    return run, list(missing)


def _missing(run: _Run, missing: list[str]) -> Iterator[Finding]:
    if missing:
        detail = f"{len(missing):,} utterances of the run are not in the manifest, so nothing is known of them"
        yield found("not-in-manifest", None, detail, utterances=len(missing), examples=missing)


def _unexamined(detail: str) -> Finding:
    return found("not-examined", None, detail)


def _settings(run: _Run) -> Iterator[Finding]:
    """What the experiment says of itself."""
    e = run.experiment
    choice = e.get("epoch_choice")
    if choice not in CHOICES:
        detail = f"the epoch was chosen by {choice!r}; only {' and '.join(CHOICES)} are known to see no test data"
        yield found("chosen-on-test", None, detail, epoch_choice=choice)
    if e.get("normalisation") == "speaker":
        yield found(
            "speaker-normalisation",
            None,
            "features are normalised by each speaker's own statistics, in test data too. No label is seen, but all "
            "of a test speaker's utterances are: the figures hold where a speaker has been heard before (transductive)",
        )
    if e.get("padding") in ("pre", "post"):
        detail = f"padding {e['padding']!r} lets the model read zeros, so that an answer depends on max_frames; no leak"
        yield found("padding-read", None, detail, padding=e["padding"])
    if e.get("initial"):
        detail = f"training started from weights in {Path(e['initial']).name}; what they were trained on is not known"
        yield found("unknown-weights", None, detail)


def unknown_vectors(source: str) -> Finding:
    """Word vectors that came from elsewhere."""
    detail = f"word vectors came from {source}; whether test transcripts were in what they were trained on is not known"
    return found("unknown-vectors", None, detail)


def _epochs(run: _Run) -> Iterator[Finding]:
    """Whether the epoch kept is the one that the declared choice gives."""
    choice, unfinished = run.experiment.get("epoch_choice"), 0
    for number, fold in enumerate(run.folds):
        for seed in run.described["seeds"]:
            path = run.folder / runs.member(number, seed) / runs.OUTCOME
            if not path.is_file():
                unfinished += 1
                continue
            chosen, expected = _chosen(path, choice)
            if expected is not None and chosen != expected:
                yield found(
                    "unknown-epoch",
                    fold.name,
                    f"epoch {chosen + 1} was kept, but choice {choice!r} gives epoch {expected + 1}: what chose it?",
                    seed=seed,
                    kept=chosen + 1,
                    expected=expected + 1,
                )
        if choice == "development" and not fold.development and run.known:
            detail = "the epoch is said to be chosen on development data, but there are none"
            yield found("unknown-epoch", fold.name, detail)
    if unfinished:
        yield _unexamined(f"{unfinished} trainings of the run are not finished")


def _chosen(path: Path, choice: Any) -> tuple[int, int | None]:
    """The epoch kept, from 0, and the one that the choice gives (None where that is not known)."""
    history = runs.outcome_value(path, "history")
    try:
        epochs, chosen = history["epochs"], int(history["chosen"])
        if choice == "last":
            return chosen, len(epochs) - 1
        if choice == "development":
            return chosen, best_index([epoch["score"] for epoch in epochs])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged ({error!r}); train into a new folder") from error
    return chosen, None


def _model(path: Path) -> Record:
    """The description of an exported model, or of the encoder beside it."""
    return read_json(path, error=ModelError, repair="train into a new folder")


def _statistics(run: _Run, features: Path | None) -> Iterator[Finding]:
    """Whether the normalisation that a model carries is that of its training part."""
    if "acoustic" not in run.experiment.get("encoders", ()) or run.experiment.get("normalisation") != "train":
        return
    store = _store(run, features)
    if store is None:
        yield _unexamined("the features are not at hand, so that the normalisation was not recomputed")
        return
    lacking = [u.id for fold in run.folds for part in PARTS for u in getattr(fold, part) if u.id not in store]
    if lacking:
        detail = f"{len(lacking):,} utterances have no features, so that the normalisation was not recomputed"
        yield found("not-examined", None, detail, utterances=len(lacking), examples=lacking)
        return
    for number, fold in enumerate(run.folds):
        for _, part in run.trained(number):
            path = part / "model.json"
            try:
                kept = Normaliser.from_json(_model(path).record("features"))
                origin = _origin(kept, fold, store)
            except (KeyError, TypeError, ValueError) as error:
                raise ModelError(f"{path}: damaged ({error!r}); train into a new folder") from error
            if origin is None:
                detail = "the normalisation of the model is of no part of this fold: nobody knows what it was fitted on"
                yield found("unknown-statistics", fold.name, detail)
            elif origin != ("train",):
                kind = "fitted-on-test" if "test" in origin else "unknown-statistics"
                parts = " and ".join(PARTS[name] for name in origin)
                yield found(kind, fold.name, f"the normalisation of the model was fitted on {parts} data", parts=parts)


def _store(run: _Run, features: Path | None) -> FeatureStore | None:
    """The features that the run heard; None where they are not there."""
    if features is None or not features.is_dir():
        return None
    try:
        return FeatureStore.open(features, feature_spec(run.experiment.get("features", "corrected")).extractor)
    except DuettoError:
        return None


_ORIGINS = (
    ("train",),
    ("train", "development"),
    ("train", "development", "test"),
    ("train", "test"),
    ("development", "test"),
    ("test",),
    ("development",),
)


def _origin(kept: Normaliser, fold: Fold, store: Mapping[str, np.ndarray]) -> tuple[str, ...] | None:
    """The parts of a fold whose statistics a normaliser holds; None where no parts have them."""
    for parts in _ORIGINS:
        frames = [store[u.id] for part in parts for u in getattr(fold, part)]
        if frames and _alike(kept, Normaliser.fit(frames, len(kept.mean))):
            return parts
    return None


def _alike(a: Normaliser, b: Normaliser) -> bool:
    shift = np.abs(a.mean - b.mean) / b.deviation
    scale = np.abs(a.deviation / b.deviation - 1)
    return bool(max(shift.max(), scale.max()) <= _TOLERANCE)


def _vocabularies(run: _Run) -> Iterator[Finding]:
    """Whether a model knows words that only test transcripts could have told it."""
    if "words" not in run.experiment.get("encoders", ()):
        return
    if not run.known:
        yield _unexamined("no manifest was given, so the vocabularies were not compared with the transcripts")
        return
    for number, fold in enumerate(run.folds):
        train, development, test = (
            {word for u in getattr(fold, part) for word in tokens(u)} for part in ("train", "development", "test")
        )
        for _, part in run.trained(number):
            for name in ("vocabulary", "language"):
                path = part / ("model.json" if name == "vocabulary" else "language.json")
                if not path.is_file():
                    continue
                words = _model(path).get(name if name == "vocabulary" else "words", [])
                yield from _vocabulary(run, fold, name, words, train, development, test)


def _vocabulary(
    run: _Run, fold: Fold, name: str, words: Sequence[str], train: set[str], development: set[str], test: set[str]
) -> Iterator[Finding]:
    beyond = set(words) - train
    only_test = sorted(beyond & test - development)
    elsewhere = beyond - test - development
    if not only_test:
        return
    if name == "vocabulary" and elsewhere and run.experiment.get("embeddings") in ("file", "word2vec", "speech2vec"):
        yield unknown_vectors("outside the corpus, with words that occur nowhere in it")
        return
    what = "vocabulary of the model" if name == "vocabulary" else "language model of the recogniser"
    examples = [u.id for u in fold.test if set(only_test) & set(tokens(u))]
    yield found(
        "vocabulary-from-test",
        fold.name,
        f"the {what} holds {len(only_test):,} words that only test transcripts hold, such as {only_test[0]!r}: "
        "it was built on test data",
        words=len(only_test),
        examples=examples,
    )
