"""`Utterance` and `Word`: what every corpus reader returns, and every later step takes.

folder ─ corpora ─▶ list[Utterance] ─ splits ─▶ list[Fold]
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import CorpusError
from ..utils.reading import shortened

LANGUAGE = re.compile(r"[a-z]{2,3}")
"""Form of a language code: ISO 639-1, or three letters (ISO 639-3) where it has none for a language."""

DIMENSIONS = ("arousal", "valence", "dominance")
"""Names of the dimensions of emotion that corpora rate; others may stand beside them."""

DIMENSION = re.compile(r"[a-z][a-z0-9_]{0,31}")
"""Form of the name of a dimension."""

DEFAULT_LANGUAGE = "en"
"""Language of utterances that state none."""


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word.

    Attributes:
        word: Its spelling.
        start: Seconds from the beginning of the utterance; None where only a transcript is known.
        end: Seconds from the beginning of the utterance; None with `start`.
        source: Where it came from: `gold` (corpus), `aligned`, `recognised`, `segmented`, `text`.
        confidence: 0–1, where a speech recogniser gave one.

    Raises:
        CorpusError: The times or the confidence are not valid.
    """

    word: str
    start: float | None = None
    end: float | None = None
    source: str = "gold"
    confidence: float | None = None

    def __post_init__(self) -> None:
        if (self.start is None) != (self.end is None):
            raise CorpusError(f"word {self.word!r} has only one of start and end: give both, in seconds, or neither")
        if self.confidence is not None and not math.isfinite(self.confidence):
            raise CorpusError(f"word {self.word!r} has confidence {self.confidence}: a finite number is required")
        if self.start is None or self.end is None:
            return
        if not (math.isfinite(self.start) and math.isfinite(self.end) and 0 <= self.start <= self.end):
            raise CorpusError(
                f"word {self.word!r} has times {self.start}–{self.end} s: 0 ≤ start ≤ end is required, in seconds"
            )

    def shifted(self, seconds: float) -> Word:
        """Place it in another recording that has the same sound earlier or later.

        Args:
            seconds: How much later; what would be before the beginning is cut off.

        Returns:
            The word with other times; itself where they are not known.
        """
        if self.start is None or self.end is None or not seconds:
            return self
        return replace(self, start=max(0.0, self.start + seconds), end=max(0.0, self.end + seconds))


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance of a corpus: where its audio is, and everything known about it.

    Attributes:
        id: Unique within the corpus.
        audio: The recording, which may hold other utterances too.
        start: Seconds at which the utterance begins in `audio`; None for its beginning.
        end: Seconds at which the utterance ends in `audio`; None for its end.
        label: Class of the chosen label set; None where the raw label has no class in it.
        raw_label: The corpus' own label.
        speaker: Name of the speaker, unique within the corpus.
        session: Name of the recording session.
        scenario: What was spoken about or read; two utterances of one scenario may share their wording.
        text: Transcript.
        words: Words in order, with or without times.
        gender: `female` or `male`.
        votes: Annotator → that annotator's labels.
        language: Language that is spoken, as an ISO 639-1 code (`en`, `de`); None where it is not known.
        corpus: Name of the corpus; None where it is not known.
        dimensions: Dimension (`DIMENSIONS`, or another) → its rating, the mean over annotators, in the units of the
            corpus (IEMOCAP and MSP-IMPROV: 1–5; MSP-Podcast: 1–7); None where there is none.
        split: Part of the corpus' own division that the utterance belongs to (`train`, `development`, `test`, …);
            None where the corpus has none.

    Raises:
        CorpusError: The times, the language or a dimension are not valid.
    """

    id: str
    audio: Path
    start: float | None = None
    end: float | None = None
    label: str | None = None
    raw_label: str | None = None
    speaker: str | None = None
    session: str | None = None
    scenario: str | None = None
    text: str | None = None
    words: tuple[Word, ...] | None = None
    gender: str | None = None
    votes: Mapping[str, tuple[str, ...]] | None = None
    language: str | None = None
    corpus: str | None = None
    split: str | None = None
    dimensions: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        for name, rating in (self.dimensions or {}).items():
            if not DIMENSION.fullmatch(name) or not math.isfinite(rating):
                raise CorpusError(
                    f"utterance {self.id!r} has {shortened(rating)} for dimension {shortened(name)}: give a finite "
                    "number for a name of small letters, such as arousal; leave out what is not rated"
                )
        if self.language is not None and not LANGUAGE.fullmatch(self.language):
            raise CorpusError(
                f"utterance {self.id!r} has the language {shortened(self.language)}: give an ISO 639-1 code in lower "
                "case, such as en or de"
            )
        if self.start is not None and not (math.isfinite(self.start) and self.start >= 0):
            raise CorpusError(f"utterance {self.id!r} starts at {self.start} s: give seconds from 0 on")
        if self.end is not None and not (math.isfinite(self.end) and self.end > (self.start or 0.0)):
            raise CorpusError(f"utterance {self.id!r} ends at {self.end} s, which is not after its start")

    @property
    def style(self) -> str | None:
        """`improvised` or `scripted`, read from an IEMOCAP-like scenario name; None elsewhere."""
        if self.scenario is None:
            return None
        name = self.scenario.removeprefix(f"{self.corpus}:")
        if name.startswith("impro"):
            return "improvised"
        return "scripted" if name.startswith("script") else None


def by_id(utterances: Iterable[Utterance]) -> list[Utterance]:
    """Sort utterances by id, so that nothing fitted to them depends on the order of a manifest's lines.

    Args:
        utterances: Utterances in any order.

    Returns:
        The same utterances, sorted.
    """
    return sorted(utterances, key=lambda utterance: utterance.id)


def ratings_of(utterances: Sequence[Utterance], dimensions: Sequence[str]) -> np.ndarray:
    """Stack the ratings of utterances.

    Args:
        utterances: Utterances.
        dimensions: Names of the dimensions.

    Returns:
        (utterances, dimensions) float64; NaN where there is no rating.
    """
    rows = [[(u.dimensions or {}).get(name, math.nan) for name in dimensions] for u in utterances]
    return np.array(rows, np.float64).reshape(len(utterances), len(dimensions))


def languages(utterances: Iterable[Utterance]) -> tuple[str, ...]:
    """Return the languages that are spoken.

    Args:
        utterances: Utterances; those that state no language count as `DEFAULT_LANGUAGE`.

    Returns:
        Language codes, sorted; (`DEFAULT_LANGUAGE`,) without utterances.
    """
    return tuple(sorted({utterance.language or DEFAULT_LANGUAGE for utterance in utterances})) or (DEFAULT_LANGUAGE,)
