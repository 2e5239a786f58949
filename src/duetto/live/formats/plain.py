"""A time line as text, for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..events import TimelineSegment
from .common import Recorded, channel_name, doubts_of, spoken


def text(recordings: Sequence[Recorded]) -> str:
    """Write a line for each utterance and window.

    Args:
        recordings: Any number.

    Returns:
        The lines, under one for each recording.
    """
    return "".join(f"{line}\n" for recorded in recordings for line in _lines(recorded))


def _lines(recorded: Recorded) -> Iterator[str]:
    answer = recorded.timeline
    count = len(answer.segments)
    yield f"{recorded.name}  {answer.duration:.1f} s, {count} utterance{'' if count == 1 else 's'}"
    if not (answer.segments or answer.windows):
        yield "  no speech was found"
    for segment in (*answer.segments, *answer.windows):
        yield "  " + "  ".join(filter(None, _columns(segment, several=answer.channels > 1)))


def _columns(segment: TimelineSegment, *, several: bool) -> Iterator[str]:
    yield f"{clock(segment.start)} – {clock(segment.end)}"
    yield channel_name(segment.channel) if several else ""
    yield "window" if segment.kind == "window" else ""
    if segment.label is None:
        yield f"no answer ({'; '.join(segment.warnings)})"
        return
    yield f"{segment.label} {segment.probabilities[segment.label]:.0%}"
    yield ", ".join(doubts_of(segment))
    yield spoken(segment)


def clock(seconds: float) -> str:
    """Write a time for a person.

    Args:
        seconds: From 0 on.

    Returns:
        Such as 0:01:02.3.
    """
    tenths = round(10 * seconds)
    return f"{tenths // 36_000}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"
