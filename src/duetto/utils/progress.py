"""Progress of long work: one kind of callback everywhere, one kind of bar on the terminal.

Library functions that take longer than a few seconds accept `progress`, a function that is told how
much is done and how much there is. `bar` makes such a function that draws on standard error, with an
estimate of the time left; nothing is drawn where standard error is no terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

from .reading import printable

Progress = Callable[[int, int], None]
"""`progress(done, total)`, in whatever unit the work counts."""


@contextmanager
def bar(description: str, *, enabled: bool = True) -> Iterator[Progress | None]:
    """A progress bar with an estimate, as a context manager around one piece of work."""
    if not enabled or not _is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

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
    with Bars(*columns, console=console, redirect_stdout=_is_terminal(sys.stdout)) as bars:
        task = bars.add_task(printable(description), total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is there (it is None where it was closed at the start), open, and a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


@contextmanager
def steps(*, enabled: bool = True) -> Iterator[Callable[[str], Progress | None]]:
    """Bars for work in several steps: each call with a description ends the bar before and begins another."""
    with ExitStack() as stack:

        def step(description: str) -> Progress | None:
            stack.close()
            return stack.enter_context(bar(description, enabled=enabled))

        yield step
