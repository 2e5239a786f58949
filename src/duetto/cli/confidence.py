"""`duetto confidence`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..corpora.relabelling import relabel
from ..data.labels import selected
from ..data.manifest import read_manifest
from ..inference.confidence import AUTO, AUTO_ERROR
from ..utils.progress import steps
from .options import ManifestLabels
from .output import echo


def confidence(
    run: Annotated[Path, typer.Argument(help="Run folder of `duetto train`.")],
    manifest: Annotated[Path, typer.Option(help="The manifest that it was trained on.")],
    fold: Annotated[int | None, typer.Option(help="Number of the fold, from 0; the first by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training; the run's first by default.")] = None,
    copies: Annotated[int, typer.Option(min=0, max=16, help="Copies of each recording over other channels.")] = 2,
    labels: ManifestLabels = None,
    cache: Annotated[Path | None, typer.Option(help="As in `duetto train`.")] = None,
) -> None:
    """Fit how far the probabilities of a trained model are to be trusted, on recordings that it was not trained on.

    Speakers of the training part are left out in turn, and so are corpora, where the manifest names several; and what
    is left out is copied over other rooms, microphones and lines. Afterwards a prediction of this model says whether
    the recording is unfamiliar, its probabilities are the wider the more it is so, and `duetto predict --reject` works.
    Test data take part in none of it. Exports made afterwards hold it, too.

    Examples:

        duetto confidence runs/whisper --manifest corpus.jsonl

        duetto predict call.wav --model runs/whisper --reject 0.1
    """
    from ..experiments.confidence import fit_run  # late: needs PyTorch
    from ..experiments.workspace import Workspace

    with steps() as step:
        shop = Workspace(cache or manifest.parent / "cache", progress=step)
        utterances = read_manifest(manifest)
        chosen = selected(utterances if labels is None else relabel(utterances, labels).utterances)
        found = fit_run(run, chosen, shop, fold=fold, seed=seed, copies=copies)
    answers = ", ".join(f"{count} for other {kind}" for kind, count in found.about["answers"].items())
    echo(
        f"fitted on {answers}: temperature {found.temperature:.3g} · (1 + {found.slope:g} · max(0, d − {found.knee:g}))"
    )
    for rate in (0.05, 0.1, 0.2, 0.3):
        at = found.points.at(rate)
        if at is None:
            echo(f"  at most {rate:.0%} wrong: at no threshold")
        else:
            echo(
                f"  at most {rate:.0%} wrong: confidence from {found.points.threshold[at]:.2f} on, "
                f"{found.points.coverage[at]:.0%} of the answers"
            )
    beyond = found.thresholds(AUTO)[1]
    kept = f"confidence from {beyond:.2f} on" if beyond <= 1 else "at no threshold, so that --reject auto keeps none"
    echo(f"  of unfamiliar recordings at most {AUTO_ERROR:.0%} wrong: {kept}")
