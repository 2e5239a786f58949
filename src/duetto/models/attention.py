"""Attention over time steps: pooling of one sequence, and cross-attention between two.

    states (batch, time, width), lengths ─ AttentionPooling ─▶ (batch, width)
    states of one encoder + states of the other ─ CrossAttention ─▶ (batch, time, width)

Steps beyond a sequence's length get a weight of exactly 0, so padding never changes the output.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def real_steps(x: Tensor, lengths: Tensor) -> Tensor:
    """Mask the steps that are not padding.

    Args:
        x: (batch, time, …).
        lengths: (batch,) steps of each sequence.

    Returns:
        (batch, time) bool, true within each length.
    """
    return torch.arange(x.shape[1], device=x.device) < lengths[:, None]


class AttentionPooling(nn.Module):
    """The mean of all states, weighted by learned attention.

    u_t = tanh(W·h_t + b), α = softmax(v·u) over real steps, result Σ_t α_t·h_t: the additive score of Bahdanau
    et al. 2015 with a learned query, as Yang et al. 2016 pool words (their equations 5–7).

    Args:
        width: Values in a state.
        units: Values in u.
    """

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, units)
        self.score = nn.Linear(units, 1, bias=False)

    def weights(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Compute the attention weights α.

        Args:
            states: (batch, time, width).
            lengths: (batch,) ≥ 1.

        Returns:
            (batch, time): 0 beyond each length, summing to 1.
        """
        scores = self.score(torch.tanh(self.hidden(states))).squeeze(-1)
        return scores.masked_fill(~real_steps(states, lengths), -math.inf).softmax(-1)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Pool the states.

        Args:
            states: (batch, time, width).
            lengths: (batch,) ≥ 1.

        Returns:
            (batch, width).
        """
        return (self.weights(states, lengths)[:, None] @ states).squeeze(1)


class CrossAttention(nn.Module):
    """Each state, merged with the states of another sequence that it attends to.

    α = softmax(Q·h_t · K·g_s / √units) over real steps s of the other sequence g (Vaswani et al. 2017, section
    3.2.1), c_t = Σ_s α_ts·g_s, result tanh(W·[h_t; c_t] + b) (Luong et al. 2015, equation 5).

    Args:
        width: Values in a state of either sequence.
        units: Values in a query and a key.
    """

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, units, bias=False)
        self.key = nn.Linear(width, units, bias=False)
        self.merge = nn.Linear(2 * width, width)

    def weights(self, states: Tensor, other: Tensor, other_lengths: Tensor) -> Tensor:
        """Compute the attention weights α.

        Args:
            states: (batch, time, width).
            other: (batch, other time, width).
            other_lengths: (batch,) ≥ 1.

        Returns:
            (batch, time, other time): 0 beyond `other_lengths`, summing to 1 over the other sequence's steps.
        """
        queries = self.query(states)
        scores = queries @ self.key(other).transpose(1, 2) / math.sqrt(queries.shape[-1])
        return scores.masked_fill(~real_steps(other, other_lengths)[:, None], -math.inf).softmax(-1)

    def forward(self, states: Tensor, other: Tensor, other_lengths: Tensor) -> Tensor:
        """Merge each state with its context in the other sequence.

        Args:
            states: (batch, time, width).
            other: (batch, other time, width).
            other_lengths: (batch,) ≥ 1.

        Returns:
            (batch, time, width).
        """
        context = self.weights(states, other, other_lengths) @ other
        return torch.tanh(self.merge(torch.cat((states, context), dim=-1)))
