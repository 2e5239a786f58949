"""Prediction without PyTorch: start, memory, time of an answer, many recordings, 8-bit weights.

    python benchmarks/runtime.py                                    # a synthetic corpus
    python benchmarks/runtime.py --data $DUETTO_DATA --write        # EmoDB, into RESULTS.md
    python benchmarks/runtime.py --run runs/mine --manifest mine.jsonl --words-run demo/runs/fusion-spoken

Trains what it measures, unless runs are given: a system that uses the acoustics only, in every fold of protocol
`speaker`, chosen at the last epoch; and one that reads words too, on synthetic speech, of which only time and memory
are measured. Corpora, features and runs stay in --out, where the same command resumes. Needs the extras `train` and
`synth`.

Real inputs are test utterances, which the system was not trained on. Beside wall time stands the time of the
processor, which other work on the machine hardly changes. `alternate` of the harness says how sides take turns.
"""

from __future__ import annotations

import argparse
import compileall
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from harness import by_clocks, parser, publish, run_once, table

import duetto
from duetto import audio, corpora, inference, metrics, runs, synthetic
from duetto.audio.timing import SAMPLE_RATE
from duetto.config import experiment
from duetto.data.labels import classes, selected
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance
from duetto.features.registry import feature_spec
from duetto.features.short_term import ShortTermConfig
from duetto.inference.recogniser import Recogniser
from duetto.utils import parallel
from duetto.utils.progress import steps

ROOT = Path(__file__).parents[1]
PACKAGES = ("numpy", "onnxruntime", "soundfile", "soxr", "pocketsphinx", "typer")
SECONDS = 5.0
SYNTHETIC = 200
"""Utterances of the synthetic corpus."""
STARTS, ANSWERS, BATCH, BATCHES = 9, 100, 400, 3
MANY = (50, 2000)


class Systems(NamedTuple):
    """What is measured: a run whose system uses the acoustics only, its utterances, a run whose system reads words, one
    on a speech encoder."""

    voice: Path
    utterances: list[Utterance]
    words: Path
    encoder: Path


def prepared(options: argparse.Namespace) -> Systems:
    """The runs that are given; the others are trained, or found in --out."""
    made = options.out / "synthetic"
    if options.run:
        voice, utterances = options.run, read_manifest(options.manifest)
    else:
        folder, utterances = emodb(options) if options.data else (made, synthesised(made))
        voice = trained("acoustic", utterances, "speaker", folder, epoch_choice="last")
    words = options.words_run or trained("fusion-spoken", synthesised(made), "session5", made)
    return Systems(voice, utterances, words, trained("whisper", utterances, "speaker", options.out / "encoder"))


def emodb(options: argparse.Namespace) -> tuple[Path, list[Utterance]]:
    """A folder for EmoDB below --out, and its labelled utterances, which are listed there."""
    folder, utterances = options.out / "emodb", selected(corpora.load("emodb", options.data / "emodb"))
    write_manifest(folder / "manifest.jsonl", utterances)
    return folder, utterances


def synthesised(folder: Path) -> list[Utterance]:
    """The labelled utterances of a synthetic corpus below `folder`; one half written is written anew."""
    tree = folder / "corpus"
    if not (tree / synthetic.MARKER).is_file():
        shutil.rmtree(tree, ignore_errors=True)
        with steps() as step:
            synthetic.write(tree, size=SYNTHETIC, progress=step("speak a synthetic corpus"))
    return selected(corpora.load("synthetic", tree))


def trained(system: str, utterances: Sequence[Utterance], protocol: str, folder: Path, **changes: Any) -> Path:
    """The run of a system in `folder`; what it holds already is not trained again."""
    from duetto.experiments.runner import run_systems  # here: they load PyTorch, and worker processes import this file
    from duetto.experiments.workspace import Workspace

    run = folder / system
    with steps() as step:
        shop = Workspace(folder / "cache", progress=step)
        run_systems([experiment.load(system, **changes)], utterances, protocol, [run], shop)
    return run


def described(run: Path) -> str:
    """Which system, on how much speech, by which protocol."""
    about, chosen = runs.read(run), runs.experiment_of(run)
    folds = about["folds"]
    count = sum(len(folds[0][part]) for part in ("train", "development", "test"))
    speech = "synthetic utterances" if about["synthetic"] else "utterances"
    how = f"epoch_choice `{chosen.epoch_choice}`, protocol `{about['protocol']}`, {len(folds)} fold(s)"
    return f"`{chosen.name}`, {count} {speech}, {how}"


def start(commands: Mapping[str, Sequence[str]]) -> str:
    """From the start of a process to its answer, the commands taking turns."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for _ in range(STARTS):
        for name, command in commands.items():
            found[name].append(run_once(command))
    rows = []
    for name, measured in found.items():
        wall, processor, memory = np.array(measured).T
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
    frames = systems["float32"].prepare_inputs(file).frames
    assert frames is not None
    sides: dict[str, Callable[[], object]] = {
        "read the file": lambda: audio.load(file),
        "34 features": lambda: config.extract(waveform.samples, waveform.sample_rate),
    }
    for name, folder in (("float32", model), ("int8", small)):
        session = inference.Session(folder)
        batch = session.preprocessor.collate([frames], None)
        sides[f"network, {name}"] = partial(session.logits, *batch)
        sides[f"everything, {name}"] = partial(systems[name], file)
    sides["everything, the model that comes along"] = partial(duetto.load(), file)
    for name in ("functionals", "whisper-means", "whisper-voice", "whisper-functionals"):
        extractor = feature_spec(name).extractor
        sides[f"features `{name}`"] = partial(extractor.extract, waveform.samples, waveform.sample_rate)
    taken = by_clocks(sides, ANSWERS, CLOCKS)
    rows = [[name, *(f"{1000 * value:.2f}" for value in pair)] for name, pair in taken.items()]
    return table(["step", "wall ms, median", "processor ms, median"], rows)


def processor_seconds() -> float:
    """Of this process and of the ones it started that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


CLOCKS = (time.perf_counter, processor_seconds)


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
        for name, (wall, processor) in by_clocks(sides, BATCHES, CLOCKS).items()
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
    """What 8-bit weights do to the answers for the test utterances of every fold, as prediction reads them."""
    from duetto.experiments.export import export  # see `trained`

    described = runs.read(run)
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
        names = classes(runs.experiment_of(run).label_set)
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
        + f"\n\n{len(truth)} test utterances of {len(described['folds'])} folds: {relabelled} get another label; the "
        f"largest change of a probability is {np.median(moved):.4f} in the median, {np.percentile(moved, 99):.4f} in "
        f"the 99th percentile, {moved.max():.4f} at most."
    )


def five_seconds(utterances: Sequence[Utterance], folder: Path) -> Path:
    """A recording of five seconds of real speech, 16 kHz wav."""
    spoken = np.concatenate([audio.load(utterance.audio).samples for utterance in utterances[:5]])
    path = folder / "five.wav"
    audio.write(path, np.resize(spoken, round(SECONDS * SAMPLE_RATE)), SAMPLE_RATE)
    return path


def tested(run: Path, utterances: Sequence[Utterance]) -> list[Path]:
    """Recordings that a run's systems did not train on, or, where the manifest is of another corpus, any."""
    ids = {i for fold in runs.read(run)["folds"] for i in fold["test"]}
    return [u.audio for u in utterances if u.id in ids] or [u.audio for u in utterances]


def measure(systems: Systems, folder: Path) -> dict[str, str]:
    """Title → Markdown. folder: for what is exported and recorded."""
    from duetto.experiments.export import export  # see `trained`

    file = five_seconds(systems.utterances, folder)
    model, small, words, encoder = (folder / name for name in ("float32", "int8", "words", "encoder"))
    export(systems.voice, model)
    export(systems.voice, small, int8=True)
    export(systems.words, words)
    export(systems.encoder, encoder)
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import numpy, onnxruntime, soundfile": [sys.executable, "-c", "import numpy, onnxruntime, soundfile"],
        "duetto predict, voice only": predict_command(model, [file]),
        "duetto predict, words too": predict_command(words, [file]),
        "duetto predict, speech encoder": predict_command(encoder, [file]),
    }
    files = tested(systems.voice, systems.utterances)
    return {
        f"From the start of the process to the answer, {SECONDS:g} s of speech": start(commands),
        "Imports before it, voice only": imports(commands["duetto predict, voice only"]),
        f"One answer, {SECONDS:g} s of speech, one core": answer(model, small, file),
        "Many recordings, voice only": throughput(model, [files[i % len(files)] for i in range(BATCH)]),
        "Many recordings, words too": throughput(words, files[:32]),
        "Memory of many recordings, voice only": memory(model, file),
        "8-bit weights": accuracy(systems.voice, folder, systems.utterances),
    }


def main() -> None:
    """Parse the command line, train, measure, publish."""
    line = parser(__doc__, data="folder that holds emodb; without it, synthetic speech")
    line.add_argument("--out", type=Path, default=ROOT / "runs/bench", help="where corpora and runs stay")
    line.add_argument("--run", type=Path, help="run of a system that uses the acoustics only, instead of training one")
    line.add_argument("--manifest", type=Path, help="manifest of the corpus of --run")
    line.add_argument("--words-run", type=Path, help="run of a system that reads words, instead of training one")
    options = line.parse_args()
    if bool(options.run) != bool(options.manifest):
        line.error("--run and --manifest go together")
    found = prepared(options)
    # As an installation does: else PYTHONDONTWRITEBYTECODE would have every process compile the package again.
    compileall.compile_dir(Path(duetto.__file__).parent, quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        tables = measure(found, Path(folder))
    parts = [
        f"{os.getloadavg()[0]:.1f} processes ran or waited in the last minute. Systems:",
        f"- voice only: {described(found.voice)}\n- words too: {described(found.words)}",
        *(f"### {title}\n\n{markdown}" for title, markdown in tables.items()),
    ]
    publish("Prediction", parts, packages=PACKAGES, into=options.write)


if __name__ == "__main__":
    main()
