"""Measurements → tables.json, tables.md, protocols.json, protocols.md, report.html."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import report
from ...errors import ConfigurationError
from ...report import ScoredResults, Section, run_summary
from ...report.formatting import cell, finding, plain
from ...report.tables import SYNTHETIC
from ...utils import files
from . import paper, protocols, tables
from .benchmark import Measurements
from .corpus import LoadedCorpus
from .options import Options


@dataclass(frozen=True)
class Reproduction:
    """What a call produced.

    Attributes:
        tables: Content of tables.json.
        text: The tables as Markdown.
        measured: The measurements of the tables' protocol.
        files: The files written.
        failed: System and protocol → why it failed.
    """

    tables: Mapping[str, Any]
    text: str
    measured: Measurements
    files: tuple[Path, ...]
    failed: Mapping[str, str]


def write(
    out: Path,
    corpus: LoadedCorpus,
    options: Options,
    measured: Measurements,
    compared: Sequence[Measurements],
    impossible: Mapping[str, str],
    *,
    resamples: int,
) -> Reproduction:
    """Write every file.

    Args:
        out: Folder to write to.
        corpus: The corpus.
        options: How it was measured.
        measured: Measurements of the tables' protocol.
        compared: Measurements of the protocols that are compared side by side.
        impossible: Protocol → why the corpus does not allow it.
        resamples: Number of bootstrap resamples.

    Returns:
        The content and the files.

    Raises:
        ConfigurationError: No system could be measured.
    """
    context, notes = _context(corpus, options, measured), _notes(options, measured)
    scored = report.score(measured.everything, resamples)
    record = tables.record(measured, scored, context)
    sections = [tables.section(measured, scored)]
    contents = {"tables.json": _json(record), "tables.md": _markdown(sections[0], record, notes)}
    if compared:
        others = {
            m.protocol: report.score(m.everything, resamples) for m in compared if m.protocol != measured.protocol
        }
        scores = {measured.protocol: scored, **others}
        sections.append(protocols.section(compared, scores, impossible))
        contents["protocols.json"] = _json(protocols.record(compared, scores, impossible))
        contents["protocols.md"] = sections[1].markdown()
    page = out / "report.html"
    _write_page(page, measured, scored, context, notes, sections)
    for name, content in contents.items():
        files.write_text(out / name, content)
    text = "\n".join(section.markdown() for section in sections)
    failed = {f"{name} ({m.protocol})": why for m in (measured, *compared) for name, why in m.failed.items()}
    return Reproduction(record, text, measured, (*(out / name for name in contents), page), failed)


def _write_page(
    path: Path,
    measured: Measurements,
    scored: ScoredResults,
    context: Mapping[str, Any],
    notes: Sequence[str],
    sections: Sequence[Section],
) -> None:
    groups = {title: tables.compared(measured, group) for group, title in paper.TITLES.items()}
    comparisons = {title: names for title, names in groups.items() if names}
    report.write(path, scored, **context, notes=notes, sections=sections, comparisons=comparisons)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


def _context(corpus: LoadedCorpus, options: Options, measured: Measurements) -> dict[str, Any]:
    """What the report states of corpus, protocol and audit; an error where nothing was measured."""
    if measured.run is None:
        reasons = "; ".join(f"{n}: {why}" for n, why in {**measured.not_applicable, **measured.failed}.items())
        raise ConfigurationError(f"no system could be measured. {reasons}")
    findings = run_summary.findings_of(list(measured.folders))
    known = corpus.utterances
    context = run_summary.report_context(measured.run, measured.everything, findings=findings, utterances=known)
    context["corpus"]["name"] = corpus.name
    context["protocol"]["changed"] = options.changed
    return context


def _notes(options: Options, measured: Measurements) -> list[str]:
    """What else a reader should know."""
    notes = [*measured.notes, *(f"{name}: failed. {why}" for name, why in measured.failed.items())]
    notes += [f"{name}: not applicable, {why}" for name, why in measured.not_applicable.items()]
    own = [name for name in measured.results if paper.keeps_features(name)]
    if own and (chosen := options.changed.get("features")):
        notes.append(f"features = {chosen}: left out where an experiment has features of its own, {', '.join(own)}")
    return notes


def _markdown(section: Section, record: Mapping[str, Any], notes: Sequence[str]) -> str:
    """tables.md: the tables, what may be concluded from each, and whatever else a reader should know."""
    parts = [f"{SYNTHETIC}\n"] if record["corpus"].get("synthetic") else []
    parts.append(section.markdown())
    for group, found in record["significance"].items():
        parts.append(f"### What may be concluded: {paper.TITLES[group]}\n\n" + _list(found["conclusions"]))
    settings = [f"{key}: {plain(value)}" for key, value in record["protocol"].items()]
    parts.append("## Protocol\n\n" + _list(settings))
    parts.append("## Audit\n\n" + _list(_findings(record["audit"])))
    parts += ["## Notes\n\n" + _list(notes)] if notes else []
    return "\n".join(parts)


def _findings(found: Sequence[Any] | None) -> list[str]:
    """What the audits of the runs found, a line each."""
    if found is None:
        return ["No audit was made of one of the runs: these splits were not checked for leaks."]
    return [f"{severity}: {text}" for severity, text in map(finding, found)] or ["The audit found nothing."]


def _list(lines: Sequence[str]) -> str:
    return "".join(f"- {cell(line)}\n" for line in lines)
