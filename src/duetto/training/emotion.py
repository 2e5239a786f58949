"""One emotion system on one fold with one seed: data in, trained model and logits out.

Fold + Sources ─ prepare ─▶ Inputs ─ EmotionTask ─ training.fit ─▶ EmotionModel ─▶ Outcome
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import inference, metrics
from ..asr.finder import save_language
from ..asr.language_model import LanguageModel
from ..config.experiment import LEAKING_CHOICE, Experiment, teacher_of
from ..data.text import tokens
from ..embeddings import table as word_table
from ..errors import ConfigurationError, ModelError
from ..features.registry import feature_spec
from ..models import distillation
from ..models.cnn import ConvolutionalEncoder
from ..models.confidence import fit_trust
from ..models.emotion import EmotionModel, ModelConfig
from ..models.multiresolution_cnn import verification_loss
from ..preprocessing import Preprocessor
from ..splits import Fold
from ..utils import files
from ..utils.progress import Progress
from . import checkpoint
from .dataset import Batches, Inputs, Reader, Sources, buckets, fit_preprocessor, prepare
from .loop import History, TrainingConfig, derive, fit, set_num_threads
from .verification import spread, verify

TEACHER = "teacher"
"""Name of a teacher's folder, in that of the system that it teaches."""

_VERIFIED = 32  # development utterances that an exported graph is held against


@dataclass(frozen=True)
class Outcome:
    """One trained system: logits of test and development data, and the temperature fitted on the latter."""

    test_logits: np.ndarray
    development_logits: np.ndarray
    temperature: float
    history: History


def build(preprocessor: Preprocessor, fold: Fold, sources: Sources, seed: int) -> EmotionModel:
    """A fresh model whose weights follow from the seed alone, and from the file they start from, if there is one."""
    e = preprocessor.experiment
    torch.manual_seed(derive(seed, "weights"))
    table = None
    if e.uses_words and sources.spoken is None:
        if sources.vectors is None:
            array = word_table.random_table(preprocessor.vocabulary, e.word_dim, seed)
        else:
            alikes = sources.reader(fold).alikes
            sounds = alikes.alikes.sounds if alikes else None
            vectors = sources.vectors(fold)
            array, _ = word_table.table(preprocessor.vocabulary, vectors, unknown=e.unknown, seed=seed, sounds=sounds)
        table = torch.from_numpy(array)
    model = _model(preprocessor, table)
    if e.initial and isinstance(model.acoustic, ConvolutionalEncoder):
        model.acoustic.start_from(checkpoint.tensors(Path(e.initial)), e.initial)
    return model


def restore(preprocessor: Preprocessor, weights: Mapping[str, Tensor]) -> EmotionModel:
    """The trained model of a state dict, in evaluation mode; a ModelError where the weights are of another shape."""
    model = _model(preprocessor, weights.get("words.embedding.weight"))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"these weights are not of system {preprocessor.experiment.name!r}: {error}") from error
    return model.eval()


def _model(preprocessor: Preprocessor, table: Tensor | None) -> EmotionModel:
    """An untrained model of a system; table (n, dim) initialises its word embeddings, where it looks words up."""
    e = preprocessor.experiment
    shape = {field.name: getattr(e, field.name) for field in fields(ModelConfig) if hasattr(e, field.name)}
    shape["classes"] = len(preprocessor.classes)
    shape["n_features"] = feature_spec(e.features).dim
    shape["word_dim"] = len(preprocessor.word_normaliser.mean) if table is None else table.shape[1]
    return EmotionModel(ModelConfig(**shape), table)


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
    """Train one system (and its teacher first) on one fold, export it for prediction into `folder`, and answer its
    test data once.

    Everything fitted here (normaliser, vocabulary, class weights, weights, epoch, temperature) sees training and
    development data only. With epoch_choice `best-on-test`, test data choose the epoch, and nothing else: a declared
    leak. A ModelError says where the exported graph departs from the trained model on development
    utterances.
    """
    set_num_threads()
    taught = _taught(experiment, fold, sources, folder, seed=seed, accelerator=accelerator, devices=devices)
    preprocessor, reader = fit_preprocessor(experiment, fold, sources), sources.reader(fold)
    parts = [
        prepare(part, preprocessor, sources, reader, seed=seed) for part in (fold.train, fold.development, fold.test)
    ]
    copies = [
        prepare(fold.train, preprocessor, replace(sources, frames=x), reader, seed=seed) for x in sources.augmented
    ]
    leaks = experiment.epoch_choice == LEAKING_CHOICE
    model = build(preprocessor, fold, sources, seed)
    config = TrainingConfig(
        epochs=experiment.epochs,
        learning_rate=experiment.learning_rate,
        patience=experiment.patience,
        choice="development" if leaks else experiment.epoch_choice,
        seed=seed,
        accelerator=accelerator,
        devices=devices,
    )
    task = EmotionTask(preprocessor, parts[0], parts[1], seed, taught, copies, scored=parts[2] if leaks else None)
    history = fit(model, task, config, folder, progress=progress)
    development, test = (logits(model, preprocessor, part) for part in parts[1:])
    temperature = metrics.fit_temperature(development, parts[1].target)
    _export(model.cpu(), preprocessor, temperature, fold, reader, folder, parts[1])
    return Outcome(test, development, temperature, history)


def _export(
    model: EmotionModel,
    preprocessor: Preprocessor,
    temperature: float,
    fold: Fold,
    reader: Reader,
    folder: Path,
    development: Inputs,
) -> None:
    """Leave all that prediction needs in `folder`, and hold the graph against the model on development inputs."""
    if preprocessor.experiment.uses_words and any(sentences := [tokens(u) for u in fold.train]):
        save_language(LanguageModel.from_corpus(sentences), folder)
    if reader.encoder is not None:
        for path in reader.encoder.folder.glob("spoken.*"):
            files.copy(path, folder / path.name)
    if reader.alikes is not None:
        reader.alikes.alikes.save(folder)
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    inference.export(weights, preprocessor, temperature, folder)
    few = development.only(spread(development.lengths, _VERIFIED))
    verify(inference.Session(folder), few.frames, few.words, logits(model, preprocessor, few))


def _taught(experiment: Experiment, fold: Fold, sources: Sources, folder: Path, **how: Any) -> np.ndarray | None:
    """Train the system's teacher, where it has one, in a folder of its own; its logits of the training utterances."""
    teacher = teacher_of(experiment)
    if teacher is None:
        return None
    if sources.teacher is None:
        raise ConfigurationError(f"system {experiment.name!r} has a teacher, and Sources says not what it reads")
    train(teacher, fold, sources.teacher, folder / TEACHER, **how)
    return answers_of(folder / TEACHER, fold, sources.teacher, how["seed"])


def answers_of(folder: Path, fold: Fold, sources: Sources, seed: int) -> np.ndarray:
    """Logits (n, classes) of an exported system for the training utterances of a fold: what a teacher passes on."""
    session = inference.Session(folder)
    inputs = prepare(fold.train, session.preprocessor, sources, sources.reader(fold), seed=seed)
    return session.answer(inputs.frames, inputs.words)


_EVALUATION_BATCH = 64


class EmotionTask:
    """Cross-entropy on training inputs, UA on development inputs (see `training.Task`).

    taught: a teacher's logits (n, classes) of the training inputs, for a distilled system. copies: the training
    inputs again, recorded elsewhere; every epoch hears one variant of each utterance. scored: what UA is taken on
    in place of the development inputs; all that is fitted on data never heard is fitted on those still.
    """

    def __init__(
        self,
        preprocessor: Preprocessor,
        train: Inputs,
        development: Inputs,
        seed: int,
        taught: np.ndarray | None = None,
        copies: Sequence[Inputs] = (),
        scored: Inputs | None = None,
    ) -> None:
        self.preprocessor = preprocessor
        self.train, self.development = Batches(preprocessor, train), Batches(preprocessor, development)
        self.scored = self.development if scored is None else Batches(preprocessor, scored)
        self.original, self.copies = train, copies
        self.seed = seed
        self.taught = None if taught is None else torch.from_numpy(taught)
        self.class_weights = None
        if preprocessor.experiment.class_weights:
            counts = np.bincount(train.target, minlength=len(preprocessor.classes))
            weights = counts.sum() / np.maximum(counts, 1) / len(counts)
            self.class_weights = torch.tensor(weights, dtype=torch.float32)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Indices of each batch, bucketed by length."""
        rng = np.random.default_rng(derive(self.seed, "batches", epoch))
        if self.copies:
            variant = np.random.default_rng(derive(self.seed, "copies", epoch))
            self.train = Batches(self.preprocessor, self.original.with_frames(self.copies, variant))
        return buckets(self.train.inputs.lengths, self.preprocessor.experiment.batch_size, rng)

    def loss(self, model: nn.Module, batch: np.ndarray) -> Tensor:
        """Mean cross-entropy of one batch, and the further losses that the experiment weighs in; with a teacher,
        `models.distillation.loss`."""
        device = next(model.parameters()).device
        inputs = self.train(batch, device)
        assert inputs.target is not None
        experiment = self.preprocessor.experiment
        answer = model(inputs, detailed=True)
        loss = self._cross_entropy(answer.logits, inputs.target)
        if answer.own:
            own = [self._cross_entropy(logits, inputs.target) for logits in answer.own]
            loss = loss + experiment.auxiliary * torch.stack(own).mean()
        if experiment.verification:
            loss = loss + experiment.verification * verification_loss(answer.encoded, inputs.target)
        if self.taught is None:
            return loss
        taught = self.taught[torch.from_numpy(batch)].to(device)
        return distillation.loss(loss, answer.logits, taught, experiment.distil_temperature, experiment.distil_weight)

    def _cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        return nn.functional.cross_entropy(logits, target, weight=weights)

    def develop(self, model: nn.Module) -> dict[str, float]:
        """UA (the score, as a share), WA and cross-entropy of the development data, after `trust`."""
        trust(model, self.preprocessor, self.development)
        answers = logits(model, self.preprocessor, self.scored)
        predicted, target = metrics.predicted_classes(answers), self.scored.inputs.target
        ua = metrics.unweighted_accuracy(target, predicted, len(self.preprocessor.classes))
        return {
            "score": ua,
            "development_ua": ua,
            "development_wa": metrics.weighted_accuracy(target, predicted, len(self.preprocessor.classes)),
            "development_loss": metrics.negative_log_likelihood(metrics.softmax(answers), target),
        }


@torch.no_grad()
def logits(
    model: nn.Module, preprocessor: Preprocessor, utterances: Inputs | Batches, encoder: int | None = None
) -> np.ndarray:
    """Logits (n, classes) float32 of all utterances, in their order; the model is left in evaluation mode.

    encoder: instead, what this encoder adds to them if it is trusted, in a fusion by confidence.
    """
    model.eval()
    device = next(model.parameters()).device
    batches = utterances if isinstance(utterances, Batches) else Batches(preprocessor, utterances)
    inputs = batches.inputs
    order = np.argsort(inputs.lengths, kind="stable")
    answers = np.zeros((len(inputs.target), len(preprocessor.classes)), np.float32)
    for start in range(0, len(order), _EVALUATION_BATCH):
        index = order[start : start + _EVALUATION_BATCH]
        answer = model(batches(index, device), detailed=True)
        answers[index] = (answer.logits if encoder is None else answer.weighed[encoder]).float().cpu().numpy()
    return answers


def trust(model: nn.Module, preprocessor: Preprocessor, development: Batches) -> None:
    """Fit on development data how far each encoder is to be believed, where the fusion asks for it."""
    if isinstance(model, EmotionModel) and model.confidence is not None:
        first, second = (logits(model, preprocessor, development, encoder) for encoder in range(2))
        model.confidence.trust.copy_(torch.tensor(fit_trust(first, second, development.inputs.target)))
