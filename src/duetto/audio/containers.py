"""What a file holds, whatever its headers state: the streams in it, in the form in which libsndfile reads them whole.

    file ─ parts ─▶ [Part, …]: where the bytes of each stream lie, and how long its header says it is

A header may state more than there is (a copy that broke off), less (a recorder that was switched off), or nothing (a
pipe); and a second file may follow the first. libsndfile believes the header, or stops at the first end. Here sizes
are compared with the bytes that are there, corrected where they differ, and what follows is found.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from . import mpeg
from .pieces import Piece, Window, replaced

_Order = Literal["little", "big"]
_UNKNOWN_32 = 0x7F00_0000
"""From here on a 32-bit size is the largest number a writer into a pipe could think of: it states nothing."""
_UNKNOWN_64 = 1 << 62
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICS")
"""What may follow the sound without being a chunk."""
_LETTERS = frozenset(string.printable.encode())
_W64_RIFF, _W64_DATA = bytes.fromhex("2e91cf11a5d628db04c10000"), bytes.fromhex("f3acd3118cd100c04f8edb8a")


@dataclass(frozen=True, slots=True)
class Part:
    """One stream of a file.

    pieces: its bytes. share: what its header states, as a multiple of what is there. frames: how many there are, and
    stated: how many its header states; None where libsndfile counts right. skip: frames before the sound. lost: bytes
    that were left out. ended: False where the end of the stream is missing though its format marks it. hole: see
    `pieces.Spliced`. noisy: whether libmpg123 decodes it.
    """

    pieces: tuple[Piece, ...]
    share: float = 1.0
    frames: int | None = None
    stated: int | None = None
    skip: int = 0
    lost: int = 0
    ended: bool = True
    endless: tuple[Piece, ...] | None = None
    hole: int = 0
    noisy: bool = False


_Reader = Callable[[Window, int], tuple[Part, int]]
"""The stream that begins at a position of a file, and where it ends: at the end of the file, or where one begins that
was joined to it."""


def parts(file: BinaryIO) -> list[Part]:
    """The streams of a seekable file, in their order; one at least, which need not be audio."""
    window = Window(file)
    at = mpeg.id3_size(window.at(0, 10))
    found: list[Part] = []
    while at < window.size and (reader := _reader(window, at)) is not None:
        part, at = reader(window, at)
        found.append(part)
    return found or list(_mpeg(window)) or [Part(((0, window.size),), noisy=True)]


def _reader(window: Window, at: int) -> _Reader | None:
    head = window.at(at, 40)
    return next((reader for magic, reader in _READERS if head.startswith(magic)), None)


def _mpeg(window: Window) -> Iterator[Part]:
    for stream in mpeg.streams(window, 0):
        count = stream.frames * stream.header.samples
        complete = stream.stated in (0, stream.frames)
        length = max(1, count - stream.delay - (stream.padding if complete else 0))
        yield Part(
            tuple(stream.pieces),
            frames=length,
            stated=None if complete else stream.stated * stream.header.samples,
            skip=stream.delay,
            lost=stream.lost,
            hole=_MOST_OF_A_FRAME * (stream.frames + 2),
            noisy=True,
        )


_MOST_OF_A_FRAME = 4096
"""Bytes; with a hole of so many for every frame, no estimate of libmpg123 from the size of the file is too low."""


@dataclass(frozen=True, slots=True)
class _Chunks:
    """How a container that consists of chunks is written.

    name, size: bytes of a chunk's name and of its size. begin: where the first chunk lies. data: name of the one with
    the sound. whole: whether a size counts the chunk's own head. align: to multiples of what chunks begin at. inner:
    bytes at the beginning of the data that are no sound. order: of the bytes of a number.
    """

    order: _Order
    data: tuple[bytes, ...]
    begin: int = 12
    name: int = 4
    size: int = 4
    whole: bool = False
    align: int = 2
    inner: int = 0

    @property
    def head(self) -> int:
        return self.name + self.size

    def at(self, window: Window, position: int) -> tuple[bytes, int] | None:
        """Name and size of the content of the chunk at a position."""
        head = window.at(position, self.head)
        if len(head) < self.head:
            return None
        return head[: self.name], int.from_bytes(head[self.name :], self.order) - (self.head if self.whole else 0)

    def after(self, first: int, position: int, size: int) -> int:
        """Where the chunk after that of `size` at `position` begins, in a container that begins at `first`."""
        end = position + self.head + size
        return end + (first - end) % self.align


def _chunked(form: _Chunks) -> _Reader:
    return lambda window, first: _chunk_part(form, window, first)


def _chunk_part(form: _Chunks, window: Window, first: int) -> tuple[Part, int]:
    found = _data_chunk(form, window, first)
    if found is None:
        return Part(((first, window.size),)), window.size
    position, stated, field = found
    begin = position + form.head
    following = _following(form, window, form.after(first, position, stated))
    end = window.size if following is None else following
    there = end - begin
    if stated <= there and (following is not None or _is_trailer(form, window, first, begin + stated)):
        return Part(((first, end),)), end
    unknown = stated >= (_UNKNOWN_32 if form.size == 4 else _UNKNOWN_64) or stated <= form.inner
    share = 1.0 if unknown or there <= form.inner else (stated - form.inner) / (there - form.inner)
    size = there + (form.head if form.whole else 0)
    fits = size < 1 << (8 * len(field))
    changes = [(field.start, size.to_bytes(len(field), form.order))] if fits else []
    return Part(tuple(replaced(end, changes, first)), share), end


def _data_chunk(form: _Chunks, window: Window, first: int) -> tuple[int, int, range] | None:
    """Position and stated size of the chunk with the sound, and where that size is written."""
    at, long = first + form.begin, None
    while (chunk := form.at(window, at)) is not None:
        name, size = chunk
        if name == b"ds64":  # RF64: the sizes that 32 bits cannot hold
            long = range(at + 16, at + 24)
        if name in form.data:
            if long is not None and size == 0xFFFF_FFFF:
                return at, int.from_bytes(window.at(long.start, 8), "little"), long
            return at, max(size, 0), range(at + form.name, at + form.head)
        if size < 0:
            return None
        at = form.after(first, at, size)
    return None


def _following(form: _Chunks, window: Window, at: int) -> int | None:
    """Where another file begins that was joined to this one: behind the sound, or behind chunks that follow it."""
    while at < window.size:
        if _reader(window, at) is not None:
            return at
        chunk = form.at(window, at)
        if chunk is None or chunk[1] < 0 or not _is_name(chunk[0][:4]):
            return None
        at += form.head + chunk[1] + chunk[1] % form.align
    return None


def _is_trailer(form: _Chunks, window: Window, first: int, end: int) -> bool:
    """Whether what follows the sound is no sound: nothing, chunks, a tag, or zeros."""
    rest = window.at(end, 8)
    if len(rest) < 8 or rest.startswith(_TAGS) or window.is_zero(end):
        return True
    for at in {end, end + (first - end) % form.align}:
        while (chunk := form.at(window, at)) is not None and _is_name(chunk[0][:4]) and chunk[1] >= 0:
            at = form.after(first, at, chunk[1])
            if at >= window.size - form.align:
                return at <= window.size + form.align
    return False


def _is_name(four: bytes) -> bool:
    return all(byte in _LETTERS for byte in four)


def _sun(window: Window, first: int) -> tuple[Part, int]:
    """AU: a head that states where the sound begins and how many bytes it has."""
    order: _Order = "big" if window.at(first, 4) == b".snd" else "little"
    offset, stated = (int.from_bytes(window.at(first + at, 4), order) for at in (4, 8))
    begin = first + offset
    joined = begin + stated > first and _reader(window, begin + stated) is not None
    end = begin + stated if joined else window.size
    there = end - begin
    share = stated / there if 0 < stated < _UNKNOWN_32 and there > 0 else 1.0
    changes = [(first + 8, there.to_bytes(4, order))] if 0 < there < _UNKNOWN_32 else []
    return Part(tuple(replaced(end, changes, first)), share), end


def _nist(window: Window, first: int) -> tuple[Part, int]:
    """SPHERE: a head of text that states how many samples each channel has."""
    count = re.search(rb"^sample_count -i (\d{1,15})\s*$", window.at(first, 1024), flags=re.MULTILINE)
    return Part(((first, window.size),), stated=int(count[1]) if count else None), window.size


def _counted(at: int, order: _Order) -> _Reader:
    """A head that states the number of frames in four bytes at a fixed place; libsndfile reads what is there."""

    def part(window: Window, first: int) -> tuple[Part, int]:
        return Part(((first, window.size),), stated=int.from_bytes(window.at(first + at, 4), order)), window.size

    return part


def _voc(window: Window, first: int) -> tuple[Part, int]:
    """Creative Voice: a block of sound whose size libsndfile refuses where it is larger than the file."""
    at = first + 27
    stated, there = int.from_bytes(window.at(at, 3), "little"), window.size - at - 4  # the last byte is the end mark
    plain = window.at(first + 20, 2) == b"\x1a\0" and window.at(at - 1, 1) in (b"\1", b"\x09")
    if not plain or not 0 < there < stated - 1:
        return Part(((first, window.size),)), window.size
    return Part(tuple(replaced(window.size, [(at, there.to_bytes(3, "little"))], first)), stated / there), window.size


def _matlab(window: Window, first: int) -> tuple[Part, int]:
    """Matlab 5, as libsndfile writes it."""
    return _counted(236, "little" if window.at(first + 126, 2) == b"IM" else "big")(window, first)


def _midi(window: Window, first: int) -> tuple[Part, int]:
    """Sample Dump Standard: packets of 127 bytes, 120 of them sound, up to the first that is none.

    libsndfile makes up packets that are missing, and prints to standard output where one does not begin as it should.
    """
    head, at = window.at(first, 21), first + 21
    while (packet := window.at(at, 127)).startswith(b"\xf0\x7e") and len(packet) == 127:
        at += 127
    if len(head) < 21 or not 8 <= head[6] <= 28:
        return Part(((first, window.size),)), window.size
    stated = sum(byte << shift for byte, shift in zip(head[10:13], (0, 7, 14), strict=True))
    there = min((at - first) // 127 * (120 // -(-head[6] // 7)), stated)
    count = bytes(there >> shift & 0x7F for shift in (0, 7, 14))
    return Part(tuple(replaced(at, [(first + 10, count)], first)), stated=stated), window.size


def _flac(window: Window, first: int) -> tuple[Part, int]:
    """FLAC, up to where the next such file begins: with its mark and the block STREAMINFO of 34 bytes."""
    end = window.find(b"fLaC", first + 42, window.size)
    while end >= 0 and window.at(end + 4, 4) not in (b"\0\0\0\x22", b"\x80\0\0\x22"):
        end = window.find(b"fLaC", end + 4, window.size)
    end = window.size if end < 0 else end
    shared = window.at(first + 21, 5)  # the last four bits of the first byte begin the number of samples
    unknown = [(first + 21, bytes([shared[0] & 0xF0, 0, 0, 0, 0]))] if len(shared) == 5 else []
    return Part(((first, end),), endless=tuple(replaced(end, unknown, first))), end


def _ogg(window: Window, first: int) -> tuple[Part, int]:
    """Ogg, up to the next page that begins a stream behind pages that do not."""
    at, begun, ended = first, True, True
    while (at := window.find(b"OggS", at, window.size)) >= 0:
        head = window.at(at, 27)
        flags = head[5] if len(head) == 27 else 0
        if flags & 2 and not begun:
            return Part(((first, at),), ended=ended), at
        begun, ended = bool(flags & 2), bool(flags & 4)
        segments = window.at(at + 27, head[26]) if len(head) == 27 else b""
        at += max(4, 27 + len(segments) + sum(segments))
        ended &= at <= window.size
    return Part(((first, window.size),), ended=ended), window.size


_RIFF = _Chunks("little", (b"data",))
_IFF = _Chunks("big", (b"SSND", b"BODY"), inner=8)
_READERS: tuple[tuple[bytes, _Reader], ...] = (
    (b"RIFF", _chunked(_RIFF)),
    (b"RF64", _chunked(_RIFF)),
    (b"RIFX", _chunked(_Chunks("big", (b"data",)))),
    (b"FORM", _chunked(_IFF)),
    (
        b"riff" + _W64_RIFF,
        _chunked(_Chunks("little", (b"data" + _W64_DATA,), begin=40, name=16, size=8, whole=True, align=8)),
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
