"""Scores of predictions, and calibration of probabilities, against labels. NumPy only.

    labels, predictions ─▶ confusion matrix ─▶ UA, WA, macro-F1, recalls          `classification`
    ratings, predictions ─▶ concordance, RMSE                                      `dimensional`
    labels, probabilities ─▶ ECE, reliability, negative log-likelihood, Brier score  `calibration`

UA (unweighted accuracy, also called UAR or balanced accuracy) is the mean of the per-class recalls, WA (weighted
accuracy) the share of correct predictions. Published tables confuse the two; here the names always mean this. A score
is a fraction, 0–1, unless its docstring states otherwise.

    >>> unweighted_accuracy([0, 0, 0, 1], [0, 0, 1, 1])
    0.8333333333333333
    >>> weighted_accuracy(["sad", "sad", "sad", "angry"], ["sad", "sad", "angry", "angry"])
    0.75

Classes are integers from 0, or strings; strings are numbered in alphabetical order.
"""

from .agreement import Agreement, agreement
from .calibration import (
    TEMPERATURES,
    Reliability,
    brier,
    confidence_bins,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
    softmax,
)
from .classification import (
    TIE_TOLERANCE,
    Labels,
    Scores,
    best_index,
    confusion,
    macro_f1,
    predicted_classes,
    recalls,
    scores,
    unweighted_accuracy,
    weighted_accuracy,
)
from .dimensional import concordance, paired_sums, root_mean_square_error, scores_of_sums
from .selective import OperatingPoints, RiskCoverage, operating_points, risk_coverage

__all__ = [
    "TEMPERATURES",
    "TIE_TOLERANCE",
    "Agreement",
    "Labels",
    "OperatingPoints",
    "Reliability",
    "RiskCoverage",
    "Scores",
    "agreement",
    "best_index",
    "brier",
    "concordance",
    "confidence_bins",
    "confusion",
    "expected_calibration_error",
    "fit_temperature",
    "macro_f1",
    "negative_log_likelihood",
    "operating_points",
    "paired_sums",
    "predicted_classes",
    "recalls",
    "reliability",
    "risk_coverage",
    "root_mean_square_error",
    "scores",
    "scores_of_sums",
    "softmax",
    "unweighted_accuracy",
    "weighted_accuracy",
]
