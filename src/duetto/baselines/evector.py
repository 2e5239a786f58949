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
from typing import Any, ClassVar

import numpy as np

from ..embeddings import vocabulary
from ..embeddings.vocabulary import Vocabulary
from ..errors import MissingExtraError
from ..features import short_term
from ..splits import Fold
from . import base, functionals, svm
from .base import Baseline, BaselineInputs, BaselineOutput
from .scorer import Scorer


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
class EVectorScorer(Scorer):
    """A linear classifier of the sum of the weights of words, and of functionals if it has weights for them.

    Attributes:
        table: Weights of each word, (words + 2, classes); the rows of padding and of unknown words are zero.
        mean: Of e-vector and functionals in training data, (d,).
        deviation: Likewise.
        weight: (present classes, d); (1, d) of two classes, in favour of the second.
        bias: (present classes,) or (1,).
        present: Numbers of the classes with training data.
        classes: Number of classes, ().
    """

    table: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    present: np.ndarray
    classes: np.ndarray

    def __call__(self, frames: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """See `Scorer`.

        Args:
            frames: (n, 34); not read by one without functionals.
            ids: (n,).

        Returns:
            Logits (classes,).
        """
        x = self.table[ids].sum(0)
        if len(self.mean) > len(x):
            x = np.concatenate((x, short_term.functionals(frames)))
        scores = self.weight @ ((x - self.mean) / self.deviation) + self.bias
        return base.to_logits(scores if len(scores) == 1 else scores[None], self.present, int(self.classes))[0]


@dataclass(frozen=True)
class EVector:
    """A linear SVM on e-vectors, one class against the rest, with squared hinge loss.

    Attributes:
        min_count: Words that occur less often in training transcripts are dropped.
        acoustics: Whether to append the functionals.
        costs: Candidates for C, the most regularised first; the best on development data is chosen.
        balanced: See `svm.Svm`.
    """

    scorer: ClassVar[type[Scorer]] = EVectorScorer
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
        x, normaliser = functionals.standardised(*(vectors(part, table, len(classes)) for part in token_lists))
        mean, deviation = normaliser.mean, normaliser.deviation
        if self.acoustics:
            voice, of_voice = functionals.of(fold, inputs)
            x = tuple(np.hstack(pair) for pair in zip(x, voice, strict=True))
            mean, deviation = np.append(mean, of_voice.mean), np.append(deviation, of_voice.deviation)
        weight = "balanced" if self.balanced else None
        dual: Any = False  # the primal problem: deterministic, and fast for few features at any C
        models = [LinearSVC(C=cost, class_weight=weight, dual=dual) for cost in self.costs]
        rows = np.array([np.zeros(len(classes))] * 2 + list(table.values()))

        def scorer(model: Any) -> EVectorScorer:
            fitted = model.coef_, model.intercept_, model.classes_
            return EVectorScorer(rows, mean, deviation, *fitted, np.array(len(classes)))

        output = svm.fit_and_choose(models, self.costs, x, fold, classes, scorer)
        unread = sum(not any(t in table for t in tokens) for tokens in token_lists[2])
        note = f"{unread} of {len(x[2])} test utterances contain no word known from training"
        return replace(output, vocabulary=Vocabulary(tuple(table)), notes=(note,) if unread else ())


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
