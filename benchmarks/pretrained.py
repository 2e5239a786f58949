"""The models that come with duetto: their cross-corpus table, their scores, their training, their cards.

    OMP_NUM_THREADS=1 python benchmarks/pretrained.py --data $DUETTO_DATA --out runs/pretrained [--ship]

Label set `four`, EmoDB and RAVDESS (calm counts as neutral). Cross-corpus: all of one corpus trains, less its
development speakers, and all of the other is answered. Design choices were made looking at the first half of the
target's speakers by name; the second half chose nothing. --ship trains on the corpora of each model and writes its
folder in src/duetto/inference/pretrained. Resumable: delete --out to begin anew.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from duetto import corpora, evaluation, metrics, runs, training
from duetto.config import experiment
from duetto.config.experiment import Experiment
from duetto.data.labels import classes, selected
from duetto.data.utterance import Utterance
from duetto.evaluation import SystemResult
from duetto.experiments.confidence import fit_confidence
from duetto.experiments.fold_inputs import fold_inputs
from duetto.experiments.runner import run_systems
from duetto.experiments.workspace import Workspace
from duetto.inference import Session
from duetto.inference.confidence import CONFIDENCE
from duetto.inference.pretrained import CARD, TERMS, folder
from duetto.splits import Fold, transfer
from duetto.training.adapted import AFTER, after_utterances

SYSTEM = "whisper-portable"
ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (SYSTEM, ()),
    (SYSTEM, ("augmentation=none",)),
    ("whisper-adaptive", ()),
    ("functionals-adaptive", ()),
    ("acoustic-portable", ()),
    ("acoustic", ()),
)
NAMES = {"emodb": "EmoDB", "ravdess": "RAVDESS"}
CARDS = Path(__file__).with_name("cards")
MODELS = {"emodb-ravdess": ("emodb", "ravdess"), "emodb": ("emodb",)}
"""Model → its corpora."""
FILES = ("model.onnx", "model.json", CONFIDENCE)


@dataclass(frozen=True)
class Transferred:
    """Answers of models of one corpus for another: as it came, as `recording` changes it, and after earlier utterances
    of the speaker; {} for a system that does not adapt."""

    clean: SystemResult
    changed: SystemResult
    after: Mapping[int, SystemResult]


def read(data: Path) -> dict[str, list[Utterance]]:
    """Both corpora; speakers named after their corpus, since both number them from 01."""
    return {
        kind: [
            replace(u, speaker=f"{kind}-{u.speaker}", corpus=kind) for u in selected(corpora.load(kind, data / kind))
        ]
        for kind in NAMES
    }


def cross(e: Experiment, fold: Fold, shop: Workspace, out: Path, seeds: range) -> Transferred:
    """Train with every seed on the source, answer the target."""
    everyone = [*fold.train, *fold.development, *fold.test]
    inputs = fold_inputs(e, fold, shop.features(e, everyone), shop)
    changed = shop.augmented(replace(e, augmentation="recording", augmented_copies=1), fold.test)[0]
    columns: dict[str, list[np.ndarray]] = {}
    for seed in seeds:
        part = out / e.name / fold.name / f"seed{seed}"
        if not (part / "model.json").is_file():
            training.train(e, inputs, part, seed=seed)
        for column, logits in answers(Session(part), inputs, changed, seed).items():
            columns.setdefault(column, []).extend(logits)
    results = {
        column: evaluation.from_utterances(e.name, fold.test, classes("four"), np.array(rows), range(len(rows)))
        for column, rows in columns.items()
    }
    return Transferred(results.pop("clean"), results.pop("changed"), {int(n): result for n, result in results.items()})


def answers(
    session: Session, inputs: training.FoldInputs, changed: Mapping[str, np.ndarray], seed: int
) -> dict[str, list[np.ndarray]]:
    """Column → calibrated logits of the test part, one array for each order of the speakers' utterances."""
    test, preprocessor = inputs.fold.test, session.preprocessor
    found = {
        "clean": [training.exported_logits(session, test, inputs, seed=seed)],
        "changed": [training.exported_logits(session, test, replace(inputs, frames=changed), seed=seed)],
    }
    if preprocessor.adaptation is not None and inputs.frames is not None:
        prepared = training.prepare(test, preprocessor, inputs.frames)
        after = after_utterances(
            preprocessor, test, prepared, inputs.frames, lambda each: session.logits_of(each.frames, None)
        )
        found |= {str(n): list(logits) for n, logits in zip(AFTER, after, strict=True)}
    return {column: [each / session.temperature for each in logits] for column, logits in found.items()}


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
    sessions = [f"after {n}" for n in AFTER if n > 1]
    header = ["system", "trained on", "tested on", "UA %, speakers that chose", "UA %, the other speakers", *sessions]
    lines = [_line([*header, "changed recordings"]), "|---" * (len(header) + 1) + "|"]
    for name, settings in ROWS:
        e = experiment.with_overrides(experiment.load(name), settings)
        for source, target in (("emodb", "ravdess"), ("ravdess", "emodb")):
            found = cross(e, transfer(f"{source}-{target}", data[source], data[target]), shop, out, seeds)
            if not sadness and target == "ravdess":
                sadness = [taken_for(found.clean, "sad")]
            chose, other = (found.clean.subset(half) for half in halves(found.clean))
            later = [
                figure(result.subset(halves(result)[1])) if (result := found.after.get(n)) else "–"
                for n in AFTER
                if n > 1
            ]
            changed = figure(found.changed.subset(halves(found.changed)[1]))
            lines.append(
                _line([f"`{e.name}`", NAMES[source], NAMES[target], figure(chose), figure(other), *later, changed])
            )
            print(lines[-1], flush=True)
    print("sad voices of RAVDESS, by models of EmoDB:", *sadness, flush=True)
    return lines, sadness


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def within_tables(result: SystemResult) -> tuple[list[str], list[str]]:
    """Five folds, one seed: by corpus and gender, and by speaker."""
    corpus = np.array([speaker.partition("-")[0] for speaker in result.speaker])
    groups = [("all", np.full(len(corpus), True))]
    for kind, name in NAMES.items():
        if (corpus == kind).any():
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


def final(e: Experiment, data: Sequence[list[Utterance]], shop: Workspace, out: Path) -> Path:
    """Train on all corpora of a model: of each, `transfer` holds out development speakers. Then fit the confidence."""
    parts = [transfer("final", utterances, utterances) for utterances in data]
    train = tuple(u for part in parts for u in part.train)
    development = tuple(u for part in parts for u in part.development)
    fold = Fold("final", train, development, development)
    inputs = fold_inputs(e, fold, shop.features(e, [*train, *development]), shop)
    training.train(e, inputs, out, seed=0)
    confidence = fit_confidence(out, [e], fold, shop)
    session = Session(out)
    target = [session.preprocessor.classes.index(str(u.label)) for u in development]
    predicted = training.exported_logits(session, development, inputs, seed=0).argmax(1)
    ua = metrics.unweighted_accuracy(target, predicted, 4)
    held = ", ".join(sorted({str(u.speaker) for u in development}))
    print(f"{out.name}: {len(train)} utterances trained, development speakers {held} (UA there {ua:.3f})")
    print(f"confidence fitted on {confidence.about}")
    return out


def ship(name: str, trained: Path, card: dict[str, str]) -> None:
    """Copy the exported files into the package, and write the card with their digests."""
    home = folder(name)
    home.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        shutil.copyfile(trained / file, home / file)
        card[file] = hashlib.sha256((home / file).read_bytes()).hexdigest()
    shutil.copyfile(CARDS / f"{name}.terms.txt", home / TERMS)
    card["about"] = (CARDS / f"{name}.md").read_text(encoding="utf-8").strip()
    text = (CARDS / "common.md").read_text(encoding="utf-8")
    for key, value in card.items():
        text = text.replace("{" + key + "}", value)
    (home / CARD).write_text(text.replace("{terms}", (home / TERMS).read_text(encoding="utf-8").strip()), "utf-8")


def main() -> None:
    """Measure, and ship if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with emodb/ and ravdess/")
    parser.add_argument("--out", type=Path, required=True, help="where runs and features go")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ship", action="store_true", help="write the folders in src/duetto/inference/pretrained")
    options = parser.parse_args()
    versions = runs.environment(("torch", "onnx", "onnxruntime"))
    environment = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "machine")
    data, shop = read(options.data), Workspace(options.out)
    table, sadness = cross_table(data, shop, options.out, range(options.seeds))
    e = experiment.load(SYSTEM)
    for name, kinds in MODELS.items():
        utterances = [u for kind in kinds for u in data[kind]]
        found = run_systems([e], utterances, "speaker", [options.out / "within" / name], shop)[0]
        within, speakers = within_tables(found)
        print(name, *within, "; ".join(speakers), sep="\n", flush=True)
        trained = final(e, [data[kind] for kind in kinds], shop, options.out / "final" / name)
        if options.ship:
            card = {
                "cross": table,
                "sadness": sadness,
                "within": within,
                "speakers": ["; ".join(speakers)],
                "environment": [environment],
            }
            ship(name, trained, {key: "\n".join(lines) for key, lines in card.items()})


if __name__ == "__main__":
    main()
