"""`duetto evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import report
from ..data.manifest import read_manifest
from ..errors import MissingExtraError
from ..evaluation import SystemResult, combine
from ..evaluation.product import RULES
from ..report import LISTED, ScoredResults, Sounds, Training, run_summary
from ..report.branches import branch_records, branch_section, named_branches
from ..report.curves import trainings
from ..report.sounds import MOST_EMBEDDED
from ..runs import branch_results, controls_of, reads_words, result_of
from .options import Asr, ManifestLabels, Reject, one_of
from .output import echo, json_line
from .score_models import Wanted, score_models

ResultFile = Annotated[
    Path | None, typer.Option("--result", help="With --manifest: result.npz to write (`evaluation.SystemResult`).")
]
GivenWords = Annotated[
    bool,
    typer.Option(
        "--given-words/--recognise", help="With --manifest: read its words or transcripts, or recognise the words."
    ),
]
Workers = Annotated[int | None, typer.Option(min=1, help="With --manifest: utterances at a time; by default cores.")]
Explain = Annotated[
    int,
    typer.Option(
        min=0, help="With --manifest: most confident wrong answers that the report explains, by what moved them."
    ),
]

CsvFile = Annotated[
    Path | None,
    typer.Option("--csv", help="CSV to write: every answer of every run, or of the one model with --manifest."),
]
Listed = Annotated[
    int, typer.Option("--list", min=0, help="Utterances that the report lists, the wrong answers first; 0 for no list.")
]
SoundCount = Annotated[
    int,
    typer.Option(
        "--sound", min=0, max=MOST_EMBEDDED, help="Utterances whose sound is put into the report, about 10 kB a second."
    ),
]
LinkSound = Annotated[bool, typer.Option("--link-sound", help="Link the listed utterances to their recordings.")]
Utterances = Annotated[
    Path | None,
    typer.Option(help="Manifest with texts and recordings for the list; by default what the runs keep."),
]


def evaluate(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders; several are compared with each other. With --manifest any models: run folders, exported "
            "folders, models that come with duetto.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Report to write; by default report.html in the first run.")
    ] = None,
    words: Annotated[
        list[Path] | None,
        typer.Option(help="Also score the runs that read words with the words of this manifest; may be repeated."),
    ] = None,
    fuse: Annotated[
        str | None,
        typer.Option(
            callback=one_of(RULES),
            help=f"Also score the runs joined, with nothing fitted: {' or '.join(RULES)} of their posteriors.",
        ),
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="As in `duetto train`.")] = None,
    csv: CsvFile = None,
    listed: Listed = LISTED,
    sound: SoundCount = 0,
    link_sound: LinkSound = False,
    utterances: Utterances = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Score the models on this labelled manifest; nothing is trained.")
    ] = None,
    labels: ManifestLabels = None,
    result: ResultFile = None,
    asr: Asr = "auto",
    reject: Reject = None,
    given_words: GivenWords = False,
    workers: Workers = None,
    explain: Explain = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per system, one per line.")] = False,
) -> None:
    """Score finished runs, or models on a labelled manifest: UA, WA, macro-F1 with 95 % intervals, and a report.

    With --manifest every model predicts the recordings as `duetto predict --any-sound` does. Utterances whose label is
    no class of the model are left out and counted, those without speech are counted; -o writes the report. Exit status
    1 where a recording could not be read. Of a run folder the model of its first seed is taken: on the run's own
    manifest that of the fold that tests each utterance, else that of the first fold, with test data that it was trained
    on marked as a leak.

    A fusion is shown beside its branches, with the paired difference from each. The report needs the extra `train`;
    without it, and without --out, only the figures are printed.

    Examples:

        duetto evaluate runs/fusion

        duetto evaluate runs/acoustic runs/fusion -o comparison.html

        duetto evaluate runs/acoustic runs/words --fuse product

        duetto align test.jsonl -o recognised.jsonl --by recognise

        duetto evaluate runs/fusion --words recognised.jsonl

        duetto evaluate runs/fusion --csv answers.csv --sound 50

        duetto evaluate emodb-ravdess --manifest mine.jsonl -o report.html --csv answers.csv

        duetto evaluate runs/acoustic exported/fusion --manifest mine.jsonl -o comparison.html

        duetto evaluate emodb-ravdess --manifest mine.jsonl -o report.html --explain 20
    """
    of_models = {"labels": labels, "result": result, "reject": reject, "given_words": given_words}
    of_models |= {"workers": workers, "explain": explain}
    if manifest is not None:
        if words or fuse or cache:
            raise typer.BadParameter("--words, --fuse and --cache belong to finished runs, without --manifest")
        score_models(Wanted(tuple(runs), manifest, report=out, csv=csv, asr=asr, as_json=as_json, **of_models))
        return
    if any(of_models.values()) or asr != "auto":
        raise typer.BadParameter(
            "--labels, --result, --asr, --reject, --given-words, --workers and --explain belong to --manifest, which "
            "is missing"
        )
    shown = {"listed": listed, "sounds": Sounds(sound, link_sound), "csv": csv}
    _evaluate_runs(runs, out, words or [], fuse, cache, as_json, utterances, shown)


def _evaluate_runs(
    runs: list[Path],
    out: Path | None,
    words: list[Path],
    fuse: str | None,
    cache: Path | None,
    as_json: bool,
    utterances: Path | None,
    shown: dict[str, Any],
) -> None:
    """Score finished runs; `shown` is what the report shows of single utterances."""
    results = run_summary.with_distinct_names(runs, [result_of(run) for run in runs])
    description = run_summary.common_description(runs, results)
    branches, curves = _branches(runs, results), _trainings(runs, results)
    if fuse:
        joined = " × ".join(result.system for result in results)
        results.append(combine(results, f"{fuse} of {joined}", rule=fuse))
    results += [branch for found in branches.values() for branch in found]
    results += _rescored(runs, words, cache)
    results += controls_of(runs[0])
    scored = report.score(results)
    known = run_summary.utterances_of(runs, utterances)
    findings = run_summary.findings_of(runs)
    context = run_summary.report_context(description, results, findings=findings, utterances=known)
    names = {fusion: [branch.system for branch in found] for fusion, found in branches.items()}
    beside = [branch_section(scored, names)] if names else []
    status = _write_report(
        out, runs[0] / "report.html", scored, {**context, **shown, "trainings": curves, "sections": beside}
    )
    if as_json:
        _print_records(scored, names)
    else:
        echo("\n".join([report.markdown(scored), *(section.markdown() for section in beside)]))
    echo(status, err=True)
    if shown["csv"] is not None:
        echo(f"utterances: {shown['csv']}", err=True)


def _trainings(runs: list[Path], results: list[SystemResult]) -> list[Training]:
    """Training curves of all runs, under the titles of the report."""
    return [found for run, result in zip(runs, results, strict=True) for found in trainings(run, result.title)]


def _branches(runs: list[Path], results: list[SystemResult]) -> dict[str, list[SystemResult]]:
    """Name of each fusion among the runs → results of its branches."""
    found = {
        result.system: named_branches(result, branch_results(run)) for run, result in zip(runs, results, strict=True)
    }
    return {name: branches for name, branches in found.items() if branches}


def _print_records(scored: ScoredResults, branches: dict[str, list[str]]) -> None:
    """One JSON object a system; that of a fusion also compares it with its branches."""
    for system in scored:
        name = system.result.system
        more = {"branches": branch_records(scored, name, branches[name])} if name in branches else {}
        json_line({**report.record(system), **more})


def _write_report(out: Path | None, default: Path, scored: ScoredResults, context: dict[str, Any]) -> str:
    """Write the report and return a status line; a missing extra is an error only with --out."""
    try:
        report.write(out or default, scored, **context)
    except MissingExtraError as error:
        if out is not None:
            raise
        return f"report: not written. {error}"
    return f"report: {out or default}"


def _rescored(runs: list[Path], manifests: list[Path], cache: Path | None) -> list[SystemResult]:
    """Every run that reads words, with the words of every manifest."""
    if not manifests:
        return []
    from ..experiments.rescore import rescore  # imported late: without --words, PyTorch is not needed
    from ..experiments.workspace import Workspace

    return [
        rescore(run, read_manifest(path), Workspace(cache or path.parent / "cache"), path.stem)
        for path in manifests
        for run in runs
        if reads_words(run)
    ]
