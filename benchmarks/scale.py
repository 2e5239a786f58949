"""`duetto scale`: equal output of every engine, their overhead, growth, and faults.

    python benchmarks/scale.py --data $DUETTO_DATA --write                            # 20,000 recordings, 50 trials
    python benchmarks/scale.py faults --trials 50 --write
    python benchmarks/scale.py engines --recordings 1000 --task predict

The corpus is cuts of one second of the recordings of RAVDESS (of synthetic tones without --data), each of them another
one, so that no two have equal keys. Every engine runs in processes of its own, from the command line. Recordings an
hour, and processor time, are those between the first outputs and the last, which leaves out how long an engine takes to
start; that is a column of its own. Processor time is that of all processes that the command started, those of Ray among
them; on a machine with other load it is what to compare. The plain loop with several workers is that many tasks of an
array, started together, with the engine loop.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import scale_faults
from harness import parser, publish, table

from duetto import audio

PACKAGES = ("duetto", "ray", "pyarrow", "fsspec", "numpy", "onnxruntime")
PARTS = ("engines", "growth", "faults")
_CUT = 1.0
_INTERVAL = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")


def write_manifest(path: Path, count: int, data: Path | None) -> None:
    """So many cuts of a second."""
    if data is None:
        scale_faults.write_corpus(path.parent, 64, 30.0)
        files, step = sorted(path.parent.glob("[0-9]*.wav")), 0.05
    else:
        files, step = sorted((data / "ravdess").rglob("*.wav")) or sorted((data / "ravdess").rglob("*.flac")), 0.05
    if not files:
        sys.exit(f"{data}: holds no ravdess/*.wav or *.flac")
    lengths = {file: audio.duration(file) for file in files}
    lines, round_ = [], 0
    while len(lines) < count:
        start = round(step * round_, 3)
        fit = [file for file in files if start + _CUT <= lengths[file]]
        if not fit:
            sys.exit(f"{len(lines)} different cuts are there; give a smaller --recordings")
        for file in fit[: count - len(lines)]:
            cut = {"start": start, "end": round(start + _CUT, 3)}
            lines.append(json.dumps({"id": f"{len(lines)}", "audio": str(file), **cut}))
        round_ += 1
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@dataclass
class Watched:
    """What became of processes. memory: kind → largest resident MB of one of them. spent: time, and the processor
    seconds of all of them until then."""

    seconds: float = 0.0
    memory: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    spent: list[tuple[float, float]] = field(default_factory=list)


def watched(commands: Sequence[Sequence[str]], log: Path) -> Watched:
    """Run commands at the same time, and look at all their processes meanwhile."""
    found, ended = Watched(), threading.Event()
    began = time.monotonic()
    with log.open("w") as out:
        started = [subprocess.Popen(command, stdout=out, stderr=out) for command in commands]
        roots = {process.pid for process in started}
        watcher = threading.Thread(target=_watch, args=(roots, found, ended))
        watcher.start()
        statuses = [process.wait() for process in started]
    found.seconds = time.monotonic() - began
    ended.set()
    watcher.join()
    if any(statuses):
        sys.exit(f"{commands[0][:6]} ended with {statuses}: {log.read_text()[-1000:]}")
    return found


def _watch(roots: set[int], found: Watched, ended: threading.Event) -> None:
    total: dict[int, float] = {}
    while not ended.wait(_INTERVAL):
        parents, words, memory, processor = {}, {}, {}, {}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError, ValueError, StopIteration):  # kernel threads have no memory
                pid = int(path.name)
                numbers = (path / "stat").read_text().rpartition(")")[2].split()
                parents[pid], processor[pid] = int(numbers[1]), (int(numbers[11]) + int(numbers[12])) / _TICKS
                words[pid] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                memory[pid] = next(
                    int(line.split()[1]) / 1024
                    for line in (path / "status").read_text().splitlines()
                    if line.startswith("VmHWM")
                )
        for pid in memory:
            if (kind := _kind(pid, roots, parents, words)) is not None:
                found.memory[kind] = max(found.memory[kind], memory[pid])
                total[pid] = processor[pid]
        found.spent.append((time.time(), sum(total.values())))


def _kind(pid: int, roots: set[int], parents: dict[int, int], words: dict[int, str]) -> str | None:
    if pid in roots:
        return "driver"
    at = pid
    while at in parents and at not in roots:
        at = parents[at]
    if at not in roots:
        return None
    if "spawn_main" in words[pid]:
        return "worker"
    return "actor" if "MapWorker" in words[pid] else "other"


@dataclass
class Measured:
    """One run of an engine."""

    engine: str
    workers: int
    recordings: int
    seconds: float
    start: float
    per_hour: float
    processor: float
    memory: dict[str, float]
    digest: str


def measure(manifest: Path, engine: str, workers: int, folder: Path, task: str, size: int) -> Measured:
    """Run a job and look at its outputs."""
    out = folder / f"{engine}-{workers}-{manifest.stem}"
    base = [*scale_faults.COMMAND[:-1], task, str(manifest), "-o", str(out), "--shard-size", str(size)]
    if engine == "loop":
        tasks = [["--engine", "loop", "--shard", str(i), "--of", str(workers)] for i in range(workers)]
    else:
        tasks = [["--engine", engine, "--workers", str(workers), "--memory", "0.5"]]
    began = time.time()
    seen = watched([[*base, *options] for options in tasks], folder / "log")
    outputs = sorted(out.glob("part-*.parquet"))
    times = sorted(path.stat().st_mtime for path in outputs)
    recordings = sum(1 for line in manifest.open(encoding="utf-8") if line.strip())
    # The first `workers` outputs come at about the same time: what is counted is what comes after them.
    first = min(workers, len(times) - 1)
    per_hour = 3600 * size * (len(times) - first) / max(times[-1] - times[first - 1], 1e-9)
    spent = np.interp([times[first - 1], times[-1]], *np.transpose(seen.spent))
    processor = 1000 * float(np.diff(spent)[0]) / (size * (len(times) - first))
    digest = sha256(b"".join(path.read_bytes() for path in outputs)).hexdigest()[:12]
    memory = dict(seen.memory)
    if engine == "loop":
        memory["worker"] = memory["driver"]
    return Measured(engine, workers, recordings, seen.seconds, times[0] - began, per_hour, processor, memory, digest)


def engines(manifest: Path, folder: Path, options: argparse.Namespace) -> str:
    """Throughput and overhead of every engine, and whether all wrote the same bytes."""
    rows, digests = [], set()
    for workers in options.workers:
        runs = {e: [] for e in ("loop", "processes", "ray")}
        for repetition in range(options.repetitions):  # in turns, since the machine may be shared
            for engine, found in runs.items():
                place = folder / f"{workers}-{repetition}"
                place.mkdir(exist_ok=True)
                found.append(measure(manifest, engine, workers, place, options.task, options.shard_size))
        best = {engine: min(found, key=lambda run: run.processor) for engine, found in runs.items()}
        for engine, run in best.items():
            digests |= {each.digest for each in runs[engine]}
            memory = [f"{run.memory.get(kind, 0):.0f} MB" for kind in ("worker", "driver")]
            extra = f"{run.memory['actor']:.0f} MB" if "actor" in run.memory else "–"
            speed, spent = best["loop"].per_hour / run.per_hour - 1, run.processor / best["loop"].processor - 1
            over = ["–", "–"] if engine == "loop" else [f"{spent:+.1%}", f"{speed:+.1%}"]
            values = [f"{run.processor:.2f} s", over[0], f"{run.per_hour:,.0f}", over[1], f"{run.start:.1f} s"]
            rows.append([engine, workers, *values, memory[0], extra, memory[1]])
    equal = "the same bytes from every run" if len(digests) == 1 else f"DIFFERENT: {sorted(digests)}"
    head = ["engine", "workers", "processor time of 1,000", "over the loop", "recordings an hour", "slower by"]
    memory_head = ["until the first output", "memory of a worker", "of its actor", "of the driver"]
    return f"{table([*head, *memory_head], rows)}\n\n{equal} (digest {sorted(digests)[0]})."


def growth(manifest: Path, folder: Path, options: argparse.Namespace) -> str:
    """Throughput and memory as the job grows."""
    lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    np.random.default_rng(0).shuffle(lines)  # later cuts lie deeper in their files, and take longer to decode
    rows, workers = [], max(options.workers)
    for factor in (1, 4, 16):
        part = folder / f"x{factor}.jsonl"
        part.write_text("".join(lines[: len(lines) * factor // 16]), encoding="utf-8")
        size = min(options.shard_size, max(1, len(lines) // 16 // (4 * workers)))
        run = measure(part, "processes", workers, folder, options.task, size)
        memory = [f"{run.memory.get(kind, 0):.0f} MB" for kind in ("worker", "driver")]
        rows.append([f"{factor} ×", run.recordings, f"{run.processor:.2f} s", f"{run.per_hour:,.0f}", *memory])
    head = [
        "size",
        "recordings",
        "processor time of 1,000",
        "recordings an hour",
        "memory of a worker",
        "of the driver",
    ]
    return f"{table(head, rows)}\n\nEngine processes, {workers} workers."


def faults(folder: Path, options: argparse.Namespace) -> str:
    """Seeded trials, by fault."""
    corpus = folder / "faults"
    corpus.mkdir()
    scale_faults.write_corpus(corpus)
    done = []
    for seed in range(options.trials):
        done.append(scale_faults.trial(corpus, seed))
        print(done[-1], file=sys.stderr)
    rows = []
    for fault in scale_faults.FAULTS:
        these = [each for each in done if each.fault == fault]
        if these:
            runs = Counter(len(each.runs) for each in these)
            counted = ", ".join(f"{number} × {runs_}" for runs_, number in sorted(runs.items()))
            struck = sum(each.hits > 0 for each in these)
            passed = sum(each.equal and each.once for each in these)
            rows.append([fault, len(these), struck, counted, f"{passed} of {len(these)}"])
    head = ["fault", "trials", "in which it struck", "trials × runs until done", "each recording once, same bytes"]
    return table(head, rows)


def main() -> None:
    made = parser(__doc__, data="the folder with ravdess; synthetic tones without it")
    made.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; all by default")
    made.add_argument("--recordings", type=int, default=20_000, help="of the largest job")
    made.add_argument("--trials", type=int, default=50, help="of faults")
    made.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of workers")
    made.add_argument(
        "--repetitions", type=int, default=1, help="of each engine; the one with the least processor time counts"
    )
    made.add_argument("--shard-size", type=int, default=200)
    made.add_argument("--task", choices=("features", "predict", "timeline"), default="features")
    options = made.parse_args()
    chosen = options.parts or PARTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = folder / "corpus" / "all.jsonl"
        if chosen != ["faults"]:
            manifest.parent.mkdir()
            write_manifest(manifest, options.recordings, options.data)
        about = f"{options.recordings:,} recordings of {_CUT:g} s, task {options.task}"
        if "engines" in chosen:
            parts = [engines(manifest, folder, options), f"{about}."]
            publish("Scale: engines", parts, packages=PACKAGES, into=options.write)
        if "growth" in chosen:
            publish("Scale: growth", [growth(manifest, folder, options)], packages=PACKAGES, into=options.write)
        if "faults" in chosen:
            publish("Scale: faults", [faults(folder, options)], packages=PACKAGES, into=options.write)


if __name__ == "__main__":
    main()
