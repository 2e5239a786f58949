"""Statistics pooling: mean and standard deviation over time (Snyder et al. 2018, "X-vectors", section 2)."""

from __future__ import annotations

import torch
from torch import Tensor

_VARIANCE_FLOOR = 1e-5  # the square root has no derivative at 0


def mean_and_deviation(x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and standard deviation of every channel over the real steps.

    Args:
        x: (batch, channels, n).
        real: (batch, 1, n) bool, true where a step is not padding.

    Returns:
        Mean and √(Σ(x − mean)²/n + 1e-5), both (batch, channels).
    """
    count = real.sum(-1)
    mean = (x * real).sum(-1) / count
    variance = ((x - mean[..., None]).square() * real).sum(-1) / count
    return mean, torch.sqrt(variance + _VARIANCE_FLOOR)
