"""Decoding and encoding: the only user of soundfile.

    seekable file ─ open_decoder ─▶ FileDecoder ─ .blocks(first, last) ─▶ (n, channels) float32, …

The length that a header states is a hint: a stream is decoded until it ends.
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import soundfile

from ..errors import AudioError
from .containers import StreamLayout, find_streams
from .decoder import FULL_SCALE
from .messages import mpg123_messages_suppressed
from .pieces import Piece, SplicedFile

_BLOCK_FRAMES, _BLOCK_VALUES = 1 << 16, 1 << 19
"""Most frames of one block, and most values of all its channels."""
_UNKNOWN_FRAMES = 1 << 60
_FULL_SCALE_8_BIT = 127 / 128
_FRAMES_PAST_END = 1 << 10
"""Frames that are requested where there should be no more."""
_WAV_HEAD = "<4sI4s4sIHHIIHH4sI"


class NotAudioError(Exception):
    """libsndfile does not read the file; the message is its reason."""


class _ForwardOnlyFile(soundfile.SoundFile):
    """Read strictly forward: a `SoundFile` that can seek does so after every read, and in an MP3 file that loses the
    bits which the next frame borrows from those before it."""

    def seekable(self) -> bool:
        return False


class _StreamDecoder:
    """Decodes one stream of a file.

    Attributes:
        length: Frames of the stream; None until it was decoded to its end.
        unread: Whether nothing was read yet.
        sound: The stream as opened by soundfile.

    Raises:
        NotAudioError: libsndfile does not read it.
    """

    def __init__(self, name: str, file: BinaryIO, layout: StreamLayout) -> None:
        self._name, self._file, self._layout = name, file, layout
        self.unread = True
        self.length: int | None = None
        self._open(layout.pieces)
        self._claimed = self._expected

    def _open(self, pieces: tuple[Piece, ...]) -> None:
        self._source = SplicedFile(self._file, pieces, hole=self._layout.hole)
        try:
            with self._quiet():
                self.sound = _ForwardOnlyFile(cast(BinaryIO, self._source))
        except (soundfile.SoundFileError, TypeError) as error:
            raise NotAudioError(str(self._source.error or _reason(error))) from error

    def _reopen(self, pieces: tuple[Piece, ...]) -> None:
        self.sound.close()
        self._open(pieces)

    def _quiet(self) -> contextlib.AbstractContextManager[None]:
        return mpg123_messages_suppressed() if self._layout.is_mpeg else contextlib.nullcontext()

    def close(self) -> None:
        self.sound.close()

    @property
    def _expected(self) -> float:
        """Frames as libsndfile counts them; infinite where it does not."""
        if self._layout.frames is not None:
            return self._layout.frames
        return math.inf if self.sound.frames >= _UNKNOWN_FRAMES else self.sound.frames

    @property
    def stated_length(self) -> float:
        """Frames as the header states them; infinite where it does not."""
        if self._layout.stated_frames is not None:
            return self._layout.stated_frames
        return self._claimed * self._layout.stated_ratio

    def measure_length(self) -> int:
        """Frames that are there: as libsndfile counts them where the last one can be decoded, else by decoding all."""
        self.unread = False
        if self.length is None and self._layout.frames is not None:
            self.length = self._layout.frames
        if self.length is None and 0 < self._expected < math.inf:
            with contextlib.suppress(soundfile.SoundFileError):
                self.sound.seek(int(self._expected) - 1)
                last = self.sound.read(1, dtype="float32", always_2d=True)
                if len(last) and (self._layout.unbounded is None or self._source.exhausted):
                    self.length = int(self._expected)
        if self.length is None:
            self._reopen(self._layout.pieces)
            for _ in self.blocks(0, math.inf):
                pass
        assert self.length is not None
        return self.length

    def blocks(self, first: float, last: float) -> Iterator[np.ndarray]:
        """(n, channels) float32 blocks of the frames `first` … `last`; sets `length` where the stream ends before."""
        self.unread = False
        at = self._seek(first, last)
        end = math.inf if self._layout.frames is None else self._layout.frames
        most = min(_BLOCK_FRAMES, _BLOCK_VALUES // self.sound.channels)
        while at < last:
            expected = max(_FRAMES_PAST_END, self._claimed - at)
            block = self._read(int(min(most, last - at, end - at, expected)), at)
            if not len(block):
                self.length = at
                return
            at += len(block)
            if at > first:
                yield block[int(max(0, first - at + len(block))) :]

    def _seek(self, first: float, last: float) -> int:
        """Go to frame `first`, or to the beginning where the stream cannot be sought in; returns the position."""
        if self._layout.unbounded is not None and not last <= self._expected:
            self._reopen(self._layout.unbounded)
        elif 0 < first < self._expected and self.sound.format != "MP3":  # its frames borrow bits from earlier ones
            try:
                return self.sound.seek(int(first))
            except soundfile.SoundFileError:  # a codec that can only be decoded from its beginning
                self._reopen(self._layout.pieces)
        skip = self._layout.skip
        while skip > 0 and (count := len(self._read(min(skip, _BLOCK_FRAMES), 0))):
            skip -= count
        return 0

    def _read(self, count: int, at: int) -> np.ndarray:
        """Up to `count` frames from frame `at`; fewer where the stream ends, or is damaged at the end of the file."""
        out = np.full((count, self.sound.channels), np.nan, np.float32)
        try:
            with self._quiet():
                block = self.sound.read(count, out=out) if count else out
        except soundfile.SoundFileError as error:
            block = out[: int((~np.isnan(out).all(axis=1)).cumprod().sum())]  # decoded before the error
            end = at + len(block)
            if not (self._source.exhausted or end >= self._claimed):  # else it broke off, or a tag follows it
                seconds = end / self.sound.samplerate
                raise AudioError(f"{self._name}: damaged after {seconds:.2f} s ({_reason(error)})") from error
        if self._source.error is not None:
            raise AudioError(f"{self._name}: cannot be read ({self._source.error})") from self._source.error
        return block


@dataclass(slots=True)
class FileDecoder:
    """An opened recording: one or more streams of one sample rate, which are decoded one after the other.

    Attributes:
        name: For messages.
        sample_rate: Hz.
        channels: Of the first stream.
        full_scale: Magnitude from which a sample counts as clipped.
        file: The seekable file.
        layouts: Where the streams lie.
        first: The first of them, opened.
        length: Frames of all streams; None until all were decoded to their end.
        warnings: What is odd about the file.
    """

    name: str
    sample_rate: int
    channels: int
    full_scale: float
    file: BinaryIO
    layouts: list[StreamLayout]
    first: _StreamDecoder
    length: int | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def stated_length(self) -> float:
        """Frames as the header of the first stream states them; infinite where it does not."""
        return self.first.stated_length

    def _streams(self) -> Iterator[_StreamDecoder]:
        """The streams, each closed before the next is opened; the first one is open already."""
        for number, layout in enumerate(self.layouts):
            if number == 0 and self.first.unread:
                yield self.first
                continue
            with contextlib.closing(_StreamDecoder(self.name, self.file, layout)) as stream:
                yield stream

    def blocks(self, first: float = 0, last: float = math.inf) -> Iterator[np.ndarray]:
        """Decode a range of frames.

        Args:
            first: Frame to begin at, a whole number.
            last: Frame to end before, a whole number or infinity.

        Yields:
            (n, channels) float32; fewer frames in all where the recording ends before `last`.
        """
        at = 0
        for stream in self._streams():
            yield from stream.blocks(max(0, first - at), last - at)
            if stream.length is None:
                return
            at += stream.length
        self.length = at

    def measure_length(self) -> int:
        """Find the length, by decoding only where nothing else shows it.

        Returns:
            Frames of all streams.
        """
        if self.length is None:
            self.length = sum(stream.measure_length() for stream in self._streams())
        return self.length


@contextlib.contextmanager
def open_decoder(file: BinaryIO, name: str) -> Generator[FileDecoder]:
    """Open a recording for decoding.

    Streams that cannot be joined to the first one are left out, with a warning.

    Args:
        file: A seekable binary file; it stays open.
        name: For messages.

    Yields:
        Its decoder.

    Raises:
        NotAudioError: libsndfile does not read it.
    """
    layouts = find_streams(file)
    with contextlib.closing(_StreamDecoder(name, file, layouts[0])) as first:
        sound = first.sound
        scale = _FULL_SCALE_8_BIT if sound.subtype in ("PCM_U8", "PCM_S8") else FULL_SCALE
        decoder = FileDecoder(name, sound.samplerate, sound.channels, scale, file, layouts[:1], first)
        for number, layout in enumerate(layouts[1:], 2):
            if fault := _reason_to_skip(decoder, layout):
                decoder.warnings.append(f"stream {number} of {len(layouts)} in the file{fault}")
            else:
                decoder.layouts.append(layout)
        if lost := sum(layout.lost_bytes for layout in layouts):
            decoder.warnings.append(f"damaged: {lost} bytes that belong to no MP3 frame are left out")
        if layouts[-1].lacks_end:
            decoder.warnings.append("possibly truncated: its last stream has no end mark")
        yield decoder


@contextlib.contextmanager
def open_pcm(file: BinaryIO, name: str, sample_rate: int, channels: int) -> Generator[FileDecoder]:
    """Open samples of 16 bits without a header, little-endian and interleaved, for decoding.

    Args:
        file: A seekable binary file; it stays open.
        name: For messages.
        sample_rate: Hz.
        channels: Number of channels.

    Yields:
        Its decoder, with a warning where the last frame is not whole.
    """
    size = file.seek(0, os.SEEK_END)
    whole = size - size % (2 * channels)
    head = struct.pack(_WAV_HEAD, b"RIFF", 36 + whole, b"WAVE", b"fmt ", 16, 1, channels, sample_rate,
                       2 * channels * sample_rate, 2 * channels, 16, b"data", whole)  # fmt: skip
    layout = StreamLayout((head, (0, whole)), frames=whole // (2 * channels))
    with contextlib.closing(_StreamDecoder(name, file, layout)) as first:
        decoder = FileDecoder(name, sample_rate, channels, FULL_SCALE, file, [layout], first)
        if whole < size:
            decoder.warnings.append(f"its last {size - whole} bytes are no whole frame and are left out")
        yield decoder


def _reason_to_skip(decoder: FileDecoder, layout: StreamLayout) -> str | None:
    """Why a further stream cannot be joined to the first one, as the end of a warning."""
    try:
        with contextlib.closing(_StreamDecoder(decoder.name, decoder.file, layout)) as stream:
            rate = stream.sound.samplerate
            if rate == decoder.sample_rate:
                return None
            seconds = stream.measure_length() / rate
    except (NotAudioError, AudioError) as error:
        return f" is left out: {error}"
    return f", {seconds:.3f} s long, is left out: it has {rate} Hz, the first one {decoder.sample_rate} Hz"


def encode(
    path: Path | BinaryIO,
    frames: np.ndarray,
    sample_rate: int,
    *,
    container: str,
    subtype: str,
    compression: float | None = None,
) -> None:
    """Write samples to a file, whatever its suffix.

    Args:
        path: The file, or one open for writing.
        frames: (n, channels) int16 or floating-point.
        sample_rate: Hz.
        container: libsndfile's name of the format, such as WAV.
        subtype: libsndfile's name of the encoding, such as PCM_16.
        compression: From 0 to 1, of a lossy encoding at a constant bit rate; libsndfile's default where None.

    Raises:
        NotAudioError: libsndfile cannot write it.
    """
    constant = {} if compression is None else {"compression_level": compression, "bitrate_mode": "CONSTANT"}
    try:
        soundfile.write(path, frames, sample_rate, subtype=subtype, format=container, **constant)
    except soundfile.SoundFileError as error:
        raise NotAudioError(str(error)) from error


def _reason(error: Exception) -> str:
    """libsndfile's reason for an error."""
    text = str(getattr(error, "error_string", error)).removeprefix("Error : ").rstrip(". ")
    # The message of libsndfile for an MP3 stream in which it finds no frame.
    return "no audio frame found" if "possibly a pipe" in text else text or "unknown to libsndfile"
