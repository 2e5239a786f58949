"""Bayes-optimal decisions on a written corpus, from what is planted in it: what a perfect recogniser reaches.

folder ─ oracle_decisions ─▶ id → emotion, decisions ─ oracle_accuracy ─▶ {"audio": …, "words": …, "both": …}
folder, its ratings ─ oracle_concordance ─▶ the same for each dimension
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .. import metrics
from ..data.utterance import Utterance, ratings_of
from ..errors import CorpusError
from ..utils.reading import Record
from .channel import EMOTIONS, Channel, deciders
from .marker import read_marker
from .ratings import best_ratings


def oracle_decisions(folder: str | Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Decide Bayes-optimally on each utterance that has an emotion.

    Args:
        folder: Of the corpus.

    Returns:
        Id → the emotion, and modality (`audio`, `words`, `both`; see `oracle_accuracy`) → the decision.

    Raises:
        CorpusError: The marker is missing or damaged, or the corpus is incomplete.
    """
    marker = read_marker(folder)
    planted, decide = marker.record("utterances"), deciders(_channel(marker))
    return {
        name: (emotion, {modality: decision(style, wording) for modality, decision in decide.items()})
        for name in planted
        for emotion, style, wording in [_planted(planted.record(name))]
        if emotion is not None
    }


def _channel(marker: Record) -> Channel:
    channel = marker.record("channel")
    return Channel(*(channel.number(key, low=0, high=1) for key in ("own", "sibling")))


def _planted(utterance: Record) -> tuple[str | None, str, str]:
    """Emotion (None where it has no class), style and wording of an utterance in a marker."""
    found = [utterance[key] for key in ("emotion", "style", "wording")]
    if any(value not in EMOTIONS for value in found if value is not None) or None in found[1:]:
        raise utterance.wrong(f"emotion, style and wording must be of {', '.join(EMOTIONS)}")
    return found[0], found[1], found[2]


def oracle_concordance(
    folder: str | Path, utterances: Iterable[Utterance], *, sessions: Iterable[int] | None = None
) -> dict[str, dict[str, float]]:
    """Compute the concordance of the best predictions of the ratings of a written corpus.

    It differs from `rating_ceilings` only as far as the draws do.

    Args:
        folder: Of the corpus.
        utterances: Of the corpus, with their ratings; those without an emotion do not count.
        sessions: Only these (1–5); all by default.

    Returns:
        Dimension → modality (`audio`, `words`, `both`; see `ratings.best_ratings`) → CCC.

    Raises:
        CorpusError: The marker is missing or damaged, or the corpus is incomplete.
    """
    marker = read_marker(folder)
    best, planted = best_ratings(_channel(marker)), marker.record("utterances")
    chosen = set(map(str, sessions or range(1, 6)))
    rated = [u for u in utterances if u.id in planted and u.session in chosen]
    cells = [(u, *_planted(planted.record(u.id))) for u in rated]
    rows = [(u, EMOTIONS.index(style), EMOTIONS.index(wording)) for u, emotion, style, wording in cells if emotion]
    targets = ratings_of([u for u, _, _ in rows], tuple(best))
    return {
        name: {
            modality: metrics.concordance(target, [table[style, wording] for _, style, wording in rows])
            for modality, table in best[name].items()
        }
        for name, target in zip(best, targets.T, strict=True)
    }


def oracle_accuracy(folder: str | Path, *, sessions: Iterable[int] | None = None) -> dict[str, float]:
    """Compute the unweighted accuracy of Bayes-optimal decisions on a written corpus.

    It is what a recogniser reaches that perceives style and wording without error and has learned the channel. It
    differs from `ceilings` only as far as the draws do.

    Args:
        folder: Of the corpus.
        sessions: Only these (1–5); all by default.

    Returns:
        `audio`, decided from the prosody style; `words`, from the wording class; `both`, from the pair.

    Raises:
        CorpusError: As for `oracle_decisions`, or there is no utterance with an emotion in the sessions.
    """
    chosen = None if sessions is None else set(sessions)
    hits: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for name, (emotion, decisions) in oracle_decisions(folder).items():
        if chosen is None or name[4:5] in {str(session) for session in chosen}:
            for modality, decision in decisions.items():
                hits[modality][emotion].append(decision == emotion)
    if not hits:
        raise CorpusError(f"{folder}: no utterance with an emotion in sessions {sorted(chosen or ())}; they are 1 to 5")
    return {
        modality: float(np.mean([np.mean(of[emotion]) for emotion in EMOTIONS if of[emotion]]))
        for modality, of in hits.items()
    }
