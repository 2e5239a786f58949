"""`duetto export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import echo


def export(
    run: Annotated[Path, typer.Argument(help="Run folder of `duetto train`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; it must not be there, or be empty.")],
    fold: Annotated[int | None, typer.Option(help="Number of the fold, from 0 on; the first by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training; the run's first by default.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="8-bit weights: a quarter of the size.")] = False,
    verify: Annotated[
        list[Path] | None, typer.Option(help="A recording to verify the graph on, too; may be repeated.")
    ] = None,
) -> None:
    """Write all that prediction needs into one folder, and verify it against the trained model.

    The graph is made from the trained weights and asked on inputs of every length, and on the recordings given: its
    answers have to be those of the PyTorch model, to rounding. README.md in the folder holds what is known of the
    system. Baselines keep no model and can't be exported.

    Examples:

        duetto export runs/fusion -o fusion

        duetto export runs/acoustic -o small --seed 1 --int8 --verify call.wav

        duetto export runs/by-speaker -o third --fold 2

        duetto predict call.wav --model fusion
    """
    from ..experiments import export as library  # here: it needs PyTorch

    exported = library.export(run, out, fold=fold, seed=seed, int8=int8, recordings=verify or [])
    echo(f"exported: {exported.part} → {out}")
    echo(f"verified: {library.verification_line(exported)}")
    if exported.int8:
        echo(f"8-bit weights: {library.quantisation_line(exported.int8)}")
