"""Training on one corpus and testing on another.

two manifests ─ qualified ─▶ utterances whose names tell them apart ─ transfer ─▶ Fold
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..data.utterance import Utterance, by_id
from ..errors import ConfigurationError
from .fold import Fold, with_development


def transfer(name: str, source: Sequence[Utterance], target: Sequence[Utterance], seed: int = 0) -> Fold:
    """Make the fold that trains on one corpus and tests on another.

    Args:
        name: Name of the fold.
        source: Utterances to train on; its development speakers are drawn from them.
        target: Utterances to test on. Their speakers need names that do not occur in `source`.
        seed: Of the draw of development speakers.

    Returns:
        The fold.

    Raises:
        ConfigurationError: The target is empty, or the source has fewer than two speakers.
    """
    return with_development(name, by_id(source), by_id(target), seed)


def qualified(source: Sequence[Utterance], target: Sequence[Utterance]) -> list[Utterance]:
    """Tell the utterances and speakers of another corpus from those of the same name, by the name of their corpus.

    Args:
        source: Utterances to train on.
        target: Utterances to test on. Where they state their corpus, and it is none of the stated corpora of `source`,
            an id or a speaker that occurs in both becomes `CORPUS:NAME`.

    Returns:
        The utterances of `target`. A speaker of the same corpus, or of one that is not stated, keeps the name, so that
        the audit finds a leak.

    Raises:
        ConfigurationError: An id is in both, and nothing states that these are two utterances.
    """
    corpora, ids = {u.corpus for u in source}, {u.id for u in source}
    speakers = {u.speaker for u in source} - {None}
    result = []
    for u in target:
        if u.corpus is not None and None not in corpora and u.corpus not in corpora:
            name = f"{u.corpus}:{u.id}" if u.id in ids else u.id
            voice = f"{u.corpus}:{u.speaker}" if u.speaker in speakers else u.speaker
            u = replace(u, id=name, speaker=voice)
        if u.id in ids:
            raise ConfigurationError(
                f"utterance {u.id!r} is in the manifest for training and in that for testing; if these are two, state "
                "the corpus of each in the manifests ('corpus'), else remove one"
            )
        result.append(u)
    return result
