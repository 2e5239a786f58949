"""One function over many items on several cores: results in the order of the items, in bounded memory.

    items ─ a few at a time ─▶ threads | processes ─ function ─▶ results, in the order of the items

Every process that duetto starts is started here. None outlives the one that started it, however that one ends: killed
by any signal, out of memory, or by an error.
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
Result = TypeVar("Result")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

_AHEAD = 4
"""Items for each worker that are being computed, or done and waiting for one before them."""


def cores() -> int:
    """Count the cores that this process may use.

    Returns:
        Their number, at least 1.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def processes(
    workers: int, initializer: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Start worker processes, which an error inside the block, or a signal to this process, ends at once.

    Args:
        workers: Number of processes.
        initializer: Called with `arguments` in each of them before its first work; picklable.
        arguments: Picklable.

    Yields:
        The pool.
    """
    pool = _pool(workers, initializer, arguments)
    try:
        yield pool
    except BaseException:
        _stop(pool)
        raise
    pool.shutdown()


@contextlib.contextmanager
def single_threaded_children() -> Iterator[None]:
    """Let processes that start meanwhile use one thread for linear algebra.

    Yields:
        Nothing.
    """
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def end_with_parent() -> None:
    """Make this process, which `multiprocessing` started, end when its parent ends or terminates it."""
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is None:
        return
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a forked process has the handler of its parent
    threading.Thread(target=_watch, args=(parent.sentinel,), name="watch the parent", daemon=True).start()


@contextlib.contextmanager
def ending_children() -> Iterator[None]:
    """End the processes that other libraries started inside the block, where it raises an error.

    Yields:
        Nothing.
    """
    from multiprocessing import active_children

    before = {*active_children()}
    try:
        yield
    except BaseException:
        for child in {*active_children()} - before:
            child.terminate()
        raise


def _pool(
    workers: int, initializer: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> ProcessPoolExecutor:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Linux signals the end of the thread that started a process; only the main thread lives as long as its process.
    main_thread = threading.current_thread() is threading.main_thread()
    # Not fork: a forked copy of a process with threads can hang.
    return ProcessPoolExecutor(
        workers, get_context("spawn"), _begin, (os.getpid(), main_thread, initializer, arguments)
    )


def _begin(
    parent: int, main_thread: bool, initializer: Callable[..., object] | None, arguments: tuple[Any, ...]
) -> None:
    """Run first in a worker process."""
    if main_thread and sys.platform == "linux":
        _killed_with_parent()
    end_with_parent()
    if sys.platform != "win32" and os.getppid() != parent:
        os._exit(1)  # the parent died before it was watched
    if initializer is not None:
        initializer(*arguments)


def _killed_with_parent() -> None:
    """Have Linux kill this process when its parent dies, even while other code holds the GIL."""
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
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
    processes: bool = False,
    apart: bool = False,
    crashed: Callable[[Item], Result],
) -> Iterator[Result]:
    """Compute function(item) for each item, `workers` at a time; items are taken as they are needed.

    Args:
        function: An exception that it raises is raised when the turn of its item comes, and ends the work.
        items: Any number.
        workers: Number of threads or processes; 1 works in this thread.
        processes: Use processes, for functions that hold the GIL or may crash; function, items and results have to be
            picklable. Threads by default.
        apart: Use a process for a single worker, too.
        crashed: Returns the result for an item whose process died. What other processes computed meanwhile is computed
            again, each item alone in a process, so that only the one that kills its process is lost.

    Yields:
        The results, in the order of the items.

    Raises:
        ConfigurationError: `workers` is less than 1.
    """
    if workers < 1:
        raise ConfigurationError(f"workers = {workers} is not valid; give 1 or more")
    if workers == 1 and not (processes and apart):
        yield from map(function, items)
        return
    pool = _Workers(function, workers, processes, crashed)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(item)))
            if len(waiting) == _AHEAD * workers:
                yield pool.result(*waiting.popleft())
        while waiting:
            yield pool.result(*waiting.popleft())
    except BaseException:
        pool.stop()
        raise
    pool.shutdown()


class _Workers(Generic[Item, Result]):
    """Workers that are replaced when one of them dies."""

    def __init__(
        self,
        function: Callable[[Item], Result],
        workers: int,
        processes: bool,
        crashed: Callable[[Item], Result],
    ) -> None:
        self._function, self._workers, self._processes, self._crashed = function, workers, processes, crashed
        self._pool = self._start(workers)

    def _start(self, workers: int) -> Executor:
        if self._processes:
            return _pool(workers)
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(workers)

    def submit(self, item: Item) -> Future[Result]:
        try:
            return self._pool.submit(self._function, item)
        except BrokenExecutor:
            self._pool = self._start(self._workers)
            return self._pool.submit(self._function, item)

    def result(self, item: Item, future: Future[Result]) -> Result:
        try:
            return future.result()
        except BrokenExecutor:
            with processes(1) as alone:
                try:
                    return alone.submit(self._function, item).result()
                except BrokenExecutor:
                    return self._crashed(item)

    def shutdown(self) -> None:
        self._pool.shutdown()

    def stop(self) -> None:
        _stop(self._pool)
