"""A model that is there already, scored on labelled utterances: nothing is trained.

    Recogniser + utterances ─ score_utterances ─▶ Scored ─ result ─▶ report
                                                         ─ save_csv ─▶ one line for each utterance

Predictions are those of `duetto predict --any-sound`: a recording without speech is scored by the answer that the
model gives for any sound, as in the results of `duetto train`, since a result needs an answer for every utterance.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import audio, runs
from ..data.text import tokens
from ..data.utterance import Utterance
from ..errors import AudioError, ConfigurationError, DuettoError
from ..evaluation import SystemResult, from_utterances
from ..report import run_summary
from ..utils import files, parallel
from ..utils.progress import Progress
from ..utils.text import name_of
from .prediction import Prediction
from .recogniser import Recogniser
from .training_data import trained_on, training_note

LEAST = 1e-12
"""Probabilities below this count as this much in a logarithm; one in a float is 0 beyond e⁻⁷⁴⁵."""


@dataclass(frozen=True)
class Answered:
    """One utterance and what the model made of it.

    Attributes:
        utterance: With its label.
        outcome: The prediction, or the error that prevented it.
    """

    utterance: Utterance
    outcome: Prediction | DuettoError


@dataclass(frozen=True)
class Scored:
    """A model's predictions of labelled utterances.

    Attributes:
        model: As given to `duetto.load`.
        classes: Of the model, in the order of its label set.
        answers: Of all utterances whose label is a class of the model.
        other_labels: Label that the model does not have → number of utterances, which are left out.
        unlabelled: Number of utterances without a label, which are left out.
        trained_on: Number of answered utterances whose recording the model was trained or chosen on; None where the
            model does not state its training data (exported and shipped models).
        folds: Fold whose model gave each answer, where a run is scored on its own manifest; else empty.
        untested: Number of labelled utterances that no fold of the run tests, which are left out.
    """

    model: str
    classes: tuple[str, ...]
    answers: tuple[Answered, ...]
    other_labels: dict[str, int]
    unlabelled: int
    trained_on: int | None
    folds: tuple[int, ...] = ()
    untested: int = 0

    @property
    def predictions(self) -> list[tuple[Utterance, Prediction]]:
        """The utterances that have a prediction."""
        return [(a.utterance, a.outcome) for a in self.answers if isinstance(a.outcome, Prediction)]

    @property
    def errors(self) -> list[DuettoError]:
        """Why utterances have no prediction."""
        return [a.outcome for a in self.answers if isinstance(a.outcome, DuettoError)]

    @property
    def without_speech(self) -> int:
        """Number of predictions of recordings without speech."""
        return sum(prediction.speech_seconds == 0 for _, prediction in self.predictions)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the result should know."""
        notes = [f"{len(self.predictions):,} utterances predicted as `duetto predict` does, nothing trained"]
        if self.folds:
            used = f"{len(set(self.folds))} fold{'s' * (len(set(self.folds)) > 1)}"
            notes.append(
                f"the manifest is the run's own: each utterance by the model of the fold that tests it ({used})"
            )
        if self.untested:
            notes.append(
                f"{self.untested:,} utterances left out, which the run was trained or chosen on, or did not use"
            )
        if self.other_labels:
            counts = ", ".join(f"{label} ({n:,})" for label, n in sorted(self.other_labels.items()))
            total = sum(self.other_labels.values())
            notes.append(f"{total:,} utterances left out, whose label is no class of the model: {counts}")
        if self.unlabelled:
            notes.append(f"{self.unlabelled:,} utterances left out, which have no label")
        if self.errors:
            notes.append(f"{len(self.errors):,} utterances left out, which could not be read or analysed")
        if n := self.without_speech:
            notes.append(
                f"{n:,} utterances without speech, for which `duetto predict` gives no emotion: scored by the answer "
                "for any sound, as in `duetto train`"
            )
        notes.append(training_note(self.trained_on))
        return tuple(notes)

    def result(self) -> SystemResult:
        """Make the result.

        The logits are the logarithms of the probabilities, so that the temperature is 1: calibration is that of the
        probabilities that users get, after the model's own temperature and confidence.

        Returns:
            The result of one seed; of kind `leak` where a recording was trained on.

        Raises:
            ConfigurationError: There is no prediction.
        """
        predicted = self.predictions
        if not predicted:
            raise ConfigurationError(
                f"model {self.model}: nothing to score. {'; '.join(self.notes[1:])}. Its classes are "
                f"{', '.join(self.classes)}; write the manifest with labels of these names"
            )
        probabilities = np.array([[p.probabilities[label] for label in self.classes] for _, p in predicted])
        dimensions = {}
        if self.dimensions:
            ratings = [[(p.dimensions or {})[name] for name in self.dimensions] for _, p in predicted]
            dimensions = {"dimensions": self.dimensions, "predicted_ratings": np.array(ratings)[None]}
        name = Path(self.model).name or self.model
        numbers = [
            n for n, answer in zip(self.folds, self.answers, strict=False) if isinstance(answer.outcome, Prediction)
        ]
        return from_utterances(
            name,
            [utterance for utterance, _ in predicted],
            self.classes,
            np.log(np.maximum(probabilities, LEAST))[None],
            seeds=(0,),
            title=f"model {name}",
            kind="leak" if self.trained_on else "system",
            notes=self.notes,
            fold=np.array(numbers, np.int64),
            **dimensions,
        )

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Dimensions that the model predicts beside the classes."""
        return tuple(self.predictions[0][1].dimensions or ()) if self.predictions else ()

    def save_csv(self, path: Path) -> None:
        """Write a line for each utterance, atomically.

        Columns: `id`, `audio`, `speaker`, `target`, `answer`, `correct`, `probability_CLASS` for each class,
        `annotated_NAME` and `predicted_NAME` for each dimension, `speech_seconds`, `unfamiliar`, `uncertain`, `error`.
        Without a prediction all that follows from one is empty.

        Args:
            path: The file.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        values = [f"probability_{label}" for label in self.classes]
        values += [f"{kind}_{name}" for name in self.dimensions for kind in ("annotated", "predicted")]
        last = ["speech_seconds", "unfamiliar", "uncertain", "error"]
        writer.writerow(["id", "audio", "speaker", "target", "answer", "correct", *values, *last])
        writer.writerows(self._row(answered) for answered in self.answers)
        files.write_text(path, out.getvalue())

    def _row(self, answered: Answered) -> list[Any]:
        u, outcome = answered.utterance, answered.outcome
        audio_name = name_of(str(u.audio)).encode("utf-8", "backslashreplace").decode()
        about = [u.id, audio_name, u.speaker or "", u.label]
        annotated = [(u.dimensions or {}).get(name, "") for name in self.dimensions]
        if isinstance(outcome, DuettoError):
            ratings = [cell for rating in annotated for cell in (rating, "")]
            return [*about, *[""] * (len(self.classes) + 2), *ratings, "", "", "", str(outcome)]
        values = [round(outcome.probabilities[label], 6) for label in self.classes]
        for name, rating in zip(self.dimensions, annotated, strict=True):
            values += [rating, round((outcome.dimensions or {})[name], 6)]
        doubts = [_cell(outcome.unfamiliar), _cell(outcome.uncertain)]
        seconds = round(outcome.speech_seconds, 3)
        return [*about, outcome.label, _cell(outcome.label == u.label), *values, seconds, *doubts, ""]


def _cell(value: bool | None) -> str:
    return "" if value is None else str(value).lower()


def score_utterances(
    recogniser: Recogniser,
    utterances: Sequence[Utterance],
    *,
    given_words: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> Scored:
    """Predict labelled utterances.

    Args:
        recogniser: Of the model, loaded with `require_speech=False`.
        utterances: Of any corpus. Those whose label is no class of the model are counted, not predicted.
        given_words: Give the model the words or transcripts of the utterances that have them, instead of recognising
            words in the speech.
        workers: Utterances at a time.
        progress: Counts utterances.

    Returns:
        The predictions.
    """
    labelled = [u for u in utterances if u.label is not None]
    known = [u for u in labelled if u.label in recogniser.labels]
    outcomes = _with_words if given_words else predicted
    answers = []
    for u, outcome in zip(known, outcomes(recogniser, known, workers), strict=True):
        answers.append(Answered(u, outcome))
        if progress:
            progress(len(answers), len(known))
    return Scored(
        recogniser.name,
        recogniser.labels,
        tuple(answers),
        dict(Counter(str(u.label) for u in labelled if u.label not in recogniser.labels)),
        len(utterances) - len(labelled),
        trained_on(recogniser.name, known),
    )


def predicted(
    recogniser: Recogniser, utterances: Sequence[Utterance], workers: int = 1
) -> Iterator[Prediction | DuettoError]:
    """Recognise the emotion of utterances by their recordings alone.

    Args:
        recogniser: What answers.
        utterances: With distinct ids.
        workers: Utterances at a time.

    Yields:
        The result of each, in their order; a cut that cannot be read is an error of that utterance.
    """
    failed: dict[str, DuettoError] = {}

    def sources() -> Iterator[audio.Source]:
        for u in utterances:
            try:
                yield source_of(u)
            except AudioError as error:
                failed[u.id] = error
                yield {"waveform": np.zeros(0, np.float32), "sample_rate": 16_000}  # an error, replaced below

    for u, outcome in zip(utterances, recogniser.predict_many(sources(), workers=workers), strict=True):
        yield failed.get(u.id, outcome)


def _with_words(
    recogniser: Recogniser, utterances: Sequence[Utterance], workers: int
) -> Iterator[Prediction | DuettoError]:
    """Predictions by the words of the utterances, where they have any."""
    attempt = partial(_attempt_with_words, recogniser)
    return parallel.in_order(attempt, utterances, workers=workers, crashed=attempt)


def _attempt_with_words(recogniser: Recogniser, utterance: Utterance) -> Prediction | DuettoError:
    try:
        source = source_of(utterance)
    except AudioError as error:
        return error
    return recogniser.attempt(source, **given_words_of(utterance))


def given_words_of(utterance: Utterance) -> dict[str, Any]:
    """Find what a recogniser is given of an utterance, so that it recognises no words.

    Args:
        utterance: With words or a transcript, or without.

    Returns:
        Arguments of `Recogniser.__call__`: `words`, or `transcript`, which is None where there is none.
    """
    if utterance.words is not None:
        return {"words": utterance.words}
    return {"transcript": utterance.text if tokens(utterance) else None}


def source_of(utterance: Utterance) -> audio.Source:
    """Find what a recogniser reads of an utterance.

    Args:
        utterance: With or without `start` and `end`.

    Returns:
        The path of its recording; the samples of its cut, where it is a part of one.

    Raises:
        AudioError: The cut cannot be read.
    """
    if utterance.start is None and utterance.end is None:
        return utterance.audio
    cut = audio.load(utterance.audio, start=utterance.start, end=utterance.end)
    return {"waveform": cut.samples, "sample_rate": cut.sample_rate}


def report_context(scored: Sequence[Scored], manifest: Path, utterances: Sequence[Utterance]) -> dict[str, Any]:
    """Collect what a report states of models on a manifest.

    Args:
        scored: The predictions of each model.
        manifest: The file.
        utterances: Its utterances.

    Returns:
        Arguments of `report.write`: `title`, `corpus`, `protocol`, `audit`.
    """
    corpora = sorted({u.corpus for u in utterances if u.corpus})
    name = ", ".join(corpora) or manifest.stem
    counts = Counter(str(u.label) for u, _ in scored[0].predictions)
    leaks = [
        {"severity": "leak", "kind": "trained-on", "detail": f"{each.model}: {note}"}
        for each in scored
        for note in each.notes
        if each.trained_on and note.startswith("LEAK")
    ]
    return {
        "title": f"Speech emotion recognition: {', '.join(each.model for each in scored)} on {name}",
        "corpus": {
            "name": name,
            "counts": dict(counts),
            "annotators": run_summary.annotators([u for u, _ in scored[0].predictions]),
            "synthetic": runs.is_synthetic(utterances),
        },
        "protocol": {
            "protocol": "a model that is there already; nothing is trained or chosen on these utterances",
            "manifest": manifest.name,
            **{f"model {each.model}": list(each.notes) for each in scored},
            "temperature": "the model's own, with its confidence",
            "environment": runs.environment(("onnxruntime",)),
        },
        "audit": leaks or (None if any(each.trained_on is None for each in scored) else ()),
    }
