"""What every decoder offers, and two that decode no file: samples in memory, one channel of another decoder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import AudioError

FULL_SCALE = 0.999
"""Magnitude from which a sample counts as clipped, but for encodings of 8 bits."""

_BLOCK_FRAMES = 1 << 16


class Decoder(Protocol):
    """An opened recording, which can be decoded any number of times."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hz."""
        ...

    @property
    def channels(self) -> int:
        """Number of channels."""
        ...

    @property
    def full_scale(self) -> float:
        """Magnitude from which a sample counts as clipped."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What is odd about the recording; complete once it was decoded to its end."""
        ...

    @property
    def length(self) -> int | None:
        """Frames; None until it was decoded to its end."""
        ...

    @property
    def stated_length(self) -> float:
        """Frames as a header states them; infinite where it does not."""
        ...

    def measure_length(self) -> int:
        """Find the length, by decoding only where nothing else shows it.

        Returns:
            Frames.
        """
        ...

    def blocks(self, first: float = 0, last: float = math.inf) -> Iterator[np.ndarray]:
        """Decode a range of frames.

        Args:
            first: Frame to begin at, a whole number.
            last: Frame to end before, a whole number or infinity.

        Yields:
            (n, channels) float32; fewer frames in all where the recording ends before `last`.
        """
        ...


@dataclass(frozen=True, slots=True)
class ArrayDecoder:
    """Samples in memory, with the interface of a `Decoder`.

    Attributes:
        name: For messages.
        sample_rate: Hz.
        frames: (n, channels) float32.
        full_scale: Magnitude from which a sample counts as clipped.
        warnings: What is odd about the samples: nothing.
    """

    name: str
    sample_rate: int
    frames: np.ndarray
    full_scale: float = FULL_SCALE
    warnings: Sequence[str] = ()

    @property
    def length(self) -> int:
        """Frames."""
        return len(self.frames)

    @property
    def stated_length(self) -> int:
        """Frames."""
        return len(self.frames)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.frames.shape[1]

    def measure_length(self) -> int:
        """Return the length.

        Returns:
            Frames.
        """
        return self.length

    def blocks(self, first: float = 0, last: float = math.inf) -> Iterator[np.ndarray]:
        """Cut a range of frames into blocks; see `Decoder.blocks`.

        Args:
            first: Frame to begin at.
            last: Frame to end before.

        Yields:
            (n, channels) float32.
        """
        end = int(min(last, self.length))
        for at in range(int(first), end, _BLOCK_FRAMES):
            yield self.frames[at : min(at + _BLOCK_FRAMES, end)]


class ChannelDecoder:
    """One channel of a recording, as a recording of one channel.

    Args:
        decoder: The recording.
        channel: From 0 on.

    Attributes:
        name: For messages.
        sample_rate: Hz.
        channels: 1.
        full_scale: Magnitude from which a sample counts as clipped.

    Raises:
        AudioError: There is no such channel.
    """

    def __init__(self, decoder: Decoder, channel: int) -> None:
        check_channel(channel, decoder.channels, decoder.name)
        self._decoder, self._channel = decoder, channel
        self.name, self.sample_rate, self.channels = decoder.name, decoder.sample_rate, 1
        self.full_scale = decoder.full_scale

    @property
    def warnings(self) -> Sequence[str]:
        """What is odd about the recording."""
        return self._decoder.warnings

    @property
    def length(self) -> int | None:
        """Frames; None until it was decoded to its end."""
        return self._decoder.length

    @property
    def stated_length(self) -> float:
        """Frames as a header states them."""
        return self._decoder.stated_length

    def measure_length(self) -> int:
        """See `Decoder.measure_length`.

        Returns:
            Frames.
        """
        return self._decoder.measure_length()

    def blocks(self, first: float = 0, last: float = math.inf) -> Iterator[np.ndarray]:
        """Decode a range of frames; see `Decoder.blocks`.

        Args:
            first: Frame to begin at.
            last: Frame to end before.

        Yields:
            (n, 1) float32.
        """
        for block in self._decoder.blocks(first, last):
            yield block[:, self._channel : self._channel + 1]


def check_channel(channel: int, count: int, name: str) -> None:
    """Check the number of a channel.

    Args:
        channel: From 0 on.
        count: Channels of the recording.
        name: Of the recording, for the message.

    Raises:
        AudioError: There is no such channel.
    """
    if not 0 <= channel < count:
        has = "only channel 0" if count == 1 else f"channels 0 to {count - 1}"
        raise AudioError(f"{name}: channel {channel} requested; it has {has}")
