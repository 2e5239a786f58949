"""A folder that caches the features and word vectors of a corpus, shared by all systems trained on it.

utterances ─ Workspace ─▶ Features (memory-mapped); FOLDER/features/, FOLDER/vectors/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..config.experiment import Experiment, teacher_of
from ..data.utterance import Utterance
from ..errors import CorpusError
from ..features.augmented import Augmented
from ..features.content import Contents
from ..features.extractor import Extractor
from ..features.mfcc import MfccConfig
from ..features.registry import feature_spec
from ..features.short_term import ShortTermConfig
from ..features.store import FeatureStore, extract_corpus
from ..training.word_embeddings import EmbeddingConfig
from ..utils.progress import Progress

StepProgress = Callable[[str], "Progress | None"]
"""Begins a step of long work: called with its description, it returns the progress callback of that step, if any."""


def silent(text: str) -> None:
    """Ignore a step or a notice.

    Args:
        text: Its description.
    """


@dataclass(frozen=True)
class Features:
    """Features of a corpus that one system reads, by utterance id.

    Attributes:
        frames: Input of the acoustic encoder; None for systems without audio.
        augmented: The same of each augmented copy.
        mfcc: From which spoken words are embedded; None where no word is.
        teacher: Features that the teacher of a distilled system reads.
    """

    frames: FeatureStore | None
    augmented: tuple[FeatureStore, ...]
    mfcc: FeatureStore | None
    teacher: Features | None


@dataclass(frozen=True)
class Workspace:
    """A folder that caches features and word vectors of a corpus.

    Attributes:
        folder: Where they are kept.
        embeddings: How word vectors are trained; each system sets their dimension.
        vectors: User-supplied files of word vectors, by the experiment's `embeddings` (`word2vec`, `speech2vec`,
            `file`); others are trained.
        progress: Called at the beginning of each step.
        notify: Called with notices for the user, such as how much of the corpus the vectors cover.
    """

    folder: Path
    embeddings: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    vectors: Mapping[str, Path] | None = None
    progress: StepProgress = silent
    notify: Callable[[str], object] = silent
    _stores: dict[str, FeatureStore] = field(default_factory=dict, repr=False, compare=False)
    _contents: Contents = field(default_factory=Contents, repr=False, compare=False)

    @property
    def features_folder(self) -> Path:
        """Folder of the feature stores."""
        return self.folder / "features"

    @property
    def vectors_folder(self) -> Path:
        """Folder of trained word vectors and Speech2Vec encoders."""
        return self.folder / "vectors"

    def supplied_vectors(self, experiment: Experiment) -> Path | None:
        """Look up the user-supplied word vectors of a system.

        Args:
            experiment: The system.

        Returns:
            Their file; None where there is none, or the system uses none.
        """
        usable = experiment.uses_words and experiment.embeddings not in ("random", "spoken")
        return (self.vectors or {}).get(experiment.embeddings) if usable else None

    def contents(self, utterances: Sequence[Utterance]) -> Contents:
        """Read all recordings, as a step of its own.

        Args:
            utterances: Whose recordings to read.

        Returns:
            Digests of the recordings.
        """
        self._contents((u.audio.absolute() for u in utterances), self.progress("read the recordings"))
        return self._contents

    def features(self, experiment: Experiment, utterances: Sequence[Utterance]) -> Features:
        """Extract everything that a system and its teacher read from audio, unless it is cached.

        Args:
            experiment: The system.
            utterances: The whole corpus.

        Returns:
            Memory-mapped features.

        Raises:
            CorpusError: A recording cannot be read.
        """
        teacher = teacher_of(experiment)
        return Features(
            frames=self.frames(experiment, utterances),
            augmented=self.augmented(experiment, utterances),
            mfcc=self.mfcc(utterances) if self._embeds_speech(experiment) else None,
            teacher=None if teacher is None else self.features(teacher, utterances),
        )

    def _embeds_speech(self, experiment: Experiment) -> bool:
        """Whether a Speech2Vec encoder is trained for a system: for its vectors, or for out-of-vocabulary words."""
        trained = experiment.embeddings in ("speech2vec", "spoken") and self.supplied_vectors(experiment) is None
        return experiment.uses_words and (trained or experiment.unknown == "spoken")

    def frames(self, experiment: Experiment, utterances: Sequence[Utterance]) -> FeatureStore | None:
        """Extract the input of a system's acoustic encoder.

        Args:
            experiment: The system.
            utterances: The whole corpus.

        Returns:
            Features; None for systems without audio.
        """
        if not experiment.uses_audio:
            return None
        spec = feature_spec(experiment.features, speech_only=experiment.speech_only)
        return self._store(utterances, spec.extractor, spec.title)

    def augmented(self, experiment: Experiment, utterances: Sequence[Utterance]) -> tuple[FeatureStore, ...]:
        """Extract the input of a system's acoustic encoder from augmented copies of the recordings.

        Args:
            experiment: The system: how many copies, and of which features.
            utterances: The whole corpus.

        Returns:
            Features of each copy; none where the experiment augments nothing.
        """
        spec, n = feature_spec(experiment.features, speech_only=experiment.speech_only), experiment.copies
        names = [f"{spec.title}, copy {i + 1} of {n}" for i in range(n)]
        return tuple(self._store(utterances, Augmented(spec.extractor, copy), name) for copy, name in enumerate(names))

    def short_term(self, utterances: Sequence[Utterance]) -> FeatureStore:
        """Extract the corrected short-term features, which baselines read.

        Args:
            utterances: The whole corpus.

        Returns:
            Features (frames, 34).
        """
        return self._store(utterances, ShortTermConfig(), "short-term features")

    def mfcc(self, utterances: Sequence[Utterance]) -> FeatureStore:
        """Extract the MFCC that Speech2Vec reads.

        Args:
            utterances: The whole corpus.

        Returns:
            Features (frames, 13).
        """
        return self._store(utterances, MfccConfig(), "MFCC")

    def _store(self, utterances: Sequence[Utterance], config: Extractor, name: str) -> FeatureStore:
        """Features of all utterances.

        An utterance whose audio cannot be read is an error here, not a smaller corpus: a result must state what it was
        measured on.
        """
        store = self._stores.get(config.key())
        if store is None or not all(utterance.id in store for utterance in utterances):
            progress = self.progress(name)
            store = extract_corpus(utterances, self.features_folder, config, contents=self._contents, progress=progress)
            self._stores[config.key()] = store
        unread = {u.id: store.skipped[u.id] for u in utterances if u.id in store.skipped}
        if unread:
            first, reason = next(iter(unread.items()))
            raise CorpusError(
                f"{len(unread)} of {len(utterances)} utterances have no readable audio, such as {first!r}: {reason}. "
                "Repair them, or take them out of the manifest"
            )
        return store
