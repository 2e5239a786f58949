"""MPEG audio (MP3, and layers I and II): where its frames lie, read from their headers.

    file ─ find_streams ─▶ [MpegStream(pieces, frames, stated)], one for each file that was joined into this one

An MP3 file is a row of frames, each with a header of its own; nothing states how many there are but an optional first
frame (`Xing`, `Info` or `VBRI`). libsndfile estimates the number where that is missing, trusts it where it is wrong,
and lets libmpg123 look for the next frame where something else comes between, about which libmpg123 writes to standard
error. So all frames are found here first, and the decoder is given nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .pieces import FileWindow, Piece

_BITRATES = {  # (MPEG-1?, layer) → kbit/s by index; 0 (free format) and 15 are not read
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)
_HEAD = 1 << 16
"""Bytes in which the first frame has to begin, ID3 tags aside."""
_DECODER_DELAY = 529
"""Samples by which a decoder of layer III delays the sound. Taken off where the file states what the encoder added."""
_CONFIRMED = 2
"""Frames that must follow one another before bytes that look like a header are taken for one."""


@dataclass(frozen=True, slots=True)
class Header:
    """One frame header.

    Attributes:
        key: Equal in all frames of a stream.
        size: Bytes of the frame.
        samples: Of each channel, in the frame.
        rate: Hz.
        tag: Where `Xing` stands in a frame that holds it, from the frame's beginning.
    """

    key: int
    size: int
    samples: int
    rate: int
    tag: int


@dataclass(slots=True)
class MpegStream:
    """Frames that are decoded together.

    Attributes:
        header: Of the first frame.
        delay: Samples that the encoder put before the sound.
        padding: Samples that the encoder put behind the sound.
        pieces: Where the frames lie, without a first one that is no sound (`Xing`, `Info`, `VBRI`).
        frames: Their number.
        stated: Their number as that first frame states it; 0 where it does not.
        lost_bytes: Bytes between the frames that belong to none and to no tag.
    """

    header: Header
    delay: int = 0
    padding: int = 0
    pieces: list[Piece] = field(default_factory=list)
    frames: int = 0
    stated: int = 0
    lost_bytes: int = 0

    def add(self, at: int, size: int) -> None:
        """Append a frame.

        Args:
            at: Its position in the file.
            size: Its bytes.
        """
        last = self.pieces[-1] if self.pieces else b""
        if isinstance(last, tuple) and last[1] == at:
            self.pieces[-1] = (last[0], at + size)
        else:
            self.pieces.append((at, at + size))
        self.frames += 1


def parse(four: bytes) -> Header | None:
    """Read a frame header.

    Args:
        four: The four bytes.

    Returns:
        The header, or None where they are none.
    """
    if len(four) < 4 or four[0] != 0xFF or four[1] < 0xE0:
        return None
    version, layer = four[1] >> 3 & 3, 4 - (four[1] >> 1 & 3)
    index, rate_index, padding = four[2] >> 4, four[2] >> 2 & 3, four[2] >> 1 & 1
    if version == 1 or layer == 4 or index in (0, 15) or rate_index == 3 or four[3] & 3 == 2:
        return None
    first = version == 3
    rate = _RATES[rate_index] >> (0 if first else 1 if version == 2 else 2)
    samples = 384 if layer == 1 else 1152 if layer == 2 or first else 576
    unit = 4 if layer == 1 else 1
    size = (samples // (8 * unit) * _BITRATES[first, layer][index] * 1000 // rate + padding) * unit
    mono = four[3] >> 6 == 3
    side = 0 if layer != 3 else (17 if mono else 32) if first else (9 if mono else 17)
    key = version << 8 | layer << 4 | rate_index << 1 | mono
    return Header(key, size, samples, rate, 4 + side)


def find_streams(window: FileWindow, first: int) -> list[MpegStream]:
    """Find the streams of a file.

    Args:
        window: The file.
        first: Position to begin at.

    Returns:
        The streams; [] where it is no MPEG audio.
    """
    found: list[MpegStream] = []
    for at, header, lost in _frames(window, first):
        opening = _opening(header, window.read(at, header.size))
        if opening is not None:
            found.append(opening)
            continue
        if not found or found[-1].header.key != header.key:
            found.append(MpegStream(header))
        found[-1].lost_bytes += lost if found[-1].frames else 0
        found[-1].add(at, header.size)
    return [stream for stream in found if stream.frames]


def _frames(window: FileWindow, first: int) -> Iterator[tuple[int, Header, int]]:
    """Position and header of every frame that is there in whole, and the bytes before it that belong to no frame."""
    at, limit, key = first, first + _HEAD, None
    while True:
        if tag := id3_size(window.read(at, 10)):
            at, limit = at + tag, at + tag + _HEAD
            continue
        header, lost = parse(window.read(at, 4)), 0
        if header is None or header.key != key:
            found = _next(window, at, limit if key is None else window.size)
            if found is None:
                return
            lost, (at, header) = found[0] - at, found
        if at + header.size > window.size:
            return
        yield at, header, lost
        at, key = at + header.size, header.key


def _next(window: FileWindow, at: int, limit: int) -> tuple[int, Header] | None:
    """The next frame that is followed by frames of its kind, or by the end of the file."""
    while at < min(limit, window.size):
        at = window.find(b"\xff", at, min(limit, window.size))
        if at < 0:
            return None
        header = parse(window.read(at, 4))
        if header is not None and _followed(window, at, header):
            return at, header
        at += 1
    return None


def _followed(window: FileWindow, at: int, header: Header) -> bool:
    place = at + header.size
    for _ in range(_CONFIRMED):
        if place == window.size or window.read(place, 3) in (b"TAG", b"ID3", b"APE"):
            return True
        following = parse(window.read(place, 4))
        if following is None or following.key != header.key:
            return False
        place += following.size
    return True


def _opening(header: Header, frame: bytes) -> MpegStream | None:
    """The stream that a first frame which is no sound opens; None of an ordinary frame."""
    if frame[36:40] == b"VBRI":
        return MpegStream(header, stated=int.from_bytes(frame[50:54], "big"))
    at = header.tag
    if frame[at : at + 4] not in (b"Xing", b"Info"):
        return None
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    if not flags & 1:
        return MpegStream(header)
    encoder = at + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    gaps = int.from_bytes(frame[encoder + 21 : encoder + 24], "big")
    stated = int.from_bytes(frame[at + 8 : at + 12], "big")
    delay, padding = (gaps >> 12) + _DECODER_DELAY, max(0, (gaps & 0xFFF) - _DECODER_DELAY)
    return MpegStream(header, delay=delay, padding=padding, stated=stated)


def id3_size(ten: bytes) -> int:
    """Measure the ID3v2 tag at the beginning of a file.

    Args:
        ten: The first ten bytes of the file.

    Returns:
        Bytes of the tag; 0 where there is none.
    """
    if len(ten) < 10 or ten[:3] != b"ID3" or ten[3] == 0xFF or any(byte & 0x80 for byte in ten[6:10]):
        return 0
    size = 10 + sum(byte << shift for byte, shift in zip(ten[6:10], (21, 14, 7, 0), strict=True))
    return size + (10 if ten[5] & 0x10 else 0)
