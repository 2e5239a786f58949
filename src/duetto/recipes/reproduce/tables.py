"""Measurements → tables.json, and the same as a section for people, with the paper's figures beside the measured ones.

Measurements, ScoredResults ─▶ record → tables.json        ─▶ section → report.html, tables.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ... import report
from ...report import ScoredResult, ScoredResults, Section, Table
from ...report.formatting import MISSING, interval, number, points, spread
from . import paper
from .benchmark import BEST_ON_TEST, Measurements
from .paper import TITLES, Row

LEAD = (
    "UA in percent, mean ± standard deviation over seeds, and the 95% interval of the mean. No control uses the speech "
    "that it is tested on: majority, scenario and tfidf use the most frequent class, the script and the transcript; "
    "embedding-random is trained to read the words, and embedding-shuffled to read them in random order, with vectors "
    "of Speech2Vec, which come from the sound of other utterances. A system that does not beat them has not been shown "
    "to use the audio."
)
REMARK = " The paper's figures are of IEMOCAP, session 5."
ELSEWHERE = " The paper's figures are of IEMOCAP, session 5, and stand only beside results on it."

PAPER_TABLES = ("table1", "table2", "table3")


def record(measured: Measurements, scored: ScoredResults, context: Mapping[str, Any]) -> dict[str, Any]:
    """Write everything as JSON values; docs/reproduce.md lists the keys.

    Args:
        measured: The measurements.
        scored: All its results (`Measurements.everything`).
        context: Protocol, corpus and audit, as `report.run_summary.report_context` gives them.

    Returns:
        The content of tables.json; a row that was not measured is absent.
    """
    rows = {system.result.system: report.record(system) for system in scored}
    groups = {
        group: [_record(r, rows) for r in paper.TABLES[group] if r.system in measured.results] for group in TITLES
    }
    groups["controls"] = [rows[control.system] for control in measured.controls] + groups["controls"]
    return {
        **groups,
        "protocol": dict(context["protocol"]),
        "unit": "percent",
        "corpus": dict(context["corpus"]),
        "audit": None if context["audit"] is None else [asdict(finding) for finding in context["audit"]],
        "leaks": [rows[leak.system] for leak in measured.leaks],
        "combinations": [
            {"system": name, "of": list(row.of)} for name, row in paper.fusions().items() if name in measured.results
        ],
        "significance": {
            group: found
            for group in TITLES
            if (names := compared(measured, group)) and (found := report.significance(scored.subset(names))) is not None
        },
        "not_applicable": [{"system": name, "reason": reason} for name, reason in measured.not_applicable.items()],
        "failed": [{"system": name, "reason": reason} for name, reason in measured.failed.items()],
    }


def _record(row: Row, records: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    name = {"row": row.paper} if row.paper else {}
    return {**name, **records[row.system], "paper_ua": row.paper_ua}


def compared(measured: Measurements, group: str) -> list[str]:
    """List the systems of a group that are compared with each other, and the controls.

    Args:
        measured: The measurements.
        group: A key of `paper.TABLES`.

    Returns:
        Names of systems; none where no system of the group has a result that is not a leak.
    """
    if group == "controls":
        return []
    own = [row.system for row in paper.TABLES[group] if _is_valid(measured, row)]
    trained = [row.system for row in paper.TABLES["controls"] if row.system in measured.results]
    return list(dict.fromkeys([*own, *trained, *(c.system for c in measured.controls)])) if own else []


def _is_valid(measured: Measurements, row: Row) -> bool:
    """Whether a row has a result that is not a leak."""
    return row.system in measured.results and measured.results[row.system].kind != "leak"


def section(measured: Measurements, scored: ScoredResults) -> Section:
    """Write every table, with the paper's figures beside those that were measured.

    Args:
        measured: The measurements.
        scored: All its results (`Measurements.everything`).

    Returns:
        The section; the paper's figures are shown only where `Measurements.comparable`.
    """
    cells = _Cells(measured, scored)
    tables = []
    for group in TITLES:
        rows = list(paper.TABLES[group])
        if group == "controls":
            rows = [*(Row(control.system) for control in measured.controls), *rows]
        if not any(scored.get(row.system) for row in rows):
            continue
        if group not in PAPER_TABLES:
            rows = [row for row in rows if scored.get(row.system) or cells.reason(row.system)]
        title = TITLES[group]
        grid = group == "table3" and measured.comparable
        tables.append(_grid(title, cells) if grid else _table(title, rows, cells, measured.comparable))
    if measured.leaks:
        tables.append(_leaks([leak.system for leak in measured.leaks], cells))
    return Section("Tables of the paper", LEAD + (REMARK if measured.comparable else ELSEWHERE), tuple(tables))


@dataclass(frozen=True)
class _Cells:
    """Text of the cells of a row: its title, its figures, or why it has none."""

    measured: Measurements
    scored: ScoredResults

    def reason(self, name: str) -> str:
        """Why a system has no figures; "" where it has some, or was not requested."""
        if name in self.measured.not_applicable:
            return f"not applicable: {self.measured.not_applicable[name]}"
        return "failed" if name in self.measured.failed else ""

    def title(self, row: Row) -> str:
        system = self.scored.get(row.system)
        title = f"{row.paper} ({row.system})" if row.paper else system.result.title if system else row.system
        return title + (" – LEAK, no result" if system is not None and system.result.kind == "leak" else "")

    def figures(self, name: str) -> tuple[str, str]:
        """UA and WA, each with its interval; the reason where there are none."""
        system = self.scored.get(name)
        return figures(system) if system else (self.reason(name) or "not run", MISSING)

    def gap(self, name: str, other: float | None) -> str:
        """UA of a system minus another UA."""
        system = self.scored.get(name)
        return MISSING if system is None or other is None else points(system.summary.ua.mean - other)


def figures(system: ScoredResult) -> tuple[str, str]:
    """Write UA and WA, each with its interval.

    Args:
        system: A scored result.

    Returns:
        Two texts such as `68.5 ± 0.8 [64.2–72.0]`.
    """
    ua, wa = system.summary.ua, system.summary.wa
    return f"{spread(ua)} [{interval(ua.ci95)}]", f"{spread(wa)} [{interval(wa.ci95)}]"


def _table(caption: str, rows: Sequence[Row], cells: _Cells, comparable: bool) -> Table:
    published = comparable and any(row.paper_ua is not None for row in rows)
    lines = []
    for row in rows:
        paper_ua = [number(row.paper_ua, 2)] if published else []
        gap = [cells.gap(row.system, row.paper_ua)] if published else []
        lines.append((cells.title(row), *paper_ua, *cells.figures(row.system), *gap))
    header = ("System", *(["Paper, UA %"] if published else []), "UA %", "WA %", *(["UA − paper"] if published else []))
    return Table(caption, header, tuple(lines))


def _leaks(names: Sequence[str], cells: _Cells) -> Table:
    """What choosing the epoch on test data adds: each leaking twin beside its honest system."""
    lines = []
    for name in names:
        honest = name.removesuffix(BEST_ON_TEST)
        twin, system = cells.scored.get(name), cells.scored.get(honest)
        assert twin is not None
        gap = cells.gap(name, None if system is None else system.summary.ua.mean)
        lines.append((twin.result.title, cells.figures(honest)[0], cells.figures(name)[0], gap))
    header = ("System", "UA %, honest", "UA %, leaking", "Gap")
    return Table("Leaks, no results: the epoch with the best UA on test data", header, tuple(lines))


def _grid(caption: str, cells: _Cells) -> Table:
    """Table 3 as the paper prints it: dimensions down, embeddings across."""
    published = {row.system: row.paper_ua for row in paper.TABLES["table3"]}
    lines = []
    for dimension in paper.DIMENSIONS:
        names = [paper.of_dimension(kind, dimension) for kind in ("speech2vec", "word2vec")]
        texts = [text for name in names for text in (number(published[name], 2), cells.figures(name)[0])]
        lines.append((str(dimension), *texts))
    header = ("Dimension", "Speech, paper", "Speech, UA %", "Word, paper", "Word, UA %")
    return Table(caption, header, tuple(lines))
