"""`duetto adapt`: a model fitted further on a few labelled recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import report
from ..inference.pretrained import PRETRAINED
from ..utils.parallel import cores
from ..utils.progress import bar
from .manifests import read_labelled
from .options import ManifestLabels
from .output import echo, json_line


def adapt(
    model: Annotated[
        str,
        typer.Argument(
            help="A run folder, an exported folder, or a model that comes with duetto: " + ", ".join(PRETRAINED)
        ),
    ],
    manifest: Annotated[Path, typer.Argument(help="JSONL manifest of your recordings, with labels and speakers.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the adapted model, to write.")],
    labels: ManifestLabels = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Recordings at a time; by default cores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")] = False,
) -> None:
    """Adapt a model to your own labelled recordings, and measure what that gains.

    The model's linear head is fitted further, shrunk towards what it was; how much is chosen on speakers that are left
    out in turn. Printed are the figures of the model as it was and of the adapted one, each utterance answered without
    any recording of its speaker, and the paired difference. Needs the extra `train`. Exit status 1 where a recording
    could not be read.

    Examples:

        duetto adapt emodb-ravdess mine.jsonl -o mine-adapted

        duetto predict call.wav --model mine-adapted
    """
    from ..experiments.adapt_model import adapt as adapted_model

    with bar("features") as progress:
        utterances = read_labelled(manifest, labels)
        result = adapted_model(model, utterances, out, workers=workers or cores(), progress=progress)
    both = [] if result.before is None or result.after is None else [result.before, result.after]
    if as_json:
        scores = [report.record(system) for system in report.score(both)] if both else []
        json_line(
            {
                "folder": str(out),
                "strength": str(result.adapted.strength),
                "temperature": result.adapted.temperature,
                "gain": None if result.gain is None else {"mean": result.gain.mean, "ci95": list(result.gain.ci95)},
                "systems": scores,
                "notes": list(result.notes),
            }
        )
    elif both:
        echo(report.markdown(both))
    for line in (*(f"error: {error}" for error in result.errors), *result.notes, result.statement):
        echo(line, err=True)
    echo(f"model: {out}", err=True)
    if result.errors:
        raise typer.Exit(1)
