"""Cache of annotations on disk: equal contents are equal bytes.

    words.jsonl          all entries, one a line, sorted by key; replaced as a whole
    words.jsonl.journal  entries of a call that is running or was interrupted
    lock                 held by the one process that adds entries

Interruptions and the order of calls therefore leave no trace in `words.jsonl`.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..utils import files
from ..utils.text import to_json

CACHE_NAME = "words.jsonl"
JOURNAL_NAME = CACHE_NAME + ".journal"

_log = logging.getLogger(__name__)


class Cache:
    """The entries in a folder, by key. Opened by `open_cache`.

    Args:
        folder: Need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._journal = folder / CACHE_NAME, folder / JOURNAL_NAME
        self._entries: dict[str, dict[str, Any]] = {}
        self._content = _read(self._path)
        self.unfinished = self._journal.exists()
        for line in (self._content + _read(self._journal)).split(b"\n"):
            try:
                record = json.loads(line)
                self._entries[record.pop("key")] = record
            except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
                continue  # damaged, or cut short when a process was killed

    def get(self, key: str) -> dict[str, Any] | None:
        """Look an entry up.

        Args:
            key: Its key.

        Returns:
            The entry; None if there is none.
        """
        return self._entries.get(key)

    def put(self, key: str, entry: dict[str, Any]) -> None:
        """Add an entry to the journal, where it survives if this process is killed.

        Args:
            key: Its key.
            entry: Any JSON object.
        """
        self._entries[key] = entry
        with self._journal.open("ab") as file:
            file.write(_line(key, entry))

    def settle(self) -> None:
        """Merge the journal into `words.jsonl`."""
        content = b"".join(_line(key, entry) for key, entry in sorted(self._entries.items()))
        if content != self._content:
            files.write_bytes(self._path, content)
            self._content = content
        self._journal.unlink(missing_ok=True)


@contextmanager
def open_cache(folder: Path, complete: Callable[[Cache], bool]) -> Iterator[Cache]:
    """Open the cache in a folder; wait while another process adds to it.

    Args:
        folder: Created if missing.
        complete: Whether a cache holds everything that is needed. Such a cache is only read, which takes no write
            permission and no lock.

    Yields:
        The cache, which is settled at the end.
    """
    cache = Cache(folder)
    if complete(cache) and not cache.unfinished:
        yield cache
        return
    with files.lock(folder, wait=lambda: _log.warning("%s: another process finds words for it; waiting", folder)):
        cache = Cache(folder)
        cache.settle()
        yield cache
        cache.settle()


def content_digest(path: str | Path) -> str:
    """Identify a file by its content; the digest is remembered in this process until size or time stamp change.

    Args:
        path: Of the file.

    Returns:
        SHA-256, 64 hexadecimal digits.

    Raises:
        OSError: The file cannot be read.
    """
    path = Path(path).absolute()
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@functools.cache
def _digest(path: Path, size: int, modified: int) -> str:
    return files.digest(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _line(key: str, entry: dict[str, Any]) -> bytes:
    return to_json({"key": key, **entry}).encode() + b"\n"
