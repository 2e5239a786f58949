"""RTTM, the format of NIST's rich transcription evaluations (RT-09, appendix A).

SPEAKER file channel onset duration <NA> <NA> label probability <NA>
LEXEME  file channel onset duration word lex <NA> confidence <NA>
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from ..events import TimelineSegment
from .common import Recorded, milliseconds, timed_words


def text(recordings: Sequence[Recorded]) -> str:
    """Write the utterances that have a label; the label takes the place of the speaker.

    Channels count from 1 on, as RTTM has it; the mean of all is channel 1. The name of a file is its stem, whose blanks
    become underscores.

    Args:
        recordings: Any number.

    Returns:
        The lines.
    """
    return "".join(line for recorded in recordings for line in _lines(recorded))


def _lines(recorded: Recorded) -> list[str]:
    file = _token(PurePath(recorded.name).stem) or "recording"
    lines: list[tuple[float, int, str]] = []
    for channel in recorded.channels:
        place = f"{file} {1 if channel is None else channel + 1}"
        segments = recorded.labelled(channel)
        for segment in segments:
            lines.append((segment.start, 0, _speaker(place, segment)))
        for start, end, word in timed_words(segments):
            sure = "<NA>" if word.confidence is None else f"{word.confidence:.3f}"
            times = f"{start:.3f} {_duration(start, end)}"
            lines.append((start, 1, f"LEXEME {place} {times} {_token(word.word)} lex <NA> {sure} <NA>\n"))
    return [line for _, _, line in sorted(lines)]


def _speaker(place: str, segment: TimelineSegment) -> str:
    assert segment.label is not None
    times = f"{segment.start:.3f} {_duration(segment.start, segment.end)}"
    return (
        f"SPEAKER {place} {times} <NA> <NA> {_token(segment.label)} {segment.probabilities[segment.label]:.3f} <NA>\n"
    )


def _duration(start: float, end: float) -> str:
    """So that onset and duration, as written, add up to the end."""
    return f"{(milliseconds(end) - milliseconds(start)) / 1000:.3f}"


def _token(name: str) -> str:
    return re.sub(r"\s+", "_", name.encode("utf-8", "backslashreplace").decode().strip())
