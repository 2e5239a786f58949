"""Results → one HTML file to open, print and send; the same as Markdown and as JSON.

    [SystemResult, …] ─ score ─▶ ScoredResults ─ write ────▶ report.html (no request; whole without its script)
                                               ─ write_csv ▶ every answer of every system
                                               ─ markdown ─▶ text
                                               ─ tables ───▶ tables.json

UA, WA and macro-F1 are in percent throughout. Only `write` needs Jinja2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.utterance import Utterance
from ..evaluation import SystemResult
from ..utils import files
from . import sessions
from .comparison import compare
from .curves import Training
from .page import Page
from .rendering import render, require_html
from .scores import ScoredResult, ScoredResults, score
from .sections import Section, Table
from .sounds import Sounds
from .tables import markdown, record, significance, tables
from .utterances import LISTED, utterance_list, write_csv

__all__ = [
    "LISTED",
    "ScoredResult",
    "ScoredResults",
    "Section",
    "Sounds",
    "Table",
    "Training",
    "markdown",
    "record",
    "require_html",
    "score",
    "significance",
    "tables",
    "write",
    "write_csv",
]


def write(
    path: str | Path,
    results: Sequence[SystemResult] | ScoredResults,
    *,
    title: str,
    protocol: Mapping[str, Any],
    corpus: Mapping[str, Any],
    ceilings: Mapping[str, float] | None = None,
    audit: Sequence[Any] | None = None,
    notes: Sequence[str] = (),
    sections: Sequence[Section] = (),
    comparisons: Mapping[str, Sequence[str]] | None = None,
    utterances: Sequence[Utterance] = (),
    listed: int = LISTED,
    sounds: Sounds | None = None,
    csv: str | Path | None = None,
    trainings: Sequence[Training] = (),
) -> None:
    """Write the report as one HTML file, atomically.

    Args:
        path: File to write.
        results: The results; from `score`, where intervals are shared with another format.
        title: Title of the page.
        protocol: Splits, disjointness, seeds, choice of epoch, environment, and so on; mappings may be nested.
        corpus: `name`, `counts` (label → utterances), `synthetic` (true puts a warning on top), and any other facts.
        ceilings: Name → best possible UA in percent with that information, where it is known (synthetic corpora).
        audit: Findings, as text, mappings or dataclasses; `severity` of `error`, `leak` or `fatal` puts a warning on
            top. None states that no audit was made.
        notes: Remarks.
        sections: Further sections, shown behind the overview.
        comparisons: Title → names of the systems that are compared with each other; by default all are.
        utterances: What is known of the utterances: the list of answers shows their texts and sounds.
        listed: Most utterances in the list of answers, the wrong ones first; 0 for no list.
        sounds: Which sounds go into the page; None for none.
        csv: File for every answer of every system (`write_csv`), which the page then links to; None for none.
        trainings: Training curves (`curves.trainings`).

    Raises:
        ConfigurationError: `comparisons` names an unknown system; and as `score`.
        MissingExtraError: Jinja2 is not installed.
    """
    scored, chosen = score(results), comparisons or {"Paired tests": ()}
    table = None if csv is None else Path(csv)
    listing = utterance_list(scored, utterances, Path(path), limit=listed, sounds=sounds, table=table)
    page = Page(
        title=title,
        scored=scored,
        comparisons=tuple(compare(scored, name, systems) for name, systems in chosen.items()),
        sections=(*sections, *sessions.sections(scored.systems)),
        protocol=protocol,
        corpus=corpus,
        ceilings=ceilings or {},
        audit=None if audit is None else tuple(audit),
        notes=tuple(notes),
        listing=listing if listed > 0 else None,
        trainings=tuple(trainings),
    )
    if table is not None:
        write_csv(table, scored, utterances)
    files.write_text(path, render("report.html.j2", page=page))
