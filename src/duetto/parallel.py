"""One function over many items on several cores: answers in the order of the items, in flat memory.

items ─ a few at a time ─▶ threads | processes ─ function ─▶ answers, in the order of the items
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Generic, TypeVar

from .errors import ConfigurationError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_AHEAD = 4
"""Items for each worker that are under way, or done and waiting for one before them."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    function: Callable[[Item], Answer],
    items: Iterable[Item],
    *,
    workers: int,
    processes: bool = False,
    crashed: Callable[[Item], Answer],
) -> Iterator[Answer]:
    """function(item) for each item, in their order, `workers` at a time; items are taken as they are needed.

    workers: 1 works in this thread. processes: for functions that keep Python's lock, or that may crash; function,
    items and answers then have to be picklable. Else threads.
    crashed: gives the answer for an item whose process died. What was under way in processes beside it is done
    again, each item alone in a process of its own, so that only the one that kills its process is lost.
    An exception of `function` is raised when its item's turn comes, and ends the work.
    """
    if workers < 1:
        raise ConfigurationError(f"{workers} workers were asked for; give 1 or more")
    if workers == 1:
        yield from map(function, items)
        return
    crew = _Crew(function, workers, processes, crashed)
    waiting: deque[tuple[Item, Future[Answer]]] = deque()
    try:
        for item in items:
            waiting.append((item, crew.submit(item)))
            if len(waiting) == _AHEAD * workers:
                yield crew.answer(*waiting.popleft())
        while waiting:
            yield crew.answer(*waiting.popleft())
    finally:
        crew.dismiss()


class _Crew(Generic[Item, Answer]):
    """Workers that are replaced when one of them dies."""

    def __init__(
        self,
        function: Callable[[Item], Answer],
        workers: int,
        processes: bool,
        crashed: Callable[[Item], Answer],
    ) -> None:
        self._function, self._workers, self._processes, self._crashed = function, workers, processes, crashed
        self._pool = self._start(workers)

    def _start(self, workers: int) -> Executor:
        if self._processes:
            from concurrent.futures import ProcessPoolExecutor
            from multiprocessing import get_context

            return ProcessPoolExecutor(workers, get_context("spawn"))  # a fork of threads may hang
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(workers)

    def submit(self, item: Item) -> Future[Answer]:
        try:
            return self._pool.submit(self._function, item)
        except BrokenExecutor:
            self._pool = self._start(self._workers)
            return self._pool.submit(self._function, item)

    def answer(self, item: Item, future: Future[Answer]) -> Answer:
        try:
            return future.result()
        except BrokenExecutor:
            with self._start(1) as alone:
                try:
                    return alone.submit(self._function, item).result()
                except BrokenExecutor:
                    return self._crashed(item)

    def dismiss(self) -> None:
        self._pool.shutdown(cancel_futures=True)
