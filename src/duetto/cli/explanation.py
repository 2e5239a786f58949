"""`duetto predict --explain`: answers with the effects of moments and words, as bars for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from .. import audio
from ..data.utterance import Word
from ..errors import DuettoError
from ..inference.explanation import Explanation
from ..inference.recogniser import Recogniser
from ..inference.sources import guarded
from ..inference.speaker_session import SpeakerSession
from ..utils.progress import bar
from .output import echo

_LONGEST_BAR = 30
_LEAST_SCALE = 0.1
"""Effect of the longest bar at least, so that bars of a recording in which nothing matters are short."""


def explanations(
    recogniser: Recogniser,
    sources: Sequence[audio.Source],
    transcript: str | None,
    words: tuple[Word, ...] | None,
    session: SpeakerSession | None = None,
) -> Iterator[Explanation | DuettoError]:
    """Explain recordings one after another, with a progress bar for a single one.

    Args:
        recogniser: The system.
        sources: The recordings.
        transcript: What is said, if it is known.
        words: The words, if they are known.
        session: Of their speaker, for which they count; None for recordings by themselves.

    Yields:
        The explanation of each, or the error that prevented it.
    """
    for source in sources:
        with bar("moments and words", enabled=len(sources) == 1) as progress:
            explain = partial((session or recogniser).explain, transcript=transcript, words=words, progress=progress)
            outcome = guarded(explain, source)
        yield outcome


def show_effects(explanation: Explanation) -> None:
    """Print the effects on the answered class as text.

    Args:
        explanation: Of a recording; nothing is printed where there is no answer.
    """
    label = explanation.prediction.label
    if label is None:
        return
    moments = [(f"{moment.start:.2f}–{moment.end:.2f} s", moment.effects.get(label)) for moment in explanation.moments]
    words = [(word.word or "–", word.effects.get(label)) for word in explanation.words]
    most = max([abs(effect) for _, effect in [*moments, *words] if effect is not None], default=0.0)
    for title, rows in (("moment", moments), ("word", words)):
        if rows:
            echo(f"  effect of each {title} on the log-probability of {label}:")
        width = max((len(name) for name, _ in rows), default=0)
        for name, effect in rows:
            echo(f"    {name:<{width}}  {_bar(effect, max(most, _LEAST_SCALE))}")


def _bar(effect: float | None, longest: float) -> str:
    """Full blocks where the part raised the probability, light ones where it lowered it."""
    if effect is None:
        return "too little speech remains without it"
    block = "█" if effect >= 0 else "░"
    return f"{effect + 0.0:+6.2f}  {block * round(_LONGEST_BAR * abs(effect) / longest)}".rstrip()
