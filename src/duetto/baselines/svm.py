"""Support vector machine on functionals: the baseline that every acoustic system must beat.

    (68,) z-scored functionals ─ RBF kernel ─▶ decision values (classes,)

Lin & Wei 2005 ("Speech emotion recognition based on HMM and SVM", ICMLC) compare an SVM with an HMM. Their text could
not be read; the form here, functionals and an RBF kernel, is the usual one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from ..errors import MissingExtraError
from ..features import short_term
from ..preprocessing import Normaliser
from ..splits import Fold
from . import base, functionals
from .base import Baseline, BaselineInputs, BaselineOutput
from .scorer import Scorer

SOURCE = "Lin & Wei, Speech emotion recognition based on HMM and SVM, ICMLC 2005"


@dataclass(frozen=True)
class SvmScorer(Scorer):
    """Decision values of machines with RBF kernel, one for each pair of classes, joined as scikit-learn's `ovr` does:
    a class has as many points as machines in favour of it, and the sum of their decisions, squashed, among equals.

    Attributes:
        mean: Of the functionals in training data, (68,).
        deviation: Likewise.
        support: Support vectors, (n, 68).
        coefficients: Of each in the machine of each pair, (n, pairs); a positive decision is for the first of the pair.
        intercepts: (pairs,).
        gamma: Factor of the squared distance in the kernel, ().
        present: Numbers of the classes with training data.
        classes: Number of classes, ().
    """

    mean: np.ndarray
    deviation: np.ndarray
    support: np.ndarray
    coefficients: np.ndarray
    intercepts: np.ndarray
    gamma: np.ndarray
    present: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, model: Any, normaliser: Normaliser, classes: int) -> SvmScorer:
        """Take the arrays of a fitted scikit-learn `SVC`.

        Args:
            model: The machine.
            normaliser: Of the functionals.
            classes: Number of classes.

        Returns:
            The scorer.
        """
        pairs = list(combinations(range(len(model.classes_)), 2))
        owner = np.repeat(np.arange(len(model.classes_)), model.n_support_)
        coefficients = np.zeros((len(owner), len(pairs)))
        for column, (a, b) in enumerate(pairs):  # libsvm's layout: row j − 1 for class i < j, row i for class j
            coefficients[owner == a, column] = model.dual_coef_[b - 1, owner == a]
            coefficients[owner == b, column] = model.dual_coef_[a, owner == b]
        sign = -1.0 if len(pairs) == 1 else 1.0  # scikit-learn turns the sign of a single machine
        return cls(
            normaliser.mean,
            normaliser.deviation,
            model.support_vectors_,
            sign * coefficients,
            sign * model.intercept_,
            np.array(model._gamma),
            model.classes_,
            np.array(classes),
        )

    def __call__(self, frames: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """See `Scorer`.

        Args:
            frames: (n, 34).
            ids: Not read.

        Returns:
            Logits (classes,).
        """
        x = (short_term.functionals(frames) - self.mean) / self.deviation
        kernel = np.exp(-self.gamma * np.square(self.support - x).sum(1))
        decisions = kernel @ self.coefficients + self.intercepts
        if len(self.present) == 2:
            return base.to_logits(-decisions, self.present, int(self.classes))[0]
        votes, sums = np.zeros((2, len(self.present)))
        for (a, b), decision in zip(combinations(range(len(self.present)), 2), decisions, strict=True):
            votes[b if decision < 0 else a] += 1
            sums[a] += decision
            sums[b] -= decision
        return base.to_logits((votes + sums / (3 * (np.abs(sums) + 1)))[None], self.present, int(self.classes))[0]


@dataclass(frozen=True)
class Svm:
    """An SVM with RBF kernel; the kernel's width is 1 / (features · variance), scikit-learn's `scale`.

    Attributes:
        costs: Candidates for C, the most regularised first; the best on development data is chosen.
        balanced: Whether to weight C by inverse class frequency, since UA counts every class alike.
    """

    scorer: ClassVar[type[Scorer]] = SvmScorer
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
        x, normaliser = functionals.of(fold, inputs)
        return fit_and_choose(
            models, self.costs, x, fold, classes, lambda model: SvmScorer.of(model, normaliser, len(classes))
        )


def fit_and_choose(
    models: Sequence[Any],
    costs: Sequence[float],
    x: Sequence[np.ndarray],
    fold: Fold,
    classes: Sequence[str],
    scorer: Callable[[Any], Scorer],
) -> BaselineOutput:
    """Fit scikit-learn SVMs and choose the best on development data.

    Args:
        models: Not yet fitted, one per cost.
        costs: C of each.
        x: (n, d) training, development and test data.
        fold: The three parts.
        classes: In the order of the logits.
        scorer: Makes the scorer of a fitted model.

    Returns:
        The predictions of the best.
    """
    train, development, test = x
    target = base.targets(fold.train, classes)
    logits = [decision_logits(model.fit(train, target), development, len(classes)) for model in models]
    chosen = base.best(logits, base.targets(fold.development, classes))
    test_logits = decision_logits(models[chosen], test, len(classes))
    return BaselineOutput(test_logits, logits[chosen], scorer(models[chosen]), chosen=(f"C = {costs[chosen]:g}",))


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
