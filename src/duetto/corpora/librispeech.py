"""LibriSpeech: read English audiobooks, 1,000 hours at 16 kHz, by speaker and chapter; no emotions.

V. Panayotov, G. Chen, D. Povey and S. Khudanpur, "Librispeech: an ASR corpus based on public domain audio
books", ICASSP 2015, 5206–5210. Licence: CC BY 4.0 (https://www.openslr.org/12).

    SPEAKERS.TXT                                 speaker | sex | subset | minutes | name
    dev-clean/84/121123/84-121123-0000.flac      speaker, chapter, number
    dev-clean/84/121123/84-121123.trans.txt      id and words of each utterance
    dev-clean/84/121123/84-121123.alignment.txt  end of each word, or a TextGrid an utterance (optional)

Any part of the tree may be given, down to one chapter. Every id is read by `NAME`; `scenario` is the chapter.
Times of words come from the LibriSpeech Alignments (C. Jemine, made with the Montreal Forced Aligner,
https://github.com/CorentinJ/librispeech-alignments) where they were unpacked into the tree: the condensed form
first, else the TextGrid, whose `<unk>` are filled from the transcript. An utterance without either has
`words=None`.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from ..data.labels import classes
from ..data.utterance import Utterance, Word
from ..errors import CorpusError
from . import alignments
from .parsing import (
    APPLE_DOUBLE,
    Collector,
    Problem,
    Report,
    audio_in,
    expected_audio,
    files_below,
    read_lines,
    refuse,
    require_folder,
)

NAME = re.compile(r"(?P<speaker>[0-9]{1,9})-(?P<chapter>[0-9]{1,9})-(?P<number>\d{4})")

_SPEAKER = re.compile(r"(?P<speaker>\d+)\s*\|\s*(?P<sex>[FM])\s*\|.*")
_GENDERS = {"F": "female", "M": "male"}


def parse(path: str | Path, labels: str = "four") -> list[Utterance]:
    """All utterances of the chapters below a folder, sorted by id; a line that cannot be read is a CorpusError."""
    return scan(Path(path), labels, refuse)


def scan(path: Path, labels: str, report: Report) -> list[Utterance]:
    """All utterances; everything wrong goes to `report`."""
    classes(labels)
    require_folder(path, "LibriSpeech")
    genders = _genders(path, report)
    found = Collector(report)
    for file in files_below(path):
        if file.name.endswith(".trans.txt") and not file.name.startswith(APPLE_DOUBLE):
            _scan_chapter(file, genders, found, report)
    return found.sorted(f"{path}: no *.trans.txt in it or below; give LibriSpeech, one of its subsets, or a chapter")


def _genders(path: Path, report: Report) -> dict[str, str]:
    """Speaker → gender, from the nearest SPEAKERS.TXT: in the folder, or in one of the four above it."""
    for folder in (path.absolute(), *path.absolute().parents[:3]):
        file = folder / "SPEAKERS.TXT"
        if file.is_file():
            break
    else:
        return {}
    genders = {}
    for number, line in enumerate(read_lines(file, report), 1):
        if not line.strip() or line.startswith(";"):
            continue
        match = _SPEAKER.fullmatch(line.strip())
        if match is None:
            detail = (
                f"{file}:{number}: {line[:60]!r} is no speaker; a line is: number | F or M | subset | minutes | name"
            )
            report(Problem("bad-line", f"line {number}", detail))
            continue
        genders[match["speaker"]] = _GENDERS[match["sex"]]
    return genders


def _scan_chapter(file: Path, genders: dict[str, str], found: Collector, report: Report) -> None:
    folder = file.parent
    recordings = audio_in(folder, report)
    condensed = _condensed(file.with_name(file.name.removesuffix(".trans.txt") + ".alignment.txt"), report)
    for number, line in enumerate(read_lines(file, report), 1):
        if not line.strip():
            continue
        name, _, text = line.strip().partition(" ")
        match = NAME.fullmatch(name)
        if match is None:
            detail = f"{file}:{number}: {line[:60]!r} is no transcript; a line is: 84-121123-0000 WORDS"
            report(Problem("bad-line", name, detail))
            continue
        words = condensed.get(name)
        utterance = Utterance(
            id=name,
            audio=expected_audio(recordings, folder, name),
            speaker=match["speaker"],
            scenario=match["chapter"],
            text=text.strip() or None,
            words=_textgrid(folder / f"{name}.TextGrid", text, report) if words is None else words,
            gender=genders.get(match["speaker"]),
        )
        found.add(utterance, f"{file}:{number}")


def _condensed(file: Path, report: Report) -> dict[str, tuple[Word, ...]]:
    if not file.is_file():
        return {}
    try:
        return alignments.read_condensed(file)
    except CorpusError as error:
        report(Problem("bad-alignment", file.name, f"{error} (the chapter is used without its word times)"))
        return {}


def _textgrid(file: Path, text: str, report: Report) -> tuple[Word, ...] | None:
    if not file.is_file():
        return None
    try:
        words = alignments.read_textgrid(file)
    except CorpusError as error:
        report(Problem("bad-alignment", file.stem, f"{error} (the utterance is used without its word times)"))
        return None
    spoken = text.lower().split()
    if len(spoken) != len(words):
        return words
    return tuple(
        dataclasses.replace(word, word=heard) if word.word == "<unk>" else word
        for word, heard in zip(words, spoken, strict=True)
    )
