"""`Stepwise`: a function that reports its progress, run a step at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class _Abandoned(BaseException):
    """Ends the function from within; no `Exception`, so that nothing in between handles it."""


class Stepwise(Generic[Result]):
    """Runs a function in a thread of its own, which waits wherever the function pauses.

    Args:
        function: Gets what it has to call wherever it may pause.

    Attributes:
        result: Of the function, once `advance` returned False.
    """

    result: Result

    def __init__(self, function: Callable[[Callable[[], None]], Result]) -> None:
        self._function = function
        self._go, self._waits = threading.Semaphore(0), threading.Semaphore(0)
        self._closed = self._done = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stepwise", daemon=True)
        self._thread.start()

    def advance(self) -> bool:
        """Run to the next pause.

        Returns:
            Whether there is one; else the function has returned.

        Raises:
            Exception: What the function raised.
        """
        self._go.release()
        self._waits.acquire()
        if self._error is not None:
            raise self._error
        return not self._done

    def close(self) -> None:
        """End the function where it pauses; one that has returned is let be."""
        self._closed = True
        self._go.release()
        self._thread.join()

    def _pause(self) -> None:
        self._waits.release()
        self._go.acquire()
        if self._closed:
            raise _Abandoned

    def _run(self) -> None:
        self._go.acquire()
        if self._closed:
            return
        try:
            self.result = self._function(self._pause)
        except _Abandoned:
            pass
        except BaseException as error:
            self._error = error
        self._done = True
        self._waits.release()
