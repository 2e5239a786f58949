"""`duetto demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..utils.progress import Progress, steps
from .output import echo
from .predict import show


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; the same command resumes it.")] = Path(
        "demo"
    ),
    size: Annotated[int, typer.Option(help="Utterances of synthetic speech.")] = 1200,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each system.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train side by side.")] = 2,
) -> None:
    """Run the main job on synthetic speech: corpus, features, training, report, prediction.

    Example:

        duetto demo --out demo && open demo/report.html
    """
    from .. import report
    from ..recipes.demo import run

    with steps() as bars:

        def step(description: str) -> Progress | None:
            echo(description, err=True)
            return bars(description)

        finished = run(out, size=size, seeds=seeds, workers=workers, step=step)
    echo("\nSYNTHETIC speech: these figures say nothing about people.\n")
    echo(report.markdown(report.score(finished.results)))
    best = ", ".join(f"{name} {value:.1f}" for name, value in finished.ceilings.items())
    echo(f"\nbest possible UA on these test utterances: {best}\n")
    echo("one recording, chosen by rule: the first of the test whose emotion takes voice and words to find")
    show(finished.recording, finished.prediction)
    decisions = ", ".join(f"{way} {label}" for way, label in finished.decisions.items())
    echo(f"  planted emotion: {finished.label}; best possible decision from its {decisions}")
    echo(f"\nreport: {finished.report}")
