"""The same systems under several protocols, side by side: how much of a figure comes from the split.

[Measurements, …] ─▶ record → protocols.json        ─▶ section → report.html, protocols.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import report
from ...evaluation import SystemResult
from ...report import ScoredResult, ScoredResults, Section, Table
from ...report.comparison import best
from ...report.formatting import MISSING, number
from .benchmark import Measurements
from .tables import figures

_DESCRIPTIONS = {
    "random": "utterances shuffled: speakers and wordings on both sides",
    "session5": "the last session, as in the paper",
    "loso": "every session in turn",
    "speaker": "five folds that share no speaker",
    "scenario": "speakers and scenarios are new",
    "corpus": "every corpus in turn",
    "split": "the division that the corpus states",
    "improvised": "the last session, improvised speech alone",
}
_HEADER = ("Protocol", "UA %", "WA %", "Best control, UA %", "Test utterances", "New in test data")

Scores = Mapping[str, ScoredResults]
"""Protocol → its results, scored."""


def record(measured: Sequence[Measurements], scores: Scores, impossible: Mapping[str, str]) -> dict[str, Any]:
    """Write the comparison as JSON values.

    Args:
        measured: The measurements of each protocol.
        scores: Protocol → at least the results of its measurements, scored.
        impossible: Protocol → why the corpus does not allow it.

    Returns:
        `{"unit", "protocols": [{"protocol", "folds", "disjoint_in", "systems", "controls", "leaks",
        "not_applicable", "failed"}], "impossible": {protocol: why}}`; rows as in tables.json.
    """
    return {
        "unit": "percent",
        "protocols": [_record(m, scores[m.protocol]) for m in measured],
        "impossible": dict(impossible),
    }


def _record(measured: Measurements, scored: ScoredResults) -> dict[str, Any]:
    def rows(results: Sequence[SystemResult]) -> list[dict[str, Any]]:
        return [report.record(_scored(scored, result.system)) for result in results]

    leaking = [result for result in measured.results.values() if result.kind == "leak"]
    return {
        "protocol": measured.protocol,
        "folds": len(measured.run["folds"]) if measured.run else 0,
        "disjoint_in": disjoint_in(measured),
        "systems": rows([result for result in measured.results.values() if result.kind != "leak"]),
        "controls": rows(measured.controls),
        "leaks": rows([*leaking, *measured.leaks]),
        "not_applicable": dict(measured.not_applicable),
        "failed": dict(measured.failed),
    }


def _scored(scored: ScoredResults, name: str) -> ScoredResult:
    found = scored.get(name)
    assert found is not None
    return found


def disjoint_in(measured: Measurements) -> list[str]:
    """List what is new in the test data of every fold.

    Args:
        measured: The measurements of a protocol.

    Returns:
        Some of `speaker`, `session`, `scenario`, `corpus`.
    """
    folds = measured.run["folds"] if measured.run else []
    return [
        group
        for group in ("speaker", "session", "scenario", "corpus")
        if folds and all(group in f["disjoint_in"] for f in folds)
    ]


def section(measured: Sequence[Measurements], scores: Scores, impossible: Mapping[str, str]) -> Section:
    """Write one table per system, one row per protocol.

    Args:
        measured: The measurements of each protocol.
        scores: Protocol → at least the results of its measurements, scored.
        impossible: Protocol → why the corpus does not allow it.

    Returns:
        The section.
    """
    tables = []
    for name in dict.fromkeys(name for m in measured for name in m.results):
        found = [m for m in measured if name in m.results]
        rows = tuple(_row(m, scores[m.protocol], name) for m in found)
        tables.append(Table(found[0].results[name].title, _HEADER, rows))
    lead = (
        "The same system, trained and tested on other divisions of the same corpus. Each row has other test data, so "
        "rows are not tested against each other; beside each stand the best control and what of its test data is new."
    )
    notes = [f"{protocol}: not possible here. {why}" for protocol, why in impossible.items()]
    return Section("Protocols side by side", lead, tuple(tables), tuple(notes))


def _row(measured: Measurements, scored: ScoredResults, name: str) -> tuple[str, ...]:
    system = _scored(scored, name)
    control = best([_scored(scored, c.system) for c in measured.controls], "control")
    leak = " – LEAK, no result" if system.result.kind == "leak" else ""
    return (
        f"{measured.protocol}{leak}: {_DESCRIPTIONS[measured.protocol]}",
        *figures(system),
        f"{number(control.summary.ua.mean)} [{control.result.title}]" if control else MISSING,
        f"{system.summary.utterances:,}",
        ", ".join(disjoint_in(measured)) or "nothing",
    )
