"""Checks of what a run fitted and chose: settings, epochs, normalisation, vocabularies.

Models are read as plain JSON, so that one that other code wrote, or that somebody edited, is checked too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import runs
from ..data.text import tokens
from ..errors import DuettoError, ModelError
from ..features.registry import feature_spec
from ..features.store import FeatureStore
from ..metrics import best_index
from ..preprocessing import Normaliser
from ..splits import Fold
from ..utils.reading import Record, read_json
from .audited_run import AuditedRun
from .findings import Finding, make_finding
from .folds import PARTS

CHOICES = ("development", "last")
"""Ways to choose an epoch that use no test data."""

_TOLERANCE = 1e-3
"""Largest difference of two equal means, in deviations, and relative difference of two equal deviations: far more
than float32 and the order of a sum cause, far less than other data do."""

_ORIGINS = (
    ("train",),
    ("train", "development"),
    ("train", "development", "test"),
    ("train", "test"),
    ("development", "test"),
    ("test",),
    ("development",),
)
"""Combinations of parts that a normaliser is compared with, the right one first."""


def check(run: AuditedRun, features: Path | None) -> Iterator[Finding]:
    """Check what a run fitted and chose.

    Args:
        run: The run.
        features: Folder of the feature store that training used, or None.

    Yields:
        The findings.

    Raises:
        ModelError: A file of the run is damaged.
    """
    if run.is_baseline:
        yield _not_examined("what a baseline was fitted to was not examined")
        return
    for branch in run.branches():
        yield from _settings(branch)
        yield from _epochs(branch)
        yield from _statistics(branch, features)
        yield from _vocabularies(branch)


def unknown_vectors(source: str) -> Finding:
    """Describe word vectors that were trained elsewhere.

    Args:
        source: Where they came from.

    Returns:
        The finding.
    """
    detail = f"word vectors came from {source}; whether test transcripts were in what they were trained on is not known"
    return make_finding("unknown-vectors", None, detail)


def _not_examined(detail: str) -> Finding:
    return make_finding("not-examined", None, detail)


def _settings(run: AuditedRun) -> Iterator[Finding]:
    """Findings that follow from the experiment's own settings."""
    e = run.experiment
    choice = e.get("epoch_choice")
    if choice not in CHOICES:
        detail = f"the epoch was chosen by {choice!r}; only {' and '.join(CHOICES)} are known to use no test data"
        yield make_finding("chosen-on-test", None, detail, epoch_choice=choice)
    if e.get("normalisation") == "speaker":
        yield make_finding(
            "speaker-normalisation",
            None,
            "features are normalised by each speaker's own statistics, in test data too. No label is seen, but all "
            "of a test speaker's utterances are: the figures hold for speakers with earlier recordings (transductive)",
        )
    if e.get("normalisation") == "shrinkage":
        yield make_finding(
            "session-statistics",
            None,
            "the figures after 1, 5 and 20 utterances use the statistics of that many other utterances of each test "
            "speaker: without labels and never of the scored utterance itself, as a session has of earlier ones "
            "(transductive, causal). The figures of single recordings use none",
        )
    if e.get("padding") in ("pre", "post"):
        detail = f"padding {e['padding']!r} lets the model read zeros, so that an answer depends on max_frames; no leak"
        yield make_finding("padding-read", None, detail, padding=e["padding"])
    if e.get("initial"):
        name = Path(str(e["initial"])).name
        detail = f"training started from weights in {name}; what they were trained on is not known"
        yield make_finding("unknown-weights", None, detail)
    if e.get("sentences"):
        detail = f"sentences are embedded by {Path(str(e['sentences'])).name}; what it was trained on is not known"
        yield make_finding("unknown-weights", None, detail)


def _epochs(run: AuditedRun) -> Iterator[Finding]:
    """Findings where the epoch that was kept is not the one that the stated choice selects."""
    choice, unfinished = run.experiment.get("epoch_choice"), 0
    for number, fold in enumerate(run.folds):
        for seed in run.record["seeds"]:
            path = run.part(number, seed) / runs.OUTCOME
            if not path.is_file():
                unfinished += 1
                continue
            chosen, expected = _chosen(path, choice)
            if expected is not None and chosen != expected:
                yield make_finding(
                    "unknown-epoch",
                    fold.name,
                    f"epoch {chosen + 1} was kept, but choice {choice!r} selects epoch {expected + 1}",
                    seed=seed,
                    kept=chosen + 1,
                    expected=expected + 1,
                )
        if choice == "development" and not fold.development and run.has_manifest:
            detail = "the run states that the epoch was chosen on development data, but there are none"
            yield make_finding("unknown-epoch", fold.name, detail)
    if unfinished:
        yield _not_examined(f"{unfinished} trainings of the run are not finished")


def _chosen(path: Path, choice: Any) -> tuple[int, int | None]:
    """The epoch that was kept, from 0, and the one that the choice selects (None where that is not known)."""
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


def _statistics(run: AuditedRun, features: Path | None) -> Iterator[Finding]:
    """Findings where the normalisation in a model is not that of its training part."""
    if "acoustic" not in run.experiment.get("encoders", ()) or run.experiment.get("normalisation") not in (
        "train",
        "shrinkage",
    ):
        return
    store = _store(run, features)
    if store is None:
        yield _not_examined("the features are not available, so the normalisation was not recomputed")
        return
    lacking = [utterance.id for _, _, utterance in run.members() if utterance.id not in store]
    if lacking:
        detail = f"{len(lacking):,} utterances have no features, so the normalisation was not recomputed"
        yield make_finding("not-examined", None, detail, utterances=len(lacking), examples=lacking)
        return
    for number, fold in enumerate(run.folds):
        for training in run.trainings(number):
            yield from _normaliser(fold, training / "model.json", store)


def _normaliser(fold: Fold, path: Path, store: Mapping[str, np.ndarray]) -> Iterator[Finding]:
    """A finding where the normalisation of one model is not that of the fold's training part."""
    try:
        origin = _origin(Normaliser.from_json(_model(path).record("features")), fold, store)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: damaged ({error!r}); train into a new folder") from error
    if origin is None:
        detail = "the normalisation of the model is that of no part of this fold: what it was fitted to is not known"
        yield make_finding("unknown-statistics", fold.name, detail)
    elif origin != ("train",):
        kind = "fitted-on-test" if "test" in origin else "unknown-statistics"
        parts = " and ".join(PARTS[name] for name in origin)
        detail = f"the normalisation of the model was fitted on {parts} data"
        yield make_finding(kind, fold.name, detail, parts=parts)


def _store(run: AuditedRun, features: Path | None) -> FeatureStore | None:
    """The features that the run read; None where they are not available."""
    if features is None or not features.is_dir():
        return None
    try:
        speech_only = bool(run.experiment.get("speech_only", False))
        spec = feature_spec(run.experiment.get("features", "corrected"), speech_only=speech_only)
        return FeatureStore.open(features, spec.extractor)
    except DuettoError:
        return None


def _origin(normaliser: Normaliser, fold: Fold, store: Mapping[str, np.ndarray]) -> tuple[str, ...] | None:
    """The parts of a fold whose statistics a normaliser holds; None where no parts have them."""
    for parts in _ORIGINS:
        frames = [store[u.id] for part in parts for u in getattr(fold, part)]
        if frames and _equal(normaliser, Normaliser.fit(frames, len(normaliser.mean))):
            return parts
    return None


def _equal(a: Normaliser, b: Normaliser) -> bool:
    shift = np.abs(a.mean - b.mean) / b.deviation
    scale = np.abs(a.deviation / b.deviation - 1)
    return bool(max(shift.max(), scale.max()) <= _TOLERANCE)


def _vocabularies(run: AuditedRun) -> Iterator[Finding]:
    """Findings where a model holds words that only test transcripts have."""
    if "words" not in run.experiment.get("encoders", ()):
        return
    if not run.has_manifest:
        yield _not_examined("no manifest was given, so the vocabularies were not compared with the transcripts")
        return
    for number, fold in enumerate(run.folds):
        spoken = {part: {word for u in getattr(fold, part) for word in tokens(u)} for part in PARTS}
        for training in run.trainings(number):
            for file, key in (("model.json", "vocabulary"), ("language.json", "words")):
                if (training / file).is_file():
                    words = _model(training / file).get(key, [])
                    yield from _vocabulary(run, fold, key == "vocabulary", words, spoken)


def _vocabulary(
    run: AuditedRun, fold: Fold, of_model: bool, words: Sequence[str], spoken: Mapping[str, set[str]]
) -> Iterator[Finding]:
    """A finding where words of a vocabulary (else of a language model) occur in test transcripts only."""
    beyond = set(words) - spoken["train"]
    only_test = sorted(beyond & spoken["test"] - spoken["development"])
    if not only_test:
        return
    elsewhere = beyond - spoken["test"] - spoken["development"]
    if of_model and elsewhere and run.experiment.get("embeddings") in ("file", "word2vec", "speech2vec"):
        yield unknown_vectors("outside the corpus, with words that occur nowhere in it")
        return
    what = "vocabulary of the model" if of_model else "language model of the recogniser"
    examples = [u.id for u in fold.test if set(only_test) & set(tokens(u))]
    yield make_finding(
        "vocabulary-from-test",
        fold.name,
        f"the {what} holds {len(only_test):,} words that only test transcripts hold, such as {only_test[0]!r}: "
        "it was built on test data",
        words=len(only_test),
        examples=examples,
    )
