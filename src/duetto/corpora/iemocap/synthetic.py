"""A synthetic corpus that duetto wrote in IEMOCAP's layout, recognised by a marker file at its root."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...data.labels import LabelMap
from ...data.utterance import Utterance
from ...errors import CorpusError
from ...utils.reading import read_json
from ..parsing import Problem, Report, require_folder
from . import files

SYNTHETIC_MARKER = "SYNTHETIC.json"
"""File at the root of a corpus that duetto synthesised."""

_UNFINISHED = f".partial-*/{SYNTHETIC_MARKER}"
"""Where versions up to 0.9 left the marker when they were killed, beside sessions that were already in place."""
_REPAIR = "run the same `duetto corpus synthesise` again, or delete the folder and make it again"


def is_synthetic(path: Path) -> bool:
    """Return whether a folder holds the marker of a synthetic corpus.

    Args:
        path: Root of a corpus.

    Returns:
        Whether `SYNTHETIC_MARKER` is in the folder.
    """
    return (path / SYNTHETIC_MARKER).is_file()


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read a synthetic corpus, which must hold the marker.

    Args:
        path: Root of the corpus.
        labels: Map from IEMOCAP's labels to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist, or duetto did not write it.
    """
    require_folder(path, "a synthetic corpus")
    if not is_synthetic(path):
        raise CorpusError(
            f"{path}: holds no {SYNTHETIC_MARKER}, so duetto did not make it; read a real IEMOCAP as kind iemocap"
        )
    return read_any(path, labels, report)


def read_any(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read a folder in IEMOCAP's layout, real or synthetic, and report a synthetic corpus that is incomplete.

    Args:
        path: Root of the corpus.
        labels: Map from IEMOCAP's labels to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder is not in IEMOCAP's layout.
    """
    _check_marker(path, report)
    utterances = files.read(path, labels, report)
    return [replace(utterance, corpus="synthetic") for utterance in utterances] if is_synthetic(path) else utterances


def _check_marker(path: Path, report: Report) -> None:
    """Report a synthetic corpus that was not written to its end: it is then neither that corpus nor IEMOCAP."""
    problem = None
    if is_synthetic(path):
        try:
            marker = read_json(path / SYNTHETIC_MARKER, error=CorpusError, repair="delete the corpus and make it again")
            if marker.boolean("complete", True):
                return
        except CorpusError as error:
            problem = Problem("bad-marker", SYNTHETIC_MARKER, str(error))
    elif not any(path.glob(_UNFINISHED)):
        return
    detail = f"{path}: a synthetic corpus whose synthesis was interrupted, so part of it is missing; {_REPAIR}"
    report(problem or Problem("incomplete", path.name, detail))
