"""Systems on EmoDB and RAVDESS: the table of docs/results.md.

    python benchmarks/corpora.py --data $DUETTO_DATA --out runs/corpora --seeds 3
    python benchmarks/corpora.py --data $DUETTO_DATA --out runs/corpora --seeds 1 --systems convolutional
    python benchmarks/corpora.py --data $DUETTO_DATA --out runs/corpora --seeds 3 --systems functionals

Label set `four`, five folds that share no speaker (protocol `speaker`), development data held out of
training by speaker, nothing chosen on test data. Resumable: what lies in --out is not trained again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from duetto import corpora, evaluation
from duetto.baselines import BASELINES
from duetto.config import experiment
from duetto.data.labels import classes, selected
from duetto.experiments.baseline_runner import run_baseline
from duetto.experiments.runner import run_systems
from duetto.experiments.workspace import Workspace
from duetto.report.run_summary import controls
from duetto.runs import environment
from duetto.splits import folds

Systems = tuple[tuple[str, tuple[str, ...]], ...]

RECURRENT: Systems = (
    ("acoustic", ()),
    ("acoustic", ("epoch_choice=last",)),
    ("acoustic", ("features=pyaudioanalysis", "epoch_choice=last")),
    ("acoustic", ("normalisation=speaker",)),
    ("acoustic", ("normalisation=speaker", "epoch_choice=last")),
    ("acoustic-attention", ()),
    ("embedding-random", ()),
    # Speech2Vec needs the times of words, and these sentences are spoken in every emotion alike.
    ("acoustic-distilled", ("teacher=fusion-random",)),
)
CONVOLUTIONAL: Systems = (("waveform-cnn", ()), ("spectrogram-cnn", ()), ("spectrogram-alexnet", ()))
"""Many times slower to train on a CPU, so they may have fewer seeds."""

ENCODER: Systems = (("whisper", ()), ("whisper-portable", ()), ("whisper-functionals", ()), ("whisper-attention", ()))
"""On states of a pretrained speech encoder."""

FUNCTIONALS: Systems = (
    ("functionals", ()),
    ("functionals-mlp", ()),
    ("functionals", ("classifier=logistic",)),
    ("functionals", ("augmentation=recording", "augmented_copies=2")),
)
"""One vector for each recording. Only the second draws anything at random: the others are equal for all seeds."""

NAMES = {"emodb": "EmoDB", "ravdess": "RAVDESS"}

SYSTEMS = {
    "recurrent": RECURRENT,
    "convolutional": CONVOLUTIONAL,
    "functionals": FUNCTIONALS,
    "encoder": ENCODER,
}


def row(corpus: str, result: evaluation.SystemResult) -> str:
    """One line of the table."""
    s, c = evaluation.summary(result), evaluation.calibration(result)
    spread = "" if s.ua.std is None else f" ± {s.ua.std:.1f}"
    low, high = s.ua.ci95
    title = result.title + (" (control)" if result.kind == "control" else "")
    return (
        f"| {corpus} | {title} | {s.ua.mean:.1f}{spread} [{low:.1f}–{high:.1f}] | {s.wa.mean:.1f} "
        f"| {s.macro_f1.mean:.1f} | {100 * c.ece[0]:.1f} → {100 * c.ece[1]:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with emodb/ and ravdess/")
    parser.add_argument("--out", type=Path, required=True, help="where runs, features and vectors go")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="processes that train side by side")
    parser.add_argument(
        "--systems", choices=SYSTEMS, default="recurrent", help="recurrent: with baselines and controls"
    )
    parser.add_argument("--corpora", nargs="+", choices=NAMES, default=list(NAMES))
    options = parser.parse_args()
    chosen = SYSTEMS[options.systems]
    experiments = [experiment.with_overrides(experiment.load(name), settings) for name, settings in chosen]
    versions = environment(("torch", "lightning", "scikit-learn", "hmmlearn"))
    print("environment:", ", ".join(f"{name} {version}" for name, version in versions.items()), "\n")
    print("| corpus | system | UA % | WA % | macro-F1 % | ECE % before → after temperature |")
    print("|---|---|---|---|---|---|")
    for kind in options.corpora:
        name, utterances = NAMES[kind], selected(corpora.load(kind, options.data / kind))
        workspace = Workspace(options.out / kind / "cache")
        found = run_systems(
            experiments,
            utterances,
            "speaker",
            [options.out / kind / e.name for e in experiments],
            workspace,
            seeds=range(options.seeds),
            workers=options.workers,
        )
        if options.systems == "recurrent":
            found += [
                run_baseline(baseline, utterances, "speaker", options.out / kind / baseline.name, workspace)
                for baseline in map(BASELINES.__getitem__, ("svm", "hmm", "dnn-elm"))
            ]
            found += controls(folds("speaker", utterances), classes("four"))
        for result in found:
            print(row(name, result), flush=True)


if __name__ == "__main__":
    main()
