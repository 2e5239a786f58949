"""Decoding and encoding: the only user of soundfile.

What a header states of a length is a hint: a stream is decoded until it ends.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import soundfile

from ..errors import AudioError
from .containers import Part, parts
from .messages import kept_out
from .pieces import Piece, Spliced

_READ_FRAMES, _READ_VALUES = 1 << 16, 1 << 19
"""Of one block: at most so many frames, and values of all channels."""
_UNKNOWN_FRAMES = 1 << 60
_FULL_SCALE, _FULL_SCALE_8_BIT = 0.999, 127 / 128


_PAST_END = 1 << 10
"""Frames that are asked for where there should be no more."""


class NotAudioError(Exception):
    """libsndfile does not read the file, for the reason that is given."""


class _File(soundfile.SoundFile):
    """Read strictly forward: a `SoundFile` that thinks it can seek does so after every read, and in an MP3 file
    that loses the bits which the next frame borrows from those before it."""

    def seekable(self) -> bool:
        return False


class _Stream:
    """One opened stream. length: its frames, once it was decoded to its end; None before. fresh: nothing was read."""

    def __init__(self, name: str, file: BinaryIO, part: Part) -> None:
        """Raises NotAudioError where libsndfile does not read it."""
        self._name, self._file, self._part = name, file, part
        self.fresh = True
        self.length: int | None = None
        self._open(part.pieces)
        self._claimed = self.hint

    def _open(self, pieces: tuple[Piece, ...]) -> None:
        self._source = Spliced(self._file, pieces, hole=self._part.hole)
        try:
            with self._quiet():
                self.sound = _File(cast(BinaryIO, self._source))
        except (soundfile.SoundFileError, TypeError) as error:
            raise NotAudioError(str(self._source.error or reason(error))) from error

    def _quiet(self) -> contextlib.AbstractContextManager[None]:
        return kept_out() if self._part.noisy else contextlib.nullcontext()

    def close(self) -> None:
        self.sound.close()

    @property
    def hint(self) -> float:
        """Frames as libsndfile counts them; infinite where it does not."""
        if self._part.frames is not None:
            return self._part.frames
        return math.inf if self.sound.frames >= _UNKNOWN_FRAMES else self.sound.frames

    @property
    def stated(self) -> float:
        """Frames as the header states them; infinite where it does not."""
        return self._claimed * self._part.share if self._part.stated is None else self._part.stated

    def measured(self) -> int:
        """Frames that are there: as many as libsndfile says, where the last one can be decoded, else by counting."""
        self.fresh = False
        if self.length is None and self._part.frames is not None:
            self.length = self._part.frames
        if self.length is None and 0 < self.hint < math.inf:
            with contextlib.suppress(soundfile.SoundFileError):
                self.sound.seek(int(self.hint) - 1)
                last = self.sound.read(1, dtype="float32", always_2d=True)
                if len(last) and (self._part.endless is None or self._source.exhausted):
                    self.length = int(self.hint)
        if self.length is None:
            self.sound.close()
            self._open(self._part.pieces)
            for _ in self.blocks(0, math.inf):
                pass
        assert self.length is not None
        return self.length

    def blocks(self, first: float, last: float) -> Iterator[np.ndarray]:
        """(n, channels) float32 blocks of the frames `first` … `last`; `length` is known if it ends before."""
        self.fresh = False
        at = self._moved(first, last)
        end = math.inf if self._part.frames is None else self._part.frames
        most = min(_READ_FRAMES, _READ_VALUES // self.sound.channels)
        while at < last:
            expected = max(_PAST_END, self._claimed - at)
            block = self._read(int(min(most, last - at, end - at, expected)), at)
            if not len(block):
                self.length = at
                return
            at += len(block)
            if at > first:
                yield block[int(max(0, first - at + len(block))) :]

    def _moved(self, first: float, last: float) -> int:
        """Go to `first`, or to the beginning where that cannot be done; where it stands then."""
        if self._part.endless is not None and not last <= self.hint:
            self.sound.close()
            self._open(self._part.endless)
        elif 0 < first < self.hint and self.sound.format != "MP3":  # an MP3 frame borrows bits from those before it
            try:
                return self.sound.seek(int(first))
            except soundfile.SoundFileError:  # a codec that can only be decoded from its beginning
                self.sound.close()
                self._open(self._part.pieces)
        skip = self._part.skip
        while skip > 0 and (read := len(self._read(min(skip, _READ_FRAMES), 0))):
            skip -= read
        return 0

    def _read(self, count: int, at: int) -> np.ndarray:
        """Up to `count` frames; fewer where the stream ends, or is damaged at the very end of the file."""
        out = np.full((count, self.sound.channels), np.nan, np.float32)
        try:
            with self._quiet():
                block = self.sound.read(count, out=out) if count else out
        except soundfile.SoundFileError as error:
            block = out[: int((~np.isnan(out).all(axis=1)).cumprod().sum())]  # what it decoded before the error
            end = at + len(block)
            if not (self._source.exhausted or end >= self._claimed):  # else it broke off, or a tag follows it
                after = end / self.sound.samplerate
                raise AudioError(f"{self._name}: damaged after {after:.2f} s ({reason(error)})") from error
        if self._source.error is not None:
            raise AudioError(f"{self._name}: cannot be read ({self._source.error})") from self._source.error
        return block


@dataclass(slots=True)
class Decoder:
    """An opened recording: one or more streams of one rate, which are decoded one after the other.

    rate: samples per second. channels: of the first stream. full_scale: magnitude from which a sample counts as
    clipped. length: frames in all, once it was decoded to its end; None before. notes: what is odd about the file.
    """

    name: str
    rate: int
    channels: int
    full_scale: float
    file: BinaryIO
    streams: list[Part]
    first: _Stream
    length: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def stated(self) -> float:
        """Frames as the header of the first stream states them; infinite where it does not."""
        return self.first.stated

    def _opened(self) -> Iterator[_Stream]:
        """The streams, each closed before the next is opened; the first one is open already."""
        for number, part in enumerate(self.streams):
            if number == 0 and self.first.fresh:
                yield self.first
                continue
            with contextlib.closing(_Stream(self.name, self.file, part)) as stream:
                yield stream

    def blocks(self, first: float = 0, last: float = math.inf) -> Iterator[np.ndarray]:
        """(n, channels) float32 blocks of the frames `first` … `last`; fewer where the recording ends before."""
        at = 0
        for stream in self._opened():
            yield from stream.blocks(max(0, first - at), last - at)
            if stream.length is None:
                return
            at += stream.length
        self.length = at

    def measured(self) -> int:
        """Frames in all, decoded only where nothing else shows them."""
        if self.length is None:
            self.length = sum(stream.measured() for stream in self._opened())
        return self.length


@contextlib.contextmanager
def opened(file: BinaryIO, name: str) -> Generator[Decoder]:
    """A seekable binary file, ready to decode; raises NotAudioError where it is no audio."""
    found = parts(file)
    with contextlib.closing(_Stream(name, file, found[0])) as first:
        sound = first.sound
        scale = _FULL_SCALE_8_BIT if sound.subtype in ("PCM_U8", "PCM_S8") else _FULL_SCALE
        decoder = Decoder(name, sound.samplerate, sound.channels, scale, file, found[:1], first)
        for number, part in enumerate(found[1:], 2):
            which = f"stream {number} of {len(found)} in the file"
            try:
                with contextlib.closing(_Stream(name, file, part)) as stream:
                    rate = stream.sound.samplerate
                    if rate == decoder.rate:
                        decoder.streams.append(part)
                        continue
                    seconds = stream.measured() / rate
            except (NotAudioError, AudioError) as error:
                decoder.notes.append(f"{which} is left out: {error}")
                continue
            decoder.notes.append(
                f"{which}, {seconds:.3f} s long, is left out: it has {rate} Hz, the first one {decoder.rate} Hz"
            )
        if lost := sum(part.lost for part in found):
            decoder.notes.append(f"damaged: {lost} bytes that belong to no MP3 frame are left out")
        if not found[-1].ended:
            decoder.notes.append("possibly truncated: its last stream has no end mark")
        yield decoder


def encode(path: Path, frames: np.ndarray, rate: int, *, container: str, subtype: str) -> None:
    """Write (n, channels) samples to the file `path`, whatever its name; raises NotAudioError where it cannot."""
    try:
        soundfile.write(path, frames, rate, subtype=subtype, format=container)
    except soundfile.SoundFileError as error:
        raise NotAudioError(str(error)) from error


def reason(error: Exception) -> str:
    """What libsndfile says of an error."""
    text = str(getattr(error, "error_string", error)).removeprefix("Error : ").rstrip(". ")
    # What libsndfile says of an MP3 stream in which it finds no frame.
    return "no audio frame found" if "possibly a pipe" in text else text or "unknown to libsndfile"
