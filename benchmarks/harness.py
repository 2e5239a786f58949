"""What every benchmark shares: its options, sides timed in turns, and a section of RESULTS.md for each table.

    options = parser(__doc__).parse_args()                                   # --data FOLDER, --write [FILE]
    seconds = alternate({"ours": ours, "theirs": theirs}, repetitions=5)     # medians
    publish("Features", [table(header, rows)], packages=("numpy",), into=options.write)

Times on shared cores mean little by themselves: sides take turns, so that what slows one down slows all down,
and what is reported are ratios of medians. Sides that compute in this process may be timed by its processor time,
which does not count what other processes had of the core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
_TITLE = "# Benchmarks\n\nEach section is written by the script that it names; `make bench` runs all of them.\n"
Clock = Callable[[], float]
LAUNCHER = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
wall, processor = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), wall, processor, usage.ru_maxrss / 1024]))
"""
"""Starts a process from one that is small: what a process weighs before it becomes another counts for the other."""


def parser(description: str | None, *, data: str = "not needed; every benchmark takes it") -> argparse.ArgumentParser:
    """The command line of a benchmark with what all of them take. data: what the folder of `--data` holds."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, metavar="FOLDER", help=data)
    help_ = f"write the tables into {RESULTS.name}, or FILE; without it they are only printed"
    made.add_argument("--write", type=Path, nargs="?", const=RESULTS, metavar="FILE", help=help_)
    return made


def publish(name: str, parts: Iterable[str], *, packages: Sequence[str], into: Path | None) -> None:
    """Print the section `name`: the command, the machine with versions of `packages`, the parts; write it `into`."""
    body = "\n\n".join([f"`{command()}`", machine(*packages), *parts])
    print(f"## {name}\n\n{body}\n")
    if into is not None:
        write_section(name, body, into)


def alternate(
    sides: Mapping[str, Callable[[], object]],
    repetitions: int,
    *,
    clock: Clock = time.perf_counter,
    turn: float = 0.0,
) -> dict[str, float]:
    """Median seconds of each side: every side once unmeasured, then all of them in turns, `repetitions` times.

    clock: `time.process_time` counts the processor time of this process alone, in all of its threads.
    turn: seconds that a turn lasts at least; a quicker side runs several times in it, and counts once.
    """
    return {name: taken for name, (taken,) in by_clocks(sides, repetitions, (clock,), turn).items()}


def by_clocks(
    sides: Mapping[str, Callable[[], object]], repetitions: int, clocks: Sequence[Clock], turn: float = 0.0
) -> dict[str, tuple[float, ...]]:
    """As `alternate`, by several clocks at once; the first decides when a turn is over."""
    taken: dict[str, list[list[float]]] = {name: [] for name in sides}
    for side in sides.values():
        side()
    for _ in range(repetitions):
        for name, side in sides.items():
            began, spent, runs = [clock() for clock in clocks], [0.0], 0
            while not runs or spent[0] < turn:
                side()
                runs, spent = runs + 1, [clock() - before for clock, before in zip(clocks, began, strict=True)]
            taken[name].append([seconds / runs for seconds in spent])
    return {name: tuple(map(statistics.median, zip(*turns, strict=True))) for name, turns in taken.items()}


def run_once(command: Sequence[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak resident MB of one process from its start to its end."""
    launched = subprocess.run([sys.executable, "-c", LAUNCHER, *command], capture_output=True, text=True, check=True)
    status, wall, processor, memory = json.loads(launched.stdout)
    if status:
        raise SystemExit(f"{shlex.join(command[:6])} ended with {status}: {launched.stderr[-1000:]}")
    return wall, processor, memory


def machine(*packages: str) -> str:
    """One line: processor, cores, threads, Python, and the versions of `packages` that are installed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    found = ", ".join(f"{name} {v}" for name in packages if (v := installed(name)))
    return f"{_processor()}, {cores} cores, OMP_NUM_THREADS {threads}; Python {platform.python_version()}, {found}"


def installed(package: str) -> str | None:
    """The version of a package, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def command() -> str:
    """The command that was given, without --out, and with $DUETTO_DATA in place of its value."""
    data = os.environ.get("DUETTO_DATA")
    words = [f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]
    if "--out" in words:
        del words[words.index("--out") :][:2]
    return "python " + " ".join("$DUETTO_DATA" if data and word == data else shlex.quote(word) for word in words)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; fractional numbers are given three significant digits."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def write_section(name: str, body: str, path: Path) -> None:
    """Write, or replace, the section `name` of a file of results; other sections stay as they are."""
    text = path.read_text(encoding="utf-8") if path.exists() else _TITLE
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n\n## {name}\n\n{body.strip()}\n\n{end}\n"
    before, found, rest = text.partition(begin)
    after = rest.partition(f"{end}\n")[2]
    path.write_text(before + section + after if found else f"{text}\n{section}", encoding="utf-8")


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
