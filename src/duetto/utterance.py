"""`Utterance` and `Word`, and the JSONL manifest that carries them from one step to the next.

    folder ─ corpora ─▶ list[Utterance] ─ write_manifest ─▶ manifest.jsonl ─ read_manifest ─▶ list[Utterance]

One JSON object a line; only `id` and `audio` are required:

    {"id": "a", "audio": "a.wav", "label": "happy", "speaker": "f1", "text": "oh good",
     "words": [{"word": "oh", "start": 0.1, "end": 0.3}, {"word": "good", "start": 0.3, "end": 0.7}]}

Relative audio paths are relative to the manifest's folder.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .errors import CorpusError


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word.

    start, end: seconds from the beginning of the utterance; both None where the word is known only
        from a transcript.
    source: where it came from: `gold` (corpus), `aligned`, `recognised`, `segmented`, `text`.
    confidence: 0–1 where a recogniser gave one.
    """

    word: str
    start: float | None = None
    end: float | None = None
    source: str = "gold"
    confidence: float | None = None

    def __post_init__(self) -> None:
        if (self.start is None) != (self.end is None):
            raise CorpusError(f"word {self.word!r} has only one of start and end: give both, in seconds, or neither")
        if self.confidence is not None and not math.isfinite(self.confidence):
            raise CorpusError(f"word {self.word!r} has confidence {self.confidence}: a finite number is required")
        if self.start is None or self.end is None:
            return
        if not (math.isfinite(self.start) and math.isfinite(self.end) and 0 <= self.start <= self.end):
            raise CorpusError(
                f"word {self.word!r} has times {self.start}–{self.end} s: 0 ≤ start ≤ end is required, in seconds"
            )


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance of a corpus: where its audio lies, and everything known about it.

    audio: file; `start`, `end` (seconds) cut the utterance out of it, or None for the whole file.
    label: class of the chosen label set, None where the raw label has no class in it.
    raw_label: the corpus' own label. votes: annotator → that annotator's labels.
    scenario: what was spoken about or read; two utterances of one scenario may share their wording.
    """

    id: str
    audio: Path
    start: float | None = None
    end: float | None = None
    label: str | None = None
    raw_label: str | None = None
    speaker: str | None = None
    session: str | None = None
    scenario: str | None = None
    text: str | None = None
    words: tuple[Word, ...] | None = None
    gender: str | None = None
    votes: Mapping[str, tuple[str, ...]] | None = None

    def __post_init__(self) -> None:
        if self.start is not None and not (math.isfinite(self.start) and self.start >= 0):
            raise CorpusError(f"utterance {self.id!r} starts at {self.start} s: give seconds from 0 on")
        if self.end is not None and not (math.isfinite(self.end) and self.end > (self.start or 0.0)):
            raise CorpusError(f"utterance {self.id!r} ends at {self.end} s, which is not after its start")

    @property
    def style(self) -> str | None:
        """`improvised` or `scripted`, read from an IEMOCAP-like scenario name; None elsewhere."""
        if self.scenario is None:
            return None
        if self.scenario.startswith("impro"):
            return "improvised"
        return "scripted" if self.scenario.startswith("script") else None


_KEYS = tuple(field.name for field in fields(Utterance))
_TEXT_KEYS = ("label", "raw_label", "speaker", "session", "scenario", "text", "gender")


def from_record(record: Mapping[str, Any], folder: Path, where: str) -> Utterance:
    """An `Utterance` from one manifest record; `where` (file:line) opens every error."""
    unknown = sorted(set(record) - set(_KEYS))
    if unknown:
        raise CorpusError(f"{where}: unknown key {unknown[0]!r}; known keys are {', '.join(_KEYS)}")
    for key in ("id", "audio"):
        if not isinstance(record.get(key), str) or not record[key]:
            raise CorpusError(f"{where}: {key!r} is required and must be a non-empty string")
        if "\0" in record[key] or not _encodes(record[key]):
            raise CorpusError(f"{where}: {key!r} holds characters that no file name can have")
    for key in _TEXT_KEYS:
        if not isinstance(record.get(key), str | None):
            raise CorpusError(f"{where}: {key!r} must be a string or null, not {record[key]!r}")
    try:
        return Utterance(
            id=record["id"],
            audio=folder / record["audio"],
            start=_number(record, "start"),
            end=_number(record, "end"),
            words=words_from(record.get("words")),
            votes=_votes(record.get("votes")),
            **{key: record.get(key) for key in _TEXT_KEYS},
        )
    except (CorpusError, TypeError, ValueError) as error:
        raise CorpusError(f"{where}: {error}") from error


def _encodes(text: str) -> bool:
    """Whether a text has no half of a surrogate pair in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(record: Mapping[str, Any], key: str) -> float | None:
    value = record.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CorpusError(f"{key!r} must be a number (seconds) or null, not {value!r}")
    return float(value)


def words_from(value: Any) -> tuple[Word, ...] | None:
    """The words of a manifest record: a list of {"word": …, "start": …, "end": …}, or None."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(w, dict) and isinstance(w.get("word"), str) for w in value):
        raise CorpusError('\'words\' must be a list of {"word": …, "start": …, "end": …}')
    if odd := [w["source"] for w in value if not isinstance(w.get("source", ""), str)]:
        raise CorpusError(f"'source' of a word must be a string, not {odd[0]!r}")
    return tuple(
        Word(w["word"], _number(w, "start"), _number(w, "end"), w.get("source", "gold"), _number(w, "confidence"))
        for w in value
    )


def _votes(value: Any) -> dict[str, tuple[str, ...]] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(v, list) for v in value.values()):
        raise CorpusError("'votes' must map each annotator to a list of labels")
    return {str(annotator): tuple(map(str, labels)) for annotator, labels in value.items()}


def to_record(utterance: Utterance, folder: Path) -> dict[str, Any]:
    """The manifest record of an utterance, without empty fields; `audio` relative to `folder` if below it."""
    audio = utterance.audio.absolute()
    inside = audio.is_relative_to(folder.absolute())
    record: dict[str, Any] = {
        "id": utterance.id,
        "audio": (audio.relative_to(folder.absolute()) if inside else audio).as_posix(),
    }
    for key in ("start", "end", *_TEXT_KEYS):
        if (value := getattr(utterance, key)) is not None:
            record[key] = value
    if utterance.words is not None:
        record["words"] = [_word_record(word) for word in utterance.words]
    if utterance.votes is not None:
        record["votes"] = {annotator: list(labels) for annotator, labels in utterance.votes.items()}
    return record


def _word_record(word: Word) -> dict[str, Any]:
    record: dict[str, Any] = {"word": word.word}
    if word.start is not None:
        record |= {"start": word.start, "end": word.end}
    if word.source != "gold":
        record["source"] = word.source
    if word.confidence is not None:
        record["confidence"] = word.confidence
    return record


def read_manifest(path: str | Path) -> list[Utterance]:
    """All utterances of a JSONL manifest, in file order; an error names file and line."""
    path = Path(path)
    if not path.is_file():
        raise CorpusError(f"{path}: no such manifest; try: duetto corpus manifest KIND FOLDER -o {path.name}")
    try:
        # Not splitlines: JSON may hold U+0085 or U+2028 unescaped, which that takes for line ends.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 text ({error}). A manifest is JSONL, one object a line") from error
    utterances = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{where}: not JSON ({error}). A manifest holds one JSON object a line") from error
        if not isinstance(record, dict):
            raise CorpusError(f"{where}: a JSON object is required, not {line.strip()[:40]!r}")
        utterance = from_record(record, path.parent, where)
        if utterance.id in seen:
            raise CorpusError(f"{where}: id {utterance.id!r} stands on line {seen[utterance.id]} already")
        seen[utterance.id] = number
        utterances.append(utterance)
    if not utterances:
        raise CorpusError(f"{path}: no utterance in it; a manifest holds one JSON object a line")
    return utterances


def by_id(utterances: Iterable[Utterance]) -> list[Utterance]:
    """Utterances in the order of their ids, which they are brought into before anything is fitted to them: what is
    trained must not depend on the order of a manifest's lines."""
    return sorted(utterances, key=lambda utterance: utterance.id)


def write_manifest(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write a JSONL manifest atomically."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        for utterance in utterances:
            file.write(json.dumps(to_record(utterance, path.parent), ensure_ascii=False) + "\n")
    os.replace(partial, path)
