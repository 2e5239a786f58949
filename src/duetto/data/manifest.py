"""The JSONL manifest, which carries utterances from one step to the next.

    list[Utterance] ─ write_manifest ─▶ manifest.jsonl ─ read_manifest ─▶ list[Utterance]

One JSON object a line; only `id` and `audio` are required:

    {"id": "a", "audio": "a.wav", "label": "happy", "speaker": "f1", "text": "oh good",
     "words": [{"word": "oh", "start": 0.1, "end": 0.3}, {"word": "good", "start": 0.3, "end": 0.7}]}

Relative audio paths are relative to the manifest's folder. File names that are not valid UTF-8 are written with
escapes (`utils.text.name_of`). A JSON array of such objects is read as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..errors import CorpusError
from ..utils import files
from ..utils.reading import finite, parse_json, read_bytes, shortened
from ..utils.text import decoded, name_of, path_of, to_json
from .utterance import Utterance, Word

KEYS = tuple(field.name for field in fields(Utterance))
"""Keys of a manifest record."""


_FORM = "a manifest holds one JSON object a line"


MANIFEST_LIMIT = 4 << 30
"""Largest manifest, in bytes; 1,000 hours of speech with the times of their words take about 0.7 GB."""


_TEXT_KEYS = ("label", "raw_label", "speaker", "session", "scenario", "text", "gender", "language", "corpus", "split")


def from_line(value: Any, folder: Path, where: str) -> Utterance:
    """Parse one item of `records`.

    Args:
        value: A line of JSONL, or a decoded JSON value.
        folder: Folder of the manifest, which relative audio paths are relative to.
        where: File and line or item, for error messages.

    Returns:
        The utterance.

    Raises:
        CorpusError: The item is not a valid record.
    """
    if isinstance(value, str):
        value = parse_json(value, where=where, error=CorpusError, repair=_FORM)
    if not isinstance(value, dict):
        raise CorpusError(f"{where}: a JSON object is required, not {shortened(value)}")
    return from_record(value, folder, where)


def from_record(record: Mapping[str, Any], folder: Path, where: str) -> Utterance:
    """Convert one manifest record to an utterance.

    Args:
        record: The decoded JSON object.
        folder: Folder of the manifest, which relative audio paths are relative to.
        where: File and line or item, for error messages.

    Returns:
        The utterance.

    Raises:
        CorpusError: A key is unknown or missing, or a value is not valid.
    """
    unknown = sorted(set(record) - set(KEYS))
    if unknown:
        raise CorpusError(f"{where}: unknown key {shortened(unknown[0])}; known keys are {', '.join(KEYS)}")
    for key in ("id", "audio"):
        if not isinstance(record.get(key), str) or not record[key]:
            raise CorpusError(f"{where}: {key!r} is required and must be a non-empty string")
    for key in ("id", *_TEXT_KEYS):
        if not isinstance(record.get(key), str | None):
            raise CorpusError(f"{where}: {key!r} must be a string or null, not {shortened(record[key])}")
        if not _encodes(record.get(key) or "") or (key == "id" and "\0" in record[key]):
            raise CorpusError(f"{where}: {key!r} holds a null character or half of a surrogate pair; write UTF-8")
    try:
        return Utterance(
            id=record["id"],
            audio=_audio(record["audio"], folder),
            start=_number(record, "start"),
            end=_number(record, "end"),
            words=parse_words(record.get("words")),
            votes=_votes(record.get("votes")),
            dimensions=_dimensions(record.get("dimensions")),
            **{key: record.get(key) for key in _TEXT_KEYS},
        )
    except CorpusError as error:
        raise CorpusError(f"{where}: {error}") from error


def _audio(name: str, folder: Path) -> Path:
    """The recording of a record. If that file is missing, backslashes are read as separators, as on Windows."""
    try:
        path = folder / path_of(name)
        encoded = os.fsencode(path)
    except ValueError as error:
        raise CorpusError(f"'audio' holds characters that no file name can have: {shortened(name)}") from error
    if os.name == "posix" and (len(encoded) > 4095 or max(map(len, encoded.split(b"/"))) > 255):
        raise CorpusError(f"'audio' is too long for a file name (255 bytes a part, 4,095 in all): {shortened(name)}")
    if "\\" in name and not os.path.exists(path):  # noqa: PTH110 (Path.exists raises where a folder may not be read)
        converted = folder / path_of(name.replace("\\", "/"))
        return converted if os.path.exists(converted) else path  # noqa: PTH110
    return path


def _encodes(text: str) -> bool:
    """Whether a text is free of lone surrogates, so that it can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(record: Mapping[str, Any], key: str) -> float | None:
    value = record.get(key)
    if value is None:
        return None
    number = finite(value)
    if number is None:
        raise CorpusError(f"{key!r} must be a finite number or null, not {shortened(value)}")
    return number


def parse_words(value: Any) -> tuple[Word, ...] | None:
    """Parse the words of a manifest record.

    Args:
        value: A list of `{"word": …, "start": …, "end": …}`, or None.

    Returns:
        The words, or None.

    Raises:
        CorpusError: The value is of another form.
    """
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(w, dict) and isinstance(w.get("word"), str) for w in value):
        raise CorpusError('\'words\' must be a list of {"word": …, "start": …, "end": …}')
    if invalid := [w["source"] for w in value if not isinstance(w.get("source", ""), str)]:
        raise CorpusError(f"'source' of a word must be a string, not {shortened(invalid[0])}")
    if not all(_encodes(w["word"] + w.get("source", "")) for w in value):
        raise CorpusError("'words' holds half of a surrogate pair; write the character as UTF-8")
    return tuple(
        Word(w["word"], _number(w, "start"), _number(w, "end"), w.get("source", "gold"), _number(w, "confidence"))
        for w in value
    )


def _votes(value: Any) -> dict[str, tuple[str, ...]] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(labels, list) for labels in value.values()):
        raise CorpusError("'votes' must map each annotator to a list of labels")
    invalid = [v for labels in value.values() for v in labels if not isinstance(v, str) and finite(v) is None]
    if invalid:
        raise CorpusError(f"a label in 'votes' must be a string or a number, not {shortened(invalid[0])}")
    votes = {annotator: tuple(map(str, labels)) for annotator, labels in value.items()}
    if not all(_encodes("".join((annotator, *labels))) for annotator, labels in votes.items()):
        raise CorpusError("'votes' holds half of a surrogate pair; write the character as UTF-8")
    return votes


def _dimensions(value: Any) -> dict[str, float] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise CorpusError(f"'dimensions' must map each dimension to its rating, not {shortened(value)}")
    ratings = {name: finite(rating) for name, rating in value.items() if rating is not None}
    if invalid := [name for name, rating in ratings.items() if rating is None]:
        raise CorpusError(f"{shortened(invalid[0])} in 'dimensions' must be a finite number or null")
    return {name: rating for name, rating in ratings.items() if rating is not None} or None


def to_record(utterance: Utterance, folder: Path) -> dict[str, Any]:
    """Convert an utterance to its manifest record.

    Args:
        utterance: The utterance.
        folder: Folder of the manifest; `audio` becomes relative to it if it is below.

    Returns:
        The record, without empty fields.
    """
    audio = utterance.audio.absolute()
    inside = audio.is_relative_to(folder.absolute())
    record: dict[str, Any] = {
        "id": utterance.id,
        "audio": name_of((audio.relative_to(folder.absolute()) if inside else audio).as_posix()),
    }
    for key in ("start", "end", *_TEXT_KEYS):
        if (value := getattr(utterance, key)) is not None:
            record[key] = value
    if utterance.words is not None:
        record["words"] = [_word_record(word) for word in utterance.words]
    if utterance.votes is not None:
        record["votes"] = {annotator: list(labels) for annotator, labels in utterance.votes.items()}
    if utterance.dimensions is not None:
        record["dimensions"] = dict(utterance.dimensions)
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


def records(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the items of a manifest: lines of JSONL, or members of a JSON array.

    Args:
        text: The manifest's text.
        path: The manifest, for error messages.

    Yields:
        file:line and the line's text, or file and number of the member and its decoded value; for `from_line`.

    Raises:
        CorpusError: The text begins with `[` and is not a JSON array.
    """
    if text.lstrip()[:1] == "[":
        for number, value in enumerate(parse_json(text, where=str(path), error=CorpusError, repair=_FORM), 1):
            yield f"{path}: item {number}", value
        return
    # Not splitlines, which also splits at U+2028: JSON may hold that unescaped.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{path}:{number}", line


def read_manifest(path: str | Path) -> list[Utterance]:
    """Read a manifest (JSONL, or a JSON array of the same objects).

    Args:
        path: The manifest.

    Returns:
        Its utterances, in file order.

    Raises:
        CorpusError: Names the file, and the line or item that cannot be read.
    """
    path = Path(path)
    repair = f"write one with: duetto corpus manifest KIND FOLDER -o {path.name}"
    data = read_bytes(path, error=CorpusError, limit=MANIFEST_LIMIT, repair=repair)
    try:
        text, encoding = decoded(data)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not {error.encoding} text ({error}); save it as UTF-8: {_FORM}") from error
    if encoding == "windows-1252":
        raise CorpusError(f"{path}: not UTF-8 text; save it as UTF-8: {_FORM}")
    utterances: list[Utterance] = []
    seen: dict[str, str] = {}
    for where, value in records(text, path):
        utterance = from_line(value, path.parent, where)
        if utterance.id in seen:
            raise CorpusError(f"{where}: id {utterance.id!r} comes from {seen[utterance.id]} already; remove one")
        seen[utterance.id] = where
        utterances.append(utterance)
    if not utterances:
        raise CorpusError(f"{path}: no utterance in it; {_FORM}")
    return utterances


def write_manifest(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write a JSONL manifest atomically.

    Args:
        path: The manifest to write.
        utterances: Its utterances, in the order of the lines.
    """
    path = Path(path)
    with files.replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for utterance in utterances:
            file.write(to_json(to_record(utterance, path.parent)) + "\n")
