"""Keeps what libmpg123 prints of a damaged MP3 file off standard error.

libmpg123, inside libsndfile, writes a line for every frame whose content is damaged, to the C library's `stderr`; its
switch for that is out of reach. So while an MP3 file is decoded, that one pointer leads to a temporary file. The file
descriptor 2 stays as it is: what Python, loggers and other programs write there is not touched. Lines of other C code
that come meanwhile are passed on. Where the C library has no such pointer (Windows), nothing is kept out.
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
_OF_MPG123 = (b"[src/libmpg123/", b"Warning: Xing stream", b"Note: ", b"mpg123")


class _Diversion:
    """The pointer, and where it leads while `users` is above 0. It is never closed: a thread may hold it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._pointer, self._file, self._stream = _prepared()
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
                if others := b"".join(line for line in lines if not line.startswith(_OF_MPG123)):
                    with contextlib.suppress(OSError):
                        os.write(2, others)


def _prepared() -> tuple[ctypes.c_void_p | None, int | None, int | None]:
    """The C library's `stderr`, and a temporary file: its descriptor and its stream. None where there is none."""
    if os.name != "posix":
        return None, None, None
    try:
        library = ctypes.CDLL(None)
        pointer = next(p for name in _NAMES if (p := _symbol(library, name)) is not None)
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    except (OSError, StopIteration):
        return None, None, None
    library.fdopen.restype = ctypes.c_void_p
    library.setvbuf.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    stream = library.fdopen(os.dup(descriptor), b"a")
    if not stream:
        return None, None, None
    library.setvbuf(stream, None, 2, 0)  # 2, _IONBF: whole lines are in the file when they are looked for
    return pointer, descriptor, stream


def _symbol(library: ctypes.CDLL, name: str) -> ctypes.c_void_p | None:
    try:
        return ctypes.c_void_p.in_dll(library, name)
    except ValueError:
        return None


@lru_cache(maxsize=1)
def _diversion() -> _Diversion:
    return _Diversion()


@contextlib.contextmanager
def kept_out() -> Generator[None]:
    """Nothing that libmpg123 prints meanwhile reaches standard error. May be entered by several threads at once."""
    diversion = _diversion()
    diversion.enter()
    try:
        yield
    finally:
        diversion.leave()
