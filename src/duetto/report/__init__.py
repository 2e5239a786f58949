"""Results → one HTML file to open, print and send; the same as Markdown and as JSON.

    [SystemResult, …] ─ score ─▶ ScoredResults ─ write ────▶ report.html (no script, no request to anywhere)
                                               ─ markdown ─▶ text
                                               ─ tables ───▶ tables.json

UA, WA and macro-F1 are in percent throughout. Only `write` needs Jinja2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluation import SystemResult
from ..utils import files
from . import sessions
from .comparison import compare
from .page import Page
from .rendering import render, require_html
from .scores import ScoredResult, ScoredResults, score
from .sections import Section, Table
from .tables import markdown, record, significance, tables

__all__ = [
    "ScoredResult",
    "ScoredResults",
    "Section",
    "Table",
    "markdown",
    "record",
    "require_html",
    "score",
    "significance",
    "tables",
    "write",
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

    Raises:
        ConfigurationError: `comparisons` names an unknown system; and as `score`.
        MissingExtraError: Jinja2 is not installed.
    """
    scored, chosen = score(results), comparisons or {"Paired tests": ()}
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
    )
    files.write_text(path, render("report.html.j2", page=page))
