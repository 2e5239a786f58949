"""`duetto train`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import audit, report, splits
from ..baselines import BASELINES, Baseline
from ..config import experiment
from ..config.accelerators import ENGINES
from ..config.experiment import Experiment
from ..config.fusion import Fusion, branch_experiments, fusion_with_overrides
from ..corpora.relabelling import relabel
from ..data.manifest import read_manifest
from ..data.utterance import Utterance
from ..embeddings import vectors as word_vectors
from ..evaluation import SystemResult
from ..runs import name_corpus
from ..utils.progress import Progress, steps
from .options import Accelerator, DeclareLeak, Devices, ManifestLabels, Strict, TrainWorkers, one_of, usage_errors
from .output import echo

if TYPE_CHECKING:
    from ..experiments.split import AuditedSplit

_DEFAULT_RESOURCES = {"workers": 1, "accelerator": "cpu", "devices": 1, "engine": "processes"}

System = Annotated[
    str,
    typer.Argument(
        help="A system, a fusion of systems, a baseline, or a TOML file of one. Baselines: " + ", ".join(BASELINES)
    ),
]
Manifest = Annotated[Path, typer.Option(help="JSONL manifest; write one with `duetto corpus manifest`.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Run folder to write; the same command resumes it.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Change a key of the experiment, KEY=VALUE; may be repeated.")
]
Protocol = Annotated[
    str | None,
    typer.Option(
        callback=one_of(splits.PROTOCOLS),
        help=f"How to split the corpus: {', '.join(splits.PROTOCOLS)}. By default split where the corpus has a "
        "division of its own with new test speakers, session5 where it has sessions, else speaker.",
    ),
]
Test = Annotated[
    Path | None,
    typer.Option(help="Manifest to test on, instead of a protocol: train on --manifest less its development speakers."),
]
EmoBox = Annotated[
    Path | None, typer.Option("--folds", help="Folder of EmoBox' fold files (fold_1, …), instead of a protocol.")
]
Seed = Annotated[int, typer.Option(help="The first seed.")]
Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds, counted up from the first.")]
UserVectors = Annotated[
    Path | None, typer.Option(help="Word vectors to start from, in word2vec, GloVe or fastText format.")
]
Engine = Annotated[
    str,
    typer.Option(
        callback=one_of(ENGINES),
        help="Who trains: processes of this computer; or Ray tasks, of the cluster that RAY_ADDRESS names.",
    ),
]
Cache = Annotated[
    Path | None, typer.Option(help="Features and vectors, shared by all runs; beside the manifest by default.")
]


def train(
    system: System,
    manifest: Manifest,
    out: Out,
    settings: Settings = None,
    labels: ManifestLabels = None,
    protocol: Protocol = None,
    test: Test = None,
    folds: EmoBox = None,
    seed: Seed = 0,
    seeds: Seeds = 1,
    vectors: UserVectors = None,
    strict: Strict = False,
    cache: Cache = None,
    workers: TrainWorkers = 1,
    accelerator: Accelerator = "cpu",
    devices: Devices = 1,
    engine: Engine = "processes",
    declare_leak: DeclareLeak = False,
) -> None:
    """Train a system on every fold of a protocol, and score its test data.

    Systems: acoustic; embedding-KIND and fusion-KIND, where KIND is speech2vec, word2vec, spoken or random; and
    those beyond the paper, such as fusion-confidence, mcnn, waveform-cnn and acoustic-distilled (docs/systems.md
    lists all). fusion-calibrated trains each of its branches by itself and joins their posteriors; --set branches=A,B
    names other systems to join, and any other --set changes all of them. Word vectors are trained on the training part
    unless --vectors names a file. The run folder then holds a model for `duetto predict`, the result for `duetto
    evaluate`, and TensorBoard logs.

    Baselines are fitted on the CPU in this process; they predict and export like other systems, and TensorBoard logs
    and word vectors do not apply to them.

    Examples:

        duetto train acoustic --manifest emodb.jsonl --protocol speaker -o runs/acoustic

        duetto train acoustic --set normalisation=speaker --manifest emodb.jsonl --protocol speaker -o runs/by-speaker

        duetto train fusion-speech2vec --manifest iemocap.jsonl --seeds 5 -o runs/fusion

        duetto train fusion-calibrated --set branches=acoustic,mcnn --manifest iemocap.jsonl -o runs/calibrated

        duetto train svm --manifest emodb.jsonl --protocol speaker -o runs/svm

        duetto train functionals --labels seven --manifest corpus.jsonl --protocol speaker -o runs/seven

        duetto train acoustic --manifest emodb.jsonl --test ravdess.jsonl -o runs/emodb-to-ravdess

        duetto train acoustic --manifest joined.jsonl --protocol corpus -o runs/leave-one-corpus-out

        duetto train functionals --manifest emodb.jsonl --folds EmoBox/data/emodb -o runs/emobox

        duetto train my-system.toml --manifest iemocap.jsonl --vectors speech2vec/50.vec -o runs/mine
    """
    resources = {"workers": workers, "accelerator": accelerator, "devices": devices, "engine": engine}
    options = {"seeds": range(seed, seed + seeds), "declare_leak": declare_leak}
    chosen = _system(system, settings or [], vectors, resources)
    if strict and vectors is not None:
        word_vectors.load(vectors, strict=True)
    if sum(given is not None for given in (protocol, test, folds)) > 1:
        raise typer.BadParameter("--protocol, --test and --folds each state how to split; give one")
    utterances, options["label_set"] = _utterances(manifest, labels)
    target = None if test is None else _utterances(test, labels)[0]
    name = manifest.stem if test is None else f"{manifest.stem} → {test.stem}"
    how = _Split(utterances, protocol, target, folds, name)
    result = _run(chosen, how, out, cache or manifest.parent / "cache", vectors, resources, options)
    name_corpus(out, manifest.stem if manifest.stem != "manifest" else manifest.absolute().parent.name)
    echo(report.markdown([result]))
    if findings := audit.load(out):
        echo(f"audit: {findings.summary()}; see: duetto audit {out}", err=True)
    echo(f"run folder: {out}", err=True)


def _system(
    name: str, settings: list[str], vectors: Path | None, resources: dict[str, Any]
) -> Experiment | Fusion | Baseline:
    """The system of a name with its settings changed; an option that does not apply to it is wrong usage."""
    from ..experiments.systems import named

    with usage_errors():
        system = named(name)
        if isinstance(system, Experiment):
            system = experiment.with_overrides(system, settings)
        elif isinstance(system, Fusion):
            system = fusion_with_overrides(system, settings)
        readers = _vector_readers(system)
    if isinstance(system, Baseline):
        if settings or vectors or resources != _DEFAULT_RESOURCES:
            raise typer.BadParameter(
                f"{name!r} is a baseline: --set, --vectors, --workers, --accelerator, --devices and --engine do not "
                "apply"
            )
    elif vectors is not None and not readers:
        raise typer.BadParameter(f"system {system.name!r} reads no vectors from a file")
    return system


def _vector_readers(system: Experiment | Fusion | Baseline) -> list[Experiment]:
    """The experiments that read --vectors: a system, or the teacher of a distilled one; those among the branches."""
    if isinstance(system, Baseline):
        return []
    systems = branch_experiments(system, BASELINES) if isinstance(system, Fusion) else (system,)
    readers = [experiment.teacher_of(e) or e for e in systems]
    return [e for e in readers if e.embeddings in ("file", "word2vec", "speech2vec")]


@dataclass(frozen=True)
class _Split:
    """Utterances, and how they are divided: by a protocol, by fold files, or with a target corpus as test data."""

    utterances: list[Utterance]
    protocol: str | None
    target: list[Utterance] | None
    folds: Path | None
    name: str


def _utterances(manifest: Path, labels: str | None) -> tuple[list[Utterance], str | None]:
    """The utterances of a manifest and their label set; None for that of the system."""
    utterances = read_manifest(manifest)
    if labels is None:
        return utterances, None
    found = relabel(utterances, labels)
    counts = Counter(utterance.label or "left out" for utterance in found.utterances)
    described = ", ".join(f"{name} {counts[name]}" for name in (*found.classes, "left out"))
    echo(f"labels {labels}: {described}", err=True)
    return found.utterances, found.label_set


def _run(
    system: Experiment | Fusion | Baseline,
    how: _Split,
    out: Path,
    cache: Path,
    vectors: Path | None,
    resources: dict[str, Any],
    options: dict[str, Any],
) -> SystemResult:
    from ..experiments.baseline_runner import run_baseline
    from ..experiments.fusion_runner import run_fusion
    from ..experiments.runner import run_systems
    from ..experiments.systems import with_label_set
    from ..experiments.workspace import Workspace

    supplied = None if vectors is None else {e.embeddings: vectors for e in _vector_readers(system)}
    label_set = options.pop("label_set")
    if label_set is not None:
        system = with_label_set(system, label_set)
    with steps() as progress:
        notify = partial(echo, err=True)
        workspace = Workspace(cache, vectors=supplied, progress=progress, notify=notify)
        dimensions = system.dimensions if isinstance(system, Experiment) else ()
        split = _split(how, dimensions, options["declare_leak"], progress)
        given = {"split": split, **options}
        if isinstance(system, Baseline):
            label_set = label_set or "four"
            return run_baseline(system, split.utterances, split.protocol, out, workspace, label_set=label_set, **given)
        if isinstance(system, Fusion):
            return run_fusion(system, split.utterances, split.protocol, out, workspace, **given, **resources)
        return run_systems([system], split.utterances, split.protocol, [out], workspace, **given, **resources)[0]


def _split(
    how: _Split, dimensions: tuple[str, ...], declare_leak: bool, progress: Callable[[str], Progress | None]
) -> AuditedSplit:
    """The audited split that --protocol, --test or --folds asks for."""
    from ..experiments.split import audited_emobox, audited_split, audited_transfer

    bar = progress("audit the split")
    if how.target is not None:
        return audited_transfer(how.utterances, how.target, how.name, declare_leak=declare_leak, progress=bar)
    if how.folds is not None:
        return audited_emobox(how.utterances, how.folds, declare_leak=declare_leak, progress=bar)
    protocol = how.protocol
    if protocol is None:
        protocol = splits.default_protocol(how.utterances)
        echo(f"protocol: {protocol} (--protocol chooses another)", err=True)
    return audited_split(how.utterances, protocol, dimensions=dimensions, declare_leak=declare_leak, progress=bar)
