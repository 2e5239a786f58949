"""Two classes that another corpus exchanges: what one calls angry, the other calls sad.

utterances of several corpora ─ shared_sentences ─▶ findings     (labels of the sentences that two corpora share)
results on a corpus of its own ─ of_results ─▶ findings          (answers of a system that was trained on others)

Both count pairs (label in one corpus, label or answer by the other), and find two classes exchanged where most
utterances of each are taken for the other, more than chance explains. Systems confuse classes across corpora too, but
mostly in one direction: a third of the sad may become neutral, but then not most of the neutral sad.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from ..data.text import tokens
from ..data.utterance import Utterance
from ..evaluation import SystemResult
from ..evaluation.statistics import binomial_p
from ..splits import Fold
from .findings import Finding, make_finding

SIGNIFICANT = 0.001
"""Largest p-value, times the number of pairs of classes: an exchange is rare, and a false alarm costs a search."""

Pairs = Mapping[tuple[str, str], int]
"""(Class in one corpus, class by the other) → how often."""


def exchanged(counts: Pairs) -> list[tuple[str, str, float]]:
    """Find classes that are exchanged.

    Args:
        counts: Pairs of classes that independent items have.

    Returns:
        The two classes, by name, and the p-value of the sign test (times the number of pairs of classes), for each two
        of which either is taken for the other more often than for itself.
    """
    names = sorted({name for pair in counts for name in pair})
    found = []
    for a, b in combinations(names, 2):
        kept = counts.get((a, a), 0), counts.get((b, b), 0)
        moved = counts.get((a, b), 0), counts.get((b, a), 0)
        if moved[0] <= kept[0] or moved[1] <= kept[1]:
            continue
        p = min(1.0, binomial_p(sum(kept), sum(moved)) * len(names) * (len(names) - 1) / 2)
        if p < SIGNIFICANT:
            found.append((a, b, p))
    return found


def shared_sentences(utterances: Sequence[Utterance]) -> Iterator[Finding]:
    """Compare the labels of sentences that two corpora share.

    A sentence counts if all its utterances in a corpus have one class; acted corpora, which say every sentence in every
    emotion, have none that do.

    Args:
        utterances: Of the manifest; those without corpus, label or words are ignored.

    Yields:
        A finding for each two corpora and two classes.
    """
    classes: dict[str, dict[tuple[str, ...], set[str]]] = defaultdict(lambda: defaultdict(set))
    for utterance in utterances:
        if utterance.corpus is not None and utterance.label is not None and (words := tuple(tokens(utterance))):
            classes[utterance.corpus][words].add(utterance.label)
    for first, second in combinations(sorted(classes), 2):
        shared = [s for s in classes[first] if len(classes[first][s]) == len(classes[second].get(s, ())) == 1]
        counts = Counter((min(classes[first][s]), min(classes[second][s])) for s in shared)
        for a, b, p in exchanged(counts):
            detail = (
                f"of the sentences that {first} and {second} share, {counts[a, b]} are {a} in {first} and {b} in "
                f"{second}, and {counts[b, a]} the other way round; {counts[a, a] + counts[b, b]} agree: one of "
                "these corpora exchanges the two classes"
            )
            yield make_finding("exchanged-classes", None, detail, classes=[a, b], corpora=[first, second], p=p)


def of_results(folds: Sequence[Fold], result: SystemResult) -> Iterator[Finding]:
    """Compare labels with the answers of systems that were trained on other corpora.

    Args:
        folds: Of the run.
        result: Of the run; of its seeds the first counts, since several would count utterances several times.

    Yields:
        A finding for each test corpus that training did not hold, and two classes.
    """
    answers = dict(zip(result.ids, result.predicted[0], strict=True))
    for fold in folds:
        others = {u.corpus for u in (*fold.train, *fold.development)}
        for corpus in sorted({u.corpus for u in fold.test if u.corpus is not None} - others):
            tested = [u for u in fold.test if u.corpus == corpus and u.id in answers]
            counts = Counter((str(u.label), result.classes[answers[u.id]]) for u in tested)
            for a, b, p in exchanged(counts):
                detail = (
                    f"a system trained on other corpora takes {counts[a, b]} of the {a} in {corpus} for {b} and "
                    f"{counts[b, a]} of the {b} for {a}, and is right for {counts[a, a]} and {counts[b, b]}: {corpus} "
                    "may exchange these classes; check its labels, or its description of them"
                )
                yield make_finding("exchanged-classes", fold.name, detail, classes=[a, b], corpora=[corpus], p=p)
