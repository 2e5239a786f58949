"""JSON, JSON lines and CSV: everything that a time line holds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from ...utils.text import to_json
from ..events import TimelineSegment
from .common import Recorded, spoken


def json_text(recordings: Sequence[Recorded]) -> str:
    """Write the record of one recording.

    Args:
        recordings: One.

    Returns:
        Indented JSON.
    """
    (recorded,) = recordings
    return json.dumps(recorded.timeline.to_json(recorded.name), indent=2) + "\n"


def jsonl_text(recordings: Sequence[Recorded]) -> str:
    """Write a record for each segment and window.

    Args:
        recordings: Any number.

    Returns:
        JSON lines: those of `TimelineSegment.to_json`, with the name of the file first.
    """
    return "".join(to_json({"file": name, **segment.to_json()}) + "\n" for name, segment in _segments(recordings))


def csv_text(recordings: Sequence[Recorded]) -> str:
    """Write a row for each segment and window.

    Args:
        recordings: Any number, of one model.

    Returns:
        CSV with a head, quoted as RFC 4180 has it; words are one column, without their times.
    """
    labels = list(dict.fromkeys(label for recorded in recordings for label in recorded.timeline.labels))
    out = io.StringIO()
    head = ["file", "kind", "start", "end", "channel", "label", *(f"probability_{label}" for label in labels)]
    dimensions = list(dict.fromkeys(name for _, segment in _segments(recordings) for name in segment.dimensions or ()))
    tail = ["words", "speech_seconds", "session_utterances", "uncertain", "unfamiliar", "cut", "warnings"]
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow([*head, *dimensions, *tail])
    for name, segment in _segments(recordings):
        record = segment.to_json()
        own = [record[key] for key in head[1:6]] + [record["probabilities"].get(label) for label in labels]
        own += [(record["dimensions"] or {}).get(name) for name in dimensions]
        rest = [_cell(record[key]) for key in tail[1:-1]]
        rows.writerow([_text(name), *own, spoken(segment), *rest, "; ".join(segment.warnings)])
    return out.getvalue()


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _text(name: str) -> str:
    """A name whose bytes are no text, as text."""
    return name.encode("utf-8", "backslashreplace").decode()


def _segments(recordings: Sequence[Recorded]) -> Iterator[tuple[str, TimelineSegment]]:
    for recorded in recordings:
        for segment in (*recorded.timeline.segments, *recorded.timeline.windows):
            yield recorded.name, segment
