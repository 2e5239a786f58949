"""Statistics pooling: the mean and the standard deviation of every channel over the real steps of a sequence
(Snyder et al. 2018, "X-vectors", section 2)."""

from __future__ import annotations

import torch
from torch import Tensor

_VARIANCE_FLOOR = 1e-5  # the square root has no slope at 0


def mean_and_deviation(x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Both (batch, channels), over the steps of x (batch, channels, n) that are `real` (batch, 1, n).

    The deviation is √(Σ(x − mean)²/n + 1e-5).
    """
    count = real.sum(-1)
    mean = (x * real).sum(-1) / count
    variance = ((x - mean[..., None]).square() * real).sum(-1) / count
    return mean, torch.sqrt(variance + _VARIANCE_FLOOR)
