"""What every corpus parser shares: problems and how they are reported, folders, text, recordings.

A parser walks its folder once and hands everything that is wrong to a `report` function. `parse`
passes `refuse`, which raises at the first error; the doctor passes `list.append` and gets them all.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..data.manifest import MANIFEST_LIMIT
from ..data.utterance import Utterance
from ..errors import CorpusError
from ..utils.reading import read_bytes, unreadable
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

    kind: a short name to count by, such as `missing-audio`. id: the utterance, dialogue, folder or file
    it concerns. detail: what was found, what was expected, what to do. severity: a `note` needs no action.
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
    """Raise an error as CorpusError; log a note, and an error that leaves the utterance usable."""
    if problem.severity == "note" or problem.kind in _USABLE:
        _log.warning("%s", problem.detail)
        return
    raise CorpusError(problem.detail)


class Collector:
    """Gathers utterances, and reports an id that comes twice (the first is kept)."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._utterances: list[Utterance] = []
        self._where: dict[str, str] = {}

    def add(self, utterance: Utterance, where: str) -> None:
        """Keep an utterance; `where` is its file, or file:line."""
        if utterance.id in self._where:
            first = self._where[utterance.id]
            detail = f"{where}: id {utterance.id!r} comes from {first} already; remove one of the two"
            self._report(Problem("duplicate-id", utterance.id, detail))
            return
        self._where[utterance.id] = where
        self._utterances.append(utterance)

    def sorted(self, otherwise: str) -> list[Utterance]:
        """All utterances by id; without any, `otherwise` is reported as the error it is."""
        if not self._utterances:
            self._report(Problem("empty-corpus", "", otherwise))
        return sorted(self._utterances, key=lambda utterance: utterance.id)


def require_folder(path: Path, corpus: str) -> Path:
    """The folder itself, or a CorpusError that says what is there instead."""
    try:
        if path.is_dir():
            return path
        exists = path.exists()
    except OSError as error:
        raise CorpusError(f"{path}: {unreadable(error)}") from error
    if exists:
        raise CorpusError(f"{path}: is a file; {corpus} is read from its unpacked folder: unpack it, give the folder")
    raise CorpusError(f"{path}: no such folder; give the folder that holds {corpus}")


def read_text(path: Path, report: Report | None = None) -> str:
    """The content of a text file: UTF-8 or UTF-16 by its byte-order mark, UTF-8 without one, else Windows-1252.

    Args:
        path: The file, of at most `MANIFEST_LIMIT` bytes.
        report: Gets a note where the file is in Windows-1252; logged without it.

    Raises:
        CorpusError: The file cannot be read, or is not in the encoding of its byte-order mark.
    """
    data = read_bytes(path, error=CorpusError, limit=MANIFEST_LIMIT)
    try:
        text, encoding = decoded(data)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not {error.encoding} text ({error}); save it as UTF-8") from error
    if encoding == "windows-1252":
        detail = f"{path}: not UTF-8, so it is read as Windows-1252; check its accents and quotes, or save it as UTF-8"
        (report or refuse)(Problem("encoding", path.name, detail, "note"))
    return text


def read_lines(path: Path, report: Report | None = None) -> list[str]:
    """Lines of a text file (`read_text`) without their ends."""
    return lines_of(read_text(path, report))


def lines_of(text: str) -> list[str]:
    """Lines of a text without their ends. Only CR, LF and CRLF end one, so that numbers agree with an editor's."""
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[:-1] if lines and lines[-1] == "" else lines


def is_audio(path: Path) -> bool:
    """Whether a file's name is that of a recording."""
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(APPLE_DOUBLE)


def files_below(folder: Path) -> list[Path]:
    """All files in a folder and below it, sorted; linked folders are followed.

    A folder that can be reached by several ways is read once, by the first in alphabetical order, so that a link to a
    folder above it does not go round for ever. A link to nothing counts as a file: what lacks is for the doctor to
    report.

    Raises:
        CorpusError: A folder can't be listed.
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
    """All recordings in a folder and below it (`files_below`)."""
    return [path for path in files_below(folder) if is_audio(path)]


def audio_in(folder: Path, report: Report) -> dict[str, Path]:
    """Stem → recording, for the files of one folder; {} where there is no such folder.

    A stem with two recordings (a.wav, a.flac) gets the first in `AUDIO_SUFFIXES`, and a note.
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
    """The recording of a stem, or where it should lie: its absence is the doctor's to report."""
    return found.get(stem, folder / f"{stem}.wav")


def some(names: Iterable[str], limit: int = 3) -> str:
    """`a, b, c and 4 more`."""
    ordered = sorted(names)
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more
