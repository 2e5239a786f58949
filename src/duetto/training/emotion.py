"""Train one emotion system on one fold with one seed.

FoldInputs ─ prepare ─▶ Inputs ─ EmotionTask ─ fit ─▶ EmotionModel ─▶ TrainedOutputs, an exported model
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .. import inference, metrics
from ..asr.finder import save_language_model
from ..asr.language_model import LanguageModel
from ..config.experiment import LEAKING_CHOICE, Experiment, teacher_of
from ..config.model import ModelConfig
from ..data.text import tokens
from ..data.utterance import Utterance, languages
from ..embeddings import table as word_table
from ..errors import ConfigurationError, ModelError
from ..models import distillation
from ..models.cnn import ConvolutionalEncoder
from ..models.confidence import fit_trust
from ..models.emotion import EmotionModel
from ..models.multiresolution_cnn import verification_loss
from ..preprocessing import Preprocessor
from ..utils import files
from ..utils.progress import Progress
from . import checkpoint
from .dataset import Batches, buckets
from .inputs import FoldInputs, Inputs, WordVectoriser, fit_preprocessor, load_vectors, prepare
from .loop import History, TrainingConfig, derive, fit, set_num_threads
from .verification import spread, verify

TEACHER = "teacher"
"""Folder of a teacher, in that of the system that it teaches."""

_VERIFIED = 32
"""Development utterances on which an exported graph is compared with the model."""

_EVALUATION_BATCH = 64


@dataclass(frozen=True)
class TrainedOutputs:
    """Logits of a trained system.

    Attributes:
        test_logits: (test utterances, classes) float32.
        development_logits: (development utterances, classes) float32.
        temperature: Fitted on development data (temperature scaling).
        history: Of the training.
    """

    test_logits: np.ndarray
    development_logits: np.ndarray
    temperature: float
    history: History


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
    training, development, test = (
        prepare(part, preprocessor, inputs.frames, vectoriser, seed=seed)
        for part in (inputs.fold.train, inputs.fold.development, inputs.fold.test)
    )
    copies = [prepare(inputs.fold.train, preprocessor, x, vectoriser, seed=seed) for x in inputs.augmented]
    scored = test if experiment.epoch_choice == LEAKING_CHOICE else None
    task = EmotionTask(preprocessor, training, development, seed, teacher_logits, copies, scored)
    model = build(preprocessor, inputs, seed, vectoriser)
    config = _training_config(experiment, seed, accelerator, devices)
    history = fit(model, task, config, folder, progress=progress)
    development_logits, test_logits = (logits(model, preprocessor, part) for part in (development, test))
    temperature = metrics.fit_temperature(development_logits, development.target)
    _export(model.cpu(), preprocessor, temperature, inputs, vectoriser, folder, development)
    return TrainedOutputs(test_logits, development_logits, temperature, history)


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
    return exported_logits(inference.Session(folder / TEACHER), inputs.fold.train, inputs.teacher, seed=seed)


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
        inputs: Name the word vectors that initialise the embedding table, if any.
        seed: Of the random weights.
        vectoriser: `inputs.vectoriser()`, where it is open already.

    Returns:
        The model.
    """
    e = preprocessor.experiment
    torch.manual_seed(derive(seed, "weights"))
    table = None
    if e.uses_words and e.embeddings != "spoken":
        table = torch.from_numpy(_table(preprocessor, inputs, seed, vectoriser or inputs.vectoriser()))
    model = _model(preprocessor, table)
    if e.initial and isinstance(model.acoustic, ConvolutionalEncoder):
        model.acoustic.start_from(checkpoint.tensors(Path(e.initial)), e.initial)
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
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"these weights are not of system {preprocessor.experiment.name!r}: {error}") from error
    return model.eval()


def _model(preprocessor: Preprocessor, table: Tensor | None) -> EmotionModel:
    """An untrained model; `table` (n, dim) initialises its word embeddings, where words are looked up."""
    word_dim = len(preprocessor.word_normaliser.mean) if table is None else table.shape[1]
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
    verify(inference.Session(folder), few.frames, few.words, logits(model, preprocessor, few))


class EmotionTask:
    """Cross-entropy on training inputs, UA on development inputs (a `loop.Task`).

    Args:
        preprocessor: Of the system.
        train: Training inputs.
        development: Development inputs.
        seed: Of the order of batches, and of the draw of copies.
        teacher_logits: (n, classes) logits of a teacher for the training inputs, for a distilled system.
        copies: Augmented copies of the training inputs; every epoch uses one variant of each utterance.
        scored: Inputs on which UA is measured instead of the development inputs. What is fitted on held-out data
            (`fit_trust`) is still fitted on development inputs.
    """

    def __init__(
        self,
        preprocessor: Preprocessor,
        train: Inputs,
        development: Inputs,
        seed: int,
        teacher_logits: np.ndarray | None = None,
        copies: Sequence[Inputs] = (),
        scored: Inputs | None = None,
    ) -> None:
        self.preprocessor = preprocessor
        self.train, self.development = Batches(preprocessor, train), Batches(preprocessor, development)
        self.scored = self.development if scored is None else Batches(preprocessor, scored)
        self.original, self.copies = train, copies
        self.seed = seed
        self.teacher_logits = None if teacher_logits is None else torch.from_numpy(teacher_logits)
        self.class_weights = None
        if preprocessor.experiment.class_weights:
            counts = np.bincount(train.target, minlength=len(preprocessor.classes))
            weights = counts.sum() / np.maximum(counts, 1) / len(counts)
            self.class_weights = torch.tensor(weights, dtype=torch.float32)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Draw the batches of an epoch, bucketed by length.

        Args:
            epoch: From 0.

        Returns:
            Indices of each batch.
        """
        rng = np.random.default_rng(derive(self.seed, "batches", epoch))
        if self.copies:
            variant = np.random.default_rng(derive(self.seed, "copies", epoch))
            self.train = Batches(self.preprocessor, self.original.with_frames(self.copies, variant))
        return buckets(self.train.inputs.lengths, self.preprocessor.experiment.batch_size, rng)

    def loss(self, model: nn.Module, batch: np.ndarray) -> Tensor:
        """Compute the loss of one batch.

        Args:
            model: An `EmotionModel`.
            batch: Indices of the utterances.

        Returns:
            Mean cross-entropy and the weighted auxiliary losses of the experiment; with a teacher,
            `models.distillation.loss` of these.
        """
        device = next(model.parameters()).device
        inputs = self.train(batch, device)
        assert inputs.target is not None
        experiment = self.preprocessor.experiment
        output = model(inputs, detailed=True)
        loss = self._cross_entropy(output.logits, inputs.target)
        if output.encoder_logits:
            own = [self._cross_entropy(logits, inputs.target) for logits in output.encoder_logits]
            loss = loss + experiment.auxiliary * torch.stack(own).mean()
        if experiment.verification:
            loss = loss + experiment.verification * verification_loss(output.encoded, inputs.target)
        if self.teacher_logits is None:
            return loss
        teacher = self.teacher_logits[torch.from_numpy(batch)].to(device)
        return distillation.loss(loss, output.logits, teacher, experiment.distil_temperature, experiment.distil_weight)

    def _cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        return nn.functional.cross_entropy(logits, target, weight=weights)

    def develop(self, model: nn.Module) -> dict[str, float]:
        """Score the model on development data, after fitting the trust of a fusion by confidence.

        Args:
            model: An `EmotionModel`.

        Returns:
            UA (the score, from 0 to 1), WA and cross-entropy.
        """
        fit_model_trust(model, self.preprocessor, self.development)
        scores = logits(model, self.preprocessor, self.scored)
        predicted, target = metrics.predicted_classes(scores), self.scored.inputs.target
        ua = metrics.unweighted_accuracy(target, predicted, len(self.preprocessor.classes))
        return {
            "score": ua,
            "development_ua": ua,
            "development_wa": metrics.weighted_accuracy(target, predicted, len(self.preprocessor.classes)),
            "development_loss": metrics.negative_log_likelihood(metrics.softmax(scores), target),
        }


@torch.no_grad()
def logits(
    model: nn.Module, preprocessor: Preprocessor, utterances: Inputs | Batches, encoder: int | None = None
) -> np.ndarray:
    """Score utterances with a PyTorch model, which is left in evaluation mode.

    Args:
        model: An `EmotionModel`.
        preprocessor: Of the system.
        utterances: Prepared.
        encoder: In a fusion by confidence, return the weighted contribution of this encoder instead.

    Returns:
        Logits (n, classes) float32, in the order of the utterances.
    """
    model.eval()
    device = next(model.parameters()).device
    batches = utterances if isinstance(utterances, Batches) else Batches(preprocessor, utterances)
    inputs = batches.inputs
    order = np.argsort(inputs.lengths, kind="stable")
    result = np.zeros((len(inputs.target), len(preprocessor.classes)), np.float32)
    for start in range(0, len(order), _EVALUATION_BATCH):
        index = order[start : start + _EVALUATION_BATCH]
        output = model(batches(index, device), detailed=True)
        result[index] = (output.logits if encoder is None else output.weighted[encoder]).float().cpu().numpy()
    return result


def fit_model_trust(model: nn.Module, preprocessor: Preprocessor, development: Batches) -> None:
    """Fit how far a fusion by confidence trusts each encoder; other models are left as they are.

    Args:
        model: An `EmotionModel`.
        preprocessor: Of the system.
        development: What to fit on.
    """
    if isinstance(model, EmotionModel) and model.confidence is not None:
        first, second = (logits(model, preprocessor, development, encoder) for encoder in range(2))
        model.confidence.trust.copy_(torch.tensor(fit_trust(first, second, development.inputs.target)))
