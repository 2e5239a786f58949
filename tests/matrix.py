"""The tests that compute numbers, as other processors, libraries, threads, hash seeds and locales would compute them.

    python tests/matrix.py             # every row, the tests in NUMERIC
    python tests/matrix.py --quick     # one row, all that differs most from this machine at once; a few tests
    python tests/matrix.py --all       # every row, the whole suite
    python tests/matrix.py --row "NumPy without AVX2" -- -k rolloff

Each row is an environment in which a process starts. It is first asked what took effect: a row for what is not on this
machine is left out, by name. Ends with status 1 where a test failed, or a setting had no effect. ONNX Runtime and
pocketsphinx have no such settings: docs/reproducibility.md has what may differ there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
NUMERIC = (
    "activity", "alike", "attention", "audio", "audio_systems", "augment", "baselines", "boundaries", "classifiers",
    "cnn", "combination", "contours", "controls", "dimensional", "dimensions", "distillation", "embeddings", "emotion",
    "functionals", "fusion",
    "inference", "inputs", "lstm", "mcnn", "metrics", "mfcc",
    "pretrained", "pronunciations", "prosody", "recognise", "resident", "results", "runs", "segment",
    "short_term", "similarity", "spectrogram", "speech2vec", "splits", "statistics", "store", "synthetic", "system",
    "segments", "tfidf", "timeline", "training", "vectors", "verification", "voice", "word2vec", "word_systems",
)  # fmt: skip
"""Files of tests, test_*.py, whose answers are numbers or hang on them."""
QUICK = ("inputs", "lstm", "metrics", "mfcc", "short_term", "vectors", "verification")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SETTINGS = (
    "NPY_DISABLE_CPU_FEATURES", "ATEN_CPU_CAPABILITY", "OPENBLAS_CORETYPE", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA",
    "PYTHONHASHSEED", "LC_ALL",
)  # fmt: skip
INSPECTED = """
import json, os, sys
import numpy
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from threadpoolctl import threadpool_info
blas = [each for each in threadpool_info() if each["user_api"] == "blas"] or [{}]
found = {"hash": os.environ.get("PYTHONHASHSEED"), "encoding": sys.getfilesystemencoding(),
         "numpy": [name for name in __cpu_dispatch__ if __cpu_features__.get(name)],
         "openblas": blas[0].get("architecture", ""), "threads": blas[0].get("num_threads", 0)}
import torch
found |= {"torch": torch.backends.cpu.get_cpu_capability(), "mkl": torch.backends.mkl.is_available()}
print(json.dumps(found))
"""
ALL_AT_ONCE = "all of it at once"
Facts = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """changes: of the environment. held: whether they took effect. there: whether this machine has what they change."""

    name: str
    changes: dict[str, str]
    held: Callable[[Facts], bool]
    there: bool = True


def environment(changes: dict[str, str]) -> dict[str, str]:
    """This one with one thread, less what rows set, and the changes."""
    plain = {key: value for key, value in os.environ.items() if key not in SETTINGS}
    return plain | dict.fromkeys(THREADS, "1") | changes


def inspected(changes: dict[str, str]) -> Facts:
    """What a process with these changes finds itself to be."""
    command = [sys.executable, "-c", INSPECTED]
    done = subprocess.run(command, env=environment(changes), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"no process starts with {changes}; the extras train and dev are needed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def rows() -> list[Row]:
    """Those for this machine and the libraries installed on it."""
    here = inspected({})
    # Names are NumPy's own: it refuses those that it does not know, or was built to need.
    every = here["numpy"]
    wide = [name for name in every if name == "X86_V4" or name.startswith("AVX512")]
    x86 = any(name.startswith(("X86", "AVX")) for name in every)
    least = [
        Row("NumPy without AVX2", {SETTINGS[0]: " ".join(every)}, lambda f: not f["numpy"], x86),
        Row("PyTorch default", {SETTINGS[1]: "default"}, lambda f: f["torch"] in ("DEFAULT", "NO AVX")),
        Row("OpenBLAS Nehalem", {SETTINGS[2]: "Nehalem"}, lambda f: f["openblas"] == "Nehalem", x86),
        Row("MKL, oneDNN without AVX", {"MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41"}, bool, here["mkl"]),
        Row("two threads", dict.fromkeys(THREADS, "2"), lambda f: f["threads"] in (0, 2)),
        Row("PYTHONHASHSEED=1", {"PYTHONHASHSEED": "1"}, lambda f: f["hash"] == "1"),
        Row("LC_ALL=C", {"LC_ALL": "C"}, lambda f: f["encoding"] == "utf-8"),
    ]
    at_once = [row for row in least if row.there]
    return [
        Row("all features", {}, lambda f: f == here),
        Row("NumPy without AVX-512", {SETTINGS[0]: " ".join(wide)}, lambda f: not {*f["numpy"]} & {*wide}, bool(wide)),
        Row("PyTorch avx2", {SETTINGS[1]: "avx2"}, lambda f: f["torch"] == "AVX2", here["torch"] in ("AVX2", "AVX512")),
        Row("OpenBLAS Haswell", {SETTINGS[2]: "Haswell"}, lambda f: f["openblas"] == "Haswell", x86),
        Row("PYTHONHASHSEED=0", {"PYTHONHASHSEED": "0"}, lambda f: f["hash"] == "0"),
        *least,
        Row(ALL_AT_ONCE, {key: value for row in at_once for key, value in row.changes.items()},
            lambda f: all(row.held(f) for row in at_once)),
    ]  # fmt: skip


def run(row: Row, files: Sequence[str], more: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether the row is green (or left out, by name), and its cells."""
    if not row.there:
        return True, [row.name, "–", "–", "–", "left out: not on this machine"]
    facts = inspected(row.changes)
    if not row.held(facts):
        return False, [row.name, "–", "–", "–", f"THE SETTING HAD NO EFFECT: {facts}"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=--strict-markers",
        *files,
        *more,
    ]
    began = time.perf_counter()
    done = subprocess.run(
        command, env=environment(row.changes), cwd=TESTS.parent, capture_output=True, text=True, check=False
    )
    seconds = f"{time.perf_counter() - began:.0f}"
    lines = done.stdout.splitlines() or [""]
    counts = {word: n for n, word in re.findall(r"(\d+) (passed|skipped)", lines[-1])}
    if done.returncode:
        print(done.stdout[-6000:], done.stderr[-2000:], sep="\n", file=sys.stderr)
    failed = "; ".join(line for line in lines if line.startswith(("FAILED", "ERROR"))) or f"status {done.returncode}"
    cells = [row.name, *(counts.get(word, "0") for word in ("passed", "skipped")), seconds]
    return done.returncode == 0, [*cells, failed if done.returncode else "green"]


def main() -> int:
    """Parse the command line, run, print a table."""
    line = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = line.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="one row, a few tests")
    which.add_argument("--all", action="store_true", help="the whole suite")
    line.add_argument("--row", action="append", help="only the row of this name; may be repeated")
    line.add_argument("more", nargs="*", help="for pytest, after --")
    options = line.parse_args()
    known = rows()
    wanted = options.row or ([ALL_AT_ONCE] if options.quick else [row.name for row in known])
    if unknown := set(wanted) - {row.name for row in known}:
        line.error(f"no row {', '.join(unknown)}; there are {', '.join(row.name for row in known)}")
    names = () if options.all else QUICK if options.quick else NUMERIC
    files = [str(TESTS / f"test_{name}.py") for name in names]
    print("| row | passed | skipped | seconds | |\n|---|---:|---:|---:|---|")
    green = True
    for row in known:
        if row.name in wanted:
            fine, cells = run(row, files, options.more)
            print(f"| {' | '.join(cells)} |", flush=True)
            green &= fine
    return 0 if green else 1


if __name__ == "__main__":
    sys.exit(main())
