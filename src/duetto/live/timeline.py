"""`analyse`: a recording of any length, and the emotion of each of its utterances.

timeline = analyse(duetto.load(), "call.wav")
for segment in timeline.segments:
    print(segment.start, segment.end, segment.channel, segment.label)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .. import audio
from ..data.utterance import Word
from ..errors import ConfigurationError
from ..inference.recogniser import Recogniser
from .events import StreamEvent, TimelineSegment, UtteranceAnswered, WindowAnswered
from .stream import StreamConfig, StreamingRecogniser

Channels = Literal["split", "mix"] | int
"""Each channel by itself, their mean, or one of them, from 0 on."""

Watch = Callable[[Sequence[int | None], Sequence[np.ndarray], float], None]
"""Gets the chosen channels, (n,) samples at 16 kHz of each, and the seconds that the header states (or infinity)."""

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
    recogniser: Recogniser,
    source: audio.Source,
    config: StreamConfig | None = None,
    *,
    channels: Channels = "split",
    watch: Watch | None = None,
    words: Sequence[Word] | None = None,
) -> Timeline:
    """Recognise the emotion of every utterance of a recording.

    A channel is one speaker: where the system adapts, each has statistics of its own, of its utterances before the one
    that is answered. The result equals that of `StreamingRecogniser` for each channel. The recording is read once, and
    memory does not grow with its length, but for the answers; channels are answered side by side, a thread each.

    Args:
        recogniser: From `duetto.load`.
        source: As for `audio.load`.
        config: How it is cut and answered.
        channels: Which channels are answered. With `split`, the default, a call of two channels is two speakers.
        watch: Gets every block of samples, for a picture of the recording or a progress bar.
        words: What is said, with times, for a single channel; see `StreamingRecogniser`.

    Returns:
        The time line.

    Raises:
        AudioError: The recording cannot be read.
        ConfigurationError: There is no such channel, or there are words for several.
    """
    with audio.open_channels(source) as recording:
        chosen = chosen_channels(channels, recording.channels)
        if words is not None and len(chosen) > 1:
            raise ConfigurationError(f"words are those of one channel; give one of 0 to {recording.channels - 1}")
        streams = [StreamingRecogniser(recogniser, config, channel=channel, words=words) for channel in chosen]
        segments: list[TimelineSegment] = []
        windows: list[TimelineSegment] = []
        with ThreadPoolExecutor(len(streams)) as pool:
            run = map if len(streams) == 1 else pool.map
            for block in recording.blocks(chosen, seconds=_BLOCK_SECONDS):
                for events in run(StreamingRecogniser.push, streams, block):
                    _sort_out(events, segments, windows)
                if watch is not None:
                    watch(chosen, block, recording.stated_seconds)
            for events in run(StreamingRecogniser.finish, streams):
                _sort_out(events, segments, windows)
        alike = len(chosen) > 1 and not recording.distinct
        warnings = (*recording.warnings, *_channel_warnings(channels, recording, alike=alike))
        return Timeline(
            _in_order(segments),
            _in_order(windows),
            recording.seconds,
            recording.channels,
            recogniser.name,
            recogniser.labels,
            warnings,
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


def chosen_channels(channels: Channels, count: int) -> tuple[int | None, ...]:
    """Find the channels to answer. One channel is channel 0, however it is asked for.

    Args:
        channels: What was asked for.
        count: Channels of the recording.

    Returns:
        Channels from 0 on; None for the mean of all.

    Raises:
        ConfigurationError: There is no such channel.
    """
    if channels == "split" or (channels == "mix" and count == 1):
        return tuple(range(count))
    if channels == "mix":
        return (None,)
    if isinstance(channels, int) and 0 <= channels < count:
        return (channels,)
    raise ConfigurationError(
        f"channels is {channels!r}; give 'split', 'mix' or one of 0 to {count - 1}, which this recording has"
    )


def _channel_warnings(channels: Channels, recording: audio.OpenRecording, *, alike: bool) -> tuple[str, ...]:
    if alike:
        return (f"all {recording.channels} channels hold the same sound; one of them is enough (channels=0)",)
    if channels == "mix" and recording.channels > 1 and recording.distinct:
        return (f"{recording.channels} channels were mixed; if each is a speaker, give channels='split'",)
    return ()


def _sort_out(events: Iterable[StreamEvent], segments: list[TimelineSegment], windows: list[TimelineSegment]) -> None:
    segments += [event.segment for event in events if isinstance(event, UtteranceAnswered)]
    windows += [event.segment for event in events if isinstance(event, WindowAnswered)]


def _in_order(segments: Iterable[TimelineSegment]) -> tuple[TimelineSegment, ...]:
    return tuple(sorted(segments, key=lambda each: (each.start, -1 if each.channel is None else each.channel)))
