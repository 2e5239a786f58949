"""`duetto predict -o FILE`: predictions as CSV or JSON lines, written as they come."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from ..utils.files import replacing
from ..utils.text import to_json

SUFFIXES = (".csv", ".jsonl")
_BEFORE = ("file", "channel", "duration", "speech_seconds", "label")
_AFTER = ("uncertain", "unfamiliar", "words", "words_from", "language", "session_utterances", "model", "warnings")


def check_out(path: Path | None) -> Path | None:
    """Check the value of `-o`.

    Args:
        path: The file.

    Returns:
        The same.

    Raises:
        BadParameter: Its suffix is that of no format.
    """
    if path is not None and path.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"{path}: give a name that ends with {' or '.join(SUFFIXES)}")
    return path


@contextmanager
def prediction_file(
    path: Path, labels: Sequence[str], dimensions: Sequence[str] = ()
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Write predictions into a file, which is complete or absent.

    Args:
        path: The file; its suffix chooses the format.
        labels: The classes.
        dimensions: That the model predicts beside them.

    Yields:
        Writes one record, as `duetto predict --json` prints it.
    """
    as_csv = path.suffix.lower() == ".csv"
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        if as_csv:
            file.write(_line([*_BEFORE, *(f"probability_{label}" for label in labels), *dimensions, *_AFTER]))
        yield lambda record: _write(file, record, labels, dimensions) if as_csv else _write_line(file, record)


def _write_line(file: Any, record: Mapping[str, Any]) -> None:
    file.write(to_json(record) + "\n")


def _write(file: Any, record: Mapping[str, Any], labels: Sequence[str], dimensions: Sequence[str]) -> None:
    values = [record["probabilities"].get(label) for label in labels]
    values += [(record["dimensions"] or {}).get(name) for name in dimensions]
    words = " ".join(word["word"] for word in record["words"] if word["word"])
    flat = {**record, "words": words, "warnings": "; ".join(record["warnings"])}
    flat["file"] = str(record["file"]).encode("utf-8", "backslashreplace").decode()
    file.write(_line([*map(flat.get, _BEFORE), *values, *map(flat.get, _AFTER)]))


def _line(cells: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(
        [str(cell).lower() if isinstance(cell, bool) else cell for cell in cells]
    )
    return out.getvalue()
