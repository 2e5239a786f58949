"""Whether a model was trained on what it is tested on.

run folder or adapted model, utterances ─ trained_on ─▶ how many of them it knows
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .. import runs
from ..data.utterance import Utterance
from ..errors import ModelError
from ..features.content import Contents
from ..utils.reading import read_json
from .model_folder import find

ADAPTED = "adapted.json"
"""File of a model that `duetto adapt` wrote: digests of the recordings that it was adapted to."""

_MEMBER = re.compile(r"fold(\d+)-seed-?\d+")


def training_note(count: int | None) -> str:
    """State whether test data were trained on.

    Args:
        count: See `trained_on`.

    Returns:
        A sentence; it begins with `LEAK` where they were.
    """
    if count is None:
        return "the model does not state its training data; that none is tested here is not checked"
    if count:
        return f"LEAK: the model was trained or chosen on the recordings of {count:,} utterances"
    return "the model was trained on none of these recordings"


def trained_on(model: str, utterances: Sequence[Utterance]) -> int | None:
    """Count the test data that a model of a run folder, or one that was adapted, was trained or chosen on.

    Args:
        model: Name or folder of a model.
        utterances: The test data.

    Returns:
        Number of utterances whose recording is in its training or development data; None where the model does not state
        its training data.
    """
    folder = find(model)
    if (folder / ADAPTED).is_file():
        record = read_json(folder / ADAPTED, error=ModelError, repair="adapt the model again")
        return _read_by(frozenset(record.texts("recordings")), utterances)
    member = _MEMBER.fullmatch(folder.name)
    if member is None or not (folder.parent / runs.RUN).is_file():
        return None
    described = runs.read(folder.parent)
    digests = described.get("utterances")
    if digests is None or int(member[1]) >= len(described["folds"]):
        return None
    fold = described["folds"][int(member[1])]
    trained = (*fold["train"], *fold.get(runs.RATED, ()), *fold["development"])
    read = {digests[i].split(" ")[-1] for i in trained if i in digests} - {"-"}
    return _read_by(frozenset(read), utterances)


def _read_by(read: frozenset[str], utterances: Sequence[Utterance]) -> int:
    """Number of utterances whose recording has one of these digests."""
    found = Contents()(u.audio.absolute() for u in utterances)
    return sum(found.get(u.audio.absolute()) in read for u in utterances)
