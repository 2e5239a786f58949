"""Fusion by confidence: each encoder answers for itself, and a gate says how far its answer is to be believed.

    encoding of m ─ head ─▶ logits z_m ─ log-softmax of z_m / T_m ─▶ log p_m ─┐
        └──────── gate, from both ─────────▶ g_m in (0, 1) ───────────────────┴─ Σ_m g_m·log p_m ─▶ logits

A gate sees its own modality alone and can only distrust it, never make it louder than it is. A weighted sum of
log-posteriors is a logarithmic opinion pool (Genest & Zidek 1986); gates that are learned from what they weigh are
those of Arevalo et al. 2017, there on hidden layers.

What a gate cannot learn from training data is how an encoder fares with voices it never heard, for it has heard
them all. Development data have other voices, so T_m ≥ 1, a temperature for each encoder, is fitted there after
every epoch (`temper`): an encoder that is sure and wrong with them counts for little in the answer. Training
itself goes on with T_m = 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class ConfidenceFusion(nn.Module):
    """heads: encoder → the layers from its encoding (batch, width) to its own logits (batch, classes).

    temperature (encoders,): divides each encoder's own logits, 1 until `temper` is told otherwise.
    """

    temperature: Tensor

    def __init__(self, heads: Mapping[str, nn.Module], width: int, classes: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(heads)
        self.gates = nn.ModuleDict({name: nn.Linear(width + classes, 1) for name in heads})
        self.register_buffer("temperature", torch.ones(len(heads)))

    def temper(self, temperatures: Sequence[float]) -> None:
        """Take on a temperature for each encoder; one below 1, which would make it louder, counts as 1."""
        self.temperature.copy_(torch.tensor(temperatures).clamp(min=1.0))

    def weigh(self, encoded: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Each encoder's own logits (batch, classes) and gate (batch, 1); `encoded` in the order of the heads."""
        own = [head(x) for head, x in zip(self.heads.values(), encoded, strict=True)]
        evidence = [torch.cat((x, z.log_softmax(-1)), dim=-1) for x, z in zip(encoded, own, strict=True)]
        gates = [torch.sigmoid(gate(x)) for gate, x in zip(self.gates.values(), evidence, strict=True)]
        return own, gates

    def forward(self, encoded: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Logits (batch, classes) of all encoders together, and each encoder's own."""
        own, gates = self.weigh(encoded)
        temperature = torch.ones_like(self.temperature) if self.training else self.temperature
        weighed = [g * (z / t).log_softmax(-1) for g, z, t in zip(gates, own, temperature, strict=True)]
        return torch.stack(weighed).sum(0), own
