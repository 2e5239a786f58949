"""Events that a long reproduction reports while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

DONE, FAILED, NOT_APPLICABLE = "done", "failed", "not applicable"
"""Final states of a system."""


@dataclass(frozen=True)
class Event:
    """A change of what is known about one system.

    Attributes:
        system: Its name, or `corpus` for work that all systems share.
        state: The step at work, or one of `done`, `failed`, `not applicable`.
        done: Units of the step that are finished.
        total: Units of the step; 0 where not known.
        ua: UA in percent over the seeds and folds that are finished.
        detail: Why it failed or is not applicable.
    """

    system: str
    state: str
    done: int = 0
    total: int = 0
    ua: float | None = None
    detail: str = ""


Watch = Callable[[Event], None]
"""Receives each event, in the process and thread that trains."""


def silent(event: Event) -> None:
    """Ignore an event.

    Args:
        event: Not used.
    """
