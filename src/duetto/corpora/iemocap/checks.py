"""Checks of an IEMOCAP tree: files that belong together, and the published counts.

Sessions, dialogues and classes are compared with the release; a synthetic corpus only with the size that its own
marker states.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from ...data.labels import classes
from ...data.utterance import Utterance
from ...errors import CorpusError
from ...utils.reading import read_json
from ..parsing import APPLE_DOUBLE, Problem, is_audio, some
from . import files
from .release import (
    ALIGNMENTS,
    EVALUATION,
    KNOWN_RAW_LABELS,
    KNOWN_SESSIONS,
    KNOWN_UNALIGNED,
    LABEL_MAPS,
    RECORDINGS,
    TRANSCRIPTIONS,
    SessionCounts,
)
from .synthetic import SYNTHETIC_MARKER, is_synthetic

_RESTORE = "restore it from the release"


def check(path: Path, utterances: Sequence[Utterance], reported: Collection[str], known: bool) -> Iterator[Problem]:
    """Find the problems of an IEMOCAP tree that reading it does not report.

    Args:
        path: The folder that holds Session1 … Session5.
        utterances: All utterances that were read.
        reported: Ids already reported; what follows from those problems is not reported again.
        known: Whether to compare with the published counts.

    Yields:
        The problems.
    """
    if companions := files.apple_doubles(path):
        names = some((file.name for file in companions), 1)
        detail = f"{path}: {len(companions)} files {APPLE_DOUBLE}* left by macOS ({names}); they are ignored"
        yield Problem("apple-double", path.name, detail, "note")
    for session in files.sessions(path):
        members = [utterance for utterance in utterances if utterance.session == session.name[-1]]
        yield from _missing_parts(session, members)
        yield from _unlabelled(session, members, reported)
    if is_synthetic(path):
        yield from _marker(path, len(utterances))
    elif known:
        dialogs = {session.name[-1]: len(files.evaluations(session)) for session in files.sessions(path)}
        yield from compare(utterances, dialogs)


def _dialog(utterance: Utterance) -> str:
    return utterance.id.rpartition("_")[0]


def _missing_parts(session: Path, utterances: Sequence[Utterance]) -> Iterator[Problem]:
    """Missing transcripts and alignments: of the session, else of a dialogue, else of an utterance."""
    by_dialog: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_dialog.setdefault(_dialog(utterance), []).append(utterance)
    parts = (
        (TRANSCRIPTIONS, "transcript", "{}.txt", lambda utterance: utterance.text),
        (ALIGNMENTS, "alignment", "{}", lambda utterance: utterance.words),
    )
    for place, what, pattern, value in parts:
        folder = session / place
        if not folder.is_dir():
            detail = f"{folder}: no such folder, so no utterance of {session.name} has its {what}; {_RESTORE}"
            yield Problem("missing-folder", f"{session.name}/{place.as_posix()}", detail)
            continue
        for dialog, members in sorted(by_dialog.items()):
            file = folder / pattern.format(dialog)
            if not file.exists():
                detail = f"{file}: missing, so {len(members)} utterances have no {what}; {_RESTORE}"
                yield Problem(f"missing-{what}", dialog, detail)
                continue
            for utterance in members:
                if value(utterance) is None and not _excused(utterance, folder, what):
                    where = file if what == "transcript" else file / f"{utterance.id}.wdseg"
                    found = "no text for it" if what == "transcript" else "missing"
                    yield Problem(f"missing-{what}", utterance.id, f"{where}: {found} ({utterance.id}); {_RESTORE}")


def _excused(utterance: Utterance, folder: Path, what: str) -> bool:
    """An alignment that the release lacks, or that is there and was reported as damaged."""
    if what != "alignment":
        return False
    file = folder / _dialog(utterance) / f"{utterance.id}.wdseg"
    return utterance.id in KNOWN_UNALIGNED or file.exists()


def _unlabelled(session: Path, utterances: Sequence[Utterance], reported: Collection[str]) -> Iterator[Problem]:
    """Recordings that no EmoEvaluation file lists."""
    root = session / RECORDINGS
    evaluated = {file.stem for file in files.evaluations(session)}
    known = {utterance.id for utterance in utterances}
    if not root.is_dir() or not (session / EVALUATION).is_dir():
        return
    for folder in sorted(child for child in root.iterdir() if child.is_dir() and child.name.startswith("Ses")):
        file = session / EVALUATION / f"{folder.name}.txt"
        if folder.name not in evaluated:
            yield Problem("missing-evaluation", folder.name, f"{file}: missing, but {folder} is there; {_RESTORE}")
            continue
        for audio in sorted(filter(is_audio, folder.iterdir())):
            if audio.stem not in known and audio.stem not in reported and folder.name not in reported:
                detail = f"{audio}: {file.name} holds no line for it, so it is not used; restore that file"
                yield Problem("missing-label", audio.stem, detail)


def _marker(path: Path, count: int) -> Iterator[Problem]:
    """A note that the corpus is synthetic, and its size compared with the one that its marker states."""
    file = path / SYNTHETIC_MARKER
    yield Problem("synthetic", path.name, f"{file}: duetto made this corpus; it is not IEMOCAP", "note")
    try:
        listed = read_json(file, error=CorpusError).get("utterances")
    except CorpusError:
        return  # the parser has reported it
    stated = len(listed) if isinstance(listed, dict) else listed
    if isinstance(stated, int) and stated != count:
        yield Problem("count", path.name, f"{path}: {count} utterances, {stated} were made; make the corpus again")


def compare(utterances: Sequence[Utterance], dialogs: dict[str, int]) -> Iterator[Problem]:
    """Compare the utterances with the release: missing sessions, counts of each session, raw labels over all.

    Args:
        utterances: All utterances that were read.
        dialogs: Session → number of its EmoEvaluation files; a session that is not a key is missing.

    Yields:
        The differences.
    """
    whole = True
    for session, known in KNOWN_SESSIONS.items():
        name = f"Session{session}"
        if session not in dialogs:
            whole = False
            yield Problem("missing-session", name, f"{name}: missing; IEMOCAP has Session1 … Session5: unpack it again")
            continue
        found = _counted([utterance for utterance in utterances if utterance.session == session], dialogs[session])
        differences = [
            f"{getattr(found, field)} {field}, not {getattr(known, field)}"
            for field in SessionCounts.__slots__
            if getattr(found, field) != getattr(known, field)
        ]
        if differences:
            whole = False
            detail = f"{name}: not the release: {'; '.join(differences)}; compare its EmoEvaluation files"
            yield Problem("count", name, detail)
    raw = Counter(utterance.raw_label for utterance in utterances)
    off = [f"{raw[label]} {label}, not {count}" for label, count in KNOWN_RAW_LABELS.items() if raw[label] != count]
    if whole and off:
        yield Problem("count", "IEMOCAP", f"raw labels are not those of the release: {'; '.join(off)}")


def _counted(utterances: Sequence[Utterance], dialogs: int) -> SessionCounts:
    merged = LABEL_MAPS["four"]  # the published table is of these classes, whatever label set is in use
    chosen = [utterance for utterance in utterances if utterance.raw_label in merged]
    labels = Counter(merged[utterance.raw_label or ""] for utterance in chosen)
    genders = Counter(utterance.gender for utterance in chosen)
    return SessionCounts(
        dialogs=dialogs,
        female=genders["female"],
        male=genders["male"],
        **{name: labels[name] for name in classes("four")},
    )
