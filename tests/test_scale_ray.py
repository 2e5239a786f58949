"""The engine ray: one small cluster of this computer for the module."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from duetto import audio
from sounds import voice

pytest.importorskip("pyarrow", reason="needs the extra scale")
ray = pytest.importorskip("ray", reason="needs the extra scale")
pytest.importorskip("ray.data", reason="needs the extra scale")

from duetto.scale import Job, Size, job, plan
from duetto.scale.engines import Workers, ray_data
from duetto.scale.tasks import Features

TWO = Workers(2, 0.3)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Two cores, no dashboard."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    lines = []
    for i in range(8):
        audio.write(folder / f"{i}.wav", np.roll(voice(1.0), 999 * i), 16_000)
        lines.append(f'{{"id": "r{i}", "audio": "{i}.wav"}}\n')
    (folder / "m.jsonl").write_text("".join(lines) + '{"id": "gone", "audio": "gone.wav"}\n')
    return folder / "m.jsonl"


def contents(planned: Job) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(planned.folder).glob("part-*"))}


def test_the_bytes_are_those_of_the_loop_though_workers_are_killed(manifest: Path, tmp_path: Path) -> None:
    jobs = {name: plan(str(manifest), str(tmp_path / name), Features("voice"), Size(2)) for name in ("loop", "ray")}
    job.run(jobs["loop"], "loop")
    ended = threading.Event()
    killed: list[int] = []
    killer = threading.Thread(target=kill_one_worker, args=(ended, killed))
    killer.start()
    seen: list[tuple[int, int]] = []
    state = job.run(jobs["ray"], "ray", TWO, lambda done, total: seen.append((done, total)))
    ended.set()
    killer.join()
    assert len(killed) == 1 and (state.left, state.recordings, state.failed) == (0, 9, 1)
    assert seen == [(done, 5) for done in range(6)]
    assert contents(jobs["loop"]) == contents(jobs["ray"])
    assert ray.is_initialized()  # who connected disconnects


def kill_one_worker(ended: threading.Event, killed: list[int]) -> None:
    """With signal 9, an actor as soon as there is one."""
    while not ended.wait(0.05):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError, ValueError):
                if b"MapWorker" in path.read_bytes() and is_of_this_cluster(path.parent):
                    os.kill(int(path.parent.name), signal.SIGKILL)
                    killed.append(int(path.parent.name))
                    return
        time.sleep(0.05)


def is_of_this_cluster(process: Path) -> bool:
    """Whether this process is among the ancestors of a process."""
    pid = int(process.name)
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return False


def test_blocks() -> None:
    """Never more than shards; enough for all workers; few for a million shards."""
    assert [ray_data._blocks(n, TWO) for n in (1, 10, 1000, 1_000_000)] == [1, 10, 64, 31_250]
