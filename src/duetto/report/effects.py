"""What moved wrong answers, as a section of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .formatting import number
from .sections import Section, Table

_SHOWN = 3
"""Parts of a recording that are named on each side."""
_LEAST = 0.005
"""Effects below this are not named: they would read 0.00."""
_LEAD = (
    "The most confident wrong answers, and what moved them: each moment and each word was left out in turn, and the "
    "effect is by how much it raised the log-probability of the answer. Effects do not add up, and state what moved "
    "the system, not why a person sounds as they do."
)


@dataclass(frozen=True)
class ExplainedAnswer:
    """A wrong answer, and the effect of each part of the recording on it.

    Attributes:
        id: Of the utterance.
        target: Its class.
        answer: The class that was answered.
        probability: Of the answer, from 0 to 1.
        effects: Name of each part, a moment or a word, and its effect on the log-probability of the answer.
    """

    id: str
    target: str
    answer: str
    probability: float
    effects: tuple[tuple[str, float], ...]


def section(title: str, answers: Sequence[ExplainedAnswer]) -> Section:
    """Make the section of a system.

    Args:
        title: Of the system.
        answers: In their order.

    Returns:
        The section, with a row for each answer.
    """
    header = ("Utterance", "Target → answer", "%", "Raised it", "Lowered it")
    rows = tuple(
        (
            each.id,
            f"{each.target} → {each.answer}",
            number(100 * each.probability),
            _strongest(each.effects, 1),
            _strongest(each.effects, -1),
        )
        for each in answers
    )
    return Section("What moved wrong answers", _LEAD, (Table(title, header, rows),))


def _strongest(effects: Sequence[tuple[str, float]], sign: int) -> str:
    """Parts that moved an answer most in one direction."""
    found = sorted((e for e in effects if sign * e[1] >= _LEAST), key=lambda e: -sign * round(e[1], 6))[:_SHOWN]
    return ", ".join(f"{name} {effect:+.2f}" for name, effect in found) or "–"
