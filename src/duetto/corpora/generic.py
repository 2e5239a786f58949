"""Any folder whose paths hold everything, read as a layout in TOML says: `duetto corpus manifest generic FOLDER`.

    title = "Calls"                                       # of the corpus; also its name in `Utterance.corpus`
    path = 'agents/(?P<agent>\\d+)/(?P<mood>[a-z]+)_(?P<take>\\d+)\\.wav'    # a regular expression
    ignore = 'agents/test/.*'                             # paths that are left out without a word
    transcripts = ".txt"                                  # 'a.wav' has its words in 'a.txt'
    language = "de"                                       # unless a field says so

    [fields]                                              # field of an utterance = text with {groups} of the expression
    label = "{mood}"
    speaker = "agent-{agent}"

    [values.label]                                        # optional: what a field's text is replaced by
    w = "anger"

    [labels.four]                                         # label set: raw label = class
    anger = "angry"
    joy = "happy"

`path` is matched against whole paths of recordings, relative to the folder, with `/` between folders; a recording that
does not match is an error. A named group that is the name of a field is that field, without an entry under `[fields]`.
The id is the path without its suffix. Without `--layout`, the layout is the file layout.toml in the folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.labels import LABEL_SETS, LabelMap, classes
from ..data.utterance import DIMENSIONS, LANGUAGE, Utterance
from ..errors import ConfigurationError, CorpusError
from ..utils.reading import Record, read_toml, shortened
from ..utils.text import name_of
from .corpus import Corpus
from .parsing import Collector, Problem, Report, audio_below, rating, read_text, require_folder

LAYOUT = "layout.toml"
"""The layout's file in a folder, where none is named."""

FIELDS = ("label", "speaker", "session", "scenario", "gender", "text", "language", "split", *DIMENSIONS)
"""Fields of an utterance that a path may give; `label` is the raw label, the dimensions are numbers."""

KEYS = ("title", "path", "ignore", "transcripts", "language", "fields", "values", "labels")
"""Keys of a layout."""

_GROUP = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Layout:
    """How a folder is read.

    Attributes:
        title: Name of the corpus.
        path: Pattern of the relative path of a recording.
        ignore: Pattern of those that are left out; None for none.
        transcripts: Suffix of the file beside a recording that holds its words; None where there is none.
        fields: Field of an utterance → text, in which `{group}` stands for a group of `path`.
        values: Field → what it may be → what that is replaced by.
        labels: Label set → raw label → class.
    """

    title: str
    path: re.Pattern[str]
    ignore: re.Pattern[str] | None
    transcripts: str | None
    fields: Mapping[str, str]
    values: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, Mapping[str, str]]

    def values_of(self, match: re.Match[str]) -> dict[str, str | None]:
        """Compute the fields of one recording.

        Args:
            match: The match of its path.

        Returns:
            Field → value; None where it is empty.

        Raises:
            CorpusError: A value is not one of those that the layout lists.
        """
        found: dict[str, str | None] = {}
        for field, template in self.fields.items():
            value = _GROUP.sub(lambda group: match[group[1]] or "", template)
            if field in self.values:
                if value not in self.values[field]:
                    known = ", ".join(self.values[field])
                    raise CorpusError(f"{field} {shortened(value)} is none of [values.{field}]: {known}")
                value = self.values[field][value]
            found[field] = value or None
        return found


def read_layout(file: Path) -> Layout:
    """Read a layout.

    Args:
        file: The TOML file.

    Returns:
        The layout.

    Raises:
        ConfigurationError: The file cannot be read, has an unknown key, or states what cannot be.
    """
    record = read_toml(file, error=ConfigurationError)
    if unknown := [key for key in record if key not in KEYS]:
        raise record.wrong(f"unknown key {shortened(unknown[0])}; the keys of a layout are {', '.join(KEYS)}")
    pattern = _pattern(record, "path")
    assert pattern is not None
    labels = {name: _texts(record, "labels", name) for name in _table(record, "labels")}
    for name, mapped in labels.items():
        if name not in LABEL_SETS:
            raise record.wrong(f"[labels.{name}]: {name!r} is no label set; choose from {', '.join(LABEL_SETS)}")
        if wrong := [label for label in mapped.values() if label not in classes(name)]:
            raise record.wrong(f"[labels.{name}]: {wrong[0]!r} is no class; they are {', '.join(classes(name))}")
    return Layout(
        title=record.text("title", file.stem),
        path=pattern,
        ignore=_pattern(record, "ignore", required=False),
        transcripts=record.text("transcripts", None),
        fields=_fields(record, pattern),
        values={field: _texts(record, "values", field) for field in _table(record, "values")},
        labels=labels,
    )


def _pattern(record: Record, key: str, *, required: bool = True) -> re.Pattern[str] | None:
    text = record.text(key) if required else record.text(key, None)
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise record.wrong(f"{key!r} is no regular expression ({error}); write it between single quotes") from error


def _table(record: Record, key: str) -> Mapping[str, Any]:
    value = record.get(key, {})
    if not isinstance(value, dict):
        raise record.wrong(f"{key!r} must be a table, [{key}], not {shortened(value)}")
    return value


def _texts(record: Record, table: str, name: str) -> dict[str, str]:
    value = _table(record, table)[name]
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise record.wrong(f'[{table}.{name}] must hold texts: raw = "text", not {shortened(value)}')
    return value


def _fields(record: Record, pattern: re.Pattern[str]) -> dict[str, str]:
    """Templates of all fields: the groups that have their names, what [fields] says, and the language."""
    fields = {field: f"{{{field}}}" for field in FIELDS if field in pattern.groupindex}
    language = record.text("language", None)
    if language is not None:
        if not LANGUAGE.fullmatch(language):
            raise record.wrong(f"language is {shortened(language)}; give an ISO 639-1 code, such as en or de")
        fields.setdefault("language", language)
    for field, template in _table(record, "fields").items():
        if field not in FIELDS or not isinstance(template, str):
            raise record.wrong(f"[fields] {field} = {shortened(template)}: texts for {', '.join(FIELDS)} are valid")
        if unknown := [name for name in _GROUP.findall(template) if name not in pattern.groupindex]:
            known = ", ".join(pattern.groupindex) or "none"
            raise record.wrong(f"[fields] {field}: 'path' has no group {unknown[0]!r}; it has {known}")
        fields[field] = template
    if wrong := [field for field in _table(record, "values") if field not in fields]:
        raise record.wrong(
            f"[values.{wrong[0]}]: {wrong[0]!r} is no field of this layout: {', '.join(fields) or 'none'}"
        )
    return fields


def corpus(file: Path) -> Corpus:
    """Make the corpus of a layout.

    Args:
        file: The layout.

    Returns:
        The corpus; call it to read a folder.

    Raises:
        ConfigurationError: As `read_layout`.
    """
    layout = read_layout(file)

    def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
        return _read(path, layout, labels, report)

    return Corpus(title=layout.title, read=read, name=layout.title, label_maps=layout.labels)


def _read(path: Path, layout: Layout, labels: LabelMap, report: Report) -> list[Utterance]:
    collector = Collector(report)
    for audio in audio_below(require_folder(path, layout.title)):
        relative = audio.relative_to(path)
        name = name_of(relative)
        if layout.ignore is not None and layout.ignore.fullmatch(name):
            continue
        match = layout.path.fullmatch(name)
        if match is None:
            detail = f"{audio}: {name} does not match 'path' of the layout; correct that, or name it under 'ignore'"
            report(Problem("bad-name", name, detail))
            continue
        try:
            collector.add(
                _utterance(audio, name_of(relative.with_suffix("")), match, layout, labels, report), str(audio)
            )
        except CorpusError as error:
            report(Problem("bad-name", name, f"{audio}: {error}; correct the layout, or name it under 'ignore'"))
    return collector.sorted(f"{path}: no recording in it or below that the layout names")


def _utterance(
    audio: Path, name: str, match: re.Match[str], layout: Layout, labels: LabelMap, report: Report
) -> Utterance:
    fields: dict[str, Any] = layout.values_of(match)
    raw = fields.pop("label", None)
    given = {name: rating(fields.pop(name) or "", name) for name in DIMENSIONS if name in fields}
    fields["dimensions"] = {name: value for name, value in given.items() if value is not None} or None
    if layout.transcripts is not None and (file := audio.with_suffix(layout.transcripts)).is_file():
        fields["text"] = read_text(file, report).strip() or None
    return Utterance(name, audio, label=None if raw is None else labels.get(raw), raw_label=raw, **fields)


def _read_own(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read a folder that holds its layout."""
    file = require_folder(path, "a corpus and its layout") / LAYOUT
    if not file.is_file():
        raise CorpusError(f"{path}: holds no {LAYOUT}; write one, or give one with --layout FILE.toml")
    return corpus(file).scan(path, labels.label_set, report)


CORPUS = Corpus(title="generic", read=_read_own)
"""A folder with its layout in it; `corpus` makes that of any other."""
