"""How honest are probabilities for a corpus that was not trained on? The table of docs/measurements.md.

    OMP_NUM_THREADS=1 python benchmarks/confidence.py --data $DUETTO_DATA --out runs/confidence

Label set `four`, EmoDB and RAVDESS (calm counts as neutral). All of one corpus trains, less its development speakers,
and everything on confidence is fitted to its training part (`experiments.confidence`): speakers left out in turn, and
copies of them over other channels. Scored are all of the other corpus, of which nothing is fitted, and, with --within,
unseen speakers of the same corpus (five folds, each with a fit of its own). Resumable: delete --out to begin anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from duetto import corpora, metrics, training
from duetto.config import experiment
from duetto.config.experiment import Experiment
from duetto.data.labels import selected
from duetto.data.utterance import Utterance
from duetto.experiments.confidence import COPIES, fit_confidence
from duetto.experiments.fold_inputs import fold_inputs
from duetto.experiments.workspace import Workspace
from duetto.inference import Session
from duetto.inference.confidence import CONFIDENCE, Confidence
from duetto.splits import Fold, folds, transfer

SYSTEMS = ("whisper-portable", "whisper", "functionals")
NAMES = {"emodb": "EmoDB", "ravdess": "RAVDESS"}
SURE = 0.8


def answers(
    e: Experiment, fold: Fold, everyone: Sequence[Utterance], shop: Workspace, out: Path, copies: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of the test part: probabilities before and after, targets, whether unfamiliar, and whether kept by --reject."""
    inputs = fold_inputs(e, fold, shop.features(e, everyone), shop)
    if not (out / "model.json").is_file():
        training.train(e, inputs, out, seed=0)
    if not (out / CONFIDENCE).is_file():
        fit_confidence(out, [e], fold, shop, copies=copies)
    confidence, session = Confidence.load(out), Session(out)
    assert confidence is not None
    prepared = training.prepare(fold.test, session.preprocessor, inputs.frames)
    logits = session.logits_of(prepared.frames, None).astype(np.float64) / session.temperature
    (density,) = confidence.densities.values()
    d = density.distances(density.embedded(prepared.frames or []))
    widened = metrics.softmax(logits / confidence.factors(d)[:, None])
    unfamiliar = d > confidence.unfamiliar_from
    kept = widened.max(1) >= np.array(confidence.thresholds("auto"))[unfamiliar.astype(int)]
    return metrics.softmax(logits), widened, prepared.target, unfamiliar, kept


def cells(probabilities: np.ndarray, target: np.ndarray) -> list[str]:
    """ECE; share and error rate of the answers with p ≥ 0.8."""
    wrong = metrics.predicted_classes(probabilities) != target
    sure = probabilities.max(1) >= SURE
    rate = f"{wrong[sure].mean():.2f}" if sure.any() else "–"
    return [f"{metrics.expected_calibration_error(probabilities, target):.3f}", f"{sure.mean():.2f}", rate]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with emodb/ and ravdess/")
    parser.add_argument("--out", type=Path, required=True, help="where models and features go")
    parser.add_argument("--systems", nargs="*", default=SYSTEMS)
    parser.add_argument("--copies", type=int, default=COPIES)
    parser.add_argument("--within", action="store_true", help="also unseen speakers of the same corpus")
    options = parser.parse_args()
    data = {
        kind: [
            replace(u, speaker=f"{kind}-{u.speaker}", corpus=kind)
            for u in selected(corpora.load(kind, options.data / kind))
        ]
        for kind in NAMES
    }
    everyone, shop = [u for kind in data for u in data[kind]], Workspace(options.out / "cache")
    print(
        "| system | trained on | tested on | accuracy | ECE before → after | share with p ≥ .8 | of these wrong "
        "| unfamiliar | kept by `--reject auto` | of these wrong |\n" + "|---" * 10 + "|"
    )
    for name in options.systems:
        for source, target in (("emodb", "ravdess"), ("ravdess", "emodb")):
            cases = [(NAMES[target], [transfer(f"{source}-{target}", data[source], data[target])])]
            if options.within:
                cases.insert(0, (f"{NAMES[source]}, other speakers", folds("speaker", data[source])))
            for title, parts in cases:
                found = [
                    answers(
                        experiment.load(name),
                        fold,
                        everyone,
                        shop,
                        options.out / name / title / fold.name,
                        options.copies,
                    )
                    for fold in parts
                ]
                before, after, truth, unfamiliar, kept = map(np.concatenate, zip(*found, strict=True))
                wrong = metrics.predicted_classes(after) != truth
                pairs = [f"{a} → {b}" for a, b in zip(cells(before, truth), cells(after, truth), strict=True)]
                rejected = f"{kept.mean():.2f} | {wrong[kept].mean():.2f}" if kept.any() else "0 | –"
                print(
                    f"| `{name}` | {NAMES[source]} | {title} | {1 - wrong.mean():.2f} | {' | '.join(pairs)} "
                    f"| {unfamiliar.mean():.2f} | {rejected} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
