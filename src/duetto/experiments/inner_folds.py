"""The training part of a fold, divided once more, so that a system's answers for speakers it has not met are known.

Fold ─ inner_folds ─▶ InnerFolds: folds whose test parts together are the training part
Fold ─ corpus_folds ─▶ folds that leave out one corpus each
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ..data.utterance import Utterance
from ..splits import Fold

FEWEST_SPEAKERS = 3
"""Speakers of a training part that is divided by speaker; one with fewer is divided by utterance."""


@dataclass(frozen=True)
class InnerFolds:
    """Folds within the training part of a fold.

    Attributes:
        folds: `test` is what is left out of training; `development` is that of the fold, which chooses epochs.
        groups: Utterance id → its speaker, or the part it was put in where speakers do not divide the folds.
        note: Why they do not; "" where they do.
    """

    folds: tuple[Fold, ...]
    groups: dict[str, str]
    note: str = ""


def inner_folds(fold: Fold, count: int) -> InnerFolds:
    """Divide the training part of a fold by speaker.

    Speakers are distributed so that parts hold about as many utterances each. Test data are not used.

    Args:
        fold: With two training utterances or more.
        count: Parts at most; there are no more than speakers.

    Returns:
        The folds, which do not depend on the order of the utterances. With fewer than `FEWEST_SPEAKERS` speakers, or
        where a speaker is not known, utterances of each class are divided in the order of their ids, in blocks, since
        neighbours resemble each other.
    """
    train = sorted(fold.train, key=lambda u: u.id)
    speakers = Counter(u.speaker for u in train)
    if None in speakers or len(speakers) < FEWEST_SPEAKERS:
        why = "some utterances have no speaker" if None in speakers else f"there are only {len(speakers)} speakers"
        groups = _blocks(train, min(count, len(train)))
        note = f"training part divided by utterance, since {why}: the weights may trust known voices too much"
    else:
        groups = {u.id: str(u.speaker) for u in train}
        note = ""
    parts = _parts(Counter(groups.values()), count)
    folds = tuple(
        Fold(
            f"{fold.name}, inner {number}",
            train=tuple(u for u in train if groups[u.id] not in part),
            development=fold.development,
            test=tuple(u for u in train if groups[u.id] in part),
        )
        for number, part in enumerate(parts)
    )
    return InnerFolds(folds, groups, note)


def corpus_folds(fold: Fold) -> tuple[Fold, ...]:
    """Leave out each corpus of a fold in turn. Test data are not used.

    Args:
        fold: Its training and development utterances state their corpus.

    Returns:
        A fold for each corpus: `test` is all of it, `train` and `development` are what the others have. None where
        there are fewer than two corpora, or an utterance states none; nor for a corpus without which fewer than two
        classes are left to train on, or no development data.
    """
    corpora = {u.corpus for u in (*fold.train, *fold.development)}
    if None in corpora or len(corpora) < 2:
        return ()
    folds = []
    for corpus in sorted(map(str, corpora)):
        train, development = (
            tuple(sorted((u for u in part if u.corpus != corpus), key=lambda u: u.id))
            for part in (fold.train, fold.development)
        )
        test = tuple(u for u in (*fold.train, *fold.development) if u.corpus == corpus)
        if len({u.label for u in train}) > 1 and development:
            folds.append(Fold(f"{fold.name}, without {corpus}", train, development, test))
    return tuple(folds)


def _parts(sizes: Counter[str], count: int) -> list[set[str]]:
    """Groups distributed over parts: the largest first, each to the part that is smallest so far."""
    parts: list[set[str]] = [set() for _ in range(min(count, len(sizes)))]
    filled = [0] * len(parts)
    for group in sorted(sizes, key=lambda group: (-sizes[group], group)):
        smallest = filled.index(min(filled))
        parts[smallest].add(group)
        filled[smallest] += sizes[group]
    return parts


def _blocks(train: Sequence[Utterance], count: int) -> dict[str, str]:
    """Utterance id → the name of its block; every class is divided into `count` blocks."""
    by_label: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in train:
        by_label[str(utterance.label)].append(utterance)
    return {
        utterance.id: f"block {number * count // len(of_label)}"
        for of_label in by_label.values()
        for number, utterance in enumerate(of_label)
    }
