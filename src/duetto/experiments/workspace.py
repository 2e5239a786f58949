"""The features and vectors of a corpus, computed once and shared by all systems that are trained on it.

utterances ─ stores ─▶ short-term features, MFCC ─ training.word_embeddings ─▶ vectors ─▶ Sources of an experiment
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

from ..audit import Audit
from ..config.experiment import Experiment, teacher_of
from ..data.text import tokens
from ..data.utterance import Utterance
from ..embeddings import vectors as word_vectors
from ..embeddings.vectors import Vectors
from ..embeddings.vocabulary import count, coverage
from ..errors import ConfigurationError, CorpusError
from ..features.augmented import Augmented
from ..features.content import Contents
from ..features.extractor import Extractor
from ..features.mfcc import MfccConfig
from ..features.registry import feature_spec
from ..features.short_term import ShortTermConfig
from ..features.store import FeatureStore, extract_corpus
from ..splits import Fold
from ..training import Sources
from ..training.word_embeddings import EmbeddingConfig, Embeddings
from ..utils import files
from ..utils.progress import Progress

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
class Workspace:
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
        heard = feature_spec(experiment.features)
        return self._store(utterances, heard.extractor, heard.title)

    def augmented(self, experiment: Experiment, utterances: Sequence[Utterance]) -> tuple[FeatureStore, ...]:
        """The same of each changed copy of the utterances, where the experiment augments its training data."""
        heard, n = feature_spec(experiment.features), experiment.copies
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
