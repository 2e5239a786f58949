"""What gives utterances their classes: a label set by its name, the labels as they are, or a file of the user's.

    four | six | seven | as-is | FILE.toml ─ Corpus.label_map ─▶ LabelMap       when a corpus is read
                                           ─ relabelling.relabel ─▶ Labelled    when a manifest is used

A file of labels (TOML) maps raw labels to classes, for all corpora or for one kind. A raw label that it does not name
is an error; `leave_out` names those that have no class on purpose:

    classes = ["calm", "tense"]           # optional: their order in logits and tables; alphabetical by default
    leave_out = ["xxx", "oth"]

    [labels]                              # raw label = class
    anger = "tense"
    fear = "tense"
    neutral = "calm"

    [labels.ravdess]                      # raw labels of one corpus, which come first there
    "02" = "calm"

Manifests keep the corpus' raw labels, so that another label set can be applied to them later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..data.labels import AS_IS, LABEL_SETS, NAMES, LabelMap, classes, spelled
from ..errors import ConfigurationError
from ..utils.reading import Record, read_toml, shortened

SUFFIX = ".toml"
"""How the name of a file of labels ends."""

_KEYS = {"classes", "leave_out", "labels"}
_SHOWN = 10


@dataclass(frozen=True)
class LabelFile:
    """A file of labels.

    Attributes:
        path: The file.
        classes: Its classes, in order.
        labels: Raw label → class, for every corpus.
        of_corpus: Kind of corpus → raw label → class.
        left_out: Raw labels that have no class on purpose.
    """

    path: Path
    classes: tuple[str, ...]
    labels: Mapping[str, str]
    of_corpus: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()

    def label_map(self, kind: str | None) -> LabelMap:
        """Return the map for one corpus.

        Args:
            kind: Kind of corpus; None where it is not known.

        Returns:
            The map: raw labels of this corpus first, then those for every corpus.
        """
        merged = {**self.labels, **self.of_corpus.get(kind or "", {})}
        kept = {raw: label for raw, label in merged.items() if raw not in self.left_out}
        return LabelMap(str(self.path), kept, self.classes, self.left_out, strict=True)


def is_label_file(labels: str) -> bool:
    """Check whether a choice of labels names a file.

    Args:
        labels: As given by a user.

    Returns:
        Whether it ends as a file of labels does.
    """
    return labels.lower().endswith(SUFFIX)


def read_labels(path: Path) -> LabelFile:
    """Read a file of labels.

    Args:
        path: The file (TOML), see the head of this module.

    Returns:
        Its maps and classes.

    Raises:
        ConfigurationError: It cannot be read, has an unknown key, maps nothing, or maps to a class that its `classes`
            do not list.
    """
    record = read_toml(path, error=ConfigurationError)
    if unknown := sorted(set(record) - _KEYS):
        raise ConfigurationError(f"{path}: unknown key {shortened(unknown[0])}; known are {', '.join(sorted(_KEYS))}")
    common, of_corpus = _maps(record)
    used = {label for table in (common, *of_corpus.values()) for label in table.values()}
    listed = tuple(record.texts("classes")) if "classes" in record else tuple(sorted(used))
    if missing := sorted(used - set(listed)):
        raise ConfigurationError(f"{path}: class {missing[0]!r} is not among its classes {', '.join(listed)}; add it")
    try:
        spelled(listed)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    left_out = frozenset(record.texts("leave_out")) if "leave_out" in record else frozenset[str]()
    return LabelFile(path, listed, common, of_corpus, left_out)


def _maps(record: Record) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Raw label → class for every corpus, and for each kind."""
    common: dict[str, str] = {}
    of_corpus: dict[str, dict[str, str]] = {}
    for raw, value in record.record("labels").items():
        table = value if isinstance(value, dict) else {raw: value}
        target = of_corpus.setdefault(raw, {}) if isinstance(value, dict) else common
        for name, label in table.items():
            if not isinstance(label, str):
                raise ConfigurationError(
                    f'{record.where}: {name} = {shortened(label)}; give a class in quotes, such as {name} = "angry", '
                    "or name the raw label under leave_out"
                )
            target[name] = label
    return common, of_corpus


def check_choice(labels: str) -> str:
    """Check a choice of labels before any corpus is read.

    Args:
        labels: A label set, `as-is`, or the path of a file of labels.

    Returns:
        The same choice.

    Raises:
        ConfigurationError: It is none of these, or the file is not valid.
    """
    if is_label_file(labels):
        read_labels(Path(labels))
    elif labels != AS_IS:
        try:
            classes(labels)
        except ConfigurationError as error:
            choices = ", ".join((*LABEL_SETS, AS_IS))
            raise ConfigurationError(
                f"{labels!r} is not known; choose from {choices}, or give a file {SUFFIX} that maps raw labels "
                "to classes"
            ) from error
    return labels


def unknown_labels(unknown: Mapping[str, int], labels: str) -> str:
    """Write the message of raw labels that a label set says nothing about.

    Args:
        unknown: Raw label → utterances.
        labels: The label set, or the file.

    Returns:
        Which they are, and the lines that map them.
    """
    names = sorted(unknown)
    listed = ", ".join(f"{name!r} ({unknown[name]})" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    lines = "".join(f'\n  "{name}" = "…"' for name in names[:_SHOWN])
    omitted = ", ".join(f'"{name}"' for name in names[:3])
    where = labels if is_label_file(labels) else f"a file {SUFFIX}, and give it as --labels FILE"
    return (
        f"labels {labels!r} say nothing about {listed}{more}. Map each to a class under [labels] in {where}:\n"
        f"  [labels]{lines}\nor name it in leave_out = [{omitted}]"
    )


def names_in(members: Iterable[str]) -> dict[str, str]:
    """Return the names of emotions that lead to some classes.

    Args:
        members: The classes.

    Returns:
        Name, in lower case → class.
    """
    kept = set(members)
    return {name: label for name, label in NAMES.items() if label in kept} | {name: name for name in kept}
