"""From what a user gives (a path, a file object, a pipe) to a seekable binary file.

    regular file ──────────────────────────────▶ opened
    FIFO · /dev/fd/63 · device · socket · stream ─ read to its end, within bounds ─▶ temporary file

Nothing waits for ever: a FIFO or socket that gives nothing for `STREAM_TIMEOUT` is an error. Nothing is read without
end: what does not begin like audio is refused after its first bytes, and `MAX_STREAM_BYTES` are the most of a stream.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import socket
import stat
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import AudioError
from .decode import NotAudioError, opened
from .hints import not_audio

STREAM_TIMEOUT = 30.0
"""A FIFO or socket named by its path that gives no byte for so long is given up."""
MAX_STREAM_BYTES = 2 << 30
"""Bytes that are read of what is no regular file: 2 GiB, 18 hours of 16-bit sound at 16 kHz."""
_IN_MEMORY = 64 << 20
_HEAD = 1 << 20
"""Bytes of a stream from which it must be recognisable as audio."""
_CHUNK = 1 << 16
_DESCRIPTOR = re.compile(r"/(?:dev/fd|proc/self/fd)/([0-9]+)")


@contextlib.contextmanager
def binary(source: Any) -> Generator[tuple[BinaryIO, str, bool]]:
    """A path or binary file object as a seekable binary file.

    Yields:
        The file, its name for messages, and whether that name is a path.

    Raises:
        AudioError: It can't be opened or read, is empty, is opened as text, or gives nothing.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        with _path_opened(path) as file:
            _check_content(file, str(path))
            yield file, str(path), True
        return
    name = str(getattr(source, "name", "file object"))
    with _object_opened(source, name) as file:
        _check_content(file, name)
        yield file, name, False


def is_stream(source: Any) -> bool:
    """Whether a path names what is no regular file and no folder: it can be read once only, in this process."""
    if not isinstance(source, str | os.PathLike):
        return False
    try:
        mode = os.stat(source).st_mode  # noqa: PTH116 (of /dev/fd, which is no Path)
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def save(source: Any, out: BinaryIO) -> None:
    """Copy what a path or binary file object gives, read as `binary` reads it, to an open file."""
    with binary(source) as (file, _, _):
        while block := file.read(_CHUNK):
            out.write(block)


@contextlib.contextmanager
def _path_opened(path: Path) -> Generator[BinaryIO]:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"{path}: is a folder; give an audio file")
        file = path.open("rb") if stat.S_ISREG(mode) else _spooled(_stream_of(path, mode), str(path))
    except FileNotFoundError as error:
        missing = f"a link to {path.readlink()}, which does not exist" if path.is_symlink() else "no such file"
        raise AudioError(f"{path}: {missing}") from error
    except (OSError, ValueError) as error:
        raise AudioError(f"{path}: cannot be opened ({error})") from error
    with file:
        yield file


@contextlib.contextmanager
def _object_opened(source: Any, name: str) -> Generator[BinaryIO]:
    """A binary file object rewound to its beginning; it stays open. What cannot be rewound is read to its end."""
    try:
        if _is_rewindable(source):
            source.seek(0)
            yield source
            return
        file = _spooled(iter(lambda: source.read(_CHUNK), b""), name)
    except (OSError, ValueError, TypeError) as error:
        raise AudioError(f"{name}: cannot be read ({error}); open it with mode 'rb'") from error
    with file:
        yield file


def _is_rewindable(source: Any) -> bool:
    if not (hasattr(source, "seekable") and source.seekable()):
        return False
    try:
        return stat.S_ISREG(os.fstat(source.fileno()).st_mode)
    except (AttributeError, OSError, ValueError, TypeError):  # in memory
        return True


def _check_content(file: BinaryIO, name: str) -> None:
    try:
        file.seek(0)
        head = file.read(1)
        file.seek(0)
    except (OSError, ValueError, TypeError) as error:
        raise AudioError(f"{name}: cannot be read ({error}); open it with mode 'rb'") from error
    if not isinstance(head, bytes):
        raise AudioError(f"{name}: opened as text; open it with mode 'rb'")
    if not head:
        raise AudioError(f"{name}: is empty (0 bytes)")


def _spooled(chunks: Iterator[bytes], name: str) -> BinaryIO:
    """What a stream gives, in memory or in a temporary file."""
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (closed by the caller)
    try:
        size, recognised = 0, False
        for chunk in chunks:
            if not isinstance(chunk, bytes):
                raise AudioError(f"{name}: opened as text; open it with mode 'rb'")
            file.write(chunk)
            size += len(chunk)
            if not recognised and size >= _HEAD:
                _check_head(file, name)
                recognised = True
            if size > MAX_STREAM_BYTES:
                raise AudioError(
                    f"{name}: gives more than {MAX_STREAM_BYTES >> 20} MiB and is read no further; give a shorter recording"
                )
    except BaseException:
        file.close()
        raise
    return file  # pyright: ignore[reportReturnType] (it has every method of one)


def _check_head(file: Any, name: str) -> None:
    """Refuse a stream that does not begin like audio, before more of it is read."""
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(0, io.SEEK_END)
    try:
        with opened(io.BytesIO(head), name):
            return
    except NotAudioError as error:
        if head.startswith(b"ID3"):  # a tag with a large picture
            return
        raise AudioError(not_audio(name, head, str(error), is_path=False)) from error


def _stream_of(path: Path, mode: int) -> Iterator[bytes]:
    """The bytes of a pipe, device or socket."""
    named = _DESCRIPTOR.fullmatch(str(path))
    number = int(named[1]) if named else 0 if str(path) == "/dev/stdin" else None
    if number is not None:  # whoever opened it knows how long to wait for it
        yield from _read_from(os.dup(number), None, path)
        return
    if stat.S_ISSOCK(mode):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(STREAM_TIMEOUT)
            connection.connect(str(path))
            yield from _read_from(os.dup(connection.fileno()), STREAM_TIMEOUT, path)
        return
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    yield from _read_from(os.open(path, os.O_RDONLY | flags), STREAM_TIMEOUT, path)


def _read_from(descriptor: int, wait: float | None, path: Path) -> Iterator[bytes]:
    """Bytes of an open descriptor to its end, which is closed."""
    with open(descriptor, "rb", buffering=0) as file:
        if file.isatty():
            raise AudioError(f"{path}: is a terminal; give a recording")
        ready = _waiting(descriptor, wait)
        while ready():
            chunk = file.read(_CHUNK)
            if chunk == b"":
                return
            if chunk:
                yield chunk
    raise AudioError(f"{path}: gave nothing for {wait:g} s: no program writes into it; start one, or give a file")


def _waiting(descriptor: int, wait: float | None) -> Callable[[], bool]:
    """A function that waits until something can be read, or the end was reached; False after `wait` seconds."""
    if not hasattr(select, "poll"):
        return lambda: True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(None if wait is None else 1000 * wait))
