"""The corpus' own division: the parts that its authors made, as the field `split` of its utterances states them."""

from __future__ import annotations

from collections.abc import Sequence

from ..data.utterance import Utterance
from ..errors import ConfigurationError
from .fold import Fold, with_development

PARTS = {
    "train": ("train", "training"),
    "development": ("development", "dev", "validation", "valid", "val"),
    "test": ("test", "testing", "evaluation", "eval"),
}
"""Field of a `Fold` → names of that part, in lower case."""


def split(utterances: Sequence[Utterance], seed: int = 0) -> list[Fold]:
    """Take the corpus' own division into training, development and test data.

    Other parts than those of `PARTS`, such as further test sets (`test2`), are left out; the name of the fold states
    them. Without a development part, development speakers are drawn from the training part.

    Args:
        utterances: Labelled utterances, each with its part (`Utterance.split`).
        seed: Of the draw of development speakers, where there is one.

    Returns:
        One fold. Whether its speakers are new is up to the corpus; the audit shows it.

    Raises:
        ConfigurationError: An utterance has no part, or there are no training or no test data.
    """
    if lacking := next((u.id for u in utterances if u.split is None), None):
        raise ConfigurationError(
            f"protocol 'split' needs the part of the corpus' own division that every utterance belongs to; {lacking!r} "
            'has none. Add it to the manifest ("split": "train", "development" or "test"), or choose another protocol'
        )
    parts = {part: tuple(u for u in utterances if _name(u) in names) for part, names in PARTS.items()}
    found = sorted({str(u.split) for u in utterances})
    if not parts["train"] or not parts["test"]:
        missing = "training" if not parts["train"] else "test"
        listed = "; ".join(f"{part}: {', '.join(names)}" for part, names in PARTS.items())
        raise ConfigurationError(
            f"protocol 'split' finds no {missing} data among the parts {', '.join(found)}; name them in the manifest "
            f"({listed}), or choose another protocol"
        )
    known = {name for names in PARTS.values() for name in names}
    others = [name for name in found if name.strip().lower() not in known]
    name = "the corpus' own division" + (f", without {', '.join(others)}" if others else "")
    if not parts["development"]:
        return [with_development(name, parts["train"], parts["test"], seed)]
    return [Fold(name, parts["train"], parts["development"], parts["test"])]


def has_new_speakers(utterances: Sequence[Utterance]) -> bool:
    """Check whether a corpus has a division of its own whose test speakers are in no other part.

    Args:
        utterances: Labelled utterances.

    Returns:
        Whether `split` can be applied, and no speaker of the test part is in training or development.
    """
    try:
        (fold,) = split(utterances)
    except ConfigurationError:
        return False
    return not fold.shared("speaker")


def _name(utterance: Utterance) -> str:
    return str(utterance.split).strip().lower()
