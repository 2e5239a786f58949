"""Whole systems from a manifest to results: features, vectors, folds, training, test.

utterances ─ stores ─▶ short-term features, MFCC ─ embeddings ─▶ vectors ┐
          ─ splits ─▶ folds ────────────────────────────────────────────┴─ evaluation ─▶ results
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from . import audit, classical, evaluation, labels, runs, splits
from .audit import Audit
from .augment import Augmented
from .baselines import BASELINES, Baseline, Inputs
from .embeddings import AlikeWords, EmbeddingConfig, Embeddings, SpokenWords
from .emotion import Reader, Sources, prepare
from .errors import ConfigurationError, CorpusError
from .experiment import SYSTEMS, Experiment, load, teacher_of
from .features.content import Contents
from .features.kinds import kind
from .features.mfcc import MfccConfig
from .features.short_term import ShortTermConfig
from .features.store import Extractor, FeatureStore, extract_corpus
from .labels import classes
from .progress import Progress
from .results import SystemResult, from_utterances
from .runtime import Session, SoundAlikes, SpokenEncoder
from .splits import Fold
from .training import check_accelerator
from .utils import files
from .utterance import Utterance
from .words import vectors as word_vectors
from .words.vectors import Vectors
from .words.vocabulary import count, coverage, tokens

Step = Callable[[str], "Progress | None"]
"""Called with a description at the start of each step of long work; gives the step its progress callback."""


def silent(_: str) -> None:
    """A `Step` that shows nothing."""


@dataclass(frozen=True)
class _Split:
    """Utterances (kept, so that their identity stays theirs), their folds on one protocol, and the audit of these."""

    utterances: Sequence[Utterance]
    labelled: list[Utterance]
    folds: list[Fold]
    checked: Audit


@dataclass(frozen=True)
class Workshop:
    """Where the features and vectors of a corpus are made once and shared by all systems.

    folder: holds features and vectors. embeddings: how vectors are trained. vectors: a file of word
    vectors for each kind (`word2vec`, `speech2vec`, `file`) that the user brings instead. say: told what a
    user should know, such as how much of the corpus the vectors cover.
    """

    folder: Path
    embeddings: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    vectors: Mapping[str, Path] | None = None
    step: Step = silent
    say: Callable[[str], object] = silent
    _stores: dict[str, FeatureStore] = field(default_factory=dict, repr=False, compare=False)
    _contents: Contents = field(default_factory=Contents, repr=False, compare=False)
    _splits: dict[tuple[str, bool, int], _Split] = field(default_factory=dict, repr=False, compare=False)

    def contents(self, utterances: Sequence[Utterance]) -> Contents:
        """Digests of the recordings, all read here, where that can be seen."""
        self._contents((u.audio.absolute() for u in utterances), self.step("read the recordings"))
        return self._contents

    def sources(self, experiment: Experiment, utterances: Sequence[Utterance], folds: Sequence[Fold]) -> Sources:
        """Everything that an experiment and its teacher read, computed and trained here, before any system is."""
        files.recover(self.folder / "vectors")
        own, teacher = self._sources(experiment, utterances, folds), teacher_of(experiment)
        own = replace(own, augmented=self.augmented(experiment, utterances))
        return own if teacher is None else replace(own, teacher=self.sources(teacher, utterances, folds))

    def _sources(self, experiment: Experiment, utterances: Sequence[Utterance], folds: Sequence[Fold]) -> Sources:
        frames = self.frames(experiment, utterances)
        kind = experiment.embeddings
        if not experiment.uses_words:
            return Sources(frames=frames)
        alikes = None
        if experiment.unknown == "spoken" and kind != "spoken":
            alikes = self._encoders(experiment, utterances, folds).alikes
        if kind == "random":
            return Sources(frames=frames, alikes=alikes)
        brought = (self.vectors or {}).get(kind)
        if brought is not None:
            vectors = _loaded(brought)
            found = coverage(count(tokens(utterance) for utterance in utterances), vectors)
            self.say(
                f"vectors of {brought.name}: {found.type_rate:.1%} of the corpus' {found.types} word types, "
                f"{found.token_rate:.1%} of its words; the others: {experiment.unknown}"
            )
            return Sources(frames=frames, vectors=partial(_brought, brought), alikes=alikes)
        if kind == "file":
            raise ConfigurationError(f"system {experiment.name!r} needs a file of word vectors: --vectors FILE")
        if kind == "word2vec":
            made = Embeddings(self.folder / "vectors", replace(self.embeddings, dim=experiment.word_dim))
            return Sources(frames=frames, vectors=made.word2vec, alikes=alikes)
        made = self._encoders(experiment, utterances, folds)
        if kind == "speech2vec":
            return Sources(frames=frames, vectors=made.speech2vec, alikes=alikes)
        return Sources(frames=frames, spoken=made.spoken)

    def _encoders(self, experiment: Experiment, utterances: Sequence[Utterance], folds: Sequence[Fold]) -> Embeddings:
        """Embeddings whose Speech2Vec is trained on every fold."""
        config = replace(self.embeddings, dim=experiment.word_dim)
        made = Embeddings(self.folder / "vectors", config, self.mfcc(utterances))
        for fold in folds:
            if not made.has_encoder(fold):
                made.encoder(fold, self.step(f"train Speech2Vec, {fold.name}"))
        return made

    def reads(self, experiment: Experiment) -> str:
        """What the experiment learns from beside the corpus, for its run.json: word vectors, by the digest of their
        file or by how they are trained; the weights it starts from; its teacher, and what that one reads."""
        parts = [self._vectors(experiment)]
        if experiment.initial:
            parts.append(_digest(Path(experiment.initial)))
        if (teacher := teacher_of(experiment)) is not None:
            parts += [teacher.to_json(), self.reads(teacher)]
        return " ".join(filter(None, parts))

    def _vectors(self, experiment: Experiment) -> str:
        if not experiment.uses_words:
            return ""
        trained = repr(replace(self.embeddings, dim=experiment.word_dim))
        brought = (self.vectors or {}).get(experiment.embeddings)
        by_sound = f"unknown words by {trained}" if experiment.unknown == "spoken" else ""
        if experiment.embeddings == "random":
            return by_sound
        return trained if brought is None else ", ".join(filter(None, (_digest(brought), by_sound)))

    def frames(self, experiment: Experiment, utterances: Sequence[Utterance]) -> FeatureStore | None:
        """What the acoustic encoder hears, where there is one."""
        if not experiment.uses_audio:
            return None
        heard = kind(experiment.features)
        return self._store(utterances, heard.extractor, heard.title)

    def augmented(self, experiment: Experiment, utterances: Sequence[Utterance]) -> tuple[FeatureStore, ...]:
        """The same of each changed copy of the utterances, where the experiment augments its training data."""
        heard, n = kind(experiment.features), experiment.copies
        names = [f"{heard.title}, copy {i + 1} of {n}" for i in range(n)]
        return tuple(self._store(utterances, Augmented(heard.extractor, copy), name) for copy, name in enumerate(names))

    def short_term(self, utterances: Sequence[Utterance]) -> FeatureStore:
        """The corrected short-term features, which baselines hear."""
        return self._store(utterances, ShortTermConfig(), "short-term features")

    def mfcc(self, utterances: Sequence[Utterance]) -> FeatureStore:
        """What Speech2Vec hears."""
        return self._store(utterances, MfccConfig(), "MFCC")

    def _store(self, utterances: Sequence[Utterance], config: Extractor, name: str) -> FeatureStore:
        """Features of all utterances. One whose audio cannot be read is an error here, not a smaller
        corpus: a result must state what it was measured on."""
        store = self._stores.get(config.key())
        if store is None or not all(utterance.id in store for utterance in utterances):
            store = extract_corpus(
                utterances, self.folder / "features", config, contents=self._contents, progress=self.step(name)
            )
            self._stores[config.key()] = store
        unread = {u.id: store.skipped[u.id] for u in utterances if u.id in store.skipped}
        if unread:
            first, reason = next(iter(unread.items()))
            raise CorpusError(
                f"{len(unread)} of {len(utterances)} utterances have no readable audio, such as {first!r}: {reason}. "
                "Repair them, or take them out of the manifest"
            )
        return store


@lru_cache(maxsize=4)
def _loaded(path: Path) -> Vectors:
    """A file of vectors; every process that trains reads it once."""
    return word_vectors.load(path)


def _brought(path: Path, _: Fold) -> Vectors:
    return _loaded(path)


def _digest(path: Path) -> str:
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file")
    with path.open("rb") as file:
        return f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def named(system: str) -> Experiment | Baseline:
    """The system of a name in `SYSTEMS`, the baseline of one in `BASELINES`, or the experiment of a TOML file."""
    if system in BASELINES and system not in SYSTEMS:
        return BASELINES[system]
    if system not in SYSTEMS and not Path(system).is_file():
        raise ConfigurationError(
            f"{system!r} is no system, no baseline and no file; systems are {', '.join(SYSTEMS)}; "
            f"baselines are {', '.join(BASELINES)}; any TOML experiment file works as well"
        )
    return load(system)


def run_systems(
    experiments: Sequence[Experiment],
    utterances: Sequence[Utterance],
    protocol: str,
    folders: Sequence[Path],
    workshop: Workshop,
    *,
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    accelerator: str = "cpu",
    devices: int = 1,
    declare_leak: bool = False,
) -> list[SystemResult]:
    """Train and score systems on one protocol, each in its own run folder, with shared features and vectors.

    workers: processes that train, each one (system, fold, seed) at a time. declare_leak: train although the audit
    finds a leak; the results are then marked as such. Every run folder gets its audit (audit.json).
    Errors: a leak that is not declared, whatever an experiment cannot use, a folder of another run, or one in which
    another process trains.
    """
    for experiment in experiments:
        labels.checked(utterances, experiment.label_set)
    check_accelerator(accelerator)
    labelled, folds, checked = split(utterances, protocol, workshop, declare_leak)
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(runs.held(folder))
        contents = workshop.contents(labelled)
        for experiment, folder in zip(experiments, folders, strict=True):  # before hours of work on what it reads
            reads = workshop.reads(experiment)
            runs.check(folder, runs.describe(experiment, protocol, folds, seeds, reads, contents))
        planned = [
            evaluation.Run(
                experiment, workshop.sources(experiment, labelled, folds), folder, workshop.reads(experiment)
            )
            for experiment, folder in zip(experiments, folders, strict=True)
        ]
        results = evaluation.run_all(
            planned,
            protocol,
            folds,
            seeds=seeds,
            workers=workers,
            accelerator=accelerator,
            devices=devices,
            leak=bool(checked.leaks),
            contents=contents,
            progress=workshop.step("train " + ", ".join(e.name for e in experiments)),
        )
        for experiment, folder in zip(experiments, folders, strict=True):
            brought = (workshop.vectors or {}).get((teacher_of(experiment) or experiment).embeddings)
            name = None if brought is None else brought.name
            features = workshop.folder / "features"
            evaluation.save_controls(folds, classes(experiment.label_set), folder)
            audit.save(audit.audit_run(folder, labelled, features=features, split=checked, vectors=name), folder)
        return results


def run_baseline(
    baseline: Baseline,
    utterances: Sequence[Utterance],
    protocol: str,
    folder: Path,
    workshop: Workshop,
    *,
    seeds: Sequence[int] = (0,),
    declare_leak: bool = False,
) -> SystemResult:
    """Fit and score a classical baseline on one protocol, in a run folder with its audit; see `classical`.

    declare_leak, errors: as `run_systems`.
    """
    labelled, folds, checked = split(utterances, protocol, workshop, declare_leak)
    with runs.held(folder):
        contents = workshop.contents(labelled)
        runs.check(folder, runs.describe(baseline, protocol, folds, seeds, contents=contents))
        inputs = Inputs(
            frames=workshop.short_term(labelled) if "frames" in baseline.needs else None,
            tokens={u.id: tokens(u) for u in labelled} if "words" in baseline.needs else None,
        )
        step = workshop.step(f"train {baseline.name}")
        how = {"seeds": seeds, "leak": bool(checked.leaks), "contents": contents, "progress": step}
        result = classical.run(baseline, inputs, protocol, folds, folder, **how)
        evaluation.save_controls(folds, result.classes, folder)
        audit.save(checked, folder)
    return result


def split(
    utterances: Sequence[Utterance], protocol: str, workshop: Workshop, declare_leak: bool
) -> tuple[list[Utterance], list[Fold], Audit]:
    """The utterances that have a label, their folds, and the audit of these; a leak must be declared.

    The same list of utterances is split and audited once in a workshop, however many systems are trained on it.
    """
    key = (protocol, declare_leak, id(utterances))
    if (known := workshop._splits.get(key)) is not None:
        return known.labelled, known.folds, known.checked
    labelled = [u for u in utterances if u.label is not None]
    folds = splits.folds(protocol, labelled)
    checked = audit.audit_folds(folds, protocol, declared=declare_leak, progress=workshop.step("audit the split"))
    if checked.verdict == "leak":
        raise ConfigurationError(_refusal(checked))
    workshop._splits[key] = _Split(utterances, labelled, folds, checked)
    return labelled, folds, checked


def _refusal(checked: Audit) -> str:
    """Why a split is not trained on, and what to do."""
    first, *others = checked.leaks
    where = "" if first.fold is None else f" (fold {first.fold!r}, such as {', '.join(first.evidence['examples'])})"
    more = f" and {len(others)} more: {', '.join(sorted({f.kind for f in others}))}." if others else ""
    return (
        f"protocol {checked.protocol!r} leaks here: {first.detail}{where}.{more} A figure on such test data says "
        "nothing about new speech. See all of it: duetto audit MANIFEST --protocol NAME. Repair the manifest or choose "
        "another protocol; to train all the same, with the results marked as a leak: --declare-leak (declare_leak=True)"
    )


def rescore(folder: Path, utterances: Sequence[Utterance], workshop: Workshop, words: str) -> SystemResult:
    """A finished run, scored again on its own test utterances with other words: recognised, or merely segmented.

    utterances: all test utterances of the run, with those words. words: what to call them in a table.
    Nothing is trained; answers come from the exported models, as in prediction.
    """
    described, experiment = runs.read(folder), runs.experiment_of(folder)
    if not experiment.uses_words:
        raise ConfigurationError(f"{folder}: system {experiment.name!r} reads no words")
    by_id = {utterance.id: utterance for utterance in utterances}
    lacking = [i for fold in described["folds"] for i in fold["test"] if i not in by_id]
    if lacking:
        raise ConfigurationError(
            f"{len(lacking)} test utterances of {folder} are not in the manifest: {lacking[0]!r}, …"
        )
    tests = [[by_id[i] for i in fold["test"]] for fold in described["folds"]]
    tested = [utterance for test in tests for utterance in test]
    frames = workshop.frames(experiment, tested)
    alike = experiment.unknown == "spoken" and experiment.embeddings != "spoken"
    mfcc = workshop.mfcc(tested) if alike or experiment.embeddings == "spoken" else None
    seeds = described["seeds"]
    logits = np.zeros((len(seeds), len(tested), len(classes(experiment.label_set))))
    temperature = np.ones((len(seeds), len(tests)))
    for s, seed in enumerate(seeds):
        first = 0
        for f, test in enumerate(tests):
            part = folder / runs.member(f, seed)
            session = Session(part)
            reader = Reader()
            if mfcc is not None and alike:
                reader = Reader(alikes=AlikeWords(mfcc, SoundAlikes.load(part)))
            elif mfcc is not None:
                reader = Reader(spoken=SpokenWords(part, mfcc, SpokenEncoder(part)))
            inputs = prepare(test, session.front, Sources(frames=frames), reader, seed=seed)
            logits[s, first : first + len(test)] = session.answer(inputs.frames, inputs.words)
            temperature[s, f] = session.temperature
            first += len(test)
    return from_utterances(
        f"{experiment.name} ({words})",
        tested,
        classes(experiment.label_set),
        logits,
        seeds,
        title=f"{experiment.title}; {words} words",
        fold=np.repeat(np.arange(len(tests)), [len(test) for test in tests]),
        temperature=temperature,
        kind=runs.result_of(folder).kind,  # one that leaks does so with any words
    )
