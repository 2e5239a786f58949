"""Progress of long work: one kind of callback everywhere, one kind of bar on the terminal.

Library functions that take longer than a few seconds accept `progress`, a callback with the work done and the total.
`bar` makes such a callback that draws on standard error, with an estimate of the time left; nothing is drawn where
standard error is no terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

from .text import printable

Progress = Callable[[int, int], None]
"""`progress(done, total)`, in whatever unit the work counts."""


@contextmanager
def bar(description: str, *, enabled: bool = True) -> Iterator[Progress | None]:
    """Show a progress bar around one piece of work.

    Args:
        description: Shown left of the bar.
        enabled: Whether to show it at all.

    Yields:
        The callback that moves it; None where none is shown.
    """
    if not enabled or not _is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    # While a bar is drawn, rich prints above it; what goes to a file or a pipe must not land there.
    with RichProgress(*columns, console=console, redirect_stdout=_is_terminal(sys.stdout)) as bars:
        task = bars.add_task(printable(description), total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is open and a terminal; it is None where it was closed at the start."""
    return stream is not None and not stream.closed and stream.isatty()


@contextmanager
def steps(*, enabled: bool = True) -> Iterator[Callable[[str], Progress | None]]:
    """Show one progress bar after the other, for work in several steps.

    Args:
        enabled: Whether to show them at all.

    Yields:
        A function from a description to the callback of a new bar; it ends the bar before.
    """
    with ExitStack() as stack:

        def step(description: str) -> Progress | None:
            stack.close()
            return stack.enter_context(bar(description, enabled=enabled))

        yield step
