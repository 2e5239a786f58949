"""Work on several cores: in order, lazily, and past a process that dies."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from duetto.errors import ConfigurationError
from duetto.utils.parallel import cores, in_order, processes


def slow_first(item: int) -> int:
    time.sleep(0.05 * (item == 0))
    return item * item


def deadly(item: int) -> int:
    if item == 3:
        os._exit(9)
    return item * item


def lost(item: int) -> int:
    return -item


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_keep_the_order_of_the_items(workers: int) -> None:
    assert list(in_order(slow_first, range(50), workers=workers, crashed=lost)) == [i * i for i in range(50)]
    assert list(in_order(slow_first, [], workers=workers, crashed=lost)) == []


def test_processes_give_the_same_and_a_crashed_one_loses_only_its_item() -> None:
    found = list(in_order(deadly, range(12), workers=2, processes=True, crashed=lost))
    assert found == [-3 if i == 3 else i * i for i in range(12)]


def test_a_single_worker_may_be_a_process() -> None:
    found = list(in_order(deadly, range(6), workers=1, processes=True, apart=True, crashed=lost))
    assert found == [-3 if i == 3 else i * i for i in range(6)]


def test_items_are_taken_as_they_are_needed() -> None:
    """However many items there are, no more than four a worker wait: memory is bounded."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while taken < 10_000:
            taken += 1
            yield taken

    results = in_order(slow_first, items(), workers=2, crashed=lost)
    for answered in range(1, 20):
        next(results)
        assert taken - answered < 8
    results.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def test_an_exception_is_raised_at_the_turn_of_its_item() -> None:
    def bad(item: int) -> int:
        if item == 2:
            raise KeyError(item)
        return item

    results = in_order(bad, range(9), workers=3, crashed=lost)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(KeyError):
        next(results)


def test_no_workers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="workers = 0 is not valid; give 1 or more"):
        list(in_order(slow_first, [1], workers=0, crashed=lost))
    assert cores() >= 1


HARNESS = """
import os, signal, sys, threading, time
from pathlib import Path
from duetto.utils import parallel

def work(item):
    folder = Path(sys.argv[1])
    (folder / str(os.getpid())).touch()
    while item or len(list(folder.iterdir())) < 2:
        time.sleep(0.02)

def lost(item): ...

def pool():
    with parallel.processes(2) as pool:
        list(pool.map(work, [{busy}, {busy}]))
        time.sleep(600)  # the workers are idle

def ordered():
    list(parallel.in_order(work, [1, 1, 1], workers=2, processes=True, crashed=lost))

def in_thread():
    thread = threading.Thread(target=pool)
    thread.start()
    thread.join()

def launched():
    from lightning.fabric import Fabric
    with parallel.ending_children():
        Fabric(accelerator="cpu", devices=2, strategy="ddp_fork").launch(forked)

def forked(fabric):
    parallel.end_with_parent()
    work(1)

if __name__ == "__main__":
    from duetto.cli import main
    from duetto import cli
    cli.app = {how}
    signal.signal(signal.SIGHUP, signal.{hangup})
    main()
"""


SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
CASES = [(how, number, 1) for how in ("pool", "ordered", "launched") for number in SIGNALS]
CASES += [("pool", number, 0) for number in SIGNALS]
CASES += [("in_thread", signal.SIGKILL, 1)]  # nothing else ends a thread


@pytest.mark.parametrize(
    ("how", "number", "busy"), CASES, ids=[f"{how}-{number.name}-{'busy' if b else 'idle'}" for how, number, b in CASES]
)
def test_no_worker_outlives_its_parent(tmp_path: Path, how: str, number: signal.Signals, busy: int) -> None:
    with started(tmp_path, how, busy) as (process, workers):
        process.send_signal(number)
        assert process.wait(60) == (-number if number == signal.SIGKILL else 128 + number)
        wait_until(lambda: not any(map(alive, workers)))
    printed = (tmp_path / "stderr").read_text()
    assert ("stopped; run the same command again to resume" in printed) is (number != signal.SIGKILL)
    assert "Traceback" not in printed


def test_a_hangup_that_is_to_be_ignored_ends_nothing(tmp_path: Path) -> None:
    """As under nohup."""
    with started(tmp_path, "pool", 1, hangup="SIG_IGN") as (process, workers):
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert all(map(alive, workers))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM


@contextlib.contextmanager
def started(folder: Path, how: str, busy: int, hangup: str = "SIG_DFL") -> Iterator[tuple[subprocess.Popen, list[int]]]:
    """A process with two workers that have begun to work, and their ids."""
    (folder / "harness.py").write_text(HARNESS.format(how=how, busy=busy, hangup=hangup))
    (folder / "seen").mkdir()
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen([sys.executable, folder / "harness.py", folder / "seen"], stderr=stderr)
    try:
        wait_until(lambda: len(list((folder / "seen").iterdir())) == 2, process)
        workers = [int(path.name) for path in (folder / "seen").iterdir()]
        assert all(map(alive, workers))
        yield process, workers
    finally:
        process.kill()
        process.wait()


def test_an_error_in_the_block_ends_the_workers_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyError), processes(2) as pool:
        pool.submit(time.sleep, 600)
        workers = [pool.submit(os.getpid).result()]
        raise KeyError("not the workers' own")
    assert not any(map(alive, workers))


def wait_until(condition: Callable[[], bool], process: subprocess.Popen | None = None) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline and (process is None or process.poll() is None)
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet reaped by its new parent doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
