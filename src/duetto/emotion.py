"""One emotion system on one fold with one seed: data in, trained model and logits out.

    Fold + Sources ─ prepare ─▶ Inputs ─ EmotionTask ─ training.fit ─▶ EmotionModel ─▶ Outcome

Everything fitted here (normaliser, vocabulary, class weights, weights, epoch, temperature) sees
training and development data only.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from . import metrics, runtime
from .embeddings import SpokenWords
from .errors import ConfigurationError
from .experiment import Experiment
from .features.kinds import kind
from .inputs import Frontend, Normaliser, buckets
from .labels import classes
from .models.fusion import Batch, EmotionModel, ModelConfig
from .progress import Progress
from .splits import Fold
from .training import History, TrainingConfig, derive, fit
from .utterance import Utterance
from .words import vectors as word_vectors
from .words.language import LanguageModel
from .words.listen import save_language
from .words.vocabulary import Vocabulary, tokens

_EVALUATION_BATCH = 64


@dataclass(frozen=True)
class Sources:
    """Where a system's inputs come from.

    frames: utterance id → (frames, features) of `features.kinds`; None for systems without audio. augmented: the
        same of each changed copy, for experiments that augment their training data.
    vectors: fold → word vectors that initialise the embedding table; None for a random table.
    spoken: fold → what embeds the spoken words of an utterance from their sound; where it is given there
        is no table.
    """

    frames: Mapping[str, np.ndarray] | None = None
    augmented: tuple[Mapping[str, np.ndarray], ...] = ()
    vectors: Callable[[Fold], word_vectors.Vectors] | None = None
    spoken: Callable[[Fold], SpokenWords] | None = None


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


@dataclass(frozen=True)
class Outcome:
    """One trained system: logits of test and development data, and the temperature fitted on the latter."""

    test_logits: np.ndarray
    development_logits: np.ndarray
    temperature: float
    history: History


def frontend(experiment: Experiment, fold: Fold, sources: Sources) -> Frontend:
    """Fit normaliser and vocabulary on the training part. The table also holds every word of the vectors
    that are given: they were learned elsewhere."""
    normaliser, of_words = Normaliser.identity(kind(experiment.features).dim), Normaliser.identity(experiment.word_dim)
    if experiment.uses_audio and experiment.normalisation == "train":
        normaliser = Normaliser.fit((_frames(sources, u) for u in fold.train), len(normaliser.mean))
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
    return Frontend(experiment, normaliser, vocabulary, of_words)


def _frames(sources: Sources, utterance: Utterance) -> np.ndarray:
    if sources.frames is None or utterance.id not in sources.frames:
        raise ConfigurationError(f"utterance {utterance.id!r} has no features; extract them first: duetto features")
    return sources.frames[utterance.id]


def prepare(
    utterances: Sequence[Utterance], front: Frontend, sources: Sources, spoken: SpokenWords | None = None
) -> Inputs:
    """Everything of `utterances` that the system reads. Speakers' statistics, where the experiment
    normalises by them, are taken over all frames of that speaker here, labels unseen."""
    experiment = front.experiment
    frames = words = None
    if experiment.uses_audio:
        by_speaker: dict[str | None, Normaliser] = {}
        if experiment.normalisation == "speaker":
            groups: dict[str | None, list[np.ndarray]] = defaultdict(list)
            for utterance in utterances:
                groups[utterance.speaker].append(_frames(sources, utterance))
            by_speaker = {speaker: Normaliser.fit(xs, len(front.normaliser.mean)) for speaker, xs in groups.items()}
        frames = [front.frames(_frames(sources, u), by_speaker.get(u.speaker)) for u in utterances]
    if experiment.uses_words:
        words = [front.ids(tokens(u)) if spoken is None else front.vectors(spoken(u)) for u in utterances]
    numbers = {label: number for number, label in enumerate(front.classes)}
    return Inputs(frames, words, np.array([numbers[str(u.label)] for u in utterances], np.int64))


class EmotionTask:
    """Cross-entropy on training inputs, UA on development inputs (see `training.Task`).

    copies: the training inputs again, recorded elsewhere; every epoch hears one variant of each utterance.
    """

    def __init__(
        self,
        front: Frontend,
        train: Inputs,
        development: Inputs,
        seed: int,
        copies: Sequence[Inputs] = (),
    ) -> None:
        self.front = front
        self.train = train
        self.variants = (train, *copies)
        self.development = development
        self.seed = seed
        self.class_weights = None
        if front.experiment.class_weights:
            counts = np.bincount(train.target, minlength=len(front.classes))
            weights = counts.sum() / np.maximum(counts, 1) / len(counts)
            self.class_weights = torch.tensor(weights, dtype=torch.float32)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Indices of each batch, bucketed by length."""
        rng = np.random.default_rng(derive(self.seed, "batches", epoch))
        if len(self.variants) > 1:
            self.train = drawn(self.variants, np.random.default_rng(derive(self.seed, "copies", epoch)))
        return buckets(self.train.lengths, self.front.experiment.batch_size, rng)

    def loss(self, model: nn.Module, batch: np.ndarray) -> Tensor:
        """Mean cross-entropy of one batch."""
        device = next(model.parameters()).device
        inputs = collate(self.front, self.train, batch, device)
        assert inputs.target is not None
        weights = None if self.class_weights is None else self.class_weights.to(device)
        return nn.functional.cross_entropy(model(inputs), inputs.target, weight=weights)

    def develop(self, model: nn.Module) -> dict[str, float]:
        """UA (the score, as a share), WA and cross-entropy of the development data."""
        answers = logits(model, self.front, self.development)
        predicted, target = answers.argmax(-1), self.development.target
        ua = metrics.unweighted_accuracy(target, predicted, len(self.front.classes))
        return {
            "score": ua,
            "development_ua": ua,
            "development_wa": metrics.weighted_accuracy(target, predicted, len(self.front.classes)),
            "development_loss": metrics.negative_log_likelihood(metrics.softmax(answers), target),
        }


def drawn(variants: Sequence[Inputs], rng: np.random.Generator) -> Inputs:
    """For each utterance the frames of one of the variants, each as likely; words and classes are alike in all."""
    first = variants[0]
    assert first.frames is not None
    choice = rng.integers(len(variants), size=len(first.target))
    frames = [(variants[c].frames or first.frames)[i] for i, c in enumerate(choice)]
    return replace(first, frames=frames)


def collate(front: Frontend, inputs: Inputs, index: np.ndarray, device: torch.device | str) -> Batch:
    """The utterances `index` as one padded batch on `device`."""
    frames, words = front.collate(
        None if inputs.frames is None else [inputs.frames[i] for i in index],
        None if inputs.words is None else [inputs.words[i] for i in index],
    )

    def tensor(array: np.ndarray | None) -> Tensor | None:
        return None if array is None else torch.from_numpy(array).to(device)

    return Batch(
        frames=tensor(frames.values if frames else None),
        frame_lengths=tensor(frames.lengths if frames else None),
        words=tensor(words.values if words else None),
        word_lengths=tensor(words.lengths if words else None),
        target=tensor(inputs.target[index]),
    )


@torch.no_grad()
def logits(model: nn.Module, front: Frontend, inputs: Inputs) -> np.ndarray:
    """Logits (n, classes) float32 of all inputs, in their order; the model is left in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    order = np.argsort(inputs.lengths, kind="stable")
    answers = np.zeros((len(inputs.target), len(front.classes)), np.float32)
    for start in range(0, len(order), _EVALUATION_BATCH):
        index = order[start : start + _EVALUATION_BATCH]
        answers[index] = model(collate(front, inputs, index, device)).float().cpu().numpy()
    return answers


def build(front: Frontend, fold: Fold, sources: Sources, seed: int) -> EmotionModel:
    """A fresh model whose weights follow from the seed alone."""
    e = front.experiment
    torch.manual_seed(derive(seed, "weights"))
    table = None
    if e.uses_words and sources.spoken is None:
        if sources.vectors is None:
            array = word_vectors.random_table(front.vocabulary, e.word_dim, seed)
        else:
            array, _ = word_vectors.table(front.vocabulary, sources.vectors(fold), unknown=e.unknown, seed=seed)
        table = torch.from_numpy(array)
    config = ModelConfig(
        encoders=e.encoders,
        classes=len(classes(e.label_set)),
        n_features=kind(e.features).dim,
        acoustic_encoder=e.acoustic_encoder,
        word_dim=len(front.word_normaliser.mean) if table is None else table.shape[1],
        hidden=e.hidden,
        dense=e.dense,
        head_layers=e.head_layers,
        recurrent_dropout=e.recurrent_dropout,
        dropout=e.dropout,
    )
    return EmotionModel(config, table)


def train(
    experiment: Experiment,
    fold: Fold,
    sources: Sources,
    folder: Path,
    *,
    seed: int,
    accelerator: str = "cpu",
    devices: int = 1,
    progress: Progress | None = None,
) -> Outcome:
    """Train one system on one fold, export it for prediction into `folder`, and answer its test data once."""
    front = frontend(experiment, fold, sources)
    spoken = None if sources.spoken is None or not experiment.uses_words else sources.spoken(fold)
    parts = [prepare(part, front, sources, spoken) for part in (fold.train, fold.development, fold.test)]
    copies = [prepare(fold.train, front, replace(sources, frames=frames), spoken) for frames in sources.augmented]
    model = build(front, fold, sources, seed)
    config = TrainingConfig(
        epochs=experiment.epochs,
        learning_rate=experiment.learning_rate,
        patience=experiment.patience,
        choice=experiment.epoch_choice,
        seed=seed,
        accelerator=accelerator,
        devices=devices,
    )
    history = fit(model, EmotionTask(front, parts[0], parts[1], seed, copies), config, folder, progress=progress)
    development, test = (logits(model, front, part) for part in parts[1:])
    temperature = metrics.fit_temperature(development, parts[1].target)
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    if experiment.uses_words and any(sentences := [tokens(u) for u in fold.train]):
        save_language(LanguageModel.from_corpus(sentences), folder)
    if spoken is not None:
        for path in spoken.folder.glob("spoken.*"):
            shutil.copyfile(path, folder / path.name)
    runtime.export(weights, front, temperature, folder)
    return Outcome(test, development, temperature, history)
