"""`duetto evaluate MODEL --manifest FILE`: models that are there already, scored on a labelled corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from .. import report
from ..data.utterance import Utterance
from ..errors import DuettoError
from ..evaluation import SystemResult
from ..inference.own_folds import joined, own_folds
from ..inference.recogniser import Recogniser
from ..inference.scoring import Scored, report_context, score_utterances
from ..inference.wrong_answers import explained, most_confident_errors
from ..report import ScoredResults, effects, run_summary
from ..utils.parallel import cores
from ..utils.progress import bar
from .manifests import read_labelled
from .output import echo, json_line
from .recogniser import open_recogniser

Opened = dict[str, Recogniser]
"""Utterance id → what answered; kept for explanations."""


@dataclass(frozen=True)
class Wanted:
    """What to predict, and what to write.

    Attributes:
        models: Names or folders of models.
        manifest: Of the labelled corpus.
        labels: Value of `--labels`; None for the labels of the manifest.
        report: HTML file to write; None for none.
        csv: CSV file to write, one line for each utterance; None for none.
        result: npz file to write; None for none.
        asr: See `duetto.load`.
        reject: Value of `--reject`.
        given_words: Whether models read the words of the manifest.
        workers: Utterances at a time; None for the number of cores.
        explain: Wrong answers of each model that the report explains.
        as_json: Whether to print JSON.
    """

    models: tuple[Path, ...]
    manifest: Path
    labels: str | None = None
    report: Path | None = None
    csv: Path | None = None
    result: Path | None = None
    asr: str = "auto"
    reject: str | None = None
    given_words: bool = False
    workers: int | None = None
    explain: int = 0
    as_json: bool = False


def score_models(wanted: Wanted) -> None:
    """Predict, print the figures, and write what is wanted.

    Args:
        wanted: See there.

    Raises:
        BadParameter: A file of one model is wanted of several.
        Exit: An utterance has no prediction (exit status 1).
        ModelError: A model is missing, damaged or unfinished.
        CorpusError: The manifest cannot be read.
    """
    if len(wanted.models) > 1 and (wanted.csv or wanted.result):
        raise typer.BadParameter("--csv and --result are files of one model; give one")
    if wanted.explain and wanted.report is None:
        raise typer.BadParameter("--explain is a part of the report; give -o FILE")
    if wanted.report is not None:
        report.require_html()
    utterances = read_labelled(wanted.manifest, wanted.labels)
    opened: list[Opened] = [{} for _ in wanted.models]
    scored = [_scored(model, utterances, wanted, o) for model, o in zip(wanted.models, opened, strict=True)]
    results = run_summary.with_distinct_names(wanted.models, [each.result() for each in scored])
    if wanted.result is not None:
        results[0].save(wanted.result)
    if wanted.csv is not None:
        scored[0].save_csv(wanted.csv)
    table = report.score(results)
    if wanted.report is not None:
        sections = [
            effects.section(each.model, _explained(each, wanted, o))
            for each, o in zip(scored, opened, strict=True)
            if wanted.explain
        ]
        report.write(wanted.report, table, sections=sections, **report_context(scored, wanted.manifest, utterances))
    _print(table, scored, results, wanted)
    if any(each.errors for each in scored):
        raise typer.Exit(1)


def _scored(model: Path, utterances: list[Utterance], wanted: Wanted, opened: Opened) -> Scored:
    """Predictions of a model; on a run's own manifest each utterance by the model of the fold that tests it."""
    folds = own_folds(str(model), utterances)
    if not folds:
        return _predicted(model, utterances, wanted, opened)
    parts = [_predicted(fold.folder, fold.utterances, wanted, opened) for fold in folds]
    return joined(str(model), folds, parts, utterances)


def _predicted(model: Path, utterances: Sequence[Utterance], wanted: Wanted, opened: Opened) -> Scored:
    recogniser = open_recogniser(str(model), wanted.asr, require_speech=False, reject=wanted.reject)
    if wanted.explain:
        opened |= dict.fromkeys((u.id for u in utterances), recogniser)
    with bar(f"predict with {model}") as progress:
        workers = wanted.workers or cores()
        given = wanted.given_words
        return score_utterances(recogniser, utterances, given_words=given, workers=workers, progress=progress)


def _explained(scored: Scored, wanted: Wanted, opened: Opened) -> list[effects.ExplainedAnswer]:
    """Wrong answers with what moved them; one that can't be explained is printed, and left out."""
    chosen, found = most_confident_errors(scored, wanted.explain), []
    with bar(f"explain {scored.model}") as progress:
        for done, (utterance, prediction) in enumerate(chosen, 1):
            answer = explained(opened[utterance.id], utterance, prediction, given_words=wanted.given_words)
            if isinstance(answer, DuettoError):
                echo(f"error: {answer}", err=True)
            else:
                found.append(answer)
            if progress:
                progress(done, len(chosen))
    return found


def _print(table: ScoredResults, scored: list[Scored], results: list[SystemResult], wanted: Wanted) -> None:
    if wanted.as_json:
        by_name = {result.system: each for result, each in zip(results, scored, strict=True)}
        for system in table:
            json_line({**report.record(system), **_facts(by_name[system.result.system])})
    else:
        echo(report.markdown(table))
    for each in scored:
        for error in each.errors:
            echo(f"error: {error}", err=True)
        for note in each.notes:
            echo(f"{each.model}: {note}", err=True)
    for what, path in (("report", wanted.report), ("result", wanted.result), ("utterances", wanted.csv)):
        if path is not None:
            echo(f"{what}: {path}", err=True)


def _facts(scored: Scored) -> dict[str, Any]:
    return {
        "model": scored.model,
        "predicted": len(scored.predictions),
        "other_labels": scored.other_labels,
        "unlabelled": scored.unlabelled,
        "errors": len(scored.errors),
        "without_speech": scored.without_speech,
        "trained_on": scored.trained_on,
    }
