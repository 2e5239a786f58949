"""What every classical baseline shares: what it reads, how it answers, how it chooses a setting.

    Fold + Inputs ─ Method.answer ─▶ Answers(test_logits, development_logits)

Everything that is fitted sees `fold.train`; every setting is chosen on `fold.development`; test data are only
answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from .. import metrics
from ..data.utterance import Utterance
from ..errors import ConfigurationError
from ..splits import Fold

FLOOR = 30.0
"""How far below an utterance's other logits that of a class stands which training data lack."""


@dataclass(frozen=True)
class Inputs:
    """What baselines read, by utterance id.

    frames: (frames, 34) short-term features; None where no baseline hears.
    tokens: normalised words (`data.text.tokens`), possibly none; None where no baseline reads.
    """

    frames: Mapping[str, np.ndarray] | None = None
    tokens: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class Answers:
    """Logits (n, classes) float64, finite, of the test and the development data, each in the fold's order.

    chosen: the settings that development data chose. notes: whatever else a reader of the result should know.
    """

    test_logits: np.ndarray
    development_logits: np.ndarray
    chosen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Method(Protocol):
    """A frozen dataclass: its fields are all that configures the baseline."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def answer(self, fold: Fold, inputs: Inputs, classes: Sequence[str], seed: int) -> Answers:
        """Fit on training data, choose on development data, answer both development and test data.

        classes: in the order of the logits. The same seed gives the same numbers.
        Errors: `ConfigurationError` for inputs that are lacking, empty or not finite, for a training part
        with fewer than two classes or an empty development part; `MissingExtraError` without the extra `train`.
        """
        ...


@dataclass(frozen=True)
class Baseline:
    """One classical system.

    name: unique among baselines and systems. title: a line for tables. needs: `frames`, `words` or both.
    source: the publication it follows. reconstruction: what is ours because the source could not be read; empty
    where nothing is. paper_ua: the figure in the paper's table 2, in percent, where there is one.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    source: str
    method: Method
    reconstruction: str = ""
    paper_ua: float | None = None

    def answer(self, fold: Fold, inputs: Inputs, classes: Sequence[str], seed: int = 0) -> Answers:
        """See `Method.answer`; the inputs that are needed, the parts and the classes are checked first."""
        check(fold)
        for need, given in (("frames", inputs.frames), ("words", inputs.tokens)):
            if need in self.needs and given is None:
                raise ConfigurationError(f"baseline {self.name!r} reads {need}; give Inputs its {need}")
        return self.method.answer(fold, inputs, classes, seed)


def check(fold: Fold) -> None:
    """Refuse a fold on which nothing can be fitted or chosen."""
    labels = {u.label for u in fold.train}
    if len(labels) < 2:
        raise ConfigurationError(
            f"fold {fold.name!r} has {len(labels)} class(es) in its training part; a classifier needs two or more"
        )
    if not labels & {u.label for u in fold.development}:
        raise ConfigurationError(
            f"fold {fold.name!r} has no development data of the classes in its training part; "
            "the settings are chosen on them"
        )


def parts(fold: Fold) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...], tuple[Utterance, ...]]:
    """Training, development and test data."""
    return fold.train, fold.development, fold.test


def targets(utterances: Sequence[Utterance], classes: Sequence[str]) -> np.ndarray:
    """Class numbers (n,) int64."""
    numbers = {label: number for number, label in enumerate(classes)}
    unknown = next((u for u in utterances if u.label not in numbers), None)
    if unknown is not None:
        raise ConfigurationError(
            f"utterance {unknown.id!r} is labelled {unknown.label!r}; the classes are {', '.join(classes)}"
        )
    return np.array([numbers[str(u.label)] for u in utterances], np.int64)


def frames(inputs: Inputs, utterances: Sequence[Utterance]) -> list[np.ndarray]:
    """The frames of each utterance, (frames, dim) with at least one frame, finite."""
    given = inputs.frames or {}
    found = []
    for utterance in utterances:
        if utterance.id not in given:
            raise ConfigurationError(f"utterance {utterance.id!r} has no features; extract them first: duetto features")
        array = np.asarray(given[utterance.id])
        if array.ndim != 2 or not array.size:
            raise ConfigurationError(
                f"utterance {utterance.id!r} has features of shape {array.shape}; (frames ≥ 1, features) is required"
            )
        if not np.isfinite(array).all():
            raise ConfigurationError(f"utterance {utterance.id!r} has features that are not finite; extract them again")
        found.append(array)
    return found


def tokens(inputs: Inputs, utterances: Sequence[Utterance]) -> list[Sequence[str]]:
    """The words of each utterance; an empty transcript has none, a missing entry is an error."""
    given = inputs.tokens or {}
    lacking = next((u.id for u in utterances if u.id not in given), None)
    if lacking is not None:
        raise ConfigurationError(f"utterance {lacking!r} has no entry among the words; give it an empty list")
    return [given[u.id] for u in utterances]


def best(logits: Sequence[np.ndarray], target: np.ndarray) -> int:
    """Place of the candidate with the highest UA on development data, the first of equals (`metrics.TIE_TOLERANCE`).

    logits: of each candidate, (n, classes); the simplest candidate should come first.
    """
    return metrics.best_index(
        [metrics.unweighted_accuracy(target, metrics.predicted_classes(x), x.shape[1]) for x in logits]
    )


def columns(values: np.ndarray, present: Sequence[int] | np.ndarray, n_classes: int) -> np.ndarray:
    """Logits (n, classes) from scores (n, present classes); a class without training data stays `FLOOR` below.

    Binary classifiers give one score an utterance, (n,), in favour of the second class: it counts for both.
    """
    scores = np.asarray(values, np.float64)
    if scores.ndim == 1:
        scores = np.stack([-scores, scores], 1) / 2
    logits = np.repeat(scores.min(1, keepdims=True, initial=0.0) - FLOOR, n_classes, axis=1)
    logits[:, np.asarray(present, np.int64)] = scores
    return logits
