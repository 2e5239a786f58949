"""`duetto export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigurationError
from ..evaluation.product import RULES
from ..runs import kind_of, read
from .options import one_of
from .output import echo


def export(
    runs: Annotated[list[Path], typer.Argument(help="Run folder of `duetto train`; several are joined to one model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist, or be empty.")],
    fold: Annotated[int | None, typer.Option(help="Number of the fold, from 0; the first by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training; the run's first by default.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="8-bit weights: a quarter of the size.")] = False,
    verify: Annotated[
        list[Path] | None, typer.Option(help="A recording to verify the graph on as well; may be repeated.")
    ] = None,
    rule: Annotated[
        str, typer.Option(callback=one_of(RULES), help=f"How several runs are joined: {' or '.join(RULES)}.")
    ] = RULES[0],
) -> None:
    """Export a trained model to ONNX, with all that prediction needs, and verify it.

    The ONNX graph is run on random inputs of many lengths, and on the given recordings: its logits must equal those of
    the PyTorch model up to rounding. README.md in the folder is the model card. A baseline is copied as it is.

    Several runs become one model that joins their calibrated posteriors, of which nothing is fitted: by their product,
    or by their mean, as in the late fusions of the paper's table 2. A fusion such as fusion-calibrated is one run.

    Examples:

        duetto export runs/fusion -o fusion

        duetto export runs/acoustic -o small --seed 1 --int8 --verify call.wav

        duetto export runs/by-speaker -o third --fold 2

        duetto export runs/acoustic runs/words -o both --rule mean

        duetto predict call.wav --model fusion
    """
    from ..experiments import export as exporter  # late: needs PyTorch
    from ..experiments.export_baseline import export_baseline_run
    from ..experiments.export_fusion import export_fusion

    kind = kind_of(read(runs[0]))
    if len(runs) == 1 and kind == "baseline":
        if int8 or verify:
            raise ConfigurationError("a baseline has no graph to quantise or verify; leave out --int8 and --verify")
        echo(f"exported: {export_baseline_run(runs[0], out, fold=fold, seed=seed)} → {out}")
        return
    options: dict[str, Any] = {"fold": fold, "seed": seed, "int8": int8, "recordings": verify or []}
    if len(runs) > 1 or kind == "fusion":
        fused = export_fusion(runs, out, rule=rule, **options)
        exported = dict(fused.branches)
        echo(f"exported: {fused.source} → {out}")
    else:
        exported = {"": exporter.export(runs[0], out, **options)}
        echo(f"exported: {exported[''].part} → {out}")
    for name, one in exported.items():
        branch = f"{name}, " if name else ""
        echo(f"verified: {branch}{exporter.verification_line(one)}")
        if one.int8:
            echo(f"8-bit weights: {branch}{exporter.quantisation_line(one.int8)}")
