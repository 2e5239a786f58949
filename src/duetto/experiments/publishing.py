"""A trained run made ready for the Hugging Face Hub: the export, and the weights of PyTorch beside it.

RUN/foldK-seedS ─ stage_run ─▶ model.onnx, model.json, model.safetensors, README.md, …
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import metrics, runs
from ..config.fusion import BRANCHES
from ..inference.publishing import Publication, stage
from ..training import checkpoint
from ..training.loop import CHOSEN
from .export import chosen_training, export
from .export_fusion import export_fusion


def stage_run(
    run: Path,
    out: Path,
    publication: Publication,
    *,
    fold: int | None = None,
    seed: int | None = None,
    int8: bool = False,
) -> None:
    """Export a training of a run, verified, and copy its weights.

    Args:
        run: The run folder.
        out: An empty folder.
        publication: What the card states; the scores of the run are added.
        fold: Its number, from 0; the first by default.
        seed: One of the run's; the first by default.
        int8: Whether the graph has 8-bit weights; model.safetensors has those of PyTorch.

    Raises:
        ModelError: `run` is that of a baseline, its training is unfinished or damaged, or the graph departs from the
            model.
        ConfigurationError: The run has no such fold or seed.
    """
    options = {"fold": fold, "seed": seed, "int8": int8}
    part = run / runs.member(*chosen_training(run, fold, seed))
    with tempfile.TemporaryDirectory() as temporary:
        exported = Path(temporary, "exported")
        if runs.kind_of(runs.read(run)) == "fusion":
            trained = {f"{BRANCHES}/{n}": e.part for n, e in export_fusion([run], exported, **options).branches.items()}
        else:
            trained = {".": export(run, exported, **options).part}
        stage(exported, out, _with_scores(publication, run, part))
    for name, folder in trained.items():
        weights, _ = checkpoint.load(folder / CHOSEN)
        checkpoint.save(out / name / CHOSEN, weights, {"source": folder.name})


def _with_scores(publication: Publication, run: Path, part: Path) -> Publication:
    """The publication, with scores of all folds and seeds, where the run is finished."""
    if not (run / runs.RESULT).is_file():
        return publication
    result, described = runs.result_of(run), runs.read(run)
    count = len(result.classes)
    by_seed = [
        (
            metrics.unweighted_accuracy(result.target, predicted, count),
            metrics.weighted_accuracy(result.target, predicted, count),
        )
        for predicted in result.predicted
    ]
    recall, accuracy = np.mean(by_seed, axis=0).tolist()
    kind = "synthetic corpus" if described["synthetic"] else "test speakers"
    dataset = f"{kind}, protocol {described['protocol']}"
    return replace(publication, scores={"recall": recall, "accuracy": accuracy}, dataset=dataset)
