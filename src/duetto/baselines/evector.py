"""e-vector: how strongly each word is associated with each emotion, summed over the utterance.

    tokens ─ w(t, e), learned from training transcripts ─▶ Σ over tokens (classes,) ─ linear SVM ─▶ (classes,)
    variant: concatenated with the 68 functionals ─▶ (classes + 68,) ─ linear SVM

Jin, Li, Chen & Wu, "Speech emotion recognition with acoustic and lexical features", ICASSP 2015. Its formula could
not be read: this is a reconstruction in which little confidence should be put (docs/systems.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..embeddings import vocabulary
from ..errors import MissingExtraError
from ..splits import Fold
from . import base, functionals, svm
from .base import Baseline, BaselineInputs, BaselineOutput


def weights(
    token_lists: Sequence[Sequence[str]], target: np.ndarray, n_classes: int, min_count: int
) -> dict[str, np.ndarray]:
    """Compute the weights w(t, ·) of words.

    w(t, e) = r(t, e) / Σ_e' r(t, e') with r(t, e) = count(t, e) / count of all words in class e: the share of class
    e in the word's occurrences if every class had the same number of words.

    Args:
        token_lists: Words of each utterance.
        target: (utterances,) class numbers.
        n_classes: Number of classes.
        min_count: Occurrences that a word must have.

    Returns:
        Word → (classes,), summing to 1.
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
    """Compute e-vectors: the sum of the weights of an utterance's words.

    Args:
        token_lists: Words of each utterance.
        table: Word → (classes,); other words count nothing.
        n_classes: Number of classes.

    Returns:
        (n, classes).
    """
    rows = [sum((table[t] for t in tokens if t in table), np.zeros(n_classes)) for tokens in token_lists]
    return np.array(rows).reshape(len(token_lists), n_classes)


@dataclass(frozen=True)
class EVector:
    """A linear SVM on e-vectors, one class against the rest, with squared hinge loss.

    Attributes:
        min_count: Words that occur less often in training transcripts are dropped.
        acoustics: Whether to append the functionals.
        costs: Candidates for C, the most regularised first; the best on development data is chosen.
        balanced: See `svm.Svm`.
    """

    min_count: int = 3
    acoustics: bool = False
    costs: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)
    balanced: bool = True

    def fit_predict(self, fold: Fold, inputs: BaselineInputs, classes: Sequence[str], seed: int) -> BaselineOutput:
        """See `base.Classifier`.

        Args:
            fold: The three parts.
            inputs: With tokens, and with frames for `acoustics`.
            classes: In the order of the logits.
            seed: Not used: nothing is random.

        Returns:
            The predictions.
        """
        try:
            from sklearn.svm import LinearSVC
        except ImportError as error:
            raise MissingExtraError("The e-vector baseline", "train") from error
        token_lists = [base.tokens(inputs, part) for part in base.parts(fold)]
        table = weights(token_lists[0], base.targets(fold.train, classes), len(classes), self.min_count)
        x = functionals.standardised(*(vectors(part, table, len(classes)) for part in token_lists))
        if self.acoustics:
            x = tuple(np.hstack(pair) for pair in zip(x, functionals.of(fold, inputs), strict=True))
        weight = "balanced" if self.balanced else None
        dual: Any = False  # the primal problem: deterministic, and fast for few features at any C
        models = [LinearSVC(C=cost, class_weight=weight, dual=dual) for cost in self.costs]
        output = svm.fit_and_choose(models, self.costs, x, fold, classes)
        unread = sum(not any(t in table for t in tokens) for tokens in token_lists[2])
        note = f"{unread} of {len(x[2])} test utterances contain no word known from training"
        return replace(output, notes=(note,) if unread else ())


_SOURCE = "Jin, Li, Chen & Wu, Speech emotion recognition with acoustic and lexical features, ICASSP 2015"

# Both carry the paper's one figure: the paper calls its row lexical and acoustic, its source calls it text-based.
WORDS_ONLY = Baseline(
    name="evector",
    title="E-vector, words only",
    needs=("words",),
    source=_SOURCE,
    method=EVector(),
    reconstruction="the formula of the word weights; low confidence",
    paper_ua=57.25,
)
WITH_ACOUSTICS = Baseline(
    name="evector-acoustic",
    title="E-vector, words and functionals",
    needs=("frames", "words"),
    source=_SOURCE,
    method=EVector(acoustics=True),
    reconstruction="the formula of the word weights, and how acoustics are joined; low confidence",
    paper_ua=57.25,
)
