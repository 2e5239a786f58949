"""DNN-ELM: a network classifies short segments, an extreme learning machine the utterance from their statistics.

    (frames, 34) ─ 3 frames around each ─▶ segments ─ DNN 3 × 256 ReLU ─▶ posteriors (segments, classes)
    posteriors ─ max, min, mean, share above 0.2 of each class ─▶ (4 · classes,) ─ RBF-ELM ─▶ scores (classes,)

Han, Yu & Tashev, "Speech Emotion Recognition Using Deep Neural Network and Extreme Learning Machine", INTERSPEECH
2014. Only its abstract could be read; the rest is a reconstruction, and docs/systems.md says which part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from .. import metrics
from ..errors import ConfigurationError, MissingExtraError
from ..features.short_term import NAMES
from ..preprocessing import Normaliser
from ..splits import Fold
from . import base, functionals
from .base import Baseline, BaselineInputs, BaselineOutput
from .scorer import Scorer

_ENERGY = NAMES.index("energy")


@dataclass(frozen=True)
class Elm:
    """An extreme learning machine with radial basis functions (Huang, Zhu & Siew 2006).

    h_k(x) = exp(−‖x − centre_k‖² / width), scores h(x) · weights.

    Attributes:
        centres: (hidden, d) training examples drawn at random, which are not trained.
        width: Of the basis functions.
        weights: (hidden, classes) solution of a ridge regression.
    """

    centres: np.ndarray
    width: float
    weights: np.ndarray

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        target: np.ndarray,
        *,
        hidden: int,
        cost: float,
        rng: np.random.Generator,
        importance: np.ndarray | None = None,
    ) -> Elm:
        """Fit the weights: minimise Σ importance_i · ‖h(x_i) · weights − target_i‖² + ‖weights‖² / cost.

        The width is the median squared distance between two centres (1 where all are equal).

        Args:
            x: (n, d), n ≥ 1.
            target: (n, classes).
            hidden: Units, at most n.
            cost: Inverse strength of the regularisation.
            rng: Draws the centres.
            importance: (n,), 1 by default.

        Returns:
            The fitted machine.

        Raises:
            ConfigurationError: There is no example, no unit, or `cost` is not positive.
        """
        if not len(x) or hidden < 1 or cost <= 0:
            raise ConfigurationError(
                f"an ELM needs at least one example, one hidden unit and a positive cost, "
                f"not {len(x)}, {hidden} and {cost:g}"
            )
        x = np.asarray(x, np.float64)
        centres = x[rng.permutation(len(x))[:hidden]]
        distances = _squared_distances(centres, centres)[np.triu_indices(len(centres), 1)]
        width = float(np.median(distances)) if distances.size else 0.0
        unfitted = cls(centres, width if width > 0 else 1.0, np.empty((len(centres), 0)))
        h = unfitted.hidden(x)
        weighted = h.T if importance is None else h.T * importance
        weights = np.linalg.solve(weighted @ h + np.eye(h.shape[1]) / cost, weighted @ target)
        return replace(unfitted, weights=weights)

    def hidden(self, x: np.ndarray) -> np.ndarray:
        """Compute the activations of the hidden units.

        Args:
            x: (n, d).

        Returns:
            (n, hidden) in (0, 1].
        """
        return np.exp(-_squared_distances(np.asarray(x, np.float64), self.centres) / self.width)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Compute the scores of the classes.

        Args:
            x: (n, d).

        Returns:
            (n, classes).
        """
        return self.hidden(x) @ self.weights


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """‖a_i − b_j‖², (len(a), len(b)); as a sum of squares, which is exactly 0 for equal vectors."""
    return np.square(a[:, None] - b[None]).sum(-1)


def segments(frames: np.ndarray, context: int) -> np.ndarray:
    """Join every frame with its neighbours.

    The first and the last frame are repeated beyond the ends, so that an utterance of one frame has one segment.

    Args:
        frames: (frames, dim).
        context: Frames on each side.

    Returns:
        (frames, (2 · context + 1) · dim).
    """
    padded = np.pad(frames, ((context, context), (0, 0)), mode="edge")
    return np.concatenate([padded[i : i + len(frames)] for i in range(2 * context + 1)], axis=1)


def loudest(frames: np.ndarray, share: float) -> np.ndarray:
    """Select the frames with the most energy, the first of equals.

    Args:
        frames: (frames, 34) short-term features.
        share: Share of the frames to select, at least one frame.

    Returns:
        Their indices in order of time.
    """
    count = max(1, round(share * len(frames)))
    # Rounded to 1e-6: a steady sound has frames of equal energy, and rounding error would choose among them.
    mantissa, exponent = np.frexp(frames[:, _ENERGY].astype(np.float64))
    return np.sort(np.argsort(-np.ldexp(np.round(mantissa, 6), exponent), kind="stable")[:count])


def statistics(posteriors: np.ndarray, threshold: float) -> np.ndarray:
    """Compute max, min, mean over segments, and the share of segments above a threshold.

    Args:
        posteriors: (segments, classes).
        threshold: Of the share.

    Returns:
        (4 · classes,).
    """
    above = (posteriors > threshold).mean(0)
    return np.concatenate([posteriors.max(0), posteriors.min(0), posteriors.mean(0), above])


@dataclass(frozen=True)
class DnnElmScorer(Scorer):
    """A DNN on segments, and an ELM on the statistics of its posteriors.

    Attributes:
        mean: Of the frames in training data, (34,).
        deviation: Likewise.
        context: See `DnnElm`, ().
        share: `DnnElm.loudest`, ().
        threshold: See `DnnElm`, ().
        weights: Of each layer of the DNN, (inputs, outputs).
        biases: Of each layer, (outputs,).
        statistics_mean: Of the statistics in training data, (d,).
        statistics_deviation: Likewise.
        centres: See `Elm`.
        width: See `Elm`, ().
        machine: `Elm.weights`.
        present: Numbers of the classes with training data.
        classes: Number of classes, ().
    """

    mean: np.ndarray
    deviation: np.ndarray
    context: np.ndarray
    share: np.ndarray
    threshold: np.ndarray
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    statistics_mean: np.ndarray
    statistics_deviation: np.ndarray
    centres: np.ndarray
    width: np.ndarray
    machine: np.ndarray
    present: np.ndarray
    classes: np.ndarray

    def __call__(self, frames: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """See `Scorer`.

        Args:
            frames: (n, 34).
            ids: Not read.

        Returns:
            Logits (classes,).
        """
        cut = segments((frames - self.mean) / self.deviation, int(self.context))
        posteriors = self._posteriors(cut[loudest(frames, float(self.share))].astype(np.float32))
        x = (statistics(posteriors, float(self.threshold)) - self.statistics_mean) / self.statistics_deviation
        scores = Elm(self.centres, float(self.width), self.machine)(x[None])
        return base.to_logits(scores, self.present, int(self.classes))[0]

    def _posteriors(self, x: np.ndarray) -> np.ndarray:
        """Of segments, (n, present classes); where there are two, the last layer has one output, of the second."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = np.maximum(x @ weight + bias, 0)
        x = x @ self.weights[-1] + self.biases[-1]
        return metrics.softmax(np.hstack([np.zeros_like(x), x]) if x.shape[1] == 1 else x)


@dataclass(frozen=True)
class DnnElm:
    """A DNN on segments, and an ELM on the statistics of its posteriors.

    Attributes:
        context: Frames on each side of a segment's centre; 1 makes 0.3 s, the nearest to the published 25 frames of
            10 ms.
        loudest: Share of each utterance's segments that are used, those with the most energy.
        layers: Hidden units of the network.
        epochs: At most; the epoch with the lowest loss on development segments is used.
        learning_rate: Of the network.
        batch_size: Segments per batch.
        most_segments: Training segments at most, the same number of every class.
        threshold: Of the fourth statistic.
        hidden: Units of the ELM.
        costs: Candidates for its regularisation, the most regularised first; the best UA on development data decides.
    """

    scorer: ClassVar[type[Scorer]] = DnnElmScorer
    context: int = 1
    loudest: float = 0.5
    layers: tuple[int, ...] = (256, 256, 256)
    epochs: int = 8
    learning_rate: float = 1e-3
    batch_size: int = 128
    most_segments: int = 12000
    threshold: float = 0.2
    hidden: int = 120
    costs: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)

    def fit_predict(self, fold: Fold, inputs: BaselineInputs, classes: Sequence[str], seed: int) -> BaselineOutput:
        """See `base.Classifier`.

        Args:
            fold: The three parts.
            inputs: With frames.
            classes: In the order of the logits.
            seed: Of segments, weights, batches and centres.

        Returns:
            The predictions.

        Raises:
            ConfigurationError: The frames are not short-term features.
        """
        rng = np.random.default_rng(seed)
        cut, normaliser = self._segments(fold, inputs)
        train_target, development_target = (base.targets(part, classes) for part in (fold.train, fold.development))
        present, dense = np.unique(train_target, return_inverse=True)
        usable = np.isin(development_target, present)
        network, epoch = self._network(
            cut[0],
            dense,
            [s for s, use in zip(cut[1], usable, strict=True) if use],
            np.searchsorted(present, development_target[usable]),
            rng,
        )
        x = [np.stack([self._statistics(network, s) for s in part]) if part else np.empty((0, 0)) for part in cut]
        (train, development, test), of_statistics = functionals.standardised(
            x[0], x[1], x[2].reshape(-1, x[0].shape[1])
        )
        machines = self._machines(train, dense, len(present), int(rng.integers(2**32)))
        logits = [base.to_logits(machine(development), present, len(classes)) for machine in machines]
        chosen = base.best(logits, development_target)
        return BaselineOutput(
            base.to_logits(machines[chosen](test), present, len(classes)),
            logits[chosen],
            self._scorer(normaliser, network, of_statistics, machines[chosen], present, len(classes)),
            chosen=(f"DNN epoch {epoch} of {self.epochs}", f"ELM cost {self.costs[chosen]:g}"),
        )

    def _scorer(
        self, normaliser: Normaliser, network: Any, of_statistics: Normaliser, elm: Elm, present: np.ndarray, n: int
    ) -> DnnElmScorer:
        """What was fitted; n: number of classes."""
        return DnnElmScorer(
            mean=normaliser.mean,
            deviation=normaliser.deviation,
            context=np.array(self.context),
            share=np.array(self.loudest),
            threshold=np.array(self.threshold),
            weights=tuple(network.coefs_),
            biases=tuple(network.intercepts_),
            statistics_mean=of_statistics.mean,
            statistics_deviation=of_statistics.deviation,
            centres=elm.centres,
            width=np.array(elm.width),
            machine=elm.weights,
            present=present,
            classes=np.array(n),
        )

    def _segments(self, fold: Fold, inputs: BaselineInputs) -> tuple[list[list[np.ndarray]], Normaliser]:
        """The segments of each utterance of each part that are used, and the statistics of training frames."""
        frames = [base.frames(inputs, part) for part in base.parts(fold)]
        if (columns := frames[0][0].shape[1]) != len(NAMES):
            raise ConfigurationError(f"DNN-ELM reads the {len(NAMES)} short-term features, not {columns}")
        normaliser = Normaliser.fit(frames[0], len(NAMES))
        cut = [
            [segments(normaliser(x), self.context)[loudest(x, self.loudest)].astype(np.float32) for x in part]
            for part in frames
        ]
        return cut, normaliser

    def _statistics(self, network: Any, cut: np.ndarray) -> np.ndarray:
        """Statistics of the posteriors of one utterance's segments."""
        return statistics(network.predict_proba(cut), self.threshold)

    def _machines(self, x: np.ndarray, target: np.ndarray, n_classes: int, seed: int) -> list[Elm]:
        """An ELM of each cost, all with the same centres; every class has the same weight."""
        importance = len(target) / np.bincount(target)[target] / n_classes
        signs = np.where(target[:, None] == np.arange(n_classes), 1.0, -1.0)
        return [
            Elm.fit(x, signs, hidden=self.hidden, cost=cost, rng=np.random.default_rng(seed), importance=importance)
            for cost in self.costs
        ]

    def _network(
        self,
        train: Sequence[np.ndarray],
        target: np.ndarray,
        development: Sequence[np.ndarray],
        development_target: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[Any, int]:
        """Train an `MLPClassifier`; return it with the weights of its best epoch, and that epoch, from 1."""
        try:
            from sklearn.neural_network import MLPClassifier
        except ImportError as error:
            raise MissingExtraError("The DNN-ELM baseline", "train") from error
        x, y = self._balanced(np.concatenate(train), np.repeat(target, [len(s) for s in train]), rng)
        held_out = np.concatenate(development)
        truth = np.repeat(development_target, [len(s) for s in development])
        network = MLPClassifier(
            self.layers,
            batch_size=min(self.batch_size, len(x)),  # pyright: ignore[reportArgumentType]  (its hint is of "auto")
            learning_rate_init=self.learning_rate,
            random_state=int(rng.integers(2**32)),
        )
        least, best, epoch = np.inf, ([], []), 0
        for number in range(1, self.epochs + 1):
            network.partial_fit(x, y, classes=np.unique(y))
            loss = metrics.negative_log_likelihood(network.predict_proba(held_out), truth)
            if not epoch or metrics.best_index([-least, -loss]):
                least, epoch = loss, number
                best = [w.copy() for w in network.coefs_], [b.copy() for b in network.intercepts_]
        network.coefs_, network.intercepts_ = best
        return network, epoch

    def _balanced(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """At most `most_segments` segments, drawn at random, and equally many of every class where there are enough."""
        n_classes = int(y.max()) + 1
        most = self.most_segments // n_classes
        kept = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:most] for c in range(n_classes)])
        return x[kept], y[kept]


BASELINE = Baseline(
    name="dnn-elm",
    title="DNN-ELM",
    needs=("frames",),
    source="Han, Yu & Tashev, Speech emotion recognition using deep neural network and extreme learning machine, "
    "INTERSPEECH 2014",
    method=DnnElm(),
    reconstruction="features, segments of 0.3 s, the share of loud segments and the form of the ELM",
)
