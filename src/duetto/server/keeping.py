"""`--keep`: recordings and answers in a folder. Without it, nothing of a request reaches a disk."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..utils import files
from ..utils.text import to_json


class Keeper:
    """Writes what is kept, under names of its own: none is a client's.

    Args:
        folder: The folder; None to keep nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def _name(self) -> str:
        return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(8)}"

    def upload(self, route: str, content: bytes, answer: Any) -> None:
        """Keep an upload and its answer.

        Args:
            route: Of the request.
            content: The recording.
            answer: JSON values.
        """
        if self._folder is None:
            return
        name = self._name()
        files.write_bytes(self._folder / f"{name}.audio", content)
        files.write_text(self._folder / f"{name}.json", to_json({"route": route, "answer": answer}) + "\n")

    @contextlib.contextmanager
    def stream(self) -> Iterator[Callable[[bytes | dict[str, Any]], None]]:
        """Keep a stream: its samples as raw 16-bit little-endian sound, its messages as lines of JSON.

        Yields:
            A function that takes samples or a message.
        """
        if self._folder is None:
            yield lambda _: None
            return
        name = self._name()
        with contextlib.ExitStack() as stack:
            pcm, lines = (self._opened(stack, f"{name}.{suffix}") for suffix in ("pcm", "jsonl"))

            def keep(what: bytes | dict[str, Any]) -> None:
                if isinstance(what, bytes):
                    pcm.write(what)
                else:
                    lines.write((to_json(what) + "\n").encode())

            yield keep

    def _opened(self, stack: contextlib.ExitStack, name: str) -> BinaryIO:
        """A file that is in place once the stack is closed."""
        temporary = stack.enter_context(files.replacing((self._folder or Path()) / name))
        return stack.enter_context(temporary.open("ab"))
