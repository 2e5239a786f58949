"""Faults of machines and stores, one seeded trial each: afterwards every recording is there once, in the same bytes.

    trial(folder, seed) ─▶ what was done to a job of `duetto scale features`, and whether it ended as without faults

benchmarks/scale.py runs many of them, tests/test_scale_faults.py a few. A fault is one of `FAULTS`; the job is then run
again without any, as a user would. Corrupt tar files are part of the source, with and without faults.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from duetto import audio

COMMAND = [sys.executable, "-c", "from duetto.cli import main; main()", "scale", "features"]
MODE = "voice"
"""Features that take long enough for a fault to come while they are computed."""
FAULTS = ("worker killed", "driver killed", "503", "half", "slow", "no space")
_RATE = 16_000
_SMALLEST_DISK = 4_000
"""Bytes that a file may have where the disk is full: enough for the plan, not for outputs."""


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; the first requests for some files fail."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Store = self.server  # type: ignore[assignment]
        path = Path(self.translate_path(self.path))
        if server.fails(self.path) and path.is_file():
            server.failures += 1
            self.fail(server, path.read_bytes())
        else:
            super().do_GET()

    def fail(self, server: Store, content: bytes) -> None:
        if server.kind == "503":
            self.send_error(503)
            return
        if server.kind == "half":  # with the length of the whole, or of none: what then comes looks complete
            stated = str(len(content)) if random.Random(f"half {server.seed} {self.path}").random() < 0.5 else None
            self.send_response(200)
            self.send_header("Content-Length" if stated else "Connection", stated or "close")
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for at in range(0, len(content), 4096):
            self.wfile.write(content[at : at + 4096])
            time.sleep(0.02)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Store(ThreadingHTTPServer):
    """An object store that fails.

    folder: what it serves. kind: of failure, "" for none. times: requests for a file that fail. share: of the files.
    """

    daemon_threads = True

    def __init__(self, folder: Path, kind: str = "", times: int = 2, share: float = 0.3, seed: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.kind, self.times, self.share, self.seed = kind, times, share, seed
        self.requests: Counter[str] = Counter()
        self.failures = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def fails(self, path: str) -> bool:
        self.requests[path] += 1
        chosen = random.Random(f"{self.seed} {path}").random() < self.share
        return bool(self.kind) and chosen and self.requests[path] <= self.times

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is killed leaves its connections."""


@contextlib.contextmanager
def serving(folder: Path, *options: object, **named: object) -> Iterator[Store]:
    """A store in a thread, for the block."""
    with Store(folder, *options, **named) as store:  # type: ignore[arg-type]
        threading.Thread(target=store.serve_forever, args=(0.02,), daemon=True).start()
        yield store
        store.shutdown()


def write_corpus(folder: Path, recordings: int = 24, seconds: float = 1.0) -> None:
    """m.jsonl with recordings, one that is no audio and one that is missing; 0.tar to 2.tar, the last cut off."""
    rng = np.random.default_rng(0)
    time_axis = np.arange(round(_RATE * seconds)) / _RATE
    lines = []
    for i in range(recordings):
        tone = sum(np.sin(2 * np.pi * k * (100 + 5 * i) * time_axis) / k for k in range(1, 9))
        sound = 0.1 * tone * (1 + np.sin(2 * np.pi * 3 * time_axis)) + 1e-3 * rng.standard_normal(len(time_axis))
        audio.write(folder / f"{i}.wav", sound, _RATE)
        lines.append({"id": f"r{i}", "audio": f"{i}.wav"})
    (folder / "bad.wav").write_text("no audio")
    lines += [{"id": "bad", "audio": "bad.wav"}, {"id": "missing", "audio": "missing.wav"}]
    (folder / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for number in range(3):
        with tarfile.open(folder / f"{number}.tar", "w") as tar:
            for i in range(8 * number, 8 * number + 8):
                tar.add(folder / f"{i % recordings}.wav", f"{i}.wav", filter=anonymous)
    content = (folder / "2.tar").read_bytes()
    (folder / "2.tar").write_bytes(content[: len(content) // 2])


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """No owner and no time, so that two runs of `write_corpus` give equal files."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def digests(job: Path) -> dict[str, str]:
    """Name of each output → digest of its content."""
    from duetto.utils.files import digest

    return {path.name: digest(path) for path in sorted(job.glob("part-*.parquet"))}


def keys_of(job: Path) -> Counter[str]:
    """How often each recording has a row."""
    import pyarrow.parquet

    return Counter(pyarrow.parquet.read_table(job, columns=["audio"])["audio"].to_pylist())


@dataclass
class Trial:
    """What happened. runs: exit status of each run. equal: whether the outputs are those without faults."""

    seed: int
    fault: str
    source: str
    engine: str
    runs: list[int] = field(default_factory=list)
    hits: int = 0
    equal: bool = False
    once: bool = False


def command(source: str, out: Path, engine: str, workers: int) -> list[str]:
    options = ["--mode", MODE, "--engine", engine, "--shard-size", "3", "--workers", str(workers)]
    return [*COMMAND, source, "-o", str(out), *options]


def reference(folder: Path, name: str, out: Path, port: int | None = None) -> dict[str, str]:
    """The outputs without faults. name: of the source in the folder."""
    if not digests(out):
        subprocess.run(command(f"{folder}/{name}", out, "loop", 1), capture_output=True, check=False)
    return digests(out)


def trial(folder: Path, seed: int, *, engine: str = "processes", fault: str | None = None) -> Trial:
    """Run a job into a fault, then run it again until it is done. folder: with what `write_corpus` wrote."""
    rng = random.Random(seed)
    fault = fault or FAULTS[seed % len(FAULTS)]
    name = rng.choice(("m.jsonl", "*.tar")) if not is_of_store(fault) else "m.jsonl"
    done = Trial(seed, fault, name, engine)
    out = folder / f"job-{seed}"
    expected = reference(folder, name, folder / f"reference-{name.replace('*', 'all')}")
    with serving(folder, fault if is_of_store(fault) else "", 2, 0.15, seed) as store:
        source = f"{store.url}/{name}" if is_of_store(fault) else f"{folder}/{name}"
        while len(done.runs) < 10:
            attempt = start(command(source, out, engine, rng.choice((1, 2))), fault if not done.runs else "", rng)
            done.hits += attempt[1]
            done.runs.append(attempt[0])
            if complete(out):
                break
            done.hits += fault == "no space"  # exit status 1 proves nothing: some recordings cannot be read
        done.hits += store.failures
    done.equal = digests(out) == expected
    done.once = set(keys_of(out).values()) == {1}
    return done


def is_of_store(fault: str) -> bool:
    return fault in ("503", "half", "slow")


def complete(out: Path) -> bool:
    """Whether nothing is left of a job."""
    status = [*COMMAND[:-1], "status", str(out), "--json"]
    printed = subprocess.run(status, capture_output=True, text=True, check=False).stdout
    return bool(printed) and json.loads(printed)["left"] == 0


def start(words: list[str], fault: str, rng: random.Random) -> tuple[int, int]:
    """Run a command into a fault: its exit status, and how often the fault struck."""
    hits = 0
    process = subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_no_space if fault == "no space" else None,
    )
    if fault.endswith("killed"):
        find: Callable[[int], list[int]] = workers_of if fault == "worker killed" else lambda pid: [pid]
        for _ in range(rng.randint(1, 2)):
            while process.poll() is None and not workers_of(process.pid):
                time.sleep(0.02)
            time.sleep(rng.uniform(0.0, 3.0))
            if process.poll() is None and (found := find(process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(found), signal.SIGKILL)
                    hits += 1
    status = process.wait(300)
    return status, hits


def _no_space() -> None:
    """As on a full disk: no file can grow beyond the limit, and the signal that would state it is ignored."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_SMALLEST_DISK, _SMALLEST_DISK))


def workers_of(parent: int) -> list[int]:
    """Worker processes that a process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            if (
                int((path / "stat").read_text().rpartition(")")[2].split()[1]) == parent
                and b"spawn_main" in (path / "cmdline").read_bytes()
            ):
                found.append(int(path.name))
    return found
