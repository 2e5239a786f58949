"""Classical baselines over folds × seeds, in a run folder that is compared like any other.

    Baseline + folds + BaselineInputs ─ run ─▶ RUN/run.json, RUN/foldK-seedS/outcome.npz, RUN/result.npz ─▶ SystemResult

Temperatures are fitted on development data, as for every system. No model is kept: a baseline is there to be
compared, not to predict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .. import metrics, runs
from ..baselines import Baseline, BaselineInputs
from ..baselines.base import targets
from ..data.labels import classes
from ..evaluation import SystemResult
from ..features.content import Contents
from ..splits import LEAKING, Fold
from ..utils.progress import Progress


def run(
    baseline: Baseline,
    inputs: BaselineInputs,
    protocol: str,
    folds: Sequence[Fold],
    folder: Path,
    *,
    seeds: Sequence[int] = (0,),
    label_set: str = "four",
    leak: bool = False,
    contents: Contents | None = None,
    progress: Progress | None = None,
) -> SystemResult:
    """Fit and score a baseline on every fold with every seed; resumes what the folder holds of the same run.

    leak: the folds are known to leak (see `audit`), and so the result is marked. contents: digests of the recordings,
    where the caller reads them too.
    Errors: a folder that holds another run, and those of `baselines.base.Classifier.fit_predict`.
    """
    labels = classes(label_set)
    runs.begin(folder, runs.describe(baseline, protocol, folds, seeds, contents=contents))
    jobs = [(f, seed) for f in range(len(folds)) for seed in seeds]
    notes = [f"a reconstruction in part: {baseline.reconstruction}"] if baseline.reconstruction else []
    settings: Counter[str] = Counter()
    for done, (f, seed) in enumerate(jobs, 1):
        part = folder / runs.member(f, seed)
        chosen, said = _outcome(baseline, inputs, folds[f], labels, part, seed)
        settings.update(chosen)
        notes += [f"{part.name}: {note}" for note in said]
        if progress:
            progress(done, len(jobs))
    counts = ", ".join(f"{setting} ({n} of {len(jobs)})" for setting, n in sorted(settings.items()))
    notes += [f"chosen on development data: {counts}"] if counts else []
    kind = "leak" if leak or protocol in LEAKING else "system"
    return runs.collect(
        baseline.name,
        baseline.title,
        labels,
        folds,
        seeds,
        folder,
        paper_ua=baseline.paper_ua if runs.comparable(protocol, folds) else None,
        kind=kind,
        notes=tuple(notes),
    )


def _outcome(
    baseline: Baseline, inputs: BaselineInputs, fold: Fold, labels: tuple[str, ...], part: Path, seed: int
) -> tuple[list[str], list[str]]:
    """`BaselineOutput.chosen` and `BaselineOutput.notes` of one fold and seed, whose outcome then lies in `part`."""
    path = part / runs.OUTCOME
    if not path.is_file():
        answers = baseline.fit_predict(fold, inputs, labels, seed)
        temperature = metrics.fit_temperature(answers.development_logits, targets(fold.development, labels))
        runs.save_outcome(path, answers.test_logits, temperature, chosen=answers.chosen, notes=answers.notes)
    return runs.noted(path, "chosen"), runs.noted(path, "notes")
