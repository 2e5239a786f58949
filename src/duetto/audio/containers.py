"""Which streams a file holds, whatever its headers state, in the form in which libsndfile reads them to their end.

    file ─ find_streams ─▶ [StreamLayout, …]: where the bytes of each stream lie, and which length its header states

A header may state more than there is (a copy that broke off), less (a recorder that was switched off), or nothing (a
pipe); and a second file may follow the first. libsndfile trusts the header, or stops at the first end. Here sizes are
compared with the bytes that are there, corrected where they differ, and what follows is found.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from . import mpeg
from .pieces import FileWindow, Piece, patched

_Order = Literal["little", "big"]
_UNKNOWN_32 = 0x7F00_0000
"""From here on a 32-bit size is a placeholder of a program that wrote into a pipe."""
_UNKNOWN_64 = 1 << 62
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICS")
"""May follow the sound without being a chunk."""
_PRINTABLE = frozenset(string.printable.encode())
_W64_RIFF, _W64_DATA = bytes.fromhex("2e91cf11a5d628db04c10000"), bytes.fromhex("f3acd3118cd100c04f8edb8a")


@dataclass(frozen=True, slots=True)
class StreamLayout:
    """Where one stream of a file lies, and what its header states.

    Attributes:
        pieces: Its bytes.
        stated_ratio: Length that its header states, as a multiple of the length that is there.
        frames: How many there are; None where libsndfile counts right.
        stated_frames: How many its header states; None where libsndfile counts as it does.
        skip: Frames before the sound.
        lost_bytes: Bytes that were left out.
        lacks_end: Whether its end is missing though its format marks it.
        unbounded: Its bytes with a header that states no length; None where that is not needed.
        hole: See `pieces.SplicedFile`.
        is_mpeg: Whether libmpg123 decodes it.
    """

    pieces: tuple[Piece, ...]
    stated_ratio: float = 1.0
    frames: int | None = None
    stated_frames: int | None = None
    skip: int = 0
    lost_bytes: int = 0
    lacks_end: bool = False
    unbounded: tuple[Piece, ...] | None = None
    hole: int = 0
    is_mpeg: bool = False


_Reader = Callable[[FileWindow, int], tuple[StreamLayout, int]]
"""From a position where a stream begins to its layout and its end: the end of the file, or where another stream begins
that was joined to it."""


def find_streams(file: BinaryIO) -> list[StreamLayout]:
    """Find the streams of a file.

    Args:
        file: Seekable.

    Returns:
        The streams in their order; at least one, which need not be audio.
    """
    window = FileWindow(file)
    at = mpeg.id3_size(window.read(0, 10))
    found: list[StreamLayout] = []
    while at < window.size and (reader := _reader(window, at)) is not None:
        layout, at = reader(window, at)
        found.append(layout)
    return found or list(_mpeg(window)) or [StreamLayout(((0, window.size),), is_mpeg=True)]


def _reader(window: FileWindow, at: int) -> _Reader | None:
    head = window.read(at, 40)
    return next((reader for magic, reader in _READERS if head.startswith(magic)), None)


def _mpeg(window: FileWindow) -> Iterator[StreamLayout]:
    for stream in mpeg.find_streams(window, 0):
        count = stream.frames * stream.header.samples
        complete = stream.stated in (0, stream.frames)
        length = max(1, count - stream.delay - (stream.padding if complete else 0))
        yield StreamLayout(
            tuple(stream.pieces),
            frames=length,
            stated_frames=None if complete else stream.stated * stream.header.samples,
            skip=stream.delay,
            lost_bytes=stream.lost_bytes,
            hole=_MAX_FRAME_BYTES * (stream.frames + 2),
            is_mpeg=True,
        )


_MAX_FRAME_BYTES = 4096
"""With a hole of so many bytes for every frame, no estimate of libmpg123 from the size of the file is too low."""


def _to_end(window: FileWindow, first: int, stated_frames: int | None = None) -> tuple[StreamLayout, int]:
    """A stream that is read as it is, to the end of the file."""
    return StreamLayout(((first, window.size),), stated_frames=stated_frames), window.size


@dataclass(frozen=True, slots=True)
class _Chunks:
    """How a container that consists of chunks is written.

    Attributes:
        order: Of the bytes of a number.
        data: Names of the chunk with the sound.
        begin: Where the first chunk lies.
        name: Bytes of a chunk's name.
        size: Bytes of a chunk's size.
        size_includes_head: Whether a size counts the chunk's own head.
        align: Chunks begin at multiples of it.
        inner: Bytes at the beginning of the data that are no sound.
    """

    order: _Order
    data: tuple[bytes, ...]
    begin: int = 12
    name: int = 4
    size: int = 4
    size_includes_head: bool = False
    align: int = 2
    inner: int = 0

    @property
    def head(self) -> int:
        return self.name + self.size

    def chunk(self, window: FileWindow, position: int) -> tuple[bytes, int] | None:
        """Name and size of the content of the chunk at a position."""
        head = window.read(position, self.head)
        if len(head) < self.head:
            return None
        size = int.from_bytes(head[self.name :], self.order)
        return head[: self.name], size - self.head if self.size_includes_head else size

    def after(self, first: int, position: int, size: int) -> int:
        """Where the chunk after that of `size` at `position` begins, in a container that begins at `first`."""
        end = position + self.head + size
        return end + (first - end) % self.align


def _chunked(form: _Chunks) -> _Reader:
    return lambda window, first: _chunk_layout(form, window, first)


def _chunk_layout(form: _Chunks, window: FileWindow, first: int) -> tuple[StreamLayout, int]:
    found = _data_chunk(form, window, first)
    if found is None:
        return _to_end(window, first)
    position, stated, size_field = found
    begin = position + form.head
    following = _following(form, window, form.after(first, position, stated))
    end = window.size if following is None else following
    there = end - begin
    if stated <= there and (following is not None or _is_trailer(form, window, first, begin + stated)):
        return StreamLayout(((first, end),)), end
    unknown = stated >= (_UNKNOWN_32 if form.size == 4 else _UNKNOWN_64) or stated <= form.inner
    ratio = 1.0 if unknown or there <= form.inner else (stated - form.inner) / (there - form.inner)
    size = there + (form.head if form.size_includes_head else 0)
    fits = size < 1 << (8 * len(size_field))
    patches = [(size_field.start, size.to_bytes(len(size_field), form.order))] if fits else []
    return StreamLayout(patched(end, patches, first), ratio), end


def _data_chunk(form: _Chunks, window: FileWindow, first: int) -> tuple[int, int, range] | None:
    """Position and stated size of the chunk with the sound, and where that size is written."""
    at, size_field_64 = first + form.begin, None
    while (chunk := form.chunk(window, at)) is not None:
        name, size = chunk
        if name == b"ds64":  # RF64: the sizes that 32 bits cannot hold
            size_field_64 = range(at + 16, at + 24)
        if name in form.data:
            if size_field_64 is not None and size == 0xFFFF_FFFF:
                return at, int.from_bytes(window.read(size_field_64.start, 8), "little"), size_field_64
            return at, max(size, 0), range(at + form.name, at + form.head)
        if size < 0:
            return None
        at = form.after(first, at, size)
    return None


def _following(form: _Chunks, window: FileWindow, at: int) -> int | None:
    """Where another file begins that was joined to this one: behind the sound, or behind chunks that follow it."""
    while at < window.size:
        if _reader(window, at) is not None:
            return at
        chunk = form.chunk(window, at)
        if chunk is None or chunk[1] < 0 or not _is_name(chunk[0][:4]):
            return None
        at += form.head + chunk[1] + chunk[1] % form.align
    return None


def _is_trailer(form: _Chunks, window: FileWindow, first: int, end: int) -> bool:
    """Whether what follows the sound is no sound: nothing, chunks, a tag, or zeros."""
    rest = window.read(end, 8)
    if len(rest) < 8 or rest.startswith(_TAGS) or window.is_zero(end):
        return True
    for at in {end, end + (first - end) % form.align}:
        while (chunk := form.chunk(window, at)) is not None and _is_name(chunk[0][:4]) and chunk[1] >= 0:
            at = form.after(first, at, chunk[1])
            if at >= window.size - form.align:
                return at <= window.size + form.align
    return False


def _is_name(four: bytes) -> bool:
    return all(byte in _PRINTABLE for byte in four)


def _sun(window: FileWindow, first: int) -> tuple[StreamLayout, int]:
    """AU: a head that states where the sound begins and how many bytes it has."""
    order: _Order = "big" if window.read(first, 4) == b".snd" else "little"
    offset, stated = (int.from_bytes(window.read(first + at, 4), order) for at in (4, 8))
    begin = first + offset
    joined = begin + stated > first and _reader(window, begin + stated) is not None
    end = begin + stated if joined else window.size
    there = end - begin
    ratio = stated / there if 0 < stated < _UNKNOWN_32 and there > 0 else 1.0
    patches = [(first + 8, there.to_bytes(4, order))] if 0 < there < _UNKNOWN_32 else []
    return StreamLayout(patched(end, patches, first), ratio), end


def _nist(window: FileWindow, first: int) -> tuple[StreamLayout, int]:
    """SPHERE: a head of text that states how many samples each channel has."""
    count = re.search(rb"^sample_count -i (\d{1,15})\s*$", window.read(first, 1024), flags=re.MULTILINE)
    return _to_end(window, first, int(count[1]) if count else None)


def _counted(at: int, order: _Order) -> _Reader:
    """A head that states the number of frames in four bytes at a fixed place; libsndfile reads what is there."""
    return lambda window, first: _to_end(window, first, int.from_bytes(window.read(first + at, 4), order))


def _voc(window: FileWindow, first: int) -> tuple[StreamLayout, int]:
    """Creative Voice: a block of sound whose size libsndfile refuses where it is larger than the file."""
    at = first + 27
    stated, there = int.from_bytes(window.read(at, 3), "little"), window.size - at - 4  # the last byte is the end mark
    plain = window.read(first + 20, 2) == b"\x1a\0" and window.read(at - 1, 1) in (b"\1", b"\x09")
    if not plain or not 0 < there < stated - 1:
        return _to_end(window, first)
    return StreamLayout(patched(window.size, [(at, there.to_bytes(3, "little"))], first), stated / there), window.size


def _matlab(window: FileWindow, first: int) -> tuple[StreamLayout, int]:
    """Matlab 5, as libsndfile writes it."""
    return _counted(236, "little" if window.read(first + 126, 2) == b"IM" else "big")(window, first)


def _midi(window: FileWindow, first: int) -> tuple[StreamLayout, int]:
    """Sample Dump Standard: packets of 127 bytes, 120 of them sound, up to the first that is none.

    libsndfile makes up packets that are missing, and prints to standard output where one does not begin as it should.
    """
    head, at = window.read(first, 21), first + 21
    while (packet := window.read(at, 127)).startswith(b"\xf0\x7e") and len(packet) == 127:
        at += 127
    if len(head) < 21 or not 8 <= head[6] <= 28:
        return _to_end(window, first)
    stated = sum(byte << shift for byte, shift in zip(head[10:13], (0, 7, 14), strict=True))
    there = min((at - first) // 127 * (120 // -(-head[6] // 7)), stated)
    count = bytes(there >> shift & 0x7F for shift in (0, 7, 14))
    return StreamLayout(patched(at, [(first + 10, count)], first), stated_frames=stated), window.size


def _flac(window: FileWindow, first: int) -> tuple[StreamLayout, int]:
    """FLAC, up to where the next such file begins: with its mark and the block STREAMINFO of 34 bytes."""
    end = window.find(b"fLaC", first + 42, window.size)
    while end >= 0 and window.read(end + 4, 4) not in (b"\0\0\0\x22", b"\x80\0\0\x22"):
        end = window.find(b"fLaC", end + 4, window.size)
    end = window.size if end < 0 else end
    field = window.read(first + 21, 5)  # the last four bits of its first byte begin the number of samples
    no_length = [(first + 21, bytes([field[0] & 0xF0, 0, 0, 0, 0]))] if len(field) == 5 else []
    return StreamLayout(((first, end),), unbounded=patched(end, no_length, first)), end


def _ogg(window: FileWindow, first: int) -> tuple[StreamLayout, int]:
    """Ogg, up to the next page that begins a stream behind pages that do not."""
    at, begins, ends = first, True, True
    while (at := window.find(b"OggS", at, window.size)) >= 0:
        head = window.read(at, 27)
        flags = head[5] if len(head) == 27 else 0
        if flags & 2 and not begins:
            return StreamLayout(((first, at),), lacks_end=not ends), at
        begins, ends = bool(flags & 2), bool(flags & 4)
        segments = window.read(at + 27, head[26]) if len(head) == 27 else b""
        at += max(4, 27 + len(segments) + sum(segments))
        ends &= at <= window.size
    return StreamLayout(((first, window.size),), lacks_end=not ends), window.size


_RIFF = _Chunks("little", (b"data",))
_IFF = _Chunks("big", (b"SSND", b"BODY"), inner=8)
_READERS: tuple[tuple[bytes, _Reader], ...] = (
    (b"RIFF", _chunked(_RIFF)),
    (b"RF64", _chunked(_RIFF)),
    (b"RIFX", _chunked(_Chunks("big", (b"data",)))),
    (b"FORM", _chunked(_IFF)),
    (
        b"riff" + _W64_RIFF,
        _chunked(
            _Chunks("little", (b"data" + _W64_DATA,), begin=40, name=16, size=8, size_includes_head=True, align=8)
        ),
    ),
    (b"caff", _chunked(_Chunks("big", (b"data",), begin=8, size=8, align=1, inner=4))),
    (b".snd", _sun),
    (b"dns.", _sun),
    (b"NIST_1A", _nist),
    (b"\xf0\x7e", _midi),
    (b"Creative Voice File", _voc),
    (b"2BIT", _counted(26, "big")),  # AVR
    (b"ALawSoundFile**", _counted(18, "big")),  # WVE
    (b"\1\4", _counted(26, "little")),  # MPC 2000
    (b"\0\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\x0b\0\0\0samplerate", _counted(47, "little")),  # Matlab 4
    (b"\0\0\3\xe8\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\x0bsamplerate", _counted(47, "big")),
    (b"MATLAB 5.0 MAT-file", _matlab),
    (b"fLaC", _flac),
    (b"OggS", _ogg),
)
"""How a file begins → what finds its streams. MPEG audio has no such mark."""
