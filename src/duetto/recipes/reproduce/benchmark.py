"""Systems × seeds on one protocol, one system after another; one that fails or does not apply does not stop the others.

    Benchmark.measure(names) ─▶ Measurements(results, controls, leaks, and why others have none)

Everything is resumable, as its run folders are, and shares features, vectors and word times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ... import evaluation, runs
from ...baselines import Baseline
from ...config.experiment import LEAKING_CHOICE, Experiment
from ...config.fusion import Fusion
from ...data.labels import classes
from ...errors import DuettoError
from ...evaluation import SystemResult
from ...experiments.baseline_runner import run_baseline
from ...experiments.fusion_runner import run_fusion
from ...experiments.runner import run_systems
from ...experiments.split import AuditedSplit, audited_split
from ...experiments.systems import with_label_set
from ...experiments.workspace import Workspace
from ...report import run_summary
from ...splits import Fold
from ...training.loop import check_accelerator
from ...utils.progress import Progress
from . import paper
from .corpus import LoadedCorpus, has_times, with_word_times
from .events import DONE, FAILED, NOT_APPLICABLE, Event, Watch
from .options import Options
from .requirements import needs_word_times, needs_words, user_vectors, vector_problem, word_encoders
from .running_score import RunningScore

BEST_ON_TEST = "-best-on-test"
"""Suffix of the name of a leaking twin: the same system, its epoch chosen on test data."""


@dataclass(frozen=True)
class Measurements:
    """Results of one protocol.

    Attributes:
        protocol: Its name.
        results: System → its result; late fusions and trained controls are among them.
        controls: Results of the controls that are not trained.
        leaks: Results of the leaking twins.
        not_applicable: System → why it cannot be measured on this corpus.
        failed: System → why it failed.
        run: Description of a run folder (`runs.read`); None where nothing was trained.
        folders: Run folders of all systems but the leaking twins.
        notes: What a reader of the results should know of the corpus and the word vectors.
        comparable: Whether the results may be compared with the paper's (`runs.comparable`).
    """

    protocol: str
    results: Mapping[str, SystemResult]
    controls: Sequence[SystemResult]
    leaks: Sequence[SystemResult]
    not_applicable: Mapping[str, str]
    failed: Mapping[str, str]
    run: Mapping[str, Any] | None
    folders: Sequence[Path]
    notes: Sequence[str] = ()
    comparable: bool = False

    @property
    def everything(self) -> list[SystemResult]:
        """Every result, each once."""
        return [*self.results.values(), *self.controls, *self.leaks]


class Benchmark:
    """One corpus and one folder, in which systems are measured on any protocol.

    Args:
        corpus: The corpus.
        options: What to measure, and how.
        out: Folder for run folders and caches.
        watch: Receives each event.
    """

    def __init__(self, corpus: LoadedCorpus, options: Options, out: Path, watch: Watch) -> None:
        self.corpus = corpus
        self.options = options
        self._out = out
        self._watch = watch
        self._workspace = Workspace(out / "cache", options.embeddings)
        self._with_times: LoadedCorpus | None = None
        self._splits: dict[tuple[str, bool], AuditedSplit] = {}
        self._vector_notes: dict[str, None] = {}

    def measure(self, names: Sequence[str], protocol: str, *, leaking_twins: bool = True) -> Measurements:
        """Train and score systems.

        Args:
            names: Systems, baselines and late fusions.
            protocol: How to split.
            leaking_twins: Whether to train the leaking twins too, if the options ask for them.

        Returns:
            The results, and why other systems have none.

        Raises:
            DuettoError: No system could be measured: the corpus does not allow the protocol, test data leak,
                recordings cannot be read, or the accelerator is not available.
        """
        folds = self._folds(protocol)
        comparable = runs.comparable(protocol, folds)
        found, not_applicable, failed = {}, {}, {}
        for name in self._to_train(names, leaking_twins):
            try:
                if reason := self.not_applicable(name.removesuffix(BEST_ON_TEST)):
                    self._note(not_applicable, name, NOT_APPLICABLE, reason)
                else:
                    found[name] = self._train(name, protocol, folds)
            except Exception as error:  # hours of other systems must not be lost, whatever ended this one
                self._note(failed, name, FAILED, _failure(error))
        self._combine(names, found, not_applicable, failed, comparable)
        trained = [self._folder(name, protocol) for name in names if name in found and name not in paper.fusions()]
        return Measurements(
            protocol=protocol,
            results={name: found[name] for name in names if name in found},
            controls=run_summary.controls(folds, classes(self.corpus.label_set)),
            leaks=[result for name, result in found.items() if name.endswith(BEST_ON_TEST)],
            not_applicable=not_applicable,
            failed=failed,
            run=runs.read(trained[0]) if trained else None,
            folders=trained,
            notes=(*(self._with_times or self.corpus).notes, *self._vector_notes),
            comparable=comparable,
        )

    def not_applicable(self, name: str) -> str:
        """Check whether a system can be measured on this corpus.

        Args:
            name: A system or a baseline.

        Returns:
            Why it cannot; "" where it can.
        """
        system, vectors = self.options.configured(name), self.options.vectors
        if not needs_words(system):
            return ""
        if not self.corpus.transcribed:
            return "no transcripts"
        encoders = word_encoders(system)
        for encoder in encoders:
            if problem := vector_problem(encoder, vectors):
                return problem
        if any(needs_word_times(e, vectors) for e in encoders) and not any(map(has_times, self.timed.utterances)):
            return "the words have no times, and none could be found"
        return ""

    @property
    def timed(self) -> LoadedCorpus:
        """The corpus with word times, aligned when first needed."""
        if self._with_times is None:
            progress = self._steps("corpus", None)("times of words") if self.corpus.untimed else None
            folder = self._out / "cache" / "words"
            self._with_times = with_word_times(self.corpus, folder, workers=self.options.workers, progress=progress)
        return self._with_times

    def _folds(self, protocol: str) -> list[Fold]:
        """Split and audit the corpus, and extract the features that most systems share."""
        check_accelerator(self.options.accelerator)
        workspace = replace(self._workspace, progress=self._steps("corpus", None))
        split = self._split(protocol, workspace)
        workspace.short_term(split.utterances)
        return split.folds

    def _split(self, protocol: str, workspace: Workspace, *, timed: bool = False) -> AuditedSplit:
        """The folds of the corpus, with word times or as it came; audited once for all systems."""
        timed = timed and self.timed is not self.corpus
        if (protocol, timed) not in self._splits:
            utterances = (self.timed if timed else self.corpus).utterances
            progress, leaks = workspace.progress("audit the split"), self.options.declare_leak
            self._splits[protocol, timed] = audited_split(utterances, protocol, declare_leak=leaks, progress=progress)
        return self._splits[protocol, timed]

    def _to_train(self, names: Sequence[str], leaking_twins: bool) -> Iterator[str]:
        """Every system that is trained, each followed by its leaking twin."""
        for name in names:
            if name not in paper.fusions():
                yield name
                if leaking_twins and self.options.best_on_test and self._chooses_epoch(name):
                    yield name + BEST_ON_TEST

    def _chooses_epoch(self, name: str) -> bool:
        return isinstance(self.options.configured(name), Experiment) and name not in paper.CONTROLS

    def _folder(self, name: str, protocol: str) -> Path:
        return self._out / "runs" / protocol / name

    def _train(self, name: str, protocol: str, folds: Sequence[Fold]) -> SystemResult:
        """Train a system, or the leaking twin of one, or read the result of its run folder."""
        options, folder = self.options, self._folder(name, protocol)
        system, seeds = options.configured(name.removesuffix(BEST_ON_TEST)), range(options.seeds)
        label_set = self.corpus.label_set
        system = with_label_set(system, label_set)
        common: dict[str, Any]
        score = RunningScore(folder, folds, seeds, classes(self.corpus.label_set))
        workspace = replace(self._workspace, progress=self._steps(name, score))
        if isinstance(system, Baseline):
            split = self._split(protocol, workspace)
            common = {"seeds": seeds, "label_set": label_set, "split": split}
            result = run_baseline(system, split.utterances, protocol, folder, workspace, **common)
        else:
            if name.endswith(BEST_ON_TEST) and isinstance(system, Experiment):
                title = f"{system.title}, best epoch on test"
                system = replace(system, name=name, title=title, epoch_choice=LEAKING_CHOICE)
            workspace = self._with_user_vectors(system, workspace)
            timed = any(needs_word_times(e, options.vectors) for e in word_encoders(system))
            common = {"seeds": seeds, "workers": options.workers, "accelerator": options.accelerator}
            common["split"] = split = self._split(protocol, workspace, timed=timed)
            if isinstance(system, Fusion):
                result = run_fusion(system, split.utterances, protocol, folder, workspace, **common)
            else:
                (result,) = run_systems([system], split.utterances, protocol, [folder], workspace, **common)
        if name in paper.CONTROLS and result.kind == "system":
            result = replace(result, kind="control")
        self._watch(Event(name, DONE, 1, 1, evaluation.mean_ua(result)))
        return result

    def _with_user_vectors(self, system: Experiment | Fusion, workspace: Workspace) -> Workspace:
        """The workspace of a system, with the user-supplied vectors that it reads."""
        encoders, vectors = word_encoders(system), self.options.vectors
        files = {e.embeddings: path for e in encoders if (path := user_vectors(e, vectors)) is not None}
        if files:
            kinds = ", ".join(files)
            note = lambda text: self._vector_notes.setdefault(f"{kinds}, {text}")  # noqa: E731
            workspace = replace(workspace, vectors=files, notify=note)
        return workspace

    def _combine(
        self,
        names: Sequence[str],
        found: dict[str, SystemResult],
        not_applicable: dict[str, str],
        failed: dict[str, str],
        comparable: bool,
    ) -> None:
        """Add the late fusions among `names` to what was found."""
        for name, row in paper.fusions().items():
            if name not in names:
                continue
            missing = not_applicable | failed
            if lacking := [part for part in row.of if part in missing]:
                reason = f"without {lacking[0]}: {missing[lacking[0]]}"
                self._note(not_applicable, name, NOT_APPLICABLE, reason)
                continue
            parts, published = [found[part] for part in row.of], row.paper_ua if comparable else None
            try:
                found[name] = evaluation.combine(parts, name, row.paper, published)
            except DuettoError as error:
                self._note(failed, name, FAILED, str(error))
                continue
            self._watch(Event(name, DONE, 1, 1, evaluation.mean_ua(found[name])))

    def _note(self, reasons: dict[str, str], name: str, state: str, reason: str) -> None:
        """Record and report why a system has no result."""
        reasons[name] = reason
        self._watch(Event(name, state, detail=reason))

    def _steps(self, name: str, score: RunningScore | None) -> Callable[[str], Progress]:
        """Steps of a system's work, reported as events."""

        def step(description: str) -> Progress:
            def progress(done: int, total: int) -> None:
                self._watch(Event(name, description, done, total, None if score is None else score()))

            progress(0, 0)
            return progress

        return step


def _failure(error: Exception) -> str:
    """What ended a system's work, and what to do."""
    if isinstance(error, DuettoError):
        return str(error)
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        return f"out of memory ({what}); go on with fewer --workers, or --set batch_size=16 in another folder"
    return f"{what}; the same command tries it again"
