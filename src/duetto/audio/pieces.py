"""A file that is put together from ranges of another one, and literal bytes between them.

    file, pieces ─▶ SplicedFile: readable as one file
    file ─▶ FileWindow.read(position, count) ─▶ bytes

A header whose size is wrong is corrected by replacing its bytes, a stream in the middle of a file is read alone, and
what is no audio is left out; nothing is copied.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

_WINDOW_BYTES = 1 << 18
_TAG_BYTES = 128

Piece = tuple[int, int] | bytes
"""The bytes first … last (exclusive) of the file, or bytes that are not in it."""


class SplicedFile(io.RawIOBase):
    """Pieces of a seekable binary file, one after the other, as a file to read.

    An error of the file ends it, as its end does, and is kept in `error`: libsndfile calls `read`, and has no way to
    pass it on.

    Args:
        file: Seekable.
        pieces: The parts of it.
        hole: Bytes by which the file pretends to be longer than it is, where nothing can be read. The last 128, in
            which decoders look for tags, are zeros.
    """

    def __init__(self, file: BinaryIO, pieces: Iterable[Piece], *, hole: int = 0) -> None:
        self._file = file
        self._pieces = [piece for piece in pieces if _length(piece)]
        self._starts = [0]
        for piece in self._pieces:
            self._starts.append(self._starts[-1] + _length(piece))
        self._end = self._starts[-1] + (hole + _TAG_BYTES if hole else 0)
        self._at = 0
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.IOBase.seek`.

        Args:
            offset: Bytes.
            whence: What they count from.

        Returns:
            The position.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """See `io.IOBase.tell`.

        Returns:
            The position.
        """
        return self._at

    @property
    def exhausted(self) -> bool:
        """Whether everything up to the end has been read."""
        return self._at >= self._starts[-1]

    def readable(self) -> bool:
        """See `io.IOBase.readable`.

        Returns:
            True.
        """
        return True

    def seekable(self) -> bool:
        """See `io.IOBase.seekable`.

        Returns:
            True.
        """
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase.readinto`.

        Args:
            buffer: To be filled.

        Returns:
            Bytes read; 0 at the end.
        """
        target, done = memoryview(buffer).cast("B"), 0
        if self._end - _TAG_BYTES <= self._at < self._end and self.exhausted:
            done = min(len(target), self._end - self._at)
            target[:done] = bytes(done)
            self._at += done
            return done
        while done < len(target) and not self.exhausted:
            number = bisect_right(self._starts, self._at) - 1
            count = self._copy(self._pieces[number], self._at - self._starts[number], target[done:])
            if not count:
                break
            done += count
            self._at += count
        return done

    def _copy(self, piece: Piece, offset: int, target: memoryview) -> int:
        """Copy a piece from an offset on, as far as the target reaches; returns the bytes copied."""
        wanted = min(len(target), _length(piece) - offset)
        if isinstance(piece, bytes):
            target[:wanted] = piece[offset : offset + wanted]
            return wanted
        try:
            self._file.seek(piece[0] + offset)
            block = self._file.read(wanted)
        except OSError as error:
            self.error = error
            return 0
        target[: len(block)] = block
        return len(block)


def patched(size: int, patches: Sequence[tuple[int, bytes]], first: int = 0) -> tuple[Piece, ...]:
    """Replace bytes of a file.

    Args:
        size: Position at which to end.
        patches: (position, bytes to be there instead), in their order.
        first: Position at which to begin.

    Returns:
        The pieces of the result.
    """
    pieces: list[Piece] = []
    at = first
    for position, content in patches:
        pieces += [(at, position), content]
        at = position + len(content)
    return (*pieces, (at, size))


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]


class FileWindow:
    """The bytes of a seekable binary file, by position; a part of it is buffered, so that small steps are cheap.

    Args:
        file: Seekable.

    Attributes:
        size: Bytes of the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        self._first, self._buffer = 0, b""

    def read(self, position: int, count: int) -> bytes:
        """Read bytes.

        Args:
            position: Of the first.
            count: How many.

        Returns:
            The bytes; fewer where the file ends.
        """
        offset = position - self._first
        if offset < 0 or offset + count > len(self._buffer):
            self._first, offset = position, 0
            self._buffer = self._fetch(position, max(count, _WINDOW_BYTES))
        return self._buffer[offset : offset + count]

    def find(self, word: bytes, position: int, end: int) -> int:
        """Find bytes.

        Args:
            word: What to look for.
            position: Where to begin.
            end: Where the last byte of the word has to lie before.

        Returns:
            Position of the first occurrence; −1 where there is none.
        """
        while position < end:
            block = self.read(position, _WINDOW_BYTES)[: end - position]
            found = block.find(word)
            if found >= 0:
                return position + found
            if len(block) < len(word):
                return -1
            position += len(block) - len(word) + 1
        return -1

    def is_zero(self, position: int) -> bool:
        """Check for trailing zeros.

        Args:
            position: Where they begin.

        Returns:
            Whether there is nothing else up to the end of the file.
        """
        while block := self.read(position, _WINDOW_BYTES):
            if any(block[:64]) or block.count(0) < len(block):
                return False
            position += len(block)
        return True

    def _fetch(self, position: int, count: int) -> bytes:
        if position >= self.size:
            return b""
        self._file.seek(position)
        return self._file.read(count)
