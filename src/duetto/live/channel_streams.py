"""Live sound of several channels: where its blocks come from, at which pace, and the events of all channels.

standard input ─ pcm_stream ┐
recording ── recorded_stream ┴─▶ LiveSound ─ (real_time) ─▶ (n, channels) ─ ChannelStreams.push ─▶ events
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..audio.opening import Source, open_source
from ..audio.signal import check_finite
from ..errors import AudioError
from ..inference.recogniser import Recogniser
from .events import StreamEvent
from .stream import StreamConfig, StreamingRecogniser
from .timeline import Channels, chosen_channels

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_TYPES = {(_PCM, 16): "<i2", (_FLOAT, 32): "<f4"}
_MOST_HEAD = 1 << 20


@dataclass(frozen=True)
class LiveSound:
    """Sound as it arrives.

    Attributes:
        sample_rate: Hz.
        channels: Number of channels.
        blocks: (n, channels) float32, one after the other.
    """

    sample_rate: int
    channels: int
    blocks: Iterator[np.ndarray]


class ChannelStreams:
    """Recognises emotion in the channels of one stream, each by itself or mixed; for one thread.

    Args:
        recogniser: From `duetto.load`.
        config: See `StreamConfig`.
        sample_rate: Of the samples that will be pushed, in Hz.
        count: Channels of the samples.
        channels: Which of them are answered.

    Raises:
        ConfigurationError: There is no such channel.
        AudioError: The sample rate is not valid.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        config: StreamConfig | None = None,
        *,
        sample_rate: int,
        count: int,
        channels: Channels = "split",
    ) -> None:
        self._chosen = chosen_channels(channels, count)
        self._streams = [
            StreamingRecogniser(recogniser, config, sample_rate=sample_rate, channel=channel)
            for channel in self._chosen
        ]

    def push(self, block: np.ndarray) -> list[StreamEvent]:
        """Take the next samples.

        Args:
            block: (n, channels) float32, any number.

        Returns:
            What is known now and was not before, in the order in which it was known.

        Raises:
            AudioError: The samples are not valid.
        """
        events: list[StreamEvent] = []
        for channel, stream in zip(self._chosen, self._streams, strict=True):
            mixed = block.mean(axis=1, dtype=np.float64).astype(np.float32) if channel is None else block[:, channel]
            events += stream.push(np.ascontiguousarray(mixed))
        return sorted(events, key=lambda event: event.known_at)

    def finish(self) -> list[StreamEvent]:
        """End the stream.

        Returns:
            What was not known before, in order.
        """
        events = [event for stream in self._streams for event in stream.finish()]
        return sorted(events, key=lambda event: event.known_at)


@contextmanager
def recorded_stream(source: Source, block_seconds: float = 0.1) -> Generator[LiveSound]:
    """Open a recording as a stream.

    Args:
        source: As for `audio.load`.
        block_seconds: Seconds of a block.

    Yields:
        The stream.

    Raises:
        AudioError: It cannot be read.
    """
    with open_source(source) as decoder:
        size = max(1, round(block_seconds * decoder.sample_rate))

        def blocks() -> Iterator[np.ndarray]:
            at = 0
            for block in decoder.blocks():
                check_finite(block, decoder.name, at, decoder.sample_rate)
                at += len(block)
                yield from (block[i : i + size] for i in range(0, len(block), size))

        yield LiveSound(decoder.sample_rate, decoder.channels, blocks())


def pcm_stream(file: Any, rate: int | None = None, channels: int = 1) -> LiveSound:
    """Read a pipe as a stream: its samples are there as soon as they are written.

    Args:
        file: A buffered binary file, such as `sys.stdin.buffer`.
        rate: Of samples of 16 bits without a header, in Hz; None for a wav file of 16 bits or of 32-bit floats.
        channels: Of samples without a header.

    Returns:
        The stream.

    Raises:
        AudioError: It is no such wav file.
    """
    kind = "<i2"
    if rate is None:
        kind, rate, channels = _wav_head(file)
    return LiveSound(rate, channels, _pcm_blocks(file, kind, channels))


def real_time(
    sound: LiveSound,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> LiveSound:
    """Hold each block back until its last sample would have been spoken.

    Args:
        sound: A recording.
        clock: Seconds.
        sleep: Waits so many seconds.

    Returns:
        The same sound at its own pace.
    """

    def paced() -> Iterator[np.ndarray]:
        began, frames = clock(), 0
        for block in sound.blocks:
            frames += len(block)
            if (early := began + frames / sound.sample_rate - clock()) > 0:
                sleep(early)
            yield block

    return LiveSound(sound.sample_rate, sound.channels, paced())


def _pcm_blocks(file: Any, kind: str, channels: int) -> Iterator[np.ndarray]:
    """What is there, in whole frames; what is left of the last one is dropped."""
    size, rest = np.dtype(kind).itemsize * channels, b""
    while data := file.read1(1 << 16):
        data = rest + data
        whole = len(data) // size * size
        rest = data[whole:]
        block = np.frombuffer(data[:whole], kind).reshape(-1, channels)
        if len(block):
            yield block.astype(np.float32) / np.float32(32_768) if kind == "<i2" else block.astype(np.float32)


def _wav_head(file: Any) -> tuple[str, int, int]:
    """Type of the samples, rate and channels of a wav file, read up to its first sample."""
    head, format_ = file.read(12), b""
    while head[:4] in (b"RIFF", b"RF64") and head[8:] == b"WAVE" and len(chunk := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data":
            break
        content = file.read(min(size + size % 2, _MOST_HEAD))
        format_ = content if name == b"fmt " else format_
    if len(format_) < 16:
        raise AudioError(
            "standard input: is no wav file, which alone can be streamed; give --rate HZ for samples without a header, "
            "or let ffmpeg convert: ffmpeg -i FILE -f wav - | duetto stream -"
        )
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", format_[:16])
    tag = struct.unpack("<H", format_[24:26])[0] if tag == _EXTENSIBLE and len(format_) >= 26 else tag
    if (tag, bits) not in _TYPES or not 1 <= channels <= 64:
        raise AudioError(f"standard input: wav of type {tag} with {bits} bits; give 16 bits or 32-bit floats")
    return _TYPES[tag, bits], rate, channels
