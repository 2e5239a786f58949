"""A time line as a file: what `format` of `POST /v1/timeline` and of `POST /v1/timeline/convert` chooses from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from ..data.utterance import Word
from ..errors import DuettoError
from ..live.events import TimelineSegment
from ..live.timeline import Timeline
from ..utils.reading import Record, parse_json
from ..utils.text import to_json
from .errors import RequestError
from .subtitles import Transcription


class Format(NamedTuple):
    """One format.

    Attributes:
        media: Its media type.
        suffix: Of its files.
        write: Makes the content of a time line and the name of its recording.
    """

    media: str
    suffix: str
    write: Callable[[Timeline, str], str]


def _json(timeline: Timeline, file: str) -> str:
    return json.dumps(timeline.to_json(file), ensure_ascii=False)


def _jsonl(timeline: Timeline, file: str) -> str:
    lines = ({"file": file, **segment.to_json()} for segment in (*timeline.segments, *timeline.windows))
    return "".join(f"{to_json(line)}\n" for line in lines)


def _csv(timeline: Timeline, file: str) -> str:
    """One line for each segment; a column for each class."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\r\n")
    head = ("file", "kind", "start", "end", "channel", "label")
    table.writerow([*head, *timeline.labels, "uncertain", "unfamiliar", "words", "warnings"])
    for segment in (*timeline.segments, *timeline.windows):
        record = segment.to_json()
        table.writerow(
            [
                file,
                *(record[key] for key in head[1:]),
                *(record["probabilities"].get(label) for label in timeline.labels),
                record["uncertain"],
                record["unfamiliar"],
                " ".join(word.word for word in segment.words),
                "; ".join(segment.warnings),
            ]
        )
    return out.getvalue()


def _cues(timeline: Timeline) -> Transcription:
    return Transcription(timeline.segments, {}, timeline.duration)


FORMATS: dict[str, Format] = {
    "json": Format("application/json", "json", _json),
    "jsonl": Format("application/jsonl; charset=utf-8", "jsonl", _jsonl),
    "csv": Format("text/csv; charset=utf-8", "csv", _csv),
    "vtt": Format("text/vtt; charset=utf-8", "vtt", lambda timeline, _: _cues(timeline).vtt()),
    "srt": Format("application/x-subrip; charset=utf-8", "srt", lambda timeline, _: _cues(timeline).srt()),
}
"""Name → format."""


def parse_timeline(content: bytes) -> tuple[Timeline, str]:
    """Read a time line as `POST /v1/timeline` answers it.

    Args:
        content: JSON.

    Returns:
        The time line, and the name of its recording.

    Raises:
        RequestError: It is none.
    """
    try:
        value = parse_json(content, where="body", error=DuettoError)
        record = Record(value, "body", DuettoError)
        timeline = Timeline(
            tuple(_segment(each) for each in record.items_of("segments")),
            tuple(_segment(each) for each in record.items_of("windows", [])),
            record.number("duration", low=0),
            record.integer("channels", low=1, high=10_000),
            record.text("model"),
            tuple(record.texts("labels")),
            tuple(record.texts("warnings", [])),
        )
        return timeline, record.text("file")
    except DuettoError as error:
        raise RequestError("request_invalid", f"the body is no time line ({error})") from error


def _segment(value: Any) -> TimelineSegment:
    record = Record(value, "a segment", DuettoError)
    probabilities = record.record("probabilities")
    channel, label, count = record.get("channel"), record.get("label"), record.get("session_utterances")
    kind = record.text("kind")
    if kind not in ("utterance", "window") or not isinstance(label, str | None):
        raise record.wrong("'kind' is utterance or window, 'label' a text or null")
    return TimelineSegment(
        kind,
        record.number("start", low=0),
        record.number("end", low=0),
        None if channel is None else record.integer("channel", low=0, high=10_000),
        label,
        {name: probabilities.number(name, low=0, high=1) for name in probabilities},
        tuple(_word(each) for each in record.items_of("words", [])),
        record.number("speech_seconds", 0.0, low=0),
        None if count is None else record.integer("session_utterances", low=0, high=10**9),
        None if record.get("uncertain") is None else record.boolean("uncertain"),
        None if record.get("unfamiliar") is None else record.boolean("unfamiliar"),
        record.boolean("cut", False),
        tuple(record.texts("warnings", [])),
    )


def _word(value: Any) -> Word:
    record = Record(value, "a word", DuettoError)
    start, end = (None if record.get(key) is None else record.number(key, low=0) for key in ("start", "end"))
    return Word(record.text("word"), start, end, record.text("source", "gold"))
