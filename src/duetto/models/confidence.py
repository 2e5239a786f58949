"""Fusion by confidence: each encoder answers for itself, and what it says counts as far as it is to be believed.

    encoding of m ─ head ─ log-softmax ─▶ log p_m ─┐
        └── gate, from both ──▶ g_m in (0, 1) ─────┴─ Σ_m t_m·g_m·log p_m ─▶ logits

A gate sees its own modality alone and can only distrust it, never make it louder than it is. A weighted sum of
log-posteriors is a logarithmic opinion pool (Genest & Zidek 1986); gates that are learned from what they weigh are
those of Arevalo et al. 2017, there on hidden layers.

What a gate cannot learn from training data is how an encoder fares with voices it never heard, for it has heard
them all. Development data have other voices, so the trust t_m in (0, 1] is fitted there after every epoch
(`fit_trust`): an encoder that only misleads with them counts for little in the answer. Training itself goes on
with full trust.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .. import metrics

_TRUST = np.linspace(1.0, 0.05, 20)
_REFUTED = 1.92


class ConfidenceFusion(nn.Module):
    """heads: encoder → the layers from its encoding (batch, width) to its own logits (batch, classes).

    trust (encoders,): what each encoder's answer is multiplied by outside training, 1 until it is set.
    """

    trust: Tensor

    def __init__(self, heads: Mapping[str, nn.Module], width: int, classes: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(heads)
        self.gates = nn.ModuleDict({name: nn.Linear(width + classes, 1) for name in heads})
        self.register_buffer("trust", torch.ones(len(heads)))

    def weigh(self, encoded: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Each encoder's own logits (batch, classes) and gate (batch, 1); `encoded` in the order of the heads."""
        own = [head(x) for head, x in zip(self.heads.values(), encoded, strict=True)]
        evidence = [torch.cat((x, z.log_softmax(-1)), dim=-1) for x, z in zip(encoded, own, strict=True)]
        gates = [torch.sigmoid(gate(x)) for gate, x in zip(self.gates.values(), evidence, strict=True)]
        return own, gates

    def forward(self, encoded: Sequence[Tensor]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Logits (batch, classes) of all encoders together; each one's own; and each one's g·log p."""
        own, gates = self.weigh(encoded)
        weighed = [gate * z.log_softmax(-1) for gate, z in zip(gates, own, strict=True)]
        trust = torch.ones_like(self.trust) if self.training else self.trust
        return torch.stack([t * x for t, x in zip(trust, weighed, strict=True)]).sum(0), own, weighed


def fit_trust(first: np.ndarray, second: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Trust in two encoders, the greater one 1 and the other in steps of 0.05: as even as the data allow.

    first, second (n, classes): their g·log p. target (n,). A pair fits by the log-likelihood of the weighted sum
    after its own temperature, which is fitted later anyhow, so only the ratio of the two matters. The most even
    pair is taken that the likelihood-ratio test does not refute at 95 %: log-likelihood within 1.92, half the
    quantile of χ² with one degree of freedom, of the best pair's. Few data leave both trusted.
    """

    def misfit(trust: tuple[float, float]) -> float:
        logits = trust[0] * first + trust[1] * second
        temperature = metrics.fit_temperature(logits, target)
        return len(target) * metrics.negative_log_likelihood(metrics.softmax(logits / temperature), target)

    pairs = [pair for t in _TRUST.tolist() for pair in ((1.0, t), (t, 1.0))]  # the most even first
    misfits = [misfit(pair) for pair in pairs]
    return next(pair for pair, m in zip(pairs, misfits, strict=True) if m <= min(misfits) + _REFUTED)
