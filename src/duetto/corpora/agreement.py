"""How far the annotators of a corpus agree, from the votes of its utterances.

utterances with `votes` ─ annotators · manifest_annotators ─▶ metrics.Agreement
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..data.labels import LabelMap, spelled
from ..data.utterance import Utterance
from ..data.votes import vote_weights
from ..metrics.agreement import Agreement, agreement
from . import CORPORA
from .corpus import Corpus


def annotators(
    utterances: Iterable[Utterance],
    classes: Sequence[str],
    corpus: Corpus | None = None,
    labels: LabelMap | None = None,
) -> Agreement | None:
    """Measure how far the annotators of a corpus agree.

    Args:
        utterances: Any; those without votes do not count.
        classes: Votes for anything else are left out.
        corpus: Where votes are written otherwise than raw labels, the corpus that says how.
        labels: Map from raw labels to classes; None where votes are classes or names of emotions.

    Returns:
        The agreement; None where no utterance has two annotators.
    """
    return agreement(list(_weights(utterances, classes, corpus, labels)))


def manifest_annotators(utterances: Sequence[Utterance]) -> Agreement | None:
    """Measure how far the annotators of the utterances of a manifest agree about their classes.

    Args:
        utterances: Of any corpora; the votes of each are read as its corpus writes them, where that is known.

    Returns:
        The agreement; None where no utterance has two annotators, or there are no two classes.
    """
    rated = [u for u in utterances if u.votes]
    classes = tuple(sorted({u.label for u in utterances if u.label is not None}))
    if not rated or len(classes) < 2:
        return None
    rows: list[np.ndarray] = []
    for name in sorted({u.corpus or "" for u in rated}):
        corpus = CORPORA.get(name)
        mapped = corpus is not None and corpus.maps_to(spelled(classes))
        labels = corpus.label_map(spelled(classes)) if corpus is not None and mapped else None
        rows += _weights((u for u in rated if (u.corpus or "") == name), classes, corpus, labels)
    return agreement(rows)


def _weights(
    utterances: Iterable[Utterance], classes: Sequence[str], corpus: Corpus | None, labels: LabelMap | None
) -> Iterator[np.ndarray]:
    """What each annotator gives to each class, for every utterance."""

    def name(vote: str) -> str:
        raw = vote if corpus is None else corpus.votes.get(vote.strip().lower(), vote)
        return (labels and labels.get(raw)) or vote

    for u in utterances:
        yield vote_weights({a: tuple(map(name, given)) for a, given in (u.votes or {}).items()}, classes)
