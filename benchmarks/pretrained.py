"""The model that comes with duetto: its cross-corpus table, its scores, its training, its card.

    OMP_NUM_THREADS=1 python benchmarks/pretrained.py --data $DUETTO_DATA --out runs/pretrained [--ship]

Label set `four`, EmoDB and RAVDESS (calm counts as neutral). Cross-corpus: all of one corpus trains, less its
development speakers, and all of the other is answered. Design choices were made looking at the first half of the
target's speakers by name; the second half chose nothing. --ship trains on both corpora and writes the folder in
src/duetto/inference/pretrained. Resumable: delete --out to begin anew.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from duetto import corpora, evaluation, metrics, runs, training
from duetto.config import experiment
from duetto.config.experiment import Experiment
from duetto.data.labels import classes, selected
from duetto.data.utterance import Utterance
from duetto.evaluation import SystemResult
from duetto.experiments.fold_inputs import fold_inputs
from duetto.experiments.runner import run_systems
from duetto.experiments.workspace import Workspace
from duetto.inference import Session
from duetto.inference.pretrained import CARD, DEFAULT, TERMS, folder
from duetto.splits import Fold, transfer

SYSTEM = "acoustic-portable"
ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (SYSTEM, ()),
    (SYSTEM, ("augmentation=none",)),
    (SYSTEM, ("features=corrected", "augmentation=none")),
    ("acoustic", ()),
)
NAMES = {"emodb": "EmoDB", "ravdess": "RAVDESS"}
CARD_TEXT = Path(__file__).with_name("pretrained-card.md")


def read(data: Path) -> dict[str, list[Utterance]]:
    """Both corpora; speakers named after their corpus, since both number them from 01."""
    return {
        kind: [replace(u, speaker=f"{kind}-{u.speaker}") for u in selected(corpora.load(kind, data / kind))]
        for kind in NAMES
    }


def cross(e: Experiment, fold: Fold, shop: Workspace, out: Path, seeds: range) -> tuple[SystemResult, SystemResult]:
    """Train with every seed on the source, answer the target: as it came, and as `recording` changes it."""
    everyone = [*fold.train, *fold.development, *fold.test]
    inputs = fold_inputs(e, fold, shop.features(e, everyone), shop)
    changed = shop.augmented(replace(e, augmentation="recording", augmented_copies=1), fold.test)[0]
    logits, temperature = [], []
    for seed in seeds:
        part = out / e.name / fold.name / f"seed{seed}"
        training.train(e, inputs, part, seed=seed)
        session = Session(part)
        both = (inputs, replace(inputs, frames=changed))
        logits.append([training.exported_logits(session, fold.test, each, seed=seed) for each in both])
        temperature.append([session.temperature])
    clean, other = (
        evaluation.from_utterances(
            e.name, fold.test, classes("four"), each, tuple(seeds), temperature=np.array(temperature)
        )
        for each in np.array(logits).swapaxes(0, 1)
    )
    return clean, other


def halves(result: SystemResult) -> tuple[np.ndarray, np.ndarray]:
    """Which utterances are of the first half of the speakers by name, and which of the second."""
    speakers = np.unique(result.speaker)
    first = np.isin(result.speaker, speakers[: len(speakers) // 2])
    return first, ~first


def figure(result: SystemResult) -> str:
    """UA with its deviation over seeds and its interval over speakers."""
    ua = evaluation.summary(result).ua
    spread = "" if ua.std is None else f" ± {ua.std:.1f}"
    return f"{ua.mean:.1f}{spread} [{ua.ci95[0]:.1f}–{ua.ci95[1]:.1f}]"


def taken_for(result: SystemResult, label: str) -> str:
    """What the utterances of a class were taken for, % of them over all seeds."""
    names = classes("four")
    answered = result.logits[:, result.target == names.index(label)].argmax(-1)
    shares = 100 * np.bincount(answered.ravel(), minlength=len(names)) / answered.size
    return ", ".join(f"{name} {share:.0f} %" for name, share in zip(names, shares, strict=True))


def cross_table(
    data: dict[str, list[Utterance]], shop: Workspace, out: Path, seeds: range
) -> tuple[list[str], list[str]]:
    """The table, and what the first row's models took RAVDESS' sad voices for."""
    sadness: list[str] = []
    lines = [
        "| system | trained on | tested on | UA %, speakers that chose | UA %, the other speakers | ECE % of these "
        "| UA % of these, changed recordings |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, settings in ROWS:
        e = experiment.with_overrides(experiment.load(name), settings)
        for source, target in (("emodb", "ravdess"), ("ravdess", "emodb")):
            found, changed = cross(e, transfer(f"{source}-{target}", data[source], data[target]), shop, out, seeds)
            if not sadness and target == "ravdess":
                sadness = [taken_for(found, "sad")]
            chose, other = (found.subset(half) for half in halves(found))
            ece = 100 * evaluation.calibration(other).ece[1]
            lines.append(
                f"| {e.name} | {NAMES[source]} | {NAMES[target]} | {figure(chose)} | {figure(other)} | {ece:.1f} "
                f"| {figure(changed.subset(halves(changed)[1]))} |"
            )
            print(lines[-1], flush=True)
    print("sad voices of RAVDESS, by models of EmoDB:", *sadness, flush=True)
    return lines, sadness


def within_tables(result: SystemResult) -> tuple[list[str], list[str]]:
    """Five folds over both corpora, one seed: by corpus and gender, and by speaker."""
    corpus = np.array([speaker.partition("-")[0] for speaker in result.speaker])
    groups = [("both", np.full(len(corpus), True))]
    for kind, name in NAMES.items():
        groups += [(name, corpus == kind)]
        groups += [(f"{name}, {g}", (corpus == kind) & (result.gender == g)) for g in ("female", "male")]
    lines = ["| speakers | utterances | UA % | WA % | ECE % before → after |", "|---|---|---|---|---|"]
    for name, mask in groups:
        part = result.subset(mask)
        ece = evaluation.calibration(part).ece
        wa = evaluation.summary(part).wa.mean
        lines.append(f"| {name} | {mask.sum()} | {figure(part)} | {wa:.1f} | {100 * ece[0]:.1f} → {100 * ece[1]:.1f} |")
    speakers = [f"{group.name} {group.ua.mean:.0f}" for group in evaluation.breakdown(result, "speaker")]
    return lines, speakers


def final(e: Experiment, data: dict[str, list[Utterance]], shop: Workspace, out: Path) -> Path:
    """Train on both corpora: of each, `transfer` holds out development speakers, here for the temperature."""
    parts = [transfer(kind, data[kind], data[kind]) for kind in data]
    train = tuple(u for part in parts for u in part.train)
    development = tuple(u for part in parts for u in part.development)
    fold = Fold("final", train, development, development)
    inputs = fold_inputs(e, fold, shop.features(e, [*train, *development]), shop)
    training.train(e, inputs, out / "final", seed=0)
    session = Session(out / "final")
    target = [session.preprocessor.classes.index(str(u.label)) for u in development]
    ua = metrics.unweighted_accuracy(
        target, training.exported_logits(session, development, inputs, seed=0).argmax(1), 4
    )
    held = ", ".join(sorted({str(u.speaker) for u in development}))
    print(f"final: {len(train)} utterances trained, temperature {session.temperature:.3f} on {held}; UA there {ua:.3f}")
    return out / "final"


def ship(trained: Path, card: dict[str, str]) -> None:
    """Copy the exported files into the package, and write the card with their digests."""
    home = folder(DEFAULT)
    home.mkdir(parents=True, exist_ok=True)
    for name in ("model.onnx", "model.json"):
        shutil.copyfile(trained / name, home / name)
        card[name] = hashlib.sha256((home / name).read_bytes()).hexdigest()
    text = CARD_TEXT.read_text(encoding="utf-8")
    for key, value in card.items():
        text = text.replace("{" + key + "}", value)
    (home / CARD).write_text(text.replace("{terms}", (home / TERMS).read_text(encoding="utf-8").strip()), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with emodb/ and ravdess/")
    parser.add_argument("--out", type=Path, required=True, help="where runs and features go")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ship", action="store_true", help="write the folder in src/duetto/inference/pretrained")
    options = parser.parse_args()
    versions = runs.environment(("torch", "onnx", "onnxruntime"))
    environment = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "machine")
    data, shop = read(options.data), Workspace(options.out)
    table, sadness = cross_table(data, shop, options.out, range(options.seeds))
    e = experiment.load(SYSTEM)
    both = [u for kind in data for u in data[kind]]
    found = run_systems([e], both, "speaker", [options.out / "within"], shop)[0]
    within, speakers = within_tables(found)
    print(*within, "; ".join(speakers), sep="\n", flush=True)
    trained = final(e, data, shop, options.out)
    if options.ship:
        card = {
            "cross": table,
            "sadness": sadness,
            "within": within,
            "speakers": ["; ".join(speakers)],
            "environment": [environment],
        }
        ship(trained, {key: "\n".join(lines) for key, lines in card.items()})


if __name__ == "__main__":
    main()
