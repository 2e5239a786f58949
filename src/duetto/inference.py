"""`Recogniser`: audio in, `Prediction` out. No PyTorch.

recogniser = duetto.load("runs/fusion")
prediction = recogniser("call.wav", transcript="oh that's lovely")
prediction.label, prediction.probabilities, prediction.words
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import audio, evaluation, metrics
from .errors import ModelError
from .features.kinds import kind
from .features.mfcc import MfccConfig, words_of
from .pretrained import DEFAULT, PRETRAINED, terms
from .pretrained import folder as pretrained_folder
from .runtime import DESCRIPTION, Session, SpokenEncoder
from .utterance import Word
from .words.listen import Heard, Listener
from .words.vocabulary import normalise


@dataclass(frozen=True)
class Prediction:
    """What a recogniser says of one recording.

    probabilities: class → probability, calibrated, in the order of the label set; they sum to 1.
    words: the words it read, with times (seconds) where known and their `source`. path: how they were
    found (`words.listen.PATHS`); `none` where the system reads no words.
    duration: seconds of the recording. model: what answered. warnings: why to trust it less.
    """

    label: str
    probabilities: dict[str, float]
    words: tuple[Word, ...]
    path: str
    duration: float
    model: str
    warnings: tuple[str, ...]

    def to_json(self, file: str) -> dict[str, Any]:
        """The record that `duetto predict --json` prints for `file`."""
        return {
            "file": file,
            "duration": round(self.duration, 3),
            "label": self.label,
            "probabilities": {label: round(p, 6) for label, p in self.probabilities.items()},
            "words": [{"word": w.word, "start": w.start, "end": w.end, "source": w.source} for w in self.words],
            "words_from": self.path,
            "model": self.model,
            "warnings": list(self.warnings),
        }


def find(model: str | os.PathLike[str]) -> Path:
    """The exported folder that a model name stands for: itself, the first fold and seed of a run, or one of
    `PRETRAINED`."""
    if str(model) in PRETRAINED:
        return pretrained_folder(str(model))
    folder = Path(model)
    if (folder / DESCRIPTION).is_file():
        return folder
    members = sorted(path.parent for path in folder.glob(f"fold*-seed*/{DESCRIPTION}"))
    if not members and (folder / evaluation.RUN).is_file():
        evaluation.experiment_of(folder)  # says so where a baseline ran here
    if not members:
        raise ModelError(
            f"{folder}: no model in it. Give a run folder of `duetto train`, an exported folder, or the name of a "
            f"model that comes with duetto: {', '.join(PRETRAINED)}"
        )
    return members[0]


class Recogniser:
    """A trained system that answers for recordings. Safe to call from several threads.

    terms: what the model was trained on and how it may be used, where that is known; empty otherwise.
    """

    def __init__(
        self, model: str | os.PathLike[str] = DEFAULT, *, recogniser: str = "corpus", threads: int = 1
    ) -> None:
        """model, recogniser, threads: see `duetto.load`."""
        folder = find(model)
        self.name = str(model)
        self.terms = terms(folder)
        self._session = Session(folder, threads=threads)
        experiment = self._session.front.experiment
        self._features = kind(experiment.features)
        spoken = experiment.uses_words and experiment.embeddings == "spoken"
        self._spoken = SpokenEncoder(folder, threads=threads) if spoken else None
        self._listener = None
        if experiment.uses_words:
            self._listener = Listener(recogniser, folder, needs_times=self._spoken is not None)

    @property
    def uses_words(self) -> bool:
        """Whether the system reads words, so that a transcript changes its answer."""
        return self._session.front.experiment.uses_words

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes it chooses from."""
        return self._session.front.classes

    def __call__(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> Prediction:
        """Answer for one recording.

        source: path, file object, or {"waveform": samples, "sample_rate": Hz}. transcript: what is said;
        it is aligned. words: what is said, with times where known; they win. Without either, a system
        that reads words finds them by itself.
        """
        waveform = audio.load(source)
        warnings = list(waveform.warnings)
        experiment = self._session.front.experiment
        frames = ids = None
        heard = Heard((), "none")
        if experiment.uses_audio:
            frames = [self._frames(waveform, warnings)]
        if self._listener is not None:
            heard = self._listener(waveform.samples, transcript=transcript, words=words)
            warnings += heard.warnings
            ids = [self._read(waveform, heard.words, warnings)]
        elif transcript is not None or words is not None:
            warnings.append("this system hears the voice only; the words that were given are not used")
        logits = self._session.logits(*self._session.front.collate(frames, ids))[0]
        probabilities = metrics.softmax(logits / self._session.temperature)
        return Prediction(
            label=self.labels[int(np.argmax(logits))],
            probabilities=dict(zip(self.labels, map(float, probabilities), strict=True)),
            words=heard.words,
            path=heard.path,
            duration=waveform.duration,
            model=self.name,
            warnings=tuple(warnings),
        )

    def _frames(self, waveform: audio.Waveform, warnings: list[str]) -> np.ndarray:
        maximum = self._session.front.experiment.max_frames
        features = self._features.extractor.extract(waveform.samples, waveform.sample_rate)
        if len(features) > maximum:
            part = "last" if self._session.front.experiment.padding == "pre" else "first"
            warnings.append(
                f"only the {part} {maximum * self._features.step_seconds:g} s of {waveform.duration:.1f} s were heard; "
                "the system was trained on single utterances"
            )
        if self._session.front.experiment.normalisation == "speaker":
            warnings.append("the system normalises by speaker and knows this one from this recording alone")
        return self._session.front.frames(features)

    def _read(self, waveform: audio.Waveform, words: Sequence[Word], warnings: list[str]) -> np.ndarray:
        """What the second encoder reads: ids (n,), or vectors (n, dim) of the sounds of the words."""
        front = self._session.front
        if len(words) > front.experiment.max_words:
            warnings.append(f"only {front.experiment.max_words} of {len(words)} words were read")
        if self._spoken is not None:
            segments = words_of(words, MfccConfig().extract(waveform.samples, waveform.sample_rate))
            return front.vectors(self._spoken(segments))
        tokens = [token for word in words for token in normalise(word.word)]
        unknown = [token for token in tokens if token not in front.vocabulary]
        if unknown:
            warnings.append(f"{len(unknown)} of {len(tokens)} words are unknown to it: {', '.join(unknown[:5])}")
        return front.ids(tokens)
