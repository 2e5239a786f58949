"""What a recogniser gives for one recording: `Prediction`, and the inputs that its network read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..audio import Waveform
from ..data.utterance import Word
from .fusion_folder import BranchAnswer
from .inputs import full_duration


@dataclass(frozen=True)
class Prediction:
    """The emotion of one recording.

    Attributes:
        label: The most probable class; None for a recording without speech, which has no emotion unless words that
            were given have one.
        probabilities: Class → calibrated probability, in the order of the label set; they sum to 1. Empty where `label`
            is None.
        words: The words that the system read, with times (seconds) where known and their `source`.
        words_from: How they were found (`asr.finder.WORDS_FROM`); `none` for a system that reads no words.
        duration: Of the recording, in seconds.
        speech_seconds: Of speech in the part of the recording that was decoded (`Recogniser.max_seconds`); 0 where
            `audio.activity.detect_speech` finds none.
        model: Name of the model, as given to `duetto.load`.
        warnings: Reasons to trust the prediction less.
        branches: What each branch of a fusion contributes; empty for other systems.
        speech_recogniser: What recognised the words, such as `whisper base`; None where nothing did.
        language: Language of the recognised words (ISO 639-1); None where it is not known.
        language_probability: Of that language, 0–1; None where the speech recogniser assumes it.
        rejected_words: Recognised words that the system did not read, since they are in a language that it was not
            trained on or most likely wrong; `words` is empty then.
        session_utterances: Earlier recordings of the speaker that the statistics of the session held; None without a
            session.
        unfamiliar: Whether the recording is unlike those of training, so that its probabilities are wider than
            otherwise; None where the model states nothing on that (`inference.confidence`).
        uncertain: Whether the greatest probability is below the threshold that `duetto.load(reject=…)` asked for. The
            label and the probabilities are given all the same.
        dimensions: Dimension, such as `arousal` → its rating, in the units of the training data; None for a model
            without dimensions, and where `label` is None.
    """

    label: str | None
    probabilities: dict[str, float]
    words: tuple[Word, ...]
    words_from: str
    duration: float
    speech_seconds: float
    model: str
    warnings: tuple[str, ...]
    branches: tuple[BranchAnswer, ...] = ()
    speech_recogniser: str | None = None
    language: str | None = None
    language_probability: float | None = None
    rejected_words: tuple[Word, ...] = ()
    session_utterances: int | None = None
    unfamiliar: bool | None = None
    uncertain: bool = False
    dimensions: dict[str, float] | None = None

    def to_json(self, file: str) -> dict[str, Any]:
        """Make the record that `duetto predict --json` prints.

        Args:
            file: Name of the recording.

        Returns:
            JSON values.
        """
        return {
            "file": file,
            "duration": round(self.duration, 3),
            "speech_seconds": round(self.speech_seconds, 3),
            "label": self.label,
            "probabilities": {label: round(p, 6) for label, p in self.probabilities.items()},
            "dimensions": self.dimensions and {name: round(x, 6) for name, x in self.dimensions.items()},
            "words": [_word_json(word) for word in self.words],
            "words_from": self.words_from,
            "speech_recogniser": self.speech_recogniser,
            "language": self.language,
            "language_probability": self.language_probability and round(self.language_probability, 6),
            "rejected_words": [_word_json(word) for word in self.rejected_words],
            "model": self.model,
            "warnings": list(self.warnings),
            "session_utterances": self.session_utterances,
            "unfamiliar": self.unfamiliar,
            "uncertain": self.uncertain,
            **({"branches": [branch.to_json() for branch in self.branches]} if self.branches else {}),
        }


def without_speech(waveform: Waveform, model: str, warnings: Sequence[str]) -> Prediction:
    """Make the answer for a recording without speech.

    Args:
        waveform: The recording.
        model: Name of the model, as given to `duetto.load`.
        warnings: Other warnings than that there is no speech.

    Returns:
        The answer, which has no label.
    """
    duration = full_duration(waveform)
    part = "" if waveform.duration >= duration else f" in the {waveform.duration:g} s that were read"
    warning = f"no speech was found{part}, so there is no emotion to recognise"
    return Prediction(
        label=None,
        probabilities={},
        words=(),
        words_from="none",
        duration=duration,
        speech_seconds=0.0,
        model=model,
        warnings=tuple(dict.fromkeys([*waveform.warnings, *warnings, warning])),
    )


def _word_json(word: Word) -> dict[str, Any]:
    return {"word": word.word, "start": word.start, "end": word.end, "source": word.source}


@dataclass(frozen=True)
class RecordingInputs:
    """The inputs of the network from one recording; None for a modality that the system does not use.

    Attributes:
        frames: (frames, values) float32, normalised.
        word_values: Ids (n,) int64 or vectors (n, dim) float32.
        words: The words themselves.
        words_from: See `Prediction`.
        duration: See `Prediction`.
        warnings: See `Prediction`.
    """

    frames: np.ndarray | None
    word_values: np.ndarray | None
    words: tuple[Word, ...]
    words_from: str
    duration: float
    warnings: tuple[str, ...]
