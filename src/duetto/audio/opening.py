"""Any source → a decoder of it: the one place that knows every kind of source.

path · pipe · file object · bytes ─ sources ─▶ seekable file ─ libsndfile, else ffmpeg ─▶ Decoder
arrays in any of the forms of `forms` ─▶ ArrayDecoder
Channel(source, 1) ─▶ ChannelDecoder;    RawPcm(source, 8000) ─▶ FileDecoder
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..errors import AudioError
from . import ffmpeg
from .decode import NotAudioError, open_decoder, open_pcm
from .decoder import ArrayDecoder, ChannelDecoder, Decoder
from .forms import SampleDecoder, common_form, refusal
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


Source = (
    str | os.PathLike[str] | BinaryIO | bytes | Mapping[str, Any] | tuple[Any, int] | SampleDecoder | Channel | RawPcm
)
"""A path, a binary file object (read from its beginning), the bytes of a file, a `Channel` or `RawPcm`; or samples with
their rate, in any of the forms of `forms`: {"waveform", "sample_rate"}, (samples, Hz), {"array", "sampling_rate"}, …"""


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
    pcm = source if isinstance(source, RawPcm) else None
    inner = common_form(source if pcm is None else pcm.source)
    if pcm is None and isinstance(inner, Mapping):
        yield _array_decoder(inner)
        return
    if not (isinstance(inner, str | os.PathLike) or hasattr(inner, "read")):
        raise refusal(inner)
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


def _array_decoder(source: Mapping[str, Any]) -> ArrayDecoder:
    rate = validate_rate(source["sample_rate"], 'waveform: its "sample_rate"')
    return ArrayDecoder("waveform", rate, as_frames(source["waveform"], "waveform"))
