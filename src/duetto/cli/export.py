"""`duetto export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import echo


def export(
    run: Annotated[Path, typer.Argument(help="Run folder of `duetto train`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist, or be empty.")],
    fold: Annotated[int | None, typer.Option(help="Number of the fold, from 0; the first by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training; the run's first by default.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="8-bit weights: a quarter of the size.")] = False,
    verify: Annotated[
        list[Path] | None, typer.Option(help="A recording to verify the graph on as well; may be repeated.")
    ] = None,
) -> None:
    """Export a trained model to ONNX, with all that prediction needs, and verify it.

    The ONNX graph is run on random inputs of many lengths, and on the given recordings: its logits must equal those of
    the PyTorch model up to rounding. README.md in the folder is the model card. Baselines store no model and cannot be
    exported.

    Examples:

        duetto export runs/fusion -o fusion

        duetto export runs/acoustic -o small --seed 1 --int8 --verify call.wav

        duetto export runs/by-speaker -o third --fold 2

        duetto predict call.wav --model fusion
    """
    from ..experiments import export as exporter  # late: needs PyTorch

    exported = exporter.export(run, out, fold=fold, seed=seed, int8=int8, recordings=verify or [])
    echo(f"exported: {exported.part} → {out}")
    echo(f"verified: {exporter.verification_line(exported)}")
    if exported.int8:
        echo(f"8-bit weights: {exporter.quantisation_line(exported.int8)}")
