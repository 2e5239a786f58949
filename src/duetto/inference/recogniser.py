"""`Recogniser`: audio in, `Prediction` out. No PyTorch.

recogniser = duetto.load("runs/fusion")
prediction = recogniser("call.wav", transcript="oh that's lovely")
prediction.label, prediction.probabilities, prediction.words

for answer in recogniser.predict_many(files, workers=8):   # in the order of the files; errors are answers too
    ...
"""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import audio, metrics
from ..data.text import word_tokens
from ..data.utterance import Word
from ..embeddings.spoken_words import words_of
from ..errors import AudioError, DuettoError, ModelError
from ..features.mfcc import MfccConfig
from ..features.registry import feature_spec
from ..utils import parallel
from ..utils.reading import shortened, unreadable
from . import DESCRIPTION, OovResolver, Session, SpokenEncoder
from .pretrained import DEFAULT, PRETRAINED, terms
from .pretrained import folder as pretrained_folder

if TYPE_CHECKING:
    from ..asr.finder import WordFinder

LONGEST = 600.0
"""Seconds of a recording that are decoded for a system whose answer depends on more than its first frames: one that
reads words, normalises by utterance or speaker, or whose features are relative to the whole recording."""
_MARGIN = 1.0
"""Seconds beyond the last frame that is used: windows and the filter of the resampler reach that far and less."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """What a recogniser says of one recording.

    probabilities: class → probability, calibrated, in the order of the label set; they sum to 1.
    words: the words it read, with times (seconds) where known and their `source`. words_from: how they
    were found (`asr.finder.WORDS_FROM`); `none` where the system reads no words.
    duration: seconds of the recording. model: what answered. warnings: why to trust it less.
    """

    label: str
    probabilities: dict[str, float]
    words: tuple[Word, ...]
    words_from: str
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
            "words_from": self.words_from,
            "model": self.model,
            "warnings": list(self.warnings),
        }


def find(model: str | os.PathLike[str]) -> Path:
    """The exported folder that a model name stands for: itself, the first finished fold and seed of a run, or one of
    `PRETRAINED`, unless a model lies in a folder of that name."""
    folder = Path(model)
    try:
        if (folder / DESCRIPTION).is_file():
            return folder
    except OSError as error:  # a name that is too long
        raise ModelError(f"{shortened(str(model))}: {unreadable(error)}; give the folder of a model") from error
    if isinstance(model, str) and model in PRETRAINED:
        return pretrained_folder(model)
    if members := _members(folder):
        return members[0]
    from .. import runs  # here, since an answer needs nothing of it

    if (folder / runs.RUN).is_file():
        runs.experiment_of(folder)  # an error of its own where a baseline ran here
        raise ModelError(f"{folder}: none of its trainings has ended; run the same `duetto train` again to go on")
    if others := _members(folder.parent):
        named = ", ".join(path.name for path in others)
        raise ModelError(f"{folder}: no model in it. The run folder {folder.parent} has models in: {named}")
    raise ModelError(
        f"{folder}: no model in it. Give a run folder of `duetto train`, an exported folder, or the name of a "
        f"model that comes with duetto: {', '.join(PRETRAINED)}"
    )


def _members(folder: Path) -> list[Path]:
    """Folders of the finished trainings in a run folder, by fold and seed."""
    return sorted((path.parent for path in folder.glob(f"fold*-seed*/{DESCRIPTION}")), key=_numbers)


def _numbers(member: Path) -> list[int]:
    """Fold and seed in the name of a member of a run."""
    return [int(number) for number in re.findall(r"\d+", member.name)]


@dataclass(frozen=True)
class Evidence:
    """What a system hears in one recording.

    frames: (frames, values) normalised; words: ids (n,) or vectors (n, dim); None for what it does not use.
    said: the words themselves. words_from, duration, warnings: see `Prediction`.
    """

    frames: np.ndarray | None
    words: np.ndarray | None
    said: tuple[Word, ...]
    words_from: str
    duration: float
    warnings: tuple[str, ...]


class Recogniser:
    """A trained system that answers for recordings. Safe to call from several threads.

    terms: what the model was trained on and how it may be used, where that is known; empty otherwise.
    """

    def __init__(self, model: str | os.PathLike[str] = DEFAULT, *, asr: str = "corpus", threads: int = 1) -> None:
        """model, asr, threads: see `duetto.load`."""
        folder = find(model)
        self.name = str(model)
        self._origin = (self.name, asr, threads)
        self.terms = terms(folder)
        self._session = Session(folder, threads=threads)
        experiment = self._session.preprocessor.experiment
        self._features = feature_spec(experiment.features)
        spoken = experiment.uses_words and experiment.embeddings == "spoken"
        self._spoken = SpokenEncoder(folder, threads=threads) if spoken else None
        alike = experiment.uses_words and experiment.unknown == "spoken" and not spoken
        self._alikes = OovResolver.load(folder, threads=threads) if alike else None
        self._unused: str | None = None
        self._listener: WordFinder | None = None
        if experiment.uses_words:
            from ..asr.finder import WordFinder  # here, since a system that hears the voice only needs none of it

            self._listener = WordFinder(asr, folder, needs_times=self._spoken is not None, uses_times=alike)
        elif asr != "corpus":
            from ..asr.finder import engine_of

            engine_of(asr, folder)  # an unknown name is an error here, too
            self._unused = f"this system reads no words; asr={asr!r} is not used"

    @property
    def uses_words(self) -> bool:
        """Whether the system reads words, so that a transcript changes its answer."""
        return self._session.preprocessor.experiment.uses_words

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes it chooses from."""
        return self._session.preprocessor.classes

    @property
    def most_seconds(self) -> float:
        """Seconds of a recording that are decoded at most; of a longer one the rest does not change the answer, or
        is left out with a warning (`LONGEST`)."""
        experiment = self._session.preprocessor.experiment
        local = self._features.local and experiment.normalisation == "train" and not experiment.uses_words
        return min(LONGEST, experiment.max_frames * self._features.step_seconds + _MARGIN) if local else LONGEST

    @property
    def _side(self) -> Literal["first", "last"]:
        return "last" if self._session.preprocessor.experiment.padding == "pre" else "first"

    def __call__(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> Prediction:
        """Answer for one recording.

        source: path, file object, or {"waveform": samples, "sample_rate": Hz}. transcript: what is said;
        it is aligned. words: what is said, with times where known; they win. Without either, a system
        that reads words finds them by itself.
        """
        heard = self.hear(source, transcript=transcript, words=words)
        frames, read = ([x] if x is not None else None for x in (heard.frames, heard.words))
        logits = self._session.logits(*self._session.preprocessor.collate(frames, read))[0]
        probabilities = metrics.softmax(logits / self._session.temperature)
        return Prediction(
            label=self.labels[int(metrics.predicted_classes(logits))],
            probabilities=dict(zip(self.labels, map(float, probabilities), strict=True)),
            words=heard.said,
            words_from=heard.words_from,
            duration=heard.duration,
            model=self.name,
            warnings=heard.warnings,
        )

    def hear(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> Evidence:
        """What a call with the same arguments answers from."""
        waveform = audio.load(source, max_seconds=self.most_seconds, side=self._side)
        try:
            return self._heard(waveform, transcript, words)
        except AudioError as error:  # of samples that are no sound to it; they do not know whose they are
            raise AudioError(f"{_name(source)}: {error}") from error

    def _heard(self, waveform: audio.Waveform, transcript: str | None, words: Sequence[Word] | None) -> Evidence:
        warnings = [*waveform.warnings, *([self._unused] if self._unused else [])]
        duration = waveform.duration if waveform.source_duration is None else waveform.source_duration
        if waveform.duration < duration and self.most_seconds >= LONGEST:
            warnings.append(f"only the {self._side} {waveform.duration:g} s of {duration:.1f} s were read")
        frames = read = None
        said, words_from = (), "none"
        if self._session.preprocessor.experiment.uses_audio:
            frames = self._frames(waveform, duration, warnings)
        if self._listener is not None:
            found = self._listener(waveform.samples, transcript=transcript, words=words)
            said, words_from = found.words, found.words_from
            warnings += found.warnings
            read = self._read(waveform, said, warnings)
        elif transcript is not None or words is not None:
            warnings.append("this system hears the voice only; the words that were given are not used")
        return Evidence(frames, read, said, words_from, duration, tuple(warnings))

    def attempt(
        self, source: audio.Source, *, transcript: str | None = None, words: Sequence[Word] | None = None
    ) -> Prediction | DuettoError:
        """The answer of a call with the same arguments, or the error that says why there is none.

        Whatever goes wrong with one recording is its own error: in a batch the others still get their answers.
        """
        try:
            return self(source, transcript=transcript, words=words)
        except DuettoError as error:
            return error
        except (UnicodeError, OSError) as error:  # a file name may hold bytes that are no text, or be too long
            return AudioError(f"{_name(source)!r}: {error}")
        except MemoryError:
            return AudioError(f"{_name(source)}: there is not enough memory to analyse it")
        except Exception as error:  # a defect; it is reported with its kind
            _log.debug("%s", _name(source), exc_info=True)
            return DuettoError(f"{_name(source)}: {type(error).__name__}: {error}")

    def predict_many(self, sources: Iterable[audio.Source], *, workers: int = 1) -> Iterator[Prediction | DuettoError]:
        """An answer for each recording, in their order; one that has none gives its error, and the others go on.

        sources: taken as they are needed, so any number fits in memory. workers: recordings at a time. A system
        that hears the voice only works in threads. One that reads words works in processes, since its recogniser
        keeps Python's lock: each takes about 0.3 GB, and the program that calls this needs the usual
        `if __name__ == "__main__"`.
        """
        if not self.uses_words or workers == 1:
            return parallel.in_order(self.attempt, sources, workers=workers, crashed=_crashed)
        function = partial(_attempt, *self._origin)
        return parallel.in_order(function, map(_portable, sources), workers=workers, processes=True, crashed=_crashed)

    def _frames(self, waveform: audio.Waveform, duration: float, warnings: list[str]) -> np.ndarray:
        maximum = self._session.preprocessor.experiment.max_frames
        features = self._features.extractor.extract(waveform.samples, waveform.sample_rate)
        heard = len(features) * self._features.step_seconds
        if not self._features.continuous and heard < waveform.duration / 4:
            warnings.append(
                f"only {heard:.1f} s of {waveform.duration:.1f} s are loud enough beside the loudest sound to be heard"
            )
        if len(features) > maximum:
            sound = "" if self._features.continuous else " of sound"
            warnings.append(
                f"only the {self._side} {maximum * self._features.step_seconds:g} s{sound} of {duration:.1f} s were "
                "heard; the system was trained on single utterances"
            )
        if self._session.preprocessor.experiment.normalisation == "speaker":
            warnings.append("the system normalises by speaker and knows this one from this recording alone")
        return self._session.preprocessor.normalise_frames(features)

    def _read(self, waveform: audio.Waveform, words: Sequence[Word], warnings: list[str]) -> np.ndarray:
        """What the second encoder reads: ids (n,), or vectors (n, dim) of the sounds of the words."""
        preprocessor = self._session.preprocessor
        if len(words) > preprocessor.experiment.max_words:
            warnings.append(f"only {preprocessor.experiment.max_words} of {len(words)} words were read")
        if preprocessor.experiment.word_order == "shuffled":
            warnings.append("the system was trained on words in random order; it reads these as they were spoken")
        if self._spoken is not None:
            segments = words_of(words, MfccConfig().extract(waveform.samples, waveform.sample_rate))
            return preprocessor.normalise_vectors(self._spoken(segments))
        if self._alikes is not None:
            words = self._alike(self._alikes, waveform, words, warnings)
        tokens = word_tokens(words)
        unknown = [token for token in tokens if token not in preprocessor.vocabulary]
        if unknown:
            warnings.append(f"{len(unknown)} of {len(tokens)} words are unknown to it: {', '.join(unknown[:5])}")
        return preprocessor.ids(tokens)

    def _alike(
        self, alikes: OovResolver, waveform: audio.Waveform, words: Sequence[Word], warnings: list[str]
    ) -> Sequence[Word]:
        """The words, unknown ones as the known ones that sound most like them."""
        mfcc = MfccConfig().extract(waveform.samples, waveform.sample_rate)
        spelled = alikes.spelled(words, mfcc, self._session.preprocessor.vocabulary)
        pairs = [f"{a.word} as {b.word}" for a, b in zip(words, spelled, strict=True) if a.word != b.word]
        if pairs:
            warnings.append(f"{len(pairs)} unknown words are read as what they sound like: {', '.join(pairs[:5])}")
        return spelled


@lru_cache(maxsize=1)
def _loaded(model: str, asr: str, threads: int) -> Recogniser:
    """The recogniser of a worker process."""
    return Recogniser(model, asr=asr, threads=threads)


def _attempt(model: str, asr: str, threads: int, source: audio.Source | DuettoError) -> Prediction | DuettoError:
    if isinstance(source, DuettoError):
        return source
    return _loaded(model, asr, threads).attempt(source)


def _portable(source: audio.Source) -> Any:
    """A source that may go to another process: of what can be read here only, the content, or why there is none."""
    if isinstance(source, Mapping) or (isinstance(source, str | os.PathLike) and not audio.is_stream(source)):
        return source
    content = io.BytesIO()
    try:
        audio.save(source, content)
    except DuettoError as error:
        return error
    return _Named(content.getvalue(), _name(source))


class _Named(io.BytesIO):
    """Content of a file, with the file's name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name

    def __reduce__(self) -> tuple[type[_Named], tuple[bytes, str]]:
        return _Named, (self.getvalue(), self.name)


def _crashed(source: audio.Source) -> DuettoError:
    return AudioError(f"{_name(source)}: the process that worked on it died")


def _name(source: audio.Source) -> str:
    if isinstance(source, str | os.PathLike):
        return str(source)
    return "a recording" if isinstance(source, Mapping) else str(getattr(source, "name", "a recording"))
