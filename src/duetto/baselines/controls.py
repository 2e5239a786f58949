"""Controls: what can be reached without speech. A result can only be judged in comparison with them.

    majority   the most frequent class of the training part, always
    scenario   the most frequent training class of the utterance's scenario; on IEMOCAP's session 5 this
               alone reaches UA 66.9 %, the headline of the paper
    tfidf      TF-IDF of words and word pairs → logistic regression on the transcript

Each is fitted on training data and returns log-probabilities, so that it is scored like any system.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from ..data.text import normalise, tokens
from ..data.utterance import Utterance
from ..errors import MissingExtraError
from ..splits import Fold
from .base import FLOOR


def _log_shares(counts: Counter[str], classes: Sequence[str]) -> np.ndarray:
    """Log of add-one smoothed class shares, (classes,)."""
    total = np.array([counts[label] + 1.0 for label in classes])
    return np.log(total / total.sum())


def majority(fold: Fold, classes: Sequence[str]) -> np.ndarray:
    """Compute log-probabilities: the class shares of the training part.

    Args:
        fold: Training and test data.
        classes: In the order of the columns.

    Returns:
        (test, classes).
    """
    shares = _log_shares(Counter(str(u.label) for u in fold.train), classes)
    return np.tile(shares, (len(fold.test), 1))


def scenario(fold: Fold, classes: Sequence[str]) -> np.ndarray:
    """Compute log-probabilities: class shares of the scenario in training data, of all data for an unseen scenario.

    Args:
        fold: Training and test data.
        classes: In the order of the columns.

    Returns:
        (test, classes).
    """
    counts: dict[str | None, Counter[str]] = defaultdict(Counter)
    for utterance in fold.train:
        counts[utterance.scenario][str(utterance.label)] += 1
    overall = sum(counts.values(), Counter())
    return np.stack([_log_shares(counts.get(u.scenario) or overall, classes) for u in fold.test])


def _document(utterance: Utterance) -> str:
    return " ".join(normalise(utterance.text) if utterance.text else tokens(utterance))


def tfidf(fold: Fold, classes: Sequence[str]) -> np.ndarray:
    """Compute log-probabilities of logistic regression on TF-IDF of 1–2-grams with sublinear term frequency.

    C = 4, classes weighted by inverse frequency; these settings were fixed beforehand.

    Args:
        fold: Training and test data.
        classes: In the order of the columns.

    Returns:
        (test, classes).

    Raises:
        MissingExtraError: The extra `train` is not installed.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
    except ImportError as error:
        raise MissingExtraError("The TF-IDF control", "train") from error
    documents = [_document(u) for u in fold.train]
    if not any(documents):
        return majority(fold, classes)
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+"),
        LogisticRegression(C=4.0, class_weight="balanced", max_iter=1000),
    )
    model.fit(documents, [str(u.label) for u in fold.train])
    log_probabilities = np.full((len(fold.test), len(classes)), -FLOOR)
    columns = [list(classes).index(label) for label in model.classes_]
    log_probabilities[:, columns] = np.maximum(model.predict_log_proba([_document(u) for u in fold.test]), -FLOOR)
    return log_probabilities


CONTROLS: dict[str, tuple[str, Callable[[Fold, Sequence[str]], np.ndarray]]] = {
    "majority": ("Majority class", majority),
    "scenario": ("Scenario only, no speech", scenario),
    "tfidf": ("TF-IDF + logistic regression, transcript", tfidf),
}
"""Name → title, and function of a fold and the classes."""
