"""Results → one HTML file to open, print and send; the same as Markdown and as JSON.

    [SystemResult, …] ─▶ write ─▶ report.html (no script, no request to anywhere)
                      ─▶ markdown ─▶ text     ─▶ tables ─▶ tables.json

UA, WA and macro-F1 are in percent throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluation import RESAMPLES, SystemResult
from ..utils import files
from .comparison import checked, compare, score, with_leader
from .html import Content, render
from .sections import Section, Table
from .tables import markdown, record, significance, tables

__all__ = ["Section", "Table", "markdown", "record", "significance", "tables", "write"]

_EVERY_PAIR: Mapping[str, Sequence[str]] = {"Paired tests": ()}


def write(
    path: str | Path,
    results: Sequence[SystemResult],
    *,
    title: str,
    protocol: Mapping[str, Any],
    corpus: Mapping[str, Any],
    ceilings: Mapping[str, float] | None = None,
    audit: Sequence[Any] | None = None,
    notes: Sequence[str] = (),
    sections: Sequence[Section] = (),
    comparisons: Mapping[str, Sequence[str]] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> None:
    """Write the report, atomically.

    protocol: what to say of splits, disjointness, seeds, choice of epoch, environment; values of any plain kind,
        mappings nested. corpus: `name`, `counts` (label → utterances), `synthetic` (true puts a warning on top),
        and whatever else should be said of it.
    ceilings: name → UA in percent that is known to be the best possible with that knowledge (synthetic corpora).
    audit: findings, as text, mappings or dataclasses; `severity` of `error`, `leak` or `fatal` puts a warning on
        top. None says that no audit was made.
    sections: further sections, shown behind the overview. comparisons: title → names of the systems that are
        compared with each other; by default all are.
    resamples, seed: of the bootstrap. Results appear as systems, controls, leaks, each in the order given; none at
        all, two of one name, or different label sets are a ConfigurationError.
    """
    systems = tuple(score(result, resamples, seed) for result in checked(results))
    content = Content(
        title=title,
        systems=systems,
        pairs=tuple(with_leader(systems, resamples, seed)),
        comparisons=tuple(
            compare(systems, name, names, resamples, seed) for name, names in (comparisons or _EVERY_PAIR).items()
        ),
        sections=tuple(sections),
        protocol=protocol,
        corpus=corpus,
        ceilings=ceilings or {},
        audit=None if audit is None else tuple(audit),
        notes=tuple(notes),
        resamples=resamples,
    )
    files.write_text(path, render(content))
