"""e-vector: how much each word leans towards each emotion, summed over the utterance.

    tokens ─ w(t, e), learned from training transcripts ─▶ Σ over tokens (classes,) ─ linear SVM ─▶ (classes,)
    variant: with the 68 functionals beside it ─▶ (classes + 68,) ─ linear SVM

Jin, Li, Chen & Wu, "Speech emotion recognition with acoustic and lexical features", ICASSP 2015. Its formula could
not be read: this is a reconstruction in which little confidence should be put (docs/systems.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..embeddings import vocabulary
from ..errors import MissingExtraError
from ..splits import Fold
from . import base, functionals, svm
from .base import BaselineInputs, BaselineOutput


def weights(
    token_lists: Sequence[Sequence[str]], target: np.ndarray, n_classes: int, min_count: int
) -> dict[str, np.ndarray]:
    """w(t, ·) of every word t that occurs at least `min_count` times, (classes,), each summing to 1.

    w(t, e) = r(t, e) / Σ_e' r(t, e') with r(t, e) = count(t, e) / count of all words in class e: the share of class
    e in the word's occurrences, had every class as many words.
    """
    counts = [vocabulary.count(s for s, c in zip(token_lists, target, strict=True) if c == e) for e in range(n_classes)]
    total: Counter[str] = sum(counts, Counter())
    sizes = np.array([max(sum(c.values()), 1) for c in counts], np.float64)
    table = {}
    for word in sorted(w for w, n in total.items() if n >= min_count):
        rates = np.array([c[word] for c in counts]) / sizes
        table[word] = rates / rates.sum()
    return table


def vectors(token_lists: Sequence[Sequence[str]], table: Mapping[str, np.ndarray], n_classes: int) -> np.ndarray:
    """e-vectors (n, classes): the sum of the words' weights; words without weights count nothing."""
    rows = [sum((table[t] for t in tokens if t in table), np.zeros(n_classes)) for tokens in token_lists]
    return np.array(rows).reshape(len(token_lists), n_classes)


@dataclass(frozen=True)
class EVector:
    """min_count: words that occur less often in training transcripts are dropped. acoustics: with functionals.

    costs: candidates for C of a linear SVM, one class against the rest, squared hinge loss; the most regular first, the
    best on development data is taken. balanced: see `svm.Svm`.
    """

    min_count: int = 3
    acoustics: bool = False
    costs: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)
    balanced: bool = True

    def fit_predict(self, fold: Fold, inputs: BaselineInputs, classes: Sequence[str], seed: int) -> BaselineOutput:
        """See `base.Classifier`. Nothing here is random: every seed answers alike."""
        try:
            from sklearn.svm import LinearSVC
        except ImportError as error:
            raise MissingExtraError("The e-vector baseline", "train") from error
        token_lists = [base.tokens(inputs, part) for part in base.parts(fold)]
        target = base.targets(fold.train, classes)
        table = weights(token_lists[0], target, len(classes), self.min_count)
        x = functionals.standardised(*(vectors(part, table, len(classes)) for part in token_lists))
        if self.acoustics:
            x = tuple(np.hstack(pair) for pair in zip(x, functionals.of(fold, inputs), strict=True))
        weight = "balanced" if self.balanced else None
        # The primal problem: deterministic, and fast for few features at any C.
        primal: Any = False
        models = [LinearSVC(C=cost, class_weight=weight, dual=primal) for cost in self.costs]
        answers = [svm.decide(model.fit(x[0], target), x[1], len(classes)) for model in models]
        chosen = base.best(answers, base.targets(fold.development, classes))
        wordless = sum(not any(t in table for t in tokens) for tokens in token_lists[2])
        return BaselineOutput(
            svm.decide(models[chosen], x[2], len(classes)),
            answers[chosen],
            (f"C = {self.costs[chosen]:g}",),
            (f"{wordless} of {len(x[2])} test utterances hold no word known from training",) if wordless else (),
        )
