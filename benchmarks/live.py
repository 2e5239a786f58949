"""Time lines and streams: speed and memory on long recordings, latency of events.

    python benchmarks/live.py --data $DUETTO_DATA --write
    python benchmarks/live.py --data $DUETTO_DATA --hours 10 --write

Long recordings: recordings of LJ Speech, one after the other with pauses of 0.3 to 2 s, repeated with other pauses up
to the length, written as a wav file of 16 bits; `duetto timeline` in a process of its own. Real time divided by
processor time is what one core does; memory is the largest resident set, less that of a recording of one minute.

Latency: a minute of the same sound in blocks of 20 ms. Of an utterance: from the end of its speech to its final answer,
so that it includes the pause of 0.5 s that ends it, and the padding to whole groups of chunks. Of a partial answer: how
old its newest sound is. At real time, a block is pushed when its last sample would have been spoken; as fast as
possible, there is no waiting, and the computation is added to the time of the stream.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from harness import parser, publish, table

import duetto
from duetto import audio
from duetto.audio.timing import SAMPLE_RATE
from duetto.live import Partial, SegmenterConfig, StreamConfig, StreamingRecogniser, UtteranceAnswered

BLOCK = 320
PARTIALS = 1.0
_TIMELINE = """
import resource, sys, time
from duetto.cli import app
began = time.perf_counter()
app(["timeline", sys.argv[1], "-o", sys.argv[2], *sys.argv[3:]], standalone_mode=False)
used = resource.getrusage(resource.RUSAGE_SELF)
print(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def speech(folder: Path, seed: int) -> Iterator[np.ndarray]:
    """Recordings with pauses of random length between them, without end."""
    rng = np.random.default_rng(seed)
    files = sorted((folder / "ljspeech/wavs").glob("*.flac"))[:200]
    if not files:
        sys.exit(f"{folder}: holds no ljspeech/wavs/*.flac")
    while True:
        for file in files:
            yield audio.load(file).samples
            yield np.zeros(round(SAMPLE_RATE * rng.uniform(0.3, 2.0)), np.float32)


def write_long(folder: Path, path: Path, seconds: float, channels: int) -> None:
    """A wav file of so many seconds; every channel has pauses of its own."""
    sounds = [speech(folder, seed) for seed in range(channels)]
    pending = [np.empty(0, np.float32) for _ in sounds]
    left = round(SAMPLE_RATE * seconds)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, channels, "PCM_16", format="WAV") as file:
        while left:
            for channel, sound in enumerate(sounds):
                while len(pending[channel]) < SAMPLE_RATE * 10:
                    pending[channel] = np.concatenate([pending[channel], next(sound)])
            count = min(left, SAMPLE_RATE * 10)
            file.write(np.stack([each[:count] for each in pending], axis=1))
            pending = [each[count:] for each in pending]
            left -= count


def measured(path: Path, *options: str) -> tuple[float, float, float]:
    """Seconds, processor seconds, and MB of resident memory of one time line."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _TIMELINE, str(path), f"{folder}/out.csv", *options]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall, used, memory = map(float, done.stdout.split())
    return wall, used, memory / 1024


def long_recordings(data: Path, hours: float) -> str:
    """Speed and memory."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for channels, name in ((1, "one voice"), (2, "two channels, two voices")):
            short, path = Path(folder) / "short.wav", Path(folder) / "long.wav"
            write_long(data, short, 60, channels)
            write_long(data, path, 3600 * hours, channels)
            _, _, base = measured(short)
            wall, used, memory = measured(path)
            seconds = 3600 * hours
            speed = [f"{seconds / wall:.0f} ×", f"{seconds / used:.0f} ×"]
            rows.append([name, f"{hours:g} h", *speed, f"{memory:.0f} MB", f"{memory - base:+.0f} MB"])
    return table(
        ["recording", "length", "real time ÷ time", "÷ processor time", "largest memory", "over one minute's"], rows
    )


def latencies(sound: np.ndarray, *, waiting: bool) -> dict[str, list[float]]:
    """Milliseconds of each event."""
    config = StreamConfig(SegmenterConfig(snapshot=PARTIALS))
    stream = StreamingRecogniser(duetto.load(), config)
    stream.push(np.zeros(SAMPLE_RATE, np.float32))  # what is loaded at first use
    found: dict[str, list[float]] = {"final answer": [], "partial answer": [], "computation of a block": []}
    began = time.perf_counter()
    behind = 0.0
    for at in range(0, len(sound), BLOCK):
        spoken = (at + BLOCK) / SAMPLE_RATE
        if waiting:
            time.sleep(max(0.0, began + spoken - time.perf_counter()))
        before = time.perf_counter()
        events = stream.push(sound[at : at + BLOCK])
        taken = time.perf_counter() - before
        behind = max(behind - BLOCK / SAMPLE_RATE, 0.0) + taken
        now = 1.0 + (time.perf_counter() - began if waiting else spoken + behind)  # a second was pushed before
        found["computation of a block"].append(1000 * taken)
        for event in events:
            if isinstance(event, UtteranceAnswered) and not event.segment.cut:
                found["final answer"].append(1000 * (now - event.segment.end))
            elif isinstance(event, Partial):
                found["partial answer"].append(1000 * (now - event.known_at))
    return found


def latency(data: Path, seconds: float) -> str:
    """The table of latencies."""
    pieces, length = [], 0
    for piece in speech(data, 0):
        pieces.append(piece)
        length += len(piece)
        if length >= seconds * SAMPLE_RATE:
            break
    sound = np.concatenate(pieces)
    rows = []
    for pace in ("as fast as possible", "at real time"):
        for name, values in latencies(sound, waiting=pace == "at real time").items():
            middle, high = np.percentile(values, [50, 95])
            rows.append([name, pace, str(len(values)), f"{middle:.1f} ms", f"{high:.1f} ms"])
    return table(["of", "pace", "number", "median", "95 %"], rows)


def main() -> None:
    made = parser(__doc__, data="the folder with ljspeech")
    made.add_argument("--hours", type=float, default=1.0, help="length of the long recordings")
    made.add_argument("--seconds", type=float, default=120.0, help="length of the stream whose latency is measured")
    made.add_argument("--only", choices=("long", "latency"), help="measure one of them")
    options: argparse.Namespace = made.parse_args()
    if options.data is None:
        made.error("--data FOLDER is needed")
    parts = []
    if options.only != "latency":
        parts.append(long_recordings(options.data, options.hours))
    if options.only != "long":
        parts.append(latency(options.data, options.seconds))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    parts.append(
        f"The bundled model (voice only); partial answers every {PARTIALS:g} s; this process used {peak:.0f} MB."
    )
    publish("Time lines and streams", parts, packages=("duetto", "onnxruntime", "numpy"), into=options.write)


if __name__ == "__main__":
    main()
