"""What all classical baselines share: their inputs and output, and how a setting is chosen.

    Fold + BaselineInputs ─ Baseline.fit_predict ─▶ BaselineOutput(test_logits, development_logits)

Everything that is fitted sees `fold.train` only; every setting is chosen on `fold.development`; test data are only
classified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from .. import metrics
from ..data.utterance import Utterance
from ..embeddings.vocabulary import Vocabulary
from ..errors import ConfigurationError
from ..splits import Fold
from .scorer import Scorer

FLOOR = 30.0
"""How far the logit of a class without training data lies below the utterance's other logits."""


@dataclass(frozen=True)
class BaselineInputs:
    """What baselines read, by utterance id; None for what no baseline in use reads.

    Attributes:
        frames: Utterance id → (frames, 34) short-term features.
        tokens: Utterance id → normalised words (`data.text.tokens`), possibly none.
    """

    frames: Mapping[str, np.ndarray] | None = None
    tokens: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class BaselineOutput:
    """The predictions of a fitted baseline on one fold.

    Attributes:
        test_logits: (n, classes) float64, finite, in the fold's order.
        development_logits: (n, classes) float64, finite, in the fold's order.
        scorer: What answers for other recordings.
        vocabulary: Words whose ids `scorer` reads.
        chosen: The settings that were chosen on development data.
        notes: What else a reader of the result should know.
    """

    test_logits: np.ndarray
    development_logits: np.ndarray
    scorer: Scorer
    vocabulary: Vocabulary = field(default_factory=lambda: Vocabulary(()))
    chosen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Classifier(Protocol):
    """A frozen dataclass whose fields are the whole configuration of a baseline.

    Attributes:
        scorer: Class of what it keeps.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    scorer: ClassVar[type[Scorer]]

    def fit_predict(self, fold: Fold, inputs: BaselineInputs, classes: Sequence[str], seed: int) -> BaselineOutput:
        """Fit on training data, choose settings on development data, classify development and test data.

        Args:
            fold: The three parts.
            inputs: Of all their utterances.
            classes: In the order of the logits.
            seed: The same seed gives the same numbers.

        Returns:
            The predictions.

        Raises:
            ConfigurationError: Inputs are missing, empty or not finite.
            MissingExtraError: The extra `train` is not installed.
        """
        ...


@dataclass(frozen=True)
class Baseline:
    """One classical system.

    Attributes:
        name: Unique among baselines and systems.
        title: A line for tables.
        needs: `frames`, `words` or both.
        source: The publication it follows.
        method: The classifier and its settings.
        reconstruction: What is ours because the source could not be read; empty where nothing is.
        paper_ua: The figure in the paper's table 2, in percent, where there is one.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    source: str
    method: Classifier
    reconstruction: str = ""
    paper_ua: float | None = None

    def fit_predict(self, fold: Fold, inputs: BaselineInputs, classes: Sequence[str], seed: int = 0) -> BaselineOutput:
        """Validate fold and inputs, and call `Classifier.fit_predict`.

        Args:
            fold: The three parts.
            inputs: Of all their utterances.
            classes: In the order of the logits.
            seed: The same seed gives the same numbers.

        Returns:
            The predictions.

        Raises:
            ConfigurationError: The training part has fewer than two classes, the development part has none of them, or
                inputs are missing, empty or not finite.
            MissingExtraError: The extra `train` is not installed.
        """
        _check(fold)
        for need, values in (("frames", inputs.frames), ("words", inputs.tokens)):
            if need in self.needs and values is None:
                raise ConfigurationError(f"baseline {self.name!r} reads {need}; give BaselineInputs its {need}")
        return self.method.fit_predict(fold, inputs, classes, seed)


def _check(fold: Fold) -> None:
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
    """List the parts of a fold.

    Args:
        fold: The fold.

    Returns:
        Training, development and test data.
    """
    return fold.train, fold.development, fold.test


def targets(utterances: Sequence[Utterance], classes: Sequence[str]) -> np.ndarray:
    """Number the classes of utterances.

    Args:
        utterances: With labels.
        classes: In the order of their numbers.

    Returns:
        (n,) int64.

    Raises:
        ConfigurationError: A label is not among the classes.
    """
    numbers = {label: number for number, label in enumerate(classes)}
    unknown = next((u for u in utterances if u.label not in numbers), None)
    if unknown is not None:
        raise ConfigurationError(
            f"utterance {unknown.id!r} is labelled {unknown.label!r}; the classes are {', '.join(classes)}"
        )
    return np.array([numbers[str(u.label)] for u in utterances], np.int64)


def frames(inputs: BaselineInputs, utterances: Sequence[Utterance]) -> list[np.ndarray]:
    """Look up the frames of utterances.

    Args:
        inputs: Of all utterances.
        utterances: To look up.

    Returns:
        (frames, dim) of each, finite, with at least one frame.

    Raises:
        ConfigurationError: Frames are missing, of another shape, or not finite.
    """
    available = inputs.frames or {}
    found = []
    for utterance in utterances:
        if utterance.id not in available:
            raise ConfigurationError(f"utterance {utterance.id!r} has no features; extract them first: duetto features")
        array = np.asarray(available[utterance.id])
        if array.ndim != 2 or not array.size:
            raise ConfigurationError(
                f"utterance {utterance.id!r} has features of shape {array.shape}; (frames ≥ 1, features) is required"
            )
        if not np.isfinite(array).all():
            raise ConfigurationError(f"utterance {utterance.id!r} has features that are not finite; extract them again")
        found.append(array)
    return found


def tokens(inputs: BaselineInputs, utterances: Sequence[Utterance]) -> list[Sequence[str]]:
    """Look up the words of utterances.

    Args:
        inputs: Of all utterances.
        utterances: To look up.

    Returns:
        The normalised words of each, none for an empty transcript.

    Raises:
        ConfigurationError: An utterance has no entry.
    """
    available = inputs.tokens or {}
    missing = next((u.id for u in utterances if u.id not in available), None)
    if missing is not None:
        raise ConfigurationError(f"utterance {missing!r} has no entry among the words; give it an empty list")
    return [available[u.id] for u in utterances]


def best(logits: Sequence[np.ndarray], target: np.ndarray) -> int:
    """Choose the candidate with the highest UA on development data, the first of equals (`metrics.TIE_TOLERANCE`).

    Args:
        logits: (n, classes) of each candidate; the simplest candidate should come first.
        target: (n,) class numbers.

    Returns:
        The candidate's index.
    """
    return metrics.best_index(
        [metrics.unweighted_accuracy(target, metrics.predicted_classes(x), x.shape[1]) for x in logits]
    )


def to_logits(values: np.ndarray, present: Sequence[int] | np.ndarray, n_classes: int) -> np.ndarray:
    """Make logits of all classes from scores of the classes with training data.

    Args:
        values: (n, present classes) scores; or (n,) of a binary classifier, in favour of the second class, which are
            split evenly between both.
        present: Numbers of the classes with training data; the logits of the others lie `FLOOR` below.
        n_classes: Number of all classes.

    Returns:
        (n, classes) float64.
    """
    scores = np.asarray(values, np.float64)
    if scores.ndim == 1:
        scores = np.stack([-scores, scores], 1) / 2
    logits = np.repeat(scores.min(1, keepdims=True, initial=0.0) - FLOOR, n_classes, axis=1)
    logits[:, np.asarray(present, np.int64)] = scores
    return logits
