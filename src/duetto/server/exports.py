"""A time line as a file: what `format` of `POST /v1/timeline` and of `POST /v1/timeline/convert` chooses from."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from ..data.utterance import Word
from ..errors import DuettoError
from ..live import formats as live_formats
from ..live.events import TimelineSegment
from ..live.formats import Format, Recorded
from ..live.timeline import Timeline
from ..utils.reading import Record, parse_json
from .errors import RequestError


class Export(NamedTuple):
    """A format of `live.formats` over HTTP.

    Attributes:
        media: Its media type.
        suffix: Of its files, without the dot.
        format: The format.
    """

    media: str
    suffix: str
    format: Format

    def write(self, timeline: Timeline, file: str) -> bytes:
        """Write a time line.

        Args:
            timeline: The time line.
            file: Name of its recording.

        Returns:
            The file; a zip archive for a format that is a folder.
        """
        content = self.format.files([Recorded(file, timeline)], Path(_FOLDER))
        texts = {path: text.encode("utf-8", "backslashreplace") for path, text in content.items()}
        if not self.format.tables:
            (text,) = texts.values()
            return text
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, text in texts.items():
                archive.writestr(zipfile.ZipInfo(path.as_posix()), text)  # of 1980, so that equal content is equal
        return out.getvalue()


_FOLDER = "timeline"
_MEDIA = {
    "json": "application/json",
    "jsonl": "application/jsonl; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "eaf": "application/xml",
}
FORMATS: dict[str, Export] = {
    name: Export("application/zip", "zip", each)
    if each.tables
    else Export(_MEDIA.get(name, "text/plain; charset=utf-8"), each.suffix.removeprefix("."), each)
    for name, each in live_formats.FORMATS.items()
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
        _dimensions(record),
    )


def _dimensions(record: Record) -> dict[str, float] | None:
    if record.get("dimensions") is None:
        return None
    ratings = record.record("dimensions")
    return {name: ratings.number(name) for name in ratings}


def _word(value: Any) -> Word:
    record = Record(value, "a word", DuettoError)
    start, end = (None if record.get(key) is None else record.number(key, low=0) for key in ("start", "end"))
    return Word(record.text("word"), start, end, record.text("source", "gold"))
