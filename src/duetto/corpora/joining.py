"""One manifest of several corpora, in which no two people, sessions or scenarios have one name.

emodb.jsonl, ravdess.jsonl ─ join ─▶ utterances emodb:03a01Fa of speaker emodb:03, ravdess:03-01-… of speaker ravdess:03
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ..data.speakers import doubtful_speakers
from ..data.utterance import Utterance
from ..errors import ConfigurationError, CorpusError
from .parsing import some

PREFIXED = ("id", "speaker", "session", "scenario")
"""Fields whose values are unique within a corpus only."""


def join(manifests: Sequence[Sequence[Utterance]], names: Sequence[str]) -> list[Utterance]:
    """Join utterances of several corpora; ids, speakers, sessions and scenarios get the name of their corpus.

    A corpus that was joined before keeps its names. Two manifests may hold parts of one corpus if both state so in
    `Utterance.corpus`: their speakers of one name are then one person.

    Args:
        manifests: The utterances of each manifest.
        names: Name of the corpus of each manifest, for utterances that state none (`Utterance.corpus`).

    Returns:
        All utterances, in the order given, each with its corpus.

    Raises:
        ConfigurationError: A name is empty, holds a colon, or would be that of two corpora.
        CorpusError: Two utterances get one id, or one corpus has one name for people of both genders.
    """
    _check_names(manifests, names)
    joined: list[Utterance] = []
    for utterances, default in zip(manifests, names, strict=True):
        parts: dict[str, list[Utterance]] = {}
        for utterance in utterances:
            parts.setdefault(utterance.corpus or default, []).append(utterance)
        renamed = {name: iter(_renamed(part, name)) for name, part in parts.items()}
        joined += [next(renamed[utterance.corpus or default]) for utterance in utterances]
    twice = [name for name, count in Counter(utterance.id for utterance in joined).items() if count > 1]
    if twice:
        raise CorpusError(f"{len(twice)} ids come from two manifests ({some(twice)}); join every utterance once")
    if doubtful := doubtful_speakers(joined):
        listed = some(f"{name}: {reason}" for name, reason in doubtful.items())
        raise CorpusError(
            f"{len(doubtful)} speakers are two people ({listed}); a manifest holds several corpora without saying so: "
            "write one manifest for each with duetto corpus manifest, and join those"
        )
    return joined


def _check_names(manifests: Sequence[Sequence[Utterance]], names: Sequence[str]) -> None:
    stated = [{utterance.corpus for utterance in utterances} for utterances in manifests]
    for name in {*names, *(name for group in stated for name in group if name is not None)}:
        if not name or ":" in name:
            raise ConfigurationError(f"{name!r} cannot be the name of a corpus: it must not be empty or hold a colon")
    for number, (name, group) in enumerate(zip(names, stated, strict=True)):
        if None not in group:
            continue
        others = [n for at, n in enumerate(names) if at != number and None in stated[at]]
        if name in others or any(name in other for other in stated):
            raise ConfigurationError(
                f"utterances of two manifests would be of the corpus {name!r}, and their speakers be merged; name the "
                "corpus of each manifest: --names NAME,NAME"
            )


def _renamed(utterances: Sequence[Utterance], corpus: str) -> list[Utterance]:
    """The utterances of one corpus in one manifest, with its name in front of theirs unless all have it."""
    prefix = f"{corpus}:"
    if all(u.corpus == corpus and all(n.startswith(prefix) for n in (u.id, u.speaker or prefix)) for u in utterances):
        return list(utterances)
    return [
        replace(
            utterance,
            corpus=corpus,
            **{field: prefix + value for field in PREFIXED if (value := getattr(utterance, field)) is not None},
        )
        for utterance in utterances
    ]
