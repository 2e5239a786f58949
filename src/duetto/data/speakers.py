"""Names of speakers that may be the name of two people.

Names are unique within a corpus: EmoDB's 09 is a woman, RAVDESS' 09 a man. In a manifest of several corpora, a name
needs the corpus in front of it (`emodb:09`), or two people become one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from .utterance import Utterance


def doubtful_speakers(utterances: Iterable[Utterance]) -> dict[str, str]:
    """Find the names that utterances of several corpora, or of both genders, share.

    Args:
        utterances: Utterances of one manifest; those without a speaker are ignored.

    Returns:
        Speaker → why the name is doubtful, such as `of emodb and of ravdess`; sorted by speaker.
    """
    corpora: dict[str, set[str]] = defaultdict(set)
    genders: dict[str, set[str]] = defaultdict(set)
    for utterance in utterances:
        if utterance.speaker is None:
            continue
        corpora[utterance.speaker].add("of no named corpus" if utterance.corpus is None else f"of {utterance.corpus}")
        if utterance.gender is not None:
            genders[utterance.speaker].add(utterance.gender)
    reasons = {name: " and ".join(sorted(found)) for name, found in genders.items() if len(found) > 1}
    reasons |= {name: " and ".join(sorted(found)) for name, found in corpora.items() if len(found) > 1}
    return dict(sorted(reasons.items()))
