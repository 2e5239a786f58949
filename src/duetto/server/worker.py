"""What runs in a worker: recognition. Every call is short, so that streams and uploads share a worker fairly.

    predict(upload)                           bounded by `Recogniser.max_seconds`
    open_explanation · advance · … · close    the same without one of its moments or words a call
    open_recording · advance · … · close      a time line, a block of `live.analyse` (10 s of sound) a call
    open_stream · push · … · finish           a live stream

Nothing is written to a disk: recordings come as bytes and are decoded from memory.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .. import audio
from ..audio.decode import NotAudioError
from ..data.utterance import Word
from ..errors import ConfigurationError, DuettoError
from ..inference.recogniser import Recogniser
from ..live.channel_streams import ChannelStreams
from ..live.events import StreamEvent
from ..live.stream import StreamConfig
from ..live.timeline import Channels, Timeline, analyse, chosen_channels
from ..live.transcript import aligned_words
from .errors import RequestError
from .stepwise import Stepwise
from .transcriber import Transcriber, texts_of


@dataclass(frozen=True)
class Upload:
    """A recording that a client sent.

    Attributes:
        content: The file.
        name: Of the file, as the client states it; used in messages only.
        model: Name of the model.
    """

    content: bytes = field(repr=False)
    name: str
    model: str

    def open(self) -> io.BytesIO:
        """Open the recording.

        Returns:
            A file object with its name.
        """
        return _Named(self.content, self.name)


class _Named(io.BytesIO):
    """The content of a file, with its name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


@dataclass
class _Recording:
    """A time line, or an explanation, that is being made."""

    upload: Upload
    with_text: bool
    work: Stepwise[Any]


class Worker:
    """The recognisers and what is open in one worker; for one thread, but for different ids.

    Args:
        models: Name → what `duetto.load` takes.
        asr: See `duetto.load`.
        require_speech: See `duetto.load`.

    Attributes:
        recognisers: Name → recogniser.

    Raises:
        DuettoError: A model cannot be loaded.
    """

    recognisers: dict[str, Recogniser]

    def __init__(self, models: dict[str, str], asr: str = "auto", require_speech: bool = True) -> None:
        self.recognisers = {name: _recogniser(model, asr, require_speech) for name, model in models.items()}
        self._streams: dict[str, tuple[ChannelStreams, int]] = {}
        self._recordings: dict[str, _Recording] = {}
        self._transcribe = Transcriber(asr)

    def describe(self) -> list[dict[str, Any]]:
        """Describe the models.

        Returns:
            One record for each, as `GET /v1/models` lists it.
        """
        return [
            {
                "id": name,
                "object": "model",
                "created": 0,
                "owned_by": "duetto",
                "labels": list(recogniser.labels),
                "uses_words": recogniser.uses_words,
                "languages": None if recogniser.languages is None else list(recogniser.languages),
                "adapts": _adapts(recogniser),
                "terms": recogniser.terms,
            }
            for name, recogniser in self.recognisers.items()
        ]

    def predict(self, upload: Upload, transcript: str | None, limit: float) -> dict[str, Any]:
        """Answer a recording as a whole, as `duetto predict` does.

        Args:
            upload: The recording.
            transcript: What is said.
            limit: Seconds that it may last.

        Returns:
            The record of `duetto predict --json`.

        Raises:
            RequestError: It cannot be analysed.
        """
        recogniser = self.recognisers[upload.model]
        _checked_length(upload, limit)
        answer = recogniser.attempt(upload.open(), transcript=transcript)
        if isinstance(answer, DuettoError):
            raise refusal(answer)
        return {**answer.to_json(upload.name), "model": upload.model}

    def open_explanation(self, id_: str, upload: Upload, transcript: str | None, limit: float) -> None:
        """Begin to answer a recording as a whole and to compute what moved the answer.

        Args:
            id_: Of the explanation, new.
            upload: The recording.
            transcript: What is said.
            limit: Seconds that it may last.

        Raises:
            RequestError: It cannot be analysed.
        """
        _checked_length(upload, limit)
        explain = self.recognisers[upload.model].explain
        work = Stepwise(lambda pause: explain(upload.open(), transcript=transcript, progress=lambda *_: pause()))
        self._recordings[id_] = _Recording(upload, False, work)

    def explained(self, id_: str) -> dict[str, Any]:
        """Return an explanation.

        Args:
            id_: Of an explanation of which `advance` returned False.

        Returns:
            The record of `duetto predict --explain --json`.
        """
        upload, found = self._recordings[id_].upload, self._recordings[id_].work.result
        record = {**found.prediction.to_json(upload.name), "model": upload.model}
        return {**record, "explanation": found.to_json()}

    def open_recording(
        self,
        id_: str,
        upload: Upload,
        config: StreamConfig,
        channels: Channels,
        limit: float,
        with_text: bool = False,
        transcript: str | None = None,
    ) -> None:
        """Begin a time line.

        Args:
            id_: Of the time line, new.
            upload: The recording.
            config: How it is cut and answered.
            channels: Which channels are answered, as for `live.analyse`.
            limit: Seconds that it may last.
            with_text: Whether the words of each utterance are found where the system reads none.
            transcript: What is said; of one channel.

        Raises:
            RequestError: It cannot be analysed, or has no such channel.
        """
        about = _checked_length(upload, limit)
        try:
            chosen = chosen_channels(channels, about.channels)
        except ConfigurationError as error:
            raise RequestError("request_invalid", str(error), "channels") from error
        if transcript is not None and len(chosen) > 1:
            raise RequestError("request_invalid", "a transcript is that of one speaker; give channels", "transcript")
        recogniser = self.recognisers[upload.model]

        def made(pause: Callable[[], None]) -> Timeline:
            words, more = _given_words(recogniser, upload, transcript, next(iter(chosen)))
            found = analyse(recogniser, upload.open(), config, channels=channels, watch=lambda *_: pause(), words=words)
            return replace(found, warnings=(*found.warnings, *more))

        work = Stepwise(made)
        self._recordings[id_] = _Recording(upload, with_text and not recogniser.uses_words, work)

    def advance(self, id_: str) -> bool:
        """Analyse the next part of a recording.

        Args:
            id_: Of the time line or explanation.

        Returns:
            Whether there is more to analyse.

        Raises:
            RequestError: The recording is damaged there.
        """
        try:
            return self._recordings[id_].work.advance()
        except DuettoError as error:
            raise refusal(error) from error

    def result(self, id_: str) -> tuple[Timeline, dict[tuple[float, int | None], str]]:
        """Return a time line.

        Args:
            id_: Of a time line of which `advance` returned False.

        Returns:
            The time line, and (start, channel) of a segment → its text, where that was asked for.
        """
        recording = self._recordings[id_]
        timeline = replace(recording.work.result, model=recording.upload.model)
        if not recording.with_text:
            return timeline, {}
        return timeline, texts_of(self._transcribe, recording.upload.open, timeline.segments)

    def open_stream(self, id_: str, model: str, config: StreamConfig, rate: int, channels: int) -> None:
        """Begin a stream.

        Args:
            id_: Of the stream, new.
            model: Name of the model.
            config: How it is cut and answered.
            rate: Of its samples, in Hz.
            channels: Of its samples; each is answered.

        Raises:
            RequestError: A setting is not valid.
        """
        try:
            streams = ChannelStreams(self.recognisers[model], config, sample_rate=rate, count=channels)
        except DuettoError as error:
            raise RequestError("config_invalid", str(error)) from error
        self._streams[id_] = streams, channels

    def push(self, id_: str, pcm: bytes) -> list[StreamEvent]:
        """Take the next samples of a stream.

        Args:
            id_: Of the stream.
            pcm: Whole frames of 16-bit little-endian samples, channels interleaved.

        Returns:
            What is known now, in the order of the sound after which it is known.
        """
        streams, channels = self._streams[id_]
        frames = np.frombuffer(pcm, "<i2").reshape(-1, channels)
        return streams.push(frames.astype(np.float32) / np.float32(32_768))

    def finish(self, id_: str) -> list[StreamEvent]:
        """End a stream.

        Args:
            id_: Of the stream.

        Returns:
            What was not known before, in order.
        """
        return self._streams.pop(id_)[0].finish()

    def close(self, id_: str) -> None:
        """Forget a time line or a stream.

        Args:
            id_: Of it; one that is not open is no error.
        """
        self._streams.pop(id_, None)
        if (recording := self._recordings.pop(id_, None)) is not None:
            recording.work.close()


def _recogniser(model: str, asr: str, require_speech: bool) -> Recogniser:
    """A recogniser; one that reads no words is not told how to find them, since each answer would warn of that."""
    recogniser = Recogniser(model, require_speech=require_speech)
    if not recogniser.uses_words or asr == "auto":
        return recogniser
    return Recogniser(model, asr=asr, require_speech=require_speech)


def _adapts(recogniser: Recogniser) -> bool:
    try:
        recogniser.session()
    except ConfigurationError:
        return False
    return True


def _given_words(
    recogniser: Recogniser, upload: Upload, transcript: str | None, channel: int | None
) -> tuple[tuple[Word, ...] | None, tuple[str, ...]]:
    """The words of a transcript, with times, where the system reads words; and a warning where it does not."""
    if transcript is None:
        return None, ()
    if not recogniser.uses_words:
        return None, ("this system uses the acoustics only; the given words are not used",)
    source = upload.open() if channel is None else audio.Channel(upload.open(), channel)
    return aligned_words(source, transcript), ()


def _checked_length(upload: Upload, limit: float) -> audio.Properties:
    try:
        about = audio.properties(upload.open())
    except DuettoError as error:
        raise refusal(error) from error
    if about.duration > limit:
        raise RequestError(
            "too_long", f"the recording lasts {about.duration:.0f} s, and at most {limit:g} s are analysed", "file"
        )
    return about


def refusal(error: DuettoError) -> RequestError:
    """Find the error of a request whose recording cannot be analysed.

    Args:
        error: Of the analysis.

    Returns:
        `not_audio` if the file is not audio, else `audio_invalid`; `internal_error` for a defect of duetto.
    """
    if type(error) is DuettoError:  # what `Recogniser.guarded` makes of an unexpected error
        return RequestError("internal_error", "the analysis failed by a defect of duetto")
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, NotAudioError):
        cause = cause.__cause__
    return RequestError("audio_invalid" if cause is None else "not_audio", str(error), "file")
