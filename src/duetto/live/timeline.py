"""`analyse`: a recording of any length, and the emotion of each of its utterances.

timeline = analyse(duetto.load(), "call.wav")
for segment in timeline.segments:
    print(segment.start, segment.end, segment.channel, segment.label)
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, cast

from .. import audio
from ..errors import AudioError, ConfigurationError
from ..inference.recogniser import Recogniser
from .events import StreamEvent, TimelineSegment, UtteranceAnswered, WindowAnswered
from .stream import StreamConfig, StreamingRecogniser

Channels = Literal["split", "mix"] | int
"""Each channel by itself, their mean, or one of them, from 0 on."""

_BLOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Timeline:
    """The emotion of a recording over time.

    Attributes:
        segments: Of its utterances, in the order of their start; at one time in the order of channels.
        windows: Of its sliding windows, in the same order; none unless asked for.
        duration: Of the recording, in seconds.
        channels: Channels of the recording.
        model: Name of the model, as given to `duetto.load`.
        labels: The classes, in the order of the label set.
        warnings: What is odd about the recording as a whole.
    """

    segments: tuple[TimelineSegment, ...]
    windows: tuple[TimelineSegment, ...]
    duration: float
    channels: int
    model: str
    labels: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self, file: str) -> dict[str, Any]:
        """Make a record of it.

        Args:
            file: Name of the recording.

        Returns:
            JSON values.
        """
        return {
            "file": file,
            "duration": round(self.duration, 3),
            "channels": self.channels,
            "model": self.model,
            "labels": list(self.labels),
            "segments": [segment.to_json() for segment in self.segments],
            "windows": [segment.to_json() for segment in self.windows],
            "warnings": list(self.warnings),
        }


def analyse(
    recogniser: Recogniser, source: audio.Source, config: StreamConfig | None = None, *, channels: Channels = "split"
) -> Timeline:
    """Recognise the emotion of every utterance of a recording.

    A channel is one speaker: where the system adapts, each has statistics of its own, of its utterances before the one
    that is answered. The result equals that of `StreamingRecogniser` for each channel. Memory does not grow with the
    length of the recording, but for the answers.

    Args:
        recogniser: From `duetto.load`.
        source: As for `audio.load`.
        config: How it is cut and answered.
        channels: Which channels are answered. With `split`, the default, a call of two channels is two speakers.

    Returns:
        The time line.

    Raises:
        AudioError: The recording cannot be read.
        ConfigurationError: There is no such channel.
    """
    with _rereadable(source) as own:
        about = audio.properties(own)
        events: list[StreamEvent] = []
        for channel in _chosen(channels, about.channels):
            events += stream_events(recogniser, own, config, channel=channel)
    return Timeline(
        _in_order(event.segment for event in events if isinstance(event, UtteranceAnswered)),
        _in_order(event.segment for event in events if isinstance(event, WindowAnswered)),
        about.duration,
        about.channels,
        recogniser.name,
        recogniser.labels,
        _mixed(channels, about.channels),
    )


def stream_events(
    recogniser: Recogniser, source: audio.Source, config: StreamConfig | None = None, *, channel: int | None = None
) -> Iterator[StreamEvent]:
    """Answer one channel of a recording as a stream.

    Args:
        recogniser: From `duetto.load`.
        source: As for `audio.load`.
        config: How it is cut and answered.
        channel: From 0 on; None for the mean of all.

    Yields:
        The events, in order.

    Raises:
        AudioError: The recording cannot be read, or has no such channel.
    """
    stream = StreamingRecogniser(recogniser, config, channel=channel)
    for block in audio.stream(source, block_seconds=_BLOCK_SECONDS, channel=channel):
        yield from stream.push(block)
    yield from stream.finish()


def _chosen(channels: Channels, count: int) -> Sequence[int | None]:
    """The channels to answer; None for the mean. One channel is channel 0, however it is asked for."""
    if channels == "split" or (channels == "mix" and count == 1):
        return range(count)
    if channels == "mix":
        return [None]
    if isinstance(channels, int) and 0 <= channels < count:
        return [channels]
    raise ConfigurationError(
        f"channels is {channels!r}; give 'split', 'mix' or one of 0 to {count - 1}, which this recording has"
    )


def _mixed(channels: Channels, count: int) -> tuple[str, ...]:
    if channels != "mix" or count == 1:
        return ()
    return (f"{count} channels were mixed; if each is a speaker, give channels='split'",)


def _in_order(segments: Iterator[TimelineSegment]) -> tuple[TimelineSegment, ...]:
    return tuple(sorted(segments, key=lambda each: (each.start, -1 if each.channel is None else each.channel)))


@contextlib.contextmanager
def _rereadable(source: audio.Source) -> Generator[audio.Source]:
    """A source that can be read for each channel anew: a pipe is copied to a temporary file."""
    if isinstance(source, Mapping) or not (audio.is_stream(source) or hasattr(source, "read")):
        yield source
        return
    with tempfile.TemporaryFile() as file:
        try:
            audio.save(source, cast(BinaryIO, file))
        except OSError as error:
            raise AudioError(f"{source}: cannot be copied to a temporary file ({error})") from error
        yield cast(BinaryIO, file)
