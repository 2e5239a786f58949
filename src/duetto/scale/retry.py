"""Errors of a store that pass: a call is repeated, after longer and longer waits."""

from __future__ import annotations

import random
from collections.abc import Callable
from time import sleep
from typing import TypeVar

from ..errors import DuettoError, StorageError
from ..utils.files import DISK_FULL

T = TypeVar("T")

TRIES = 6
"""Calls before a store is given up."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the second call, and at most; each wait is twice the one before it."""

_PERMANENT = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError)
_BUSY = (408, 429)
"""HTTP statuses below 500 that ask to come again."""
_CLIENTS = ("aiohttp", "botocore", "urllib3", "requests", "gcsfs", "google", "azure")
"""Packages whose exceptions are no OSError though they are about the network."""


def is_transient(error: BaseException) -> bool:
    """Decide whether the same call may succeed later.

    Args:
        error: What it raised.

    Returns:
        False for what will not pass by itself: a missing file, a refusal, a full disk, a defect.
    """
    status = getattr(error, "status", None)
    if status is None:
        status = getattr(error, "code", None)
    if isinstance(status, int):
        return status >= 500 or status in _BUSY
    if isinstance(error, _PERMANENT) or is_disk_full(error):
        return False
    return isinstance(error, OSError | EOFError) or type(error).__module__.partition(".")[0] in _CLIENTS


def is_disk_full(error: BaseException) -> bool:
    """Decide whether an error states that there is no space left.

    Args:
        error: Any.

    Returns:
        Whether it does; whatever else is written would fail, too.
    """
    return isinstance(error, OSError) and error.errno in DISK_FULL


def retried(call: Callable[[], T], what: str) -> T:
    """Call a function until it does not raise a transient error.

    Args:
        call: The function.
        what: The file it is about; begins the message.

    Returns:
        Its value.

    Raises:
        StorageError: It has raised transient errors `TRIES` times.
    """
    wait = FIRST_WAIT
    for left in range(TRIES - 1, -1, -1):
        try:
            return call()
        except Exception as error:
            if isinstance(error, DuettoError) or not is_transient(error):
                raise
            if not left:
                reason = str(error) or type(error).__name__
                raise StorageError(f"{what}: failed {TRIES} times ({reason}); run the same again later") from error
        sleep(wait * random.uniform(0.5, 1.5))  # not all workers at once
        wait = min(2 * wait, LONGEST_WAIT)
    raise AssertionError
