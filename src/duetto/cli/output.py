"""Printing on the command line: text from a model, a corpus or a file name cannot control the terminal.

for a person   echo, Console, logging   in the terminal's encoding, control characters as `\\x1b`
for a program  json_line, raw           in UTF-8, whatever the terminal's encoding is
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from typing import Any

import rich.console
import typer
from rich.segment import Segment
from rich.text import Text

from ..utils.text import printable, to_json


def log(level: int) -> None:
    """Log to standard error.

    Args:
        level: The lowest level that is logged.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def plain(text: str) -> str:
    """Escape control characters other than line ends and tabs.

    Args:
        text: Any text.

    Returns:
        Text that is safe to print.
    """
    return re.sub(r"[^\n\t]+", lambda part: printable(part[0]), text)


def echo(text: str = "", *, err: bool = False, bold: bool = False) -> None:
    """Print text.

    Args:
        text: Any text.
        err: Print it on standard error.
        bold: Print it in bold.
    """
    typer.secho(plain(text), err=err, bold=bold or None)


def json_line(value: Any) -> None:
    """Print one JSON object as a line of UTF-8 on standard output.

    Args:
        value: JSON values.
    """
    line = to_json(value)
    if (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8":
        typer.echo(line)  # text, so that it is printed above a progress bar
    else:
        typer.echo(line.encode() + b"\n", nl=False)


def raw(text: str) -> None:
    """Print text for a program, in UTF-8, without a line end of its own.

    Args:
        text: Any text; bytes of a file name that are no text are printed as `\\udce9`.
    """
    typer.echo(text.encode("utf-8", "backslashreplace"), nl=False)


class Console(rich.console.Console):
    """A console that escapes text as `plain` does, and keeps its own styles and cursor movements."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a string, escaped before it is measured, so that tables stay aligned.

        Args:
            text: Any text.
            options: See `rich.console.Console.render_str`.

        Returns:
            The text.
        """
        return super().render_str(plain(text), **options)

    def render(self, renderable: Any, options: rich.console.ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render an object.

        Args:
            renderable: See `rich.console.Console.render`.
            options: See `rich.console.Console.render`.

        Yields:
            Segments, escaped.
        """
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))
