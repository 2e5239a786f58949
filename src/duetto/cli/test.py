"""`duetto test`: the behaviour of a model as tests that pass or fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import duetto

from .. import report
from ..behaviour import pages, thresholds
from ..behaviour.answers import digest_of
from ..behaviour.conditions import CONDITIONS
from ..behaviour.recordings import choose
from ..behaviour.suite import Plan, Tested, run
from ..behaviour.thresholds import THRESHOLDS, Limits
from ..inference.model_folder import find
from ..inference.own_folds import own_folds
from ..inference.pretrained import PRETRAINED
from ..inference.recogniser import Recogniser
from ..inference.training_data import trained_on, training_note
from ..utils.parallel import cores
from ..utils.progress import bar
from .manifests import read_labelled
from .options import Asr, ManifestLabels, usage_errors
from .output import echo, json_line
from .recogniser import open_recogniser


def test(
    model: Annotated[
        str,
        typer.Argument(
            help="A run folder, an exported folder, or a model that comes with duetto: " + ", ".join(PRETRAINED)
        ),
    ],
    manifest: Annotated[Path, typer.Option(help="JSONL manifest with labels.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for tests.json, tests.html, and answers, to resume.")
    ] = None,
    tests: Annotated[str, typer.Option(help=f"Groups of tests: {','.join(THRESHOLDS)}.")] = ",".join(THRESHOLDS),
    conditions: Annotated[
        str, typer.Option(help=f"Conditions of robustness: {','.join(CONDITIONS)}.", show_default="all")
    ] = ",".join(CONDITIONS),
    limits: Annotated[
        Path | None, typer.Option("--thresholds", help="TOML file of limits in the place of the defaults.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most utterances, drawn class by class.")] = None,
    seed: Annotated[int, typer.Option(help="Of this draw.")] = 0,
    labels: ManifestLabels = None,
    asr: Asr = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help="Recordings at a time; by default cores.")] = None,
    card: Annotated[
        Path | None, typer.Option(help="Markdown file, such as a model's README.md, whose section Behaviour to write.")
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 although a test fails.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per test, one per line.")] = False,
) -> None:
    """Test a model's behaviour: correctness, fairness, robustness, calibration, rejection.

    A test passes or fails only where its 95 % interval lies on one side of the limit; else it is not decided. Exit
    status 1 where a test fails or a recording could not be read. Answers are kept in -o: the same command, stopped,
    resumes, and other limits need no new answers.

    Examples:

        duetto test emodb-ravdess --manifest mine.jsonl -o tests

        duetto test runs/acoustic --manifest emodb.jsonl --tests correctness,fairness --limit 200

        duetto test exported --manifest mine.jsonl --thresholds limits.toml --card exported/README.md
    """
    chosen = thresholds.read(limits) if limits is not None else Limits()
    with usage_errors():
        plan = Plan(_names(tests), _names(conditions), chosen, limit, seed, workers or cores())
    if out is not None:
        report.require_html()
    tested, about = _tested(model, manifest, labels, asr, plan, out)
    if out is not None:
        pages.write(out, tested, about)
    if card is not None:
        pages.write_card(card, tested)
    _print(tested, out, as_json)
    if tested.errors or (tested.failed and not exit_zero):
        raise typer.Exit(1)


def _names(given: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))


def _tested(
    model: str, manifest: Path, labels: str | None, asr: str, plan: Plan, out: Path | None
) -> tuple[Tested, dict[str, Any]]:
    """The outcomes, and facts on the call."""
    utterances, note = read_labelled(manifest, labels), ""
    if folds := own_folds(model, utterances):
        model, utterances = str(folds[0].folder), list(folds[0].utterances)
        note = f"the manifest is the run's own: the {len(utterances):,} utterances that its first fold tests"
    recogniser = open_recogniser(model, asr, require_speech=False, reject=None)
    rejecting = Recogniser(model, asr=asr) if "rejection" in plan.groups else None
    asr = asr if recogniser.uses_words else ""
    made_by = {"model": digest_of(find(model)), "asr": asr, "duetto": duetto.__version__}
    chosen = choose(utterances, recogniser.labels, plan.most, plan.seed).utterances
    total = f"{len(chosen) * plan.passes:,} predictions"
    echo(f"{len(chosen):,} utterances × {plan.passes} conditions: {total}", err=True)
    with bar("predictions") as progress:
        tested = run(recogniser, rejecting, utterances, plan, made_by=made_by, folder=out, progress=progress)
    notes = (*filter(None, (note, training_note(trained_on(model, chosen)))), *tested.notes)
    tested = replace(tested, notes=notes)
    about = {
        "model": f"{model} ({made_by['model']})",
        "terms": recogniser.terms or "not known",
        "manifest": manifest.name,
        "labels": labels or "those of the manifest",
        "utterances": tested.utterances,
        "drawn": "all" if plan.most is None else f"at most {plan.most}, seed {plan.seed}",
        "own limits": {f"{g}.{t}": dict(v) for g, each in plan.limits.own.items() for t, v in each.items()} or "none",
        "least speakers": plan.limits.least_speakers,
        "least utterances": plan.limits.least_utterances,
    }
    return tested, about


def _print(tested: Tested, out: Path | None, as_json: bool) -> None:
    if as_json:
        for outcome in tested.outcomes:
            json_line({"model": tested.model, **outcome.to_json()})
    else:
        echo(pages.section(tested).markdown())
    for error in tested.errors:
        echo(f"error: {error}", err=True)
    if out is not None:
        echo(f"report: {out / pages.HTML}", err=True)
