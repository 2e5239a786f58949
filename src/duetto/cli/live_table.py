"""A live table of long work on many systems; plain lines where standard error is not a terminal."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .output import Console

if TYPE_CHECKING:
    from ..recipes.reproduce import Event

_MARKS = {"done": "[green]done[/]", "failed": "[red]failed[/]", "not applicable": "[dim]not applicable[/]"}
_FRAME = 0.1
"""Seconds between two drawings."""


class LiveTable:
    """One row per system: state, progress, and UA so far. A context manager that is called with each event.

    Args:
        names: Systems, in the order of the rows.
        console: Where to draw; standard error by default.
    """

    def __init__(self, names: tuple[str, ...], console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._events: dict[str, Event | None] = dict.fromkeys(names)
        self._current = ""
        self._drawn = 0.0
        live = Live(console=self.console, auto_refresh=False)
        self._live = live if self.console.is_terminal else None

    def __enter__(self) -> LiveTable:
        self._context: AbstractContextManager[object] = self._live or nullcontext()
        self._context.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.update(self.table(), refresh=True)
        self._context.__exit__(None, None, None)

    def __call__(self, event: Event) -> None:
        """Record an event and show it.

        Args:
            event: The event.
        """
        before, self._events[event.system] = self._events.get(event.system), event
        self._current = event.system
        if self._live is None:
            if before is None or before.state != event.state:
                self.console.print(_line(event), markup=False, highlight=False, soft_wrap=True)
        elif event.state in _MARKS or time.monotonic() - self._drawn > _FRAME:
            self._drawn = time.monotonic()
            self._live.update(self.table(), refresh=True)

    def table(self) -> Table:
        """Draw as many rows as the terminal has, the system at work among them.

        Returns:
            The table.
        """
        table = Table(box=None, pad_edge=False)
        for name, justify in (("System", "left"), ("State", "left"), ("Progress", "left"), ("UA %", "right")):
            table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        room = max(3, self.console.height - 3)
        names = list(self._events)
        place = names.index(self._current) if self._current in self._events else 0
        first = max(0, min(place - room // 2, len(names) - room))
        for name in names[first : first + room]:
            table.add_row(name, *_cells(self._events[name]))
        return table


def _cells(event: Event | None) -> tuple[str, ProgressBar | Text, str]:
    if event is None:
        return "[dim]waiting[/]", Text(), ""
    mark = _MARKS.get(event.state)
    ua = "" if event.ua is None else f"{event.ua:.1f}"
    if mark:
        return mark, Text(event.detail, overflow="ellipsis"), ua
    running = ProgressBar(total=event.total, completed=event.done, width=20) if event.total else Text("…")
    return escape(event.state), running, ua


def _line(event: Event) -> str:
    tail = f": {event.detail}" if event.detail else ""
    ua = f", UA {event.ua:.1f} %" if event.ua is not None and event.state == "done" else ""
    return f"{event.system}: {event.state}{ua}{tail}"
