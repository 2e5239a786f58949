"""audformat (audEERING): a folder with a header and a segmented table, as `audformat.Database.load` reads it.

db.yaml: schemes and tables;    db.utterances.csv, db.windows.csv: file, start, end, and a column for each scheme
to_frame: the table of utterances in memory
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...utils import dataframes
from ..events import TimelineSegment
from ..timeline import Timeline
from .common import Recorded, milliseconds, spoken

if TYPE_CHECKING:
    from ...utils.dataframes import DataFrame


def to_frame(timeline: Timeline, file: str) -> DataFrame:
    """Make a table of the utterances of a recording.

    Args:
        timeline: Of the recording.
        file: Its name.

    Returns:
        A row for each utterance, with the segmented index of audformat and the columns `emotion`, `probability_CLASS`
        of each class, `channel`, `words`, `uncertain` and `unfamiliar`.

    Raises:
        MissingExtraError: pandas is not installed (extra `data`).
    """
    segments = timeline.segments
    index = dataframes.segmented([file] * len(segments), [s.start for s in segments], [s.end for s in segments])
    rows = [_cells(segment, timeline.labels) for segment in segments]
    columns = list(_schemes(timeline.labels))
    return dataframes.pandas().DataFrame(rows, index=index, columns=columns)


def tables(recordings: Sequence[Recorded]) -> Mapping[str, str]:
    """Write the header and the tables.

    Args:
        recordings: At least one; all of one model.

    Returns:
        Name of each file → its text; the table of windows only where there are any.
    """
    labels = list(dict.fromkeys(label for recorded in recordings for label in recorded.timeline.labels))
    schemes = _schemes(labels)
    parts = {"utterances": [(r.name, s) for r in recordings for s in r.timeline.segments]}
    if any(r.timeline.windows for r in recordings):
        parts["windows"] = [(r.name, s) for r in recordings for s in r.timeline.windows]
    header = {
        "name": "duetto",
        "source": f"duetto, model {recordings[0].timeline.model}",
        "usage": "unrestricted",
        "description": "Perceived expression of emotion, recognised by a machine.",
        "schemes": schemes,
        "tables": {
            name: {"type": "segmented", "columns": {scheme: {"scheme_id": scheme} for scheme in schemes}}
            for name in parts
        },
    }
    found = {"db.yaml": "\n".join(_yaml(header)) + "\n"}
    for name, segments in parts.items():
        out = io.StringIO()
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["file", "start", "end", *schemes])
        for file, segment in segments:
            cells = _cells(segment, labels)
            rows.writerow([file, _timedelta(segment.start), _timedelta(segment.end), *(cells[s] for s in schemes)])
        found[f"db.{name}.csv"] = out.getvalue()
    return found


def _schemes(labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    probability = {"dtype": "float", "minimum": 0, "maximum": 1}
    return {
        "emotion": {"dtype": "str", "labels": list(labels)},
        **{f"probability_{label}": probability for label in labels},
        "channel": {"dtype": "int", "minimum": 0},
        "words": {"dtype": "str"},
        "uncertain": {"dtype": "bool"},
        "unfamiliar": {"dtype": "bool"},
    }


def _cells(segment: TimelineSegment, labels: Sequence[str]) -> dict[str, Any]:
    """Column → value; what is not known is empty."""
    return {
        "emotion": segment.label,
        **{f"probability_{label}": _rounded(segment.probabilities.get(label)) for label in labels},
        "channel": segment.channel,
        "words": spoken(segment),
        "uncertain": segment.uncertain,
        "unfamiliar": segment.unfamiliar,
    }


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 6)


def _timedelta(seconds: float) -> str:
    """As pandas writes it: 0 days 00:01:02.345000."""
    whole, thousandths = divmod(milliseconds(seconds), 1000)
    days, rest = divmod(whole, 86_400)
    return f"{days} days {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{thousandths:03}000"


def _yaml(value: Mapping[str, Any], depth: int = 0) -> list[str]:
    """A mapping in block style; text and lists as JSON, which is YAML."""
    lines = []
    for key, each in value.items():
        place = "  " * depth + json.dumps(key) + ":"
        if isinstance(each, Mapping):
            lines += [place, *_yaml(each, depth + 1)]
        else:
            lines.append(f"{place} {json.dumps(each)}")
    return lines
