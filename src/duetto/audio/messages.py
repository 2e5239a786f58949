"""Keeps what libmpg123 prints about a damaged MP3 file off standard error.

libmpg123, inside libsndfile, writes a line for every frame whose content is damaged, to the C library's `stderr`; its
switch for that is out of reach. So while an MP3 file is decoded, that one pointer leads to a temporary file, on Linux
one in memory. The file descriptor 2 stays as it is: what Python, loggers and other programs write there is not touched.
Lines of other C code that come meanwhile are passed on. Where the C library has no such pointer (Windows), nothing is
suppressed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
import threading
from collections.abc import Generator
from functools import lru_cache

_NAMES = ("stderr", "__stderrp")  # glibc and musl, macOS
_PREFIXES = (b"[src/libmpg123/", b"Warning: Xing stream", b"Note: ", b"mpg123")
"""Beginnings of the lines of libmpg123."""
_IONBF = 2


class _Redirection:
    """The C library's `stderr`, and the stream it is replaced by while there are users.

    The stream is never closed: a thread may hold it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._pointer, self._file, self._stream = _opened()
        self._original: int | None = None

    def enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1 and self._pointer is not None:
                self._original, self._pointer.value = self._pointer.value, self._stream

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users or self._pointer is None or self._file is None:
                return
            self._pointer.value = self._original
            if size := os.fstat(self._file).st_size:
                lines = os.pread(self._file, size, 0).splitlines(keepends=True)
                os.ftruncate(self._file, 0)
                if others := b"".join(line for line in lines if not line.startswith(_PREFIXES)):
                    with contextlib.suppress(OSError):
                        os.write(2, others)


def _opened() -> tuple[ctypes.c_void_p | None, int | None, int | None]:
    """The C library's `stderr`, and descriptor and C stream of a temporary file; all None where there is no pointer."""
    if os.name != "posix":
        return None, None, None
    try:
        library = ctypes.CDLL(None)
        pointer = next(p for name in _NAMES if (p := _symbol(library, name)) is not None)
        descriptor = _temporary()
    except (OSError, StopIteration):
        return None, None, None
    library.fdopen.restype = ctypes.c_void_p
    library.setvbuf.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    stream = library.fdopen(os.dup(descriptor), b"a")
    if not stream:
        return None, None, None
    library.setvbuf(stream, None, _IONBF, 0)  # so that whole lines are in the file when it is read
    return pointer, descriptor, stream


def _temporary() -> int:
    """A descriptor of a file without a name, in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("duetto-messages")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _symbol(library: ctypes.CDLL, name: str) -> ctypes.c_void_p | None:
    try:
        return ctypes.c_void_p.in_dll(library, name)
    except ValueError:
        return None


@lru_cache(maxsize=1)
def _redirection() -> _Redirection:
    return _Redirection()


@contextlib.contextmanager
def mpg123_messages_suppressed() -> Generator[None]:
    """Keep what libmpg123 prints inside the block off standard error; may be entered by several threads at once.

    Yields:
        Nothing.
    """
    redirection = _redirection()
    redirection.enter()
    try:
        yield
    finally:
        redirection.leave()
