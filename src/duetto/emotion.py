"""One emotion system on one fold with one seed: data in, trained model and logits out.

    Fold + Sources ─ prepare ─▶ Inputs ─ EmotionTask ─ training.fit ─▶ EmotionModel ─▶ Outcome

Everything fitted here (normaliser, vocabulary, class weights, weights, epoch, temperature) sees
training and development data only.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from . import metrics, runtime
from .embeddings import AlikeWords, SpokenWords
from .errors import ConfigurationError, ModelError
from .experiment import LEAKING_CHOICE, Experiment
from .inputs import Frontend, Normaliser, buckets
from .labels import classes
from .models.fusion import Batch, EmotionModel, ModelConfig
from .models.mcnn import verification_loss
from .models.resident import Resident
from .progress import Progress
from .runtime.verification import spread, verify
from .splits import Fold
from .training import History, TrainingConfig, derive, fit
from .utterance import Utterance
from .words import table as word_table
from .words import vectors as word_vectors
from .words.language import LanguageModel
from .words.listen import save_language
from .words.vocabulary import Vocabulary, tokens

N_FEATURES = 34
_EVALUATION_BATCH = 64
_VERIFIED = 32  # development utterances that an exported graph is held against


@dataclass(frozen=True)
class Sources:
    """Where a system's inputs come from.

    frames: utterance id → (frames, 34) short-term features; None for systems without audio.
    vectors: fold → word vectors that initialise the embedding table; None for a random table.
    spoken: fold → what embeds the spoken words of an utterance from their sound; where it is given there
        is no table.
    alikes: fold → what spells unknown words as known ones that sound like them; None leaves them unknown.
    """

    frames: Mapping[str, np.ndarray] | None = None
    vectors: Callable[[Fold], word_vectors.Vectors] | None = None
    spoken: Callable[[Fold], SpokenWords] | None = None
    alikes: Callable[[Fold], AlikeWords] | None = None


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

    def only(self, index: np.ndarray) -> Inputs:
        """The utterances of these indices, in their order."""
        frames, words = (None if x is None else [x[i] for i in index] for x in (self.frames, self.words))
        return Inputs(frames, words, self.target[index])


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
    normaliser, of_words = Normaliser.identity(N_FEATURES), Normaliser.identity(experiment.word_dim)
    if experiment.uses_audio and experiment.normalisation == "train":
        normaliser = Normaliser.fit((_frames(sources, u) for u in fold.train), N_FEATURES)
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
    utterances: Sequence[Utterance],
    front: Frontend,
    sources: Sources,
    spoken: SpokenWords | None = None,
    alikes: AlikeWords | None = None,
    *,
    seed: int = 0,
) -> Inputs:
    """Everything of `utterances` that the system reads. spoken, alikes: of the fold, see `Sources`. seed: of the
    order of words, where the experiment shuffles them.

    Speakers' statistics, where the experiment normalises by them, are taken over all frames of that speaker
    here, labels unseen.
    """
    experiment = front.experiment
    frames = words = None
    if experiment.uses_audio:
        by_speaker: dict[str | None, Normaliser] = {}
        if experiment.normalisation == "speaker":
            groups: dict[str | None, list[np.ndarray]] = defaultdict(list)
            for utterance in utterances:
                groups[utterance.speaker].append(_frames(sources, utterance))
            by_speaker = {speaker: Normaliser.fit(xs, N_FEATURES) for speaker, xs in groups.items()}
        frames = [front.frames(_frames(sources, u), by_speaker.get(u.speaker)) for u in utterances]
    if experiment.uses_words and spoken is not None:
        words = [front.vectors(spoken(u)) for u in utterances]
    elif experiment.uses_words:
        words = [front.ids(tokens(alikes(u, front.vocabulary) if alikes else u)) for u in utterances]
    if words is not None and experiment.word_order == "shuffled":
        words = [_shuffled(front.cut_words(x), seed, u.id) for x, u in zip(words, utterances, strict=True)]
    numbers = {label: number for number, label in enumerate(front.classes)}
    return Inputs(frames, words, np.array([numbers[str(u.label)] for u in utterances], np.int64))


def _shuffled(words: np.ndarray, seed: int, identifier: str) -> np.ndarray:
    """The same words in an order that seed and utterance id decide."""
    return np.random.default_rng(derive(seed, "word order", identifier)).permutation(words)


class EmotionTask:
    """Cross-entropy on training inputs, UA on development inputs (see `training.Task`)."""

    def __init__(self, front: Frontend, train: Inputs, development: Inputs, seed: int) -> None:
        self.front = front
        self.train, self.development = Batches(front, train), Batches(front, development)
        self.seed = seed
        self.class_weights = None
        if front.experiment.class_weights:
            counts = np.bincount(train.target, minlength=len(front.classes))
            weights = counts.sum() / np.maximum(counts, 1) / len(counts)
            self.class_weights = torch.tensor(weights, dtype=torch.float32)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Indices of each batch, bucketed by length."""
        rng = np.random.default_rng(derive(self.seed, "batches", epoch))
        return buckets(self.train.inputs.lengths, self.front.experiment.batch_size, rng)

    def loss(self, model: nn.Module, batch: np.ndarray) -> Tensor:
        """Mean cross-entropy of one batch, and the further losses that the experiment weighs in."""
        device = next(model.parameters()).device
        inputs = self.train(batch, device)
        assert inputs.target is not None
        experiment = self.front.experiment
        answer = model(inputs, detailed=True)
        loss = self._cross_entropy(answer.logits, inputs.target)
        if answer.own:
            own = [self._cross_entropy(logits, inputs.target) for logits in answer.own]
            loss = loss + experiment.auxiliary * torch.stack(own).mean()
        if experiment.verification:
            loss = loss + experiment.verification * verification_loss(answer.encoded, inputs.target)
        return loss

    def _cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        return nn.functional.cross_entropy(logits, target, weight=weights)

    def develop(self, model: nn.Module) -> dict[str, float]:
        """UA (the score, as a share), WA and cross-entropy of the development data, after `temper`."""
        temper(model, self.front, self.development)
        answers = logits(model, self.front, self.development)
        predicted, target = answers.argmax(-1), self.development.inputs.target
        ua = metrics.unweighted_accuracy(target, predicted, len(self.front.classes))
        return {
            "score": ua,
            "development_ua": ua,
            "development_wa": metrics.weighted_accuracy(target, predicted, len(self.front.classes)),
            "development_loss": metrics.negative_log_likelihood(metrics.softmax(answers), target),
        }


class Batches:
    """Batches of prepared utterances. They are kept on the device of the last batch, so that making one
    takes no work for each utterance."""

    def __init__(self, front: Frontend, inputs: Inputs) -> None:
        self.front, self.inputs = front, inputs
        self._device: torch.device | None = None
        self._frames: Resident | None = None
        self._words: Resident | None = None
        self._target = torch.from_numpy(inputs.target)

    def _move(self, device: torch.device) -> None:
        e, inputs = self.front.experiment, self.inputs
        if inputs.frames:
            self._frames = Resident.of(inputs.frames, device, padding=e.padding, maximum=e.max_frames)
        if inputs.words:
            self._words = Resident.of(inputs.words, device, padding=e.padding, maximum=e.max_words)
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


@torch.no_grad()
def logits(model: nn.Module, front: Frontend, utterances: Inputs | Batches, encoder: int | None = None) -> np.ndarray:
    """Logits (n, classes) float32 of all utterances, in their order; the model is left in evaluation mode.

    encoder: take the own answer of this encoder instead, of a fusion by confidence.
    """
    model.eval()
    device = next(model.parameters()).device
    batches = utterances if isinstance(utterances, Batches) else Batches(front, utterances)
    inputs = batches.inputs
    order = np.argsort(inputs.lengths, kind="stable")
    answers = np.zeros((len(inputs.target), len(front.classes)), np.float32)
    for start in range(0, len(order), _EVALUATION_BATCH):
        index = order[start : start + _EVALUATION_BATCH]
        answer = model(batches(index, device), detailed=True)
        answers[index] = (answer.logits if encoder is None else answer.own[encoder]).float().cpu().numpy()
    return answers


def temper(model: nn.Module, front: Frontend, development: Batches) -> None:
    """Fit on development data how far each encoder's own answer can be believed, where the fusion asks for it."""
    if isinstance(model, EmotionModel) and model.confidence is not None:
        own = [logits(model, front, development, encoder) for encoder in range(2)]
        model.confidence.temper([metrics.fit_temperature(each, development.inputs.target) for each in own])


def build(front: Frontend, fold: Fold, sources: Sources, seed: int) -> EmotionModel:
    """A fresh model whose weights follow from the seed alone."""
    e = front.experiment
    torch.manual_seed(derive(seed, "weights"))
    table = None
    if e.uses_words and sources.spoken is None:
        if sources.vectors is None:
            array = word_table.random_table(front.vocabulary, e.word_dim, seed)
        else:
            sounds = sources.alikes(fold).alikes.sounds if sources.alikes else None
            array, _ = word_table.table(
                front.vocabulary, sources.vectors(fold), unknown=e.unknown, seed=seed, sounds=sounds
            )
        table = torch.from_numpy(array)
    return _model(front, table)


def restore(front: Frontend, weights: Mapping[str, Tensor]) -> EmotionModel:
    """The trained model of a state dict, in evaluation mode; a ModelError where the weights are of another shape."""
    model = _model(front, weights.get("words.embedding.weight"))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"these weights are not of system {front.experiment.name!r}: {error}") from error
    return model.eval()


def _model(front: Frontend, table: Tensor | None) -> EmotionModel:
    """An untrained model of a system; table (n, dim) initialises its word embeddings, where it looks words up."""
    e = front.experiment
    config = ModelConfig(
        encoders=e.encoders,
        classes=len(classes(e.label_set)),
        word_dim=len(front.word_normaliser.mean) if table is None else table.shape[1],
        hidden=e.hidden,
        dense=e.dense,
        head_layers=e.head_layers,
        recurrent_dropout=e.recurrent_dropout,
        recurrent_mask=e.recurrent_mask,
        dropout=e.dropout,
        pooling=e.pooling,
        fusion=e.fusion,
        word_encoder=e.word_encoder,
        modality_dropout=e.modality_dropout,
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
    """Train one system on one fold, export it for prediction into `folder`, and answer its test data once.

    A ModelError says where the exported graph departs from the trained model on development utterances.
    With epoch_choice `best-on-test`, test data stand where development data choose the epoch: a declared leak.
    """
    front = frontend(experiment, fold, sources)
    spoken = None if sources.spoken is None or not experiment.uses_words else sources.spoken(fold)
    alikes = None if sources.alikes is None or not experiment.uses_words else sources.alikes(fold)
    parts = [
        prepare(part, front, sources, spoken, alikes, seed=seed) for part in (fold.train, fold.development, fold.test)
    ]
    leaks = experiment.epoch_choice == LEAKING_CHOICE
    model = build(front, fold, sources, seed)
    config = TrainingConfig(
        epochs=experiment.epochs,
        learning_rate=experiment.learning_rate,
        patience=experiment.patience,
        choice="development" if leaks else experiment.epoch_choice,
        seed=seed,
        accelerator=accelerator,
        devices=devices,
    )
    task = EmotionTask(front, parts[0], parts[2] if leaks else parts[1], seed)
    history = fit(model, task, config, folder, progress=progress)
    development, test = (logits(model, front, part) for part in parts[1:])
    temperature = metrics.fit_temperature(development, parts[1].target)
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    if experiment.uses_words and any(sentences := [tokens(u) for u in fold.train]):
        save_language(LanguageModel.from_corpus(sentences), folder)
    encoder = spoken.encoder if spoken else alikes.alikes.encoder if alikes else None
    if encoder is not None:
        for path in encoder.folder.glob("spoken.*"):
            shutil.copyfile(path, folder / path.name)
    if alikes is not None:
        alikes.alikes.save(folder)
    runtime.export(weights, front, temperature, folder)
    few = parts[1].only(spread(parts[1].lengths, _VERIFIED))
    verify(runtime.Session(folder), few.frames, few.words, logits(model.cpu(), front, few))
    return Outcome(test, development, temperature, history)
