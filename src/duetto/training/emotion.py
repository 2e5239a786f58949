"""Train one emotion system on one fold with one seed.

FoldInputs ─ prepare ─▶ Inputs ─ EmotionTask ─ fit ─▶ EmotionModel ─▶ TrainedOutputs, an exported model
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import inference, metrics
from ..asr.finder import save_language_model
from ..asr.language_model import LanguageModel
from ..config.experiment import LEAKING_CHOICE, Experiment, teacher_of
from ..config.model import ModelConfig
from ..data.text import tokens
from ..data.utterance import Utterance, languages, ratings_of
from ..embeddings import table as word_table
from ..errors import ConfigurationError, ModelError
from ..models.cnn import ConvolutionalEncoder
from ..models.emotion import EmotionModel
from ..models.heads import KernelHead
from ..preprocessing import Preprocessor
from ..utils import files
from ..utils.progress import Progress
from . import checkpoint, classifiers, ridge
from .adapted import SpeakerDraws, after_utterances, as_in_sessions, choose_shrinkage
from .emotion_task import EmotionTask, logits, outputs
from .inputs import FoldInputs, Inputs, WordVectoriser, fit_preprocessor, learned, load_vectors, prepare
from .loop import History, TrainingConfig, derive, fit, set_num_threads
from .verification import spread, verify

TEACHER = "teacher"
"""Folder of a teacher, in that of the system that it teaches."""

_VERIFIED = 32
"""Development utterances on which an exported graph is compared with the model."""


@dataclass(frozen=True)
class TrainedOutputs:
    """Logits of a trained system.

    Attributes:
        test_logits: (test utterances, classes) float32.
        development_logits: (development utterances, classes) float32.
        temperature: Fitted on development data (temperature scaling).
        history: Of the training.
        test_ratings: (test utterances, dimensions) float32, in the units of the manifest; None for systems without.
        adapted: (settings, orders, test utterances, classes) float32, after each number of earlier utterances of the
            speaker in `training.adapted.AFTER`; None for systems that do not adapt.
    """

    test_logits: np.ndarray
    development_logits: np.ndarray
    temperature: float
    history: History
    test_ratings: np.ndarray | None = None
    adapted: np.ndarray | None = None


def train(
    experiment: Experiment,
    inputs: FoldInputs,
    folder: Path,
    *,
    seed: int,
    accelerator: str = "cpu",
    devices: int = 1,
    progress: Progress | None = None,
) -> TrainedOutputs:
    """Train a system (its teacher first), export it for prediction, and score its development and test data.

    Everything fitted here (normaliser, vocabulary, class weights, weights, epoch, temperature) depends on training and
    development data only. With epoch_choice `best-on-test`, test data choose the epoch, and nothing else: a declared
    leak.

    Args:
        experiment: The system.
        inputs: What it reads on one fold.
        folder: Where checkpoints and the exported model go. A training that was killed there is resumed.
        seed: Everything random in the training follows from it.
        accelerator: `cpu`, `cuda`, `mps` or `auto`.
        devices: Processes that share each epoch's batches, each on a device of its own.
        progress: Counts training steps.

    Returns:
        Logits and temperature.

    Raises:
        ConfigurationError: The inputs lack something that the system reads.
        ModelError: The folder holds another training, or the exported graph departs from the model on development
            utterances.
    """
    set_num_threads()
    teacher_logits = _teacher_logits(experiment, inputs, folder, seed, accelerator, devices)
    vectoriser = inputs.vectoriser()
    preprocessor = fit_preprocessor(experiment, inputs, vectoriser)
    utterances = learned(experiment, inputs.fold)
    training, development, test = (
        prepare(part, preprocessor, inputs.frames, vectoriser, seed=seed)
        for part in (utterances, inputs.fold.development, inputs.fold.test)
    )
    copies = [prepare(utterances, preprocessor, x, vectoriser, seed=seed) for x in inputs.augmented]
    held_out, draws, frames = development, None, inputs.frames or {}
    if preprocessor.adaptation is not None:
        draws = SpeakerDraws(preprocessor, utterances, training, [frames, *inputs.augmented])
        held_out = as_in_sessions(preprocessor, inputs.fold.development, development, frames)
    model = build(preprocessor, inputs, seed, vectoriser)
    if experiment.classifier == "network":
        scored = test if experiment.epoch_choice == LEAKING_CHOICE else None
        task = EmotionTask(preprocessor, training, held_out, seed, teacher_logits, copies, scored, draws)
        config = _training_config(experiment, seed, accelerator, devices)
        history = fit(model, task, config, folder, progress=progress)
    else:
        rows = draws.several(seed) if draws is not None else [training, *copies]
        history = _fit_at_once(model, preprocessor, rows, held_out, folder)
    development_logits = logits(model, preprocessor, development)
    test_logits, test_ratings = preprocessor.split(outputs(model, preprocessor, test))
    temperature = metrics.fit_temperature(logits(model, preprocessor, held_out), held_out.target)
    preprocessor, adapted = _in_sessions(model, preprocessor, inputs, development, test)
    _export(model.cpu(), preprocessor, temperature, inputs, vectoriser, folder, development)
    rated = test_ratings if experiment.dimensions else None
    return TrainedOutputs(test_logits, development_logits, temperature, history, rated, adapted)


def _fit_at_once(
    model: EmotionModel, preprocessor: Preprocessor, rows: Sequence[Inputs], held_out: Inputs, folder: Path
) -> History:
    """Fit a classifier, and the dimensions beside it, to several copies of the training inputs."""
    ridge.fit(model, rows, held_out)
    training, *copies = (part.only(np.flatnonzero(part.target >= 0)) for part in rows)
    return classifiers.fit(model, preprocessor, training, held_out, copies, folder)


def _in_sessions(
    model: EmotionModel, preprocessor: Preprocessor, inputs: FoldInputs, development: Inputs, test: Inputs
) -> tuple[Preprocessor, np.ndarray | None]:
    """The preprocessor with its final shrinkage, and test logits after earlier utterances of each speaker."""
    if preprocessor.adaptation is None:
        return preprocessor, None
    score, frames = partial(logits, model, preprocessor), inputs.frames or {}
    preprocessor = choose_shrinkage(preprocessor, inputs.fold.development, development, frames, score)
    return preprocessor, after_utterances(preprocessor, inputs.fold.test, test, frames, score)


def _training_config(experiment: Experiment, seed: int, accelerator: str, devices: int) -> TrainingConfig:
    leaks = experiment.epoch_choice == LEAKING_CHOICE
    return TrainingConfig(
        epochs=experiment.epochs,
        learning_rate=experiment.learning_rate,
        patience=experiment.patience,
        choice="development" if leaks else experiment.epoch_choice,  # on what `EmotionTask.develop` scores
        seed=seed,
        accelerator=accelerator,
        devices=devices,
    )


def _teacher_logits(
    experiment: Experiment, inputs: FoldInputs, folder: Path, seed: int, accelerator: str, devices: int
) -> np.ndarray | None:
    """Train a distilled system's teacher; its logits (n, classes) of the training utterances. Else None."""
    teacher = teacher_of(experiment)
    if teacher is None:
        return None
    if inputs.teacher is None:
        raise ConfigurationError(f"system {experiment.name!r} is distilled; FoldInputs.teacher is required")
    train(teacher, inputs.teacher, folder / TEACHER, seed=seed, accelerator=accelerator, devices=devices)
    utterances = learned(experiment, inputs.fold)
    return exported_logits(inference.Session(folder / TEACHER), utterances, inputs.teacher, seed=seed)


def exported_logits(
    session: inference.Session, utterances: Sequence[Utterance], inputs: FoldInputs, *, seed: int
) -> np.ndarray:
    """Score utterances with an exported model, as prediction does.

    Args:
        session: The exported model.
        utterances: Labelled.
        inputs: Features and encoder of these utterances.
        seed: Of the order of words, for experiments that shuffle them.

    Returns:
        Logits (utterances, classes).
    """
    prepared = prepare(utterances, session.preprocessor, inputs.frames, inputs.vectoriser(), seed=seed)
    return session.logits_of(prepared.frames, prepared.words)


def build(
    preprocessor: Preprocessor, inputs: FoldInputs, seed: int, vectoriser: WordVectoriser | None = None
) -> EmotionModel:
    """Make an untrained model; its weights follow from the seed, the word vectors, and the experiment's `initial`.

    Args:
        preprocessor: Of the system.
        inputs: Name the word vectors that initialise the embedding table, if any, and the ratings that are learned.
        seed: Of the random weights.
        vectoriser: `inputs.vectoriser()`, where it is open already.

    Returns:
        The model.
    """
    e = preprocessor.experiment
    torch.manual_seed(derive(seed, "weights"))
    table = None
    if e.uses_words and e.embeddings != "spoken" and not e.counts_words:
        table = torch.from_numpy(_table(preprocessor, inputs, seed, vectoriser or inputs.vectoriser()))
    model = _model(preprocessor, table)
    if e.initial and isinstance(model.acoustic, ConvolutionalEncoder):
        model.acoustic.start_from(checkpoint.tensors(Path(e.initial)), e.initial)
    if model.dimensions is not None:
        model.dimensions.set_scale(ratings_of(learned(e, inputs.fold), e.dimensions))
    return model


def _table(preprocessor: Preprocessor, inputs: FoldInputs, seed: int, vectoriser: WordVectoriser) -> np.ndarray:
    """Initial embedding table (vocabulary, dim) float32."""
    e = preprocessor.experiment
    if inputs.vectors is None:
        return word_table.random_table(preprocessor.vocabulary, e.word_dim, seed)
    vectors = load_vectors(inputs.vectors)
    return word_table.table(preprocessor.vocabulary, vectors, unknown=e.unknown, seed=seed, sounds=vectoriser.sounds)[0]


def restore(preprocessor: Preprocessor, weights: Mapping[str, Tensor]) -> EmotionModel:
    """Load a trained model.

    Args:
        preprocessor: Of the system.
        weights: Its state dict.

    Returns:
        The model, in evaluation mode.

    Raises:
        ModelError: The weights have the shapes of another system.
    """
    model = _model(preprocessor, weights.get("words.embedding.weight"))
    if isinstance(model.head, KernelHead) and "head.support" in weights:
        model.head.resize(len(weights["head.support"]))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"these weights are not of system {preprocessor.experiment.name!r}: {error}") from error
    return model.eval()


def _model(preprocessor: Preprocessor, table: Tensor | None) -> EmotionModel:
    """An untrained model; `table` (n, dim) initialises its word embeddings, where words are looked up."""
    word_dim = preprocessor.word_dim if table is None else table.shape[1]
    return EmotionModel(ModelConfig.from_experiment(preprocessor.experiment, word_dim), table)


def _export(
    model: EmotionModel,
    preprocessor: Preprocessor,
    temperature: float,
    inputs: FoldInputs,
    vectoriser: WordVectoriser,
    folder: Path,
    development: Inputs,
) -> None:
    """Write everything that prediction needs into `folder`; verify the graph on development inputs."""
    sentences = [tokens(u) for u in inputs.fold.train] if preprocessor.experiment.uses_words else []
    if any(sentences):
        save_language_model(LanguageModel.from_corpus(sentences), folder, languages(inputs.fold.train))
    if inputs.encoder is not None:
        for path in inputs.encoder.glob("spoken.*"):
            files.copy(path, folder / path.name)
    if vectoriser.oov_replacer is not None:
        vectoriser.oov_replacer.resolver.save(folder)
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    inference.export(weights, preprocessor, temperature, folder)
    few = development.only(spread(development.lengths, _VERIFIED))
    verify(inference.Session(folder), few.frames, few.words, outputs(model, preprocessor, few))
