"""Standard streams that are closed (`2>&-`, pythonw), on a full disk, or a pipe without a reader."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class _Notices(io.FileIO):
    """Standard error. What cannot be written there is dropped, since the work does not depend on it."""

    def write(self, data: Any, /) -> int | None:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def prepare() -> None:
    """Make all three standard streams usable for the rest of the process.

    A closed stream becomes the null device. Otherwise the next file that is opened would get its number, and what a C
    library writes to standard error would end up in that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is sys.__stderr__:  # else it was replaced, by a test for instance
        encoding = sys.stderr.encoding if sys.stderr is not None else "utf-8"
        raw = io.BufferedWriter(_Notices(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, encoding, errors="replace", line_buffering=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character still shows the rest
