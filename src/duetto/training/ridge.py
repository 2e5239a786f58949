"""Dimensions such as arousal by ridge regression, for systems whose classifier is fitted at once.

    vectors (n, d), ratings ─ one regression for each shrinkage ─▶ development CCC ─ highest ─▶ DimensionHead

The covariance of the vectors is shrunk towards a sphere, as that of discriminant analysis is
(`classifiers.fit_discriminant`); how far, is chosen on development data for each dimension by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .. import metrics
from ..models.emotion import EmotionModel
from .classifiers import vectors
from .inputs import Inputs

SHRINKAGES = (0.9, 0.7, 0.5, 0.3, 0.1, 0.03, 0.01)
"""Candidates for λ, the most regularised first."""


def fit(model: EmotionModel, training: Sequence[Inputs], development: Inputs) -> None:
    """Fit the dimensions of a model; nothing happens to one without.

    Args:
        model: Its encoder passes on one vector for each utterance.
        training: The training utterances, and copies of them.
        development: What chooses the shrinkage, and the spread of the predictions.
    """
    if model.dimensions is None:
        return
    x, held_out = np.concatenate([vectors(part) for part in training]), vectors(development)
    ratings = np.concatenate([part.ratings for part in training if part.ratings is not None]).astype(np.float64)
    assert development.ratings is not None
    found = [choose(x, y, held_out, z) for y, z in zip(ratings.T, development.ratings.T, strict=True)]
    weight, bias = np.stack([w for w, _ in found]), np.array([b for _, b in found])
    values = {"linear.weight": weight, "linear.bias": bias, "mean": 0 * bias, "scale": 0 * bias + 1}
    state = {name: torch.from_numpy(value.astype(np.float32)) for name, value in values.items()}
    model.dimensions.load_state_dict(state)


def choose(
    x: np.ndarray, ratings: np.ndarray, held_out: np.ndarray, held_out_ratings: np.ndarray
) -> tuple[np.ndarray, float]:
    """Fit one dimension with the shrinkage of the highest concordance (CCC) on development data.

    A shrunk regression predicts too little spread, which costs concordance. So its slope is multiplied by what gives
    predictions of development utterances the spread of the training ratings: at a given correlation, CCC is highest
    where both spreads are equal.

    Args:
        x: (n, d) vectors of training.
        ratings: (n,) of these; NaN where there is none.
        held_out: (m, d) vectors of development.
        held_out_ratings: (m,) of these; NaN where there is none.

    Returns:
        Weights (d,) and bias; those of the first candidate where no development utterance is rated.
    """
    rated = ~np.isnan(ratings)
    x, y = x[rated], ratings[rated]
    scores, lines = [], []
    for shrinkage in SHRINKAGES:
        weight = fit_ridge(x, y, shrinkage)
        spread = float((held_out @ weight).std()) if len(held_out) else 0.0
        weight = weight * (y.std() / spread if spread > 0 else 1.0)
        lines.append((weight, float(y.mean() - x.mean(0) @ weight)))
        scores.append(metrics.concordance(held_out_ratings, held_out @ weight + lines[-1][1]))
    return lines[0 if np.isnan(scores[0]) else metrics.best_index(scores)]


def fit_ridge(x: np.ndarray, y: np.ndarray, shrinkage: float) -> np.ndarray:
    """Fit a ridge regression.

    With the covariance S of the vectors, Σ = (1 − λ)·S + λ·(tr S / d)·I, and the weights are Σ⁻¹·cov(x, y): for λ = 0
    ordinary least squares (Hastie et al., "The Elements of Statistical Learning", equation 3.44).

    Args:
        x: (n, d).
        y: (n,).
        shrinkage: λ.

    Returns:
        Weights (d,).
    """
    centred = x - x.mean(0)
    covariance = centred.T @ centred / len(x)
    spherical = max(float(np.trace(covariance)) / len(covariance), 1e-6)
    covariance = (1 - shrinkage) * covariance + shrinkage * spherical * np.eye(len(covariance))
    return np.linalg.solve(covariance, centred.T @ (y - y.mean()) / len(x))
