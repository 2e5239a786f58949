"""The paper's tables, measured on the user's own corpus, with the paper's figures beside them.

    KIND:PATH ─ validate ─▶ utterances ─ Benchmark ─▶ systems × seeds ─▶ tables.json, tables.md, report.html
                                                   ─▶ protocols × systems ─▶ protocols.json, protocols.md

Nothing is trained twice: the same call resumes where it was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ... import report, splits
from ...errors import ConfigurationError, DuettoError
from ...evaluation import RESAMPLES
from ...utils import files
from ...utils.reading import read_json, shortened
from . import corpus, output, paper
from .benchmark import Benchmark, Measurements
from .corpus import LoadedCorpus
from .events import Event, Watch, silent
from .options import Options
from .output import Reproduction
from .paper import TABLES, select

__all__ = [
    "TABLES",
    "Event",
    "LoadedCorpus",
    "Measurements",
    "Options",
    "Reproduction",
    "Watch",
    "check_settings",
    "run",
    "select",
]

SETTINGS = "reproduce.json"
"""File of the folder that records how it was made; other options need another folder."""

_BEFORE = {"labels": "four"}  # of folders that were made when there was no choice

HEADLINE = ("fusion-speech2vec", "acoustic")
"""Compared under several protocols where no system is named: the first that is applicable."""


def run(
    kind: str,
    path: Path,
    out: Path,
    options: Options | None = None,
    *,
    watch: Watch = silent,
    resamples: int = RESAMPLES,
) -> Reproduction:
    """Validate the corpus, measure everything, and write tables and report.

    Args:
        kind: Kind of corpus, a key of `corpora.CORPORA`.
        path: Its folder, or its manifest.
        out: Folder to write to; the same call resumes it.
        options: What to measure, and how.
        watch: Receives each event.
        resamples: Number of bootstrap resamples.

    Returns:
        The tables and the files written.

    Raises:
        ConfigurationError: A name or setting is not valid, no system could be measured, or `out` was made with other
            options or is in use by another process.
        CorpusError: The corpus has errors, and `options.force` is false.
        DuettoError: As `Benchmark.measure`.
    """
    options = options or Options()
    report.require_html()
    names = select(options.systems)
    check_settings(names, options)

    def validated(done: int, total: int) -> None:
        watch(Event("corpus", "validate recordings", done, total))

    loaded = corpus.read(kind, path, labels=options.labels, force=options.force, progress=validated)
    out.mkdir(parents=True, exist_ok=True)
    with files.lock(out, busy="another process is training in it; wait for it, or choose another folder"):
        _record_settings(out, kind, options)
        benchmark = Benchmark(loaded, options, out, watch)
        measured = benchmark.measure(names, options.protocol or splits.default_protocol(loaded.utterances))
        compared, impossible = _side_by_side(benchmark, names, measured)
        return output.write(out, loaded, options, measured, compared, impossible, resamples=resamples)


def check_settings(names: Sequence[str], options: Options) -> None:
    """Check the settings of systems before anything is done.

    Args:
        names: Systems, baselines and late fusions.
        options: With the settings.

    Raises:
        ConfigurationError: A setting is not valid.
    """
    paper.parsed(options.settings)  # also where only baselines are measured, which have no settings
    for name in names:
        if name not in paper.fusions():
            options.configured(name)


def _record_settings(out: Path, kind: str, options: Options) -> None:
    """Record how a folder is made; refuse one that was made otherwise."""
    settings = {
        "corpus": kind,
        "seeds": options.seeds,
        "epochs": options.epochs,
        "settings": sorted(options.settings),
        "labels": options.labels,
        "vectors": {name: str(path.absolute()) for name, path in sorted(options.vectors.items())},
    }
    file = out / SETTINGS
    if not file.is_file() or not file.stat().st_size:  # a power cut leaves it empty
        files.write_text(file, json.dumps(settings, indent=1))
        return
    repair = (
        "so it can't be known how this folder was made; delete the file to go on with the options given (runs "
        "of others are refused one by one), or choose another folder"
    )
    before = read_json(file, error=ConfigurationError, repair=repair)
    for key, value in settings.items():
        if before.get(key, _BEFORE.get(key)) != value:
            raise ConfigurationError(
                f"{out} was made with {key} = {shortened(before.get(key), 200)}, not {value!r}; choose another "
                "folder, or the same options to go on"
            )


def _side_by_side(
    benchmark: Benchmark, names: Sequence[str], main: Measurements
) -> tuple[list[Measurements], dict[str, str]]:
    """Measure the systems under every protocol of the options; also protocol → why the corpus does not allow it."""
    options, found, impossible = benchmark.options, [], {}
    if options.systems == ("all",):
        names = [name for name in HEADLINE if name in main.results][:1]
    for protocol in options.protocols:
        try:
            found.append(main if protocol == main.protocol else benchmark.measure(names, protocol, leaking_twins=False))
        except DuettoError as error:
            impossible[protocol] = str(error)
    return [_only(measured, names) for measured in found], impossible


def _only(measured: Measurements, names: Sequence[str]) -> Measurements:
    return replace(measured, results={name: r for name, r in measured.results.items() if name in names}, leaks=[])
