"""The identity of a recording: the content of its file, never its name, size or time stamp.

paths ─ Contents ─▶ {path: digest}
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from ..utils.parallel import cores, in_order
from ..utils.progress import Progress


def content_digest(path: Path) -> str:
    """Digest the content of a file.

    Args:
        path: A regular file.

    Returns:
        BLAKE2b, as 32 hexadecimal digits.

    Raises:
        OSError: The file is missing, cannot be read, or is not a regular file, which could be read only once.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no regular file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


class Contents:
    """Digests of files, cached in memory for as long as a file does not change.

    Files are read in threads. Nothing is cached on disk, where `cp -p` and `rsync` could make an entry wrong: they keep
    size and time stamp. The time of the inode's last change, which they cannot keep, is compared here.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], str]] = {}

    def __call__(self, paths: Iterable[Path], progress: Progress | None = None) -> dict[Path, str]:
        """Digest files, reading only those that are new or changed.

        Args:
            paths: The files; duplicates are read once.
            progress: Counts files.

        Returns:
            Path → digest, without the files that cannot be read.
        """
        found: dict[Path, str] = {}
        distinct = list(dict.fromkeys(paths))
        digests = in_order(self._digest, distinct, workers=cores(), crashed=self._digest)
        for done, (path, digest) in enumerate(zip(distinct, digests, strict=True), 1):
            if digest is not None:
                found[path] = digest
            if progress is not None:
                progress(done, len(distinct))
        return found

    def _digest(self, path: Path) -> str | None:
        try:
            state = _state(path)
            if (known := self._known.get(path)) is not None and known[0] == state:
                return known[1]
            digest = content_digest(path)
        except (OSError, ValueError):  # ValueError: a null character in the name
            return None
        self._known[path] = (state, digest)
        return digest


def _state(path: Path) -> tuple[int, ...]:
    status: os.stat_result = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
