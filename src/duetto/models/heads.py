"""Classifiers on one vector for each utterance that are fitted at once, as PyTorch modules; and the head of dimensions.

    x (batch, d) ─ limit ─ kernel with each support vector ─ × coefficients, + intercepts ─ tanh ─ sums ─▶ logits

`training.classifiers` fills their buffers. Logistic regression and discriminant analysis need no module of their own:
they are one linear layer.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

from ..config.encoders import KERNEL_LIMIT

_UNTRAINED = 8
"""Support vectors of a head that is not fitted."""


class KernelHead(nn.Module):
    """Support vector machines with RBF kernel, one for each pair of classes, and their soft votes.

    Values z of a vector become x = 3·tanh(z / 3). The machine of classes i < j decides by
    f_ij(x) = Σ_s a_s,ij · exp(−γ·‖x − s‖²) + b_ij, above 0 for i. The logit of a class is the sum of tanh(f) over the
    machines of its pairs, turned in its favour: a vote that is continuous, since a sign changes with the last bit where
    a machine is undecided.

    All vectors are multiplied by √(2γ), so that the exponent is u·t − ‖u‖²/2 − ‖t‖²/2 with terms of about 1, and of at
    most 9·γ·d, since values are limited. Buffers are float32; all is computed in float64, since thousands of kernel
    values are multiplied by coefficients of up to C and nearly cancel. What rounding lifts above 0 counts as 0.

    Args:
        inputs: Values of a vector.
        classes: Number of classes.

    Attributes:
        support: (vectors, inputs) support vectors, limited, × √(2γ).
        halves: (vectors,) half of the squared lengths of these.
        scale: () 3·√(2γ).
        coefficients: (vectors, pairs).
        intercepts: (pairs,).
        votes: (pairs, classes) +1 for the first class of a pair, −1 for the second.
    """

    support: Tensor
    halves: Tensor
    scale: Tensor
    coefficients: Tensor
    intercepts: Tensor
    votes: Tensor

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        votes = pair_votes(classes)
        scale = torch.tensor(KERNEL_LIMIT * (1 / inputs) ** 0.5)
        support = torch.tanh(torch.randn(_UNTRAINED, inputs) / KERNEL_LIMIT) * scale
        buffers = {
            "support": support,
            "halves": support.square().sum(1) / 2,
            "scale": scale,
            "coefficients": torch.randn(_UNTRAINED, len(votes)),
            "intercepts": torch.zeros(len(votes)),
            "votes": votes,
        }
        for name, value in buffers.items():
            self.register_buffer(name, value)

    def resize(self, vectors: int) -> None:
        """Make room for other support vectors, before their values are loaded.

        Args:
            vectors: Their number.
        """
        for name in ("support", "halves", "coefficients"):
            buffer = getattr(self, name)
            setattr(self, name, buffer.new_zeros(vectors, *buffer.shape[1:]))

    def forward(self, x: Tensor) -> Tensor:
        """Classify vectors.

        Args:
            x: (batch, inputs).

        Returns:
            Logits (batch, classes).
        """
        scaled = torch.tanh(x.double() / KERNEL_LIMIT) * self.scale.double()
        halves = scaled.square().sum(1, keepdim=True) * 0.5
        distances = torch.relu(halves + self.halves.double() - scaled @ self.support.double().T)
        decisions = torch.exp(-distances) @ self.coefficients.double() + self.intercepts.double()
        return (torch.tanh(decisions) @ self.votes.double()).float()


class DimensionHead(nn.Module):
    """Ratings of dimensions, in their own units: x (batch, inputs) ─ linear ─ × scale, + mean ─▶ (batch, dimensions).

    Args:
        inputs: Values of a vector.
        dimensions: Their number.

    Attributes:
        mean: (dimensions,) of the training ratings.
        scale: (dimensions,) standard deviation of the training ratings.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, inputs: int, dimensions: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, dimensions)
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("scale", torch.ones(dimensions))

    def set_scale(self, ratings: np.ndarray) -> None:
        """Take mean and standard deviation from ratings.

        Args:
            ratings: (utterances, dimensions) of training; NaN where there is none. Each dimension has one at least.
        """
        deviation = np.nanstd(ratings.astype(np.float64), axis=0)
        self.mean.copy_(torch.from_numpy(np.nanmean(ratings.astype(np.float64), axis=0)))
        self.scale.copy_(torch.from_numpy(np.where(deviation > 0, deviation, 1.0)))

    def forward(self, x: Tensor) -> Tensor:
        """Predict ratings.

        Args:
            x: (batch, inputs).

        Returns:
            (batch, dimensions).
        """
        return self.mean + self.scale * self.linear(x)


def pair_votes(classes: int) -> Tensor:
    """List the votes of the machine of each pair of classes.

    Args:
        classes: Number of classes.

    Returns:
        (pairs, classes) float32; the pairs are ordered as `itertools.combinations` orders them.
    """
    votes = torch.zeros(classes * (classes - 1) // 2, classes)
    for row, (first, second) in enumerate(combinations(range(classes), 2)):
        votes[row, first], votes[row, second] = 1.0, -1.0
    return votes
