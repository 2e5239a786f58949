"""What was measured → tables.json, and the same as sections for people: the paper's figures beside what was reached.

Measured ─▶ record → tables.json        ─▶ sections → report.html, tables.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from ... import evaluation, report
from ...evaluation import RESAMPLES, Summary, SystemResult
from ...report import Section, Table
from ...report.formatting import MISSING, interval, number, points, spread
from . import paper as catalogue
from .bench import BEST_ON_TEST, Measured
from .paper import TITLES, Row

LEAD = (
    "UA in percent, mean ± standard deviation over seeds, and the 95% interval of the mean. No control hears what it "
    "answers for: majority, scenario and tfidf know the most frequent class, the script and the transcript; "
    "embedding-random is trained to read the words, and embedding-shuffled to read them in random order, with vectors "
    "of Speech2Vec, which come from the sound of other utterances. A system that does not beat them has not been shown "
    "to hear anything. The paper's figures are of IEMOCAP, session 5."
)

PAPER_TABLES = ("table1", "table2", "table3")


def comparable(kind: str, synthetic: bool, protocol: str) -> bool:
    """Whether differences from the paper's figures mean something: on IEMOCAP, and on a manifest that may be of it.

    kind: of corpus. Synthetic speech is none of these, by whatever way it is read.
    """
    return not synthetic and (kind == "iemocap" or (kind == "manifest" and protocol == "session5"))


def record(measured: Measured, context: Mapping[str, Any], resamples: int = RESAMPLES) -> dict[str, Any]:
    """Everything as JSON values; docs/reproduce.md says what the keys are. A row that was not measured is absent.

    context: protocol, corpus and audit, as `report.run_summary.report_context` gives them.
    """

    @cache
    def scores(name: str) -> dict[str, Any]:
        return report.record(measured.results[name], resamples=resamples)

    def row(row: Row) -> dict[str, Any]:
        told = {"row": row.paper} if row.paper else {}
        return {**told, **scores(row.system), "paper_ua": row.paper_ua}

    groups = {group: [row(r) for r in catalogue.TABLES[group] if r.system in measured.results] for group in TITLES}
    groups["controls"] = [report.record(c, resamples=resamples) for c in measured.controls] + groups["controls"]
    return {
        **groups,
        "protocol": dict(context["protocol"]),
        "unit": "percent",
        "corpus": dict(context["corpus"]),
        "audit": None if context["audit"] is None else [asdict(finding) for finding in context["audit"]],
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
    own = [row.system for row in catalogue.TABLES[group] if _valid(measured, row)]
    trained = [row.system for row in catalogue.TABLES["controls"] if row.system in measured.results]
    found = [measured.results[name] for name in dict.fromkeys([*own, *trained])]
    return [*found, *measured.controls] if own else []


def _valid(measured: Measured, row: Row) -> bool:
    """Whether a row has a result that is no leak."""
    return row.system in measured.results and measured.results[row.system].kind != "leak"


def section(measured: Measured, gaps: bool, resamples: int = RESAMPLES) -> Section:
    """Every table, with the paper's figures beside those that were measured.

    gaps: whether to show differences from the paper's figures (`comparable`).
    """
    shown = _Shown(measured, resamples)
    tables = []
    for group in TITLES:
        rows = list(catalogue.TABLES[group])
        if group == "controls":
            rows = [*(Row(control.system) for control in measured.controls), *rows]
        if not any(row.system in shown.results for row in rows):
            continue
        if group not in PAPER_TABLES:
            rows = [row for row in rows if row.system in shown.results or row.system in shown.reasons]
        grid = group == "table3"
        tables.append(_grid(TITLES[group], shown) if grid else _table(TITLES[group], rows, shown, gaps=gaps))
    if measured.leaks:
        tables.append(_leaks([leak.system for leak in measured.leaks], shown))
    remark = "" if measured.protocol == "session5" else f" Those measured are of other test data: {measured.protocol}."
    remark = remark if gaps else " This is not known to be the same corpus and split, so they are for reference alone."
    return Section("Tables of the paper", LEAD + remark, tuple(tables))


class _Shown:
    """What a table says of a system: its title, its figures, or why it has none."""

    def __init__(self, measured: Measured, resamples: int) -> None:
        self.results = {result.system: result for result in everything(measured)}
        self.reasons = {name: f"not applicable: {reason}" for name, reason in measured.left_out.items()}
        self.reasons |= dict.fromkeys(measured.failed, "failed")
        self.resamples = resamples
        self._scores: dict[str, Summary] = {}

    def scores(self, name: str) -> Summary | None:
        """The scores of a system; None where it has none."""
        if name in self.results and name not in self._scores:
            self._scores[name] = evaluation.summary(self.results[name], self.resamples)
        return self._scores.get(name)

    def name(self, row: Row) -> str:
        """What heads a row."""
        result = self.results.get(row.system)
        title = f"{row.paper} ({row.system})" if row.paper else result.title if result else row.system
        return title + (" – LEAK, no result" if result is not None and result.kind == "leak" else "")

    def figures(self, name: str) -> tuple[str, str]:
        """UA and WA, each with its interval; the reason, where there are none."""
        scores = self.scores(name)
        if scores is None:
            return self.reasons.get(name, "not run"), MISSING
        ua, wa = scores.ua, scores.wa
        return f"{spread(ua)} [{interval(ua.ci95)}]", f"{spread(wa)} [{interval(wa.ci95)}]"

    def gap(self, name: str, other: float | None) -> str:
        """UA of a system minus another figure."""
        scores = self.scores(name)
        return MISSING if scores is None or other is None else points(scores.ua.mean - other)


def _table(caption: str, rows: Sequence[Row], shown: _Shown, *, gaps: bool) -> Table:
    published = any(row.paper_ua is not None for row in rows)
    gaps = gaps and published
    lines = []
    for row in rows:
        paper = [number(row.paper_ua, 2)] if published else []
        gap = [shown.gap(row.system, row.paper_ua)] if gaps else []
        lines.append((shown.name(row), *paper, *shown.figures(row.system), *gap))
    header = ("System", *(["Paper, UA %"] if published else []), "UA %", "WA %", *(["UA − paper"] if gaps else []))
    return Table(caption, header, tuple(lines))


def _leaks(names: Sequence[str], shown: _Shown) -> Table:
    """What choosing the epoch on test data adds: each leaking twin beside its honest system."""
    lines = []
    for name in names:
        honest = name.removesuffix(BEST_ON_TEST)
        scores = shown.scores(honest)
        gap = shown.gap(name, None if scores is None else scores.ua.mean)
        lines.append((shown.results[name].title, shown.figures(honest)[0], shown.figures(name)[0], gap))
    header = ("System", "UA %, honest", "UA %, leaking", "Gap")
    return Table("Leaks, no results: the epoch with the best UA on test data", header, tuple(lines))


def _grid(caption: str, shown: _Shown) -> Table:
    """Table 3 as the paper prints it: dimensions down, embeddings across."""
    paper = {row.system: row.paper_ua for row in catalogue.TABLES["table3"]}
    lines = []
    for dimension in catalogue.DIMENSIONS:
        names = [catalogue.of_dimension(kind, dimension) for kind in ("speech2vec", "word2vec")]
        cells = [cell for name in names for cell in (number(paper[name], 2), shown.figures(name)[0])]
        lines.append((str(dimension), *cells))
    header = ("Dimension", "Speech, paper", "Speech, UA %", "Word, paper", "Word, UA %")
    return Table(caption, header, tuple(lines))
