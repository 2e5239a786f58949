"""One hidden Markov model per class: which class makes the frames likeliest?

    (frames, 34) z-scored ─ Gaussian HMM of each class ─▶ log-likelihood per frame (classes,)

After Lin & Wei 2005 ("Speech emotion recognition based on HMM and SVM", ICMLC), whose text could not be read. Their
39 selected features (pitch, energy, formants, MFCC) are replaced by the 34 short-term features. The models are ergodic,
with one Gaussian of diagonal covariance per state; a mixture of Gaussians is equivalent to more states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import MissingExtraError
from ..preprocessing import Normaliser
from ..splits import Fold
from . import base
from .base import Baseline, BaselineInputs, BaselineOutput
from .scorer import Scorer
from .svm import SOURCE


@dataclass(frozen=True)
class HmmScorer(Scorer):
    """Log-likelihood per frame under the HMM of each class, by the forward algorithm (Rabiner 1989, equations 19–21).

    Attributes:
        mean: Of the frames in training data, (34,).
        deviation: Likewise.
        start: Probabilities of the first state, (states,) of each model.
        transitions: Probabilities of the next state, (states, states) of each model.
        means: Of each state, (states, 34) of each model.
        variances: Of each state, (states, 34) of each model.
        present: Numbers of the classes with training data, one a model.
        classes: Number of classes, ().
    """

    mean: np.ndarray
    deviation: np.ndarray
    start: tuple[np.ndarray, ...]
    transitions: tuple[np.ndarray, ...]
    means: tuple[np.ndarray, ...]
    variances: tuple[np.ndarray, ...]
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
        x = ((frames - self.mean) / self.deviation).astype(np.float64)
        models = zip(self.start, self.transitions, self.means, self.variances, strict=True)
        scores = np.array([log_likelihood(x, *model) / len(x) for model in models])
        return base.to_logits(scores[None], self.present, int(self.classes))[0]


def log_likelihood(
    x: np.ndarray, start: np.ndarray, transitions: np.ndarray, means: np.ndarray, variances: np.ndarray
) -> float:
    """Compute the log-likelihood of a sequence under a Gaussian HMM.

    Args:
        x: (n ≥ 1, d).
        start: (states,).
        transitions: (states, states).
        means: (states, d).
        variances: (states, d).

    Returns:
        Its log-likelihood, in nats.
    """
    squares = (np.square(x[:, None] - means) / variances).sum(-1)
    densities = -0.5 * (squares + np.log(2 * np.pi * variances).sum(1))  # (n, states), log
    total, state = 0.0, start
    for t, density in enumerate(densities):
        highest = density.max()
        state = (state @ transitions if t else state) * np.exp(density - highest)
        total += highest + np.log(state.sum())
        state = state / state.sum()
    return float(total)


@dataclass(frozen=True)
class Hmm:
    """A Gaussian HMM per class.

    Attributes:
        states: Candidates for the number of states, the same for all classes; the best on development data is chosen.
            A class with fewer distinct frames has as many states as those.
        iterations: Steps of expectation maximisation.
        prior_frames: Pseudo-frames with variance 1, the variance of all training frames, that are added to each
            state's own, so that no state collapses to a point.
        pseudo_count: Added to every transition and start count, so that none is impossible; models trained on
            utterances of one frame stay finite thanks to it.
    """

    scorer: ClassVar[type[Scorer]] = HmmScorer
    states: tuple[int, ...] = (1, 2, 4, 8)
    iterations: int = 10
    prior_frames: float = 1.0
    pseudo_count: float = 0.1

    def fit_predict(self, fold: Fold, inputs: BaselineInputs, classes: Sequence[str], seed: int) -> BaselineOutput:
        """See `base.Classifier`.

        Args:
            fold: The three parts.
            inputs: With frames.
            classes: In the order of the logits.
            seed: Of the initial states.

        Returns:
            The predictions.
        """
        train = base.frames(inputs, fold.train)
        normaliser = Normaliser.fit(train, train[0].shape[1])
        train, development, test = (
            [normaliser(x).astype(np.float64) for x in base.frames(inputs, part)] for part in base.parts(fold)
        )
        target = base.targets(fold.train, classes)
        present = sorted(set(target.tolist()))
        by_class = [[x for x, label in zip(train, target, strict=True) if label == c] for c in present]
        candidates = [
            [self._fit(sequences, states, (seed, number)) for number, sequences in enumerate(by_class)]
            for states in self.states
        ]
        logits = [base.to_logits(_score(models, development), present, len(classes)) for models in candidates]
        chosen = base.best(logits, base.targets(fold.development, classes))
        test_logits = base.to_logits(_score(candidates[chosen], test), present, len(classes))
        best = candidates[chosen]
        scorer = HmmScorer(
            mean=normaliser.mean,
            deviation=normaliser.deviation,
            start=tuple(m.startprob_ for m in best),
            transitions=tuple(m.transmat_ for m in best),
            means=tuple(m.means_ for m in best),
            variances=tuple(np.diagonal(m.covars_, axis1=1, axis2=2) for m in best),
            present=np.array(present),
            classes=np.array(len(classes)),
        )
        return BaselineOutput(test_logits, logits[chosen], scorer, chosen=(f"states = {self.states[chosen]}",))

    def _fit(self, sequences: Sequence[np.ndarray], states: int, seed: tuple[int, int]) -> Any:
        """Fit the `GaussianHMM` of one class."""
        try:
            from hmmlearn.hmm import GaussianHMM
            from sklearn.cluster import KMeans
            from threadpoolctl import threadpool_limits
        except ImportError as error:
            raise MissingExtraError("The HMM baseline", "train") from error
        frames, lengths = np.concatenate(sequences), [len(x) for x in sequences]
        states = min(states, len(np.unique(np.round(frames, 6), axis=0)))  # equal up to rounding error is equal
        state = int(np.random.SeedSequence(seed).generate_state(1)[0])
        model = GaussianHMM(
            states,
            covariance_type="diag",
            # The M-step's variance is (covars_prior + scatter) / (covars_weight − 1 + frames).
            covars_prior=self.prior_frames,
            covars_weight=1 + self.prior_frames,  # pyright: ignore[reportArgumentType]  (inferred from the default)
            transmat_prior=1 + self.pseudo_count,
            startprob_prior=1 + self.pseudo_count,
            n_iter=1,
            random_state=state,
            init_params="st",
        )
        with threadpool_limits(1):  # several threads would sum cluster centres in an arbitrary order
            clusters = KMeans(states, n_init=1, random_state=state)  # pyright: ignore[reportArgumentType]
            model.means_ = clusters.fit(frames).cluster_centers_
            variance = (self.prior_frames + len(frames) * frames.var(0)) / (self.prior_frames + len(frames))
            model.covars_ = np.tile(variance, (states, 1))
            for _ in range(self.iterations):
                # One step per call: hmmlearn would take a step that the priors hold back for divergence.
                model.fit(frames, lengths)
                model.init_params = ""
        return model


def _score(models: Sequence[Any], sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Log-likelihood per frame, (n, models), which puts long and short utterances on one scale."""
    return np.array([[m.score(x) / len(x) for m in models] for x in sequences]).reshape(len(sequences), len(models))


BASELINE = Baseline(
    name="hmm",
    title="HMM, one a class",
    needs=("frames",),
    source=SOURCE,
    method=Hmm(),
    reconstruction="the 34 features replace the published selection; number of states chosen on development data",
)
