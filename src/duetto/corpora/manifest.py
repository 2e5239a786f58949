"""Any corpus, described in one file: a JSONL manifest, the same as CSV, or an audformat table.

The form is chosen by content, not by name:

    {"id": "a", "audio": "a.wav", "label": "happy"}          JSONL: `duetto.utterance.read_manifest`
    id,audio,label,speaker                                   CSV with the manifest's keys as columns
    file,start,end,emotion                                   audformat (https://audeering.github.io/audformat/)

CSV: an empty cell is a missing value; `words` and `votes` are JSON in a cell, as in the manifest. `label` is a
class of the label set; a corpus' own label goes under `raw_label`.

audformat: `file` is relative to the table's folder; `start` and `end` are seconds or `0 days 00:00:01.5`, and
an empty cell or NaT means the file's own beginning or end. The raw label is the column `label`, else `emotion`;
it becomes a class by `label_map(labels, "manifest")`. Columns with the name of a manifest key (speaker, gender,
text, …) are kept, other columns are not read. The id is the file without its suffix, and its cut where it has one.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import CorpusError
from ..labels import classes, label_map
from ..utterance import Utterance, from_record, read_manifest
from .files import Collector, Problem, Report, read_lines, refuse

_TIMEDELTA = re.compile(
    r"(?:(?P<days>\d+) days?)?\s*(?:\+?(?P<hours>\d+):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d(?:\.\d+)?))?"
)
_SECONDS = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_NUMBERS = ("start", "end")
_STRUCTURES = ("words", "votes")
_KEPT = ("speaker", "session", "scenario", "text", "gender")
_MISSING = ("", "NaT", "nan", "NaN")


def parse(path: str | Path, labels: str = "four") -> list[Utterance]:
    """All utterances of a manifest, sorted by id; CorpusError names file and line of what cannot be read."""
    return scan(Path(path), labels, refuse)


def scan(path: Path, labels: str, report: Report) -> list[Utterance]:
    """All utterances; everything wrong goes to `report`."""
    known = classes(labels)
    if path.is_dir():
        raise CorpusError(f"{path}: is a folder; give the manifest itself (JSONL or CSV), or the corpus' own kind")
    if not path.is_file():
        raise CorpusError(f"{path}: no such manifest; try: duetto corpus manifest KIND FOLDER -o {path.name}")
    found = Collector(report)
    for where, utterance in _read(path, labels, report):
        if utterance.label is not None and utterance.label not in known:
            detail = (
                f"{where}: label {utterance.label!r} of {utterance.id!r} is not in label set {labels!r} "
                f"({', '.join(known)}); name one of these, or put it under raw_label"
            )
            report(Problem("bad-label", utterance.id, detail))
            continue
        found.add(utterance, where)
    return found.sorted(f"{path}: no utterance in it; a manifest holds one a line")


def _read(path: Path, labels: str, report: Report) -> Iterator[tuple[str, Utterance]]:
    lines = _text(path)
    first = next((line.strip() for line in lines if line.strip()), "")
    if not first:
        raise CorpusError(f"{path}: is empty; a manifest holds one utterance a line")
    if first.startswith("{"):
        yield from _json(path, lines, report)
        return
    rows = csv.reader((line + "\n" for line in lines), strict=True)
    try:
        header = [column.strip() for column in next(rows)]
    except csv.Error as error:
        raise CorpusError(f"{path}:1: no CSV header ({error})") from error
    if len(set(header)) < len(header):
        raise CorpusError(f"{path}:1: a column comes twice in {','.join(header)}; rename one")
    if {"id", "audio"} <= set(header):
        yield from _rows(path, header, rows, report, _csv_record)
    elif "file" in header:
        merged = label_map(labels, "manifest")
        yield from _rows(path, header, rows, report, lambda cells: _audformat_record(cells, merged))
    else:
        raise CorpusError(
            f"{path}:1: neither a JSON object nor a known CSV header; columns must include id and audio "
            f"(or file, for an audformat table), not {first[:60]!r}"
        )


def _text(path: Path) -> list[str]:
    try:
        path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 text ({error}); a manifest is JSONL or CSV in UTF-8") from error
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror or error})") from error
    return read_lines(path)


def _json(path: Path, lines: list[str], report: Report) -> Iterator[tuple[str, Utterance]]:
    """All utterances of a JSONL manifest, or, where `read_manifest` refuses it, those of its good lines."""
    try:
        yield from ((f"{path}, id {utterance.id!r}", utterance) for utterance in read_manifest(path))
        return
    except CorpusError as error:
        if report is refuse:
            raise
        first = str(error)
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        try:
            if line.strip():
                yield where, from_record(_object(line), path.parent, where)
        except (CorpusError, ValueError, TypeError) as error:
            # The first bad line is told in read_manifest's own words.
            detail = first if first.startswith(f"{where}:") else f"{where}: {str(error).removeprefix(f'{where}: ')}"
            report(Problem("bad-line", f"line {number}", detail))


def _object(line: str) -> dict[str, Any]:
    value = json.loads(line)
    if not isinstance(value, dict):
        raise CorpusError(f"a JSON object is required, not {line.strip()[:40]!r}")
    return value


def _rows(path: Path, header: list[str], rows: Any, report: Report, record: Any) -> Iterator[tuple[str, Utterance]]:
    """(file:line, utterance) of each row; `record` makes a manifest record of {column: cell}."""
    while True:
        where = f"{path}:{rows.line_num + 1}"
        try:
            cells = next(rows, None)
            if cells is None:
                return
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise CorpusError(
                    f"{where}: {len(cells)} cells under {len(header)} columns; quote cells that hold commas"
                )
            values = {column: cell.strip() for column, cell in zip(header, cells, strict=True)}
            utterance = from_record(record(values), path.parent, where)
        except (CorpusError, ValueError, csv.Error) as error:
            detail = f"{where}: {str(error).removeprefix(f'{where}: ')}"
            report(Problem("bad-line", f"line {where.rpartition(':')[2]}", detail))
            continue
        yield where, utterance


def _csv_record(cells: dict[str, str]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for column, cell in cells.items():
        if cell == "":
            continue
        if column in _STRUCTURES:
            record[column] = json.loads(cell)
        else:
            record[column] = _time(cell) if column in _NUMBERS else cell
    return record


def _audformat_record(cells: dict[str, str], merged: dict[str, str]) -> dict[str, Any]:
    if not cells["file"]:
        raise CorpusError("'file' is empty; name the recording")
    start, end = _time(cells.get("start", "")), _time(cells.get("end", ""))
    if end is None and not start:
        start = None
    name = Path(cells["file"]).with_suffix("").as_posix()
    cut = "" if start is None and end is None else f"#{_short(start or 0.0)}-{'' if end is None else _short(end)}"
    raw = cells.get("label", "") or cells.get("emotion", "")
    record: dict[str, Any] = {"id": name + cut, "audio": cells["file"], "start": start, "end": end}
    record |= {key: cells[key] for key in _KEPT if cells.get(key)}
    if raw:
        record |= {"raw_label": raw, "label": merged.get(raw)}
    return record


def _short(seconds: float) -> str:
    """To the microsecond, so that two cuts never share an id, and without trailing zeros."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _time(cell: str) -> float | None:
    """Seconds of `1.5` or of `0 days 00:00:01.5`; None of an empty cell and NaT."""
    if cell in _MISSING:
        return None
    if _SECONDS.fullmatch(cell):
        return float(cell)
    match = _TIMEDELTA.fullmatch(cell)
    if match is None:
        raise CorpusError(f"{cell!r} is no time; write seconds (1.5), or 0 days 00:00:01.5, or NaT, from 0 on")
    days, hours, minutes = (int(match[part] or 0) for part in ("days", "hours", "minutes"))
    return days * 86400 + hours * 3600 + minutes * 60 + float(match["seconds"] or 0)
