"""DNN-ELM: a network judges short segments, an extreme learning machine the utterance from their statistics.

    (frames, 34) ─ 3 frames around each ─▶ segments ─ DNN 3 × 256 ReLU ─▶ posteriors (segments, classes)
    posteriors ─ max, min, mean, share above 0.2 of each class ─▶ (4 · classes,) ─ RBF-ELM ─▶ scores (classes,)

Han, Yu & Tashev, "Speech Emotion Recognition Using Deep Neural Network and Extreme Learning Machine", INTERSPEECH
2014. Only its abstract could be read; the rest is a reconstruction, and docs/systems.md says which part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import metrics
from ..errors import ConfigurationError, MissingExtraError
from ..features.short_term import NAMES
from ..preprocessing import Normaliser
from ..splits import Fold
from . import base, functionals
from .base import Answers, Inputs

_ENERGY = NAMES.index("energy")


@dataclass(frozen=True)
class Elm:
    """An extreme learning machine with radial basis functions (Huang, Zhu & Siew 2006).

    h_k(x) = exp(−‖x − centre_k‖² / width), scores h(x) · weights. centres (hidden, d) are training examples drawn
    at random and never trained, weights (hidden, classes) the ridge solution.
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
        """Weights that minimise Σ importance_i · ‖h(x_i) · weights − target_i‖² + ‖weights‖² / cost.

        x: (n, d), n ≥ 1. target: (n, classes). hidden: units, at most n. importance: (n,), by default 1.
        The width is the median squared distance between two centres (1 where all are equal).
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
        layer = cls(centres, width if width > 0 else 1.0, np.empty((len(centres), 0)))
        h = layer.hidden(x)
        weighted = h.T if importance is None else h.T * importance
        weights = np.linalg.solve(weighted @ h + np.eye(h.shape[1]) / cost, weighted @ target)
        return cls(centres, layer.width, weights)

    def hidden(self, x: np.ndarray) -> np.ndarray:
        """Activations (n, hidden) in (0, 1]."""
        return np.exp(-_squared_distances(np.asarray(x, np.float64), self.centres) / self.width)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Scores (n, classes) of x (n, d)."""
        return self.hidden(x) @ self.weights


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """‖a_i − b_j‖², (len(a), len(b)); by the sum of squares, which loses nothing where two are equal."""
    return np.square(a[:, None] - b[None]).sum(-1)


def segments(frames: np.ndarray, context: int) -> np.ndarray:
    """Every frame with `context` frames on each side, (frames, (2 · context + 1) · dim); the first and the last
    frame are repeated beyond the ends, so that an utterance of one frame has one segment."""
    padded = np.pad(frames, ((context, context), (0, 0)), mode="edge")
    return np.concatenate([padded[i : i + len(frames)] for i in range(2 * context + 1)], axis=1)


def loudest(frames: np.ndarray, share: float) -> np.ndarray:
    """Indices of the `share` of frames with most energy, the first of equals, at least one, in the order of time."""
    count = max(1, round(share * len(frames)))
    # To 1e-6: a steady sound has frames of equal energy, and rounding would choose among them.
    mantissa, exponent = np.frexp(frames[:, _ENERGY].astype(np.float64))
    return np.sort(np.argsort(-np.ldexp(np.round(mantissa, 6), exponent), kind="stable")[:count])


def statistics(posteriors: np.ndarray, threshold: float) -> np.ndarray:
    """(segments, classes) → (4 · classes,): max, min, mean over segments, and the share above `threshold`."""
    above = (posteriors > threshold).mean(0)
    return np.concatenate([posteriors.max(0), posteriors.min(0), posteriors.mean(0), above])


@dataclass(frozen=True)
class DnnElm:
    """context: frames on each side of a segment's centre; 1 makes 0.3 s, the nearest to the published 25 frames of
    10 ms. loudest: share of each utterance's segments that are used, those with most energy.
    layers: hidden units of the network. epochs: at most; the one with the least loss on development segments is
    taken. most_segments: training segments at most, of every class alike. threshold: of the fourth statistic.
    hidden: units of the ELM. costs: candidates for its regularisation, the most regular first; the best UA on
    development data decides.
    """

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

    def answer(self, fold: Fold, inputs: Inputs, classes: Sequence[str], seed: int) -> Answers:
        """See `base.Method`. The seed draws segments, weights, batches and centres."""
        rng = np.random.default_rng(seed)
        read = [base.frames(inputs, part) for part in base.parts(fold)]
        if (columns := read[0][0].shape[1]) != len(NAMES):
            raise ConfigurationError(f"DNN-ELM reads the {len(NAMES)} short-term features, not {columns}")
        normaliser = Normaliser.fit(read[0], len(NAMES))
        cut = [[self._cut(x, normaliser) for x in part] for part in read]
        target = [base.targets(part, classes) for part in (fold.train, fold.development)]
        present, dense = np.unique(target[0], return_inverse=True)
        known = [(s, np.searchsorted(present, c)) for s, c in zip(cut[1], target[1], strict=True) if c in present]
        network, epoch = self._network(cut[0], dense, [s for s, _ in known], np.array([c for _, c in known]), rng)
        x = [np.stack([self._describe(network, s) for s in part]) if part else np.empty((0, 0)) for part in cut]
        train, development, test = functionals.standardised(x[0], x[1], x[2].reshape(-1, x[0].shape[1]))
        share = np.bincount(dense)[dense]
        wanted = np.where(dense[:, None] == np.arange(len(present)), 1.0, -1.0)
        centres = int(rng.integers(2**32))
        machines = [
            Elm.fit(train, wanted, hidden=self.hidden, cost=cost, rng=np.random.default_rng(centres),
                    importance=len(dense) / share / len(present))
            for cost in self.costs
        ]  # fmt: skip
        answers = [base.columns(machine(development), present, len(classes)) for machine in machines]
        chosen = base.best(answers, target[1])
        return Answers(
            base.columns(machines[chosen](test), present, len(classes)),
            answers[chosen],
            (f"DNN epoch {epoch} of {self.epochs}", f"ELM cost {self.costs[chosen]:g}"),
        )

    def _cut(self, frames: np.ndarray, normaliser: Normaliser) -> np.ndarray:
        """The segments of one utterance that are used."""
        return segments(normaliser(frames), self.context)[loudest(frames, self.loudest)].astype(np.float32)

    def _describe(self, network, cut: np.ndarray) -> np.ndarray:
        """Statistics of the posteriors of one utterance."""
        return statistics(network.predict_proba(cut), self.threshold)

    def _network(
        self,
        train: Sequence[np.ndarray],
        target: np.ndarray,
        development: Sequence[np.ndarray],
        development_target: np.ndarray,
        rng: np.random.Generator,
    ):
        """A trained `MLPClassifier` and its epoch, from 1."""
        try:
            from sklearn.neural_network import MLPClassifier
        except ImportError as error:
            raise MissingExtraError("The DNN-ELM baseline", "train") from error
        x, y = np.concatenate(train), np.repeat(target, [len(s) for s in train])
        most = self.most_segments // (int(y.max()) + 1)
        kept = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:most] for c in range(int(y.max()) + 1)])
        x, y = x[kept], y[kept]
        checked = np.concatenate(development)
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
            loss = metrics.negative_log_likelihood(network.predict_proba(checked), truth)
            if not epoch or metrics.best_index([-least, -loss]):
                least, epoch = loss, number
                best = [w.copy() for w in network.coefs_], [b.copy() for b in network.intercepts_]
        network.coefs_, network.intercepts_ = best
        return network, epoch
