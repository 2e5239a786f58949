"""Whole systems from a manifest to results: features, vectors, folds, training, test.

utterances ─ stores ─▶ short-term features, MFCC ─ embeddings ─▶ vectors ┐
          ─ splits ─▶ folds ────────────────────────────────────────────┴─ evaluation ─▶ results
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from . import evaluation, splits
from .embeddings import EmbeddingConfig, Embeddings
from .emotion import Sources
from .errors import ConfigurationError, CorpusError
from .experiment import Experiment
from .features.mfcc import MfccConfig
from .features.short_term import ShortTermConfig
from .features.store import Extractor, FeatureStore, extract_corpus
from .progress import Progress
from .results import SystemResult
from .splits import Fold
from .utterance import Utterance
from .words import vectors as word_vectors
from .words.vectors import Vectors

Step = Callable[[str], "Progress | None"]
"""Called with a description at the start of each step of long work; gives the step its progress callback."""


def silent(_: str) -> None:
    """A `Step` that shows nothing."""


@dataclass(frozen=True)
class Workshop:
    """Where the features and vectors of a corpus are made once and shared by all systems.

    folder: holds features and vectors. embeddings: how vectors are trained. vectors: a file of word
    vectors for each kind (`word2vec`, `speech2vec`, `file`) that the user brings instead.
    """

    folder: Path
    embeddings: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    vectors: Mapping[str, Path] | None = None
    step: Step = silent

    def sources(self, experiment: Experiment, utterances: Sequence[Utterance], folds: Sequence[Fold]) -> Sources:
        """Everything that an experiment reads, computed and trained here, before any system is."""
        frames = None
        if experiment.uses_audio:
            frames = self._store(utterances, ShortTermConfig(mode=experiment.features), "short-term features")
        kind = experiment.embeddings
        if not experiment.uses_words or kind == "random":
            return Sources(frames=frames)
        brought = (self.vectors or {}).get(kind)
        if brought is not None:
            return Sources(frames=frames, vectors=partial(_same, word_vectors.load(brought)))
        if kind == "file":
            raise ConfigurationError(f"system {experiment.name!r} needs a file of word vectors: --vectors FILE")
        config = replace(self.embeddings, dim=experiment.word_dim)
        if kind == "word2vec":
            made = Embeddings(self.folder / "vectors", config)
            return Sources(frames=frames, vectors=made.word2vec)
        made = Embeddings(self.folder / "vectors", config, self._store(utterances, MfccConfig(), "MFCC"))
        for fold in folds:
            made.encoder(fold, self.step(f"Speech2Vec, {fold.name}"))
        if kind == "speech2vec":
            return Sources(frames=frames, vectors=made.speech2vec)
        return Sources(frames=frames, spoken=made.spoken)

    def _store(self, utterances: Sequence[Utterance], config: Extractor, name: str) -> FeatureStore:
        """Features of all utterances. One whose audio cannot be read is an error here, not a smaller
        corpus: a result must state what it was measured on."""
        store = extract_corpus(utterances, self.folder / "features", config, progress=self.step(name))
        unread = {u.id: store.skipped[u.id] for u in utterances if u.id in store.skipped}
        if unread:
            first, reason = next(iter(unread.items()))
            raise CorpusError(
                f"{len(unread)} of {len(utterances)} utterances have no readable audio, such as {first!r}: {reason}. "
                "Repair them, or take them out of the manifest"
            )
        return store


def _same(vectors: Vectors, _: Fold) -> Vectors:
    return vectors


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
) -> list[SystemResult]:
    """Train and score systems on one protocol, each in its own run folder, with shared features and vectors.

    workers: processes that train, each one (system, fold, seed) at a time.
    """
    labelled = [u for u in utterances if u.label is not None]
    folds = splits.folds(protocol, labelled)
    runs = [
        evaluation.Run(experiment, workshop.sources(experiment, labelled, folds), folder)
        for experiment, folder in zip(experiments, folders, strict=True)
    ]
    return evaluation.run_all(
        runs,
        protocol,
        folds,
        seeds=seeds,
        workers=workers,
        accelerator=accelerator,
        devices=devices,
        progress=workshop.step("train " + ", ".join(e.name for e in experiments)),
    )
