"""What a system reads of each utterance, prepared for training and evaluation alike.

Fold + Sources ─ fit_preprocessor ─▶ Preprocessor ─ prepare ─▶ Inputs ─ Batches ─▶ models.emotion.Batch
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..config.experiment import Experiment
from ..data.text import tokens
from ..data.utterance import Utterance
from ..embeddings.vectors import Vectors
from ..embeddings.vocabulary import Vocabulary
from ..errors import ConfigurationError
from ..features.registry import feature_spec
from ..inference import SpokenEncoder
from ..inference.spoken import AlikeWords, SpokenWords
from ..models.emotion import Batch
from ..preprocessing import Normaliser, Preprocessor
from ..splits import Fold
from .loop import derive


@dataclass(frozen=True)
class Sources:
    """Where a system's inputs come from.

    frames: utterance id → (frames, values) of what the acoustic encoder hears; None for systems without audio.
    augmented: the same of each changed copy, for experiments that augment their training data.
    vectors: fold → word vectors that initialise the embedding table; None for a random table.
    spoken: fold → what embeds the spoken words of an utterance from their sound; where it is given there
        is no table.
    alikes: fold → what spells unknown words as known ones that sound like them; None leaves them unknown.
    teacher: what the teacher of a distilled system reads.
    """

    frames: Mapping[str, np.ndarray] | None = None
    augmented: tuple[Mapping[str, np.ndarray], ...] = ()
    vectors: Callable[[Fold], Vectors] | None = None
    spoken: Callable[[Fold], SpokenWords] | None = None
    alikes: Callable[[Fold], AlikeWords] | None = None
    teacher: Sources | None = None

    def reader(self, fold: Fold) -> Reader:
        """How the words of a fold's utterances are read."""
        return Reader(self.spoken and self.spoken(fold), self.alikes and self.alikes(fold))


@dataclass(frozen=True)
class Reader:
    """How the words of an utterance are read: each by its own sound (`spoken`), or looked up by its spelling, where
    an unknown one may be replaced by a known one that sounds like it (`alikes`)."""

    spoken: SpokenWords | None = None
    alikes: AlikeWords | None = None

    def __call__(self, utterance: Utterance, preprocessor: Preprocessor) -> np.ndarray:
        """What the second encoder reads: vectors (n, dim) float32 or ids (n,) int64."""
        if self.spoken is not None:
            return preprocessor.normalise_vectors(self.spoken(utterance))
        return preprocessor.ids(tokens(self.alikes(utterance, preprocessor.vocabulary) if self.alikes else utterance))

    @property
    def encoder(self) -> SpokenEncoder | None:
        """What hears words, for a prediction that must do the same."""
        return self.spoken.encoder if self.spoken else self.alikes.alikes.encoder if self.alikes else None


@dataclass(frozen=True)
class Inputs:
    """Prepared utterances: normalised frames, word ids, class numbers (n,)."""

    frames: list[np.ndarray] | None
    words: list[np.ndarray] | None
    target: np.ndarray

    @property
    def lengths(self) -> list[int]:
        """What decides how long a sequence takes: frames, or words where there are no frames."""
        return [len(x) for x in (self.frames or self.words or [])]

    def with_frames(self, variants: Sequence[Inputs], rng: np.random.Generator) -> Inputs:
        """The same utterances, each with the frames of one of these variants or its own, each as likely."""
        heard = [x.frames for x in (self, *variants) if x.frames]
        choice = rng.integers(len(heard), size=len(self.target))
        return replace(self, frames=[heard[c][i] for i, c in enumerate(choice)])

    def only(self, index: np.ndarray) -> Inputs:
        """The utterances of these indices, in their order."""
        frames, words = (None if x is None else [x[i] for i in index] for x in (self.frames, self.words))
        return Inputs(frames, words, self.target[index])


def fit_preprocessor(experiment: Experiment, fold: Fold, sources: Sources) -> Preprocessor:
    """Fit normaliser and vocabulary on the training part. The table also holds every word of the vectors
    that are given: they were learned elsewhere."""
    statistics = feature_spec(experiment.features).statistics
    normaliser, of_words = Normaliser.identity(statistics), Normaliser.identity(experiment.word_dim)
    if experiment.uses_audio and experiment.normalisation == "train":
        normaliser = Normaliser.fit((_frames(sources, u) for u in fold.train), statistics)
    vocabulary = Vocabulary(())
    if experiment.uses_words and sources.spoken is not None:
        embed = sources.spoken(fold)
        of_words = Normaliser.fit((embed(u) for u in fold.train), embed.encoder.dim)
    elif experiment.uses_words:
        vocabulary = Vocabulary.build([tokens(u) for u in fold.train])
        if not vocabulary.words:
            raise ConfigurationError(
                f"system {experiment.name!r} reads words and no training utterance has any; add transcripts to the "
                "manifest, or find words: duetto align MANIFEST -o FILE --by recognise"
            )
        if sources.vectors is not None:
            known = set(vocabulary.words)
            vocabulary = Vocabulary((*vocabulary.words, *(w for w in sources.vectors(fold).words if w not in known)))
    return Preprocessor(experiment, normaliser, vocabulary, of_words)


def _frames(sources: Sources, utterance: Utterance) -> np.ndarray:
    if sources.frames is None or utterance.id not in sources.frames:
        raise ConfigurationError(f"utterance {utterance.id!r} has no features; extract them first: duetto features")
    return sources.frames[utterance.id]


def prepare(
    utterances: Sequence[Utterance],
    preprocessor: Preprocessor,
    sources: Sources,
    reader: Reader | None = None,
    *,
    seed: int = 0,
) -> Inputs:
    """Everything of `utterances` that the system reads. reader: of the fold, for systems that read words by their
    sound. seed: of the order of words, where the experiment shuffles them.

    Speakers' statistics, where the experiment normalises by them, are taken over all frames of that speaker
    here, labels unseen.
    """
    experiment = preprocessor.experiment
    frames = words = None
    if experiment.uses_audio:
        by_speaker: dict[str | None, Normaliser] = {}
        if experiment.normalisation == "speaker":
            groups: dict[str | None, list[np.ndarray]] = defaultdict(list)
            for utterance in utterances:
                groups[utterance.speaker].append(_frames(sources, utterance))
            by_speaker = {
                speaker: Normaliser.fit(xs, len(preprocessor.normaliser.mean)) for speaker, xs in groups.items()
            }
        frames = [preprocessor.normalise_frames(_frames(sources, u), by_speaker.get(u.speaker)) for u in utterances]
    if experiment.uses_words:
        reader = reader or Reader()
        words = [reader(u, preprocessor) for u in utterances]
        if experiment.word_order == "shuffled":
            words = [
                _shuffled(preprocessor.truncate_words(x), seed, u.id) for x, u in zip(words, utterances, strict=True)
            ]
    numbers = {label: number for number, label in enumerate(preprocessor.classes)}
    return Inputs(frames, words, np.array([numbers[str(u.label)] for u in utterances], np.int64))


def _shuffled(words: np.ndarray, seed: int, identifier: str) -> np.ndarray:
    """The same words in an order that seed and utterance id decide."""
    return np.random.default_rng(derive(seed, "word order", identifier)).permutation(words)


class Batches:
    """Batches of prepared utterances. They are kept on the device of the last batch, so that making one
    takes no work for each utterance."""

    def __init__(self, preprocessor: Preprocessor, inputs: Inputs) -> None:
        self.preprocessor, self.inputs = preprocessor, inputs
        self._device: torch.device | None = None
        self._frames: DeviceSequences | None = None
        self._words: DeviceSequences | None = None
        self._target = torch.from_numpy(inputs.target)

    def _move(self, device: torch.device) -> None:
        e, inputs = self.preprocessor.experiment, self.inputs
        if inputs.frames:
            self._frames = DeviceSequences.of(inputs.frames, device, padding=e.padding, maximum=e.max_frames)
        if inputs.words:
            self._words = DeviceSequences.of(inputs.words, device, padding=e.padding, maximum=e.max_words)
        self._target = self._target.to(device)
        self._device = device

    def __call__(self, index: np.ndarray, device: torch.device) -> Batch:
        """The utterances `index` as one padded batch on `device`."""
        if device != self._device:
            self._move(device)
        chosen = torch.from_numpy(index).to(device)
        frames, frame_lengths = self._frames(chosen) if self._frames else (None, None)
        words, word_lengths = self._words(chosen) if self._words else (None, None)
        return Batch(frames, frame_lengths, words, word_lengths, self._target[chosen])


class DeviceSequences:
    """Batches of some sequences, padded as `preprocessing.pad` pads them."""

    def __init__(self, flat: Tensor, first: Tensor, lengths: Tensor, padding: str, maximum: int) -> None:
        self._flat, self._first, self._lengths = flat, first, lengths
        self._padding, self._maximum = padding, maximum

    @classmethod
    def of(
        cls, sequences: Sequence[np.ndarray], device: torch.device | str, *, padding: str = "packed", maximum: int
    ) -> DeviceSequences:
        """sequences, padding, maximum: as in `preprocessing.pad`."""
        cut = [s[-maximum:] if padding == "pre" else s[:maximum] for s in sequences]
        lengths = torch.tensor([len(s) for s in cut])
        empty = np.zeros((1, *cut[0].shape[1:]), cut[0].dtype)  # what padding reads
        flat = torch.from_numpy(np.concatenate((*cut, empty)))
        first = lengths.cumsum(0) - lengths
        return cls(flat.to(device), first.to(device), lengths.to(device), padding, maximum)

    def __call__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """index (batch,) → values (batch, time, …), zero where padded, and lengths (batch,) int64."""
        lengths = self._lengths[index]
        packed = self._padding == "packed"
        width = max(1, int(lengths.max())) if packed else self._maximum
        step = torch.arange(width, device=lengths.device).expand(len(index), -1)
        if self._padding == "pre":
            step = step - (width - lengths[:, None])
        real = (step >= 0) & (step < lengths[:, None])
        values = self._flat[torch.where(real, self._first[index, None] + step, len(self._flat) - 1)]
        return values, lengths if packed else torch.full_like(lengths, self._maximum)


def buckets(
    lengths: Sequence[int] | np.ndarray, batch_size: int, rng: np.random.Generator, pool: int = 16
) -> list[np.ndarray]:
    """Shuffled batches of similar lengths: indices, every utterance once.

    A shuffled order is cut into pools of `pool` batches; each pool is sorted by length and cut into
    batches, and the batches are shuffled. Little padding, yet a fresh mixture every epoch.
    """
    order = rng.permutation(len(lengths))
    by_length = np.asarray(lengths)
    batches = []
    for start in range(0, len(order), pool * batch_size):
        members = order[start : start + pool * batch_size]
        members = members[np.argsort(by_length[members], kind="stable")]
        batches += [members[i : i + batch_size] for i in range(0, len(members), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
