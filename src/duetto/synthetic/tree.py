"""The synthetic corpus on disk: an IEMOCAP folder in which everything is known.

    write(folder) ─▶ SessionN/…  and SYNTHETIC.json, which says what is planted in each utterance

The marker comes first and says `"complete": false` until all sessions are in place, each whole: whatever is left of a
killed call can't be mistaken for recordings of people, and the same call goes on where it ended.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import audio
from ..audio.timing import SAMPLE_RATE
from ..corpora.iemocap import SYNTHETIC_MARKER
from ..errors import ConfigurationError, CorpusError
from ..utils import files, parallel
from ..utils.progress import Progress
from ..utils.reading import Record, read_json
from . import espeak, formats, voices
from .channel import DEFAULT, EMOTIONS, Channel, ceilings, deciders
from .plan import Line, Options, Plan, draw_plan

MARKER = SYNTHETIC_MARKER
"""File at the root that says: none of this is human speech."""

_LEFT = re.compile(r"\.partial-\d+|\.SYNTHETIC\.json\.[0-9a-f]{16}\.tmp")
"""What a call leaves that is killed before its marker is there; the first, in versions up to 0.9."""
VERSION = 1
"""Of what is written. The same version, options, seed and machine give the same bytes."""

NOTE = (
    "Synthetic speech by espeak-ng in the layout of IEMOCAP, written by duetto. No human speaks here, and no"
    " result on it says anything about recognising the emotions of people."
)

UNALIGNED = frozenset({"Ses03M_impro03_M001", "Ses03F_impro07_M030"})
"""Utterances without `.wdseg`, as in the release of IEMOCAP."""


@dataclass(frozen=True, slots=True)
class _Dialog:
    """All that one process needs to write one dialogue into the folder of its session."""

    session: Path
    lines: tuple[Line, ...]
    options: Options

    @property
    def name(self) -> str:
        return self.lines[0].dialog


def write(
    folder: str | Path,
    *,
    size: int = 600,
    seed: int = 0,
    leak: float = 0.0,
    unseen_test_voices: bool = False,
    other_labels: float = 0.1,
    channel: Channel = DEFAULT,
    workers: int = 0,
    progress: Progress | None = None,
) -> Plan:
    """Write a corpus into `folder`, which must be new, empty, or left by an interrupted call with the same options.

    Returns what was planned.

    size: utterances with one of the four emotions, 10 or more. seed: of every draw. leak: share (0–1) of
    them whose scenario predicts the emotion and, in scripted scenarios, whose sentence other sessions say
    nearly verbatim, as in IEMOCAP. unseen_test_voices: session 5 speaks with voices unlike the others.
    other_labels: further utterances, as a share of `size`, with a raw label that has no class. workers:
    processes, 0 for none but this one. progress: called with utterances done and in total.

    Raises ConfigurationError for an option out of range, CorpusError for a folder with something in it,
    MissingExtraError without the extra `synth`.
    """
    options = Options(size, seed, leak, unseen_test_voices, other_labels, channel)
    if workers < 0:
        raise ConfigurationError(f"workers={workers}: give 0 for none, or the number of processes")
    folder = Path(folder)
    _check_empty(folder)
    espeak.variants()  # without the extra, fail before the first file
    planned = draw_plan(options)
    _begin(folder, planned)
    try:
        _write_sessions(folder, planned, workers, progress)
    except FileExistsError as error:
        raise CorpusError(
            f"{error.filename}: was made by another process meanwhile; wait until that ends, and run this again"
        ) from error
    _save_marker(folder, planned, complete=True)
    return planned


def _check_empty(folder: Path) -> None:
    """Refuse a folder that holds anything but what an interrupted call left, and clear what of that is of no use."""
    if not folder.exists():
        return
    found = list(folder.iterdir()) if folder.is_dir() else [folder]
    if not all(_LEFT.fullmatch(path.name) for path in found) and (
        (folder / MARKER) not in found or is_complete(folder)
    ):
        raise CorpusError(f"{folder}: not an empty folder; give a new one, or remove what is in it")
    files.clear_abandoned(folder)
    for path in found:
        if path.name.startswith(".partial-"):
            shutil.rmtree(path, ignore_errors=True)


def _begin(folder: Path, planned: Plan) -> None:
    """Leave the marker, first of all; refuse a folder in which a corpus of another plan was begun."""
    if not (folder / MARKER).is_file():
        _save_marker(folder, planned, complete=False)
    elif _read_marker(folder) != _marker(planned, complete=False):
        raise CorpusError(
            f"{folder}: holds an interrupted corpus of other options; give the options it was begun with to go on, "
            "or delete the folder"
        )


def _write_sessions(folder: Path, planned: Plan, workers: int, progress: Progress | None) -> None:
    """Each session appears when it is whole; one that an earlier call completed is kept."""
    sessions: dict[int, list[tuple[Line, ...]]] = defaultdict(list)
    for lines in planned.dialogs().values():
        sessions[lines[0].session].append(tuple(lines))
    done = 0
    with _mapper(workers) as mapper:
        for number, dialogs in sorted(sessions.items()):
            session = folder / f"Session{number}"
            if session.exists():
                _check_whole(session, dialogs)
                done += sum(map(len, dialogs))
                continue
            with files.new_folder(session) as temporary:
                work = [_Dialog(temporary, lines, planned.options) for lines in dialogs]
                for count in mapper(_write_dialog, work):
                    done += count
                    if progress is not None:
                        progress(done, len(planned.lines))


def _check_whole(session: Path, dialogs: Iterable[tuple[Line, ...]]) -> None:
    for lines in dialogs:
        for path in (_recording(session, line) for line in lines):
            if not path.is_file():
                raise CorpusError(f"{session}: not a session of this corpus ({path.name} is missing); remove it")


def _recording(session: Path, line: Line) -> Path:
    return session / "sentences" / "wav" / line.dialog / f"{line.id}.wav"


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[[Callable[[_Dialog], int], Iterable[_Dialog]], Iterable[int]]]:
    if workers == 0:
        yield map
        return
    with parallel.processes(workers) as pool:
        yield pool.map


def _write_dialog(dialog: _Dialog) -> int:
    """Write every file of one dialogue; returns its number of utterances."""
    options, first = dialog.options, dialog.lines[0]
    random = np.random.default_rng([options.seed, first.number, first.session, 11])
    session = dialog.session
    turns: list[formats.Timed] = []
    now = float(random.uniform(4, 8))
    for line in dialog.lines:
        samples, words = voices.render(line, options.seed, unseen=options.unseen_test_voices)
        audio.write(_recording(session, line), samples, SAMPLE_RATE)
        duration = len(samples) / SAMPLE_RATE
        alignment = formats.wdseg(words, duration, random)
        if line.id not in UNALIGNED:
            files.write_text(session / "sentences" / "ForcedAlignment" / dialog.name / f"{line.id}.wdseg", alignment)
        turns.append(formats.Timed(line, now, now + duration))
        now += duration + float(random.uniform(0.1, 1.0))
    evaluations = session / "dialog" / "EmoEvaluation"
    files.write_text(evaluations / f"{dialog.name}.txt", formats.evaluation(turns, random))
    files.write_text(evaluations / "Categorical" / f"{dialog.name}_e2_cat.txt", formats.categorical(turns))
    files.write_text(session / "dialog" / "transcriptions" / f"{dialog.name}.txt", formats.transcription(turns, random))
    return len(turns)


def _save_marker(folder: Path, planned: Plan, *, complete: bool) -> None:
    marker = _marker(planned, complete=complete)
    files.write_text(folder / MARKER, json.dumps(marker, indent=1, ensure_ascii=False) + "\n")


def _marker(planned: Plan, *, complete: bool = True) -> dict[str, Any]:
    options = planned.options
    return {
        "synthetic": True,
        "complete": complete,
        "note": NOTE,
        "version": VERSION,
        "seed": options.seed,
        "size": options.size,
        "leak": options.leak,
        "unseen_test_voices": options.unseen_test_voices,
        "other_labels": options.other_labels,
        "channel": {"own": options.channel.own, "sibling": options.channel.sibling},
        "ceilings": ceilings(options.channel),
        "utterances": {
            line.id: {
                "emotion": line.emotion,
                "style": line.style,
                "wording": line.wording,
                "scripted": line.scripted,
            }
            for line in planned.lines
        },
    }


def is_complete(folder: str | Path) -> bool:
    """Whether `folder` holds a synthetic corpus that was written to its end; CorpusError for a damaged marker."""
    return (Path(folder) / MARKER).is_file() and _is_complete(_read_marker(Path(folder)))


def read_marker(folder: str | Path) -> Record:
    """What `SYNTHETIC.json` says; CorpusError where there is none, it is damaged, or the corpus is incomplete."""
    marker = _read_marker(Path(folder))
    if not _is_complete(marker):
        raise CorpusError(f"{folder}: the synthesis of this corpus was interrupted; run it again to go on")
    return marker


def _is_complete(marker: Record) -> bool:
    return marker.boolean("complete", True)  # versions up to 0.9 wrote the marker last


def _read_marker(folder: Path) -> Record:
    marker = read_json(folder / MARKER, error=CorpusError, repair="write the corpus again, into a new folder")
    if not marker.boolean("synthetic"):
        raise marker.wrong("'synthetic' must be true")
    marker.record("utterances")
    return marker


def oracle_decisions(folder: str | Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Id → the emotion of each utterance that has one, and the Bayes-optimal decisions from what is planted in it.

    The decisions are those of `audio`, `words` and `both` (see `oracle_accuracy`).
    """
    marker = read_marker(folder)
    channel, planted = marker.record("channel"), marker.record("utterances")
    decide = deciders(Channel(*(channel.number(key, low=0, high=1) for key in ("own", "sibling"))))
    return {
        name: (emotion, {way: by(style, wording) for way, by in decide.items()})
        for name in planted
        for emotion, style, wording in [_planted(planted.record(name))]
        if emotion is not None
    }


def _planted(utterance: Record) -> tuple[str | None, str, str]:
    """Emotion (None where it has no class), style and wording of an utterance in a marker."""
    found = [utterance[key] for key in ("emotion", "style", "wording")]
    if any(value not in EMOTIONS for value in found if value is not None) or None in found[1:]:
        raise utterance.wrong(f"emotion, style and wording must be of {', '.join(EMOTIONS)}")
    return found[0], found[1], found[2]


def oracle_accuracy(folder: str | Path, *, sessions: Iterable[int] | None = None) -> dict[str, float]:
    """Unweighted accuracy of Bayes-optimal decisions on a written corpus, from what is planted in it.

    `audio` decides from the prosody style, `words` from the wording class, `both` from the pair: what a
    recogniser would reach that perceives them without error and has learned the channel. It strays from
    `ceilings` only as far as the draws do. sessions: only these (1–5), all by default.
    """
    chosen = None if sessions is None else set(sessions)
    hits: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for name, (emotion, decisions) in oracle_decisions(folder).items():
        if chosen is None or name[4:5] in {str(session) for session in chosen}:
            for modality, decision in decisions.items():
                hits[modality][emotion].append(decision == emotion)
    if not hits:
        raise CorpusError(f"{folder}: no utterance with an emotion in sessions {sorted(chosen or ())}; they are 1 to 5")
    return {
        modality: float(np.mean([np.mean(found[emotion]) for emotion in EMOTIONS if found[emotion]]))
        for modality, found in hits.items()
    }
