"""Adaptation to a speaker, within and across corpora: the table of docs/results.md.

    python benchmarks/adaptation.py --data $DUETTO_DATA --out runs/adaptation --seeds 1

Label set `four`, EmoDB and RAVDESS (calm counts as neutral). Within a corpus: five folds that share no speaker
(protocol `speaker`). Across: all of one corpus trains, less its development speakers, and all of the other is answered.
Every test utterance is answered by itself; after 1, 5 and 20 other utterances of its speaker, drawn at random; and
after 20 that show its own emotion alone, as of a speaker who shows no other, with the guard and without. Labels of test
speakers decide which utterances the last two columns draw, and nothing else. Resumable: delete --out to begin anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from duetto import corpora, evaluation, training
from duetto.config import experiment
from duetto.config.experiment import Experiment
from duetto.data.labels import classes, selected
from duetto.data.utterance import Utterance
from duetto.evaluation import SystemResult
from duetto.experiments.fold_inputs import fold_inputs
from duetto.experiments.workspace import Workspace
from duetto.inference import Session
from duetto.splits import Fold, folds, transfer
from duetto.training import FoldInputs
from duetto.training.adapted import AFTER, ORDERS, adapted

PAIRS = (("functionals", "functionals-adaptive"), ("whisper", "whisper-adaptive"))
"""A system, and the same that adapts."""
NAMES = {"emodb": "EmoDB", "ravdess": "RAVDESS"}
ALONE, UNGUARDED = "one emotion", "one emotion, no guard"
COLUMNS = ("single", *(f"after {n}" for n in AFTER), ALONE, UNGUARDED)


def answers(session: Session, inputs: FoldInputs) -> dict[str, np.ndarray]:
    """Column → logits (orders, utterances, classes) of the test utterances."""
    preprocessor, test, frames = session.preprocessor, inputs.fold.test, inputs.frames or {}
    prepared = training.prepare(test, preprocessor, frames)
    found = {"single": session.logits_of(prepared.frames, None)[None]}
    if preprocessor.adaptation is None:
        return found
    unguarded = replace(preprocessor, adaptation=replace(preprocessor.adaptation, guard=None))
    one_sided = [replace(u, speaker=f"{u.speaker} {u.label}") for u in test]
    drawn = [
        *((f"after {n}", preprocessor, test, n) for n in AFTER),
        (ALONE, preprocessor, one_sided, max(AFTER)),
        (UNGUARDED, unguarded, one_sided, max(AFTER)),
    ]
    for column, each, utterances, n in drawn:
        orders = [adapted(each, utterances, prepared, frames, n, order) for order in range(ORDERS)]
        found[column] = np.stack([session.logits_of(x.frames, None) for x in orders])
    return found


def results(
    e: Experiment, parts: Sequence[Fold], everyone: Sequence[Utterance], shop: Workspace, out: Path, seeds: range
) -> dict[str, SystemResult]:
    """Column → result over all folds; its rows are seeds and orders."""
    rows: dict[str, list[list[np.ndarray]]] = {}
    for fold in parts:
        inputs = fold_inputs(e, fold, shop.features(e, everyone), shop)
        for seed in seeds:
            part = out / e.name / fold.name / f"seed{seed}"
            if not (part / "model.json").is_file():
                training.train(e, inputs, part, seed=seed)
            for column, logits in answers(Session(part), inputs).items():
                rows.setdefault(column, [[] for _ in seeds])[seed].append(logits)
    joined = {
        column: np.concatenate([np.concatenate(of_seed, axis=1) for of_seed in each]) for column, each in rows.items()
    }
    return {
        column: evaluation.from_folds(e.name, parts, classes("four"), logits, range(len(logits)))
        for column, logits in joined.items()
    }


def figure(result: SystemResult | None) -> str:
    """UA with its interval over speakers."""
    if result is None:
        return "–"
    ua = evaluation.summary(result).ua
    return f"{ua.mean:.1f} [{ua.ci95[0]:.1f}–{ua.ci95[1]:.1f}]"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with emodb/ and ravdess/")
    parser.add_argument("--out", type=Path, required=True, help="where models and features go")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--systems", nargs="*", default=[name for pair in PAIRS for name in pair])
    options = parser.parse_args()
    data = {
        kind: [replace(u, speaker=f"{kind}-{u.speaker}") for u in selected(corpora.load(kind, options.data / kind))]
        for kind in NAMES
    }
    splits = {(kind, kind): folds("speaker", utterances) for kind, utterances in data.items()}
    for source, target in (("emodb", "ravdess"), ("ravdess", "emodb")):
        splits[source, target] = [transfer(f"{source}-{target}", data[source], data[target])]
    shop, everyone = Workspace(options.out / "cache"), [u for utterances in data.values() for u in utterances]
    print("| trained on | tested on | system |", " | ".join(COLUMNS), "|")
    print("|---|---|---|" + "---|" * len(COLUMNS))
    for (source, target), parts in splits.items():
        for name in options.systems:
            out = options.out / f"{source}-{target}"
            found = results(experiment.load(name), parts, everyone, shop, out, range(options.seeds))
            cells = " | ".join(figure(found.get(column)) for column in COLUMNS)
            print(f"| {NAMES[source]} | {NAMES[target]} | `{name}` | {cells} |", flush=True)


if __name__ == "__main__":
    main()
