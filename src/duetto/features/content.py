"""What a recording is known by: the content of its file, never its name, size or time stamp.

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


def content(path: Path) -> str:
    """Digest of a file's content, 32 hexadecimal digits.

    Raises:
        OSError: The file is missing, can't be read, or is no regular file, whose content could be read only once.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no regular file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


class Contents:
    """Digests of files, all read in threads the first time, and again only where a file was changed since.

    Nothing is kept on disk: what another process noted of a file may be wrong by now (`cp -p` and `rsync` keep size and
    time stamp; the time of the inode's change, which they can't keep, is compared here).
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], str]] = {}

    def __call__(self, paths: Iterable[Path], progress: Progress | None = None) -> dict[Path, str]:
        """The digest of each file that can be read."""
        found: dict[Path, str] = {}
        distinct = list(dict.fromkeys(paths))
        digests = in_order(self._of, distinct, workers=cores(), crashed=self._of)
        for done, (path, digest) in enumerate(zip(distinct, digests, strict=True), 1):
            if digest is not None:
                found[path] = digest
            if progress is not None:
                progress(done, len(distinct))
        return found

    def _of(self, path: Path) -> str | None:
        try:
            state = _state(path)
            if (known := self._known.get(path)) is not None and known[0] == state:
                return known[1]
            digest = content(path)
        except (OSError, ValueError):  # ValueError: a null character in the name
            return None
        self._known[path] = (state, digest)
        return digest


def _state(path: Path) -> tuple[int, ...]:
    status: os.stat_result = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
