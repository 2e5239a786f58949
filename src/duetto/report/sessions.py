"""The section of a report on systems that adapt to a speaker."""

from __future__ import annotations

from collections.abc import Sequence

from .formatting import interval, quantity, spread
from .scores import ScoredResult
from .sections import Section, Table


def sections(systems: Sequence[ScoredResult]) -> tuple[Section, ...]:
    """Show UA of single recordings, and after earlier utterances of the speaker.

    Args:
        systems: Every system of the report.

    Returns:
        One section; none where no system adapts.
    """
    adapting = [system for system in systems if system.after]
    if not adapting:
        return ()
    numbers = sorted({number for system in adapting for number in system.after})
    rows = tuple(
        (system.result.title, _cell(system), *(_cell(system.after.get(number)) for number in numbers))
        for system in adapting
    )
    header = ("System", "Single recordings", *(f"After {quantity(n, 'utterance')}" for n in numbers))
    lead = (
        "UA in percent of systems that adapt to a speaker: of every test utterance by itself, and after other "
        "utterances of the same speaker, used without their labels (transductive) and never including the scored one "
        "(causal)."
    )
    note = "Means over seeds and random orders of the speaker's utterances; a speaker who has fewer counts with all."
    return (Section("Sessions of one speaker", lead, (Table("UA % after earlier utterances", header, rows),), (note,)),)


def _cell(system: ScoredResult | None) -> str:
    return "–" if system is None else f"{spread(system.summary.ua)} [{interval(system.summary.ua.ci95)}]"
