"""Fusion by confidence: each encoder predicts by itself, and a gate weights its prediction by how reliable it is.

    encoding of m ─ head ─ log-softmax ─▶ log p_m ─┐
        └── gate, from both ──▶ g_m in (0, 1) ─────┴─ Σ_m t_m·g_m·log p_m ─▶ logits

A gate sees its own modality alone and can only reduce its weight. A weighted sum of log-posteriors is a logarithmic
opinion pool (Genest & Zidek 1986); gates that are learned from what they weight are those of Arevalo et al. 2017,
who place them on hidden layers.

A gate cannot learn from training data how an encoder performs on unseen speakers, since the encoder was trained on
all of theirs. Development data have other speakers, so the trust t_m in (0, 1] is fitted there after every epoch
(`fit_trust`): an encoder that misleads on them counts for little. Training itself uses full trust.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .. import metrics

_TRUST = np.linspace(1.0, 0.05, 20)
_REJECTED = 1.92
"""Half the 95 % quantile of χ² with one degree of freedom."""


class ConfidenceFusion(nn.Module):
    """A head and a gate for each encoder, and the trust in each.

    Args:
        heads: Encoder → the layers from its encoding (batch, width) to its own logits (batch, classes).
        width: Values in an encoding.
        classes: Number of classes.

    Attributes:
        trust: (encoders,) factor of each encoder's prediction outside training, 1 until it is fitted.
    """

    trust: Tensor

    def __init__(self, heads: Mapping[str, nn.Module], width: int, classes: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(heads)
        self.gates = nn.ModuleDict({name: nn.Linear(width + classes, 1) for name in heads})
        self.register_buffer("trust", torch.ones(len(heads)))

    def predictions(self, encoded: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Compute each encoder's own prediction and its gate.

        Args:
            encoded: (batch, width) of each encoder, in the order of the heads.

        Returns:
            Logits (batch, classes) and gates (batch, 1), one of each per encoder.
        """
        own = [head(x) for head, x in zip(self.heads.values(), encoded, strict=True)]
        evidence = [torch.cat((x, z.log_softmax(-1)), dim=-1) for x, z in zip(encoded, own, strict=True)]
        gates = [torch.sigmoid(gate(x)) for gate, x in zip(self.gates.values(), evidence, strict=True)]
        return own, gates

    def forward(self, encoded: Sequence[Tensor]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Fuse the predictions of all encoders.

        Args:
            encoded: (batch, width) of each encoder, in the order of the heads.

        Returns:
            Fused logits (batch, classes), each encoder's own logits, and each encoder's g·log p.
        """
        own, gates = self.predictions(encoded)
        weighted = [gate * z.log_softmax(-1) for gate, z in zip(gates, own, strict=True)]
        trust = torch.ones_like(self.trust) if self.training else self.trust
        return torch.stack([t * x for t, x in zip(trust, weighted, strict=True)]).sum(0), own, weighted


def fit_trust(first: np.ndarray, second: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Fit the trust in two encoders, as even as the data allow.

    A pair is scored by the log-likelihood of the weighted sum after its own temperature, which is fitted later
    anyway, so only the ratio of the two matters. The most even pair is taken that a likelihood-ratio test does not
    reject at 95 %: its log-likelihood is within 1.92, half the quantile of χ² with one degree of freedom, of the best
    pair's. With few data both keep full trust.

    Args:
        first: (n, classes) g·log p of the first encoder.
        second: (n, classes) g·log p of the second encoder.
        target: (n,) class numbers.

    Returns:
        The two factors: the greater one is 1, the other a multiple of 0.05.
    """

    def misfit(trust: tuple[float, float]) -> float:
        logits = trust[0] * first + trust[1] * second
        temperature = metrics.fit_temperature(logits, target)
        return len(target) * metrics.negative_log_likelihood(metrics.softmax(logits / temperature), target)

    pairs = [pair for t in _TRUST.tolist() for pair in ((1.0, t), (t, 1.0))]  # the most even first
    misfits = [misfit(pair) for pair in pairs]
    return next(pair for pair, m in zip(pairs, misfits, strict=True) if m <= min(misfits) + _REJECTED)
