"""LJ Speech: one American reader, seven non-fiction books, 13,100 utterances, 24 hours; no emotions.

K. Ito and L. Johnson, "The LJ Speech Dataset", 2017, https://keithito.com/LJ-Speech-Dataset/. Public domain.

    metadata.csv            id|text|text with numbers and abbreviations spelt out; no quoting
    wavs/LJ001-0001.wav     id = section and number

`NAME` parses every id. `text` is the spelt-out column, which is what was spoken. `scenario` is the section.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from ..errors import CorpusError
from .corpus import Corpus
from .parsing import Collector, Problem, Report, audio_in, expected_audio, read_lines, require_folder

NAME = re.compile(r"(?P<section>LJ\d{3})-(?P<number>\d{4})")
"""An id: section and number."""

SPEAKER = "LJ"
"""The one reader."""

KNOWN_SIZE = 13_100
"""Utterances in the release."""


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of LJ Speech: the lines of metadata.csv.

    Args:
        path: The folder that holds metadata.csv and wavs/.
        labels: Unused: the corpus has no emotion labels.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist, or holds no metadata.csv.
    """
    metadata = _metadata(path)
    recordings = audio_in(path / "wavs", report)
    collector = Collector(report)
    for number, line in enumerate(read_lines(metadata, report), 1):
        if not line.strip():
            continue
        columns, where = line.split("|"), f"{metadata}:{number}"
        match = NAME.fullmatch(columns[0])
        if match is None or len(columns) != 3:
            detail = f"{where}: {line[:60]!r} is no line of LJ Speech; a line is: id|text|spelt-out text (LJ001-0001|…)"
            report(Problem("bad-line", columns[0], detail))
            continue
        utterance = Utterance(
            id=match[0],
            audio=expected_audio(recordings, path / "wavs", match[0]),
            speaker=SPEAKER,
            scenario=match["section"],
            text=columns[2].strip() or None,
            gender="female",
        )
        collector.add(utterance, where)
    utterances = collector.sorted(f"{metadata}: no line in it; restore it from the release")
    for stem in sorted(set(recordings) - {utterance.id for utterance in utterances}):
        detail = f"{recordings[stem]}: no line in metadata.csv, so it is left out; restore the line"
        report(Problem("missing-line", stem, detail, "note"))
    return utterances


def _metadata(path: Path) -> Path:
    metadata = require_folder(path, "LJ Speech") / "metadata.csv"
    if not metadata.is_file():
        inside = next(iter(sorted(path.glob("*/metadata.csv"))), None)
        where = f"give {inside.parent}" if inside else "give the folder that holds metadata.csv and wavs/"
        raise CorpusError(f"{path}: holds no metadata.csv; {where}")
    return metadata


CORPUS = Corpus(title="LJ Speech", name="ljspeech", read=read, transcribed=True, language="en", size=KNOWN_SIZE)
