"""Predictions as tables of pandas.

predictions + names ─ to_frame ─▶ a row each
recogniser + index of audformat ─ predict_index ─▶ a table with the same index
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..corpora.audformat import segments
from ..data.utterance import Utterance
from ..errors import ConfigurationError, DuettoError
from ..utils import dataframes
from ..utils.progress import Progress
from .prediction import Prediction
from .recogniser import Recogniser
from .scoring import predicted

if TYPE_CHECKING:
    from ..utils.dataframes import DataFrame, Index

_BEFORE = ("duration", "speech_seconds")
_AFTER = ("uncertain", "unfamiliar", "words", "words_from", "language", "session_utterances", "model", "warnings")


def to_frame(outcomes: Iterable[Prediction | DuettoError], files: Sequence[str | os.PathLike[str]]) -> DataFrame:
    """Make a table of predictions.

    Args:
        outcomes: Of `Recogniser.predict_many` or `attempt`.
        files: Name of the recording of each.

    Returns:
        A row each, by `file`: `duration`, `speech_seconds`, `label`, `probability_CLASS` of each class, `uncertain`,
        `unfamiliar`, `words` and `warnings` as one text each, …, and `error`, where there is no prediction.

    Raises:
        ConfigurationError: There are more outcomes than names, or fewer.
        MissingExtraError: pandas is not installed (extra `data`).
    """
    pd, made = dataframes.pandas(), list(outcomes)
    if len(made) != len(files):
        raise ConfigurationError(f"{len(made)} predictions and {len(files)} file names; give one name for each")
    index = pd.Index([os.fspath(file) for file in files], name="file", dtype="string")
    labels = dict.fromkeys(label for o in made if isinstance(o, Prediction) for label in o.probabilities)
    return _table(made, list(labels), index, "label")


def predict_index(
    recogniser: Recogniser,
    index: Index,
    folder: str | os.PathLike[str] = ".",
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> DataFrame:
    """Recognise the emotion of the segments of an audformat table.

    Args:
        recogniser: What answers.
        index: Filewise or segmented (`corpora.audformat`).
        folder: What relative file names are relative to.
        workers: Segments at a time.
        progress: Counts segments.

    Returns:
        A table with the same index and the columns of `to_frame`, the label under `emotion`, as
        `duetto timeline --format audformat` names it.

    Raises:
        CorpusError: The index is another one, or a segment ends before it starts.
        MissingExtraError: pandas is not installed (extra `data`).
    """
    wanted = [
        Utterance(str(number), Path(folder, file), start, end)
        for number, (file, start, end) in enumerate(segments(index))
    ]
    outcomes = []
    for outcome in predicted(recogniser, wanted, workers):
        outcomes.append(outcome)
        if progress:
            progress(len(outcomes), len(wanted))
    return _table(outcomes, recogniser.labels, index, "emotion")


def _table(outcomes: Sequence[Prediction | DuettoError], labels: Sequence[str], index: Index, name: str) -> DataFrame:
    """A row of each outcome; `name`: of the column with the label."""
    columns = [*_BEFORE, name, *(f"probability_{label}" for label in labels), *_AFTER, "error"]
    rows = [_row(outcome, labels) for outcome in outcomes]
    return dataframes.pandas().DataFrame(rows, index=index, columns=columns)


def _row(outcome: Prediction | DuettoError, labels: Sequence[str]) -> tuple[Any, ...]:
    failed = isinstance(outcome, DuettoError)
    values: dict[str, Any] = {} if failed else outcome.to_json("")
    if not failed:
        values["words"] = " ".join(word.word for word in outcome.words if word.word)
        values["warnings"] = "; ".join(outcome.warnings)
    probabilities = {} if failed else outcome.probabilities
    error = str(outcome) if failed else None
    return (*map(values.get, (*_BEFORE, "label")), *map(probabilities.get, labels), *map(values.get, _AFTER), error)
