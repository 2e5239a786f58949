"""A linear head fitted further on a user's few labelled recordings, shrunk towards the head that it starts from.

    model folder ─ linear_head ─▶ LinearHead ─ fit_near ─▶ LinearHead ─ adapt ─▶ model folder
    vectors, labels, speakers ─ cross_validated ─▶ answers for speakers that were not adapted to

For vectors x_i, classes y_i and the model's head (W₀, b₀), divided by the temperature that fits its logits to the
user's classes, the adapted head (W₀ + ΔW, b₀ + Δb) minimises

    Σ_i w(y_i) · −log softmax((W₀ + ΔW)·x_i + b₀ + Δb)[y_i]  +  ½·λ·(s·‖ΔW‖² + ‖Δb‖²),   s = mean ‖x_i‖²,

the maximum a posteriori estimate of a logistic regression whose prior is centred on the model (Chelba and Acero,
"Adaptation of maximum entropy capitalizer", 2006). The problem is strictly convex, so its solution is unique; λ = ∞
gives the answers of the model as it was. The temperature comes first, since n bounded gradients cannot move a head that
is wrong and far too confident, as on recordings unlike its own. λ and a last temperature are chosen on speakers that
are left out in turn.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..errors import ConfigurationError, MissingExtraError
from ..evaluation.product import log_softmax

STRENGTHS = (math.inf, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""Candidates for λ, the most regularised first."""

UNCHOSEN = 100.0
"""λ where there are fewer than two speakers to choose it on."""

PARTS = 5
"""Parts of the speakers at most, of which each is left out once."""

_TOLERANCE = 1e-7
_MOST_ITERATIONS = 5_000
_SMALLEST = 1e-9
"""Singular values below this share of the greatest are none."""


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A linear classifier.

    Attributes:
        weight: (classes, d) float64.
        bias: (classes,) float64.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    def __call__(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Classify.

        Args:
            x: (n, d).

        Returns:
            (n, classes) logits.
        """
        return np.asarray(x, np.float64) @ self.weight.T + self.bias

    def part(self, rows: slice) -> LinearHead:
        """Select outputs.

        Args:
            rows: Of these.

        Returns:
            Their head.
        """
        return LinearHead(self.weight[rows], self.bias[rows])

    def divided(self, temperature: float) -> LinearHead:
        """Divide the logits.

        Args:
            temperature: By this.

        Returns:
            The head of the divided logits.
        """
        return LinearHead(self.weight / temperature, self.bias / temperature)


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labelled vectors of a user.

    Attributes:
        x: (n, d) float64.
        target: (n,) classes.
        speakers: (n,) names.
        balanced: Whether each class weighs the same in the loss.
    """

    x: NDArray[np.float64]
    target: NDArray[np.int64]
    speakers: NDArray[np.str_]
    balanced: bool = True

    def part(self, keep: NDArray[np.bool_]) -> Labelled:
        """Select utterances.

        Args:
            keep: (n,).

        Returns:
            Those.
        """
        return Labelled(self.x[keep], self.target[keep], self.speakers[keep], self.balanced)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Of each utterance in the loss, (n,); their mean is 1."""
        if not self.balanced:
            return np.ones(len(self.target))
        counts = np.bincount(self.target)
        return len(self.target) / (np.count_nonzero(counts) * counts[self.target])

    def speaker_parts(self) -> NDArray[np.int64]:
        """Distribute speakers over parts, the largest first, each to the part that is smallest so far.

        Returns:
            (n,) numbers of parts, at most `PARTS` and no more than speakers.
        """
        sizes = Counter(self.speakers.tolist())
        filled = [0] * min(PARTS, len(sizes))
        of: dict[str, int] = {}
        for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
            of[name] = filled.index(min(filled))
            filled[of[name]] += sizes[name]
        return np.array([of[name] for name in self.speakers.tolist()], np.int64)


@dataclass(frozen=True, eq=False)
class AdaptedHead:
    """A head after adaptation.

    Attributes:
        head: Of calibrated logits.
        strength: λ.
        temperature: By which the logits were divided in the end to calibrate them.
        chosen: Whether λ and the temperature were chosen on speakers; else they are `UNCHOSEN` and 1.
    """

    head: LinearHead
    strength: float
    temperature: float
    chosen: bool


def fit_near(base: LinearHead, data: Labelled, strength: float) -> LinearHead:
    """Fit a head that is shrunk towards another one (see the formula of this module).

    Solved in the span of the vectors, to which ΔW belongs.

    Args:
        base: (W₀, b₀).
        data: What is fitted to.
        strength: λ; infinity returns `base`.

    Returns:
        The head.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    if math.isinf(strength):
        return base
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise MissingExtraError("Adaptation", "train") from error
    scale = math.sqrt(max(float(np.square(data.x).sum(1).mean()), 1e-12))
    extended = np.hstack([data.x / scale, np.ones((len(data.x), 1))])
    u, values, basis = np.linalg.svd(extended, full_matrices=False)
    used = values > _SMALLEST * values[0]
    z, basis = u[:, used] * values[used], basis[used]
    start, weights, rows = base(data.x), data.weights, np.arange(len(data.x))

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        change = flat.reshape(len(base.bias), -1)
        log_posteriors = log_softmax(start + z @ change.T)
        value = -weights @ log_posteriors[rows, data.target]
        residual = np.exp(log_posteriors)
        residual[rows, data.target] -= 1
        gradient = (residual * weights[:, None]).T @ z + strength * change
        return float(value + 0.5 * strength * (change**2).sum()), gradient.ravel()

    options: dict[str, Any] = {
        "maxiter": _MOST_ITERATIONS,
        "maxfun": 2 * _MOST_ITERATIONS,
        "gtol": _TOLERANCE,
        "ftol": 0.0,
    }
    found = minimize(loss, np.zeros(len(base.bias) * z.shape[1]), jac=True, method="L-BFGS-B", options=options)
    change = found.x.reshape(len(base.bias), -1) @ basis
    return LinearHead(base.weight + change[:, :-1] / scale, base.bias + change[:, -1])


def fitted(base: LinearHead, data: Labelled, strength: float) -> LinearHead:
    """Divide a head by the temperature that fits the data, then fit it further (see the formula of this module).

    Args:
        base: The model's.
        data: What is fitted to.
        strength: λ.

    Returns:
        The head.
    """
    temperature = metrics.fit_temperature(base(data.x), data.target, data.weights)
    return fit_near(base.divided(temperature), data, strength)


def choose(base: LinearHead, data: Labelled) -> AdaptedHead:
    """Adapt a head, with λ and the temperature chosen on speakers that are left out in turn.

    Args:
        base: Of calibrated logits.
        data: What is adapted to.

    Returns:
        The head of the λ with the lowest negative log-likelihood for speakers left out, the most regularised of equals,
        fitted to all data, and divided by the temperature that fits their answers.
    """
    parts = data.speaker_parts()
    if parts.max(initial=0) == 0:
        return AdaptedHead(fitted(base, data, UNCHOSEN), UNCHOSEN, 1.0, chosen=False)
    weights, losses, answers = data.weights, [], []
    for strength in STRENGTHS:
        logits = np.empty((len(data.x), len(base.bias)))
        for part in range(parts.max() + 1):
            inside = parts == part
            logits[inside] = fitted(base, data.part(~inside), strength)(data.x[inside])
        losses.append(float(-weights @ log_softmax(logits)[np.arange(len(logits)), data.target] / len(logits)))
        answers.append(logits)
    best = metrics.best_index([-loss for loss in losses])
    temperature = metrics.fit_temperature(answers[best], data.target, weights)
    head = fitted(base, data, STRENGTHS[best]).divided(temperature)
    return AdaptedHead(head, STRENGTHS[best], temperature, chosen=True)


def cross_validated(base: LinearHead, data: Labelled) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """Answer for each utterance by a head that was adapted without its speaker, everything chosen included.

    Args:
        base: Of calibrated logits.
        data: Of all speakers.

    Returns:
        (n, classes) calibrated logits, and the part of each utterance; None with fewer than two speakers.
    """
    parts = data.speaker_parts()
    if parts.max(initial=0) == 0:
        return None
    logits = np.empty((len(data.x), len(base.bias)))
    for part in range(parts.max() + 1):
        inside = parts == part
        logits[inside] = choose(base, data.part(~inside)).head(data.x[inside])
    return logits, parts


def check(data: Labelled) -> None:
    """Check that there is something to adapt to.

    Args:
        data: The user's.

    Raises:
        ConfigurationError: There are fewer than two classes.
    """
    if len(np.unique(data.target)) < 2:
        raise ConfigurationError(
            f"{len(data.target)} utterances of one class say nothing of the others; label recordings of two classes or "
            "more"
        )
