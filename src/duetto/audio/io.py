"""`load`, `stream`, `duration`, `write`: see the package."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from ..errors import AudioError, ConfigurationError
from ..utils.files import replacing
from .cut import Cut, Side, excerpt
from .decode import NotAudioError, encode
from .decoder import Decoder, check_channel
from .levels import LevelMeter
from .opening import Source, open_source
from .signal import NO_SAMPLES, as_frames, check_finite, validate_rate
from .timing import SAMPLE_RATE

_ENCODINGS = {".wav": "PCM_16", ".flac": "PCM_16", ".ogg": "VORBIS", ".opus": "OPUS", ".mp3": "MPEG_LAYER_III"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """One channel of sound.

    Attributes:
        samples: (n,) float32, n ≥ 1, finite, read-only, full scale ±1.
        sample_rate: Hz.
        warnings: What is odd about the recording.
        source_duration: Seconds of the whole recording, where `load` was given `max_seconds`.
        mixed: Channels that were averaged though they differ; 0 where there was one, or all were alike.
    """

    samples: np.ndarray
    sample_rate: int
    warnings: tuple[str, ...] = ()
    source_duration: float | None = None
    mixed: int = 0

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True, slots=True)
class Properties:
    """Properties of a recording.

    Attributes:
        sample_rate: Hz.
        channels: Number of channels.
        duration: Seconds.
    """

    sample_rate: int
    channels: int
    duration: float


def load(
    source: Source,
    *,
    start: float | None = None,
    end: float | None = None,
    sample_rate: int = SAMPLE_RATE,
    max_seconds: float | None = None,
    side: Side = "first",
) -> Waveform:
    """Read a recording, or a part of it, as one channel at `sample_rate`.

    The cut is made before resampling, so what lies outside it does not leak in. An `end` up to `END_TOLERANCE` beyond
    the file is taken as its end, with a warning.

    Args:
        source: A path, a binary file object, the bytes of a file, {"waveform": (n,) or (channels, n), "sample_rate":
            Hz}, another of the forms of `audio.forms`, or a `Channel` or `RawPcm` of one of them. int16 and int32 are
            divided by their full scale; floating-point samples are taken as they are.
        start: Seconds; the beginning by default.
        end: Seconds; the end by default.
        sample_rate: Of the result, in Hz.
        max_seconds: Decode at most so many seconds, instead of `start` and `end`. The samples are those of the whole
            recording, but for the filter of the resampler at the cut.
        side: Whether those are the first seconds or the last, which begin at a whole second.

    Returns:
        The samples, with warnings about what is odd.

    Raises:
        AudioError: The recording cannot be analysed; the message names the file.
        ConfigurationError: `max_seconds` was given along with `start` or `end`.
    """
    sample_rate = validate_rate(sample_rate, "the sample rate requested")
    cut = Cut(start, end)
    if max_seconds is not None and cut != Cut():
        raise ConfigurationError("max_seconds does not go with start and end; give one or the other")
    with open_source(source) as decoder:
        first, last = cut.frames(decoder) if max_seconds is None else excerpt(decoder, max_seconds, side)
        meter = LevelMeter(decoder.sample_rate, decoder.full_scale)
        blocks = list(_resampled(decoder, first, last, sample_rate, cut, meter))
        warnings = [*cut.warnings(decoder), *decoder.warnings]
        source_duration = None if max_seconds is None else decoder.measure_length() / decoder.sample_rate
    samples = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    samples.setflags(write=False)
    return Waveform(samples, sample_rate, (*warnings, *meter.warnings(sample_rate)), source_duration, meter.distinct)


def stream(
    source: Source, *, sample_rate: int = SAMPLE_RATE, block_seconds: float = 30.0, channel: int | None = None
) -> Iterator[np.ndarray]:
    """Read a recording in blocks, in bounded memory.

    The blocks together equal `load(source).samples` bit for bit: both run the same streaming resampler over the same
    input. An error that lies deep in the file is raised when the stream reaches it.

    Args:
        source: As for `load`.
        sample_rate: Of the result, in Hz.
        block_seconds: Length of a block; the last one is shorter.
        channel: Which channel, from 0 on; None for the mean of all.

    Returns:
        An iterator over (n,) float32 arrays.

    Raises:
        AudioError: As for `load`, a block would hold no sample, or there is no such channel.
    """
    sample_rate = validate_rate(sample_rate, "the sample rate requested")
    if not (math.isfinite(block_seconds) and block_seconds * sample_rate >= 1):
        raise AudioError(f"a block of {block_seconds} s holds no sample: give at least {1 / sample_rate:.2g} s")
    return _blocks_of(source, sample_rate, round(block_seconds * sample_rate), channel)


def duration(source: Source) -> float:
    """Measure the length of a recording: of what can be decoded, whatever its header states.

    Args:
        source: As for `load`.

    Returns:
        Seconds.

    Raises:
        AudioError: It cannot be read; the message names the file.
    """
    return properties(source).duration


def properties(source: Source) -> Properties:
    """Find sample rate, channels and length of a recording, by decoding only where nothing else shows the length.

    Args:
        source: As for `load`.

    Returns:
        Its properties.

    Raises:
        AudioError: It cannot be read; the message names the file.
    """
    with open_source(source) as decoder:
        length = decoder.measure_length()
        if not length:
            raise AudioError(f"{decoder.name}: holds {NO_SAMPLES}")
        return Properties(decoder.sample_rate, decoder.channels, length / decoder.sample_rate)


def write(path: str | os.PathLike[str], samples: np.ndarray, sample_rate: int) -> None:
    """Write samples to an audio file, atomically.

    Args:
        path: The suffix chooses the format: `.wav` and `.flac` hold 16 bits; `.ogg`, `.opus` and `.mp3` are lossy.
        samples: (n,) or (channels, n), full scale ±1. Those beyond are clipped and their number is logged.
        sample_rate: Hz.

    Raises:
        AudioError: Another suffix, samples that are not valid, or a rate that the format does not have.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _ENCODINGS:
        raise AudioError(f"{path}: cannot write {path.suffix or 'a file without suffix'}; use {', '.join(_ENCODINGS)}")
    rate = validate_rate(sample_rate, f"{path}: the sample rate")
    frames = as_frames(samples, str(path))
    check_finite(frames, str(path), 0, rate)
    if beyond := int(np.count_nonzero(np.abs(frames) > 1)):
        _log.warning("%s: %d samples lie beyond ±1 and are clipped", path, beyond)
    subtype = _ENCODINGS[suffix]
    container = "OGG" if subtype == "OPUS" else suffix[1:].upper()
    if subtype == "PCM_16":  # rounded here: libsndfile truncates, so that a copy of a copy would drift
        frames = np.clip(np.rint(frames * np.float32(32_768)), -32_768, 32_767).astype(np.int16)
    else:
        frames = np.clip(frames, -1, 1)
    try:
        with replacing(path) as temporary:
            encode(temporary, frames, rate, container=container, subtype=subtype)
    except NotAudioError as error:
        raise AudioError(f"{path}: cannot write {container} at {rate} Hz ({error})") from error


def _blocks_of(source: Source, sample_rate: int, size: int, channel: int | None) -> Iterator[np.ndarray]:
    with open_source(source) as decoder:
        pending: list[np.ndarray] = []
        count = 0
        for block in _resampled(decoder, 0, math.inf, sample_rate, Cut(), channel=channel):
            pending.append(block)
            count += len(block)
            if count >= size:
                joined = np.concatenate(pending)
                full = count - count % size
                yield from joined[:full].reshape(-1, size)
                pending, count = [joined[full:].copy()], count - full
        if count:
            yield np.concatenate(pending)


class StreamResampler:
    """Converts the rate of a stream, as `load` and `stream` do; the pieces in which it comes do not change the result.

    Args:
        rate: Of the stream, in Hz.
        sample_rate: Of the result, in Hz.

    Raises:
        AudioError: A rate is not valid.
    """

    def __init__(self, rate: int, sample_rate: int = SAMPLE_RATE) -> None:
        rate = validate_rate(rate, "the sample rate of the stream")
        sample_rate = validate_rate(sample_rate, "the sample rate requested")
        self._resampler = None if rate == sample_rate else soxr.ResampleStream(rate, sample_rate, 1, "float32", "HQ")

    def push(self, block: np.ndarray) -> np.ndarray:
        """Take the next samples.

        Args:
            block: (n,) float32.

        Returns:
            (m,) float32: what can be computed from the samples so far.
        """
        return block if self._resampler is None else self._resampler.resample_chunk(block)

    def finish(self) -> np.ndarray:
        """End the stream.

        Returns:
            (m,) float32: the rest.
        """
        empty = np.empty(0, np.float32)
        return empty if self._resampler is None else self._resampler.resample_chunk(empty, last=True)


def _resampled(
    decoder: Decoder,
    first: int,
    last: float,
    sample_rate: int,
    cut: Cut,
    meter: LevelMeter | None = None,
    *,
    channel: int | None = None,
) -> Iterator[np.ndarray]:
    """Mono float32 blocks of the frames `first` … `last` at `sample_rate`; at least one sample in all, or an error."""
    rate = decoder.sample_rate
    resampler = StreamResampler(rate, sample_rate)
    at, count, mono = first, 0, np.empty(0, np.float32)
    for block in decoder.blocks(first, last):
        check_finite(block, decoder.name, at, rate)
        mono = one_channel(block, channel, decoder.name)
        if meter is not None:
            meter.add(block, mono)
        at += len(mono)
        out = resampler.push(mono)
        count += len(out)
        yield out
    cut.check(decoder, at - first)
    rest = resampler.finish()
    if len(rest) or not count:
        yield rest if count + len(rest) else mono[:1]  # one sample at 48 kHz is a third of one at 16 kHz


def one_channel(block: np.ndarray, channel: int | None, name: str) -> np.ndarray:
    """Take one channel, or the mean of all.

    Args:
        block: (n, channels) samples.
        channel: From 0 on; None for the mean.
        name: Of the recording, for the message.

    Returns:
        (n,) float32.

    Raises:
        AudioError: There is no such channel.
    """
    count = block.shape[1]
    if channel is not None:
        check_channel(channel, count, name)
    if channel is None and count > 1:
        return block.mean(axis=1, dtype=np.float64).astype(np.float32)
    return block[:, channel or 0].copy()
