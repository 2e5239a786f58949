"""Label sets: the classes of an experiment, and how a corpus' own labels map to them.

A corpus states its maps itself (`corpora.corpus.Corpus.label_maps`). A map names only the raw labels that have a
class in the set; an utterance with any other raw label keeps it and gets `label=None`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import ConfigurationError
from .utterance import Utterance

LABEL_SETS: dict[str, tuple[str, ...]] = {
    "four": ("angry", "happy", "neutral", "sad"),
}
"""Label set → its classes, in the order of every logit, probability and confusion matrix."""


def classes(label_set: str) -> tuple[str, ...]:
    """Return the classes of a label set, in order.

    Args:
        label_set: A key of `LABEL_SETS`.

    Returns:
        The names of the classes.

    Raises:
        ConfigurationError: The label set does not exist.
    """
    if label_set not in LABEL_SETS:
        raise ConfigurationError(f"label set {label_set!r} is not known; choose from {', '.join(LABEL_SETS)}")
    return LABEL_SETS[label_set]


@dataclass(frozen=True, slots=True)
class LabelMap:
    """The map from one corpus' raw labels to the classes of a label set.

    Attributes:
        label_set: Name of the label set.
        raw_labels: Raw label → class. Raw labels without a class are left out.
    """

    label_set: str
    raw_labels: Mapping[str, str]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the label set, in order."""
        return classes(self.label_set)

    def get(self, raw_label: str) -> str | None:
        """Return the class of a raw label.

        Args:
            raw_label: A label as the corpus writes it.

        Returns:
            The class, or None where the raw label has none in this set.
        """
        return self.raw_labels.get(raw_label)

    def describe(self) -> str:
        """Return the map as text: `angry: ang; happy: hap, exc; …`.

        Returns:
            Each class with its raw labels, on one line.
        """
        names: dict[str, list[str]] = {}
        for raw, label in self.raw_labels.items():
            names.setdefault(label, []).append(raw)
        return "; ".join(f"{label}: {', '.join(raw)}" for label, raw in names.items())


def check_labels(utterances: Sequence[Utterance], label_set: str) -> None:
    """Require that every label is a class of the label set.

    Args:
        utterances: Utterances; those without a label are ignored.
        label_set: A key of `LABEL_SETS`.

    Raises:
        ConfigurationError: Names the first utterance whose label is not a class of the set.
    """
    known = classes(label_set)
    for utterance in utterances:
        if utterance.label is not None and utterance.label not in known:
            raise ConfigurationError(
                f"utterance {utterance.id!r} has label {utterance.label!r}, which is none of {', '.join(known)}; "
                "correct it, or let duetto map it to a class: duetto corpus manifest manifest OLD.jsonl -o NEW.jsonl"
            )


def selected(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Select the utterances that have a class.

    Args:
        utterances: Utterances of any corpus.

    Returns:
        Those whose label is not None, in the order given.
    """
    return [utterance for utterance in utterances if utterance.label is not None]
