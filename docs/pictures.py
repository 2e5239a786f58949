"""Draw the pictures of the documentation from a finished demo: `python docs/pictures.py demo`.

    demo/runs/fusion-speech2vec ─ duetto predict ─▶ docs/answer.svg
    demo/report.html ─ chromium ─▶ docs/report.png

The second needs Chromium on the path, and Pillow to make the file small.
"""

from __future__ import annotations

import argparse
import html
import subprocess
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).parent
LINE, MARGIN, COLUMNS = 22, 20, 88


def answer(demo: Path) -> list[str]:
    """What `duetto predict` prints for the first test recording of a demo, wrapped.

    Args:
        demo: The folder of the demo.

    Returns:
        Its lines.
    """
    recording = min((demo / "corpus/Session5/sentences/wav").rglob("*_F000.wav"))
    command = [sys.executable, "-c", "from duetto.cli import main; main()", "predict", str(recording)]
    done = subprocess.run(
        [*command, "--model", str(demo / "runs/fusion-speech2vec")], capture_output=True, text=True, check=True
    )
    lines = done.stdout.replace(str(recording), "call.wav").rstrip().splitlines()
    return [part for line in lines for part in textwrap.wrap(line, COLUMNS, drop_whitespace=False) or [line]]


def terminal(lines: list[str]) -> str:
    """Lines of text as an SVG picture of a terminal."""
    height = LINE * len(lines) + 2 * MARGIN
    rows = "\n".join(
        f'<text x="{MARGIN}" y="{MARGIN + LINE * (i + 0.7):.0f}" xml:space="preserve">{html.escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLUMNS * 9 + 2 * MARGIN} {height}" '
        'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="15" fill="#e6edf3">\n'
        f'<rect width="100%" height="100%" rx="10" fill="#1d2730"/>\n{rows}\n</svg>\n'
    )


def screenshot(page: Path, out: Path) -> None:
    """The top of a report, in a few colours.

    Args:
        page: The report.
        out: PNG file to write.
    """
    from PIL import Image

    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1100,1220"]
    subprocess.run(["chromium", *options, f"--screenshot={out}", page.absolute().as_uri()], check=True)
    with Image.open(out) as picture:
        small = picture.convert("RGB").quantize(32)
    small.save(out, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="Folder of a finished `duetto demo`.")
    folder = parser.parse_args().demo
    prompt = "$ duetto predict call.wav --model runs/fusion"
    (HERE / "answer.svg").write_text(terminal([prompt, *answer(folder)]), encoding="utf-8")
    screenshot(folder / "report.html", HERE / "report.png")
