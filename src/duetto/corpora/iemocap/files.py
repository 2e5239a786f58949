"""Readers of IEMOCAP's files: sessions, EmoEvaluation files, transcriptions, alignments.

Session1 … Session5 ─ read ─▶ list[Utterance]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...data.labels import LabelMap
from ...data.utterance import Utterance
from ...errors import CorpusError
from .. import alignments
from ..parsing import (
    APPLE_DOUBLE,
    GENDERS,
    Collector,
    Problem,
    Report,
    audio_in,
    expected_audio,
    files_below,
    ratings,
    read_lines,
    require_folder,
)
from .release import ALIGNMENTS, EVALUATION, ID, RAW_LABELS, RECORDINGS, SESSION, TRANSCRIPTIONS

_TURN = re.compile(
    r"\[\s*(?P<start>\d+(?:\.\d+)?)\s*-\s*(?P<end>\d+(?:\.\d+)?)\s*\]\s+(?P<id>\S+)\s+(?P<label>\S+)"
    r"(?:\s+\[(?P<ratings>[^\]]*)\])?\s*"
)
_DIMENSIONS: tuple[str, ...] = ("valence", "arousal", "dominance")
"""Order of the mean ratings in a line; the release calls arousal activation."""
_VOTE = re.compile(r"C-(?P<annotator>\w+)\s*:\s*(?P<labels>[^\t(]*).*")
_UNUSED_ID = re.compile(r"Ses\S*XX\S*")


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of a folder in IEMOCAP's layout.

    Args:
        path: The folder that holds Session1 … Session5.
        labels: Map from IEMOCAP's labels to classes.
        report: Called with each problem of the text files.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder is not in IEMOCAP's layout.
    """
    collector = Collector(report)
    for session in sessions(path):
        _read_session(session, labels, collector, report)
    return collector.sorted(f"{path}: no utterance in any EmoEvaluation file; unpack the corpus again")


def sessions(path: Path) -> list[Path]:
    """List the session folders of a corpus.

    Args:
        path: The folder that holds Session1 … Session5.

    Returns:
        The session folders that exist, in order.

    Raises:
        CorpusError: There are none; suggests the folder to give instead.
    """
    require_folder(path, "IEMOCAP (Session1 … Session5)")
    found = [child for child in sorted(path.iterdir()) if SESSION.fullmatch(child.name) and child.is_dir()]
    if found:
        return found
    for folder in (path.absolute(), *path.absolute().parents):
        if SESSION.fullmatch(folder.name):
            raise CorpusError(f"{path}: lies inside one session; give the folder that holds Session1: {folder.parent}")
    if (path / "dialog").is_dir() or (path / "sentences").is_dir():
        raise CorpusError(f"{path}: is one session; rename it Session1 … Session5 and give the folder that holds it")
    inside = sorted(child.parent for child in path.glob("*/Session[1-5]") if child.is_dir())
    if inside:
        raise CorpusError(f"{path}: is one level too high; give {inside[0]}")
    raise CorpusError(f"{path}: holds no folder Session1 … Session5; give the root of IEMOCAP, as unpacked")


def evaluations(session: Path) -> list[Path]:
    """List the EmoEvaluation files of a session.

    They are `Ses*.txt` in the folder itself; its subfolders Attribute, Categorical and Self-evaluation hold each
    annotator's own files.

    Args:
        session: Folder of the session.

    Returns:
        The files, sorted; none where the folder is missing.
    """
    folder = session / EVALUATION
    return sorted(file for file in folder.glob("Ses*.txt") if file.is_file()) if folder.is_dir() else []


@dataclass(slots=True)
class _Turn:
    """One block of an EmoEvaluation file: the annotators' labels of one utterance."""

    id: str
    label: str
    where: str
    dimensions: dict[str, float] | None
    votes: dict[str, tuple[str, ...]] = field(default_factory=dict)


def _read_session(session: Path, labels: LabelMap, collector: Collector, report: Report) -> None:
    for needed in (EVALUATION, RECORDINGS):
        if not (session / needed).is_dir():
            detail = f"{session / needed}: no such folder; without it the session is not whole: unpack it again"
            report(Problem("missing-folder", f"{session.name}/{needed.as_posix()}", detail))
    recordings: dict[str, dict[str, Path]] = {}
    for file in evaluations(session):
        texts = transcripts(session / TRANSCRIPTIONS / file.name, report)
        turns = list(_turns(file, session, report))
        if not turns:
            report(Problem("bad-evaluation", file.stem, f"{file}: no utterance in it; restore it from the release"))
        for turn in turns:
            match = ID.fullmatch(turn.id)
            assert match is not None  # _turns yields valid ids only
            folder = session / RECORDINGS / match["dialog"]
            if match["dialog"] not in recordings:
                recordings[match["dialog"]] = audio_in(folder, report)
            audio = expected_audio(recordings[match["dialog"]], folder, turn.id)
            utterance = _utterance(turn, match, session, audio, texts.get(turn.id), labels, report)
            collector.add(utterance, turn.where)


def _utterance(
    turn: _Turn, match: re.Match[str], session: Path, audio: Path, text: str | None, labels: LabelMap, report: Report
) -> Utterance:
    alignment = session / ALIGNMENTS / match["dialog"] / f"{turn.id}.wdseg"
    return Utterance(
        id=turn.id,
        audio=audio,
        label=labels.get(turn.label),
        raw_label=turn.label,
        speaker=f"Ses0{match['session']}_{match['speaker']}",
        session=match["session"],
        scenario=match["scenario"],
        text=text,
        words=alignments.read_if_valid(
            alignments.read_wdseg, alignment, report, alignment.stem, "the utterance is used without its words"
        ),
        gender=GENDERS[match["speaker"]],
        votes=turn.votes or None,
        dimensions=turn.dimensions,
    )


def _turns(file: Path, session: Path, report: Report) -> Iterator[_Turn]:
    """Yield the blocks of one EmoEvaluation file.

    A block begins `[start - end]<tab>id<tab>label<tab>[valence, activation, dominance]`; its `C-` lines hold one
    annotator's classes each. The three ratings, 1–5, are means over the annotators. Other lines (header, attributes,
    blank lines) are skipped.
    """
    turn: _Turn | None = None
    for number, line in enumerate(_lines(file, "bad-evaluation", report), 1):
        where = f"{file}:{number}"
        if line.startswith("["):
            if turn is not None:
                yield turn
            turn = _turn(line, where, session, report)
        elif line.startswith("C-") and turn is not None and (vote := _VOTE.fullmatch(line)):
            given = tuple(part.strip() for part in vote["labels"].split(";") if part.strip())
            turn.votes[vote["annotator"]] = turn.votes.get(vote["annotator"], ()) + given
    if turn is not None:
        yield turn


def _turn(line: str, where: str, session: Path, report: Report) -> _Turn | None:
    match = _TURN.fullmatch(line)
    if match is None:
        detail = f"{where}: {line.strip()[:60]!r} is no utterance; a line is: [start - end] id label [val, act, dom]"
        named = ID.search(line)
        report(Problem("bad-evaluation", named[0] if named else Path(where).stem, detail))
        return None
    name, label = match["id"], match["label"]
    if _UNUSED_ID.fullmatch(name):
        return None
    parsed = ID.fullmatch(name)
    if parsed is None:
        detail = f"{where}: {name!r} is no IEMOCAP id, which is like Ses01F_impro01_F000; correct it"
        report(Problem("bad-id", name, detail))
        return None
    if session.name != f"Session{parsed['session']}":
        detail = f"{where}: {name!r} is of Session{parsed['session']} and lies in {session.name}; move its files there"
        report(Problem("wrong-session", name, detail))
        return None
    if label not in RAW_LABELS:
        detail = f"{where}: {name!r} has label {label!r}; IEMOCAP has {', '.join(RAW_LABELS)}"
        report(Problem("bad-label", name, detail))
        return None
    cells: dict[str, str] = dict(zip(_DIMENSIONS, (match["ratings"] or "").split(","), strict=False))
    return _Turn(name, label, where, ratings(cells, name, where, report))


def transcripts(file: Path, report: Report) -> dict[str, str]:
    """Read one transcription file.

    A line is `id [start-end]: text`, split at its first colon. Lines that do not begin with an id (`M: sorry`) and the
    unfinished turns numbered XX are not utterances of the corpus.

    Args:
        file: The transcription file; need not exist.
        report: Called with each problem.

    Returns:
        Utterance id → transcript.
    """
    texts: dict[str, str] = {}
    if not file.is_file():
        return texts
    for number, line in enumerate(_lines(file, "bad-transcript", report), 1):
        if not line.startswith("Ses"):
            continue
        head, colon, text = line.partition(":")
        name = head.split()[0]
        if not ID.fullmatch(name.rstrip(":")):
            continue
        if not colon:
            detail = f"{file}:{number}: {line.strip()[:60]!r} has no colon; a line is: id [start-end]: text"
            report(Problem("bad-transcript", name, detail))
        elif name in texts and texts[name] != text.strip():
            detail = f"{file}:{number}: {name!r} has another transcript above, which is kept; remove one"
            report(Problem("duplicate-transcript", name, detail, "note"))
        elif text.strip():
            texts[name] = text.strip()
    return texts


def _lines(file: Path, kind: str, report: Report) -> list[str]:
    try:
        return read_lines(file, report)
    except CorpusError as error:
        report(Problem(kind, file.stem, str(error)))
        return []


def apple_doubles(path: Path) -> list[Path]:
    """List macOS' `._*` companion files in the folders that are read.

    Args:
        path: The folder that holds Session1 … Session5.

    Returns:
        The companion files, sorted.
    """
    places = (EVALUATION, TRANSCRIPTIONS, RECORDINGS, ALIGNMENTS)
    folders = (session / place for session in sessions(path) for place in places)
    below = (file for folder in folders if folder.is_dir() for file in files_below(folder))
    return sorted(file for file in below if file.name.startswith(APPLE_DOUBLE))
