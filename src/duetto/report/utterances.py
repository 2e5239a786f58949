"""The list of test utterances with their answers, for the page; and all of them as CSV.

ScoredResult + utterances ─ utterance_list ─▶ UtteranceList (a part of the page, bounded)
ScoredResults + utterances ─ write_csv ─────▶ every answer of every system
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..data.utterance import Utterance
from ..evaluation import SystemResult
from ..utils import files
from .comparison import leader
from .dimensions import mean_ratings
from .formatting import quantity
from .scores import ScoredResults
from .sounds import Sounds, relative, sound_urls

LISTED = 2000
"""Utterances that a page lists: it then stays below 1 MB, and a browser sorts it at once."""
PRINTED = 40
"""Wrong answers that are printed, the most confident ones."""
_DECIMALS = 6


@dataclass(frozen=True)
class Entry:
    """The answer to one test utterance.

    Attributes:
        id: Of the utterance.
        target: Index of its class.
        answer: Index of the class that was answered.
        probability: Of the answer, from 0 to 1, after temperature scaling.
        speaker: "" where unknown.
        text: Transcript; "" where unknown.
        seeds: Number of seeds under which the answer is right.
        others: Number of other systems that are right.
        embedded: The sound as a `data:` URL; "" where it is not in the page.
        link: Where the recording lies; "" where the page does not link to it.
        printed: Whether the row is printed.
    """

    id: str
    target: int
    answer: int
    probability: float
    speaker: str = ""
    text: str = ""
    seeds: int = 0
    others: int = 0
    embedded: str = ""
    link: str = ""
    printed: bool = False

    @property
    def right(self) -> bool:
        """Whether the answer is the target."""
        return self.target == self.answer


@dataclass(frozen=True)
class Cell:
    """Utterances of one cell of the confusion matrix.

    Attributes:
        target: Index of the class.
        answer: Index of the class that was answered.
        total: Number of utterances in the cell.
        entries: Those that are listed, the most confident first.
    """

    target: int
    answer: int
    total: int
    entries: tuple[Entry, ...]

    @property
    def printed(self) -> bool:
        """Whether any of its rows is printed."""
        return any(entry.printed for entry in self.entries)


@dataclass(frozen=True)
class UtteranceList:
    """The answers of one system, cell by cell of its confusion matrix.

    Attributes:
        result: The system.
        cells: Those with a listed utterance: the wrong answers first, the largest cell first.
        total: Number of test utterances.
        wrong: Number of wrong answers.
        others: Number of other systems, whose right answers are counted.
        notes: What is left out, and why.
        csv: Name of the CSV file beside the page; "" where none was written.
    """

    result: SystemResult
    cells: tuple[Cell, ...]
    total: int
    wrong: int
    others: int
    notes: tuple[str, ...] = ()
    csv: str = ""

    @property
    def listed(self) -> int:
        """Number of utterances in the list."""
        return sum(len(cell.entries) for cell in self.cells)

    @property
    def printed(self) -> int:
        """Number of utterances that are printed."""
        return sum(entry.printed for cell in self.cells for entry in cell.entries)

    @property
    def shows(self) -> dict[str, bool]:
        """Which of the optional columns hold anything: `speaker`, `text`, `sound`."""
        entries = [entry for cell in self.cells for entry in cell.entries]
        return {
            "speaker": any(entry.speaker for entry in entries),
            "text": any(entry.text for entry in entries),
            "sound": any(entry.embedded or entry.link for entry in entries),
        }

    def has(self, target: int, answer: int) -> bool:
        """Check whether a cell of the confusion matrix can link to the list.

        Args:
            target: Index of the class.
            answer: Index of the class that was answered.

        Returns:
            Whether any utterance of the cell is listed.
        """
        return any((cell.target, cell.answer) == (target, answer) for cell in self.cells)


def answers(result: SystemResult) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the answer to each utterance; of several seeds, by the mean of their probabilities.

    Args:
        result: The result.

    Returns:
        Indices of classes (n,), and probabilities (n, classes) after temperature scaling.
    """
    probabilities = result.calibrated.mean(axis=0)
    chosen = result.predicted[0] if len(result.seeds) == 1 else metrics.predicted_classes(probabilities)
    return chosen, probabilities


def utterance_list(
    scored: ScoredResults,
    utterances: Sequence[Utterance],
    page: Path,
    *,
    limit: int = LISTED,
    sounds: Sounds | None = None,
    table: Path | None = None,
) -> UtteranceList:
    """List the answers of the best system: the wrong ones first, then the least confident of the right ones.

    Args:
        scored: The results of the report.
        utterances: What is known of the utterances; those of other ids are ignored.
        page: The page, which links are relative to.
        limit: Most utterances to list.
        sounds: Which sounds go into the page; None for none.
        table: The CSV file that holds all answers, to link to; None for none.

    Returns:
        The list.
    """
    result, known = leader(scored.systems).result, {u.id: u for u in utterances}
    others = [s.result for s in scored if s.result.kind == "system" and s.result is not result]
    everything = _entries(result, known, others)
    chosen = sorted(everything, key=_importance)[: max(0, limit)]
    urls, notes = sound_urls([entry.id for entry in chosen], known, page, sounds or Sounds())
    chosen = [
        replace(entry, embedded=embedded, link=link, printed=place < PRINTED and not entry.right)
        for place, (entry, (embedded, link)) in enumerate(zip(chosen, urls, strict=True))
    ]
    if len(chosen) < len(everything):
        notes = (_limited(len(chosen), everything, table), *notes)
    link = "" if table is None else relative(table, page)
    wrong = sum(not entry.right for entry in everything)
    return UtteranceList(result, _cells(chosen, everything), len(everything), wrong, len(others), notes, link)


def _entries(result: SystemResult, known: Mapping[str, Utterance], others: Sequence[SystemResult]) -> list[Entry]:
    chosen, probabilities = answers(result)
    right = (result.predicted == result.target).sum(axis=0)
    elsewhere: dict[str, int] = {}
    for other in others:
        for name, correct in zip(other.ids.tolist(), answers(other)[0] == other.target, strict=True):
            elsewhere[name] = elsewhere.get(name, 0) + int(correct)
    return [
        Entry(
            id=name,
            target=int(result.target[i]),
            answer=int(chosen[i]),
            probability=float(probabilities[i, chosen[i]]),
            speaker=str(result.speaker[i]),
            text=(known[name].text or "") if name in known else "",
            seeds=int(right[i]),
            others=elsewhere.get(name, 0),
        )
        for i, name in enumerate(result.ids.tolist())
    ]


def _importance(entry: Entry) -> tuple[bool, float, str]:
    """Order of an entry: wrong and sure first, right and sure last; equals by id."""
    rounded = round(entry.probability, _DECIMALS)
    return entry.right, rounded if entry.right else -rounded, entry.id


def _limited(listed: int, everything: Sequence[Entry], table: Path | None) -> str:
    wrong = sum(not entry.right for entry in everything)
    kept = f"the {listed:,} most confident wrong answers" if listed <= wrong else "every wrong answer, and the least "
    more = "" if listed <= wrong else f"confident {listed - wrong:,} right ones"
    rest = "the CSV file holds all" if table is not None else "`duetto evaluate --csv FILE` writes all"
    return f"{listed:,} of {quantity(len(everything), 'utterance')} are listed: {kept}{more}; {rest}."


def _cells(chosen: Sequence[Entry], everything: Sequence[Entry]) -> tuple[Cell, ...]:
    totals: dict[tuple[int, int], int] = {}
    for entry in everything:
        key = entry.target, entry.answer
        totals[key] = totals.get(key, 0) + 1
    found: dict[tuple[int, int], list[Entry]] = {}
    for entry in chosen:
        found.setdefault((entry.target, entry.answer), []).append(entry)
    ordered = sorted(found, key=lambda key: (key[0] == key[1], -totals[key], key))
    return tuple(Cell(*key, totals[key], tuple(found[key])) for key in ordered)


def write_csv(path: str | Path, scored: ScoredResults, utterances: Sequence[Utterance] = ()) -> None:
    """Write every answer of every system as CSV (UTF-8, a header, one line for each system and utterance), atomically.

    Columns: `system`, `kind`, `id`, `target`, `answer`, `correct` (true or false), `seeds_correct` and `seeds`,
    `probability` of the answer and `probability_CLASS` of each class (means over seeds, after temperature scaling),
    `fold`, `speaker`, `gender`, `session`, `style`, `corpus`, `language`, `text`, `audio`, `start`, `end`; the last
    eight are empty where unknown. What `Scored.save_csv` and `duetto predict -o` have too has the same names there.

    Args:
        path: File to write.
        scored: The results.
        utterances: What is known of the utterances; those of other ids are ignored.
    """
    known = {u.id: u for u in utterances}
    classes = scored.systems[0].result.classes
    head = ["system", "kind", "id", "target", "answer", "correct", "seeds_correct", "seeds", "probability"]
    rated = list(dict.fromkeys(name for system in scored for name in system.result.dimensions))
    ratings = [f"{kind}_{name}" for name in rated for kind in ("annotated", "predicted")]
    head += [*(f"probability_{name}" for name in classes), *ratings, "fold", *_GROUPS, *_DETAILS]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for system in scored:
        writer.writerows(_csv_rows(system.result, known, rated))
    files.write_text(path, text.getvalue())


_GROUPS = ("speaker", "gender", "session", "style")
_DETAILS = ("corpus", "language", "text", "audio", "start", "end")


def _ratings(result: SystemResult, name: str) -> list[tuple[str, str]]:
    """Annotated and predicted rating of a dimension for each utterance; "" where there is none."""
    if name not in result.dimensions:
        return [("", "")] * len(result.ids)
    d = result.dimensions.index(name)
    pairs = zip(result.ratings[:, d], mean_ratings(result)[:, d], strict=True)
    return [("" if np.isnan(x) else f"{x:g}", f"{y:.{_DECIMALS}f}") for x, y in pairs]


def _csv_rows(result: SystemResult, known: Mapping[str, Utterance], rated: Sequence[str]) -> list[list[object]]:
    chosen, probabilities = answers(result)
    ratings = [_ratings(result, name) for name in rated]
    right = (result.predicted == result.target).sum(axis=0)
    rows = []
    for i, name in enumerate(result.ids.tolist()):
        target, answer = int(result.target[i]), int(chosen[i])
        utterance = known.get(name)
        details = [None if utterance is None else getattr(utterance, key) for key in _DETAILS]
        rows.append([
            result.system, result.kind, name, result.classes[target], result.classes[answer],
            str(target == answer).lower(),
            int(right[i]), len(result.seeds), f"{probabilities[i, answer]:.{_DECIMALS}f}",
            *(f"{p:.{_DECIMALS}f}" for p in probabilities[i]),
            *(value for each in ratings for value in each[i]), int(result.fold[i]),
            *(getattr(result, group)[i] for group in _GROUPS), *details,
        ])  # fmt: skip
    return rows
