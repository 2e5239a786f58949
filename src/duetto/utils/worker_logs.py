"""Log records of worker processes, handled by the logging of the process that started them.

worker: collected(level) ─▶ records ─ pickle ─▶ parent: replay(records) ─▶ its handlers and formatters
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler
from queue import SimpleQueue


@contextmanager
def collected(level: int) -> Iterator[list[logging.LogRecord]]:
    """Collect what is logged inside the block, instead of handling it.

    Args:
        level: Lowest level to collect.

    Yields:
        A list that holds the records once the block has ended; they can be pickled.
    """
    root, records = logging.getLogger(), []
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    handlers, previous = root.handlers[:], root.level
    root.handlers[:] = [QueueHandler(queue)]
    root.setLevel(level)
    try:
        yield records
    finally:
        root.handlers[:] = handlers
        root.setLevel(previous)
        while not queue.empty():
            records.append(queue.get())


def replay(records: Iterable[logging.LogRecord]) -> None:
    """Handle records as if they had been logged in this process.

    Args:
        records: From `collected`, in order.
    """
    for record in records:
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
