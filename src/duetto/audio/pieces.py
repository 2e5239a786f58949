"""A file that is put together from ranges of another one, and literal bytes between them.

A header whose size is wrong is corrected by replacing its bytes, a stream in the middle of a file is read alone, and
what is no audio is left out; nothing is copied.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

_KEPT = 1 << 18
_TAIL = 128

Piece = tuple[int, int] | bytes
"""The bytes first … last (exclusive) of the file, or bytes that are not in it."""


class Spliced(io.RawIOBase):
    """Pieces of a seekable binary file, one after the other, as a file to read.

    Errors of the file end it, as its end does, and are kept in `error`: libsndfile calls `read`, and has no way to
    pass them on.
    """

    def __init__(self, file: BinaryIO, pieces: Iterable[Piece], *, hole: int = 0) -> None:
        """hole: bytes by which the file is said to be longer than it is, where nothing can be read. Its last 128,
        in which tags are looked for, are zeros."""
        self._file = file
        self._pieces = [piece for piece in pieces if _length(piece)]
        self._starts = [0]
        for piece in self._pieces:
            self._starts.append(self._starts[-1] + _length(piece))
        self._end = self._starts[-1] + (hole + _TAIL if hole else 0)
        self._at = 0
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    @property
    def exhausted(self) -> bool:
        """Whether everything up to the end has been read."""
        return self._at >= self._starts[-1]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        into, done = memoryview(buffer).cast("B"), 0
        if self._end - _TAIL <= self._at < self._end and self._at >= self._starts[-1]:
            done = min(len(into), self._end - self._at)
            into[:done] = bytes(done)
            self._at += done
            return done
        while done < len(into) and self._at < self._starts[-1]:
            number = bisect_right(self._starts, self._at) - 1
            skipped = self._at - self._starts[number]
            count = self._copy(self._pieces[number], skipped, into[done:])
            if not count:
                break
            done += count
            self._at += count
        return done

    def _copy(self, piece: Piece, skipped: int, into: memoryview) -> int:
        wanted = min(len(into), _length(piece) - skipped)
        if isinstance(piece, bytes):
            into[:wanted] = piece[skipped : skipped + wanted]
            return wanted
        try:
            self._file.seek(piece[0] + skipped)
            block = self._file.read(wanted)
        except OSError as error:
            self.error = error
            return 0
        into[: len(block)] = block
        return len(block)


def replaced(size: int, changes: Sequence[tuple[int, bytes]], first: int = 0) -> list[Piece]:
    """The bytes `first` … `size` of a file, with others at some positions: (position, bytes) in their order."""
    pieces: list[Piece] = []
    at = first
    for position, content in changes:
        pieces += [(at, position), content]
        at = position + len(content)
    return [*pieces, (at, size)]


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]


class Window:
    """The bytes of a seekable binary file, by position; a part of it is kept, so that small steps cost no reading."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        self._first, self._kept = 0, b""

    def at(self, position: int, count: int) -> bytes:
        """Up to `count` bytes from `position` on."""
        offset = position - self._first
        if offset < 0 or offset + count > len(self._kept):
            self._first, offset = position, 0
            self._kept = self._read(position, max(count, _KEPT))
        return self._kept[offset : offset + count]

    def find(self, word: bytes, position: int, end: int) -> int:
        """Where `word` begins next, from `position` on and in whole before `end`; −1 where it does not."""
        while position < end:
            block = self.at(position, _KEPT)[: end - position]
            found = block.find(word)
            if found >= 0:
                return position + found
            if len(block) < len(word):
                return -1
            position += len(block) - len(word) + 1
        return -1

    def is_zero(self, position: int) -> bool:
        """Whether there is nothing but zeros from `position` to the end."""
        while block := self.at(position, _KEPT):
            if any(block[:64]) or block.count(0) < len(block):
                return False
            position += len(block)
        return True

    def _read(self, position: int, count: int) -> bytes:
        if position >= self.size:
            return b""
        self._file.seek(position)
        return self._file.read(count)
