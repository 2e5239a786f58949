"""What a job does with each recording: a frozen configuration, opened once in every process.

Predict("runs/fusion") ─ opened ─▶ Opened: its key, the columns of its rows, and the function that fills them
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

import duetto

from .. import audio
from ..asr.annotate import METHODS, find_words
from ..asr.engines import RecogniserConfig, parse
from ..asr.finder import recogniser_config
from ..data.utterance import Utterance
from ..errors import AudioError, ConfigurationError, CorpusError
from ..features.content import content_digest
from ..features.extractor import stored_as_half
from ..features.registry import feature_spec
from ..inference.model_folder import find
from ..inference.pretrained import DEFAULT
from ..inference.recogniser import Recogniser
from ..inference.scoring import source_of
from ..live.stream import StreamConfig
from ..live.timeline import Channels, analyse

FORMAT = 1
"""Incremented when the same recording may give other rows; outputs of other formats are made again."""

Columns = Mapping[str, Any]
"""Column → the Arrow name of its type; [type] for a list, {field: type} for a struct."""

_WORD = {"word": "string", "start": "double", "end": "double", "source": "string"}


@dataclass(frozen=True)
class Opened:
    """A task with everything loaded.

    Attributes:
        key: Digest of all that its rows depend on but the recordings: configuration, model, version of duetto.
        columns: Of its rows, beside those that all tasks have (`shard.COMMON`).
        answer: Fills them for an utterance, whose `audio` is a local file.
    """

    key: str
    columns: Columns
    answer: Callable[[Utterance], dict[str, Any]]


class Task(Protocol):
    """What is done with each recording; a frozen dataclass of JSON values.

    Attributes:
        name: Key of `TASKS`.
    """

    name: ClassVar[str]

    def open(self) -> Opened:
        """Load what the task needs.

        Returns:
            The task, ready.

        Raises:
            DuettoError: The configuration is not valid, or a model is missing.
        """
        ...


@lru_cache(maxsize=1)
def opened(task: Task) -> Opened:
    """Open a task, or return the one that this process opened last.

    Args:
        task: The task.

    Returns:
        The task, ready.
    """
    return task.open()


def from_json(name: str, options: Mapping[str, Any]) -> Task:
    """Make the task that a job file names.

    Args:
        name: Key of `TASKS`.
        options: Its fields.

    Returns:
        The task.

    Raises:
        ConfigurationError: This version has no such task, or not with these options.
    """
    try:
        return TASKS[name](**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"task {name!r} of the job is not one of this version of duetto ({error})") from error


def _key(task: Task, *parts: str) -> str:
    options = {k: v for k, v in asdict(task).items() if k != "model"}  # pyright: ignore[reportArgumentType]
    content = json.dumps([FORMAT, duetto.__version__, task.name, options, parts], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _system(task: Predict | Timeline) -> tuple[Recogniser, str]:
    """The recogniser of a task, and its key."""
    folder = find(task.model)
    recogniser = Recogniser(task.model, asr=task.asr, require_speech=task.require_speech, reject=task.reject)
    content = [f"{p.relative_to(folder)} {content_digest(p)}" for p in sorted(folder.rglob("*")) if p.is_file()]
    words = recogniser_config(task.asr, folder).identity if recogniser.uses_words else ""
    return recogniser, _key(task, words, *content)


@dataclass(frozen=True)
class Predict:
    """The emotion of each recording, as `duetto predict`.

    Attributes:
        name: Key of `TASKS`.
        model: See `duetto.load`.
        asr: See `duetto.load`.
        require_speech: See `duetto.load`.
        reject: See `duetto.load`.
    """

    name: ClassVar[str] = "predict"
    model: str = DEFAULT
    asr: str = "auto"
    require_speech: bool = True
    reject: float | str | None = None

    def open(self) -> Opened:
        """Load the model.

        Returns:
            The task, ready.

        Raises:
            ModelError: There is no such model.
            ConfigurationError: An option is not valid.
        """
        recogniser, key = _system(self)
        columns = {
            "label": "string",
            "probabilities": dict.fromkeys(recogniser.labels, "double"),
            "duration": "double",
            "speech_seconds": "double",
            "words": [_WORD],
            "words_from": "string",
            "language": "string",
            "unfamiliar": "bool",
            "uncertain": "bool",
            "warnings": ["string"],
        }
        return Opened(key, columns, lambda utterance: recogniser(source_of(utterance)).to_json(""))


@dataclass(frozen=True)
class Timeline:
    """The emotion of each utterance of each channel, as `duetto timeline`.

    Attributes:
        name: Key of `TASKS`.
        model: See `duetto.load`.
        asr: See `duetto.load`.
        require_speech: See `duetto.load`.
        reject: See `duetto.load`.
        channels: See `live.timeline.analyse`.
        window: Seconds of sliding windows; None for none.
        hop: Seconds from one window to the next.
    """

    name: ClassVar[str] = "timeline"
    model: str = DEFAULT
    asr: str = "auto"
    require_speech: bool = True
    reject: float | str | None = None
    channels: Channels = "split"
    window: float | None = None
    hop: float | None = None

    def open(self) -> Opened:
        """Load the model.

        Returns:
            The task, ready.

        Raises:
            ModelError: There is no such model.
            ConfigurationError: An option is not valid.
        """
        recogniser, key = _system(self)
        config = StreamConfig(window=self.window, hop=self.hop)
        segment = {
            **{"start": "double", "end": "double", "channel": "int32", "label": "string"},
            **{"probabilities": dict.fromkeys(recogniser.labels, "double"), "words": [_WORD]},
            **{"speech_seconds": "double", "uncertain": "bool", "unfamiliar": "bool", "cut": "bool"},
            "warnings": ["string"],
        }
        columns = {"duration": "double", "channels": "int32", "segments": [segment], "windows": [segment]}

        def answer(utterance: Utterance) -> dict[str, Any]:
            return analyse(recogniser, source_of(utterance), config, channels=self.channels).to_json("")

        return Opened(key, {**columns, "warnings": ["string"]}, answer)


@dataclass(frozen=True)
class Features:
    """The features of each recording, as `duetto features`.

    Attributes:
        name: Key of `TASKS`.
        mode: Name of the features (`features.registry.feature_spec`).
    """

    name: ClassVar[str] = "features"
    mode: str = "corrected"

    def open(self) -> Opened:
        """Look the features up.

        Returns:
            The task, ready; `features` holds `frames` rows, one after the other.

        Raises:
            ConfigurationError: There are no such features.
        """
        extractor = feature_spec(self.mode).extractor
        half = stored_as_half(extractor)
        value, dtype = ("halffloat", np.float16) if half else ("float", np.float32)
        columns = {"duration": "double", "frames": "int32", "features": [value], "warnings": ["string"]}

        def answer(utterance: Utterance) -> dict[str, Any]:
            waveform = audio.load(utterance.audio, start=utterance.start, end=utterance.end)
            found = np.asarray(extractor.extract(waveform.samples, waveform.sample_rate), dtype)
            if not np.isfinite(found).all():
                raise AudioError("some of its features are not finite")
            values = {"frames": len(found), "features": found.ravel(), "warnings": list(waveform.warnings)}
            return {"duration": round(waveform.duration, 3), **values}

        return Opened(_key(self, extractor.key()), columns, answer)


@dataclass(frozen=True)
class Align:
    """The words of each recording with their times, as `duetto align`.

    Attributes:
        name: Key of `TASKS`.
        by: One of `asr.annotate.METHODS`.
        asr: `pocketsphinx`, `whisper=FOLDER` or `whisper:NAME`.
        languages: That are spoken, as ISO 639-1 codes, for Whisper.
    """

    name: ClassVar[str] = "align"
    by: str = "transcript"
    asr: str = "pocketsphinx"
    languages: tuple[str, ...] = ("en",)

    def open(self) -> Opened:
        """Start the speech recogniser.

        Returns:
            The task, ready.

        Raises:
            ConfigurationError: An option is not valid.
            ModelError: The model of the recogniser cannot be loaded.
        """
        if self.by not in METHODS:
            raise ConfigurationError(f"words cannot be found by {self.by!r}; choose from {', '.join(METHODS)}")
        config = parse(self.asr) or RecogniserConfig(self.asr)
        if config.name == "whisper":
            config = RecogniserConfig(
                "whisper", model=config.model, download=config.download, languages=tuple(self.languages)
            )
        columns = {"words": [{**_WORD, "confidence": "double"}], "text": "string"}
        return Opened(_key(self, config.identity), columns, partial(_aligned, config, self.by))


def _aligned(config: RecogniserConfig, by: str, utterance: Utterance) -> dict[str, Any]:
    (found,), report = find_words([utterance], by=by, asr=config)
    if report.problems:
        raise CorpusError(report.problems[0].detail)
    return {"words": [asdict(word) for word in found.words or ()], "text": found.text}


TASKS: dict[str, Callable[..., Task]] = {
    "predict": Predict,
    "timeline": Timeline,
    "features": Features,
    "align": Align,
}
"""Name → task."""


def uses(utterance: Utterance, path: Path, task: str) -> str:
    """Compute the key of a row: what it depends on, whatever its recording is called and wherever it is.

    Args:
        utterance: With its cut, transcript and words.
        path: The recording.
        task: `Opened.key`.

    Returns:
        A digest.

    Raises:
        OSError: The recording cannot be read.
    """
    words = None if utterance.words is None else [asdict(word) for word in utterance.words]
    parts = [content_digest(path), utterance.start, utterance.end, utterance.text, words, utterance.language, task]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
