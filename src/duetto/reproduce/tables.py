"""What was measured → tables.json, and the same as sections for people: the paper's figures beside what was reached.

Measured ─▶ record → tables.json        ─▶ sections → report.html, tables.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from .. import report, results
from ..report import Section, Table
from ..report.text import MISSING, interval, number, points, spread
from ..results import RESAMPLES, Summary, SystemResult
from . import catalogue
from .catalogue import TITLES, Row
from .measure import BEST_ON_TEST, Measured

COMPARABLE = "The paper's figures are of IEMOCAP, session 5."

PAPER_TABLES = ("table1", "table2", "table3")


def record(
    measured: Measured, protocol: Mapping[str, Any], corpus: Mapping[str, Any], resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Everything as JSON values; docs/reproduce.md says what the keys are. A row that was not measured is absent."""

    @cache
    def scores(name: str) -> dict[str, Any]:
        return report.record(measured.results[name], resamples=resamples)

    def row(row: Row) -> dict[str, Any]:
        told = {"row": row.paper} if row.paper else {}
        return {**told, **scores(row.system), "paper_ua": row.paper_ua}

    groups = {group: [row(r) for r in catalogue.rows(group) if r.system in measured.results] for group in TITLES}
    groups["controls"] = [report.record(c, resamples=resamples) for c in measured.controls] + groups["controls"]
    return {
        **groups,
        "protocol": dict(protocol),
        "unit": "percent",
        "corpus": dict(corpus),
        "leaks": [report.record(leak, resamples=resamples) for leak in measured.leaks],
        "combinations": [
            {"system": name, "of": list(row.of)}
            for name, row in catalogue.fusions().items()
            if name in measured.results
        ],
        "significance": {
            group: found
            for group in TITLES
            if (members := compared(measured, group))
            and (found := report.significance(members, resamples=resamples)) is not None
        },
        "not_applicable": [{"system": name, "reason": reason} for name, reason in measured.left_out.items()],
        "failed": [{"system": name, "reason": reason} for name, reason in measured.failed.items()],
    }


def everything(measured: Measured) -> list[SystemResult]:
    """Every result, each once: systems, controls, leaks."""
    return [*measured.results.values(), *measured.controls, *measured.leaks]


def compared(measured: Measured, group: str) -> list[SystemResult]:
    """The results of a group that are compared with each other, and with every control; none where it has none."""
    if group == "controls":
        return []
    own = [row.system for row in catalogue.rows(group) if row.system in measured.results]
    trained = [row.system for row in catalogue.rows("controls") if row.system in measured.results]
    found = [measured.results[name] for name in dict.fromkeys([*own, *trained])]
    return [*found, *measured.controls] if own else []


def section(measured: Measured, comparable: bool, resamples: int = RESAMPLES) -> Section:
    """Every table, with the paper's figures beside those that were measured.

    comparable: whether the corpus may be the paper's; differences from the paper's figures are shown only then.
    """

    @cache
    def scores(place: int) -> Summary:
        return results.summary(everything(measured)[place], resamples)

    places = {result.system: place for place, result in enumerate(everything(measured))}

    def of(name: str) -> Summary | None:
        return scores(places[name]) if name in places else None

    titles = {result.system: result.title for result in everything(measured)}
    tables = []
    table = partial(_table, gaps=comparable)
    for group in TITLES:
        rows = list(catalogue.TABLES[group] if group in PAPER_TABLES else catalogue.rows(group))
        if group == "controls":
            rows = [*(Row(c.system) for c in measured.controls), *rows]
        asked = [r for r in rows if r.system in places or group in PAPER_TABLES or r.system in _said(measured)]
        if not any(r.system in places for r in rows):
            continue
        make = _grid if group == "table3" else table
        tables.append(make(TITLES[group], asked, of, titles, _said(measured)))
    if measured.leaks:
        tables.append(_leaks([leak.system for leak in measured.leaks], of, titles))
    lead = (
        "UA in percent, mean ± standard deviation over seeds, and the 95% interval of the mean. The controls hear no "
        "speech: a system that does not beat them has not been shown to hear any. "
    )
    remark = "" if comparable else " This corpus is another, so they stand here for reference alone."
    return Section("Tables of the paper", lead + COMPARABLE + remark, tuple(tables))


def _said(measured: Measured) -> dict[str, str]:
    """System → what a table says where it has no figure."""
    said = {name: f"not applicable: {reason}" for name, reason in measured.left_out.items()}
    return said | dict.fromkeys(measured.failed, "failed")


Of = Callable[[str], "Summary | None"]


def _table(
    caption: str, rows: Sequence[Row], of: Of, titles: Mapping[str, str], said: Mapping[str, str], *, gaps: bool
) -> Table:
    published = any(row.paper_ua is not None for row in rows)
    gaps = gaps and published
    lines = []
    for row in rows:
        scores = of(row.system)
        name = f"{row.paper} ({row.system})" if row.paper else titles.get(row.system, row.system)
        paper = [number(row.paper_ua, 2)] if published else []
        gap = [MISSING if scores is None or row.paper_ua is None else points(scores.ua.mean - row.paper_ua)]
        lines.append((name, *paper, *_figures(scores, said.get(row.system, "not run")), *(gap if gaps else [])))
    header = ("System", *(["Paper, UA %"] if published else []), "UA %", "WA %", *(["UA − paper"] if gaps else []))
    return Table(caption, header, tuple(lines))


def _leaks(names: Sequence[str], of: Of, titles: Mapping[str, str]) -> Table:
    """What choosing the epoch on test data adds: each leaking twin beside its honest system."""
    lines = []
    for name in names:
        honest, leaking = of(name.removesuffix(BEST_ON_TEST)), of(name)
        gap = MISSING if honest is None or leaking is None else points(leaking.ua.mean - honest.ua.mean)
        lines.append((titles[name], *(_figures(scores, "failed")[0] for scores in (honest, leaking)), gap))
    header = ("System", "UA %, honest", "UA %, leaking", "Gap")
    return Table("Leaks, no results: the epoch with the best UA on test data", header, tuple(lines))


def _figures(scores: Summary | None, otherwise: str) -> tuple[str, str]:
    if scores is None:
        return otherwise, MISSING
    ua, wa = scores.ua, scores.wa
    return f"{spread(ua)} [{interval(ua.ci95)}]", f"{spread(wa)} [{interval(wa.ci95)}]"


def _grid(caption: str, rows: Sequence[Row], of: Of, _: Mapping[str, str], said: Mapping[str, str]) -> Table:
    """Table 3 as the paper prints it: dimensions down, embeddings across."""
    by_name = {row.system: row for row in rows}
    lines = []
    for dimension in catalogue.DIMENSIONS:
        cells = []
        for kind in ("speech2vec", "word2vec"):
            name = catalogue.of_dimension(kind, dimension)
            row = by_name.get(name)
            cells += [
                number(None if row is None else row.paper_ua, 2),
                _figures(of(name), said.get(name, "not run"))[0],
            ]
        lines.append((str(dimension), *cells))
    header = ("Dimension", "Speech, paper", "Speech, UA %", "Word, paper", "Word, UA %")
    return Table(caption, header, tuple(lines))
