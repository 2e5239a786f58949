"""Time lines as text: a registry of formats.

(file, Timeline) ─ FORMATS[name].render ─▶ text of one recording;    Format.header ─▶ what comes before all of them
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..utils.text import to_json
from .events import TimelineSegment, rounded
from .timeline import Timeline


@dataclass(frozen=True)
class Format:
    """How time lines are written.

    Attributes:
        suffix: Of a file in this format.
        header: The classes → what the output begins with.
        render: Name of a recording, its time line → its part of the output.
    """

    suffix: str
    header: Callable[[Sequence[str]], str]
    render: Callable[[str, Timeline], str]


def _nothing(labels: Sequence[str]) -> str:
    return ""


def _json(file: str, timeline: Timeline) -> str:
    return to_json(timeline.to_json(file)) + "\n"


def _jsonl(file: str, timeline: Timeline) -> str:
    return "".join(to_json({"file": file, **each.to_json()}) + "\n" for each in _both(timeline))


def _csv_header(labels: Sequence[str]) -> str:
    return _csv_line(["file", "channel", "kind", "start", "end", "label", *labels, "speech_seconds", "words"])


def _csv(file: str, timeline: Timeline) -> str:
    lines = []
    for each in _both(timeline):
        values = [each.probabilities.get(label) for label in timeline.labels]
        probabilities = ["" if p is None else f"{p:.6f}" for p in values]
        times = [rounded(each.start), rounded(each.end)]
        words = " ".join(word.word for word in each.words)
        channel = "" if each.channel is None else each.channel
        row = [file, channel, each.kind, *times, each.label or "", *probabilities, rounded(each.speech_seconds), words]
        lines.append(_csv_line(row))
    return "".join(lines)


def _csv_line(cells: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _text(file: str, timeline: Timeline) -> str:
    lines = [f"{file}  {timeline.duration:.1f} s, {timeline.channels} channel(s)"]
    for each in _both(timeline):
        probability = f"{each.probabilities[each.label]:6.1%}" if each.label else ""
        where = "" if timeline.channels == 1 or each.channel is None else f"  channel {each.channel}"
        said = "  " + " ".join(word.word for word in each.words) if each.words else ""
        label = each.label or "no emotion"
        line = f"  {each.start:8.2f} – {each.end:8.2f}{where}  {each.kind:<9}  {label:<10}  {probability}{said}"
        lines.append(line.rstrip())
    if len(lines) == 1:
        lines.append("  no speech was found")
    return "\n".join(lines) + "\n"


def _both(timeline: Timeline) -> Sequence[TimelineSegment]:
    return (*timeline.segments, *timeline.windows)


FORMATS: dict[str, Format] = {
    "text": Format(".txt", _nothing, _text),
    "json": Format(".json", _nothing, _json),
    "jsonl": Format(".jsonl", _nothing, _jsonl),
    "csv": Format(".csv", _csv_header, _csv),
}
"""Name → format. `json` is one object a recording, `jsonl` one a segment; `csv` has one line a segment."""


def by_suffix(suffix: str) -> str | None:
    """Find the format of a file.

    Args:
        suffix: Of its name, such as `.csv`.

    Returns:
        Name of the format; None where there is none of that suffix.
    """
    return next((name for name, each in FORMATS.items() if each.suffix == suffix.lower()), None)
