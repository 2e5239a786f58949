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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .. import audio, metrics
from ..data.utterance import Word
from ..errors import AudioError, ConfigurationError, DuettoError
from ..normalisation import Normaliser, SpeakerSums
from ..utils import parallel, worker_logs
from .inputs import AcousticInput, WordInput, full_duration
from .model_folder import find
from .pretrained import DEFAULT, terms
from .session import Session
from .sources import picklable, source_name
from .speaker_session import SpeakerSession

if TYPE_CHECKING:
    from ..asr.finder import WordFinder

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


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
        session_utterances: Earlier recordings of the speaker that the statistics of the session held; None without a
            session.
    """

    label: str
    probabilities: dict[str, float]
    words: tuple[Word, ...]
    words_from: str
    duration: float
    model: str
    warnings: tuple[str, ...]
    session_utterances: int | None = None

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
            "words": [{"word": w.word, "start": w.start, "end": w.end, "source": w.source} for w in self.words],
            "words_from": self.words_from,
            "model": self.model,
            "warnings": list(self.warnings),
            "session_utterances": self.session_utterances,
        }


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
        sums: What the recording adds to its speaker's statistics; None for a system that does not adapt.
    """

    frames: np.ndarray | None
    word_values: np.ndarray | None
    words: tuple[Word, ...]
    words_from: str
    duration: float
    warnings: tuple[str, ...]
    sums: SpeakerSums | None = None


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

    def __init__(self, model: str | os.PathLike[str] = DEFAULT, *, asr: str = "corpus", threads: int = 1) -> None:
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
        elif asr != "corpus":
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
        return self.answer(self.prepare_inputs(source, transcript=transcript, words=words))

    def session(self) -> SpeakerSession:
        """Begin a session: recordings of one speaker, to whose voice the system adapts.

        Returns:
            The session, without any recording.

        Raises:
            ConfigurationError: The system was not trained to adapt (`normalisation = "shrinkage"`).
        """
        return SpeakerSession(self, self._preprocessor)

    def answer(self, inputs: RecordingInputs) -> Prediction:
        """Recognise the emotion of a recording that was prepared.

        Args:
            inputs: From `prepare_inputs`.

        Returns:
            The prediction.
        """
        frames, values = ([x] if x is not None else None for x in (inputs.frames, inputs.word_values))
        logits = self._session.logits(*self._preprocessor.collate(frames, values))[0]
        probabilities = metrics.softmax(logits / self._session.temperature)
        return Prediction(
            label=self.labels[int(metrics.predicted_classes(logits))],
            probabilities=dict(zip(self.labels, map(float, probabilities), strict=True)),
            words=inputs.words,
            words_from=inputs.words_from,
            duration=inputs.duration,
            model=self.name,
            warnings=inputs.warnings,
        )

    def prepare_inputs(
        self,
        source: audio.Source,
        *,
        transcript: str | None = None,
        words: Sequence[Word] | None = None,
        speaker: Normaliser | None = None,
    ) -> RecordingInputs:
        """Prepare what a call with the same arguments passes to the network.

        Args:
            source: See `__call__`.
            transcript: See `__call__`.
            words: See `__call__`.
            speaker: Statistics of the speaker, for a system that adapts.

        Returns:
            The inputs of the network.

        Raises:
            AudioError: The recording cannot be read or analysed.
        """
        return self._loaded(source, lambda waveform: self._prepared(waveform, transcript, words, speaker))

    def speaker_sums(self, source: audio.Source) -> SpeakerSums:
        """Compute what a recording adds to its speaker's statistics.

        Args:
            source: See `__call__`.

        Returns:
            The sums.

        Raises:
            AudioError: The recording cannot be read or analysed.
            ConfigurationError: The system does not adapt.
        """
        sums = self._loaded(source, self._acoustic_input.sums)
        if sums is None:
            raise ConfigurationError(f"model {self.name} does not adapt to a speaker; predict without a session")
        return sums

    def _loaded(self, source: audio.Source, use: Callable[[audio.Waveform], _T]) -> _T:
        waveform = audio.load(source, max_seconds=self.max_seconds, side=self._acoustic_input.side)
        try:
            return use(waveform)
        except AudioError as error:  # raised for the samples, without the name of their file
            raise AudioError(f"{source_name(source)}: {error}") from error

    def _prepared(
        self,
        waveform: audio.Waveform,
        transcript: str | None,
        words: Sequence[Word] | None,
        speaker: Normaliser | None,
    ) -> RecordingInputs:
        warnings = [*waveform.warnings, *self._unused_asr, *self._acoustic_input.truncation(waveform)]
        frames = values = sums = None
        read: tuple[Word, ...] = ()
        words_from = "none"
        if self._preprocessor.experiment.uses_audio:
            frames, sums, more = self._acoustic_input(waveform, speaker)
            warnings += more
        if self._word_finder is not None and self._word_input is not None:
            found = self._word_finder(waveform.samples, transcript=transcript, words=words)
            read, words_from = found.words, found.words_from
            values, more = self._word_input(waveform, read)
            warnings += [*found.warnings, *more]
        elif transcript is not None or words is not None:
            warnings.append("this system uses the acoustics only; the given words are not used")
        return RecordingInputs(frames, values, read, words_from, full_duration(waveform), tuple(warnings), sums)

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
        return self.guarded(partial(self, transcript=transcript, words=words), source)

    def guarded(self, answer: Callable[[audio.Source], _T], source: audio.Source) -> _T | DuettoError:
        """Return what a function makes of a recording, or the error that prevented it.

        Args:
            answer: The function.
            source: See `__call__`.

        Returns:
            Its value, or the error, whatever it was.
        """
        try:
            return answer(source)
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
