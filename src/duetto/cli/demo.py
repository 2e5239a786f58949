"""`duetto demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..utils.progress import Progress, steps
from .output import echo
from .predict import show


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; the same command resumes it.")] = Path(
        "demo"
    ),
    size: Annotated[int, typer.Option(help="Number of synthetic utterances.")] = 1200,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each system.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train side by side.")] = 2,
) -> None:
    """Run the whole pipeline on synthetic speech: corpus, features, training, report, prediction.

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
    echo("\nSYNTHETIC speech: these figures state nothing about people.\n")
    echo(report.markdown(finished.scored))
    echo(finished.branches.markdown())
    ceilings = ", ".join(f"{name} {value:.1f}" for name, value in finished.ceilings.items())
    echo(f"\nbest possible UA on these test utterances: {ceilings}\n")
    echo("an example: the first test utterance whose emotion can be found only from audio and words together")
    for prediction in finished.predictions:
        echo(f"\nmodel {prediction.model}")
        show(finished.recording, prediction)
    decisions = ", ".join(f"{source} {label}" for source, label in finished.decisions.items())
    echo(f"  true emotion: {finished.label}; best possible decision from its {decisions}")
    echo(f"\nreport: {finished.report}")
