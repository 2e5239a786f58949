"""`duetto train` and `duetto evaluate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import audit, report, splits
from ..baselines import Baseline
from ..config import experiment
from ..config.experiment import Experiment
from ..data.manifest import read_manifest
from ..data.utterance import Utterance
from ..embeddings import vectors as word_vectors
from ..evaluation import SystemResult
from ..report import run_summary
from ..report.run_summary import _one_test, _told_apart
from ..runs import reads_words, result_of
from ..utils.progress import steps
from .output import echo, json_line

if TYPE_CHECKING:
    from ..experiments.workspace import Workspace

Strict = Annotated[bool, typer.Option("--strict", help="Refuse --vectors with words doubled, empty or no UTF-8.")]


def train(
    system: Annotated[str, typer.Argument(help="A system, a baseline, or an experiment file (TOML).")],
    manifest: Annotated[Path, typer.Option(help="JSONL manifest; write one with `duetto corpus manifest`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to write; the same command resumes it.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key of the experiment, KEY=VALUE; may be repeated.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="How to split: " + ", ".join(splits.PROTOCOLS))] = "session5",
    seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, counted up from the first.")] = 1,
    vectors: Annotated[
        Path | None, typer.Option(help="Word vectors to start from (word2vec, GloVe or fastText format).")
    ] = None,
    strict: Strict = False,
    cache: Annotated[
        Path | None, typer.Option(help="Features and vectors, shared by all runs; beside the manifest by default.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train folds and seeds side by side.")] = 1,
    accelerator: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "cpu",
    devices: Annotated[int, typer.Option(min=1, help="Processes, each with a device of its own.")] = 1,
    declare_leak: Annotated[
        bool, typer.Option("--declare-leak", help="Train although test data leak; results are marked as such.")
    ] = False,
) -> None:
    """Train a system on every fold of a protocol, and score its test data.

    Systems: acoustic; embedding-KIND and fusion-KIND, where KIND is speech2vec, word2vec, spoken or random; and
    those beyond the paper, such as fusion-confidence, mcnn, waveform-cnn and acoustic-distilled (docs/systems.md
    lists all). Vectors are trained on the training part unless --vectors brings them. The run folder then holds a
    model for `duetto predict`, the result for `duetto evaluate`, and TensorBoard logs.

    Baselines: svm, hmm, dnn-elm, evector, evector-acoustic. They are fitted on the CPU in this process; their run
    folder holds the result for `duetto evaluate` alone.

    Examples:

        duetto train acoustic --manifest emodb.jsonl --protocol speaker -o runs/acoustic

        duetto train acoustic --set normalisation=speaker --manifest emodb.jsonl --protocol speaker -o runs/by-speaker

        duetto train fusion-speech2vec --manifest iemocap.jsonl --seeds 5 -o runs/fusion

        duetto train svm --manifest emodb.jsonl --protocol speaker -o runs/svm

        duetto train my-system.toml --manifest iemocap.jsonl --vectors speech2vec/50.vec -o runs/mine
    """
    from ..experiments.runner import named
    from ..experiments.workspace import Workspace

    computing = {"workers": workers, "accelerator": accelerator, "devices": devices}
    chosen = _checked(named(system), settings or [], vectors, computing, strict)
    brought = {_reader(chosen).embeddings: vectors} if vectors is not None and isinstance(chosen, Experiment) else None
    with steps() as step:
        shop = Workspace(cache or manifest.parent / "cache", vectors=brought, step=step, say=partial(echo, err=True))
        numbers = range(seed, seed + seeds)
        result = _run(chosen, read_manifest(manifest), protocol, out, shop, numbers, declare_leak, computing)
    _print([result])
    if checked := audit.load(out):
        echo(f"audit: {checked.summary()}; see: duetto audit {out}", err=True)
    echo(f"run folder: {out}", err=True)


def _checked(
    chosen: Experiment | Baseline, settings: list[str], vectors: Path | None, computing: dict[str, Any], strict: bool
) -> Experiment | Baseline:
    """The system with its settings changed; an option that it has no use for is refused."""
    if isinstance(chosen, Baseline):
        if settings or vectors or computing != {"workers": 1, "accelerator": "cpu", "devices": 1}:
            raise typer.BadParameter(
                f"{chosen.name!r} is a baseline: --set, --vectors, --workers, --accelerator and --devices do not apply"
            )
        return chosen
    changed = experiment.with_overrides(chosen, settings)
    if vectors is not None and _reader(changed).embeddings not in ("file", "word2vec", "speech2vec"):
        raise typer.BadParameter(f"system {changed.name!r} reads no vectors from a file")
    if strict and vectors is not None:
        word_vectors.load(vectors, strict=True)
    return changed


def _reader(chosen: Experiment) -> Experiment:
    """Whose word vectors --vectors brings: a distilled system's teacher's, or its own."""
    return experiment.teacher_of(chosen) or chosen


def _run(
    chosen: Experiment | Baseline,
    utterances: list[Utterance],
    protocol: str,
    out: Path,
    shop: Workspace,
    seeds: range,
    declare_leak: bool,
    computing: dict[str, Any],
) -> SystemResult:
    from ..experiments.runner import run_baseline, run_systems

    if isinstance(chosen, Baseline):
        return run_baseline(chosen, utterances, protocol, out, shop, seeds=seeds, declare_leak=declare_leak)
    return run_systems(
        [chosen], utterances, protocol, [out], shop, seeds=seeds, declare_leak=declare_leak, **computing
    )[0]


def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several are compared with each other.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write report.html; in the first run by default.")
    ] = None,
    words: Annotated[
        list[Path] | None,
        typer.Option(help="Score the runs that read words with those of this manifest too; may be repeated."),
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="As in `duetto train`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a system, a line each.")] = False,
) -> None:
    """Score finished runs: UA, WA, macro-F1 with 95 % intervals, and a report to open in a browser.

    Examples:

        duetto evaluate runs/fusion

        duetto evaluate runs/acoustic runs/fusion -o comparison.html

        duetto align test.jsonl -o recognised.jsonl --by recognise

        duetto evaluate runs/fusion --words recognised.jsonl
    """
    results = _told_apart(runs, [result_of(run) for run in runs])
    described = _one_test(runs, results)
    results += _with_other_words(runs, words or [], cache)
    results += run_summary.controls_of(runs[0])
    page = out or runs[0] / "report.html"
    context = run_summary.report_context(described, results, findings=run_summary.findings_of(runs))
    report.write(page, results, **context)
    if as_json:
        for result in results:
            json_line(report.record(result))
    else:
        _print(results)
    echo(f"report: {page}", err=True)


def _with_other_words(runs: list[Path], manifests: list[Path], cache: Path | None) -> list[SystemResult]:
    if not manifests:
        return []
    from ..experiments.rescore import rescore  # here, since finished runs alone are scored without PyTorch
    from ..experiments.workspace import Workspace

    return [
        rescore(run, read_manifest(path), Workspace(cache or path.parent / "cache"), path.stem)
        for path in manifests
        for run in runs
        if reads_words(run)
    ]


def _print(results: list[SystemResult]) -> None:
    echo(report.markdown(results))
