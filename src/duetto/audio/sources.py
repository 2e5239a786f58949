"""Opens what a user passes (a path, a file object, a pipe) as a seekable binary file.

    regular file ──────────────────────────────▶ opened
    FIFO · /dev/fd/63 · device · socket · stream ─ read to its end, within bounds ─▶ temporary file

Nothing blocks for ever: a FIFO or socket that sends nothing for `STREAM_TIMEOUT` is an error. Nothing is read without
limit: what does not begin like audio is refused after its first bytes, a longer stream after `MAX_STREAM_BYTES`.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import AudioError
from ..utils.descriptors import open_descriptor
from .decode import NotAudioError, open_decoder
from .forms import common_form
from .hints import kind_of, not_audio

STREAM_TIMEOUT = 30.0
"""Seconds to wait for a byte of a FIFO or socket named by its path."""
MAX_STREAM_BYTES = 2 << 30
"""Bytes to read of what is no regular file: 2 GiB, 18 hours of 16-bit sound at 16 kHz."""
MAX_MEMORY = 64 << 20
"""Bytes of a stream that are kept in memory; more go to a temporary file."""
_HEAD = 1 << 20
"""Bytes of a stream from which it must be recognisable as audio."""
_CHUNK = 1 << 16


@contextlib.contextmanager
def open_binary(source: Any, *, raw: bool = False) -> Generator[tuple[BinaryIO, str, bool]]:
    """Open a path or binary file object as a seekable binary file.

    Args:
        source: A path, a binary file object, which stays open, or the bytes of a file.
        raw: Whether it holds samples without a header, so that its first bytes tell nothing.

    Yields:
        The file, its name for messages, and whether that name is a path.

    Raises:
        AudioError: It cannot be opened or read, is empty, is opened as text, or sends nothing.
    """
    source = common_form(source)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        with _path_opened(path, raw) as file:
            _check_content(file, str(path))
            yield file, str(path), True
        return
    name = str(getattr(source, "name", "file object"))
    with _object_opened(source, name, raw) as file:
        _check_content(file, name)
        yield file, name, False


def is_stream(source: Any) -> bool:
    """Check for a source that can be read once only, in this process: a pipe, a device, a socket.

    Args:
        source: A path or anything else.

    Returns:
        Whether it is a path that names neither a regular file nor a folder.
    """
    if not isinstance(source, str | os.PathLike):
        return False
    try:
        mode = os.stat(source).st_mode  # noqa: PTH116 (of /dev/fd, which is no Path)
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def save(source: Any, out: BinaryIO, *, raw: bool = False) -> None:
    """Copy a source to an open file.

    Args:
        source: As for `open_binary`.
        out: Open for writing.
        raw: As for `open_binary`.

    Raises:
        AudioError: As for `open_binary`.
    """
    with open_binary(source, raw=raw) as (file, _, _):
        while block := file.read(_CHUNK):
            out.write(block)


@contextlib.contextmanager
def _path_opened(path: Path, raw: bool) -> Generator[BinaryIO]:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"{path}: is a folder; give an audio file (commands take folders with --recursive)")
        file = path.open("rb") if stat.S_ISREG(mode) else _spooled(_stream_of(path, mode), str(path), raw)
    except FileNotFoundError as error:
        missing = f"a link to {path.readlink()}, which does not exist" if path.is_symlink() else "no such file"
        raise AudioError(f"{path}: {missing}") from error
    except (OSError, ValueError) as error:
        raise AudioError(f"{path}: cannot be opened ({error})") from error
    with file:
        yield file


@contextlib.contextmanager
def _object_opened(source: Any, name: str, raw: bool) -> Generator[BinaryIO]:
    """A binary file object rewound to its beginning; it stays open. What cannot be rewound is read to its end."""
    try:
        if _is_rewindable(source):
            source.seek(0)
            yield source
            return
        file = _spooled(iter(lambda: source.read(_CHUNK), b""), name, raw)
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


def _spooled(chunks: Iterator[bytes], name: str, raw: bool) -> BinaryIO:
    """Read a stream to its end, into memory or a temporary file."""
    file = tempfile.SpooledTemporaryFile(MAX_MEMORY)  # noqa: SIM115 (closed by the caller)
    try:
        size, recognised = 0, raw
        for chunk in chunks:
            if not isinstance(chunk, bytes):
                raise AudioError(f"{name}: opened as text; open it with mode 'rb'")
            file.write(chunk)
            size += len(chunk)
            if not recognised and size >= _HEAD:
                _check_head(file, name)
                recognised = True
            if size > MAX_STREAM_BYTES:
                most = f"{MAX_STREAM_BYTES >> 20} MiB"
                raise AudioError(f"{name}: gives more than {most} and is read no further; give a shorter recording")
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
        with open_decoder(io.BytesIO(head), name):
            return
    except NotAudioError as error:
        if head.startswith(b"ID3"):  # a tag with a large picture
            return
        if kind_of(head) is not None and shutil.which("ffmpeg"):
            return
        raise AudioError(not_audio(name, head, str(error), is_path=False)) from error


def _stream_of(path: Path, mode: int) -> Iterator[bytes]:
    """The bytes of a pipe, device or socket."""
    if (descriptor := open_descriptor(path)) is not None:  # no timeout: it was opened by whoever started this process
        yield from _read_from(os.dup(descriptor), None, path)
        return
    if stat.S_ISSOCK(mode):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(STREAM_TIMEOUT)
            connection.connect(str(path))
            yield from _read_from(os.dup(connection.fileno()), STREAM_TIMEOUT, path)
        return
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    yield from _read_from(os.open(path, os.O_RDONLY | flags), STREAM_TIMEOUT, path)


def _read_from(descriptor: int, timeout: float | None, path: Path) -> Iterator[bytes]:
    """Read a descriptor to its end, and close it."""
    with open(descriptor, "rb", buffering=0) as file:
        if file.isatty():
            raise AudioError(f"{path}: is a terminal; give a recording")
        wait = _waiter(descriptor, timeout)
        while wait():
            chunk = file.read(_CHUNK)
            if chunk == b"":
                return
            if chunk:
                yield chunk
    raise AudioError(f"{path}: gave nothing for {timeout:g} s: no program writes into it; start one, or give a file")


def _waiter(descriptor: int, timeout: float | None) -> Callable[[], bool]:
    """A function that waits until something can be read, or the end was reached; False after `timeout` seconds."""
    if not hasattr(select, "poll"):
        return lambda: True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(None if timeout is None else 1000 * timeout))
