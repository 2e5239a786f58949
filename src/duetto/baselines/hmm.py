"""One hidden Markov model a class: which class makes the frames likeliest?

    (frames, 34) z-scored ─ Gaussian HMM of each class ─▶ log-likelihood per frame (classes,)

After Lin & Wei 2005 ("Speech emotion recognition based on HMM and SVM", ICMLC), whose text could not be read. Their
39 selected features (pitch, energy, formants, MFCC) are replaced by the 34 that all systems here hear. The models
are ergodic with one Gaussian of diagonal covariance a state; mixtures are contained in that, as more states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import MissingExtraError
from ..preprocessing import Normaliser
from ..splits import Fold
from . import base
from .base import BaselineInputs, BaselineOutput


@dataclass(frozen=True)
class Hmm:
    """states: candidates for the number of states, of all classes alike; the best on development data is taken.
    A class with fewer different frames has as many states as those.

    iterations: steps of expectation maximisation.
    prior_frames: so many frames of variance 1, the variance of all training frames, are added to each state's own,
    so that no state shrinks to a point. pseudo_count: added to every transition and start, so that none is
    impossible; models trained on utterances of one frame stay finite by it.
    """

    states: tuple[int, ...] = (1, 2, 4, 8)
    iterations: int = 10
    prior_frames: float = 1.0
    pseudo_count: float = 0.1

    def fit_predict(self, fold: Fold, inputs: BaselineInputs, classes: Sequence[str], seed: int) -> BaselineOutput:
        """See `base.Classifier`. The seed decides where the states begin."""
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
        answers = [base.columns(_score(models, development), present, len(classes)) for models in candidates]
        chosen = base.best(answers, base.targets(fold.development, classes))
        logits = base.columns(_score(candidates[chosen], test), present, len(classes))
        return BaselineOutput(logits, answers[chosen], (f"states = {self.states[chosen]}",))

    def _fit(self, sequences: Sequence[np.ndarray], states: int, seed: tuple[int, int]):
        """A `GaussianHMM` of one class."""
        try:
            from hmmlearn.hmm import GaussianHMM
            from sklearn.cluster import KMeans
            from threadpoolctl import threadpool_limits
        except ImportError as error:
            raise MissingExtraError("The HMM baseline", "train") from error
        frames, lengths = np.concatenate(sequences), [len(x) for x in sequences]
        states = min(states, len(np.unique(np.round(frames, 6), axis=0)))  # equal but for rounding is equal
        state = int(np.random.SeedSequence(seed).generate_state(1)[0])
        model = GaussianHMM(
            states,
            covariance_type="diag",
            # The M-step's variance is (covars_prior + scatter) / (covars_weight − 1 + frames).
            covars_prior=self.prior_frames,
            covars_weight=1 + self.prior_frames,  # pyright: ignore[reportArgumentType]  (guessed from the default)
            transmat_prior=1 + self.pseudo_count,
            startprob_prior=1 + self.pseudo_count,
            n_iter=1,
            random_state=state,
            init_params="st",
        )
        # Threads would add up cluster centres in an order of their own.
        with threadpool_limits(1):
            clusters = KMeans(states, n_init=1, random_state=state)  # pyright: ignore[reportArgumentType]
            model.means_ = clusters.fit(frames).cluster_centers_
            variance = (self.prior_frames + len(frames) * frames.var(0)) / (self.prior_frames + len(frames))
            model.covars_ = np.tile(variance, (states, 1))
            for _ in range(self.iterations):
                # One step a call: hmmlearn would take a step that the priors hold back for divergence.
                model.fit(frames, lengths)
                model.init_params = ""
        return model


def _score(models: Sequence, sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Log-likelihood per frame, (n, models): long and short utterances on one scale."""
    return np.array([[m.score(x) / len(x) for m in models] for x in sequences]).reshape(len(sequences), len(models))
