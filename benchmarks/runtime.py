"""Prediction without PyTorch: start, memory, time of an answer, many recordings, 8-bit weights, installation.

    duetto corpus manifest emodb $DUETTO_DATA/emodb -o emodb.jsonl
    duetto train acoustic --manifest emodb.jsonl --protocol speaker --set epoch_choice=last -o runs/emodb
    python benchmarks/runtime.py --run runs/emodb --manifest emodb.jsonl --words-run demo/runs/fusion-spoken --install

--run: of a system that hears the voice only. --manifest: of the corpus it was trained on; its test utterances are
real inputs, with labels. --words-run: of a system that reads words. --install: install the core in a fresh
environment, too. Prints Markdown tables and writes them to benchmarks/RESULTS.md. About three minutes on two cores.

Beside wall time stands the time of the processor, which other work on the machine does not change.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from harness import machine, write_section

import duetto
from duetto import audio, evaluation, metrics, parallel, runtime
from duetto.features.short_term import ShortTermConfig
from duetto.frames import SAMPLE_RATE
from duetto.inference import Recogniser
from duetto.labels import classes
from duetto.utterance import Utterance, read_manifest

ROOT = Path(__file__).parents[1]
PACKAGES = ("numpy", "onnxruntime", "soundfile", "soxr", "pocketsphinx", "typer")
SECONDS = 5.0
STARTS, ANSWERS, BATCH, BATCHES = 9, 100, 400, 3
MANY = (50, 2000)
LAUNCHER = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
wall, processor = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), wall, processor, usage.ru_maxrss / 1024]))
"""
"""Starts a process from one that is small: what a process weighs before it becomes another counts for the other."""


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """One Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def run_once(command: Sequence[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak resident MB of one process from its start to its end."""
    launched = subprocess.run([sys.executable, "-c", LAUNCHER, *command], stdout=subprocess.PIPE, check=True)
    status, wall, processor, memory = json.loads(launched.stdout)
    if status:
        raise SystemExit(f"{shlex.join(command[:6])} ended with {status}")
    return wall, processor, memory


def start(commands: dict[str, Sequence[str]]) -> str:
    """From the start of a process to its answer, the commands taking turns."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for _ in range(STARTS):
        for name, command in commands.items():
            found[name].append(run_once(command))
    rows = []
    for name, runs in found.items():
        wall, processor, memory = np.array(runs).T
        cells = [f"{np.median(wall):.2f} ({wall.min():.2f})", f"{np.median(processor):.2f}", f"{memory.max():.0f}"]
        rows.append([name, *cells])
    return table(["process", "wall s, median (least)", "processor s", "peak memory MB"], rows)


def imports(command: Sequence[str]) -> str:
    """What a process imports before its answer: the least time of each module over several runs, by package."""
    least: dict[str, int] = {}
    for _ in range(STARTS):
        log = subprocess.run(
            [command[0], "-X", "importtime", *command[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for own, module in re.findall(r"^import time:\s*(\d+) \|\s*\d+ \|\s*(\S+)$", log.stderr, flags=re.M):
            least[module] = min(int(own), least.get(module, 1 << 60))
    by_package: Counter[str] = Counter()
    for module, own in least.items():
        package = module.partition(".")[0]
        by_package["the standard library" if package in sys.stdlib_module_names else package] += own
    shown = by_package.most_common(7)
    shown.append(("all others", by_package.total() - sum(own for _, own in shown)))
    return table(["package", "ms"], [[name, f"{own / 1000:.0f}"] for name, own in shown])


def predict_command(model: Path, files: Sequence[Path], *more: str) -> list[str]:
    """`duetto predict` as a process of its own."""
    code = "from duetto.cli import main; main()"
    return [sys.executable, "-c", code, "predict", *map(str, files), "--model", str(model), "--json", *more]


def answer(model: Path, small: Path, file: Path) -> str:
    """Where the time of one answer goes, on one core; `small` holds the same system with 8-bit weights."""
    waveform = audio.load(file)
    systems = {"float32": duetto.load(model), "int8": duetto.load(small)}
    config = ShortTermConfig()
    evidence = systems["float32"].hear(file)
    sides: dict[str, Callable[[], object]] = {
        "read the file": lambda: audio.load(file),
        "34 features": lambda: config.extract(waveform.samples, waveform.sample_rate),
    }
    for name, folder in (("float32", model), ("int8", small)):
        session = runtime.Session(folder)
        batch = session.front.collate([evidence.frames], None)
        sides[f"network, {name}"] = partial(session.logits, *batch)
        sides[f"everything, {name}"] = partial(systems[name], file)
    taken = in_turns(sides, ANSWERS)
    rows = [[name, *(f"{1000 * value:.2f}" for value in pair)] for name, pair in taken.items()]
    return table(["step", "wall ms, median", "processor ms, median"], rows)


def in_turns(sides: dict[str, Callable[[], object]], repetitions: int) -> dict[str, tuple[float, float]]:
    """Median wall and processor seconds of each side (worker processes included), after one run that is not counted."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for repetition in range(repetitions + 1):
        for name, run in sides.items():
            began, before = time.perf_counter(), processor_seconds()
            run()
            if repetition:
                taken[name].append((time.perf_counter() - began, processor_seconds() - before))
    medians = {name: np.median(values, axis=0) for name, values in taken.items()}
    return {name: (float(wall), float(processor)) for name, (wall, processor) in medians.items()}


def processor_seconds() -> float:
    """Of this process and of the ones it started that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


@lru_cache(maxsize=1)
def loaded(model: str) -> Recogniser:
    """The system of a worker process."""
    return duetto.load(model)


def attempt(model: str, file: Path) -> object:
    """One answer in a worker process."""
    return loaded(model).attempt(file)


def lost(file: Path) -> object:
    """No process should die here."""
    raise SystemExit(f"{file}: the process that worked on it died")


def throughput(model: Path, files: Sequence[Path]) -> str:
    """Recordings a second by workers, in threads and in processes (the start of these included)."""
    one = duetto.load(model)

    def work(function: Callable[[Path], Any], workers: int, processes: bool) -> None:
        for _ in parallel.in_order(function, files, workers=workers, processes=processes, crashed=lost):
            pass

    sides: dict[str, Callable[[], object]] = {"1": partial(work, one.attempt, 1, False)}
    for workers in sorted({2, parallel.cores()} - {1}):
        sides[f"{workers} threads"] = partial(work, one.attempt, workers, False)
        sides[f"{workers} processes"] = partial(work, partial(attempt, str(model)), workers, True)
    n = len(files)
    rows = [
        [name, n, f"{n / wall:.1f}", f"{1000 * processor / n:.1f}"]
        for name, (wall, processor) in in_turns(sides, BATCHES).items()
    ]
    return table(["workers", "recordings", "recordings a second, median", "processor ms a recording"], rows)


def memory(model: Path, file: Path) -> str:
    """Peak memory of one process that answers for few and for many recordings."""
    rows = []
    for count in MANY:
        _, _, peak = run_once(predict_command(model, [file] * count))
        rows.append([count, f"{peak:.0f}"])
    return table(["recordings", "peak memory MB"], rows)


def accuracy(run: Path, folder: Path, utterances: Sequence[Utterance]) -> str:
    """What 8-bit weights do to the answers for the test utterances of every fold, as prediction hears them."""
    from duetto.export import export  # here: it loads PyTorch, and every worker process imports this file

    described = evaluation.read(run)
    by_id = {utterance.id: utterance for utterance in utterances}
    target: list[int] = []
    found: dict[str, list[np.ndarray]] = {"float32": [], "int8": []}
    sizes: list[tuple[int, int]] = []
    for number, fold in enumerate(described["folds"]):
        out = folder / f"fold{number}"
        exported = export(run, out, fold=number, int8=True)
        assert exported.int8 is not None
        sizes.append(exported.int8.size)
        systems = {"float32": duetto.load(exported.part), "int8": duetto.load(out)}
        names = classes(evaluation.experiment_of(run).label_set)
        for utterance in (by_id[i] for i in fold["test"]):
            target.append(names.index(str(utterance.label)))
            for name, system in systems.items():
                found[name].append(np.array(list(system(utterance.audio).probabilities.values())))
    before, after = (np.array(found[name]) for name in ("float32", "int8"))
    truth = np.array(target)
    rows = []
    for name, probabilities, which in (("float32", before, 0), ("int8", after, 1)):
        predicted = probabilities.argmax(-1)
        ua, wa = metrics.unweighted_accuracy(truth, predicted, 4), metrics.weighted_accuracy(truth, predicted, 4)
        rows.append([name, f"{sizes[0][which] / 1e6:.2f}", f"{100 * ua:.2f}", f"{100 * wa:.2f}"])
    moved, relabelled = np.abs(after - before).max(-1), (after.argmax(-1) != before.argmax(-1)).sum()
    return (
        table(["weights", "model.onnx MB", "UA %", "WA %"], rows)
        + f"\n{len(truth)} test utterances of {len(described['folds'])} folds: {relabelled} get another label; the "
        f"largest change of a probability is {np.median(moved):.4f} in the median, {np.percentile(moved, 99):.4f} in "
        f"the 99th percentile, {moved.max():.4f} at most.\n"
    )


def installation() -> str:
    """A fresh environment with the core alone: seconds and MB, and whether it answers for itself."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "venv"
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        made = time.perf_counter() - began
        command = [str(home / "bin/pip"), "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(ROOT)]
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - began
        size = megabytes(home)
        packages = {path.name: megabytes(path) for path in (home / "lib").glob("python*/site-packages/*")}
        largest = ", ".join(f"{n} {mb:.0f}" for n, mb in sorted(packages.items(), key=lambda item: -item[1])[:8])
        subprocess.run([str(home / "bin/duetto"), "predict", "--help"], check=True, stdout=subprocess.DEVNULL)
    rows = [[f"{size:.0f}", f"{seconds:.0f}", f"{made:.0f}"]]
    return table(["MB", "seconds", "of them, making the environment"], rows) + f"\nThe largest, in MB: {largest}.\n"


def megabytes(path: Path) -> float:
    """Size of a file or a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.lstat().st_size for file in files if not file.is_dir()) / 1e6


def five_seconds(utterances: Sequence[Utterance], folder: Path) -> Path:
    """A recording of five seconds of real speech, 16 kHz wav."""
    spoken = np.concatenate([audio.load(utterance.audio).samples for utterance in utterances[:5]])
    path = folder / "five.wav"
    audio.write(path, np.resize(spoken, round(SECONDS * SAMPLE_RATE)), SAMPLE_RATE)
    return path


def tested(run: Path, utterances: Sequence[Utterance]) -> list[Path]:
    """Recordings that a run's systems did not train on, or, where the manifest is of another corpus, any."""
    ids = {i for fold in evaluation.read(run)["folds"] for i in fold["test"]}
    return [u.audio for u in utterances if u.id in ids] or [u.audio for u in utterances]


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, str]:
    """Title → Markdown of everything that was asked for."""
    from duetto.export import export  # see `accuracy`

    utterances = read_manifest(arguments.manifest)
    file = five_seconds(utterances, folder)
    model, small = folder / "float32", folder / "int8"
    export(arguments.run, model)
    export(arguments.run, small, int8=True)
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import numpy, onnxruntime, soundfile": [sys.executable, "-c", "import numpy, onnxruntime, soundfile"],
        "duetto predict, voice only": predict_command(model, [file]),
    }
    if arguments.words_run:
        words = folder / "words"
        export(arguments.words_run, words)
        commands["duetto predict, words too"] = predict_command(words, [file])
    files = tested(arguments.run, utterances)
    found = {
        f"From the start of the process to the answer, {SECONDS:g} s of speech": start(commands),
        "Imports before it, voice only": imports(commands["duetto predict, voice only"]),
        f"One answer, {SECONDS:g} s of speech, one core": answer(model, small, file),
        "Many recordings, voice only": throughput(model, [files[i % len(files)] for i in range(BATCH)]),
    }
    if arguments.words_run:
        found["Many recordings, words too"] = throughput(folder / "words", files[:32])
    found["Memory of many recordings, voice only"] = memory(model, file)
    found["8-bit weights"] = accuracy(arguments.run, folder, utterances)
    if arguments.install:
        found["Installation of the core"] = installation()
    return found


def main() -> None:
    """Parse the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="run folder of a system that hears the voice only")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of its corpus")
    parser.add_argument("--words-run", type=Path, help="run folder of a system that reads words")
    parser.add_argument("--install", action="store_true", help="install the core in a fresh environment")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments, Path(folder))
    load = f"{os.getloadavg()[0]:.1f} processes ran or waited in the last minute"
    command = "python benchmarks/runtime.py --run RUN --manifest FILE"
    command += " --words-run RUN" * bool(arguments.words_run) + " --install" * arguments.install
    text = f"{machine(PACKAGES)}; {load}.\n\n```\n{command}\n```\n\n"
    text += "\n".join(f"### {title}\n\n{markdown}" for title, markdown in found.items())
    print(text)
    write_section(ROOT / "benchmarks/RESULTS.md", "Prediction", text)


if __name__ == "__main__":
    main()
