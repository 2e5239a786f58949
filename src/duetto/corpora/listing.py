"""The two ways in which a folder lists its utterances: the names of its recordings, or the lines of a table.

recordings ─ read_names ─▶ utterances, where the name of a recording holds everything
table.csv ─ table_rows ─▶ (file:line, {column: cell}), where a table does
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from ..data.utterance import Utterance
from ..errors import CorpusError
from .parsing import Collector, Problem, Report, audio_below, lines_of, read_text, require_folder

FromName = Callable[[Path, re.Match[str]], Utterance | None]
"""(recording, match of its stem) → the utterance; None where the name is not valid after all."""


def read_names(
    path: Path, corpus: str, name: re.Pattern[str], form: str, utterance: FromName, report: Report
) -> list[Utterance]:
    """Read a corpus whose recordings have names that hold everything.

    Args:
        path: A folder with the recordings in it or below.
        corpus: Title of the corpus, for messages.
        name: Pattern of a name without its suffix.
        form: What a name is, with an example, for messages: `speaker, sentence, emotion, take, like 03a01Fa`.
        utterance: Converts a recording and the match of its name.
        report: Called with each problem, such as another name.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist.
    """
    collector = Collector(report)
    for audio in audio_below(require_folder(path, corpus)):
        match = name.fullmatch(audio.stem)
        found = utterance(audio, match) if match else None
        if found is None:
            detail = f"{audio}: no {corpus} name, which is {form}; move it out of the folder"
            report(Problem("bad-name", audio.stem, detail))
            continue
        collector.add(found, str(audio))
    return collector.sorted(f"{path}: no recording in it or below; a name of {corpus} is {form}")


def first_file(path: Path, corpus: str, names: Collection[str]) -> Path:
    """Find the one text file that lists a corpus.

    Args:
        path: The folder of the corpus.
        corpus: Title of the corpus, for messages.
        names: Where the file may be, relative to the folder.

    Returns:
        The first of them that exists.

    Raises:
        CorpusError: The folder does not exist, or holds none of them.
    """
    require_folder(path, corpus)
    for name in names:
        if (path / name).is_file():
            return path / name
    raise CorpusError(f"{path}: holds no {' or '.join(names)}; give the folder of {corpus} that does")


def table_rows(file: Path, columns: Collection[str], report: Report) -> Iterator[tuple[str, dict[str, str]]]:
    """Read a table whose cells are separated by commas.

    Args:
        file: The table; its first line names the columns.
        columns: Columns that it must have; others may stand between them.
        report: Called with a problem for each line that cannot be read, which is left out.

    Yields:
        file:line, and column → cell without spaces around it.

    Raises:
        CorpusError: The file cannot be read, or lacks a column.
    """
    rows = csv.reader((line + "\n" for line in lines_of(read_text(file, report))), strict=True)
    try:
        header = [column.strip() for column in next(rows, [])]
    except csv.Error as error:
        raise CorpusError(f"{file}:1: no CSV header ({error})") from error
    if missing := [column for column in columns if column not in header]:
        raise CorpusError(f"{file}:1: no column {missing[0]}; the columns of the release are {', '.join(columns)}, …")
    while True:
        where = f"{file}:{rows.line_num + 1}"
        try:
            cells = next(rows, None)
        except csv.Error as error:
            report(Problem("bad-line", f"line {rows.line_num}", f"{where}: {error}; restore the line"))
            continue
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            detail = f"{where}: {len(cells)} cells under {len(header)} columns; restore the line"
            report(Problem("bad-line", f"line {rows.line_num}", detail))
            continue
        yield where, {column: cell.strip() for column, cell in zip(header, cells, strict=True)}
