"""The problem that `training.fit` solves for an emotion system, and a model's answers.

Inputs ─ EmotionTask ─▶ loss, development score        Inputs ─ logits ─▶ (n, classes)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .. import metrics
from ..inputs import Frontend, buckets
from ..models import distillation
from ..models.confidence import fit_trust
from ..models.fusion import EmotionModel
from ..models.mcnn import verification_loss
from ..training import derive
from .data import Batches, Inputs

_EVALUATION_BATCH = 64


class EmotionTask:
    """Cross-entropy on training inputs, UA on development inputs (see `training.Task`).

    taught: a teacher's logits (n, classes) of the training inputs, for a distilled system. copies: the training
    inputs again, recorded elsewhere; every epoch hears one variant of each utterance. scored: what UA is taken on
    in place of the development inputs; all that is fitted on data never heard is fitted on those still.
    """

    def __init__(
        self,
        front: Frontend,
        train: Inputs,
        development: Inputs,
        seed: int,
        taught: np.ndarray | None = None,
        copies: Sequence[Inputs] = (),
        scored: Inputs | None = None,
    ) -> None:
        self.front = front
        self.train, self.development = Batches(front, train), Batches(front, development)
        self.scored = self.development if scored is None else Batches(front, scored)
        self.original, self.copies = train, copies
        self.seed = seed
        self.taught = None if taught is None else torch.from_numpy(taught)
        self.class_weights = None
        if front.experiment.class_weights:
            counts = np.bincount(train.target, minlength=len(front.classes))
            weights = counts.sum() / np.maximum(counts, 1) / len(counts)
            self.class_weights = torch.tensor(weights, dtype=torch.float32)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Indices of each batch, bucketed by length."""
        rng = np.random.default_rng(derive(self.seed, "batches", epoch))
        if self.copies:
            variant = np.random.default_rng(derive(self.seed, "copies", epoch))
            self.train = Batches(self.front, self.original.with_frames(self.copies, variant))
        return buckets(self.train.inputs.lengths, self.front.experiment.batch_size, rng)

    def loss(self, model: nn.Module, batch: np.ndarray) -> Tensor:
        """Mean cross-entropy of one batch, and the further losses that the experiment weighs in; with a teacher,
        `models.distillation.loss`."""
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
        if self.taught is None:
            return loss
        taught = self.taught[torch.from_numpy(batch)].to(device)
        return distillation.loss(loss, answer.logits, taught, experiment.distil_temperature, experiment.distil_weight)

    def _cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        return nn.functional.cross_entropy(logits, target, weight=weights)

    def develop(self, model: nn.Module) -> dict[str, float]:
        """UA (the score, as a share), WA and cross-entropy of the development data, after `trust`."""
        trust(model, self.front, self.development)
        answers = logits(model, self.front, self.scored)
        predicted, target = metrics.answers(answers), self.scored.inputs.target
        ua = metrics.unweighted_accuracy(target, predicted, len(self.front.classes))
        return {
            "score": ua,
            "development_ua": ua,
            "development_wa": metrics.weighted_accuracy(target, predicted, len(self.front.classes)),
            "development_loss": metrics.negative_log_likelihood(metrics.softmax(answers), target),
        }


@torch.no_grad()
def logits(model: nn.Module, front: Frontend, utterances: Inputs | Batches, encoder: int | None = None) -> np.ndarray:
    """Logits (n, classes) float32 of all utterances, in their order; the model is left in evaluation mode.

    encoder: instead, what this encoder adds to them if it is trusted, in a fusion by confidence.
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
        answers[index] = (answer.logits if encoder is None else answer.weighed[encoder]).float().cpu().numpy()
    return answers


def trust(model: nn.Module, front: Frontend, development: Batches) -> None:
    """Fit on development data how far each encoder is to be believed, where the fusion asks for it."""
    if isinstance(model, EmotionModel) and model.confidence is not None:
        first, second = (logits(model, front, development, encoder) for encoder in range(2))
        model.confidence.trust.copy_(torch.tensor(fit_trust(first, second, development.inputs.target)))
