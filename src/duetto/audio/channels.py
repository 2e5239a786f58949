"""Several channels of a recording, read together in one pass and in bounded memory.

source ─ open_channels ─▶ OpenRecording ─ .blocks([0, 1]) ─▶ [(n,) of channel 0, (n,) of channel 1], …
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator, Sequence

import numpy as np

from ..errors import AudioError
from .cut import Cut
from .decoder import Decoder
from .io import StreamResampler, one_channel
from .opening import Source, open_source
from .signal import NO_SAMPLES, check_finite, validate_rate
from .timing import SAMPLE_RATE


class OpenRecording:
    """A recording that is read once, from its beginning to its end.

    Args:
        decoder: The recording.
        sample_rate: Of the result, in Hz.

    Attributes:
        channels: Of the recording.
        distinct: Whether its channels differed anywhere so far.
        seconds: Of the recording so far.
    """

    def __init__(self, decoder: Decoder, sample_rate: int) -> None:
        self._decoder, self._sample_rate = decoder, sample_rate
        self.channels = decoder.channels
        self.distinct, self._frames = False, 0

    @property
    def seconds(self) -> float:
        """Of the recording so far, in seconds."""
        return self._frames / self._decoder.sample_rate

    @property
    def stated_seconds(self) -> float:
        """Length that the header states, in seconds; infinite where it does not."""
        return self._decoder.stated_length / self._decoder.sample_rate

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the file; complete at its end."""
        return (*Cut().warnings(self._decoder), *self._decoder.warnings)

    def blocks(self, chosen: Sequence[int | None], *, seconds: float = 10.0) -> Iterator[list[np.ndarray]]:
        """Read the recording; the blocks of a channel together equal those of `audio.stream`, bit for bit.

        Args:
            chosen: Channels, from 0 on; None for the mean of all.
            seconds: Length of a block, about; the last one is shorter.

        Yields:
            For each chosen channel (n,) float32; n is the same for all.

        Raises:
            AudioError: The recording is damaged or empty, or has no such channel.
        """
        rate = self._decoder.sample_rate
        resamplers = [StreamResampler(rate, self._sample_rate) for _ in chosen]
        pending: list[list[np.ndarray]] = []
        count, total, mono = 0, 0, [np.empty(0, np.float32) for _ in chosen]
        for block in self._decoder.blocks(0, math.inf):
            check_finite(block, self._decoder.name, self._frames, rate)
            self.distinct = self.distinct or bool((block != block[:, :1]).any())
            self._frames += len(block)
            mono = [one_channel(block, channel, self._decoder.name) for channel in chosen]
            pending.append([r.push(sound) for r, sound in zip(resamplers, mono, strict=True)])
            count += len(pending[-1][0])
            if count >= seconds * self._sample_rate:
                yield _joined(pending)
                pending, count, total = [], 0, total + count
        if not self._frames:
            raise AudioError(f"{self._decoder.name}: holds {NO_SAMPLES}")
        pending.append([resampler.finish() for resampler in resamplers])
        rest = _joined(pending)
        if len(rest[0]) or not total:
            yield rest if len(rest[0]) else [sound[:1] for sound in mono]  # less than one sample at the new rate


@contextlib.contextmanager
def open_channels(source: Source, *, sample_rate: int = SAMPLE_RATE) -> Generator[OpenRecording]:
    """Open a recording to read several of its channels.

    Args:
        source: As for `audio.load`.
        sample_rate: Of the result, in Hz.

    Yields:
        The recording.

    Raises:
        AudioError: It cannot be opened, or is no audio.
    """
    sample_rate = validate_rate(sample_rate, "the sample rate requested")
    with open_source(source) as decoder:
        yield OpenRecording(decoder, sample_rate)


def _joined(pending: list[list[np.ndarray]]) -> list[np.ndarray]:
    return [np.concatenate(parts) for parts in zip(*pending, strict=True)]
