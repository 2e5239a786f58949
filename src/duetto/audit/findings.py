"""What an audit found, how severe it is, and the verdict."""

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
"""How severe a finding is, the most severe first."""

Verdict = Literal["clean", "declared", "leak"]
"""The result of an audit."""

AUDIT = "audit.json"
"""Name of an audit's file in a run folder."""
_REPAIR = "delete it, and run the same `duetto train` again, which audits"

EXAMPLES = 5
"""Most ids that a finding lists."""

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
    "doubtful-speaker": "warning",
    "exchanged-classes": "warning",
    "unknown-epoch": "warning",
    "unknown-statistics": "warning",
    "not-in-manifest": "warning",
    "unknown-vectors": "note",
    "unknown-weights": "note",
    "speaker-normalisation": "note",
    "session-statistics": "note",
    "padding-read": "note",
    "not-examined": "note",
    "annotators": "note",
}
"""Kind of finding → severity.

`leak`: test data reached what was fitted or chosen, or a part that must be new is not; the figures are not results.
`warning`: a figure must be read together with this finding. `note`: for information.
"""

OF_RUNS = frozenset(
    {
        "chosen-on-test", "fitted-on-test", "vocabulary-from-test", "unknown-epoch", "unknown-statistics",
        "unknown-vectors", "unknown-weights", "speaker-normalisation", "session-statistics",
        "padding-read",
    }
)  # fmt: skip
"""Kinds of finding that concern one system's run; others concern the split, or either."""


@dataclass(frozen=True)
class Finding:
    """One thing that an audit found.

    Attributes:
        kind: A key of `KINDS`.
        severity: Its value.
        fold: Name of the fold; None where it concerns the whole corpus or run.
        detail: A sentence.
        evidence: Counts, and under `examples` up to 5 ids (of test utterances, where there are any), with what each
            one equals under `twins`.
    """

    kind: str
    severity: Severity
    fold: str | None
    detail: str
    evidence: Mapping[str, Any]


def make_finding(kind: str, fold: str | None, detail: str, **evidence: Any) -> Finding:
    """Make a finding of a known kind.

    Args:
        kind: A key of `KINDS`, which gives the severity.
        fold: Name of the fold, or None.
        detail: A sentence.
        **evidence: Counts and ids; lists are cut to the first 5.

    Returns:
        The finding.
    """
    cut = {key: list(value)[:EXAMPLES] if isinstance(value, list | tuple) else value for key, value in evidence.items()}
    return Finding(kind, KINDS[kind], fold, detail, cut)


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Attributes:
        findings: Each once, the most severe first.
        protocol: Name of the protocol; "" where there is none.
        folds: How many folds were examined.
        utterances: How many utterances were examined.
        declared: Whether the user declared that the data leak (protocol `random`, or `--declare-leak`).
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
        """The findings that invalidate figures."""
        return tuple(finding for finding in self.findings if finding.severity == "leak")

    @property
    def verdict(self) -> Verdict:
        """`leak`: there is one that was not declared; `declared`: there is one, declared by the user; else `clean`."""
        if not self.leaks:
            return "clean"
        return "declared" if self.declared else "leak"

    def summary(self) -> str:
        """Summarise the audit in one line.

        Returns:
            The verdict, and the number of findings of each severity.
        """
        counts = Counter(finding.severity for finding in self.findings)
        parts = [f"{counts[s]} {s}{'s' if counts[s] != 1 else ''}" for s in get_args(Severity) if counts[s]]
        return f"{self.verdict}: {', '.join(parts) or 'nothing found'}"

    def to_json(self) -> dict[str, Any]:
        """Convert the audit to JSON values.

        Returns:
            All fields, and the verdict.
        """
        return {"verdict": self.verdict, **asdict(self), "findings": [asdict(finding) for finding in self.findings]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Audit:
        """Restore an audit from JSON values.

        Args:
            value: What `to_json` returned.
            where: File, for error messages.

        Returns:
            The audit.

        Raises:
            ModelError: The values are not those of an audit.
        """
        record = Record(value, where, ModelError, _REPAIR)
        findings = tuple(_finding(record, item) for item in record.items_of("findings"))
        folds, utterances = (record.integer(key, low=0, high=sys.maxsize) for key in ("folds", "utterances"))
        return cls(findings, record.text("protocol"), folds, utterances, record.boolean("declared"))


def _finding(audit: Record, value: Any) -> Finding:
    """Restore one finding."""
    record = Record(value, f"{audit.where}: a finding", audit.error, audit.repair)
    kind, fold = record.text("kind"), record["fold"]
    if KINDS.get(kind) != record.text("severity"):
        raise record.wrong(f"kind {shortened(kind)} of severity {shortened(record['severity'])} is not known")
    if fold is not None and not isinstance(fold, str):
        raise record.wrong(f"'fold' must be a name or null, not {shortened(fold)}")
    return Finding(kind, KINDS[kind], fold, record.text("detail"), dict(record.record("evidence")))


def save(audit: Audit, folder: Path) -> None:
    """Write an audit into a run folder, atomically.

    Args:
        audit: The audit.
        folder: The run folder.
    """
    files.write_text(folder / AUDIT, json.dumps(audit.to_json(), indent=1, ensure_ascii=False))


def load(folder: Path) -> Audit | None:
    """Read the audit of a run folder.

    Args:
        folder: The run folder.

    Returns:
        The audit, or None where there is none.

    Raises:
        ModelError: The file is damaged.
    """
    path = folder / AUDIT
    if not path.is_file():
        return None
    return Audit.from_json(read_json(path, error=ModelError, repair=_REPAIR), str(path))


def merged(audits: Mapping[str, Audit]) -> tuple[Finding, ...]:
    """Merge the findings of several audits.

    A finding that concerns a run (`OF_RUNS`), or that not all audits have, lists its systems in its evidence, under
    `systems`.

    Args:
        audits: System → audit of its run.

    Returns:
        Each finding once, the most severe first.
    """
    by_content: dict[str, tuple[Finding, list[str]]] = {}
    for system, audit in audits.items():
        for finding in audit.findings:
            content = json.dumps(asdict(finding), sort_keys=True)
            by_content.setdefault(content, (finding, []))[1].append(system)
    findings = [
        replace(finding, evidence={"systems": systems, **finding.evidence})
        if finding.kind in OF_RUNS or len(systems) < len(audits)
        else finding
        for finding, systems in by_content.values()
    ]
    return Audit(tuple(findings), "", 0, 0).findings
