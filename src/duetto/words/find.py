"""Words for the utterances of a manifest, found in one chosen way.

    transcript  forced alignment of each transcript
    recognise   whatever a recogniser hears, the transcript unseen
    segment     word-like stretches of sound, without spelling

It is `batch.align_manifest` with what must not be seen taken away, and put back afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import ConfigurationError
from ..progress import Progress
from ..utterance import Utterance
from .batch import AlignmentReport, Missing, align_manifest
from .language import LanguageModel
from .recognise import Engine
from .vocabulary import tokens

WAYS = ("transcript", "recognise", "segment")


def find_words(
    utterances: Sequence[Utterance],
    *,
    by: str = "transcript",
    missing: Missing = "recognise",
    engine: Engine | None = None,
    anew: bool = False,
    workers: int = 1,
    cache_folder: Path | None = None,
    progress: Progress | None = None,
) -> tuple[list[Utterance], AlignmentReport]:
    """All utterances, in order, with the words that were found, and a report of what was not.

    by: one of `WAYS`. missing: what `transcript` does without one. engine: the recogniser. anew: find words
    where there are timed ones already; `recognise` and `segment` always do.
    An utterance in which nothing was found by `recognise` or `segment` has words (), not its old ones.
    """
    if by not in WAYS:
        raise ConfigurationError(f"words can't be found by {by!r}; choose from {', '.join(WAYS)}")
    blind = by != "transcript"
    if by == "segment":
        engine = Engine("segments")
    given = [_stripped(u, blind) if blind or anew else u for u in utterances]
    found, report = align_manifest(
        given, workers=workers, cache_folder=cache_folder, progress=progress, missing=missing, engine=engine
    )
    pairs = zip(found, utterances, strict=True)
    if blind:
        return [replace(f, words=f.words or (), text=u.text) for f, u in pairs], report
    return [replace(f, words=f.words or u.words, text=u.text) for f, u in pairs], report


def _stripped(utterance: Utterance, blind: bool) -> Utterance:
    """Without what must not be seen: its words, whose spelling stands in for a transcript, and that too if `blind`."""
    spelled = utterance.text or " ".join(word.word for word in utterance.words or ()) or None
    return replace(utterance, words=None, text=None if blind else spelled)


def language_of(utterances: Iterable[Utterance]) -> LanguageModel:
    """An n-gram of the transcripts of `utterances`; give training utterances alone."""
    return LanguageModel.from_corpus([tokens(utterance) for utterance in utterances])
