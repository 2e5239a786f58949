"""The main job from end to end, on a small corpus of synthetic speech that it writes itself.

    corpus ─ doctor ─▶ manifest ─ features ─▶ systems × seeds ─▶ report.html ─▶ one recording recognised

The corpus plants what can be known from the voice, from the words, and from both, so that every figure
stands beside the best one possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import corpora, report, runs, splits, synthetic
from ..asr.annotate import find_words, language_model_of
from ..asr.engines import RecogniserConfig
from ..config import experiment
from ..corpora import validate
from ..data.labels import classes
from ..data.manifest import write_manifest
from ..data.utterance import Utterance
from ..errors import ConfigurationError, CorpusError
from ..evaluation import SystemResult
from ..experiments.rescore import rescore
from ..experiments.runner import run_systems
from ..experiments.workspace import StepProgress, Workspace, silent
from ..inference.recogniser import Prediction, Recogniser
from ..report import run_summary
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
FOUND = {"recognise": ("fusion-speech2vec", "fusion-spoken"), "segment": ("embedding-spoken", "fusion-spoken")}
"""Way of finding words → systems that are scored with them, beside the words of the corpus."""

PROTOCOL = "session5"
SPEECH2VEC_EPOCHS, PATIENCE = 5, 5


@dataclass(frozen=True)
class Demo:
    """What the demo leaves: results of systems and controls, best possible UA in percent on the written
    test utterances, the report, and a recording (`_example`) with its label, the best possible decisions from what is
    planted in its voice, its words and both, and the answer of the fusion system."""

    results: tuple[SystemResult, ...]
    ceilings: dict[str, float]
    report: Path
    recording: Path
    label: str
    decisions: dict[str, str]
    prediction: Prediction


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
    """Write, train, evaluate, recognise; everything lands in `out`. Resumable, as its parts are."""
    tree = out / "corpus"
    if not synthetic.is_complete(tree):
        synthetic.write(tree, size=size, seed=seed, progress=step("speak a synthetic corpus"))
    marker = synthetic.read_marker(tree)
    if (marker.get("size"), marker.get("seed")) != (size, seed):
        raise ConfigurationError(
            f"{tree} holds {marker.get('size')} utterances of seed {marker.get('seed')}, not {size} of {seed}; "
            "choose another folder, or the same options to go on"
        )
    checkup = validate.check("synthetic", tree, progress=step("examine it"))
    if not checkup.healthy:
        raise CorpusError(f"{tree}: {checkup.errors[0].detail}. Delete {out} and run the demo again")
    utterances = [u for u in corpora.load("synthetic", tree) if u.label is not None]
    write_manifest(out / "manifest.jsonl", utterances)
    folds = splits.folds(PROTOCOL, utterances)
    systems = [
        experiment.load(name) if epochs is None else experiment.load(name, epochs=epochs) for name in DEMO_SYSTEMS
    ]
    workspace = Workspace(out / "cache", EmbeddingConfig(epochs=SPEECH2VEC_EPOCHS), progress=step)
    results = run_systems(
        systems,
        utterances,
        PROTOCOL,
        [out / "runs" / system.name for system in systems],
        workspace,
        seeds=range(seed, seed + seeds),
        workers=workers,
    )
    results += _with_found_words(out, folds, workspace, workers, step)
    results += run_summary.controls(folds, classes("four"))
    best = {name: 100 * value for name, value in synthetic.oracle_accuracy(tree, sessions=[5]).items()}
    page = out / "report.html"
    described = runs.read(out / "runs" / DEMO_SYSTEMS[-1])
    context = run_summary.report_context(
        described,
        results,
        findings=run_summary.findings_of([out / "runs" / system.name for system in systems]),
    )
    report.write(page, results, ceilings=best, **context)
    example, decisions = _example(tree, folds[0].test)
    prediction = Recogniser(out / "runs" / "fusion-speech2vec")(example.audio)
    return Demo(tuple(results), best, page, example.audio, str(example.label), decisions, prediction)


def _example(tree: Path, test: Sequence[Utterance]) -> tuple[Utterance, dict[str, str]]:
    """The first test utterance, by id, whose emotion the best possible decision finds from voice and words together
    but not from the voice alone: what fusion is for. Decisions: see `synthetic.oracle_decisions`.

    No answer of a system enters the choice, so the example may be one that it gets wrong.
    """
    planted = synthetic.oracle_decisions(tree)
    ordered = sorted(test, key=lambda utterance: utterance.id)
    found = [(u, planted[u.id][1]) for u in ordered if u.id in planted]
    fitting = [(u, d) for u, d in found if d["both"] == u.label != d["audio"]]
    return (fitting or found)[0]


def _with_found_words(
    out: Path, folds: Sequence[Fold], workspace: Workspace, workers: int, step: StepProgress
) -> list[SystemResult]:
    """The fusion systems again, on words that nobody wrote down: recognised, and merely segmented."""
    (fold,) = folds
    results = []
    for by, systems in FOUND.items():
        asr = RecogniserConfig(language=language_model_of(fold.train)) if by == "recognise" else None
        words, _ = find_words(
            fold.test,
            by=by,
            asr=asr,
            workers=workers,
            cache_folder=out / "cache" / "words",
            progress=step(f"{by} words"),
        )
        name = {"recognise": "recognised", "segment": "segmented"}[by]
        write_manifest(out / f"test-{name}.jsonl", words)
        results += [rescore(out / "runs" / system, words, workspace, name) for system in systems]
    return results
