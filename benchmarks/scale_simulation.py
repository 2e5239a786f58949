"""A million hours of speech on paper: measured costs, a discrete-event simulation of the machines, and a plan.

    python benchmarks/scale_simulation.py --data $DUETTO_DATA --write
    python benchmarks/scale_simulation.py --hours 50000 --workers 200 --preemption 0.1

Measured here: processor time of each step and bytes of each output, for recordings of LJ Speech and RAVDESS (synthetic
tones without --data), by recording, so that the simulated shards have the spread of real ones; and what a shard costs
beside its recordings. Assumed, and to be replaced by what your provider states: how often a machine is taken away, how
long until another one works, and how many machines are slow.

The simulation: workers take the next shard when they are free. A worker is taken away after a time that is distributed
exponentially; its shard goes back to the queue, and another worker begins after a delay. For equal shards and one kind
of machine, the time that a shard of d hours takes on average, restarts and delays r included, is known. A start
survives d hours with probability exp(-rate d), so there are exp(rate d) - 1 interruptions on average. Each costs the
delay and the time worked until then, which is 1 / rate - d / (exp(rate d) - 1) on average. With the d hours of the last
start, that is

    (1 / rate + r) (exp(rate d) - 1)

hours, with which the simulation has to agree.
"""

from __future__ import annotations

import argparse
import heapq
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scale_faults
from harness import parser, publish, table

import duetto
from duetto import audio
from duetto.asr.annotate import find_words
from duetto.audio.activity import detect_speech
from duetto.data.utterance import Utterance
from duetto.features.content import content_digest
from duetto.features.registry import feature_spec
from duetto.scale import process_shard
from duetto.scale.source import shards_of
from duetto.scale.tasks import Features, Predict, Timeline, opened

SIZES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Hours of sound in a shard."""
TOLERANCE = 0.02
"""Of the time that the plan may take longer than the shortest: larger shards are fewer files."""
_SCALE = 10
"""The simulation has a tenth of the work on a tenth of the workers: what happens to one does not depend on others."""


@dataclass(frozen=True)
class Cluster:
    """Machines. rate: how often one is taken away, an hour. delay: hours until another works. slow: share of workers
    that take `factor` times as long. overhead: hours of a shard beside its recordings."""

    workers: int
    rate: float = 0.05
    delay: float = 0.05
    slow: float = 0.05
    factor: float = 2.0
    overhead: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Hours. wall: until all is done. busy: of all workers together. lost: of work that was done again, and of delays.
    tail: from when no shard waits any more until all is done."""

    wall: float
    busy: float
    lost: float
    tail: float
    interruptions: int


def expected(hours: float, rate: float, delay: float) -> float:
    """Mean hours until a shard of so many hours is done without a break, with restarts after each `delay`."""
    return (1 / rate + delay) * math.expm1(rate * hours) if rate else hours


def simulate(work: Sequence[float], cluster: Cluster, seed: int) -> Outcome:
    """Run shards of so many hours each."""
    rng = np.random.default_rng(seed)
    slow = rng.random(cluster.workers) < cluster.slow
    speed = np.where(slow, cluster.factor, 1.0)
    free = [(0.0, worker) for worker in range(cluster.workers)]
    waiting = list(range(len(work) - 1, -1, -1))
    ends: list[tuple[float, int]] = []  # of shards that are taken away: they wait again from then on
    busy = lost = wall = last_start = 0.0
    interruptions = 0
    while waiting or ends:
        now, worker = heapq.heappop(free)
        while ends and ends[0][0] <= now:
            waiting.append(heapq.heappop(ends)[1])
        if not waiting:  # idle until a shard comes back
            heapq.heappush(free, (ends[0][0], worker))
            continue
        shard = waiting.pop()
        last_start = max(last_start, now)
        needed = work[shard] * speed[worker] + cluster.overhead
        until = rng.exponential(1 / cluster.rate) if cluster.rate else math.inf
        if until < needed:
            interruptions += 1
            heapq.heappush(ends, (now + until, shard))
            heapq.heappush(free, (now + until + cluster.delay, worker))
            lost += until + cluster.delay
            busy += until
        else:
            heapq.heappush(free, (now + needed, worker))
            busy += needed
            wall = max(wall, now + needed)
    return Outcome(wall, busy, lost, wall - last_start, interruptions)


@dataclass(frozen=True)
class Costs:
    """Processor seconds by hour of sound: of each step, and (recordings, 2) seconds of sound and of work of each one.
    overhead: seconds of a shard. bytes_: name → bytes an hour of sound."""

    steps: dict[str, float]
    recordings: np.ndarray
    overhead: float
    bytes_: dict[str, float]


def sample(data: Path | None, count: int, folder: Path) -> list[Path]:
    """Recordings to measure."""
    if data is None:
        scale_faults.write_corpus(folder, count, 6.0)
        return sorted(folder.glob("[0-9]*.wav"))
    found = [sorted((data / name).rglob("*.*a[vc]")) for name in ("ljspeech", "ravdess")]
    if not all(found):
        sys.exit(f"{data}: holds no ljspeech and ravdess")
    rng = np.random.default_rng(0)
    return [files[i] for files in found for i in rng.permutation(len(files))[: count // 2]]


def seconds_of(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def measure(files: Sequence[Path], folder: Path) -> Costs:
    """Costs of the default model on these recordings."""
    recogniser = duetto.load()
    recogniser(files[0])
    find_words([Utterance("first", files[0])], by="recognise")
    steps: dict[str, float] = {}
    recordings = []
    words_of = files[:: max(1, len(files) // 20)]  # slow, and even
    extractor = feature_spec("corrected").extractor
    total = words_total = 0.0
    for file in files:
        sound = audio.load(file)
        array = {"waveform": sound.samples, "sample_rate": sound.sample_rate}
        speech = seconds_of(lambda sound=sound: detect_speech(sound.samples))
        taken = {
            "digest of the content": seconds_of(lambda file=file: content_digest(file)),
            "decoding, resampling": seconds_of(lambda file=file: audio.load(file)),
            "speech detection": speech,
            "encoder, features, model": max(0.0, seconds_of(lambda array=array: recogniser(array)) - speech),
            "(instead: the 34 features)": seconds_of(
                lambda sound=sound: extractor.extract(sound.samples, sound.sample_rate)
            ),
        }
        for name, spent in taken.items():
            steps[name] = steps.get(name, 0.0) + spent
        recordings.append((sound.duration, sum(list(taken.values())[:4])))
        total += sound.duration
    for file in words_of:
        words_total += audio.duration(file)
        utterance = Utterance("one", file)
        spent = seconds_of(lambda utterance=utterance: find_words([utterance], by="recognise"))
        steps["(also: words, pocketsphinx)"] = steps.get("(also: words, pocketsphinx)", 0.0) + spent
    of_words = steps.pop("(also: words, pocketsphinx)") * 3600 / words_total
    per_hour = {name: spent * 3600 / total for name, spent in steps.items()} | {"(also: words, pocketsphinx)": of_words}
    overhead, sizes = _outputs(files, folder, total)
    return Costs(per_hour, np.array(recordings), overhead, sizes)


def _outputs(files: Sequence[Path], folder: Path, total: float) -> tuple[float, dict[str, float]]:
    """Seconds of a shard beside its recordings, and bytes an hour of each output and of the recordings."""
    manifest = folder / "sample.jsonl"
    lines = [f'{{"id": "{i}", "audio": "{file}"}}\n' for i, file in enumerate(files)]
    manifest.write_text("".join(lines), encoding="utf-8")
    (shard,) = shards_of(str(manifest))
    sizes = {"recordings as they are": sum(file.stat().st_size for file in files) * 3600 / total}
    sizes["manifest"] = manifest.stat().st_size * 3600 / total
    for task in (Predict(), Timeline(), Features()):
        out = folder / f"{task.name}.parquet"
        process_shard(shard, str(out), task)
        sizes[f"rows of {task.name}"] = out.stat().st_size * 3600 / total
    nothing = folder / "nothing.jsonl"
    nothing.write_text('{"id": "none", "audio": "none.wav"}\n', encoding="utf-8")
    (shard,) = shards_of(str(nothing))
    opened(Features())
    began = time.perf_counter()
    for i in range(10):
        process_shard(shard, str(folder / f"nothing-{i}.parquet"), Features())
    return (time.perf_counter() - began) / 10, sizes


def shards(costs: Costs, hours: float, size: float, rng: np.random.Generator) -> np.ndarray:
    """Hours of work of each shard of `size` hours of sound, whose recordings are drawn from those measured."""
    sound, work = costs.recordings.T
    count = max(1, round(hours / size))
    in_each = max(1, round(3600 * size / sound.mean()))
    # The sum of so many draws: normal by the central limit theorem, as soon as it is more than some hundred.
    if in_each >= 200:
        drawn = rng.normal(in_each * work.mean(), math.sqrt(in_each) * work.std(), count)
    else:
        drawn = rng.choice(work, (count, in_each)).sum(axis=1)
    return np.maximum(drawn, 0.0) / 3600


def plans(costs: Costs, options: argparse.Namespace, overhead: float) -> tuple[list[list[object]], float]:
    """A row for each size of shards, and the size to take."""
    cluster = Cluster(
        max(1, options.workers // _SCALE), options.preemption, options.delay / 60, overhead=overhead / 3600
    )
    rows, walls = [], {}
    for size in SIZES:
        work = shards(costs, options.hours / _SCALE, size, np.random.default_rng(0))
        found = simulate(work.tolist(), cluster, seed=0)
        walls[size] = found.wall
        ideal = work.sum() / cluster.workers
        needed = work.mean() + cluster.overhead
        closed = expected(needed, cluster.rate, cluster.delay) / needed - 1
        rows.append(
            [
                f"{size:g} h",
                f"{round(options.hours / size):,}",
                f"{60 * work.mean():.1f} min",
                f"{cluster.overhead / work.mean():.2%}",
                f"{closed:.2%}",
                f"{found.lost / (len(work) * needed):.2%}",
                f"{found.tail:.2f} h",
                f"{found.wall:.1f} h",
                f"{found.wall / ideal - 1:+.1%}",
            ]
        )
    return rows, max(size for size in SIZES if walls[size] <= (1 + TOLERANCE) * min(walls.values()))


def checks() -> list[list[object]]:
    """Simulations of one kind of machine and equal shards, beside the closed form."""
    rows = []
    for hours, rate, delay in ((0.1, 0.05, 0.05), (1.0, 0.05, 0.05), (10.0, 0.05, 0.05), (1.0, 1.0, 0.5)):
        number = 20_000
        found = simulate([hours] * number, Cluster(1, rate, delay, slow=0.0), seed=1)
        exact = expected(hours, rate, delay)
        row = [f"{hours:g} h", f"{rate:g} an hour", f"{60 * delay:g} min", f"{exact:.4f} h"]
        rows.append([*row, f"{found.wall / number:.4f} h", f"{found.wall / number / exact - 1:+.2%}"])
    return rows


def tables(costs: Costs, options: argparse.Namespace) -> list[str]:
    total = sum(list(costs.steps.values())[:4])
    million = options.hours / 3600
    steps = [[name, f"{s:.1f} s", f"{s * million:,.0f}"] for name, s in costs.steps.items()]
    steps.insert(4, ["**a prediction**", f"**{total:.1f} s**", f"**{total * million:,.0f}**"])
    stored = [[name, f"{b / 1e6:.2f} MB", f"{b * options.hours / 1e12:.2f} TB"] for name, b in costs.bytes_.items()]
    overhead = costs.overhead + options.store
    rows, best = plans(costs, options, overhead)
    sound = costs.recordings[:, 0]
    head = ["sound in a shard", "shards", "work of one", "beside it", "lost, closed form", "lost, simulated"]
    hours = f"{options.hours:,.0f} hours"
    return [
        f"**Costs** by hour of sound, of {len(sound)} recordings of {sound.mean():.1f} s on average.",
        table(["step", "processor time", f"core hours of {hours}"], steps),
        f"**Storage** of {hours}.",
        table(["what", "an hour", "all"], stored),
        "**The simulation beside the closed form**, one worker, 20,000 equal shards.",
        table(["shard", "taken away", "delay", "closed form", "simulated", "difference"], checks()),
        f"**Shards**: {hours} on {options.workers:,} cores, of which each is taken away {options.preemption:g} times "
        f"an hour and replaced after {options.delay:g} minutes; 5 % of them are half as fast; a shard costs "
        f"{overhead:.2f} s beside its recordings, of which {options.store:g} s are assumed for the store.",
        table([*head, "tail", "until all is done", "over ideal machines"], rows),
        f"**Plan**: shards of {best:g} hours of sound, {round(options.hours / best):,} files: the largest that take at "
        f"most {TOLERANCE:.0%} longer than the quickest.",
    ]


def main() -> None:
    made = parser(__doc__, data="the folder with ljspeech and ravdess; synthetic tones without it")
    made.add_argument("--hours", type=float, default=1e6, help="of sound")
    made.add_argument("--workers", type=int, default=1000, help="cores")
    made.add_argument("--preemption", type=float, default=0.05, help="how often a machine is taken away, an hour")
    made.add_argument("--delay", type=float, default=5.0, help="minutes until another machine works")
    made.add_argument("--store", type=float, default=2.0, help="seconds that an object store adds to a shard")
    made.add_argument("--sample", type=int, default=100, help="recordings that are measured")
    options = made.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        costs = measure(sample(options.data, options.sample, folder), folder)
        publish("Scale: a million hours", tables(costs, options), packages=("duetto", "numpy"), into=options.write)


if __name__ == "__main__":
    main()
