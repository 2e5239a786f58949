"""Classical baselines over folds × seeds, in a run folder that is compared like any other.

    utterances ─ audited_split ─▶ folds ─ baseline_inputs ─▶ BaselineInputs
    inputs × folds × seeds ─ Baseline.fit_predict ─▶ RUN/foldK-seedS/outcome.npz, RUN/result.npz ─▶ SystemResult

Temperatures are fitted on development data, as for every system. The folder of each fold and seed is a model folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import audit, metrics, runs
from ..asr.finder import save_language_model
from ..asr.language_model import LanguageModel
from ..baselines import Baseline, BaselineInputs
from ..baselines.base import targets
from ..data import labels
from ..data.text import tokens
from ..data.utterance import Utterance, languages
from ..evaluation import SystemResult
from ..features.content import Contents
from ..inference.baseline_model import export_baseline
from ..report import run_summary
from ..splits import LEAKING, Fold
from ..utils.progress import Progress
from .split import AuditedSplit, audited_split

if TYPE_CHECKING:
    from .workspace import Workspace  # imports PyTorch, which no baseline needs


def run_baseline(
    baseline: Baseline,
    utterances: Sequence[Utterance],
    protocol: str,
    folder: Path,
    workspace: Workspace,
    *,
    seeds: Sequence[int] = (0,),
    label_set: str = "four",
    declare_leak: bool = False,
    split: AuditedSplit | None = None,
) -> SystemResult:
    """Fit and score a classical baseline on every fold of a protocol with every seed.

    Args:
        baseline: The baseline.
        utterances: The corpus.
        protocol: One of `splits.PROTOCOLS`.
        folder: Run folder; one that holds the same run is resumed.
        workspace: Caches features.
        seeds: Each fold is fitted once with each.
        label_set: Of the utterances.
        declare_leak: Go on although the audit finds a leak; the result is marked as such.
        split: `audited_split` of the same utterances and protocol, where it is at hand.

    Returns:
        The result. The run folder also holds the controls and the audit.

    Raises:
        ConfigurationError: The folds leak and that was not declared, or another process works in the folder.
        CorpusError: A recording cannot be read.
        ModelError: The folder holds another run.
    """
    labels.check_labels(utterances, label_set)
    if split is None:
        progress = workspace.progress("audit the split")
        split = audited_split(utterances, protocol, declare_leak=declare_leak, progress=progress)
    with runs.locked(folder):
        contents = workspace.contents(split.utterances)
        runs.check(folder, runs.describe(baseline, protocol, split.folds, seeds, contents=contents))
        inputs = BaselineInputs(
            frames=workspace.short_term(split.utterances) if "frames" in baseline.needs else None,
            tokens={u.id: tokens(u) for u in split.utterances} if "words" in baseline.needs else None,
        )
        progress = workspace.progress(f"train {baseline.name}")
        given = {
            "seeds": seeds,
            "label_set": label_set,
            "leak": split.leaks,
            "contents": contents,
            "progress": progress,
        }
        result = run(baseline, inputs, protocol, split.folds, folder, **given)
        runs.save_controls(run_summary.controls(split.folds, result.classes), folder)
        audit.save(split.audit, folder)
    return result


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
    """Fit and score a baseline on folds that are given.

    Args:
        baseline: The baseline.
        inputs: What it reads of each utterance.
        protocol: Name of the protocol that made the folds.
        folds: Of the corpus.
        folder: Run folder; one that holds the same run is resumed.
        seeds: Each fold is fitted once with each.
        label_set: Of the utterances.
        leak: Mark the result as a leak.
        contents: Digests of the recordings, where they are at hand.
        progress: Counts fits.

    Returns:
        The result.

    Raises:
        ConfigurationError: See `baselines.base.Classifier.fit_predict`.
        ModelError: The folder holds another run.
    """
    classes = labels.classes(label_set)
    runs.begin(folder, runs.describe(baseline, protocol, folds, seeds, contents=contents))
    jobs = [(folds[f], folder / runs.member(f, seed), seed) for f in range(len(folds)) for seed in seeds]
    for done, (fold, part, seed) in enumerate(jobs, 1):
        if not (part / runs.OUTCOME).is_file():
            _fit(baseline, inputs, fold, label_set, part, seed)
        if progress:
            progress(done, len(jobs))
    return runs.collect(
        baseline.name,
        baseline.title,
        classes,
        folds,
        seeds,
        folder,
        paper_ua=baseline.paper_ua if runs.comparable(protocol, folds) else None,
        kind="leak" if leak or protocol in LEAKING else "system",
        notes=_notes(baseline, [part for _, part, _ in jobs]),
    )


def _fit(baseline: Baseline, inputs: BaselineInputs, fold: Fold, label_set: str, part: Path, seed: int) -> None:
    """Fit on one fold with one seed; save the model and, last, the outcome in the folder of both."""
    classes = labels.classes(label_set)
    answers = baseline.fit_predict(fold, inputs, classes, seed)
    temperature = metrics.fit_temperature(answers.development_logits, targets(fold.development, classes))
    export_baseline(baseline, answers, temperature, label_set, part)
    if "words" in baseline.needs and any(sentences := [tokens(u) for u in fold.train]):
        save_language_model(LanguageModel.from_corpus(sentences), part, languages(fold.train))
    path = part / runs.OUTCOME
    runs.save_outcome(path, answers.test_logits, temperature, chosen=answers.chosen, notes=answers.notes)


def _notes(baseline: Baseline, parts: Sequence[Path]) -> tuple[str, ...]:
    """What a reader of the result should know: reconstruction, notes of each fit, settings that were chosen."""
    notes = [f"a reconstruction in part: {baseline.reconstruction}"] if baseline.reconstruction else []
    notes += [f"{part.name}: {note}" for part in parts for note in runs.outcome_value(part / runs.OUTCOME, "notes")]
    settings = Counter(chosen for part in parts for chosen in runs.outcome_value(part / runs.OUTCOME, "chosen"))
    counts = ", ".join(f"{setting} ({n} of {len(parts)})" for setting, n in sorted(settings.items()))
    return tuple([*notes, f"chosen on development data: {counts}"] if counts else notes)
