"""Penalised likelihood of a product of posteriors: the weights of branches, and their corrections class by class.

evidence log p_b − log π, target ─ minimise ─▶ w;  ─ minimise_by_class ─▶ C
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .product import log_softmax


def minimise(
    evidence: NDArray[np.float64],
    target: NDArray[np.int64],
    log_prior: NDArray[np.float64],
    anchor: NDArray[np.float64],
    strength: float,
) -> NDArray[np.float64]:
    """Minimise mean log-loss(softmax(log π + Σ_b w_b · evidence_b)) + λ·‖w − w₀‖² over w ≥ 0.

    The objective is strictly convex: Newton's method, with the bound kept in each quadratic model.

    Args:
        evidence: (branches, n, classes), log p_b − log π.
        target: (n,) classes.
        log_prior: (classes,) log π.
        anchor: (branches,) w₀, not negative.
        strength: λ, above 0.

    Returns:
        (branches,) weights.
    """
    rows = np.arange(len(target))
    weights = anchor.astype(np.float64)

    def objective(w: NDArray[np.float64]) -> float:
        answers = log_softmax(log_prior + np.tensordot(w, evidence, 1))
        return float(-answers[rows, target].mean() + strength * ((w - anchor) ** 2).sum())

    value = objective(weights)
    for _ in range(100):
        posteriors = np.exp(log_softmax(log_prior + np.tensordot(weights, evidence, 1)))
        means = (posteriors * evidence).sum(2)
        centred = evidence - means[:, :, None]
        gradient = (means - evidence[:, rows, target]).mean(1) + 2 * strength * (weights - anchor)
        curvature = np.einsum("inc,jnc,nc->ij", centred, centred, posteriors) / len(target)
        step = _bounded_step(curvature + 2 * strength * np.eye(len(weights)), gradient, weights)
        size = 1.0
        while (new := objective(weights + size * step)) > value and size > 1e-8:
            size /= 2
        if new > value or np.abs(step).max() < 1e-9:
            break
        weights, value = np.maximum(weights + size * step, 0.0), new
    return weights


def _bounded_step(
    curvature: NDArray[np.float64], gradient: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The step d that minimises ½ d·H·d + g·d with weights + d ≥ 0, by coordinate descent."""
    step = np.zeros_like(weights)
    for _ in range(1000):
        before = step.copy()
        for b in range(len(step)):
            slope = gradient[b] + curvature[b] @ step
            step[b] = max(step[b] - slope / curvature[b, b], -weights[b])
        if np.abs(step - before).max() < 1e-12:
            break
    return step


def minimise_by_class(
    evidence: NDArray[np.float64],
    target: NDArray[np.int64],
    log_prior: NDArray[np.float64],
    weights: NDArray[np.float64],
    strength: float,
) -> NDArray[np.float64]:
    """Minimise mean log-loss(softmax(log π + Σ_b (w_b · I + C_b)ᵀ · evidence_b)) + λ·Σ_b ‖C_b‖² over all C.

    The objective is strictly convex: Newton's method with step halving.

    Args:
        evidence: (branches, n, classes), log p_b − log π.
        target: (n,) classes.
        log_prior: (classes,) log π.
        weights: (branches,) w, which stay.
        strength: λ, above 0.

    Returns:
        (branches, classes, classes) C.
    """
    branches, n, classes = evidence.shape
    x = np.moveaxis(evidence, 0, 1).reshape(n, -1)
    offset, truth = log_prior + np.tensordot(weights, evidence, 1), np.eye(classes)[target]

    def objective(c: NDArray[np.float64]) -> float:
        return float(-log_softmax(offset + x @ c)[truth == 1].mean() + strength * (c * c).sum())

    found = np.zeros((branches * classes, classes))
    value = objective(found)
    for _ in range(100):
        p = np.exp(log_softmax(offset + x @ found))
        gradient = x.T @ (p - truth) / n + 2 * strength * found
        curvature = np.block(
            [[(x * (p[:, [k]] * ((k == m) - p[:, [m]]))).T @ x / n for m in range(classes)] for k in range(classes)]
        )
        step = -np.linalg.solve(curvature + 2 * strength * np.eye(len(curvature)), gradient.T.ravel())
        step, size = step.reshape(classes, -1).T, 1.0
        while (new := objective(found + size * step)) > value and size > 1e-8:
            size /= 2
        if new > value or np.abs(step).max() < 1e-9:
            break
        found, value = found + size * step, new
    return found.reshape(branches, classes, classes)
