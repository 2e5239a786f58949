"""`Recogniser`: audio in, `Prediction` out. No PyTorch.

recogniser = duetto.load("runs/fusion")
prediction = recogniser("call.wav", transcript="oh that's lovely")
prediction.label, prediction.probabilities, prediction.words

for outcome in recogniser.predict_many(files, workers=8):   # in the order of the files; each a Prediction or an error
    ...
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import audio, metrics
from ..data.utterance import Word
from ..errors import AudioError, DuettoError
from ..utils import parallel, worker_logs
from .inputs import AcousticInput, WordInput, full_duration
from .model_folder import find
from .pretrained import DEFAULT, terms
from .session import Session
from .sources import picklable, source_name

if TYPE_CHECKING:
    from ..asr.finder import FoundWords, WordFinder

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """The emotion of one recording.

    Attributes:
        label: The most probable class.
        probabilities: Class → calibrated probability, in the order of the label set; they sum to 1.
        words: The words that the system read, with times (seconds) where known and their `source`.
        words_from: How they were found (`asr.finder.WORDS_FROM`); `none` for a system that reads no words.
        duration: Of the recording, in seconds.
        model: Name of the model, as given to `duetto.load`.
        warnings: Reasons to trust the prediction less.
        speech_recogniser: What recognised the words, such as `whisper base`; None where nothing did.
        language: Language of the recognised words (ISO 639-1); None where it is not known.
        language_probability: Of that language, 0–1; None where the speech recogniser assumes it.
        rejected_words: Recognised words that the system did not read, since they are in a language that it was not
            trained on or most likely wrong; `words` is empty then.
    """

    label: str
    probabilities: dict[str, float]
    words: tuple[Word, ...]
    words_from: str
    duration: float
    model: str
    warnings: tuple[str, ...]
    speech_recogniser: str | None = None
    language: str | None = None
    language_probability: float | None = None
    rejected_words: tuple[Word, ...] = ()

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
            "label": self.label,
            "probabilities": {label: round(p, 6) for label, p in self.probabilities.items()},
            "words": [_word_json(word) for word in self.words],
            "words_from": self.words_from,
            "speech_recogniser": self.speech_recogniser,
            "language": self.language,
            "language_probability": self.language_probability and round(self.language_probability, 6),
            "rejected_words": [_word_json(word) for word in self.rejected_words],
            "model": self.model,
            "warnings": list(self.warnings),
        }


def _word_json(word: Word) -> dict[str, Any]:
    return {"word": word.word, "start": word.start, "end": word.end, "source": word.source}


@dataclass(frozen=True)
class RecordingInputs:
    """The inputs of the network from one recording; None for a modality that the system does not use.

    Attributes:
        frames: (frames, values) float32, normalised.
        word_values: Ids (n,) int64 or vectors (n, dim) float32.
        found: The words themselves, and how they were found; None for a system that reads none.
        duration: See `Prediction`.
        warnings: See `Prediction`.
    """

    frames: np.ndarray | None
    word_values: np.ndarray | None
    found: FoundWords | None
    duration: float
    warnings: tuple[str, ...]


class Recogniser:
    """A trained system that recognises emotion in recordings. Safe to call from several threads.

    Args:
        model: See `duetto.load`.
        asr: See `duetto.load`.
        threads: See `duetto.load`.

    Attributes:
        name: The model, as given.
        terms: What the model was trained on and how it may be used; empty where that is not known.

    Raises:
        ModelError: The model is missing, damaged or unfinished.
        ConfigurationError: `asr` is not valid.
    """

    name: str
    terms: str

    def __init__(self, model: str | os.PathLike[str] = DEFAULT, *, asr: str = "auto", threads: int = 1) -> None:
        folder = find(model)
        self.name = str(model)
        self._arguments = (self.name, asr, threads)
        self.terms = terms(folder)
        self._session = Session(folder, threads=threads)
        self._preprocessor = self._session.preprocessor
        self._acoustic_input = AcousticInput(self._preprocessor)
        self._word_input: WordInput | None = None
        self._word_finder: WordFinder | None = None
        self._unused_asr: tuple[str, ...] = ()
        if self.uses_words:
            self._word_input = WordInput(folder, self._preprocessor, threads=threads)
            self._word_finder = _word_finder(asr, folder, self._word_input)
        elif asr not in ("auto", "corpus"):
            from ..asr.finder import recogniser_config

            recogniser_config(asr, folder)  # an unknown name is an error for these systems, too
            self._unused_asr = (f"this system reads no words; asr={asr!r} is not used",)

    @property
    def uses_words(self) -> bool:
        """Whether the system reads words, so that a transcript changes its predictions."""
        return self._preprocessor.experiment.uses_words

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the label set."""
        return self._preprocessor.classes

    @property
    def max_seconds(self) -> float:
        """Seconds of a recording that are decoded at most.

        The rest of a longer one does not change the prediction, or is left out with a warning.
        """
        return self._acoustic_input.max_seconds

    def __call__(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> Prediction:
        """Recognise the emotion of one recording.

        Without `transcript` and `words`, a system that reads words finds them in the recording.

        Args:
            source: Path, file object, or {"waveform": samples, "sample_rate": Hz}.
            transcript: What is said; it is aligned with the recording.
            words: What is said, with times where known; takes precedence over `transcript`.

        Returns:
            The prediction.

        Raises:
            AudioError: The recording cannot be read or analysed.
        """
        inputs = self.prepare_inputs(source, transcript=transcript, words=words)
        frames, values = ([x] if x is not None else None for x in (inputs.frames, inputs.word_values))
        logits = self._session.logits(*self._preprocessor.collate(frames, values))[0]
        probabilities = metrics.softmax(logits / self._session.temperature)
        return Prediction(
            label=self.labels[int(metrics.predicted_classes(logits))],
            probabilities=dict(zip(self.labels, map(float, probabilities), strict=True)),
            duration=inputs.duration,
            model=self.name,
            warnings=inputs.warnings,
            **_words_of(inputs.found),
        )

    def prepare_inputs(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> RecordingInputs:
        """Prepare what a call with the same arguments passes to the network.

        Args:
            source: See `__call__`.
            transcript: See `__call__`.
            words: See `__call__`.

        Returns:
            The inputs of the network.

        Raises:
            AudioError: The recording cannot be read or analysed.
        """
        waveform = audio.load(source, max_seconds=self.max_seconds, side=self._acoustic_input.side)
        try:
            return self._prepared(waveform, transcript, words)
        except AudioError as error:  # raised for the samples, without the name of their file
            raise AudioError(f"{source_name(source)}: {error}") from error

    def _prepared(
        self, waveform: audio.Waveform, transcript: str | None, words: Sequence[Word] | None
    ) -> RecordingInputs:
        warnings = [*waveform.warnings, *self._unused_asr, *self._acoustic_input.truncation(waveform)]
        frames = values = found = None
        if self._preprocessor.experiment.uses_audio:
            frames, more = self._acoustic_input(waveform)
            warnings += more
        if self._word_finder is not None and self._word_input is not None:
            found = self._word_finder(waveform.samples, transcript=transcript, words=words)
            values, more = self._word_input(waveform, found.words)
            warnings += [*found.warnings, *more]
        elif transcript is not None or words is not None:
            warnings.append("this system uses the acoustics only; the given words are not used")
        return RecordingInputs(frames, values, found, full_duration(waveform), tuple(warnings))

    def attempt(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> Prediction | DuettoError:
        """Call the recogniser and return its error instead of raising it, so that a batch can continue.

        Args:
            source: See `__call__`.
            transcript: See `__call__`.
            words: See `__call__`.

        Returns:
            The prediction, or the error that prevented it, whatever it was.
        """
        try:
            return self(source, transcript=transcript, words=words)
        except DuettoError as error:
            return error
        except (UnicodeError, OSError) as error:  # a file name may contain bytes that are no text, or be too long
            return AudioError(f"{source_name(source)!r}: {error}")
        except MemoryError:
            return AudioError(f"{source_name(source)}: there is not enough memory to analyse it")
        except Exception as error:  # a defect of duetto; reported with its type
            _log.debug("%s", source_name(source), exc_info=True)
            return DuettoError(f"{source_name(source)}: {type(error).__name__}: {error}")

    def predict_many(self, sources: Iterable[audio.Source], *, workers: int = 1) -> Iterator[Prediction | DuettoError]:
        """Recognise the emotion of many recordings; one that fails gives its error, and the others continue.

        A system that uses the acoustics only runs in threads. One that reads words runs in processes, since its speech
        recogniser holds the GIL: each takes about 0.3 GB, and the calling program needs the usual
        `if __name__ == "__main__"`. What the processes log is handled by the logging of this one.

        Args:
            sources: The recordings, consumed as needed, so any number fits in memory.
            workers: Recordings at a time.

        Yields:
            The result of each recording, in their order.
        """
        if not self.uses_words or workers == 1:
            yield from parallel.in_order(self.attempt, sources, workers=workers, crashed=_crashed)
            return
        level = logging.getLogger(__package__).getEffectiveLevel()
        results = parallel.in_order(
            partial(_attempt_in_worker, self._arguments, level),
            map(picklable, sources),
            workers=workers,
            processes=True,
            crashed=lambda source: (_crashed(source), []),
        )
        for outcome, records in results:
            worker_logs.replay(records)
            yield outcome


def _words_of(found: FoundWords | None) -> dict[str, Any]:
    """The fields of a `Prediction` that state which words were read."""
    if found is None:
        return {"words": (), "words_from": "none"}
    return {
        "words": found.words,
        "words_from": found.words_from,
        "speech_recogniser": found.recogniser,
        "language": found.language,
        "language_probability": found.language_probability,
        "rejected_words": found.rejected,
    }


def _word_finder(asr: str, folder: Path, word_input: WordInput) -> WordFinder:
    from ..asr.finder import WordFinder  # late, since a system that uses the acoustics only does not need it

    return WordFinder(asr, folder, needs_times=word_input.needs_times, uses_times=word_input.uses_times)


@lru_cache(maxsize=1)
def _loaded(model: str, asr: str, threads: int) -> Recogniser:
    """The recogniser of a worker process."""
    return Recogniser(model, asr=asr, threads=threads)


def _attempt_in_worker(
    arguments: tuple[str, str, int], level: int, source: audio.Source | DuettoError
) -> tuple[Prediction | DuettoError, list[logging.LogRecord]]:
    """The result of a recording, and what was logged for it."""
    if isinstance(source, DuettoError):
        return source, []
    with worker_logs.collected(level):  # of loading, which the parent process has logged itself
        recogniser = _loaded(*arguments)
    with worker_logs.collected(level) as records:
        outcome = recogniser.attempt(source)
    return outcome, records


def _crashed(source: audio.Source | DuettoError) -> DuettoError:
    if isinstance(source, DuettoError):
        return source
    return AudioError(f"{source_name(source)}: the process that worked on it died")
