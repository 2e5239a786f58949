"""Systems × seeds on one protocol, one system after another: what fails or does not apply is said, the rest goes on.

    Bench.measure(names) ─▶ Measured(results, controls, leaks, and why others have none)

Everything is resumable, as its run folders are, and shares features, vectors and word times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ... import evaluation, metrics, runs
from ...baselines import Baseline
from ...config.experiment import LEAKING_CHOICE, Experiment, teacher_of
from ...data.labels import classes
from ...embeddings import vectors as word_vectors
from ...errors import DuettoError
from ...evaluation import SystemResult
from ...experiments import runner
from ...experiments.runner import run_baseline, run_systems
from ...experiments.workspace import Workspace
from ...report import run_summary
from ...splits import Fold
from ...training.loop import check_accelerator
from ...training.word_embeddings import EmbeddingConfig
from ...utils.progress import Progress
from . import paper
from .corpus import Material, has_times, timed

LABELS = "four"
DONE, FAILED, LEFT_OUT = "done", "failed", "not applicable"
BEST_ON_TEST = "-best-on-test"
"""What the name of a leaking twin ends in: the same system, its epoch chosen on test data."""


@dataclass(frozen=True)
class Options:
    """What to measure, and how.

    systems: groups and names (`catalogue.select`). protocol: of the tables. protocols: those that are compared side
    by side, none by default. seeds: trainings of each system. epochs: of each training; None leaves the paper's 20.
    settings: KEY=VALUE, changed in every trained system. best_on_test: also train the leaking twins. vectors: kind of
    embedding → file of vectors, or folder of `50.vec` … `300.vec`; others are trained on training data. workers,
    accelerator: as in training. force: use an unhealthy corpus. declare_leak: use a protocol that leaks.
    """

    systems: tuple[str, ...] = ("all",)
    protocol: str = "session5"
    protocols: tuple[str, ...] = ()
    seeds: int = 5
    epochs: int | None = None
    settings: tuple[str, ...] = ()
    best_on_test: bool = False
    vectors: Mapping[str, Path] = field(default_factory=dict)
    workers: int = 1
    accelerator: str = "cpu"
    force: bool = False
    declare_leak: bool = False

    def configured(self, name: str) -> Experiment | Baseline:
        """The system of a name, with everything changed that shall be."""
        epochs = () if self.epochs is None else (f"epochs={self.epochs}",)
        return paper.configured(name, (*epochs, *self.settings))

    @property
    def changed(self) -> dict[str, Any]:
        """All that may change a figure and is not as by default: what was changed → value."""
        told: dict[str, Any] = {} if self.epochs is None else {"epochs": str(self.epochs)}
        told |= paper.parsed(self.settings)
        if self.vectors:
            told["vectors"] = {kind: str(path) for kind, path in sorted(self.vectors.items())}
        if self.accelerator != "cpu":
            told["accelerator"] = self.accelerator
        told |= {key: True for key in ("best_on_test", "force", "declare_leak") if getattr(self, key)}
        return told

    @property
    def embeddings(self) -> EmbeddingConfig:
        """How vectors are trained; Speech2Vec takes no more epochs than the systems."""
        usual = EmbeddingConfig()
        return usual if self.epochs is None else replace(usual, epochs=min(usual.epochs, self.epochs))


@dataclass(frozen=True)
class Event:
    """Something that happened to a system. state: what is being done, or `done`, `failed`, `not applicable`.

    done, total: progress of that. ua: in percent, of the seeds and folds that are finished. detail: why.
    """

    system: str
    state: str
    done: int = 0
    total: int = 0
    ua: float | None = None
    detail: str = ""


Watch = Callable[[Event], None]


@dataclass(frozen=True)
class Measured:
    """What a protocol gave. results: by system, late fusions and trained controls too. controls: those that are not
    trained. leaks: the twins whose epoch was chosen on test data. left_out, failed: system → why. run: the
    description of a run folder (`runs.describe`), None where nothing ran. folders: of all honest runs."""

    protocol: str
    results: Mapping[str, SystemResult]
    controls: Sequence[SystemResult]
    leaks: Sequence[SystemResult]
    left_out: Mapping[str, str]
    failed: Mapping[str, str]
    run: Mapping[str, Any] | None
    folders: Sequence[Path]
    notes: Sequence[str] = ()


class Bench:
    """One corpus and one folder, where systems are measured on any protocol."""

    def __init__(self, material: Material, options: Options, out: Path, watch: Watch) -> None:
        self.material = material
        self.options = options
        self.out = out
        self.watch = watch
        self.workspace = Workspace(out / "cache", options.embeddings)
        self._timed: Material | None = None
        self._said: dict[str, None] = {}

    def measure(self, names: Sequence[str], protocol: str, *, twins: bool = True) -> Measured:
        """Train and score systems. twins: with their leaking twins, where the options ask for these.

        Errors: those that no system would escape – a protocol that the corpus does not allow or that leaks,
        recordings that cannot be read, an accelerator that is not there. Others are noted, and the work goes on.
        """
        folds = self._prepared(protocol)
        found, left_out, failed = {}, {}, {}
        for name in self._planned(names, twins):
            try:
                if reason := self._left_out(name.removesuffix(BEST_ON_TEST)):
                    left_out[name] = reason
                    self.watch(Event(name, LEFT_OUT, detail=reason))
                else:
                    found[name] = self._run(name, protocol, folds)
            except Exception as error:  # hours of other systems must not be lost to one, whatever ended it
                failed[name] = _why(error)
                self.watch(Event(name, FAILED, detail=failed[name]))
        self._fuse(names, found, left_out, failed)
        trained = [self._folder(name, protocol) for name in names if name in found and name not in paper.fusions()]
        return Measured(
            protocol,
            {name: found[name] for name in names if name in found},
            run_summary.controls(folds, classes(LABELS)),
            [result for name, result in found.items() if name.endswith(BEST_ON_TEST)],
            left_out,
            failed,
            runs.read(trained[0]) if trained else None,
            trained,
            (*(self._timed or self.material).notes, *self._said),
        )

    def _prepared(self, protocol: str) -> list[Fold]:
        """The folds, audited, of recordings that can be read."""
        check_accelerator(self.options.accelerator)
        shop = replace(self.workspace, step=self._steps("corpus", None))
        labelled, folds, _ = runner.split(self.material.utterances, protocol, shop, self.options.declare_leak)
        shop.short_term(labelled)
        return folds

    def _planned(self, names: Sequence[str], twins: bool) -> Iterator[str]:
        """What is trained, in order: every system, and its leaking twin behind it."""
        for name in names:
            if name not in paper.fusions():
                yield name
                if twins and self.options.best_on_test and self._has_twin(name):
                    yield name + BEST_ON_TEST

    def _has_twin(self, name: str) -> bool:
        """Whether an epoch is chosen, of a system that is no control."""
        return isinstance(self.options.configured(name), Experiment) and name not in paper.CONTROLS

    def _folder(self, name: str, protocol: str) -> Path:
        return self.out / "runs" / protocol / name

    def _left_out(self, name: str) -> str:
        """Why a system can't be measured on this corpus; nothing where it can."""
        chosen = self.options.configured(name)
        readers = [] if isinstance(chosen, Baseline) else _readers(chosen)
        if not readers and not (isinstance(chosen, Baseline) and "words" in chosen.needs):
            return ""
        if not self.material.transcribed:
            return "no transcripts"
        for reader in readers:
            if isinstance(misfit := self._vectors(reader), str):
                return misfit
        if any(map(self._needs_times, readers)) and not any(map(has_times, self._with_times().utterances)):
            return "the words have no times, and none could be found"
        return ""

    def _vectors(self, reader: Experiment) -> Path | str | None:
        """The file of vectors that the user gave for a system; why that does not fit; None where none is given."""
        given = self.options.vectors.get(reader.embeddings)
        if given is None:
            return None
        path = given / f"{reader.word_dim}.vec" if given.is_dir() else given
        if not path.is_file():
            return f"no {path.name} among the vectors given"
        dimension = _dimension(path)
        if dimension != reader.word_dim:
            return f"the vectors given have {dimension} dimensions, not {reader.word_dim}"
        return path

    def _needs_times(self, reader: Experiment) -> bool:
        """Whether the sound of single words is read, by the system or to train its vectors."""
        trained = reader.embeddings == "speech2vec" and "speech2vec" not in self.options.vectors
        return trained or "spoken" in (reader.embeddings, reader.unknown)

    def _with_times(self) -> Material:
        if self._timed is None:
            progress = self._steps("corpus", None)("times of words") if self.material.untimed else None
            self._timed = timed(
                self.material, self.out / "cache" / "words", workers=self.options.workers, progress=progress
            )
        return self._timed

    def _run(self, name: str, protocol: str, folds: Sequence[Fold]) -> SystemResult:
        """One system, or the leaking twin of one, from its run folder or trained."""
        options, folder = self.options, self._folder(name, protocol)
        chosen, seeds = options.configured(name.removesuffix(BEST_ON_TEST)), range(options.seeds)
        shop = replace(self.workspace, step=self._steps(name, _SoFar(folder, folds, seeds)))
        if isinstance(chosen, Baseline):
            result = run_baseline(
                chosen, self.material.utterances, protocol, folder, shop, seeds=seeds, declare_leak=options.declare_leak
            )
        else:
            if name.endswith(BEST_ON_TEST):
                title = f"{chosen.title}, best epoch on test"
                chosen = replace(chosen, name=name, title=title, epoch_choice=LEAKING_CHOICE)
            readers = _readers(chosen)
            brought = {reader.embeddings: path for reader in readers if isinstance(path := self._vectors(reader), Path)}
            if brought:
                kinds = ", ".join(brought)
                shop = replace(shop, vectors=brought, say=lambda text: self._said.setdefault(f"{kinds}, {text}"))
            material = self._with_times() if any(map(self._needs_times, readers)) else self.material
            (result,) = run_systems(
                [chosen],
                material.utterances,
                protocol,
                [folder],
                shop,
                seeds=seeds,
                workers=options.workers,
                accelerator=options.accelerator,
                declare_leak=options.declare_leak,
            )
        if name in paper.CONTROLS and result.kind == "system":
            result = replace(result, kind="control")
        self.watch(Event(name, DONE, 1, 1, evaluation.summary(result).ua.mean))
        return result

    def _fuse(
        self, names: Sequence[str], found: dict[str, SystemResult], left_out: dict[str, str], failed: dict[str, str]
    ) -> None:
        """Add the late fusions that were asked for, of what was found."""
        for name, row in paper.fusions().items():
            if name not in names:
                continue
            missing = left_out | failed
            if lacking := [part for part in row.of if part in missing]:
                left_out[name] = f"without {lacking[0]}: {missing[lacking[0]]}"
                self.watch(Event(name, LEFT_OUT, detail=left_out[name]))
                continue
            parts = [found[part] for part in row.of]
            try:
                found[name] = evaluation.combine(parts, name, row.paper, row.paper_ua)
            except DuettoError as error:
                failed[name] = str(error)
                self.watch(Event(name, FAILED, detail=str(error)))
                continue
            self.watch(Event(name, DONE, 1, 1, evaluation.summary(found[name]).ua.mean))

    def _steps(self, name: str, so_far: _SoFar | None) -> Callable[[str], Progress]:
        """Steps of a system's work, told to `watch`."""

        def step(description: str) -> Progress:
            def progress(done: int, total: int) -> None:
                self.watch(Event(name, description, done, total, None if so_far is None else so_far()))

            progress(0, 0)
            return progress

        return step


class _SoFar:
    """UA, in percent, of the seeds and folds that a run folder has finished; None before the first."""

    def __init__(self, folder: Path, folds: Sequence[Fold], seeds: Sequence[int]) -> None:
        self.jobs = {seed: [folder / runs.member(f, seed) / runs.OUTCOME for f in range(len(folds))] for seed in seeds}
        numbers = {label: number for number, label in enumerate(classes(LABELS))}
        self.targets = [np.array([numbers[str(u.label)] for u in fold.test]) for fold in folds]
        self.finished, self.ua = 0, None

    def __call__(self) -> float | None:
        finished = sum(path.is_file() for paths in self.jobs.values() for path in paths)
        if finished != self.finished:
            self.finished, scores = finished, [self._score(paths) for paths in self.jobs.values()]
            self.ua = float(np.mean([score for score in scores if score is not None]))
        return self.ua

    def _score(self, paths: Sequence[Path]) -> float | None:
        there = [fold for fold, path in enumerate(paths) if path.is_file()]
        if not there:
            return None
        answers = []
        for fold in there:
            answers.append(metrics.predicted_classes(runs.load_outcome(paths[fold])[0]))
        target = np.concatenate([self.targets[fold] for fold in there])
        return 100 * metrics.unweighted_accuracy(target, np.concatenate(answers), len(classes(LABELS)))


@lru_cache(maxsize=16)
def _dimension(path: Path) -> int:
    return word_vectors.load(path).dimension


def _readers(chosen: Experiment) -> list[Experiment]:
    """Who reads words: the system, its teacher, both or none."""
    return [e for e in (chosen, teacher_of(chosen)) if e is not None and e.uses_words]


def _why(error: Exception) -> str:
    """What ended a system's work, and what to do."""
    if isinstance(error, DuettoError):
        return str(error)
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return f"out of memory ({what}); go on with fewer --workers, or --set batch_size=16 in another folder"
    return f"{what}; the same command tries it again"
