"""The same systems under several protocols, side by side: what a figure owes to how it was split.

[Measured, …] ─▶ record → protocols.json        ─▶ section → report.html, protocols.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import evaluation, report
from ...evaluation import RESAMPLES, SystemResult
from ...report import Section, Table
from ...report.formatting import MISSING, interval, number, spread
from .bench import Measured

_WHAT = {
    "random": "utterances shuffled: speakers and wordings on both sides",
    "session5": "the last session, as in the paper",
    "loso": "every session in turn",
    "speaker": "five folds that share no speaker",
    "scenario": "speakers and scenarios are new",
    "improvised": "the last session, improvised speech alone",
}


def record(measured: Sequence[Measured], impossible: Mapping[str, str], resamples: int = RESAMPLES) -> dict[str, Any]:
    """`{"unit", "protocols": [{"protocol", "folds", "disjoint_in", "systems", "controls", "leaks",
    "not_applicable", "failed"}], "impossible": {protocol: why}}`; rows as in tables.json."""

    def rows(found: Sequence[SystemResult]) -> list[dict[str, Any]]:
        return [report.record(result, resamples=resamples) for result in found]

    return {
        "unit": "percent",
        "protocols": [
            {
                "protocol": m.protocol,
                "folds": len(m.run["folds"]) if m.run else 0,
                "disjoint_in": disjoint_in(m),
                "systems": rows([r for r in m.results.values() if r.kind != "leak"]),
                "controls": rows(m.controls),
                "leaks": rows([*(r for r in m.results.values() if r.kind == "leak"), *m.leaks]),
                "not_applicable": dict(m.left_out),
                "failed": dict(m.failed),
            }
            for m in measured
        ],
        "impossible": dict(impossible),
    }


def disjoint_in(measured: Measured) -> list[str]:
    """In what the test data of every fold are new."""
    folds = measured.run["folds"] if measured.run else []
    return [
        group for group in ("speaker", "session", "scenario") if folds and all(group in f["disjoint_in"] for f in folds)
    ]


def section(measured: Sequence[Measured], impossible: Mapping[str, str], resamples: int = RESAMPLES) -> Section:
    """One table a system, one row a protocol."""
    names = list(dict.fromkeys(name for m in measured for name in m.results))
    tables = []
    for name in names:
        here = [m for m in measured if name in m.results]
        title = here[0].results[name].title
        tables.append(Table(title, _HEADER, tuple(_row(m, m.results[name], resamples) for m in here)))
    lead = (
        "The same system, trained and tested on other divisions of the same corpus. Each row has other test data, so "
        "rows are not tested against each other; beside each stand the best control and what of its test data is new."
    )
    notes = [f"{protocol}: not possible here. {why}" for protocol, why in impossible.items()]
    return Section("Protocols side by side", lead, tuple(tables), tuple(notes))


_HEADER = ("Protocol", "UA %", "WA %", "Best control, UA %", "Test utterances", "New in test data")


def _row(measured: Measured, result: SystemResult, resamples: int) -> tuple[str, ...]:
    scores = evaluation.summary(result, resamples)
    controls = {c.title: evaluation.summary(c, resamples).ua.mean for c in measured.controls}
    best = max(controls, key=lambda title: controls[title], default="")
    leak = " – LEAK, no result" if result.kind == "leak" else ""
    return (
        f"{measured.protocol}{leak}: {_WHAT[measured.protocol]}",
        f"{spread(scores.ua)} [{interval(scores.ua.ci95)}]",
        f"{spread(scores.wa)} [{interval(scores.wa.ci95)}]",
        f"{number(controls[best])} [{best}]" if best else MISSING,
        f"{scores.utterances:,}",
        ", ".join(disjoint_in(measured)) or "nothing",
    )
