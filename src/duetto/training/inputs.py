"""What a system reads on one fold, and the arrays that its model is trained on.

    FoldInputs ─ fit_preprocessor ─▶ Preprocessor
    utterances + features + WordVectoriser + Preprocessor ─ prepare ─▶ Inputs

`FoldInputs` holds files and memory-mapped features, so it is cheap to send to a worker process; `Inputs` holds arrays.
Training, distillation and rescoring all prepare their inputs here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..config.experiment import DEFAULT_SHRINKAGE, Experiment
from ..data.text import tokens
from ..data.utterance import Utterance, ratings_of
from ..data.votes import soft_label
from ..embeddings import sentences
from ..embeddings import vectors as word_vectors
from ..embeddings.tfidf import Tfidf
from ..embeddings.vectors import Vectors
from ..embeddings.vocabulary import Vocabulary
from ..errors import ConfigurationError
from ..features.registry import feature_spec
from ..inference import OovResolver, SpokenWordEncoder
from ..inference.spoken import OovReplacer, SpokenWordEmbedder
from ..preprocessing import Preprocessor
from ..preprocessing.normalisation import Adaptation, Normaliser, fit_guard
from ..splits import Fold
from .lazy_frames import drawn, lengths_of, within
from .loop import derive

IN_MEMORY = 1 << 30
"""Bytes of prepared frames that are kept in memory; more are normalised anew whenever a batch reads them."""


@dataclass(frozen=True)
class FoldInputs:
    """Everything that one system reads on one fold.

    Attributes:
        fold: Training, development and test utterances.
        frames: Utterance id → (frames, values) input of the acoustic encoder; None for systems without audio.
        augmented: The same of each augmented copy of the training utterances.
        vectors: File of the word vectors that initialise the embedding table; None for a random table.
        mfcc: Utterance id → (frames, 13) MFCC, from which spoken words are embedded; None where no word is.
        encoder: Folder of the Speech2Vec encoder that embeds spoken words; None where no word is.
        resolves_oov: Whether the encoder replaces out-of-vocabulary words by the training words that sound most like
            them, instead of embedding every word.
        teacher: Inputs of the teacher, for a distilled system.
    """

    fold: Fold
    frames: Mapping[str, np.ndarray] | None = None
    augmented: tuple[Mapping[str, np.ndarray], ...] = ()
    vectors: Path | None = None
    mfcc: Mapping[str, np.ndarray] | None = None
    encoder: Path | None = None
    resolves_oov: bool = False
    teacher: FoldInputs | None = None

    def vectoriser(self) -> WordVectoriser:
        """Open the encoder of spoken words, where there is one.

        Returns:
            What reads the words of this fold's utterances.
        """
        if self.encoder is None or self.mfcc is None:
            return WordVectoriser()
        if self.resolves_oov:
            return WordVectoriser(oov_replacer=OovReplacer(self.mfcc, OovResolver.load(self.encoder)))
        return WordVectoriser(spoken=SpokenWordEmbedder(self.encoder, self.mfcc, SpokenWordEncoder(self.encoder)))


@dataclass(frozen=True)
class WordVectoriser:
    """Turns the words of an utterance into the input of the word encoder.

    Attributes:
        spoken: Embeds each word from its own sound; None where words are looked up by their spelling.
        oov_replacer: Replaces out-of-vocabulary words by known ones that sound like them; None leaves them unknown.
    """

    spoken: SpokenWordEmbedder | None = None
    oov_replacer: OovReplacer | None = None

    def __call__(self, utterance: Utterance, preprocessor: Preprocessor) -> np.ndarray:
        """Read the words of one utterance.

        Args:
            utterance: With its transcript, or words with times.
            preprocessor: Of the system.

        Returns:
            Normalised vectors (n, dim) float32, weighted counts (1, n-grams + 1) float32, or ids (n,) int64.
        """
        if self.spoken is not None:
            return preprocessor.normalise_vectors(self.spoken(utterance))
        return preprocessor.encode_words(
            tokens(self.oov_replacer(utterance, preprocessor.vocabulary) if self.oov_replacer else utterance)
        )

    @property
    def sounds(self) -> Vectors | None:
        """Mean embedding of each training word's sound, where out-of-vocabulary words are resolved by it."""
        return self.oov_replacer.resolver.sounds if self.oov_replacer else None


@dataclass(frozen=True)
class Inputs:
    """Prepared utterances, in their order.

    Attributes:
        frames: Of each utterance (frames, values) float32, normalised; None for systems without audio. `LazyFrames` of
            a corpus that is larger than `IN_MEMORY`.
        words: Of each utterance word ids (n,) int64, vectors (n, dim) or weighted counts (1, n-grams + 1) float32;
            None for systems without words.
        target: Class numbers (utterances,) int64; −1 for an utterance without a class.
        soft: Distributions of the annotators' votes (utterances, classes) float32; None without `soft_labels`.
        ratings: Of the experiment's dimensions (utterances, dimensions) float32, NaN where there is none; None without
            `dimensions`.
    """

    frames: Sequence[np.ndarray] | None
    words: Sequence[np.ndarray] | None
    target: np.ndarray
    soft: np.ndarray | None = None
    ratings: np.ndarray | None = None

    @property
    def lengths(self) -> Sequence[int]:
        """Length of the sequence that dominates the cost of an utterance: frames, or else words."""
        return lengths_of(self.frames or self.words or [])

    def with_frames(self, variants: Sequence[Inputs], rng: np.random.Generator) -> Inputs:
        """Draw the frames of each utterance from the variants and its own, all equally likely.

        Args:
            variants: The same utterances with other frames.
            rng: Makes the draw.

        Returns:
            The same utterances with the frames that were drawn.
        """
        candidates = [x.frames for x in (self, *variants) if x.frames]
        choice = rng.integers(len(candidates), size=len(self.target))
        return replace(self, frames=drawn(candidates, choice))

    def only(self, index: np.ndarray) -> Inputs:
        """Select utterances.

        Args:
            index: Their indices.

        Returns:
            These utterances, in the order of the indices.
        """
        frames, words = (None if x is None else [x[i] for i in index] for x in (self.frames, self.words))
        soft, ratings = (None if x is None else x[index] for x in (self.soft, self.ratings))
        return Inputs(frames, words, self.target[index], soft, ratings)


_NO_WORDS = "add transcripts to the manifest, or find words: duetto align MANIFEST -o FILE --by recognise"


@lru_cache(maxsize=4)
def load_vectors(path: Path) -> Vectors:
    """Read a file of word vectors; once in each process.

    Args:
        path: In any format that `embeddings.vectors.load` reads.

    Returns:
        The vectors.
    """
    return word_vectors.load(path)


def fit_preprocessor(
    experiment: Experiment, inputs: FoldInputs, vectoriser: WordVectoriser | None = None
) -> Preprocessor:
    """Fit normalisers and vocabulary on the training part of a fold.

    Args:
        experiment: The system.
        inputs: Its inputs on the fold. The vocabulary also holds every word of `inputs.vectors`.
        vectoriser: `inputs.vectoriser()`, where it is open already.

    Returns:
        The preprocessor, which also prepares development and test data, and recordings to predict.

    Raises:
        ConfigurationError: An utterance has no features, no training utterance of a system that reads words has any, or
            there is no encoder of spoken words for a system that needs one.
    """
    statistics, train = feature_spec(experiment.features).statistics, inputs.fold.train
    normaliser, of_words = Normaliser.identity(statistics), Normaliser.identity(experiment.word_dim)
    vocabulary, tfidf, adaptation = Vocabulary(()), None, None
    # One frame has no statistics of its own, so those of training data stand in for an unknown speaker's.
    of_training = experiment.normalisation in ("train", "shrinkage") or (
        experiment.normalisation == "speaker" and feature_spec(experiment.features).whole_recording
    )
    if experiment.uses_audio and of_training:
        normaliser = Normaliser.fit((frames_of(u, inputs.frames) for u in train), statistics)
    if experiment.normalisation == "shrinkage":
        adaptation = _fit_adaptation(experiment, train, inputs.frames, normaliser)
    if experiment.uses_words and experiment.embeddings == "spoken":
        embed = (vectoriser or inputs.vectoriser()).spoken
        if embed is None:
            raise ConfigurationError(
                f"system {experiment.name!r} embeds spoken words; give FoldInputs encoder and mfcc"
            )
        of_words = Normaliser.fit((embed(u) for u in train), embed.encoder.dim)
    elif experiment.counts_words:
        tfidf = _tfidf(experiment, train)
        vocabulary = tfidf.vocabulary
        if experiment.sentences:
            of_words = _of_sentences(Path(experiment.sentences), train)
    elif experiment.uses_words:
        vocabulary = _vocabulary(experiment, train, inputs.vectors)
    ranges = _ranges(experiment, learned(experiment, inputs.fold))
    return Preprocessor(experiment, normaliser, vocabulary, of_words, tfidf, adaptation, ranges)


def learned(experiment: Experiment, fold: Fold) -> tuple[Utterance, ...]:
    """List the utterances that a system is trained on.

    Args:
        experiment: The system.
        fold: The fold.

    Returns:
        Those of its training part, and with dimensions those that have only ratings.
    """
    return (*fold.train, *fold.rated) if experiment.dimensions else fold.train


def _ranges(experiment: Experiment, train: Sequence[Utterance]) -> tuple[tuple[float, float], ...]:
    """(lowest, highest) rating of each dimension."""
    return tuple((float(np.nanmin(x)), float(np.nanmax(x))) for x in ratings_of(train, experiment.dimensions).T)


def _tfidf(experiment: Experiment, train: Sequence[Utterance]) -> Tfidf:
    """N-grams of the training transcripts."""
    found = Tfidf.fit(map(tokens, train))
    if not found.terms:
        raise ConfigurationError(
            f"system {experiment.name!r} counts words that occur in two training utterances, and there are none; "
            f"{_NO_WORDS}"
        )
    return found


def _of_sentences(folder: Path, train: Sequence[Utterance]) -> Normaliser:
    """Statistics of the sentence embeddings of the training transcripts."""
    embedded = [sentences.embed(folder, tuple(tokens(u)))[None] for u in train if tokens(u)]
    return Normaliser.fit(embedded, sentences.opened(folder).dim)


def _fit_adaptation(
    experiment: Experiment, train: Sequence[Utterance], frames: Mapping[str, np.ndarray] | None, normaliser: Normaliser
) -> Adaptation:
    """The shrinkage, and the guard where the training speakers allow one."""
    known = {
        speaker: {u.label for u in train if u.speaker == speaker} for speaker in {u.speaker for u in train} - {None}
    }
    if not any(len(labels) > 1 for labels in known.values()):
        raise ConfigurationError(
            f"system {experiment.name!r} adapts to speakers, and no training speaker is known to show several "
            'emotions; add speakers to the manifest, or set normalisation = "train"'
        )
    z = np.stack([normaliser(frames_of(u, frames)).reshape(-1, len(normaliser.mean)).mean(0) for u in train])
    labels = np.unique([str(u.label) for u in train], return_inverse=True)[1]
    guard = fit_guard(z, labels, np.array([u.speaker or "" for u in train]))
    return Adaptation(experiment.shrinkage or DEFAULT_SHRINKAGE, guard)


def _vocabulary(experiment: Experiment, train: Sequence[Utterance], vectors: Path | None) -> Vocabulary:
    """Words of the training transcripts, then those of the vectors."""
    vocabulary = Vocabulary.build([tokens(u) for u in train])
    if not vocabulary.words:
        raise ConfigurationError(
            f"system {experiment.name!r} reads words and no training utterance has any; {_NO_WORDS}"
        )
    if vectors is None:
        return vocabulary
    trained = set(vocabulary.words)
    return Vocabulary((*vocabulary.words, *(w for w in load_vectors(vectors).words if w not in trained)))


def prepare(
    utterances: Sequence[Utterance],
    preprocessor: Preprocessor,
    frames: Mapping[str, np.ndarray] | None = None,
    vectoriser: WordVectoriser | None = None,
    *,
    seed: int = 0,
) -> Inputs:
    """Prepare utterances for the model of a system.

    Args:
        utterances: Labelled.
        preprocessor: Of the system.
        frames: Utterance id → (frames, values) features; may be None for systems without audio.
        vectoriser: Of words; by default they are looked up by their spelling.
        seed: Of the order of words, for experiments that shuffle them.

    Returns:
        The arrays. Where the experiment normalises by speaker, the statistics of each are taken over all frames of
        that speaker in `utterances`; labels are not used. With `shrinkage` it is as if every utterance were its
        speaker's first (`training.adapted` for later ones).

    Raises:
        ConfigurationError: An utterance has no features.
    """
    experiment = preprocessor.experiment
    numbers = {label: number for number, label in enumerate(preprocessor.classes)}
    return Inputs(
        _prepared_frames(utterances, preprocessor, frames) if experiment.uses_audio else None,
        _prepared_words(utterances, preprocessor, vectoriser or WordVectoriser(), seed)
        if experiment.uses_words
        else None,
        np.array([-1 if u.label is None else numbers[u.label] for u in utterances], np.int64),
        np.stack([soft_label(u, preprocessor.classes) for u in utterances])
        if experiment.soft_labels and utterances
        else None,
        ratings_of(utterances, experiment.dimensions).astype(np.float32) if experiment.dimensions else None,
    )


def _prepared_frames(
    utterances: Sequence[Utterance], preprocessor: Preprocessor, frames: Mapping[str, np.ndarray] | None
) -> Sequence[np.ndarray]:
    by_speaker: dict[str | None, Normaliser] = {}
    if preprocessor.experiment.normalisation == "speaker":
        groups: dict[str | None, list[np.ndarray]] = defaultdict(list)
        for utterance in utterances:
            groups[utterance.speaker].append(frames_of(utterance, frames))
        width = len(preprocessor.normaliser.mean)
        by_speaker = {speaker: Normaliser.fit(xs, width) for speaker, xs in groups.items()}

    def read(number: int) -> np.ndarray:
        utterance = utterances[number]
        return preprocessor.normalise_frames(frames_of(utterance, frames), by_speaker.get(utterance.speaker))

    return within(IN_MEMORY, read, [len(frames_of(u, frames)) for u in utterances])


def _prepared_words(
    utterances: Sequence[Utterance], preprocessor: Preprocessor, vectoriser: WordVectoriser, seed: int
) -> list[np.ndarray]:
    words = [vectoriser(u, preprocessor) for u in utterances]
    if preprocessor.experiment.word_order == "shuffled":
        words = [_shuffled(preprocessor.truncate_words(x), seed, u.id) for x, u in zip(words, utterances, strict=True)]
    return words


def frames_of(utterance: Utterance, frames: Mapping[str, np.ndarray] | None) -> np.ndarray:
    """Look up the features of an utterance.

    Args:
        utterance: The utterance.
        frames: Utterance id → (frames, values).

    Returns:
        Its features.

    Raises:
        ConfigurationError: It has none.
    """
    if frames is None or utterance.id not in frames:
        raise ConfigurationError(f"utterance {utterance.id!r} has no features; extract them first: duetto features")
    return frames[utterance.id]


def _shuffled(words: np.ndarray, seed: int, identifier: str) -> np.ndarray:
    """The same words in an order that depends on seed and utterance id alone."""
    return np.random.default_rng(derive(seed, "word order", identifier)).permutation(words)
