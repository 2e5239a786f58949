"""IEMOCAP: ten actors in five dyadic sessions, scripted and improvised, 10,039 utterances.

C. Busso, M. Bulut, C.-C. Lee, A. Kazemzadeh, E. Mower, S. Kim, J. N. Chang, S. Lee and S. S. Narayanan,
"IEMOCAP: Interactive emotional dyadic motion capture database", Language Resources and Evaluation 42
(2008), 335–359. Licence: signed with the University of Southern California (https://sail.usc.edu/iemocap/);
it may not be passed on.

    SessionN/dialog/EmoEvaluation/<dialog>.txt       labels and votes of each utterance
    SessionN/dialog/transcriptions/<dialog>.txt      words
    SessionN/sentences/wav/<dialog>/<id>.wav         one utterance, 16 kHz
    SessionN/sentences/ForcedAlignment/<dialog>/<id>.wdseg   times of its words

An id, `Ses03M_script01_2_F011`, is read by `ID`. Its first letter names who wore the markers, its **last** who
speaks: utterances of both actors lie in every dialogue. Session N's two actors are `Ses0N_F` and `Ses0N_M`.

All utterances are returned with their raw label; `label` is None where the label set has no class for it.
A missing transcript is `text=None`, a missing or damaged alignment `words=None`, and a missing recording
keeps the path where it should lie: `duetto corpus check` lists them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..data.labels import label_map
from ..data.utterance import Utterance, Word
from ..errors import CorpusError
from ..utils.reading import read_json
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

ID = re.compile(
    r"(?P<dialog>Ses0(?P<session>[1-5])(?P<markers>[FM])_"
    r"(?P<scenario>(?:impro|script)0\d)(?P<part>[ab]?(?:_\d[ab]?)?))"
    r"_(?P<speaker>[FM])(?P<turn>\d{3})"
)

GENDERS = {"F": "female", "M": "male"}

RAW_LABELS = {
    "ang": "anger", "hap": "happiness", "exc": "excitement", "sad": "sadness", "neu": "neutral", "fru": "frustration",
    "sur": "surprise", "fea": "fear", "dis": "disgust", "oth": "other", "xxx": "no majority",
}  # fmt: skip

KNOWN_UNALIGNED = frozenset({"Ses03M_impro03_M001", "Ses03F_impro07_M030"})
"""Utterances whose `.wdseg` is not in the release."""

SYNTHETIC_MARKER = "SYNTHETIC.json"
"""File at the root of a corpus that duetto made itself, in IEMOCAP's layout."""

_UNFINISHED = f".partial-*/{SYNTHETIC_MARKER}"
"""Where versions up to 0.9 left the marker when they were killed, beside sessions that were in place already."""
_FINISH = "run the same `duetto corpus synthesise` again, or delete the folder and make it anew"

EVALUATION = Path("dialog", "EmoEvaluation")
TRANSCRIPTIONS = Path("dialog", "transcriptions")
RECORDINGS = Path("sentences", "wav")
ALIGNMENTS = Path("sentences", "ForcedAlignment")

_SESSION = re.compile(r"Session(?P<number>[1-5])")
_TURN = re.compile(
    r"\[\s*(?P<start>\d+(?:\.\d+)?)\s*-\s*(?P<end>\d+(?:\.\d+)?)\s*\]\s+(?P<id>\S+)\s+(?P<label>\S+)"
    r"(?:\s+\[[^\]]*\])?\s*"
)
_VOTE = re.compile(r"C-(?P<annotator>\w+)\s*:\s*(?P<labels>[^\t(]*).*")
_UNUSED_ID = re.compile(r"Ses\S*XX\S*")


def parse(path: str | Path, labels: str = "four") -> list[Utterance]:
    """All utterances of an IEMOCAP folder, sorted by id; labels merged as `label_map(labels, "iemocap")` says.

    Raises CorpusError, naming file and line, where the folder is not IEMOCAP or a label cannot be read.
    """
    return scan(Path(path), labels, refuse)


def parse_synthetic(path: str | Path, labels: str = "four") -> list[Utterance]:
    """All utterances of a synthetic corpus: IEMOCAP's layout, and `SYNTHETIC.json` at its root."""
    return scan_synthetic(Path(path), labels, refuse)


def scan_synthetic(path: Path, labels: str, report: Report) -> list[Utterance]:
    """As `scan`, of a folder that must hold the marker."""
    require_folder(path, "a synthetic corpus")
    if not is_synthetic(path):
        raise CorpusError(
            f"{path}: holds no {SYNTHETIC_MARKER}, so duetto did not make it; read a real IEMOCAP as kind iemocap"
        )
    return scan(path, labels, report)


def is_synthetic(path: Path) -> bool:
    """Whether a folder holds the marker of a synthetic corpus."""
    return (path / SYNTHETIC_MARKER).is_file()


def scan(path: Path, labels: str, report: Report) -> list[Utterance]:
    """All utterances; everything wrong with the text files goes to `report`."""
    classes = label_map(labels, "iemocap")
    found = Collector(report)
    _check_marker(path, report)
    for session in sessions(path):
        _scan_session(session, classes, found, report)
    return found.sorted(f"{path}: no utterance in any EmoEvaluation file; unpack the corpus again")


def _check_marker(path: Path, report: Report) -> None:
    """Report a synthetic corpus that was not written to its end: part of it is neither that corpus nor IEMOCAP."""
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
    torn = f"{path}: a synthetic corpus whose synthesis was interrupted, so part of it is missing; {_FINISH}"
    report(problem or Problem("incomplete", path.name, torn))


def sessions(path: Path) -> list[Path]:
    """The folders Session1 … Session5 that are there; a CorpusError says where they may be instead."""
    require_folder(path, "IEMOCAP (Session1 … Session5)")
    found = [child for child in sorted(path.iterdir()) if _SESSION.fullmatch(child.name) and child.is_dir()]
    if found:
        return found
    for folder in (path.absolute(), *path.absolute().parents):
        if _SESSION.fullmatch(folder.name):
            raise CorpusError(f"{path}: lies inside one session; give the folder that holds Session1: {folder.parent}")
    if (path / "dialog").is_dir() or (path / "sentences").is_dir():
        raise CorpusError(f"{path}: is one session; rename it Session1 … Session5 and give the folder that holds it")
    inside = sorted(child.parent for child in path.glob("*/Session[1-5]") if child.is_dir())
    if inside:
        raise CorpusError(f"{path}: is one level too high; give {inside[0]}")
    raise CorpusError(f"{path}: holds no folder Session1 … Session5; give the root of IEMOCAP, as unpacked")


def evaluations(session: Path) -> list[Path]:
    """The EmoEvaluation files of a session: `Ses*.txt` in the folder itself.

    Its subfolders Attribute, Categorical and Self-evaluation hold each annotator's own files.
    """
    folder = session / EVALUATION
    return sorted(file for file in folder.glob("Ses*.txt") if file.is_file()) if folder.is_dir() else []


@dataclass(slots=True)
class _Turn:
    """One block of an EmoEvaluation file: what the annotators say of one utterance."""

    id: str
    label: str
    where: str
    votes: dict[str, tuple[str, ...]] = field(default_factory=dict)


def _scan_session(session: Path, classes: dict[str, str], found: Collector, report: Report) -> None:
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
            assert match is not None  # _turns lets no other id pass
            dialog = match["dialog"]
            folder = session / RECORDINGS / dialog
            if dialog not in recordings:
                recordings[dialog] = audio_in(folder, report)
            utterance = Utterance(
                id=turn.id,
                audio=expected_audio(recordings[dialog], folder, turn.id),
                label=classes.get(turn.label),
                raw_label=turn.label,
                speaker=f"Ses0{match['session']}_{match['speaker']}",
                session=match["session"],
                scenario=match["scenario"],
                text=texts.get(turn.id),
                words=_words(session / ALIGNMENTS / dialog / f"{turn.id}.wdseg", report),
                gender=GENDERS[match["speaker"]],
                votes=turn.votes or None,
            )
            found.add(utterance, turn.where)


def _turns(file: Path, session: Path, report: Report) -> Iterator[_Turn]:
    """The blocks of one EmoEvaluation file.

    A block begins `[start - end]<tab>id<tab>label<tab>[valence, activation, dominance]`; `C-` lines give
    one annotator's classes. Lines of any other kind (header, attributes, blanks) are no part of this.
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
    return _Turn(name, label, where)


def transcripts(file: Path, report: Report) -> dict[str, str]:
    """Utterance id → what was said, from one transcription file; {} where there is no such file.

    A line is `id [start-end]: text`, cut at its first colon only. Lines that do not begin with an id
    (`M: sorry`) and the unfinished turns numbered XX are not utterances of the corpus.
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


def _words(file: Path, report: Report) -> tuple[Word, ...] | None:
    if not file.is_file():
        return None
    try:
        return alignments.read_wdseg(file)
    except CorpusError as error:
        report(Problem("bad-alignment", file.stem, f"{error} (the utterance is used without its words)"))
        return None


def _lines(file: Path, kind: str, report: Report) -> list[str]:
    try:
        return read_lines(file, report)
    except CorpusError as error:
        report(Problem(kind, file.stem, str(error)))
        return []


def apple_doubles(path: Path) -> list[Path]:
    """The `._*` companions in the folders that are read."""
    places = (EVALUATION, TRANSCRIPTIONS, RECORDINGS, ALIGNMENTS)
    folders = (session / place for session in sessions(path) for place in places)
    below = (file for folder in folders if folder.is_dir() for file in files_below(folder))
    return sorted(file for file in below if file.name.startswith(APPLE_DOUBLE))
