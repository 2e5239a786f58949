"""Praat's TextGrid, in its long form: for each channel the tiers emotion, probability, words and windows.

A tier covers the recording without a gap: what is between two utterances is an interval without text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...utils.text import printable
from .common import Interval, Recorded, milliseconds, tiers


def text(recordings: Sequence[Recorded]) -> str:
    """Write a TextGrid.

    Args:
        recordings: One.

    Returns:
        The file; tiers that would be empty are left out, but for those of emotion.
    """
    (recorded,) = recordings
    listed = list(tiers(recorded))
    ends = [end for _, intervals in listed for _, end, _ in intervals]
    end = max([recorded.timeline.duration, *ends])
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_time(end)}"]
    lines = [*head, "tiers? <exists>", f"size = {len(listed)}", "item []:"]
    for number, (name, intervals) in enumerate(listed, 1):
        lines += _tier(number, name, list(_filled(intervals, end)), end)
    return "\n".join(lines) + "\n"


def _filled(intervals: list[Interval], last: float) -> Iterator[Interval]:
    """The intervals, and those without text between them."""
    at = 0.0
    for start, end, label in intervals:
        if milliseconds(start) > milliseconds(at):
            yield at, start, ""
        yield max(at, start), end, label
        at = end
    if milliseconds(last) > milliseconds(at) or not intervals:
        yield at, last, ""


def _tier(number: int, name: str, intervals: list[Interval], end: float) -> Iterator[str]:
    yield f"    item [{number}]:"
    yield '        class = "IntervalTier"'
    yield f"        name = {_quoted(name)}"
    yield "        xmin = 0"
    yield f"        xmax = {_time(end)}"
    yield f"        intervals: size = {len(intervals)}"
    for place, (first, last, label) in enumerate(intervals, 1):
        yield f"        intervals [{place}]:"
        yield f"            xmin = {_time(first)}"
        yield f"            xmax = {_time(last)}"
        yield f"            text = {_quoted(label)}"


def _time(seconds: float) -> str:
    return f"{milliseconds(seconds) / 1000:g}" if seconds < 1000 else f"{milliseconds(seconds) / 1000:.3f}"


def _quoted(label: str) -> str:
    doubled = printable(label).replace('"', '""')
    return f'"{doubled}"'
