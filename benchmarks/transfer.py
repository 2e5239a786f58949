"""Which features and classifier carry over to another corpus? The table of docs/pretrained.md, "How they were trained".

    python benchmarks/transfer.py --data $DUETTO_DATA --out runs/transfer

Label set `four`, EmoDB and RAVDESS (calm counts as neutral): all of one corpus trains, and the other is answered, each
recording by itself. UA of the first half of the target's speakers by name, on which the choice was made. Classifiers
are scikit-learn's, with classes of equal weight, on values normalised by the training recordings and their copies.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pretrained import NAMES, read
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from duetto import metrics
from duetto.config import experiment
from duetto.data.labels import classes
from duetto.data.utterance import Utterance
from duetto.experiments.workspace import Workspace

COPIES = 3
MEANS, VOICE, FUNCTIONALS = slice(0, 512), slice(512, 562), slice(562, 562 + 632)
"""Where the parts lie in the joined vector."""

Variant = tuple[str, Sequence[tuple[slice, float]], str, Callable[[], Any]]
"""Features in words, their parts with weights, the classifier in words, and what makes it."""


def logistic() -> LogisticRegression:
    """Multinomial logistic regression."""
    return LogisticRegression(C=1e-3, class_weight="balanced", max_iter=2000)


def discriminant(shrinkage: float) -> Callable[[], LinearDiscriminantAnalysis]:
    """Linear discriminant analysis whose covariance is spherical by a share of `shrinkage`."""
    return lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=np.ones(4) / 4)


def variants() -> list[Variant]:
    """The rows."""
    parts = {
        "voice": ((VOICE, 1.0),),
        "functionals": ((FUNCTIONALS, 1.0),),
        "means of Whisper's states": ((MEANS, 1.0),),
        "means, functionals": ((MEANS, 1.0), (FUNCTIONALS, 1.0)),
        "means, voice": ((MEANS, 1.0), (VOICE, 1.0)),
        "means, voice × 2": ((MEANS, 1.0), (VOICE, 2.0)),
        "means, voice × 3": ((MEANS, 1.0), (VOICE, 3.0)),
    }
    rows: list[Variant] = [
        (name, parts[name], "logistic regression", logistic) for name in ("voice", "functionals", *list(parts)[2:5])
    ]
    rows += [
        (name, of, f"discriminant analysis, {100 * share:.0f} % spherical", discriminant(share))
        for name, of in parts.items()
        for share in (0.3, 0.7, 0.9)
    ]
    means = "means of Whisper's states"
    return [*rows, (means, parts[means], "support vector machine, RBF", lambda: SVC(class_weight="balanced"))]


def vectors(utterances: Sequence[Utterance], shop: Workspace) -> list[np.ndarray]:
    """(n, 1194) of the recordings as they came, and of each copy."""
    parts: list[list[np.ndarray]] = [[] for _ in range(COPIES + 1)]
    for features in ("whisper-voice", "functionals"):
        e = experiment.load("whisper", features=features)
        copied = shop.augmented(replace(e, augmentation="recording", augmented_copies=COPIES), utterances)
        for part, store in zip(parts, (shop.features(e, utterances).frames, *copied), strict=True):
            assert store is not None
            part.append(np.stack([store[u.id][0] for u in utterances]).astype(np.float64))
    return [np.concatenate(part, axis=1) for part in parts]


def score(
    variant: Variant, source: Sequence[np.ndarray], target: np.ndarray, y: np.ndarray, truth: np.ndarray
) -> float:
    """UA % of models of the source, whose parts each have targets y."""
    _, parts, _, make = variant
    x, rows = np.concatenate(source), target
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    x, rows = ((each - mean) / deviation for each in (x, rows))
    x, rows = (np.concatenate([weight * each[:, part] for part, weight in parts], axis=1) for each in (x, rows))
    predicted = make().fit(x, np.tile(y, len(source))).predict(rows)
    return 100 * metrics.unweighted_accuracy(truth, predicted, len(classes("four")))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with emodb/ and ravdess/")
    parser.add_argument("--out", type=Path, required=True, help="where features go")
    options = parser.parse_args()
    data, shop = read(options.data), Workspace(options.out)
    found = {kind: vectors(utterances, shop) for kind, utterances in data.items()}
    targets = {kind: np.array([classes("four").index(str(u.label)) for u in us]) for kind, us in data.items()}
    first = {kind: _first_half(utterances) for kind, utterances in data.items()}
    directions = [("emodb", "ravdess"), ("ravdess", "emodb")]
    heads = [f"{NAMES[a]} → {NAMES[b]}, {what}" for what in ("as it came", "with copies") for a, b in directions]
    print("| features | classifier |", " | ".join(heads), "|\n|---|---|" + "---|" * len(heads))
    for variant in variants():
        cells = []
        for count in (1, COPIES + 1):
            for a, b in directions:
                x, truth = found[b][0][first[b]], targets[b][first[b]]
                cells.append(f"{score(variant, found[a][:count], x, targets[a], truth):.1f}")
        print(f"| {variant[0]} | {variant[2]} |", " | ".join(cells), "|", flush=True)


def _first_half(utterances: Sequence[Utterance]) -> np.ndarray:
    """Whether each is of the first half of the speakers by name."""
    speakers = sorted({str(u.speaker) for u in utterances})
    return np.isin([str(u.speaker) for u in utterances], speakers[: len(speakers) // 2])


if __name__ == "__main__":
    main()
