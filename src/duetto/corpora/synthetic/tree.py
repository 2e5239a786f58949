"""The synthetic corpus on disk: an IEMOCAP folder in which everything is known.

    write(folder) ─▶ SessionN/…  and SYNTHETIC.json, which says what is planted in each utterance

All is made in a folder within it, and takes its place when it is whole, the marker last: a folder with the marker is
complete.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import audio
from ...errors import ConfigurationError, CorpusError
from ...frames import SAMPLE_RATE
from ...progress import Progress
from ...utils.reading import Record, read_json
from . import espeak, formats, voices
from .channel import DEFAULT, EMOTIONS, Channel, ceilings, deciders
from .plan import Line, Options, Plan, draw_plan

MARKER = "SYNTHETIC.json"
"""File at the root that says: none of this is human speech."""

_PARTIAL = ".partial-"
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
    """All that one process needs to write one dialogue."""

    folder: Path
    name: str
    lines: tuple[Line, ...]
    options: Options


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
    """Write a corpus into `folder`, which must be new or empty; returns what was planned.

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
    _check_free(folder)
    espeak.variants()  # without the extra, fail before the first file
    planned = draw_plan(options)
    partial = folder / f"{_PARTIAL}{os.getpid()}"
    partial.mkdir(parents=True)
    try:
        _write(partial, planned, workers, progress)
        _check_free(folder)
        for path in sorted(partial.iterdir(), key=lambda path: path.name == MARKER):
            path.rename(folder / path.name)
    finally:  # Ctrl-C too: the same call shall find the folder as it was
        shutil.rmtree(partial, ignore_errors=True)
    return planned


def _check_free(folder: Path) -> None:
    """Refuse a folder with anything in it but what a call left that was killed."""
    if folder.exists() and not (folder.is_dir() and all(path.name.startswith(_PARTIAL) for path in folder.iterdir())):
        raise CorpusError(f"{folder}: not an empty folder; give a new one, or remove what is in it")


def _write(folder: Path, planned: Plan, workers: int, progress: Progress | None) -> None:
    options = planned.options
    dialogs = [_Dialog(folder, name, tuple(lines), options) for name, lines in planned.dialogs().items()]
    done = 0
    with _mapper(workers) as mapper:
        for count in mapper(_write_dialog, dialogs):
            done += count
            if progress is not None:
                progress(done, len(planned.lines))
    _write_text(folder / MARKER, json.dumps(_marker(planned), indent=1, ensure_ascii=False) + "\n")


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[[Callable[[_Dialog], int], Iterable[_Dialog]], Iterable[int]]]:
    if workers == 0:
        yield map
        return
    # A fork would copy whatever threads (torch, OpenMP) the caller holds locks in.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.map


def _write_dialog(dialog: _Dialog) -> int:
    """Write every file of one dialogue; returns its number of utterances."""
    options, first = dialog.options, dialog.lines[0]
    random = np.random.default_rng([options.seed, first.number, first.session, 11])
    session = dialog.folder / f"Session{first.session}"
    turns: list[formats.Timed] = []
    now = float(random.uniform(4, 8))
    for line in dialog.lines:
        samples, words = voices.render(line, options.seed, unseen=options.unseen_test_voices)
        audio.write(session / "sentences" / "wav" / dialog.name / f"{line.id}.wav", samples, SAMPLE_RATE)
        duration = len(samples) / SAMPLE_RATE
        alignment = formats.wdseg(words, duration, random)
        if line.id not in UNALIGNED:
            _write_text(session / "sentences" / "ForcedAlignment" / dialog.name / f"{line.id}.wdseg", alignment)
        turns.append(formats.Timed(line, now, now + duration))
        now += duration + float(random.uniform(0.1, 1.0))
    evaluations = session / "dialog" / "EmoEvaluation"
    _write_text(evaluations / f"{dialog.name}.txt", formats.evaluation(turns, random))
    _write_text(evaluations / "Categorical" / f"{dialog.name}_e2_cat.txt", formats.categorical(turns))
    _write_text(session / "dialog" / "transcriptions" / f"{dialog.name}.txt", formats.transcription(turns, random))
    return len(turns)


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _marker(planned: Plan) -> dict[str, Any]:
    options = planned.options
    return {
        "synthetic": True,
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


def read_marker(folder: str | Path) -> Record:
    """What `SYNTHETIC.json` says; CorpusError where there is none or it is damaged."""
    path = Path(folder) / MARKER
    if not path.is_file():
        raise CorpusError(f"{path}: no such file, so {folder} is no (complete) synthetic corpus; write one first")
    marker = read_json(path, error=CorpusError, repair="write the corpus again")
    marker.record("utterances")
    if not marker.boolean("synthetic"):
        raise marker.wrong("it is said to be no synthetic corpus")
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
