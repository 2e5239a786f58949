"""Support vector machine on functionals: the baseline that every acoustic system must beat.

    (68,) z-scored functionals ─ RBF kernel ─▶ decision values (classes,)

Lin & Wei 2005 ("Speech emotion recognition based on HMM and SVM", ICMLC) compare an SVM with an HMM. Their text could
not be read; the form here, functionals and an RBF kernel, is the usual one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import MissingExtraError
from ..splits import Fold
from . import base, functionals
from .base import Baseline, BaselineInputs, BaselineOutput

SOURCE = "Lin & Wei, Speech emotion recognition based on HMM and SVM, ICMLC 2005"


@dataclass(frozen=True)
class Svm:
    """An SVM with RBF kernel; the kernel's width is 1 / (features · variance), scikit-learn's `scale`.

    Attributes:
        costs: Candidates for C, the most regularised first; the best on development data is chosen.
        balanced: Whether to weight C by inverse class frequency, since UA counts every class alike.
    """

    costs: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0, 30.0)
    balanced: bool = True

    def fit_predict(self, fold: Fold, inputs: BaselineInputs, classes: Sequence[str], seed: int) -> BaselineOutput:
        """See `base.Classifier`.

        Args:
            fold: The three parts.
            inputs: With frames.
            classes: In the order of the logits.
            seed: Not used: nothing is random.

        Returns:
            The predictions.
        """
        try:
            from sklearn.svm import SVC
        except ImportError as error:
            raise MissingExtraError("The SVM baseline", "train") from error
        weight = "balanced" if self.balanced else None
        models = [SVC(C=cost, class_weight=weight, decision_function_shape="ovr") for cost in self.costs]
        return fit_and_choose(models, self.costs, functionals.of(fold, inputs), fold, classes)


def fit_and_choose(
    models: Sequence[Any], costs: Sequence[float], x: Sequence[np.ndarray], fold: Fold, classes: Sequence[str]
) -> BaselineOutput:
    """Fit scikit-learn SVMs and choose the best on development data.

    Args:
        models: Not yet fitted, one per cost.
        costs: C of each.
        x: (n, d) training, development and test data.
        fold: The three parts.
        classes: In the order of the logits.

    Returns:
        The predictions of the best.
    """
    train, development, test = x
    target = base.targets(fold.train, classes)
    logits = [decision_logits(model.fit(train, target), development, len(classes)) for model in models]
    chosen = base.best(logits, base.targets(fold.development, classes))
    test_logits = decision_logits(models[chosen], test, len(classes))
    return BaselineOutput(test_logits, logits[chosen], (f"C = {costs[chosen]:g}",))


def decision_logits(model: Any, x: np.ndarray, n_classes: int) -> np.ndarray:
    """Compute the decision values of a fitted scikit-learn SVM.

    Args:
        model: The SVM.
        x: (n, d), n may be 0.
        n_classes: Number of all classes.

    Returns:
        Logits (n, classes).
    """
    if not len(x):
        return np.empty((0, n_classes))
    return base.to_logits(model.decision_function(x), model.classes_, n_classes)


BASELINE = Baseline(
    name="svm",
    title="SVM on mean and deviation of the features",
    needs=("frames",),
    source=SOURCE,
    method=Svm(),
    reconstruction="the 34 features and their functionals replace the published selection of features",
)
