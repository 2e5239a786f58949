"""`Recognition`: what a speech recogniser found in a recording, and whether its words can be relied on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..data.utterance import Word


@dataclass(frozen=True, slots=True)
class Recognition:
    """The words of a recording.

    Attributes:
        words: In order, with start and end in seconds, `source="recognised"` and a confidence of 0–1.
        recogniser: Name of the recogniser, such as `pocketsphinx general` or `whisper tiny.en`.
        language: Language of the words (ISO 639-1); None where it is not known. A recogniser that cannot identify
            languages gives the one that it assumes.
        language_probability: Of the identified language, 0–1; None where the language was assumed.
        doubt: Why these are most likely not the words that were spoken, as a sentence; None where there is no reason.
        notes: What else a user should know about the words, one sentence each.
    """

    words: tuple[Word, ...]
    recogniser: str
    language: str | None = None
    language_probability: float | None = None
    doubt: str | None = None
    notes: tuple[str, ...] = ()


def mean_confidence(words: Sequence[Word]) -> float | None:
    """Average the confidences of words.

    Args:
        words: Words; those without a confidence are left out.

    Returns:
        The mean, 0–1; None if no word has a confidence.
    """
    values = [word.confidence for word in words if word.confidence is not None]
    return sum(values) / len(values) if values else None


def doubt(words: Sequence[Word], least: float) -> str | None:
    """State why words are not to be trusted, from their confidence alone.

    Args:
        words: As a speech recogniser found them.
        least: Mean confidence from which on they are trusted.

    Returns:
        A sentence; None where their mean confidence is high enough, or not known.
    """
    mean = mean_confidence(words)
    if mean is None or mean >= least:
        return None
    return (
        f"the words were recognised with a mean confidence of {mean:.2f}, and at least {least:.2f} is needed: they are "
        "most likely not what was said, or the speech is in another language"
    )
