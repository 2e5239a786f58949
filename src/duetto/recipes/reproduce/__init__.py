"""The paper's tables, measured on the user's own corpus, with the paper's figures beside them.

    KIND:PATH ─ doctor ─▶ utterances ─ Bench ─▶ systems × seeds ─▶ tables.json, tables.md, report.html
                                              ─▶ protocols × systems ─▶ protocols.json, protocols.md

Nothing is trained twice: the same call goes on where it was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ... import report
from ...errors import ConfigurationError, DuettoError
from ...evaluation import RESAMPLES
from ...report import run_summary
from ...report.formatting import cell, finding, plain
from ...utils import files
from ...utils.reading import Record, read_json, shortened
from . import corpus, paper, protocols, tables
from .bench import Bench, Event, Measured, Options, Watch
from .corpus import Material
from .paper import TABLES, select

__all__ = ["TABLES", "Event", "Material", "Measured", "Options", "Reproduction", "Watch", "run", "select"]

SETTINGS = "reproduce.json"
"""File of the folder that says how it was made; other options need another folder."""

HEADLINE = ("fusion-speech2vec", "acoustic")
"""Compared under several protocols where no system is named: the first that is applicable."""


@dataclass(frozen=True)
class Reproduction:
    """What a call leaves. tables: as in tables.json. text: the same for people. files: what was written. failed:
    system and protocol → why."""

    tables: Mapping[str, Any]
    text: str
    measured: Measured
    files: tuple[Path, ...]
    failed: Mapping[str, str]


def silent(_: Event) -> None:
    """A `Watch` that shows nothing."""


def run(
    kind: str,
    path: Path,
    out: Path,
    options: Options | None = None,
    *,
    watch: Watch = silent,
    resamples: int = RESAMPLES,
) -> Reproduction:
    """Examine the corpus, measure everything, write tables and report into `out`; see `Options`.

    Errors: what `corpus.read` and `measure.Bench.measure` refuse; names and settings that are not valid; a folder
    that was made with other options, or in which another process works.
    """
    options = options or Options()
    names = select(options.systems)
    paper.parsed(options.settings)  # also where only baselines are measured, which have none
    for name in names:
        if name not in paper.fusions():
            options.configured(name)  # an invalid setting is an error before anything is done

    def examined(done: int, total: int) -> None:
        watch(Event("corpus", "examine recordings", done, total))

    material = corpus.read(kind, path, force=options.force, progress=examined)
    out.mkdir(parents=True, exist_ok=True)
    with files.lock(out, busy="another process is training in it; wait for it, or choose another folder"):
        _remember(out, kind, options)
        bench = Bench(material, options, out, watch)
        measured = bench.measure(names, options.protocol)
        compared, impossible = _side_by_side(bench, names, measured)
        return _written(out, material, options, measured, compared, impossible, resamples)


def _remember(out: Path, kind: str, options: Options) -> None:
    """Note how a folder is made; refuse to go on in one that was made otherwise."""
    made = {
        "corpus": kind,
        "seeds": options.seeds,
        "epochs": options.epochs,
        "settings": sorted(options.settings),
        "vectors": {name: str(path.absolute()) for name, path in sorted(options.vectors.items())},
    }
    file = out / SETTINGS
    if file.is_file() and file.stat().st_size:  # a power cut leaves it empty
        before = _made(file)
        for key, value in made.items():
            if before.get(key) != value:
                raise ConfigurationError(
                    f"{out} was made with {key} = {shortened(before.get(key), 200)}, not {value!r}; choose another "
                    "folder, or the same options to go on"
                )
        return
    files.write_text(file, json.dumps(made, indent=1))


def _made(file: Path) -> Record:
    return read_json(
        file,
        error=ConfigurationError,
        repair="so it can't be known how this folder was made; delete the file to go on with the options given (runs "
        "of others are refused one by one), or choose another folder",
    )


def _side_by_side(bench: Bench, names: Sequence[str], main: Measured) -> tuple[list[Measured], dict[str, str]]:
    """The systems under every protocol that was named, and why others are not possible here."""
    options, found, impossible = bench.options, [], {}
    if options.systems == ("all",):
        names = [name for name in HEADLINE if name in main.results][:1]
    for protocol in options.protocols:
        try:
            found.append(main if protocol == main.protocol else bench.measure(names, protocol, twins=False))
        except DuettoError as error:
            impossible[protocol] = str(error)
    return [_only(measured, names) for measured in found], impossible


def _only(measured: Measured, names: Sequence[str]) -> Measured:
    return replace(measured, results={name: r for name, r in measured.results.items() if name in names}, leaks=[])


def _written(
    out: Path,
    material: Material,
    options: Options,
    measured: Measured,
    compared: Sequence[Measured],
    impossible: Mapping[str, str],
    resamples: int,
) -> Reproduction:
    """Write every file, and say what was written."""
    context = _context(material, options, measured)
    everything = tables.everything(measured)
    gaps = tables.comparable(material.kind, context["corpus"]["synthetic"], measured.protocol)
    notes = _notes(options, measured)
    record = tables.record(measured, context, resamples)
    sections = [tables.section(measured, gaps, resamples)]
    sections += [protocols.section(compared, impossible, resamples)] if compared else []
    groups = {tables.TITLES[g]: [r.system for r in tables.compared(measured, g)] for g in tables.TITLES}
    page = out / "report.html"
    report.write(
        page,
        everything if gaps else [replace(result, paper_ua=None) for result in everything],
        **context,
        notes=notes,
        sections=sections,
        comparisons={title: names for title, names in groups.items() if names},
        resamples=resamples,
    )
    written = {
        out / "tables.json": json.dumps(record, indent=1, ensure_ascii=False),
        out / "tables.md": _markdown(sections[0], record, notes),
    }
    if compared:
        record_of_protocols = protocols.record(compared, impossible, resamples)
        written[out / "protocols.json"] = json.dumps(record_of_protocols, indent=1, ensure_ascii=False)
        written[out / "protocols.md"] = sections[1].markdown()
    for path, content in written.items():
        files.write_text(path, content)
    text = "\n".join(section.markdown() for section in sections)
    failed = {f"{name} ({m.protocol})": why for m in (measured, *compared) for name, why in m.failed.items()}
    return Reproduction(record, text, measured, (*written, page), failed)


def _context(material: Material, options: Options, measured: Measured) -> dict[str, Any]:
    """What the report says of corpus, protocol and audit. Errors: that nothing was measured, and why."""
    if measured.run is None:
        reasons = "; ".join(f"{n}: {why}" for n, why in {**measured.left_out, **measured.failed}.items())
        raise ConfigurationError(f"no system could be measured. {reasons}")
    found = run_summary.findings_of(list(measured.folders))
    context = run_summary.report_context(measured.run, tables.everything(measured), findings=found)
    context["title"] = f"Speech emotion recognition, protocol {measured.protocol}"
    context["corpus"]["name"] = material.name
    context["protocol"]["changed"] = options.changed
    return context


def _notes(options: Options, measured: Measured) -> list[str]:
    """What else a reader should know."""
    notes = [*measured.notes, *(f"{name}: failed. {why}" for name, why in measured.failed.items())]
    notes += [f"{name}: not applicable, {why}" for name, why in measured.left_out.items()]
    own = [name for name in measured.results if paper.keeps_features(name)]
    if own and (chosen := options.changed.get("features")):
        notes.append(f"features = {chosen}: left out where an experiment has features of its own, {', '.join(own)}")
    return notes


def _markdown(section: report.Section, record: Mapping[str, Any], notes: Sequence[str]) -> str:
    """tables.md: the tables, what may be concluded from each, and whatever else a reader should know."""
    parts = []
    if record["corpus"].get("synthetic"):
        parts.append("**The corpus is synthetic: these figures show that the software works, and nothing else.**\n")
    parts.append(section.markdown())
    for group, found in record["significance"].items():
        parts.append(f"### What may be concluded: {tables.TITLES[group]}\n\n" + _list(found["conclusions"]))
    settings = [f"{key}: {plain(value)}" for key, value in record["protocol"].items()]
    parts.append("## Protocol\n\n" + _list(settings))
    parts.append("## Audit\n\n" + _list(_findings(record["audit"])))
    parts += ["## Notes\n\n" + _list(notes)] if notes else []
    return "\n".join(parts)


def _findings(found: Sequence[Any] | None) -> list[str]:
    """What the audits of the runs found, a line each."""
    if found is None:
        return ["No audit was made of one of the runs: nobody has checked these splits for leaks."]
    return [f"{severity}: {text}" for severity, text in map(finding, found)] or ["The audit found nothing."]


def _list(lines: Sequence[str]) -> str:
    return "".join(f"- {cell(line)}\n" for line in lines)
