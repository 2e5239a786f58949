"""Knowledge distillation (Hinton, Vinyals & Dean 2015; across modalities: Albanie et al. 2018).

    L = w · T² · H(softmax(teacher / T), softmax(student / T)) + (1 − w) · H(label, softmax(student))

H is the cross-entropy. A temperature T above 1 shows how the teacher ranks the wrong classes; T² compensates for the
soft gradient, which shrinks with 1/T².
"""

from __future__ import annotations

import torch
from torch import Tensor


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Compute the mean of H(softmax(teacher / T), softmax(student / T)).

    Args:
        student: (batch, classes) logits.
        teacher: (batch, classes) logits.
        temperature: T.

    Returns:
        A scalar, in nats.
    """
    posteriors = torch.softmax(teacher / temperature, dim=-1)
    return -(posteriors * torch.log_softmax(student / temperature, dim=-1)).sum(-1).mean()


def loss(hard: Tensor, student: Tensor, teacher: Tensor, temperature: float, weight: float) -> Tensor:
    """Compute the distillation loss L.

    Args:
        hard: The student's cross-entropy with the labels, a scalar.
        student: (batch, classes) logits.
        teacher: (batch, classes) logits.
        temperature: T.
        weight: w, in [0, 1].

    Returns:
        A scalar.
    """
    return weight * temperature**2 * soft_cross_entropy(student, teacher, temperature) + (1 - weight) * hard
