"""One emotion system on one fold with one seed: data in, trained model and logits out.

Fold + Sources ─ prepare ─▶ Inputs ─ EmotionTask ─ training.fit ─▶ EmotionModel ─▶ Outcome
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import checkpoint, metrics, runtime
from ..errors import ConfigurationError, ModelError
from ..experiment import LEAKING_CHOICE, Experiment, teacher_of
from ..features.kinds import kind
from ..inputs import Frontend
from ..models.cnn import ConvolutionalEncoder
from ..models.fusion import EmotionModel, ModelConfig
from ..progress import Progress
from ..runtime.verification import spread, verify
from ..splits import Fold
from ..training import History, TrainingConfig, derive, fit, settle
from ..utils import files
from ..words import table as word_table
from ..words.language import LanguageModel
from ..words.listen import save_language
from ..words.vocabulary import tokens
from .data import Inputs, Reader, Sources, frontend, prepare
from .task import EmotionTask, logits

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


def build(front: Frontend, fold: Fold, sources: Sources, seed: int) -> EmotionModel:
    """A fresh model whose weights follow from the seed alone, and from the file they start from, if there is one."""
    e = front.experiment
    torch.manual_seed(derive(seed, "weights"))
    table = None
    if e.uses_words and sources.spoken is None:
        if sources.vectors is None:
            array = word_table.random_table(front.vocabulary, e.word_dim, seed)
        else:
            alikes = sources.reader(fold).alikes
            sounds = alikes.alikes.sounds if alikes else None
            vectors = sources.vectors(fold)
            array, _ = word_table.table(front.vocabulary, vectors, unknown=e.unknown, seed=seed, sounds=sounds)
        table = torch.from_numpy(array)
    model = _model(front, table)
    if e.initial and isinstance(model.acoustic, ConvolutionalEncoder):
        model.acoustic.start_from(checkpoint.tensors(Path(e.initial)), e.initial)
    return model


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
    shape = {field.name: getattr(e, field.name) for field in fields(ModelConfig) if hasattr(e, field.name)}
    shape["classes"] = len(front.classes)
    shape["n_features"] = kind(e.features).dim
    shape["word_dim"] = len(front.word_normaliser.mean) if table is None else table.shape[1]
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
    settle()
    taught = _taught(experiment, fold, sources, folder, seed=seed, accelerator=accelerator, devices=devices)
    front, reader = frontend(experiment, fold, sources), sources.reader(fold)
    parts = [prepare(part, front, sources, reader, seed=seed) for part in (fold.train, fold.development, fold.test)]
    copies = [prepare(fold.train, front, replace(sources, frames=x), reader, seed=seed) for x in sources.augmented]
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
    task = EmotionTask(front, parts[0], parts[1], seed, taught, copies, scored=parts[2] if leaks else None)
    history = fit(model, task, config, folder, progress=progress)
    development, test = (logits(model, front, part) for part in parts[1:])
    temperature = metrics.fit_temperature(development, parts[1].target)
    _export(model.cpu(), front, temperature, fold, reader, folder, parts[1])
    return Outcome(test, development, temperature, history)


def _export(
    model: EmotionModel,
    front: Frontend,
    temperature: float,
    fold: Fold,
    reader: Reader,
    folder: Path,
    development: Inputs,
) -> None:
    """Leave all that prediction needs in `folder`, and hold the graph against the model on development inputs."""
    if front.experiment.uses_words and any(sentences := [tokens(u) for u in fold.train]):
        save_language(LanguageModel.from_corpus(sentences), folder)
    if reader.encoder is not None:
        for path in reader.encoder.folder.glob("spoken.*"):
            files.copy(path, folder / path.name)
    if reader.alikes is not None:
        reader.alikes.alikes.save(folder)
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    runtime.export(weights, front, temperature, folder)
    few = development.only(spread(development.lengths, _VERIFIED))
    verify(runtime.Session(folder), few.frames, few.words, logits(model, front, few))


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
    session = runtime.Session(folder)
    inputs = prepare(fold.train, session.front, sources, sources.reader(fold), seed=seed)
    return session.answer(inputs.frames, inputs.words)
