"""The synthetic corpus on disk: a folder in the layout of IEMOCAP.

    write(folder) ─▶ SessionN/…  and SYNTHETIC.json, which states what is planted in each utterance

The marker is written first, with `"complete": false` until all sessions are in place, each whole: what a killed call
leaves cannot be mistaken for recordings of people, and the same call continues where it ended.
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from .. import audio
from ..audio.timing import SAMPLE_RATE
from ..errors import ConfigurationError, CorpusError
from ..utils import files, parallel
from ..utils.progress import Progress
from . import espeak, formats, marker, voices
from .channel import DEFAULT, Channel
from .marker import MARKER, is_complete
from .plan import Line, Options, Plan, draw_plan

UNALIGNED = frozenset({"Ses03M_impro03_M001", "Ses03F_impro07_M030"})
"""Utterances without `.wdseg`, as in the release of IEMOCAP."""

_REMAINS = re.compile(r"\.partial-\d+|\.SYNTHETIC\.json\.[0-9a-f]{16}\.tmp")
"""What a call leaves that is killed before its marker is there; the first, in versions up to 0.9."""

_Dialogue = tuple[Line, ...]
_Map = Callable[[Callable[[_Dialogue], int], Iterable[_Dialogue]], Iterable[int]]


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
    """Write a corpus.

    Args:
        folder: New, empty, or left by an interrupted call with the same options.
        size: See `Options`, as for all arguments up to `channel`.
        seed: See `Options`.
        leak: See `Options`.
        unseen_test_voices: See `Options`.
        other_labels: See `Options`.
        channel: See `Options`.
        workers: Number of processes; 0 for none but this one.
        progress: Called with the number of utterances done and in total.

    Returns:
        What was planned.

    Raises:
        ConfigurationError: An option is out of range.
        CorpusError: The folder holds something else.
        MissingExtraError: The extra `synth` is not installed.
    """
    options = Options(size, seed, leak, unseen_test_voices, other_labels, channel)
    if workers < 0:
        raise ConfigurationError(f"workers={workers}: give 0 for none, or the number of processes")
    folder = Path(folder)
    _prepare(folder)
    espeak.variants()  # without the extra, fail before the first file
    plan = draw_plan(options)
    _begin(folder, plan)
    try:
        _write_sessions(folder, plan, workers, progress)
    except FileExistsError as error:
        raise CorpusError(
            f"{error.filename}: was made by another process meanwhile; wait until that ends, and run this again"
        ) from error
    marker.save(folder, plan, complete=True)
    return plan


def _prepare(folder: Path) -> None:
    """Refuse a folder that holds anything but what an interrupted call left, and remove what is of no use."""
    if not folder.exists():
        return
    found = list(folder.iterdir()) if folder.is_dir() else [folder]
    if not all(_REMAINS.fullmatch(path.name) for path in found) and (
        (folder / MARKER) not in found or is_complete(folder)
    ):
        raise CorpusError(f"{folder}: not an empty folder; give a new one, or remove what is in it")
    files.clear_abandoned(folder)
    for path in found:
        if path.name.startswith(".partial-"):
            shutil.rmtree(path, ignore_errors=True)


def _begin(folder: Path, plan: Plan) -> None:
    """Write the marker first; refuse a folder in which a corpus of another plan was begun."""
    if not (folder / MARKER).is_file():
        marker.save(folder, plan, complete=False)
    elif marker.read_unfinished(folder) != marker.content(plan, complete=False):
        raise CorpusError(
            f"{folder}: holds an interrupted corpus of other options; give the options it was begun with to go on, "
            "or delete the folder"
        )


def _write_sessions(folder: Path, plan: Plan, workers: int, progress: Progress | None) -> None:
    """Write each session whole or not at all; one that an earlier call completed is kept."""
    sessions: dict[int, list[_Dialogue]] = defaultdict(list)
    for lines in plan.dialogs().values():
        sessions[lines[0].session].append(tuple(lines))
    done = 0
    with _mapper(workers) as mapper:
        for number, dialogues in sorted(sessions.items()):
            session = folder / f"Session{number}"
            if session.exists():
                _check_whole(session, dialogues)
                done += sum(map(len, dialogues))
                continue
            with files.new_folder(session) as temporary:
                for count in mapper(partial(write_dialogue, temporary, plan.options), dialogues):
                    done += count
                    if progress is not None:
                        progress(done, len(plan.lines))


def _check_whole(session: Path, dialogues: Iterable[_Dialogue]) -> None:
    for dialogue in dialogues:
        for path in (_recording(session, line) for line in dialogue):
            if not path.is_file():
                raise CorpusError(f"{session}: not a session of this corpus ({path.name} is missing); remove it")


def _recording(session: Path, line: Line) -> Path:
    return session / "sentences" / "wav" / line.dialog / f"{line.id}.wav"


@contextmanager
def _mapper(workers: int) -> Iterator[_Map]:
    if workers == 0:
        yield map
        return
    with parallel.processes(workers) as pool:
        yield pool.map


def write_dialogue(session: Path, options: Options, lines: tuple[Line, ...]) -> int:
    """Write every file of one dialogue.

    Args:
        session: Folder of its session.
        options: Of the corpus.
        lines: The dialogue.

    Returns:
        Its number of utterances.
    """
    first = lines[0]
    random = np.random.default_rng([options.seed, first.number, first.session, 11])
    turns: list[formats.Timed] = []
    now = float(random.uniform(4, 8))
    for line in lines:
        samples, words = voices.render(line, options.seed, unseen=options.unseen_test_voices)
        audio.write(_recording(session, line), samples, SAMPLE_RATE)
        duration = len(samples) / SAMPLE_RATE
        alignment = formats.wdseg(words, duration, random)
        if line.id not in UNALIGNED:
            files.write_text(session / "sentences" / "ForcedAlignment" / line.dialog / f"{line.id}.wdseg", alignment)
        turns.append(formats.Timed(line, now, now + duration))
        now += duration + float(random.uniform(0.1, 1.0))
    folder, name = session / "dialog", first.dialog
    files.write_text(folder / "EmoEvaluation" / f"{name}.txt", formats.evaluation(turns, random))
    files.write_text(folder / "EmoEvaluation" / "Categorical" / f"{name}_e2_cat.txt", formats.categorical(turns))
    files.write_text(folder / "transcriptions" / f"{name}.txt", formats.transcription(turns, random))
    return len(turns)
