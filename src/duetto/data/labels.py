"""Label sets, and the maps from each corpus' own labels into them.

A map names only the raw labels that have a class in the set; an utterance with any other raw label
keeps it and gets `label=None`.
"""

from collections.abc import Mapping, Sequence

from ..errors import ConfigurationError
from .utterance import Utterance

LABEL_SETS: dict[str, tuple[str, ...]] = {
    "four": ("angry", "happy", "neutral", "sad"),
}
"""Label set → its classes, in the order of every logit, probability and confusion matrix."""

LABEL_MAPS: dict[str, dict[str, dict[str, str]]] = {
    "four": {
        # Paper, section 3: happy is merged into excited, which leaves 5,531 utterances.
        "iemocap": {"ang": "angry", "hap": "happy", "exc": "happy", "neu": "neutral", "sad": "sad"},
        # The letters are those of the German emotion words: Wut, Freude, neutral, Trauer.
        "emodb": {"W": "angry", "F": "happy", "N": "neutral", "T": "sad"},
        # RAVDESS has both neutral (01) and calm (02); calm counts as neutral.
        "ravdess": {"01": "neutral", "02": "neutral", "03": "happy", "04": "sad", "05": "angry"},
        # Tables of other corpora: a class keeps its name; audformat databases name emotions by noun.
        "manifest": {
            "angry": "angry",
            "anger": "angry",
            "happy": "happy",
            "happiness": "happy",
            "neutral": "neutral",
            "sad": "sad",
            "sadness": "sad",
        },
    },
}
"""Label set → corpus → raw label → class."""


def classes(label_set: str) -> tuple[str, ...]:
    """The classes of a label set, in order."""
    if label_set not in LABEL_SETS:
        raise ConfigurationError(f"label set {label_set!r} is not known; choose from {', '.join(LABEL_SETS)}")
    return LABEL_SETS[label_set]


def label_map(label_set: str, corpus: str) -> dict[str, str]:
    """Raw label → class, for one corpus."""
    classes(label_set)
    maps = LABEL_MAPS[label_set]
    if corpus not in maps:
        raise ConfigurationError(
            f"label set {label_set!r} has no map for corpus {corpus!r}, only for {', '.join(maps)}"
        )
    return maps[corpus]


def described(mapped: Mapping[str, str]) -> str:
    """A label map in words: `angry: ang; happy: hap, exc; …`."""
    names: dict[str, list[str]] = {}
    for raw, label in mapped.items():
        names.setdefault(label, []).append(raw)
    return "; ".join(f"{label}: {', '.join(raw)}" for label, raw in names.items())


def checked(utterances: Sequence[Utterance], label_set: str) -> None:
    """A ConfigurationError for the first utterance whose label is no class of the set."""
    known = classes(label_set)
    for utterance in utterances:
        if utterance.label is not None and utterance.label not in known:
            raise ConfigurationError(
                f"utterance {utterance.id!r} has label {utterance.label!r}, which is none of {', '.join(known)}; "
                "correct it, or let duetto find its classes: duetto corpus manifest manifest OLD.jsonl -o NEW.jsonl"
            )


def selected(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The utterances that have a class."""
    return [utterance for utterance in utterances if utterance.label is not None]
