"""One function over many items on several cores: answers in the order of the items, in flat memory.

items ─ a few at a time ─▶ threads | processes ─ function ─▶ answers, in the order of the items

Every process that duetto starts comes from here. None outlives the one that started it, however that one ends:
killed by any signal, out of memory, or by an error.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_AHEAD = 4
"""Items for each worker that are under way, or done and waiting for one before them."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def processes(
    workers: int, prepare: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, which an error inside the block, or a signal to this process, ends at once.

    Args:
        workers: How many.
        prepare: Called with `arguments` in each of them before its first work; picklable.
        arguments: Picklable.
    """
    pool = _pool(workers, prepare, arguments)
    try:
        yield pool
    except BaseException:
        _stop(pool)
        raise
    pool.shutdown()


def end_with_parent() -> None:
    """Let this process, which `multiprocessing` started, end when the one that started it does, or terminates it."""
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is None:
        return
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a forked process has the handler of its parent
    threading.Thread(target=_watch, args=(parent.sentinel,), name="watch the parent", daemon=True).start()


@contextlib.contextmanager
def ending_children() -> Iterator[None]:
    """Processes that other libraries start inside the block; an error in it ends them at once."""
    from multiprocessing import active_children

    before = {*active_children()}
    try:
        yield
    except BaseException:
        for child in {*active_children()} - before:
            child.terminate()
        raise


def _pool(
    workers: int, prepare: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> ProcessPoolExecutor:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Linux signals the death of the thread that started a process; only the main thread lives as long as its process.
    lasting = threading.current_thread() is threading.main_thread()
    # Not fork: a forked copy of a process with threads can hang.
    return ProcessPoolExecutor(workers, get_context("spawn"), _begin, (os.getpid(), lasting, prepare, arguments))


def _begin(parent: int, lasting: bool, prepare: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    """The first thing in a worker process."""
    if lasting and sys.platform == "linux":
        _killed_with_parent()
    end_with_parent()
    if sys.platform != "win32" and os.getppid() != parent:
        os._exit(1)  # the parent died before it was watched
    if prepare is not None:
        prepare(*arguments)


def _killed_with_parent() -> None:
    """Linux kills this process when its parent dies, even while other code holds the GIL."""
    import ctypes

    set_death_signal = 1  # PR_SET_PDEATHSIG of linux/prctl.h
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL, 0, 0, 0)


def _watch(parent: int) -> None:
    from multiprocessing.connection import wait

    wait([parent])
    os._exit(1)


def _stop(pool: Executor) -> None:
    """End a pool and its processes, whatever they are doing."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.terminate()
    pool.shutdown(cancel_futures=True)


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
    except BaseException:
        crew.stop()
        raise
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
            return _pool(workers)
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
            with processes(1) as alone:
                try:
                    return alone.submit(self._function, item).result()
                except BrokenExecutor:
                    return self._crashed(item)

    def dismiss(self) -> None:
        self._pool.shutdown()

    def stop(self) -> None:
        _stop(self._pool)
