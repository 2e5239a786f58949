"""Tables of audformat in memory: an index of pandas with files, or with files, starts and ends.

    table with a filewise or segmented index ─ from_audformat ─▶ list[Utterance]
    list[Utterance] ─ to_audformat ─▶ table with a segmented index

They are what `db["emotion"].get()` of the package audformat returns, which is not needed. Tables in files are read as
kind `manifest` (`tables`), by the same rules.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.utterance import Utterance
from ..errors import CorpusError
from ..utils import dataframes
from ..utils.text import name_of
from . import tables
from .parsing import refuse

if TYPE_CHECKING:
    from ..utils.dataframes import DataFrame, Index, Series

INDEXES = (("file",), ("file", "start", "end"))
"""Names of the levels of an index: filewise, segmented."""

_COLUMNS = ("raw_label", "speaker", "session", "scenario", "text", "gender", "language", "corpus", "split")


def from_audformat(
    table: DataFrame | Series | Index, folder: str | os.PathLike[str] = ".", labels: str = "four"
) -> list[Utterance]:
    """Convert a table to utterances.

    Args:
        table: With a filewise or segmented index; the label is the column `label`, else `emotion`, and other columns
            with the name of a manifest key are kept. A series holds the labels; an index alone has none.
        folder: What relative file names are relative to.
        labels: As for `corpora.load`.

    Returns:
        The utterances, sorted by id: the file name without its suffix, followed by the cut where there is one.

    Raises:
        CorpusError: The index is another one, or a row is not valid.
        ConfigurationError: The label set or file is not valid.
    """
    source: Any = table
    check_index(index := getattr(source, "index", source))
    if index is source:
        rows = source.to_frame(index=False)
    elif hasattr(source, "columns"):
        rows = source.reset_index()
    else:
        rows = source.to_frame("label").reset_index()
    text = rows.to_csv(index=False)
    return tables.utterances_of(text, Path(folder, "table"), tables.CORPUS.label_map(labels), refuse)


def to_audformat(utterances: Sequence[Utterance], folder: str | os.PathLike[str] = ".") -> DataFrame:
    """Convert utterances to a table.

    Args:
        utterances: Of any corpus.
        folder: What file names are relative to, for recordings below it; other names are absolute.

    Returns:
        A table with a segmented index and a column `emotion` with the labels; and of raw label, speaker, session,
        scenario, text, gender, language, corpus and split those that any utterance has.

    Raises:
        MissingExtraError: pandas is not installed (extra `data`).
    """
    index = dataframes.segmented(
        (_relative(u.audio, Path(folder)) for u in utterances),
        (u.start for u in utterances),
        (u.end for u in utterances),
    )
    columns: dict[str, list[Any]] = {"emotion": [u.label for u in utterances]}
    columns |= {name: [getattr(u, name) for u in utterances] for name in _COLUMNS}
    known = {
        name: values for name, values in columns.items() if name == "emotion" or any(v is not None for v in values)
    }
    return dataframes.pandas().DataFrame(known, index=index)


def segments(index: Index) -> Iterable[tuple[str, float | None, float | None]]:
    """Read the segments of an index.

    Args:
        index: Filewise or segmented.

    Returns:
        File name, start and end in seconds of each; None for the beginning and the end of the recording.

    Raises:
        CorpusError: It is another index.
    """
    if check_index(index) == INDEXES[0]:
        return [(str(file), None, None) for file in index]
    levels: list[Any] = [index.get_level_values(name) for name in INDEXES[1]]
    files, *times = levels
    starts, ends = ([None if s != s else float(s) for s in each.total_seconds()] for each in times)
    return zip(map(str, files), (start or None for start in starts), ends, strict=True)


def check_index(index: Index) -> tuple[str, ...]:
    """Check that an index is one of audformat.

    Args:
        index: Of any table.

    Returns:
        One of `INDEXES`.

    Raises:
        CorpusError: It is another index.
    """
    names = tuple(getattr(index, "names", ()))
    if names not in INDEXES:
        found = ", ".join(map(str, names)) or type(index).__name__
        raise CorpusError(f"an index of {found} is none of audformat: give one of file, or of file, start and end")
    return names


def _relative(audio: Path, folder: Path) -> str:
    path, base = audio.absolute(), folder.absolute()
    return name_of((path.relative_to(base) if path.is_relative_to(base) else path).as_posix())
