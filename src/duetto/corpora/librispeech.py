"""LibriSpeech: read English audiobooks, 1,000 hours at 16 kHz, by speaker and chapter; no emotions.

V. Panayotov, G. Chen, D. Povey and S. Khudanpur, "Librispeech: an ASR corpus based on public domain audio
books", ICASSP 2015, 5206–5210. Licence: CC BY 4.0 (https://www.openslr.org/12).

    SPEAKERS.TXT                                 speaker | sex | subset | minutes | name
    dev-clean/84/121123/84-121123-0000.flac      speaker, chapter, number
    dev-clean/84/121123/84-121123.trans.txt      id and words of each utterance
    dev-clean/84/121123/84-121123.alignment.txt  end of each word, or a TextGrid an utterance (optional)

Any part of the tree can be read, down to one chapter. `NAME` parses every id; `scenario` is the chapter. Times of
words come from the LibriSpeech Alignments (C. Jemine, made with the Montreal Forced Aligner,
https://github.com/CorentinJ/librispeech-alignments) where they were unpacked into the tree: from the condensed file,
else from the TextGrid, whose `<unk>` are filled in from the transcript. An utterance without either has `words=None`.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance, Word
from . import alignments
from .corpus import Corpus
from .parsing import (
    APPLE_DOUBLE,
    GENDERS,
    Collector,
    Problem,
    Report,
    audio_in,
    expected_audio,
    files_below,
    read_lines,
    require_folder,
)

NAME = re.compile(r"(?P<speaker>[0-9]{1,9})-(?P<chapter>[0-9]{1,9})-(?P<number>\d{4})")
"""An id: speaker, chapter, number."""

KNOWN_SUBSETS = {
    "dev-clean": 2703, "dev-other": 2864, "test-clean": 2620, "test-other": 2939,
    "train-clean-100": 28_539, "train-clean-360": 104_014, "train-other-500": 148_688,
}  # fmt: skip
"""Subset → utterances in the release."""

_SPEAKER = re.compile(r"(?P<speaker>\d+)\s*\|\s*(?P<sex>[FM])\s*\|.*")


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of the chapters below a folder.

    Args:
        path: LibriSpeech, a subset, a speaker, or a chapter.
        labels: Unused: the corpus has no emotion labels.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist.
    """
    require_folder(path, "LibriSpeech")
    genders = _genders(path, report)
    collector = Collector(report)
    for file in files_below(path):
        if file.name.endswith(".trans.txt") and not file.name.startswith(APPLE_DOUBLE):
            _read_chapter(file, genders, collector, report)
    return collector.sorted(
        f"{path}: no *.trans.txt in it or below; give LibriSpeech, one of its subsets, or a chapter"
    )


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
        genders[match["speaker"]] = GENDERS[match["sex"]]
    return genders


def _read_chapter(file: Path, genders: dict[str, str], collector: Collector, report: Report) -> None:
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
        collector.add(utterance, f"{file}:{number}")


def _condensed(file: Path, report: Report) -> dict[str, tuple[Word, ...]]:
    without = "the chapter is used without its word times"
    return alignments.read_if_valid(alignments.read_condensed, file, report, file.name, without) or {}


def _textgrid(file: Path, text: str, report: Report) -> tuple[Word, ...] | None:
    """The words of an utterance's TextGrid, its `<unk>` replaced by the transcript's words where both are as many."""
    without = "the utterance is used without its word times"
    words = alignments.read_if_valid(alignments.read_textgrid, file, report, file.stem, without)
    transcript = text.lower().split()
    if words is None or len(transcript) != len(words):
        return words
    return tuple(
        dataclasses.replace(word, word=token) if word.word == "<unk>" else word
        for word, token in zip(words, transcript, strict=True)
    )


CORPUS = Corpus(
    title="LibriSpeech", name="librispeech", read=read, transcribed=True, language="en", subsets=KNOWN_SUBSETS
)
