"""What all corpus readers share: problems and how they are reported, folders, text files, recordings.

A reader walks its folder once and passes everything that is wrong to a `report` function. Calling a corpus passes
`refuse`, which raises at the first error; validation passes `list.append` and gets all of them.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..data.manifest import MANIFEST_LIMIT
from ..data.utterance import Utterance
from ..errors import CorpusError
from ..utils.reading import read_bytes, shortened, unreadable
from ..utils.text import decoded

_log = logging.getLogger(__name__)

AUDIO_SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64",
    ".rf64", ".sph", ".nist",
)  # fmt: skip
"""What counts as a recording (upper or lower case), in order of preference where a stem has several."""

APPLE_DOUBLE = "._"
"""macOS leaves a small binary companion `._name` beside each file it copies to a foreign disk."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a corpus folder.

    Attributes:
        kind: A short name to count by, such as `missing-audio`.
        id: The utterance, dialogue, folder or file it concerns.
        detail: What was found, what was expected, what to do.
        severity: `error`, or `note` for what needs no action.
    """

    kind: str
    id: str
    detail: str
    severity: Literal["error", "note"] = "error"


Report = Callable[[Problem], None]
"""Receives each problem as it is found."""

GENDERS = {"F": "female", "M": "male"}
"""Letter that several corpora use for a speaker's gender → `Utterance.gender`."""

_USABLE = frozenset({"bad-alignment"})


def refuse(problem: Problem) -> None:
    """Raise an error; log a note, or an error that leaves the utterance usable.

    Args:
        problem: What a reader found.

    Raises:
        CorpusError: The problem is an error that makes the utterance unusable.
    """
    if problem.severity == "note" or problem.kind in _USABLE:
        _log.warning("%s", problem.detail)
        return
    raise CorpusError(problem.detail)


class Collector:
    """Collects utterances, and reports duplicate ids (the first utterance is kept).

    Args:
        report: Called with each problem.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._utterances: list[Utterance] = []
        self._where: dict[str, str] = {}

    def add(self, utterance: Utterance, where: str) -> None:
        """Add an utterance.

        Args:
            utterance: The utterance.
            where: Its file, or file:line, for messages.
        """
        if utterance.id in self._where:
            first = self._where[utterance.id]
            detail = f"{where}: id {utterance.id!r} comes from {first} already; remove one of the two"
            self._report(Problem("duplicate-id", utterance.id, detail))
            return
        self._where[utterance.id] = where
        self._utterances.append(utterance)

    def sorted(self, message_if_empty: str) -> list[Utterance]:
        """Return all utterances, sorted by id.

        Args:
            message_if_empty: Reported as an error where there are none.

        Returns:
            The utterances.
        """
        if not self._utterances:
            self._report(Problem("empty-corpus", "", message_if_empty))
        return sorted(self._utterances, key=lambda utterance: utterance.id)


def require_folder(path: Path, corpus: str) -> Path:
    """Require that a path is a folder.

    Args:
        path: The folder of a corpus.
        corpus: Name of the corpus, for messages.

    Returns:
        The path.

    Raises:
        CorpusError: It is a file, does not exist, or cannot be accessed.
    """
    try:
        if path.is_dir():
            return path
        exists = path.exists()
    except OSError as error:
        raise CorpusError(f"{path}: {unreadable(error)}") from error
    if exists:
        raise CorpusError(f"{path}: is a file; {corpus} is read from its unpacked folder: unpack it, give the folder")
    raise CorpusError(f"{path}: no such folder; give the folder that holds {corpus}")


def read_text(path: Path, report: Report | None = None, legacy: str | None = None) -> str:
    """Read a text file: UTF-8 or UTF-16 by its byte-order mark, UTF-8 without one, else Windows-1252.

    Args:
        path: The file, of at most `MANIFEST_LIMIT` bytes.
        report: Called with a note where the file is in Windows-1252; the note is logged without it.
        legacy: Encoding of the release's files that are neither UTF-8 nor UTF-16, instead of Windows-1252.

    Returns:
        The text.

    Raises:
        CorpusError: The file cannot be read, or is not in the encoding of its byte-order mark.
    """
    data = read_bytes(path, error=CorpusError, limit=MANIFEST_LIMIT)
    try:
        text, encoding = decoded(data)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not {error.encoding} text ({error}); save it as UTF-8") from error
    if encoding == "windows-1252" and legacy is not None:
        return data.decode(legacy, errors="replace")
    if encoding == "windows-1252":
        detail = f"{path}: not UTF-8, so it is read as Windows-1252; check its accents and quotes, or save it as UTF-8"
        (report or refuse)(Problem("encoding", path.name, detail, "note"))
    return text


def read_lines(path: Path, report: Report | None = None) -> list[str]:
    """Read the lines of a text file (`read_text`).

    Args:
        path: The file.
        report: As in `read_text`.

    Returns:
        The lines without their ends.

    Raises:
        CorpusError: As in `read_text`.
    """
    return lines_of(read_text(path, report))


def lines_of(text: str) -> list[str]:
    """Split a text into lines. Only CR, LF and CRLF end one, so that line numbers agree with an editor's.

    Args:
        text: Any text.

    Returns:
        The lines without their ends.
    """
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[:-1] if lines and lines[-1] == "" else lines


def is_audio(path: Path) -> bool:
    """Return whether a file's name is that of a recording.

    Args:
        path: The file.

    Returns:
        Whether it has a suffix of `AUDIO_SUFFIXES` and is no macOS companion file.
    """
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(APPLE_DOUBLE)


def files_below(folder: Path) -> list[Path]:
    """List all files in a folder and below it; linked folders are followed.

    A folder that can be reached on several paths is read once, on the first in alphabetical order, so that a link to a
    folder above it causes no endless loop. A broken link counts as a file: validation reports what is missing.

    Args:
        folder: The folder.

    Returns:
        The files, sorted.

    Raises:
        CorpusError: A folder cannot be listed.
    """
    found: list[Path] = []
    visited: set[tuple[int, int]] = set()

    def visit(folder: Path) -> None:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in visited:
            return
        visited.add((status.st_dev, status.st_ino))
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                visit(path)
            else:
                found.append(path)

    try:
        visit(folder)
    except RecursionError as error:
        raise CorpusError(f"{folder}: its folders are nested too deeply") from error
    except OSError as error:
        raise CorpusError(f"{error.filename or folder}: {unreadable(error)}") from error
    return sorted(found)


def audio_below(folder: Path) -> list[Path]:
    """List all recordings in a folder and below it (`files_below`).

    Args:
        folder: The folder.

    Returns:
        The recordings, sorted.
    """
    return [path for path in files_below(folder) if is_audio(path)]


def audio_in(folder: Path, report: Report) -> dict[str, Path]:
    """Find the recordings of one folder by their stems.

    Args:
        folder: The folder; need not exist.
        report: Called with a note where a stem has two recordings (a.wav, a.flac): the first in the order of
            `AUDIO_SUFFIXES` is used.

    Returns:
        Stem → recording.
    """
    found: dict[str, Path] = {}
    if not folder.is_dir():
        return found
    for path in sorted(filter(is_audio, folder.iterdir()), key=_preference):
        if path.stem in found:
            detail = f"{path}: {found[path.stem].name} is there too and is the one used; remove the other"
            report(Problem("duplicate-audio", path.stem, detail, "note"))
            continue
        found[path.stem] = path
    return found


def _preference(path: Path) -> tuple[int, str]:
    return AUDIO_SUFFIXES.index(path.suffix.lower()), path.name


def expected_audio(found: Mapping[str, Path], folder: Path, stem: str) -> Path:
    """Return the recording of a stem, or the path where it should be; validation reports it as missing.

    Args:
        found: Stem → recording, from `audio_in`.
        folder: Folder of the recordings.
        stem: Stem of the file.

    Returns:
        The path.
    """
    return found.get(stem, folder / f"{stem}.wav")


def rating(cell: str, dimension: str) -> float | None:
    """Read the rating of a dimension.

    Args:
        cell: Its text; decimals after a point or, as in German tables, a comma.
        dimension: Its name, for messages.

    Returns:
        The rating; None where the text is empty, NaN or NA.

    Raises:
        CorpusError: The text is no finite number.
    """
    text = cell.strip().replace(",", ".")
    if text.lower() in ("", "nan", "na", "n/a", "<na>"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise CorpusError(f"{shortened(cell.strip())} is no rating of {dimension}: give a number, or leave it empty")
    return value


def ratings(cells: Mapping[str, str], name: str, where: str, report: Report) -> dict[str, float] | None:
    """Read the ratings of an utterance from a corpus' own file.

    Args:
        cells: Dimension → text of its rating.
        name: Id of the utterance.
        where: File and line, for messages.
        report: Called with a note for each text that is no rating, which is left out.

    Returns:
        Dimension → rating; None where there is none.
    """
    found: dict[str, float] = {}
    for dimension, cell in cells.items():
        try:
            value = rating(cell, dimension)
        except CorpusError as error:
            report(Problem("bad-rating", name, f"{where}: {error}; {name} is used without it", "note"))
            continue
        if value is not None:
            found[dimension] = value
    return found or None


def some(names: Iterable[str], limit: int = 3) -> str:
    """Abbreviate a list: `a, b, c and 4 more`.

    Args:
        names: The names, in any order.
        limit: How many to list.

    Returns:
        The first of them in alphabetical order, and the number of the rest.
    """
    ordered = sorted(names)
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more
