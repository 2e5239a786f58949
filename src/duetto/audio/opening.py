"""Any source → a decoder of it: the one place that knows every kind of source.

path · pipe · file object ─ sources ─▶ seekable file ─ libsndfile, else ffmpeg ─▶ Decoder
{"waveform", "sample_rate"} ─▶ ArrayDecoder
Channel(source, 1) ─▶ ChannelDecoder;    RawPcm(source, 8000) ─▶ FileDecoder
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ..errors import AudioError
from . import ffmpeg
from .decode import NotAudioError, open_decoder, open_pcm
from .decoder import ArrayDecoder, ChannelDecoder, Decoder
from .hints import holds_no_sound, not_audio
from .signal import as_frames, validate_rate
from .sources import open_binary

_HEAD = 4096
_MOST_PCM_CHANNELS = 64


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a recording, as a source of its own.

    Attributes:
        source: The recording.
        channel: From 0 on.
    """

    source: Any
    channel: int


@dataclass(frozen=True, slots=True)
class RawPcm:
    """Samples without a header: 16 bits, signed, little-endian, the channels interleaved.

    Attributes:
        source: A path or a binary file object.
        sample_rate: Hz.
        channels: 1 to 64.

    Raises:
        AudioError: The rate or the number of channels is not valid.
    """

    source: str | os.PathLike[str] | BinaryIO
    sample_rate: int
    channels: int = 1

    def __post_init__(self) -> None:
        validate_rate(self.sample_rate, "the sample rate of raw samples")
        if not 1 <= self.channels <= _MOST_PCM_CHANNELS:
            raise AudioError(f"raw samples of {self.channels} channels; give 1 to {_MOST_PCM_CHANNELS}")


Source = str | os.PathLike[str] | BinaryIO | Mapping[str, Any] | Channel | RawPcm
"""A path, a binary file object (read from its beginning), {"waveform", "sample_rate"}, `Channel` or `RawPcm`."""


@contextlib.contextmanager
def open_source(source: Source) -> Generator[Decoder]:
    """Open any source.

    Args:
        source: The recording.

    Yields:
        Its decoder.

    Raises:
        AudioError: It cannot be opened, or is no audio; the message names it.
    """
    if isinstance(source, Channel):
        with open_source(source.source) as decoder:
            yield ChannelDecoder(decoder, source.channel)
        return
    if isinstance(source, Mapping):
        yield _array_decoder(source)
        return
    pcm = source if isinstance(source, RawPcm) else None
    inner = _checked(source.source if isinstance(source, RawPcm) else source)
    with open_binary(inner, raw=pcm is not None) as (file, name, is_path), contextlib.ExitStack() as stack:
        try:
            if pcm is not None:
                yield stack.enter_context(open_pcm(file, name, pcm.sample_rate, pcm.channels))
                return
            decoder = stack.enter_context(_opened(file, name, is_path))
        except OSError as error:
            raise AudioError(f"{name}: cannot be read ({error})") from error
        validate_rate(decoder.sample_rate, f"{name}: the sample rate")
        yield decoder


@contextlib.contextmanager
def _opened(file: BinaryIO, name: str, is_path: bool) -> Generator[Decoder]:
    """By libsndfile; what that does not read by ffmpeg, where there is one."""
    with contextlib.ExitStack() as stack:
        try:
            decoder: Decoder = stack.enter_context(open_decoder(file, name))
        except NotAudioError as error:
            file.seek(0)
            head, why, by_ffmpeg = file.read(_HEAD), str(error), None
            try:
                if holds_no_sound(head) or not ffmpeg.installed():
                    raise
                decoder = stack.enter_context(ffmpeg.open_media(file, name, is_path=is_path))
            except NotAudioError as second:
                by_ffmpeg = None if second is error else str(second)
                raise AudioError(not_audio(name, head, why, is_path=is_path, by_ffmpeg=by_ffmpeg)) from error
        yield decoder


def _checked(source: Any) -> Any:
    if isinstance(source, np.ndarray):
        raise AudioError('an array has no sample rate: give {"waveform": array, "sample_rate": Hz}')
    if not (isinstance(source, str | os.PathLike) or hasattr(source, "read")):
        kind = type(source).__name__
        raise AudioError(f'{kind} is no audio source: give a path, a file object, or {{"waveform", "sample_rate"}}')
    return source


def _array_decoder(source: Mapping[str, Any]) -> ArrayDecoder:
    if missing := sorted({"waveform", "sample_rate"} - set(source)):
        raise AudioError(f'{{"waveform": array, "sample_rate": Hz}} needed; {" and ".join(missing)} missing')
    rate = validate_rate(source["sample_rate"], 'waveform: its "sample_rate"')
    return ArrayDecoder("waveform", rate, as_frames(source["waveform"], "waveform"))
