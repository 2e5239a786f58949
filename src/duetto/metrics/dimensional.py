"""Scores of predicted ratings, such as arousal, against those of annotators: concordance and root mean square error.

    target, predicted ─ paired_sums ─▶ sums (…, 7) ─ scores_of_sums ─▶ concordance, RMSE

The sums of several groups add up to those of all, so that a bootstrap over speakers needs one sum for each speaker.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_CONSTANT = 1e-12
"""Variances below this share of the mean square count as 0: rounding, where all values are equal."""


def paired_sums(target: ArrayLike, predicted: ArrayLike) -> NDArray[np.float64]:
    """Compute what the scores follow from, for each pair of values.

    Args:
        target: (…) ratings; NaN where there is none.
        predicted: (…) predictions; NaN where there is none.

    Returns:
        (…, 7): 1, x, y, x², y², xy and (x − y)² for target x and prediction y; zeros where either is NaN.
    """
    x, y = np.broadcast_arrays(np.asarray(target, np.float64), np.asarray(predicted, np.float64))
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = np.where(known, x, 0.0), np.where(known, y, 0.0)
    return np.stack([known.astype(np.float64), x, y, x * x, y * y, x * y, (x - y) ** 2], axis=-1)


def scores_of_sums(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute concordance and root mean square error from sums of `paired_sums`.

    Args:
        sums: (…, 7).

    Returns:
        Both (…), as `concordance` and `root_mean_square_error` define them.
    """
    count = sums[..., 0]
    mean_x, mean_y, xx, yy, xy, square = np.moveaxis(sums[..., 1:] / np.maximum(count, 1)[..., None], -1, 0)
    variance_x, variance_y = xx - mean_x**2, yy - mean_y**2
    varies = (variance_x > _CONSTANT * xx) & (variance_y > _CONSTANT * yy)
    spread = np.where(varies, variance_x + variance_y + (mean_x - mean_y) ** 2, 1.0)
    found = np.where(varies, 2 * (xy - mean_x * mean_y) / spread, 0.0)
    return np.where(count > 0, found, np.nan), np.where(count > 0, np.sqrt(square), np.nan)


def concordance(target: ArrayLike, predicted: ArrayLike) -> float:
    """Compute the concordance correlation coefficient (CCC).

    2·s_xy / (s_x² + s_y² + (x̄ − ȳ)²), with variances and covariance of the population, divided by n as in L. I.-K.
    Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45(1), 255–268 (1989). It is
    Pearson's correlation, less what predictions lose by another mean or spread than that of the ratings.

    Args:
        target: (n,) ratings.
        predicted: (n,) predictions.

    Returns:
        From −1 to 1; 0 where either is constant, as with one pair. Pairs with a NaN are left out; NaN where none is
        left.

    Examples:
        >>> concordance([1, 2, 3], [1, 2, 3])
        1.0
        >>> round(concordance([1, 2, 3], [2, 3, 4]), 4)
        0.5714
    """
    return float(_scores(target, predicted)[0])


def root_mean_square_error(target: ArrayLike, predicted: ArrayLike) -> float:
    """Compute the root of the mean squared difference, in the units of the ratings.

    Args:
        target: (n,) ratings.
        predicted: (n,) predictions.

    Returns:
        From 0 on. Pairs with a NaN are left out; NaN where none is left.

    Examples:
        >>> root_mean_square_error([1, 2, 3], [2, 3, 4])
        1.0
    """
    return float(_scores(target, predicted)[1])


def _scores(target: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return scores_of_sums(paired_sums(target, predicted).sum(0))
