"""Fusion by confidence: each encoder answers for itself, and a gate says how far its answer is to be believed.

    encoding of m ─ head ─▶ logits of m ─ log-softmax ─▶ log p_m ─┐
        └─────────────── gate, from both ─▶ g_m in (0, 1) ────────┴─ Σ_m g_m·log p_m ─▶ logits

A gate sees its own modality alone and can only distrust it, never make it louder than it is. A weighted sum of
log-posteriors is a logarithmic opinion pool (Genest & Zidek 1986); gates that are learned from each modality are
those of Arevalo et al. 2017, there on hidden layers. So what a voice does to the answer is bounded, and words
can outvote one that the system cannot read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class ConfidenceFusion(nn.Module):
    """heads: encoder → the layers from its encoding (batch, width) to its own logits (batch, classes)."""

    def __init__(self, heads: Mapping[str, nn.Module], width: int, classes: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(heads)
        self.gates = nn.ModuleDict({name: nn.Linear(width + classes, 1) for name in heads})

    def weigh(self, encoded: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Each encoder's own logits (batch, classes) and gate (batch, 1); `encoded` in the order of the heads."""
        own = [head(x) for head, x in zip(self.heads.values(), encoded, strict=True)]
        evidence = [torch.cat((x, z.log_softmax(-1)), dim=-1) for x, z in zip(encoded, own, strict=True)]
        gates = [torch.sigmoid(gate(x)) for gate, x in zip(self.gates.values(), evidence, strict=True)]
        return own, gates

    def forward(self, encoded: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Logits (batch, classes) of all encoders together, and each encoder's own."""
        own, gates = self.weigh(encoded)
        weighed = [gate * z.log_softmax(-1) for gate, z in zip(gates, own, strict=True)]
        return torch.stack(weighed).sum(0), own
