"""Label sets: the classes of an experiment, and how a corpus' own labels map to them.

A corpus states its maps itself (`corpora.corpus.Corpus.label_maps`), and a user's file states others
(`corpora.labelling`). A map names only the raw labels that have a class in the set; an utterance with any other raw
label keeps it and gets `label=None`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import ConfigurationError
from .utterance import Utterance

AS_IS = "as-is"
"""In place of a label set: the classes that a corpus has itself, or the labels of a manifest as they stand."""

_FOUR = ("angry", "happy", "neutral", "sad")
_SEVEN = ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")

LABEL_SETS: dict[str, tuple[str, ...]] = {
    "four": _FOUR,
    "six": _SEVEN[:-1],
    "seven": _SEVEN,
}
"""Label set → its classes, in the order of every logit, probability and confusion matrix.

`four` is the paper's; `six` the classes of CREMA-D; `seven` the six emotions of Ekman and neutral, as in EMOVO, MELD,
SAVEE and TESS. Any other classes are spelled as a list: `angry,bored,calm`.
"""

NAMES: dict[str, str] = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprised",
    "boredom": "bored",
    "calmness": "calm",
    "excitement": "excited",
    "frustration": "frustrated",
    "neutral state": "neutral",
    **{name: name for name in (*_SEVEN, "bored", "calm", "excited", "frustrated")},
}
"""Name of an emotion, in lower case → the class that it names: a class by itself, or by the noun that many corpora,
audformat databases and annotators use."""


def classes(label_set: str) -> tuple[str, ...]:
    """Return the classes of a label set, in order.

    Args:
        label_set: A key of `LABEL_SETS`, or the classes themselves, separated by commas, as `spelled` writes them.

    Returns:
        The names of the classes.

    Raises:
        ConfigurationError: The label set does not exist, or the list has an empty name or one that comes twice.
    """
    if label_set in LABEL_SETS:
        return LABEL_SETS[label_set]
    names = tuple(name.strip() for name in label_set.split(","))
    if len(names) < 2:
        raise ConfigurationError(
            f"label set {label_set!r} is not known; choose from {', '.join(LABEL_SETS)}, or list the classes: "
            "angry,bored,calm"
        )
    if not all(map(_is_name, names)) or len(set(names)) < len(names):
        raise ConfigurationError(f"label set {label_set!r} has a class that is no name, or comes twice; correct it")
    return names


def _is_name(text: str) -> bool:
    return text.isprintable() and 0 < len(text) <= _LONGEST_NAME and "," not in text


_LONGEST_NAME = 100


def spelled(names: Sequence[str]) -> str:
    """Return the label set of some classes; the inverse of `classes`.

    Args:
        names: The classes, in order.

    Returns:
        A key of `LABEL_SETS` where one has these classes, else the classes separated by commas.

    Raises:
        ConfigurationError: There are fewer than two classes, a name is empty, has a comma or a control character, or
            comes twice.
    """
    found = tuple(names)
    for label_set, members in LABEL_SETS.items():
        if members == found:
            return label_set
    if len(found) < 2:
        raise ConfigurationError(f"{len(found)} classes ({', '.join(found)}): two are needed to tell apart")
    for name in found:
        if not _is_name(name):
            raise ConfigurationError(
                f"class {name!r} is not valid: a name has 1 to {_LONGEST_NAME} printable characters and no comma"
            )
    label_set = ",".join(found)
    classes(label_set)
    return label_set


@dataclass(frozen=True, slots=True)
class LabelMap:
    """The map from one corpus' raw labels to the classes of a label set.

    Attributes:
        label_set: Name of the label set, or of the file that defines it.
        raw_labels: Raw label → class. Raw labels without a class are left out.
        names: The classes, in order; None for those of the label set `label_set`.
        left_out: Raw labels that have no class on purpose.
        as_is: Whether a raw label that is not in the map is a class itself.
        strict: Whether a raw label that is neither in the map nor left out on purpose is an error.
    """

    label_set: str
    raw_labels: Mapping[str, str]
    names: tuple[str, ...] | None = None
    left_out: frozenset[str] = frozenset()
    as_is: bool = False
    strict: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the label set, in order; as-is those of the map, to which data may add others."""
        if self.names is not None:
            return self.names
        if self.as_is:
            return tuple(sorted(set(self.raw_labels.values())))
        return classes(self.label_set)

    def get(self, raw_label: str) -> str | None:
        """Return the class of a raw label.

        Args:
            raw_label: A label as the corpus writes it.

        Returns:
            The class, or None where the raw label has none in this set.
        """
        if self.as_is and raw_label not in self.left_out:
            return self.raw_labels.get(raw_label, raw_label) or None
        return self.raw_labels.get(raw_label)

    def is_unknown(self, raw_label: str) -> bool:
        """Check whether a strict map says nothing about a raw label.

        Args:
            raw_label: A label as the corpus writes it.

        Returns:
            Whether it must be mapped, or left out on purpose.
        """
        return self.strict and raw_label not in self.raw_labels and raw_label not in self.left_out

    def describe(self) -> str:
        """Return the map as text: `angry: ang; happy: hap, exc; …`.

        Returns:
            Each class with its raw labels, on one line.
        """
        names: dict[str, list[str]] = {}
        for raw, label in self.raw_labels.items():
            names.setdefault(label, []).append(raw)
        return "; ".join(f"{label}: {', '.join(raw)}" for label, raw in names.items())


def classes_of(utterances: Iterable[Utterance], labels: LabelMap) -> tuple[str, ...]:
    """Return the classes of utterances that a map has labelled.

    Args:
        utterances: Utterances of one or more corpora.
        labels: The map; as-is, the classes are those that occur.

    Returns:
        The classes, in the order of the label set, or sorted.
    """
    if labels.label_set != AS_IS:
        return labels.classes
    return tuple(sorted({utterance.label for utterance in utterances if utterance.label is not None}))


def check_labels(utterances: Sequence[Utterance], label_set: str) -> None:
    """Require that every label is a class of the label set.

    Args:
        utterances: Utterances; those without a label are ignored.
        label_set: As for `classes`.

    Raises:
        ConfigurationError: Names the first utterance whose label is not a class of the set.
    """
    known = classes(label_set)
    for utterance in utterances:
        if utterance.label is not None and utterance.label not in known:
            raise ConfigurationError(
                f"utterance {utterance.id!r} has label {utterance.label!r}, which is none of {', '.join(known)}; "
                "train on the labels as they are (--labels as-is), map them (--labels FILE.toml), or correct them"
            )


def selected(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Select the utterances that have a class.

    Args:
        utterances: Utterances of any corpus.

    Returns:
        Those whose label is not None, in the order given.
    """
    return [utterance for utterance in utterances if utterance.label is not None]
