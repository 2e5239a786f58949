"""A fusion of systems over folds × seeds: its branches, trained by themselves, and what joins them, in one run folder.

    utterances ─ audited_split ─▶ folds ─ inner_folds ─▶ trainings of each branch: on the fold, and without each part
    answers for the parts left out ─ fit_fusion ─▶ PosteriorFusion ─▶ RUN/foldK-seedS/fusion.json, outcome.npz

    RUN/foldK-seedS/branches/NAME/     the branch as it predicts, an ordinary folder of a training
    RUN/foldK-seedS/inner/J/NAME/      the same branch, trained without the J-th part of the speakers
    RUN/branch-NAME.npz                result of a branch by itself, for the report

A training that is finished is not repeated. Test data take part in none of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import audit, inference, runs
from ..baselines import BASELINES
from ..config.experiment import Experiment
from ..config.fusion import Fusion, branch_experiments
from ..data import labels
from ..data.utterance import Utterance
from ..evaluation import SystemResult
from ..evaluation.product import PosteriorFusion
from ..evaluation.product_fit import FittedFusion, fit_fusion
from ..inference.fusion_folder import branch_folder, reads_sound, utterance_has_content, write_fusion
from ..report import run_summary
from ..splits import Fold
from ..training.adapted import AFTER
from ..training.loop import check_accelerator
from ..utils import files
from .fold_inputs import check_ratings, check_vectors, fold_inputs, vectors_identity
from .inner_folds import InnerFolds, inner_folds
from .split import AuditedSplit, audited_split
from .trainings import Job, train_all
from .workspace import Workspace

INNER = "inner"
"""Folder of the trainings without a part of the speakers, in that of a fold and seed."""


def run_fusion(
    fusion: Fusion,
    utterances: Sequence[Utterance],
    protocol: str,
    folder: Path,
    workspace: Workspace,
    *,
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    accelerator: str = "cpu",
    devices: int = 1,
    engine: str = "processes",
    declare_leak: bool = False,
    split: AuditedSplit | None = None,
) -> SystemResult:
    """Train and score a fusion on every fold of a protocol with every seed.

    Args:
        fusion: The fusion.
        utterances: The corpus.
        protocol: One of `splits.PROTOCOLS`.
        folder: Run folder; one that holds the same run is resumed.
        workspace: Caches features and word vectors.
        seeds: Each fold is trained once with each.
        workers: Processes that each train one branch at a time; results do not depend on it.
        accelerator: See `training.train`.
        devices: See `training.train`.
        engine: One of `config.accelerators.ENGINES`.
        declare_leak: Train although the audit finds a leak; results are marked as such.
        split: `audited_split` of the same utterances and protocol, where it is at hand.

    Returns:
        The result. The run folder also holds those of the branches, the controls and the audit.

    Raises:
        ConfigurationError: The folds leak and that was not declared, a branch does not suit the data, or another
            process trains in the folder.
        CorpusError: A recording cannot be read.
        ModelError: The folder holds another run.
    """
    branches = branch_experiments(fusion, BASELINES)
    labels.check_labels(utterances, branches[0].label_set)
    check_accelerator(accelerator)
    if split is None:
        progress = workspace.progress("audit the split")
        split = audited_split(utterances, protocol, declare_leak=declare_leak, progress=progress)
    with runs.locked(folder):
        contents = workspace.contents(split.utterances)
        identity = " ".join(filter(None, (vectors_identity(e, workspace) for e in branches)))
        description = runs.describe(fusion, protocol, split.folds, seeds, identity, contents)
        runs.check(folder, description)
        for experiment in branches:
            check_vectors(experiment, split.utterances, workspace)
            check_ratings(experiment, split.folds)
        runs.begin(folder, description)
        plan = _Plan(fusion, branches, folder, tuple(inner_folds(fold, fusion.inner_folds) for fold in split.folds))
        jobs = list(_jobs(plan, split, seeds, workspace))
        progress = workspace.progress(f"train {fusion.name}")
        train_all(jobs, workers, progress, accelerator=accelerator, devices=devices, engine=engine)
        for number, fold in enumerate(split.folds):
            for seed in seeds:
                _join(plan, fold, plan.inner[number], folder / runs.member(number, seed))
        return _collect(plan, split, seeds, workspace)


@dataclass(frozen=True)
class _Plan:
    """A fusion in its run folder. inner: of each fold."""

    fusion: Fusion
    branches: tuple[Experiment, ...]
    folder: Path
    inner: tuple[InnerFolds, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(e.name for e in self.branches)

    @property
    def after(self) -> tuple[int, ...]:
        """Numbers of earlier utterances of the speaker after which it is scored as well."""
        return AFTER if any(e.normalisation == "shrinkage" for e in self.branches) else ()


def _jobs(plan: _Plan, split: AuditedSplit, seeds: Sequence[int], workspace: Workspace) -> Iterator[Job]:
    """The trainings that the run lacks. Inputs of each fold are built once, for all seeds."""
    for experiment in plan.branches:
        features = workspace.features(experiment, split.utterances)
        files.recover(workspace.vectors_folder)
        for number, fold in enumerate(split.folds):
            inner = plan.inner[number].folds
            for own, at in ((fold, None), *((each, j) for j, each in enumerate(inner))):
                parts = {
                    seed: _training(plan.folder / runs.member(number, seed), experiment.name, at) for seed in seeds
                }
                missing = [seed for seed, part in parts.items() if not (part / runs.OUTCOME).is_file()]
                if missing:
                    inputs = fold_inputs(experiment, own, features, workspace)
                    yield from (Job(experiment, inputs, parts[seed], seed) for seed in missing)


def _training(part: Path, name: str, inner: int | None) -> Path:
    """Folder of a training of a branch: on the fold, or without the inner-th part of its speakers."""
    return branch_folder(part, name) if inner is None else part / INNER / str(inner) / name


def _join(plan: _Plan, fold: Fold, inner: InnerFolds, part: Path) -> None:
    """Fit what joins the branches of one fold and seed, and score its test data."""
    fitted = _fit(plan, inner, part)
    answers = _logits(plan, [(fold, None)], part)
    log_posteriors = fitted.fusion.log_posteriors(*answers)
    about = {
        "name": plan.fusion.name,
        "title": plan.fusion.title,
        "fitted": {**fitted.to_json(), "inner_folds": len(inner.folds), "note": inner.note},
    }
    classes = labels.classes(plan.branches[0].label_set)
    write_fusion(part, fitted.fusion, classes, about)
    adapted = _in_sessions(plan, fitted.fusion, fold, part, answers) if plan.after else None
    runs.save_outcome(part / runs.OUTCOME, log_posteriors, 1.0, adapted=adapted, chosen=fitted.chosen, note=inner.note)


def _in_sessions(
    plan: _Plan, fusion: PosteriorFusion, fold: Fold, part: Path, answers: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Log-posteriors (settings, orders, n, classes) after earlier utterances of the speakers.

    Each branch that adapts has its logits after the same utterances, since these depend on the order and the scored
    utterance alone (`training.adapted`); the others have those of single recordings, and all keep their weights.
    """
    logits, present = answers
    each = []
    for e, single in zip(plan.branches, logits, strict=True):
        path = _training(part, e.name, None) / runs.OUTCOME
        adapts = e.normalisation == "shrinkage"
        each.append(runs.adapted_logits(path, (len(plan.after), *single.shape)) if adapts else single[None, None])
    settings, orders = max(x.shape[:2] for x in each)
    every = [np.broadcast_to(x, (settings, orders, *x.shape[2:])) for x in each]
    return np.array(
        [[fusion.log_posteriors([x[s, o] for x in every], present) for o in range(orders)] for s in range(settings)]
    )


def _fit(plan: _Plan, inner: InnerFolds, part: Path) -> FittedFusion:
    logits, present = _logits(plan, [(fold, j) for j, fold in enumerate(inner.folds)], part)
    utterances = [u for fold in inner.folds for u in fold.test]
    classes = labels.classes(plan.branches[0].label_set)
    return fit_fusion(
        logits,
        np.array([classes.index(str(u.label)) for u in utterances], np.int64),
        [inner.groups[u.id] for u in utterances],
        names=plan.names,
        present=present,
        optional=[e.name for e in plan.branches if e.uses_words and not e.uses_audio],
        together=[e.name for e in plan.branches if reads_sound(e)],
    )


def _logits(plan: _Plan, folds: Sequence[tuple[Fold, int | None]], part: Path) -> tuple[np.ndarray, np.ndarray]:
    """Logits (branches, n, classes) of the test parts of folds, and whether each branch has anything to go by."""
    logits, present = [], []
    for experiment in plan.branches:
        classes = len(labels.classes(experiment.label_set))
        own, there = [], []
        for fold, inner in folds:
            training = _training(part, experiment.name, inner)
            own.append(runs.load_outcome(training / runs.OUTCOME, (len(fold.test), classes))[0])
            preprocessor, _ = inference.settings(training)
            there += [utterance_has_content(preprocessor, u) for u in fold.test]
        logits.append(np.concatenate(own))
        present.append(there)
    return np.stack(logits), np.array(present)


def _collect(plan: _Plan, split: AuditedSplit, seeds: Sequence[int], workspace: Workspace) -> SystemResult:
    """The result of a finished run; those of the branches, controls and audit are written beside it."""
    fusion, classes = plan.fusion, labels.classes(plan.branches[0].label_set)
    common: dict[str, Any] = {"kind": "leak" if split.leaks else "system"}
    result = runs.collect(
        fusion.name,
        fusion.title,
        classes,
        split.folds,
        seeds,
        plan.folder,
        paper_ua=fusion.paper_ua if runs.comparable(split.protocol, split.folds) else None,
        notes=_notes(plan, split, seeds),
        after=plan.after,
        **common,
    )
    for e in plan.branches:
        title = f"{e.title} (branch of {fusion.title})"
        after = AFTER if e.normalisation == "shrinkage" else ()
        more = {"after": after, "dimensions": e.dimensions, **common}
        runs.collect_branch(e.name, title, classes, split.folds, seeds, plan.folder, **more)
    runs.save_controls(run_summary.controls(split.folds, classes), plan.folder)
    supplied: Mapping[str, Path] = {
        path.name: path for e in plan.branches if (path := workspace.supplied_vectors(e)) is not None
    }
    findings = audit.audit_run(
        plan.folder,
        split.utterances,
        features=workspace.features_folder,
        split=split.audit,
        vectors=", ".join(supplied) or None,
    )
    audit.save(findings, plan.folder)
    return result


def _notes(plan: _Plan, split: AuditedSplit, seeds: Sequence[int]) -> tuple[str, ...]:
    """How the branches were joined, in words, and what was not as it should be."""
    parts = [plan.folder / runs.member(f, seed) for f in range(len(split.folds)) for seed in seeds]
    chosen = [str(runs.outcome_value(part / runs.OUTCOME, "chosen")) for part in parts]
    counts = ", ".join(f"{name} ({chosen.count(name)} of {len(chosen)})" for name in sorted(set(chosen)))
    notes = [f"branches {', '.join(plan.names)}, joined by: {counts}"]
    return tuple(dict.fromkeys([*notes, *(inner.note for inner in plan.inner if inner.note)]))
