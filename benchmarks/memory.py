"""Memory of training as the corpus grows: fabricated features of 1, 4 and 16 times as many hours.

    python benchmarks/memory.py --hours 60 --write
    python benchmarks/memory.py --hours 1000 --times 1

Features are random values in a memory-mapped file, 34 for each 100 ms, in utterances of 2 to 8 s; system `acoustic`
with 8 units, one epoch, in a process of its own. Anonymous memory is what the process needs; pages of the file that the
operating system keeps while there is room for them come on top. Needs the extra `train` and Linux.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from harness import parser, publish, table

from duetto import training
from duetto.config import experiment
from duetto.data.labels import classes
from duetto.data.utterance import Utterance
from duetto.splits import Fold
from duetto.training import FoldInputs

DIM, SHORTEST, LONGEST = 34, 20, 80
SPEAKERS = 100


class Fabricated(Mapping[str, np.ndarray]):
    """Features of utterances "0", "1", … in one memory-mapped file."""

    def __init__(self, path: Path, ends: np.ndarray) -> None:
        self._values, self._ends = np.memmap(path, np.float32, "r").reshape(-1, DIM), ends

    def __getitem__(self, name: str) -> np.ndarray:
        number = int(name)
        return self._values[self._ends[number] : self._ends[number + 1]]

    def __iter__(self) -> Iterator[str]:
        return map(str, range(len(self)))

    def __len__(self) -> int:
        return len(self._ends) - 1


def fabricate(path: Path, hours: float) -> np.ndarray:
    """Write features of so many hours; return where utterances begin and end, in frames."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(SHORTEST, LONGEST + 1, round(hours * 36_000 / ((SHORTEST + LONGEST) / 2)))
    ends = np.concatenate(([0], np.cumsum(lengths)))
    block = rng.normal(size=(10_000, DIM)).astype(np.float32)
    with path.open("wb") as file:
        for start in range(0, int(ends[-1]), len(block)):
            file.write(block[: int(ends[-1]) - start].tobytes())
    return ends


def train(hours: float, folder: Path) -> dict[str, float]:
    """Train on fabricated features; hours, utterances, seconds, and peak memory in MB."""
    ends = fabricate(folder / "features", hours)
    names, audio = classes("four"), folder / "none.wav"
    everyone = [Utterance(str(i), audio, label=names[i % 4], speaker=f"s{i % SPEAKERS}") for i in range(len(ends) - 1)]
    held = [u for u in everyone if u.speaker in ("s0", "s1")]
    fold = Fold("memory", tuple(u for u in everyone if u.speaker not in ("s0", "s1")), tuple(held), tuple(held[:100]))
    peaks, done = {"RssAnon": 0, "VmRSS": 0}, threading.Event()
    watcher = threading.Thread(target=watch, args=(peaks, done))
    watcher.start()
    began = time.perf_counter()
    e = experiment.with_overrides(experiment.load("acoustic"), ["hidden=8", "dense=8", "epochs=1", "batch_size=256"])
    training.train(e, FoldInputs(fold, Fabricated(folder / "features", ends)), folder / "run", seed=0)
    done.set()
    watcher.join()
    return {
        "hours": hours,
        "utterances": len(everyone),
        "seconds": time.perf_counter() - began,
        "anonymous": peaks["RssAnon"] / 1e3,
        "resident": peaks["VmRSS"] / 1e3,
    }


def watch(peaks: dict[str, int], done: threading.Event) -> None:
    """Keep the largest values of /proc/self/status, in kB."""
    while not done.wait(0.05):
        for line in Path("/proc/self/status").read_text().splitlines():
            key, _, value = line.partition(":")
            if key in peaks:
                peaks[key] = max(peaks[key], int(value.split()[0]))


def main() -> None:
    """Measure each size in a process of its own, and publish."""
    line = parser(__doc__)
    line.add_argument("--hours", type=float, default=60.0)
    line.add_argument("--times", type=int, nargs="*", default=[1, 4, 16])
    line.add_argument("--one", type=float, help=argparse.SUPPRESS)
    options = line.parse_args()
    if options.one is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(train(options.one, Path(folder))))
        return
    rows = []
    for times in options.times:
        command = [sys.executable, __file__, "--one", str(options.hours * times)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        rows.append([
            f"{found['hours']:g}", f"{found['utterances']:,}", f"{found['hours'] * 36_000 * DIM * 4 / 1e6:,.0f}",
            f"{found['anonymous']:,.0f}", f"{found['resident']:,.0f}", f"{found['seconds']:,.0f}",
        ])  # fmt: skip
    columns = ["hours", "utterances", "features MB", "anonymous memory MB", "with pages of the file MB", "seconds"]
    publish("Training: memory", [table(columns, rows)], packages=("numpy", "torch"), into=options.write)


if __name__ == "__main__":
    main()
