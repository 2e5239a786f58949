"""The core alone, in a fresh environment: its size, and what one answer of the default model costs.

    python benchmarks/install.py --write            # builds a wheel, installs it by constraints.txt without extras

Exits with 1 where a limit is exceeded: the whole environment with pip and bytecode, the wall time from the start of
`duetto predict` to its end (the least of 15), its peak memory. The recording is five seconds of synthetic speech (extra
`synth`, in this environment, not in the fresh one), or `--audio FILE`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from harness import parser, publish, run_once, table

from duetto import audio, corpora, synthetic
from duetto.audio.timing import SAMPLE_RATE

ROOT = Path(__file__).parents[1]
MOST_MEGABYTES, MOST_SECONDS, MOST_MEMORY = 260, 0.8, 250
STARTS = 15
SECONDS = 5.0
CHECK = "import sys, duetto.cli; print(*sorted({'torch', 'onnx', 'transformers', 'lightning'} & set(sys.modules)))"


def recording(folder: Path) -> Path:
    """Five seconds of speech."""
    synthetic.write(folder / "corpus", size=10, workers=1)
    spoken = np.concatenate([audio.load(u.audio).samples for u in corpora.load("synthetic", folder / "corpus")])
    path = folder / "five.wav"
    audio.write(path, np.resize(spoken, round(SECONDS * SAMPLE_RATE)), SAMPLE_RATE)
    return path


def installed(home: Path) -> float:
    """Make the environment; seconds."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as wheels:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, str(ROOT)]
        subprocess.run(pip, check=True)
        (wheel,) = Path(wheels).glob("*.whl")
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        constraints = str(ROOT / "constraints.txt")
        subprocess.run([str(home / "bin/pip"), "install", "--quiet", "-c", constraints, str(wheel)], check=True)
    return time.perf_counter() - began


def megabytes(path: Path) -> float:
    """Size of a file or a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.lstat().st_size for file in files if not file.is_dir()) / 1e6


def main() -> None:
    """Parse the command line, install, measure, publish."""
    line = parser(__doc__)
    line.add_argument("--audio", type=Path, help="the recording; default: synthetic speech")
    options = line.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "venv"
        seconds, size = installed(home), megabytes(home)
        packages = {path.name: megabytes(path) for path in (home / "lib").glob("python*/site-packages/*")}
        python = [str(home / "bin/python"), "-I"]  # without PYTHONPATH, which may name another duetto
        loaded = subprocess.run([*python, "-c", CHECK], capture_output=True, text=True, check=True)
        file = options.audio or recording(Path(folder))
        command = [*python, "-c", "from duetto.cli import main; main()", "predict", str(file), "--json"]
        runs = np.array([run_once(command) for _ in range(STARTS + 1)])[1:]  # the first one reads the disk
    wall, processor, memory = np.median(runs[:, 0]), np.median(runs[:, 1]), runs[:, 2].max()
    largest = ", ".join(f"{n} {mb:.0f}" for n, mb in sorted(packages.items(), key=lambda item: -item[1])[:8])
    # Other work on the cores lengthens the wall time, so the least one counts.
    slow = runs[:, 0].min() > MOST_SECONDS
    exceeded = size > MOST_MEGABYTES or slow or memory > MOST_MEMORY or bool(loaded.stdout.strip())
    times = f"{wall:.2f} ({runs[:, 0].min():.2f})"
    rows = [
        ["size of the environment, MB", f"{size:.0f}", MOST_MEGABYTES],
        [f"start to answer, {SECONDS:g} s of speech, wall s, median (least)", times, MOST_SECONDS],
        ["the same, processor s", f"{processor:.2f}", "–"],
        ["peak memory, MB", f"{memory:.0f}", MOST_MEMORY],
        ["making the environment, s", f"{seconds:.0f}", "–"],
    ]
    parts = [table(["core alone, default model", "measured", "at most"], rows), f"The largest, in MB: {largest}."]
    parts.insert(0, f"{os.getloadavg()[0]:.1f} processes ran or waited in the last minute.")
    publish("The core alone", parts, packages=("numpy", "onnxruntime", "pocketsphinx"), into=options.write)
    sys.exit(int(exceeded))


if __name__ == "__main__":
    main()
