"""The whole pipeline on a small corpus of synthetic speech: corpus, features, training, report, prediction.

    corpus ─ validate ─▶ manifest ─ features ─▶ systems × seeds ─▶ report.html ─▶ one recording recognised
                                             fusion × seeds ────┘

How much of the emotion the audio, the words, and both together carry is part of the synthesis, so that every figure
stands beside the best one possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import corpora, report, runs, synthetic
from ..asr.annotate import find_words, language_model_of
from ..asr.engines import RecogniserConfig
from ..config import experiment
from ..config.fusion import load_fusion
from ..corpora import validate
from ..data.labels import classes
from ..data.manifest import write_manifest
from ..data.utterance import Utterance
from ..errors import ConfigurationError, CorpusError
from ..evaluation import SystemResult
from ..experiments.fusion_runner import run_fusion
from ..experiments.rescore import rescore
from ..experiments.runner import run_systems
from ..experiments.split import audited_split
from ..experiments.workspace import StepProgress, Workspace, silent
from ..inference.recogniser import Prediction, Recogniser
from ..report import ScoredResults, run_summary
from ..report.branches import branch_section, named_branches
from ..report.sections import Section
from ..splits import Fold
from ..training.word_embeddings import EmbeddingConfig

DEMO_SYSTEMS = (
    "acoustic",
    "embedding-speech2vec",
    "embedding-word2vec",
    "embedding-spoken",
    "embedding-random",
    "fusion-speech2vec",
    "fusion-word2vec",
    "fusion-spoken",
    "fusion-random",
)
"""Systems that are trained: those of the paper."""

FUSION, INNER_FOLDS = "fusion-calibrated", 3
"""The recommended system, trained beside them; it takes fewer inner folds than by default, to be quick."""

RESCORED = {
    "recognise": ("recognised", ("fusion-speech2vec", "fusion-spoken")),
    "segment": ("segmented", ("embedding-spoken", "fusion-spoken")),
}
"""Way of finding words in audio → its name in tables, and the systems that are scored with these words too."""

PROTOCOL = "session5"
SPEECH2VEC_EPOCHS = 5


@dataclass(frozen=True)
class Demo:
    """What the demo produced.

    Attributes:
        scored: Results of systems and controls.
        ceilings: Best possible UA in percent on these test utterances, from the `audio`, the `words` and `both`.
        report: The HTML report.
        recording: An example: the first test utterance whose emotion needs audio and words (`_example`).
        label: The emotion of the example.
        decisions: Best possible decision on the example from its `audio`, its `words` and `both`.
        predictions: Answers on the example: of the recommended fusion, and of the paper's.
        branches: The recommended fusion beside its branches, a section of the report.
    """

    scored: ScoredResults
    ceilings: dict[str, float]
    report: Path
    recording: Path
    label: str
    decisions: dict[str, str]
    predictions: tuple[Prediction, ...]
    branches: Section


def run(
    out: Path,
    *,
    size: int = 1200,
    seeds: int = 1,
    seed: int = 0,
    epochs: int | None = None,
    workers: int = 2,
    step: StepProgress = silent,
) -> Demo:
    """Synthesise a corpus, train the systems, write the report, and recognise one recording.

    Args:
        out: Folder to write to; the same call resumes it.
        size: Number of utterances.
        seeds: Trainings of each system.
        seed: Seed of the corpus, and the first seed of the trainings.
        epochs: Epochs of each training; None leaves each system's own.
        workers: Processes that train side by side.
        step: Receives the description of each step.

    Returns:
        Results, report and example.

    Raises:
        ConfigurationError: `out` holds a corpus of another size or seed.
        CorpusError: The corpus in `out` is damaged.
        MissingExtraError: A package of the extras `train` or `synth` is not installed.
    """
    report.require_html()
    tree = out / "corpus"
    utterances = _corpus(tree, size, seed, step)
    write_manifest(out / "manifest.jsonl", utterances)
    changes = {} if epochs is None else {"epochs": epochs}
    systems = [experiment.load(name, **changes) for name in DEMO_SYSTEMS]
    folders = [out / "runs" / system.name for system in systems]
    workspace = Workspace(out / "cache", EmbeddingConfig(epochs=SPEECH2VEC_EPOCHS), progress=step)
    split = audited_split(utterances, PROTOCOL, progress=step("audit the split"))
    resources = {"seeds": range(seed, seed + seeds), "workers": workers, "split": split}
    results = run_systems(systems, utterances, PROTOCOL, folders, workspace, **resources)
    results += _with_found_words(out, split.folds[0], workspace, workers, step)
    fusion, branches = _fusion(out, utterances, workspace, resources)
    results = [fusion, *results, *branches, *run_summary.controls(split.folds, classes("four"))]
    scored = report.score(results)
    section = branch_section(scored, {fusion.system: [branch.system for branch in branches]})
    ceilings = {name: 100 * value for name, value in synthetic.oracle_accuracy(tree, sessions=[5]).items()}
    page = _write_report(out / "report.html", scored, folders, ceilings, section)
    example, decisions = _example(tree, split.folds[0].test)
    models = (out / "runs" / name for name in (FUSION, "fusion-speech2vec"))
    predictions = tuple(Recogniser(model, asr="corpus")(example.audio) for model in models)
    return Demo(scored, ceilings, page, example.audio, str(example.label), decisions, predictions, section)


def _fusion(
    out: Path, utterances: Sequence[Utterance], workspace: Workspace, resources: Mapping[str, Any]
) -> tuple[SystemResult, list[SystemResult]]:
    """The results of the recommended fusion and of its branches."""
    fusion, folder = replace(load_fusion(FUSION), inner_folds=INNER_FOLDS), out / "runs" / FUSION
    result = run_fusion(fusion, utterances, PROTOCOL, folder, workspace, **resources)
    return result, named_branches(result, runs.branch_results(folder))


def _write_report(
    page: Path, scored: ScoredResults, folders: Sequence[Path], ceilings: Mapping[str, float], branches: Section
) -> Path:
    results = [system.result for system in scored]
    findings = run_summary.findings_of([*folders, folders[0].parent / FUSION])
    known = run_summary.utterances_of(folders)
    context = run_summary.report_context(runs.read(folders[-1]), results, findings=findings, utterances=known)
    report.write(page, scored, ceilings=ceilings, sections=[branches], **context)
    return page


def _corpus(tree: Path, size: int, seed: int, step: StepProgress) -> list[Utterance]:
    """Synthesise the corpus, or read the one that is there."""
    if not synthetic.is_complete(tree):
        synthetic.write(tree, size=size, seed=seed, progress=step("synthesise a corpus"))
    marker = synthetic.read_marker(tree)
    if (marker.get("size"), marker.get("seed")) != (size, seed):
        raise ConfigurationError(
            f"{tree} holds {marker.get('size')} utterances of seed {marker.get('seed')}, not {size} of {seed}; "
            "choose another folder, or the same options to go on"
        )
    validation = validate.check("synthetic", tree, progress=step("validate it"))
    if not validation.healthy:
        raise CorpusError(f"{tree}: {validation.errors[0].detail}. Delete {tree.parent} and run the demo again")
    return [u for u in corpora.load("synthetic", tree) if u.label is not None]


def _example(tree: Path, test: Sequence[Utterance]) -> tuple[Utterance, dict[str, str]]:
    """Choose the first test utterance, by id, for which the best possible decision is right from audio and words
    together but wrong from the audio alone; return it with its decisions (`synthetic.oracle_decisions`).

    The choice uses no answer of a system, so the example may be one that the system gets wrong.
    """
    oracle = synthetic.oracle_decisions(tree)
    ordered = sorted(test, key=lambda utterance: utterance.id)
    candidates = [(u, oracle[u.id][1]) for u in ordered if u.id in oracle]
    needs_both = [(u, d) for u, d in candidates if d["both"] == u.label != d["audio"]]
    return (needs_both or candidates)[0]


def _with_found_words(
    out: Path, fold: Fold, workspace: Workspace, workers: int, step: StepProgress
) -> list[SystemResult]:
    """Score systems on words found in the test audio instead of the transcripts: recognised, or only segmented."""
    results = []
    for by, (name, systems) in RESCORED.items():
        asr = RecogniserConfig(language=language_model_of(fold.train)) if by == "recognise" else None
        words, _ = find_words(
            fold.test,
            by=by,
            asr=asr,
            workers=workers,
            cache_folder=out / "cache" / "words",
            progress=step(f"{by} words"),
        )
        write_manifest(out / f"test-{name}.jsonl", words)
        results += [rescore(out / "runs" / system, words, workspace, name) for system in systems]
    return results
