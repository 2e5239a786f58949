"""Support vector machine on functionals: the baseline that every acoustic system must beat.

    (68,) z-scored functionals ─ RBF kernel ─▶ decision values (classes,)

Lin & Wei 2005 ("Speech emotion recognition based on HMM and SVM", ICMLC) compare an SVM with an HMM. Their text could
not be read; the form here, functionals and an RBF kernel, is the usual one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import MissingExtraError
from ..splits import Fold
from . import base, functionals
from .base import BaselineInputs, BaselineOutput


@dataclass(frozen=True)
class Svm:
    """costs: candidates for C, the most regular first; the best on development data is taken.

    balanced: weigh C by inverse class frequency, since UA counts every class alike. The kernel's width is
    1 / (features · variance), scikit-learn's `scale`.
    """

    costs: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0, 30.0)
    balanced: bool = True

    def fit_predict(self, fold: Fold, inputs: BaselineInputs, classes: Sequence[str], seed: int) -> BaselineOutput:
        """See `base.Classifier`. Nothing here is random: every seed answers alike."""
        try:
            from sklearn.svm import SVC
        except ImportError as error:
            raise MissingExtraError("The SVM baseline", "train") from error
        train, development, test = functionals.of(fold, inputs)
        target = base.targets(fold.train, classes)
        weight = "balanced" if self.balanced else None
        models = [SVC(C=cost, class_weight=weight, decision_function_shape="ovr") for cost in self.costs]
        answers = []
        for model in models:
            model.fit(train, target)
            answers.append(decide(model, development, len(classes)))
        chosen = base.best(answers, base.targets(fold.development, classes))
        return BaselineOutput(
            decide(models[chosen], test, len(classes)), answers[chosen], (f"C = {self.costs[chosen]:g}",)
        )


def decide(model, x: np.ndarray, n_classes: int) -> np.ndarray:
    """Decision values of a fitted scikit-learn SVM as logits (n, classes); x (n, d), n may be 0."""
    if not len(x):
        return np.empty((0, n_classes))
    return base.columns(model.decision_function(x), model.classes_, n_classes)
