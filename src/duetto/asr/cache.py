"""Answers that were found already, in the folder of a cache: equal answers are equal bytes.

    words.jsonl          all answers, a line each, sorted by key; replaced as a whole
    words.jsonl.journal  what a call has found that is going on, or was ended early
    lock                 held by the one process that adds answers

How calls were interrupted, and in which order they came, thus leaves no trace in `words.jsonl`.
"""

from __future__ import annotations

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
    """The answers in a folder by key; `put` keeps another one. Made by `opened`."""

    def __init__(self, folder: Path) -> None:
        self._path, self._journal = folder / CACHE_NAME, folder / JOURNAL_NAME
        self._answers: dict[str, dict[str, Any]] = {}
        self._content = _read(self._path)
        self.unfinished = self._journal.exists()
        for line in (self._content + _read(self._journal)).split(b"\n"):
            try:
                record = json.loads(line)
                self._answers[record.pop("key")] = record
            except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
                continue  # damaged, or cut short when a call was killed

    def get(self, key: str) -> dict[str, Any] | None:
        """The answer of a key."""
        return self._answers.get(key)

    def put(self, key: str, answer: dict[str, Any]) -> None:
        """Keep an answer, so that it is found again even if this process is killed now."""
        self._answers[key] = answer
        with self._journal.open("ab") as file:
            file.write(_line(key, answer))

    def settle(self) -> None:
        """Move what is in the journal to its place."""
        content = b"".join(_line(key, answer) for key, answer in sorted(self._answers.items()))
        if content != self._content:
            files.write_bytes(self._path, content)
            self._content = content
        self._journal.unlink(missing_ok=True)


@contextmanager
def opened(folder: Path, complete: Callable[[Cache], bool]) -> Iterator[Cache]:
    """The cache in a folder, to read where it is `complete` already (no right to write is needed then), else to add to.

    Waits while another process adds to it.
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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _line(key: str, answer: dict[str, Any]) -> bytes:
    return to_json({"key": key, **answer}).encode() + b"\n"
