"""What runs in a worker: recognition. Every call is short, so that streams and uploads share a worker fairly.

    predict(upload)                           bounded by `Recogniser.max_seconds`
    open_recording · advance · … · close      a time line, `STEP_SECONDS` of sound a call
    open_stream · push · … · finish           a live stream

Nothing is written to a disk: recordings come as bytes and are decoded from memory.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import audio
from ..audio.decode import NotAudioError
from ..errors import ConfigurationError, DuettoError
from ..inference.recogniser import Recogniser
from ..live.events import StreamEvent, TimelineSegment, UtteranceAnswered, WindowAnswered
from ..live.stream import StreamConfig, StreamingRecogniser
from .errors import RequestError
from .transcriber import Recent, Transcriber

STEP_SECONDS = 4.0
"""Sound of a recording that is analysed in one call."""

_MARGIN = 0.2
"""Seconds around an utterance in which its words are found."""

Channels = str | int
"""`split`, `mix` or a number, as for `live.analyse`."""


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
    """A time line that is being made."""

    about: audio.Properties
    recogniser: Recogniser
    steps: Iterator[None]
    events: list[StreamEvent] = field(default_factory=list)
    texts: dict[tuple[float, int | None], str] = field(default_factory=dict)


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
        self._streams: dict[str, list[StreamingRecogniser]] = {}
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

    def open_recording(
        self, id_: str, upload: Upload, config: StreamConfig, channels: Channels, limit: float, with_text: bool
    ) -> int:
        """Begin a time line.

        Args:
            id_: Of the time line, new.
            upload: The recording.
            config: How it is cut and answered.
            channels: Which channels are answered, as for `live.analyse`.
            limit: Seconds that it may last.
            with_text: Whether the words of each utterance are found where the system reads none.

        Returns:
            The number of calls of `advance` that it needs at most.

        Raises:
            RequestError: It cannot be analysed, or has no such channel.
        """
        about = _checked_length(upload, limit)
        recogniser = self.recognisers[upload.model]
        chosen = chosen_channels(channels, about.channels)
        recording = _Recording(about, recogniser, iter(()))
        with_text = with_text and not recogniser.uses_words
        recording.steps = self._steps(recording, upload, config, chosen, with_text)
        self._recordings[id_] = recording
        return len(chosen) * (int(about.duration // STEP_SECONDS) + 2)

    def advance(self, id_: str) -> bool:
        """Analyse the next part of a recording.

        Args:
            id_: Of the time line.

        Returns:
            Whether there is more to analyse.

        Raises:
            RequestError: The recording is damaged there.
        """
        try:
            return next(self._recordings[id_].steps, "end") != "end"
        except DuettoError as error:
            raise refusal(error) from error

    def result(self, id_: str) -> dict[str, Any]:
        """Return what a time line holds.

        Args:
            id_: Of a time line of which `advance` returned False.

        Returns:
            The values of `live.Timeline` but for its labels and model: segments and windows (`TimelineSegment`),
            duration, channels; and `texts`: (start, channel) of a segment → its text, where it was looked for.
        """
        recording = self._recordings[id_]
        events = recording.events
        return {
            "segments": _in_order([e.segment for e in events if isinstance(e, UtteranceAnswered)]),
            "windows": _in_order([e.segment for e in events if isinstance(e, WindowAnswered)]),
            "duration": recording.about.duration,
            "channels": recording.about.channels,
            "labels": recording.recogniser.labels,
            "texts": recording.texts,
        }

    def open_stream(
        self, id_: str, model: str, config: StreamConfig, rate: int, channels: Sequence[int | None]
    ) -> None:
        """Begin a stream.

        Args:
            id_: Of the stream, new.
            model: Name of the model.
            config: How it is cut and answered.
            rate: Of its samples, in Hz.
            channels: What the answers state as their channel, one for each channel of the stream.

        Raises:
            RequestError: A setting is not valid.
        """
        try:
            self._streams[id_] = [
                StreamingRecogniser(self.recognisers[model], config, sample_rate=rate, channel=channel)
                for channel in channels
            ]
        except DuettoError as error:
            raise RequestError("config_invalid", str(error)) from error

    def push(self, id_: str, pcm: bytes) -> list[StreamEvent]:
        """Take the next samples of a stream.

        Args:
            id_: Of the stream.
            pcm: Whole frames of 16-bit little-endian samples, channels interleaved.

        Returns:
            What is known now, in the order of the sound after which it is known.
        """
        streams = self._streams[id_]
        frames = np.frombuffer(pcm, "<i2").reshape(-1, len(streams))
        return _merged([stream.push(frames[:, i]) for i, stream in enumerate(streams)])

    def finish(self, id_: str) -> list[StreamEvent]:
        """End a stream.

        Args:
            id_: Of the stream.

        Returns:
            What was not known before, in order.
        """
        return _merged([stream.finish() for stream in self._streams.pop(id_)])

    def close(self, id_: str) -> None:
        """Forget a time line or a stream.

        Args:
            id_: Of it; one that is not open is no error.
        """
        self._streams.pop(id_, None)
        self._recordings.pop(id_, None)

    def _steps(
        self,
        recording: _Recording,
        upload: Upload,
        config: StreamConfig,
        channels: Sequence[int | None],
        with_text: bool,
    ) -> Iterator[None]:
        for channel in channels:
            stream = StreamingRecogniser(recording.recogniser, config, channel=channel)
            recent = Recent(60.0) if with_text else None
            for block in audio.stream(upload.open(), block_seconds=STEP_SECONDS, channel=channel):
                if recent is not None:
                    recent.add(block)
                self._take(recording, stream.push(block), recent)
                yield
            self._take(recording, stream.finish(), recent)
            yield

    def _take(self, recording: _Recording, events: list[StreamEvent], recent: Recent | None) -> None:
        recording.events += events
        if recent is None:
            return
        for event in events:
            if isinstance(event, UtteranceAnswered):
                start, end = event.segment.start, event.segment.end
                text = self._transcribe(recent.cut(start - _MARGIN, end + _MARGIN))
                recording.texts[start, event.segment.channel] = text


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


def chosen_channels(channels: Channels, count: int) -> Sequence[int | None]:
    """Find the channels to answer, as `live.analyse` does.

    Args:
        channels: `split`, `mix`, or the number of one, from 0 on.
        count: Channels of the recording.

    Returns:
        Their numbers; None for the mean of all.

    Raises:
        RequestError: There is no such channel.
    """
    if channels == "split" or (channels == "mix" and count == 1):
        return range(count)
    if channels == "mix":
        return [None]
    if isinstance(channels, int) and 0 <= channels < count:
        return [channels]
    raise RequestError(
        "request_invalid",
        f"channels is {channels!r}; give split, mix or one of 0 to {count - 1}, which this recording has",
        "channels",
    )


def _in_order(segments: list[TimelineSegment]) -> tuple[TimelineSegment, ...]:
    return tuple(sorted(segments, key=lambda each: (each.start, -1 if each.channel is None else each.channel)))


def _merged(events: list[list[StreamEvent]]) -> list[StreamEvent]:
    """In the order in which they are known; at one time, in the order of channels."""
    return sorted((event for each in events for event in each), key=lambda event: event.known_at)
