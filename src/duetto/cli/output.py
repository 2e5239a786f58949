"""Where the command line prints: nothing from a model, a corpus or a file name controls the terminal.

for a person   echo, Console, logging   in the terminal's encoding, control characters as `\\x1b`
for a program  json_line                in UTF-8, whatever the terminal's encoding is
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
    """Log to standard error from `level` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def plain(text: str) -> str:
    """Text as a person sees it: line ends and tabs stay, all other control characters are escaped."""
    return re.sub(r"[^\n\t]+", lambda part: printable(part[0]), text)


def echo(text: str = "", *, err: bool = False, bold: bool = False) -> None:
    """Print text on standard output, or standard error."""
    typer.secho(plain(text), err=err, bold=bold or None)


def json_line(value: Any) -> None:
    """Print one JSON object as a line of UTF-8 on standard output."""
    line = to_json(value)
    if (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8":
        typer.echo(line)  # text, so that it is printed above a progress bar
    else:
        typer.echo(line.encode() + b"\n", nl=False)


class Console(rich.console.Console):
    """A console that prints text as `plain` does; its own styles and cursor movements are kept."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of a string; escaped here, before it is measured, so that tables stay aligned."""
        return super().render_str(plain(text), **options)

    def render(self, renderable: Any, options: rich.console.ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of what is printed."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))
