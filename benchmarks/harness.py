"""What every benchmark needs: the machine in a line, sides timed in turns, a section of RESULTS.md."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np


def machine(packages: tuple[str, ...] = ("numpy", "torch")) -> str:
    """Processor, cores, Python and versions of `packages` that are installed, in a line."""
    cpu = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", cpu.read_text(encoding="utf-8")) if cpu.is_file() else []
    name = names[0] if names else platform.processor() or platform.machine()
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return f"{name}, {max(1, len(names))} cores; Python {platform.python_version()}, {', '.join(found)}"


def alternate(sides: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Median seconds of each side, after one run that is not counted; the sides take turns, so that whatever
    else the machine does meets all of them."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for repetition in range(repetitions + 1):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            if repetition:
                taken[name].append(time.perf_counter() - began)
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


def write_section(path: Path, name: str, markdown: str) -> None:
    """Put `markdown` under the heading `## name` of a Markdown file, in place of what stood there."""
    text = path.read_text(encoding="utf-8") if path.is_file() else "# Results of the benchmarks\n"
    section = f"## {name}\n\n{markdown.strip()}\n"
    old = re.search(rf"^## {re.escape(name)}\n.*?(?=^## |\Z)", text, flags=re.M | re.S)
    if old:
        after = text[old.end() :]
        text = text[: old.start()] + section + ("\n" + after if after else "")
    else:
        text = text.rstrip("\n") + "\n\n" + section
    path.write_text(text, encoding="utf-8")
