"""The answers of a model under one condition: asked for, or kept from an earlier call.

    Recordings, condition ─ Answers.of ─▶ SystemResult, seconds of speech, errors
                                 └─ DIR/answers/CONDITION.json, rewritten as answers come

A kept answer counts where the model, the recording and what the condition does are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from .. import audio
from ..data.utterance import Utterance
from ..errors import DuettoError, ModelError
from ..evaluation import SystemResult, from_utterances
from ..inference.prediction import Prediction
from ..inference.scoring import LEAST
from ..utils import files, parallel
from ..utils.reading import read_json
from ..utils.text import to_json
from .conditions import CONDITIONS, VERSION
from .recordings import Recordings

FOLDER = "answers"
AS_IT_IS = "clean"
"""Name of the recordings without any change."""

_FORMAT = "duetto-answers-1"
_SAVED_AFTER = 100
"""New answers after which they are written."""
_NOTHING: audio.Source = {"waveform": np.zeros(0, np.float32), "sample_rate": 16_000}


class Predictor(Protocol):
    """What is tested: a `Recogniser`, whose attributes these are."""

    @property
    def name(self) -> str:
        """The model."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes."""
        ...

    def predict_many(self, sources: Iterable[audio.Source], *, workers: int = 1) -> Iterator[Prediction | DuettoError]:
        """Predict recordings.

        Args:
            sources: The recordings.
            workers: Recordings at a time.

        Returns:
            A prediction or an error for each, in order.
        """
        ...


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        probabilities: (classes,).
        speech_seconds: See `Prediction`.
    """

    probabilities: tuple[float, ...]
    speech_seconds: float


@dataclass(frozen=True)
class Answered:
    """Answers under one condition.

    Attributes:
        utterances: Those that have an answer.
        answers: One each.
        errors: Why the others have none.
    """

    utterances: tuple[Utterance, ...]
    answers: tuple[Answer, ...]
    errors: tuple[DuettoError, ...]

    @property
    def without_speech(self) -> np.ndarray:
        """(n,) whether no speech was found."""
        return np.array([answer.speech_seconds == 0 for answer in self.answers], bool)

    def result(self, name: str, classes: Sequence[str]) -> SystemResult:
        """Make the result.

        Args:
            name: Of the system.
            classes: Of the model.

        Returns:
            The result of one seed; its logits are the logarithms of the probabilities.
        """
        table = np.array([answer.probabilities for answer in self.answers])
        return from_utterances(name, self.utterances, classes, np.log(np.maximum(table, LEAST))[None], seeds=(0,))


def digest_of(folder: Path) -> str:
    """Name a model by what its files contain.

    Args:
        folder: A model folder.

    Returns:
        A digest.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    each = [f"{path.relative_to(folder).as_posix()} {files.digest(path)}" for path in paths]
    return hashlib.sha256("\n".join(each).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Answers:
    """The answers of a model, kept in a folder.

    Args:
        model: What is tested; it answers for any sound.
        utterances: The utterances.
        made_by: What the answers depend on besides recording and condition: the model's digest, its speech recogniser.
        folder: Where they are kept; None for nowhere.
        workers: Recordings at a time.

    Attributes:
        recordings: Of the utterances.
    """

    def __init__(
        self,
        model: Predictor,
        utterances: Sequence[Utterance],
        made_by: Mapping[str, str],
        folder: Path | None = None,
        workers: int = 1,
    ) -> None:
        self._model, self._utterances, self._workers = model, utterances, workers
        self._made_by, self._folder = dict(made_by), folder
        self.recordings = Recordings(utterances)

    def of(self, condition: str | None, answered: Callable[[], None] | None = None) -> Answered:
        """Answer all utterances under a condition.

        Args:
            condition: Key of `CONDITIONS`; None for the recordings as they are.
            answered: Called after each answer.

        Returns:
            The answers.
        """
        path = None if self._folder is None else self._folder / FOLDER / f"{condition or AS_IT_IS}.json"
        made_by = self._made(condition)
        found = {} if path is None else _kept(path, made_by, self._model.labels)
        pairs = list(zip(self.recordings.keys, self._utterances, strict=True))
        missing = [(key, u) for key, u in pairs if key not in found]
        for _ in range(len(pairs) - len(missing)):
            _call(answered)
        errors: dict[str, DuettoError] = {}
        saved = len(found)
        try:
            outcomes = self._predicted([u for _, u in missing], condition)
            for (key, u), outcome in zip(missing, outcomes, strict=True):
                if isinstance(outcome, DuettoError):
                    errors[u.id] = outcome
                else:
                    table = tuple(outcome.probabilities[label] for label in self._model.labels)
                    found[key] = Answer(table, outcome.speech_seconds)
                _call(answered)
                if path is not None and len(found) - saved >= _SAVED_AFTER:
                    _keep(path, made_by, self._model.labels, found)
                    saved = len(found)
        finally:  # what was answered before an interruption is not lost
            if path is not None and len(found) > saved:
                _keep(path, made_by, self._model.labels, found)
        done = [(u, found[key]) for key, u in pairs if u.id not in errors]
        return Answered(tuple(u for u, _ in done), tuple(answer for _, answer in done), tuple(errors.values()))

    def _made(self, condition: str | None) -> dict[str, str]:
        made = {**self._made_by, "condition": "", "version": str(VERSION)}
        if condition is not None:
            made["condition"] = CONDITIONS[condition].title
            if CONDITIONS[condition].mixes:
                made["mixed from"] = self.recordings.mixed_from()
        return made

    def _predicted(self, utterances: Sequence[Utterance], condition: str | None) -> Iterator[Prediction | DuettoError]:
        """Recordings are changed in threads, ahead of their predictions."""
        failed: dict[int, DuettoError] = {}
        load = partial(self.recordings.load, condition=condition)

        def sources() -> Iterator[audio.Source]:
            read = parallel.in_order(load, utterances, workers=self._workers, crashed=load)
            for i, source in enumerate(read):
                if isinstance(source, DuettoError):
                    failed[i] = source
                yield _NOTHING if isinstance(source, DuettoError) else source

        for i, outcome in enumerate(self._model.predict_many(sources(), workers=self._workers)):
            yield failed.get(i, outcome)


def _call(answered: Callable[[], None] | None) -> None:
    if answered is not None:
        answered()


def _kept(path: Path, made_by: Mapping[str, str], labels: Sequence[str]) -> dict[str, Answer]:
    """Answers of an earlier call; none where they are of another model or condition."""
    if not path.is_file():
        return {}
    record = read_json(path, error=ModelError, limit=1 << 30, repair="delete it, and run the tests again")
    if record.get("format") != _FORMAT or record["made_by"] != made_by or record.texts("classes") != tuple(labels):
        return {}
    answers = record.record("answers")
    rows = {key: answers.array(key, (len(labels) + 1,)).tolist() for key in answers}
    return {key: Answer(tuple(row[:-1]), row[-1]) for key, row in rows.items()}


def _keep(path: Path, made_by: Mapping[str, str], labels: Sequence[str], answers: Mapping[str, Answer]) -> None:
    rows = {key: [*answer.probabilities, answer.speech_seconds] for key, answer in sorted(answers.items())}
    record = {"format": _FORMAT, "made_by": made_by, "classes": list(labels), "answers": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, to_json(record))
