"""Any corpus that is described in one file: a JSON manifest, a table with the same keys, or an audformat table.

The form is detected from the content, not from the name:

    {"id": "a", "audio": "a.wav", "label": "happy"}          JSONL or a JSON array: `read_manifest`
    id,audio,label,speaker                                   table with the manifest's keys as columns
    file,start,end,emotion                                   audformat (https://audeering.github.io/audformat/)

Tables: cells are separated by commas, semicolons or tabs, as the header is. A missing value is an empty cell or what
pandas reads or writes as one (`MISSING`). `words`, `votes` and `dimensions` are JSON in a cell, as in the manifest;
ratings may also stand in columns `arousal`, `valence` and `dominance`. A column without a name (pandas' index) is
ignored.

`label` is a class of the label set. Other labels, under `label` or `raw_label`, are mapped to one by
`LABEL_MAPS`, upper or lower case; the original label is kept as `raw_label`.

audformat: `file` is relative to the table's folder; `start` and `end` are seconds or `0 days 00:00:01.5`, and
an empty cell or NaT means the file's own beginning or end. The label is the column `label`, else `emotion`. Columns
with the name of a manifest key (speaker, gender, text, …) are kept, others ignored. The id is the file name without
its suffix, followed by the cut where there is one.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.labels import LABEL_SETS, LabelMap
from ..data.manifest import KEYS, from_line, from_record, records
from ..data.utterance import DIMENSIONS, Utterance
from ..errors import CorpusError
from ..utils.reading import parse_json, shortened, unreadable
from .corpus import Corpus
from .labelling import names_in, unknown_labels
from .parsing import Collector, Problem, Report, lines_of, rating, read_text, some

MISSING = frozenset(
    {
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A"),
        *("NA", "NULL", "NaN", "NaT", "None", "n/a", "nan", "null"),
    }
)
"""Cells that are a missing value: those of `pandas.read_csv`, in the same case, and NaT."""

MISSING_TEXT = frozenset({"", "<NA>", "NaN", "NaT", "None", "nan"})
"""The same for a transcript: what pandas and Python write. `null`, `none`, `NA` and `n/a` may have been spoken."""

LABEL_MAPS = {label_set: names_in(classes) for label_set, classes in LABEL_SETS.items()}
"""Label set → label → class: a class by its own name, or by the noun that audformat databases use."""

_TIMEDELTA = re.compile(
    r"(?:(?P<days>\d{1,9}) days?)?\s*(?:\+?(?P<hours>\d{1,9}):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d(?:\.\d+)?))?",
    re.ASCII,
)
_SECONDS = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_UNNAMED = "Unnamed:"  # what pandas calls a column without a name when it reads one and writes it again
_DELIMITERS = (",", ";", "\t")
_NUMBERS = ("start", "end")
_STRUCTURES = ("words", "votes", "dimensions")
_COLUMNS = (*KEYS, *DIMENSIONS)
_KEPT = ("speaker", "session", "scenario", "text", "gender", "corpus", "split")

_ToRecord = Callable[[dict[str, str]], dict[str, Any]]


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of a manifest or table.

    Args:
        path: The file.
        labels: Map from label names to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The file cannot be read, is a folder, or is no manifest.
    """
    try:
        if path.is_dir():
            raise CorpusError(f"{path}: is a folder; give the manifest itself (JSONL or CSV), or the corpus' own kind")
    except OSError as error:
        raise CorpusError(f"{path}: {unreadable(error)}") from error
    return utterances_of(read_text(path, report), path, labels, report)


def utterances_of(text: str, path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Parse the text of a manifest or table.

    Args:
        text: Its content.
        path: Names it in messages; its folder is what relative names of recordings are relative to.
        labels: Map from label names to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The text is no manifest.
    """
    collector = Collector(report)
    unclassed, unknown = Counter[str](), Counter[str]()
    for where, raw in _parsed(text, path, report):
        utterance = _classed(raw, labels)
        given = [name.strip() for name in (raw.raw_label, raw.label) if name is not None]
        if given and all(map(labels.is_unknown, given)):
            unknown[given[0]] += 1
        if utterance.label is not None and not labels.as_is and utterance.label not in labels.classes:
            report(_bad_label(utterance, labels, where))
            continue
        if utterance.label is None and utterance.raw_label is not None:
            unclassed[utterance.raw_label] += 1
        collector.add(utterance, where)
    if unknown:
        report(Problem("unknown-label", path.name, unknown_labels(unknown, labels.label_set)))
    elif unclassed:
        report(_unused_labels(path, unclassed, labels))
    return collector.sorted(f"{path}: no utterance in it; a manifest holds one a line")


def _bad_label(utterance: Utterance, labels: LabelMap, where: str) -> Problem:
    detail = (
        f"{where}: label {utterance.label!r} of {utterance.id!r} is not in label set {labels.label_set!r}, whose "
        f"names are {labels.describe()}; name one of these, or put it under raw_label: the utterance is "
        "then kept, without a class"
    )
    return Problem("bad-label", utterance.id, detail)


def _unused_labels(path: Path, unclassed: Counter[str], labels: LabelMap) -> Problem:
    listed = some((f"{label} ({count})" for label, count in unclassed.items()), 10)
    detail = (
        f"{path}: {unclassed.total()} utterances have a raw label without a class in {labels.label_set!r}: {listed}; "
        f"its names are {labels.describe()}"
    )
    return Problem("unused-label", path.name, detail, "note")


def _classed(utterance: Utterance, labels: LabelMap) -> Utterance:
    """The utterance, its label replaced by the class that it is another name of."""
    label, raw = utterance.label, utterance.raw_label
    if labels.as_is or labels.strict:  # the raw label of the corpus comes first, where the map says what it is
        given = [name.strip() for name in ((label, raw) if labels.as_is else (raw, label)) if name is not None]
        named = next((labels.get(name) for name in given if not labels.is_unknown(name)), None)
        return (
            replace(utterance, label=named, raw_label=raw or (label if named != label else None))
            if given
            else utterance
        )
    named = labels.get((label or raw or "").strip().lower())
    if named is None or named == label:
        return utterance
    return replace(utterance, label=named, raw_label=raw or label)


def _parsed(text: str, path: Path, report: Report) -> Iterator[tuple[str, Utterance]]:
    """Yield file:line (or item) and utterance, of whichever form the text has."""
    first = text.lstrip()[:1]
    if not first:
        raise CorpusError(f"{path}: is empty; a manifest holds one utterance a line")
    if first in "{[":
        yield from _json(path, text, report)
        return
    header, rows = _table(path, text)
    if "" in header or any(column.startswith(_UNNAMED) for column in header):
        detail = f"{path}:1: a column without a name, such as pandas writes for its index, is not read"
        report(Problem("unnamed-column", path.name, detail, "note"))
    if {"id", "audio"} <= set(header):
        unknown = [column for column in header if column and column not in _COLUMNS and not column.startswith(_UNNAMED)]
        if unknown:
            raise CorpusError(
                f"{path}:1: unknown column {shortened(unknown[0])}; rename or remove it; known: {', '.join(_COLUMNS)}"
            )
        yield from _rows(path, header, rows, report, _csv_record)
    else:
        yield from _rows(path, header, rows, report, _audformat_record)


def _table(path: Path, text: str) -> tuple[list[str], Any]:
    """Header and rows of a table, split at the first delimiter that gives a valid header."""
    lines = [line + "\n" for line in lines_of(text)]
    for delimiter in _DELIMITERS:
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            header = [column.strip() for column in next(row for row in rows if any(cell.strip() for cell in row))]
        except csv.Error as error:
            raise CorpusError(f"{path}:1: no CSV header ({error})") from error
        if {"id", "audio"} <= set(header) or "file" in header:
            break
    else:
        raise CorpusError(
            f"{path}:1: neither JSON nor a known header of a table; columns must include id and audio (or file, for an "
            f"audformat table), separated by commas, semicolons or tabs, not {shortened(text.strip()[:60], 60)}"
        )
    named = [column for column in header if column]
    if len(set(named)) < len(named):
        raise CorpusError(f"{path}:1: a column comes twice in {','.join(header)}; rename one")
    return header, rows


def _json(path: Path, text: str, report: Report) -> Iterator[tuple[str, Utterance]]:
    for where, value in records(text, path):
        try:
            utterance = from_line(value, path.parent, where)
        except CorpusError as error:
            report(Problem("bad-line", _place(path, where), str(error)))
            continue
        yield where, utterance


def _place(path: Path, where: str) -> str:
    """`line 3` or `item 3`."""
    place = where.removeprefix(f"{path}:")
    return f"line {place}" if place.isdigit() else place.strip()


def _rows(
    path: Path, header: list[str], rows: Any, report: Report, record: _ToRecord
) -> Iterator[tuple[str, Utterance]]:
    """Yield (file:line, utterance) of each row; `record` converts {column: cell} to a manifest record."""
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
                    f"{len(cells)} cells under {len(header)} columns; quote cells that hold the delimiter"
                )
            values = {column: cell.strip() for column, cell in zip(header, cells, strict=True)}
            utterance = from_record(record(values), path.parent, where)
        except (CorpusError, csv.Error) as error:
            detail = f"{where}: {str(error).removeprefix(f'{where}: ')}"
            report(Problem("bad-line", _place(path, where), detail))
            continue
        yield where, utterance


def _csv_record(cells: dict[str, str]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for column, cell in cells.items():
        if column not in _COLUMNS or cell in (MISSING_TEXT if column == "text" else MISSING):
            continue
        if column in DIMENSIONS:
            record.setdefault("dimensions", {})[column] = rating(cell, column)
        elif column in _STRUCTURES:
            record[column] = parse_json(cell, where=column, error=CorpusError)
        else:
            record[column] = _time(cell) if column in _NUMBERS else cell
    return record


def _audformat_record(cells: dict[str, str]) -> dict[str, Any]:
    if cells["file"] in MISSING:
        raise CorpusError("'file' is empty; name the recording")
    kept = _csv_record({key: cells[key] for key in (*_KEPT, *_NUMBERS, *DIMENSIONS) if key in cells})
    start, end = kept.pop("start", None), kept.pop("end", None)
    if end is None and not start:
        start = None
    name = Path(cells["file"]).with_suffix("").as_posix()
    cut = "" if start is None and end is None else f"#{_short(start or 0.0)}-{'' if end is None else _short(end)}"
    labels = (cells.get(column, "") for column in ("label", "emotion"))
    raw = next((label for label in labels if label not in MISSING), None)
    return {"id": name + cut, "audio": cells["file"], "start": start, "end": end, "raw_label": raw, **kept}


def _short(seconds: float) -> str:
    """Seconds to the microsecond, so that two cuts never share an id, without trailing zeros."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _time(cell: str) -> float | None:
    """Seconds of `1.5`, of `1,5` (German tables, separated by semicolons), or of `0 days 00:00:01.5`."""
    cell = cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell
    if _SECONDS.fullmatch(cell):
        return float(cell)
    match = _TIMEDELTA.fullmatch(cell)
    if match is None:
        raise CorpusError(f"{shortened(cell)} is no time; write seconds (1.5), or 0 days 00:00:01.5, or NaT, from 0 on")
    days, hours, minutes = (int(match[part] or 0) for part in ("days", "hours", "minutes"))
    return days * 86400 + hours * 3600 + minutes * 60 + float(match["seconds"] or 0)


CORPUS = Corpus(title="manifest", read=read, label_maps=LABEL_MAPS, is_file=True)
