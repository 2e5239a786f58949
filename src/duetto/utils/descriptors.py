"""What has the name of a file and is none: devices, pipes, open descriptors."""

from __future__ import annotations

import re
import stat
from pathlib import Path

_DESCRIPTOR = re.compile(r"/(?:dev/fd|proc/self/fd)/([0-9]+)")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def open_descriptor(path: Path) -> int | None:
    """Find the open descriptor that a path names.

    Args:
        path: Such as /dev/stdout or /dev/fd/3.

    Returns:
        Its number; None for every other path.
    """
    match = _DESCRIPTOR.fullmatch(str(path))
    return int(match[1]) if match else _STANDARD.get(str(path))


def is_special(path: Path) -> bool:
    """Check for a file that cannot be replaced: an open descriptor, a device, a pipe, a socket.

    Args:
        path: The file, which need not exist.

    Returns:
        Whether it is one.
    """
    if open_descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
