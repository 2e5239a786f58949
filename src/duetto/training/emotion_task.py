"""What an epoch of an emotion system is made of: its batches, its loss, its score.

Inputs ─ EmotionTask ─▶ batches, losses, UA on development data
model, Inputs ─ logits ─▶ (n, classes), ─ outputs ─▶ (n, classes + dimensions)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from .. import metrics
from ..models import distillation
from ..models.confidence import fit_trust
from ..models.emotion import EmotionModel, ModelOutput
from ..models.multiresolution_cnn import verification_loss
from ..preprocessing import Preprocessor
from .adapted import SpeakerDraws
from .dataset import Batches, buckets
from .inputs import Inputs
from .loop import derive

_EVALUATION_BATCH = 64

_LEAST_SPREAD = 1e-6
"""Keeps the concordance of equal ratings finite."""


class EmotionTask:
    """Losses on training inputs, UA and concordance on development inputs (a `loop.Task`).

    Args:
        preprocessor: Of the system.
        train: Training inputs.
        development: Development inputs.
        seed: Of the order of batches, and of the draw of copies.
        teacher_logits: (n, classes) logits of a teacher for the training inputs, for a distilled system.
        copies: Augmented copies of the training inputs; every epoch uses one variant of each utterance.
        scored: Inputs on which UA is measured instead of the development inputs. What is fitted on held-out data
            (`fit_trust`) is still fitted on development inputs.
        draws: Makes the training inputs of an epoch, instead of copies, for a system that adapts to speakers.
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
        draws: SpeakerDraws | None = None,
    ) -> None:
        self.preprocessor = preprocessor
        self.train, self.development = Batches(preprocessor, train), Batches(preprocessor, development)
        self.scored = self.development if scored is None else Batches(preprocessor, scored)
        self.original, self.copies, self.draws = train, copies, draws
        self.seed = seed
        self.teacher_logits = None if teacher_logits is None else torch.from_numpy(teacher_logits)
        self.soft = None if train.soft is None else torch.from_numpy(train.soft)
        self.unlabelled = bool((train.target < 0).any())
        self.ratings = None if train.ratings is None else torch.from_numpy(train.ratings)
        self.class_weights = None
        if preprocessor.experiment.class_weights:
            counts = np.bincount(train.target[train.target >= 0], minlength=len(preprocessor.classes))
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
        if self.draws is not None:
            drawn = self.draws(np.random.default_rng(derive(self.seed, "sessions", epoch)))
            self.train = Batches(self.preprocessor, drawn)
        elif self.copies:
            variant = np.random.default_rng(derive(self.seed, "copies", epoch))
            self.train = Batches(self.preprocessor, self.original.with_frames(self.copies, variant))
        return buckets(self.train.inputs.lengths, self.preprocessor.experiment.batch_size, rng)

    def loss(self, model: nn.Module, batch: np.ndarray) -> Tensor:
        """Compute the loss of one batch.

        Args:
            model: An `EmotionModel`.
            batch: Indices of the utterances.

        Returns:
            Mean cross-entropy (with `soft_labels` against the distribution of the votes) and the weighted auxiliary
            losses of the experiment; with a teacher, `models.distillation.loss` of these. Then the weighted
            `concordance_loss` of its dimensions.
        """
        device = next(model.parameters()).device
        inputs = self.train(batch, device)
        assert inputs.target is not None
        output = model(inputs, detailed=True)
        loss = self._class_loss(output, batch, inputs.target)
        if self.ratings is None:
            return loss
        ratings = self.ratings[torch.from_numpy(batch)].to(device)
        return loss + self.preprocessor.experiment.dimension_weight * concordance_loss(output.dimensions, ratings)

    def _class_loss(self, output: ModelOutput, batch: np.ndarray, classes: Tensor) -> Tensor:
        """The loss of the classes (batch,), of those utterances that have one."""
        device = classes.device
        if self.unlabelled:
            kept = classes >= 0
            if not kept.any():
                return output.logits.sum() * 0.0
            output, classes, batch = output.only(kept), classes[kept], batch[kept.cpu().numpy()]
        experiment, rows = self.preprocessor.experiment, torch.from_numpy(batch)
        target = classes if self.soft is None else self.soft[rows].to(device)
        loss = self._cross_entropy(output.logits, target)
        if output.encoder_logits:
            own = [self._cross_entropy(logits, target) for logits in output.encoder_logits]
            loss = loss + experiment.auxiliary * torch.stack(own).mean()
        if experiment.verification:
            loss = loss + experiment.verification * verification_loss(output.encoded, classes)
        if self.teacher_logits is None:
            return loss
        teacher = self.teacher_logits[rows].to(device)
        return distillation.loss(loss, output.logits, teacher, experiment.distil_temperature, experiment.distil_weight)

    def _cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        if target.is_floating_point():
            return soft_cross_entropy(logits, target, weights)
        return nn.functional.cross_entropy(logits, target, weight=weights)

    def develop(self, model: nn.Module) -> dict[str, float]:
        """Score the model on development data, after fitting the trust of a fusion by confidence.

        Args:
            model: An `EmotionModel`.

        Returns:
            The score: UA (from 0 to 1), with dimensions plus their weighted mean concordance. UA, WA, cross-entropy and
            this mean by themselves.
        """
        fit_model_trust(model, self.preprocessor, self.development)
        scores, ratings = self.preprocessor.split(outputs(model, self.preprocessor, self.scored))
        predicted, target = metrics.predicted_classes(scores), self.scored.inputs.target
        ua = metrics.unweighted_accuracy(target, predicted, len(self.preprocessor.classes))
        ccc = _concordance(self.scored.inputs.ratings, ratings)
        weight = self.preprocessor.experiment.dimension_weight
        return {
            "score": ua + weight * ccc.get("development_ccc", 0.0),
            "development_ua": ua,
            "development_wa": metrics.weighted_accuracy(target, predicted, len(self.preprocessor.classes)),
            "development_loss": metrics.negative_log_likelihood(metrics.softmax(scores), target),
            **ccc,
        }


def _concordance(target: np.ndarray | None, predicted: np.ndarray) -> dict[str, float]:
    """The mean concordance of the dimensions that are rated."""
    if target is None:
        return {}
    each = [metrics.concordance(x, y) for x, y in zip(target.T, predicted.T, strict=True)]
    known = [value for value in each if np.isfinite(value)]
    return {"development_ccc": float(np.mean(known))} if known else {}


def concordance_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Compute 1 − CCC (`metrics.concordance`) within a batch, the mean over dimensions.

    Args:
        predicted: (n, dimensions).
        target: (n, dimensions) ratings; NaN where there is none.

    Returns:
        The mean over those dimensions that have two ratings or more here; 0 where none has.
    """
    rated = ~target.isnan()
    count = rated.sum(0).clamp(min=1)
    x, y = target.nan_to_num(), predicted * rated
    apart_x, apart_y = (rated * (z - z.sum(0) / count) for z in (x, y))
    covariance = (apart_x * apart_y).sum(0) / count
    spread = 2 * covariance + ((x - y).square().sum(0)) / count  # = s_x² + s_y² + (x̄ − ȳ)²
    losses = 1 - 2 * covariance / spread.clamp(min=_LEAST_SPREAD)
    several = rated.sum(0) > 1
    return (losses * several).sum() / several.sum().clamp(min=1)


def soft_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Compute the cross-entropy against distributions; with all of each on one class, that against labels.

    Args:
        logits: (n, classes).
        target: (n, classes), rows sum to 1.
        weights: (classes,) of the classes; None for equal ones.

    Returns:
        The mean, weighted like that of `torch.nn.functional.cross_entropy` with class numbers.
    """
    weighted = target if weights is None else target * weights
    return -(weighted * logits.log_softmax(1)).sum() / weighted.sum()


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
    if encoder is None:
        return preprocessor.split(outputs(model, preprocessor, utterances))[0]
    return _each(model, preprocessor, utterances, len(preprocessor.classes), lambda output: output.weighted[encoder])


def outputs(model: nn.Module, preprocessor: Preprocessor, utterances: Inputs | Batches) -> np.ndarray:
    """Compute all that the exported graph gives with a PyTorch model, which is left in evaluation mode.

    Args:
        model: An `EmotionModel`.
        preprocessor: Of the system.
        utterances: Prepared.

    Returns:
        Logits and ratings (n, classes + dimensions) float32, in the order of the utterances.
    """
    width = len(preprocessor.classes) + len(preprocessor.experiment.dimensions)
    return _each(model, preprocessor, utterances, width, lambda output: output.joined)


@torch.no_grad()
def _each(
    model: nn.Module,
    preprocessor: Preprocessor,
    utterances: Inputs | Batches,
    width: int,
    values: Callable[[ModelOutput], Tensor],
) -> np.ndarray:
    """Values (n, width) of the model's output for each utterance, in their order."""
    model.eval()
    device = next(chain(model.parameters(), model.buffers())).device
    batches = utterances if isinstance(utterances, Batches) else Batches(preprocessor, utterances)
    inputs = batches.inputs
    order = np.argsort(inputs.lengths, kind="stable")
    result = np.zeros((len(inputs.target), width), np.float32)
    for start in range(0, len(order), _EVALUATION_BATCH):
        index = order[start : start + _EVALUATION_BATCH]
        result[index] = values(model(batches(index, device), detailed=True)).float().cpu().numpy()
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
