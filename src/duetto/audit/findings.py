"""What an audit found, how grave it is, and the verdict."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import ModelError
from ..utils import files
from ..utils.reading import Record, read_json, shortened

Severity = Literal["leak", "warning", "note"]
Verdict = Literal["clean", "declared", "leak"]

AUDIT = "audit.json"
"""Name of an audit's file in a run folder."""
_ANEW = "delete it, and run the same `duetto train` again, which audits"

EXAMPLES = 5

KINDS: dict[str, Severity] = {
    "leaking-protocol": "leak",
    "utterance-in-two-parts": "leak",
    "same-audio": "leak",
    "overlapping-audio": "leak",
    "speaker-overlap": "leak",
    "chosen-on-test": "leak",
    "fitted-on-test": "leak",
    "vocabulary-from-test": "leak",
    "session-overlap": "warning",
    "scenario-overlap": "warning",
    "same-transcript": "warning",
    "near-transcript": "warning",
    "oversampling": "warning",
    "unknown-speaker": "warning",
    "unknown-epoch": "warning",
    "unknown-statistics": "warning",
    "not-in-manifest": "warning",
    "unknown-vectors": "note",
    "unknown-weights": "note",
    "speaker-normalisation": "note",
    "padding-read": "note",
    "not-examined": "note",
}
"""Kind of finding → severity. `leak`: test data reached what was fitted or chosen, or a part that must be new is
not; the figures are no results. `warning`: a figure must be read with this number beside it. `note`: to know."""

OF_RUNS = frozenset(
    {
        "chosen-on-test", "fitted-on-test", "vocabulary-from-test", "unknown-epoch", "unknown-statistics",
        "unknown-vectors", "unknown-weights", "speaker-normalisation", "padding-read",
    }
)  # fmt: skip
"""Kinds of finding that are of one system's run; others are of the split, or of either."""


@dataclass(frozen=True)
class Finding:
    """One thing that an audit found.

    kind, severity: see `KINDS`. fold: its name; None where it concerns the whole corpus or run.
    detail: a sentence. evidence: counts, and under `examples` up to 5 ids (of test utterances, where there
    are any), with what each one equals under `twins`.
    """

    kind: str
    severity: Severity
    fold: str | None
    detail: str
    evidence: Mapping[str, Any]


def found(kind: str, fold: str | None, detail: str, **evidence: Any) -> Finding:
    """A finding of a known kind; lists in `evidence` are cut to the first 5."""
    cut = {key: list(value)[:EXAMPLES] if isinstance(value, list | tuple) else value for key, value in evidence.items()}
    return Finding(kind, KINDS[kind], fold, detail, cut)


@dataclass(frozen=True)
class Audit:
    """What was found, the gravest first, and of what.

    protocol: its name, "" where there is none. folds, utterances: how many were examined. declared: whether the
    user knows that the data leak (protocol `random`, or `--declare-leak`).
    """

    findings: tuple[Finding, ...]
    protocol: str
    folds: int
    utterances: int
    declared: bool = False

    def __post_init__(self) -> None:
        order = get_args(Severity)
        unique = {json.dumps(asdict(finding), sort_keys=True): finding for finding in self.findings}
        ranked = sorted(unique.values(), key=lambda finding: order.index(finding.severity))
        object.__setattr__(self, "findings", tuple(ranked))

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """The findings that make figures worthless."""
        return tuple(finding for finding in self.findings if finding.severity == "leak")

    @property
    def verdict(self) -> Verdict:
        """`leak`: there is one, and nobody said so; `declared`: there is one, and the user said so; else `clean`."""
        if not self.leaks:
            return "clean"
        return "declared" if self.declared else "leak"

    def summary(self) -> str:
        """The verdict and how many findings of each severity, in one line."""
        counts = Counter(finding.severity for finding in self.findings)
        parts = [f"{counts[s]} {s}{'s' if counts[s] != 1 else ''}" for s in get_args(Severity) if counts[s]]
        return f"{self.verdict}: {', '.join(parts) or 'nothing found'}"

    def to_json(self) -> dict[str, Any]:
        """Everything, the verdict too, as JSON values."""
        return {"verdict": self.verdict, **asdict(self), "findings": [asdict(finding) for finding in self.findings]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Audit:
        """The inverse of `to_json`; `where` opens the error."""
        record = Record(value, where, ModelError, _ANEW)
        findings = tuple(_finding(record, item) for item in record.items_of("findings"))
        folds, utterances = (record.integer(key, low=0, high=sys.maxsize) for key in ("folds", "utterances"))
        return cls(findings, record.text("protocol"), folds, utterances, record.boolean("declared"))


def _finding(audit: Record, value: Any) -> Finding:
    """One of the findings in the file of an audit."""
    record = Record(value, f"{audit.where}: a finding", audit.error, audit.repair)
    kind, fold = record.text("kind"), record["fold"]
    if KINDS.get(kind) != record.text("severity"):
        raise record.wrong(f"kind {shortened(kind)} of severity {shortened(record['severity'])} is not known")
    if fold is not None and not isinstance(fold, str):
        raise record.wrong(f"'fold' must be a name or null, not {shortened(fold)}")
    return Finding(kind, KINDS[kind], fold, record.text("detail"), dict(record.record("evidence")))


def save(audit: Audit, folder: Path) -> None:
    """Write `folder`/audit.json, atomically."""
    files.write_text(folder / AUDIT, json.dumps(audit.to_json(), indent=1, ensure_ascii=False))


def load(folder: Path) -> Audit | None:
    """The audit that lies in a run folder; None where there is none."""
    path = folder / AUDIT
    if not path.is_file():
        return None
    return Audit.from_json(read_json(path, error=ModelError, repair=_ANEW), str(path))


def merged(audits: Mapping[str, Audit]) -> tuple[Finding, ...]:
    """The findings of several audits, by the system whose run each examined: each once, the gravest first.

    One that is of runs (`OF_RUNS`), or that not all of them have, names its systems in its evidence, under `systems`.
    """
    found: dict[str, tuple[Finding, list[str]]] = {}
    for system, audit in audits.items():
        for finding in audit.findings:
            found.setdefault(json.dumps(asdict(finding), sort_keys=True), (finding, []))[1].append(system)
    told = [
        replace(finding, evidence={"systems": systems, **finding.evidence})
        if finding.kind in OF_RUNS or len(systems) < len(audits)
        else finding
        for finding, systems in found.values()
    ]
    return Audit(tuple(told), "", 0, 0).findings
