"""Systems that adapt to a speaker (`normalisation = "shrinkage"`): what they are trained on, and how they are scored.

    training utterances ─ SpeakerDraws ─▶ Inputs, each utterance after a random number of others of its speaker
    test utterances ─ after_utterances ─▶ logits after 1, 5 and 20 earlier utterances of the speaker

The earlier utterances are used without their labels. In an order of a speaker's utterances that is drawn at random, an
utterance at place n + 1 follows n others drawn at random, which is how they are drawn here: so every utterance is
scored after exactly n others, or after all others of a speaker who has fewer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from .. import metrics
from ..data.utterance import Utterance
from ..preprocessing import Preprocessor
from ..preprocessing.normalisation import Normaliser
from .inputs import Inputs, frames_of
from .loop import derive

AFTER = (1, 5, 20)
"""Numbers of earlier utterances of the speaker after which test utterances are scored."""

ORDERS = 3
"""Random orders of each speaker's utterances over which these scores are averaged."""

SHRINKAGES = (5.0, 2.0, 10.0, 20.0)
"""Candidates for n₀ where an experiment leaves it to development speakers, the default first."""

_UNADAPTED = 0.25
"""Share of training utterances that are drawn as their speaker's first."""

_MOST_DRAWN = 32
"""Earlier utterances that training draws at most: beyond, n₀ = 5 leaves the training statistics 14 %."""

_DRAWN_AT_ONCE = 3
"""Draws of each training utterance for a classifier that is fitted at once."""

_CLOSE = 1e-6
"""Relative difference of losses that counts as none."""

Score = Callable[[Inputs], np.ndarray]
"""Inputs → logits (utterances, classes)."""


class SpeakerDraws:
    """The training inputs of an epoch, each utterance after others of its speaker.

    The number of others is 0 for a quarter of the utterances, else log-uniform from 1 to 32, but at most what there
    is. An utterance of an unknown speaker, or of one who shows a single emotion, always counts as a first one. The
    guard is not applied: random utterances of a speaker who shows several emotions need none.

    Args:
        preprocessor: Of the system, with an adaptation.
        utterances: Of training.
        inputs: The same, prepared as first utterances.
        variants: Utterance id → (frames, values) of the utterances, and of each augmented copy. An utterance and those
            before it are drawn from the same one.
    """

    def __init__(
        self,
        preprocessor: Preprocessor,
        utterances: Sequence[Utterance],
        inputs: Inputs,
        variants: Sequence[Mapping[str, np.ndarray]],
    ) -> None:
        assert preprocessor.adaptation is not None
        self._preprocessor, self._inputs = preprocessor, inputs
        self._frames = [[frames_of(u, frames) for u in utterances] for frames in variants]
        self._moments = [_moments(frames, preprocessor.normaliser) for frames in self._frames]
        self._others = _others(utterances, several_classes=True)

    def __call__(self, rng: np.random.Generator) -> Inputs:
        """Draw the inputs of an epoch.

        Args:
            rng: Makes the draws.

        Returns:
            The training inputs, in their order.
        """
        adaptation, training = self._preprocessor.adaptation, self._preprocessor.normaliser
        assert adaptation is not None
        frames = []
        for i, others in enumerate(self._others):
            variant = int(rng.integers(len(self._frames)))
            count = min(len(others), _number(rng))
            chosen = rng.choice(others, count, replace=False) if count else others[:0]
            mean, square = (moment[chosen].sum(0) for moment in self._moments[variant])
            frames.append(adaptation.shrunken(mean, square, count, training)(self._frames[variant][i]))
        return replace(self._inputs, frames=frames)

    def several(self, seed: int) -> list[Inputs]:
        """Draw the rows of a classifier that is fitted at once.

        Args:
            seed: Of the draws.

        Returns:
            The training inputs three times, or as often as there are variants, each time after other utterances.
        """
        times = max(_DRAWN_AT_ONCE, len(self._frames))
        return [self(np.random.default_rng(derive(seed, "sessions", number))) for number in range(times)]


def _number(rng: np.random.Generator) -> int:
    """How many utterances precede one of training."""
    first, drawn = rng.random(), int(np.exp(rng.uniform(0.0, np.log(_MOST_DRAWN + 1))))
    return 0 if first < _UNADAPTED else drawn


def _moments(frames: Sequence[np.ndarray], normaliser: Normaliser) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and mean square, of each utterance: (utterances, n_features) float64 each."""
    each = [x.astype(np.float64).reshape(-1, len(normaliser.mean)) for x in frames]
    return np.stack([x.mean(0) for x in each]), np.stack([np.square(x).mean(0) for x in each])


def _others(utterances: Sequence[Utterance], *, several_classes: bool) -> list[np.ndarray]:
    """Indices of the other utterances of each one's speaker, by id."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i in sorted(range(len(utterances)), key=lambda i: utterances[i].id):
        groups[utterances[i].speaker or ""].append(i)
    for speaker, members in groups.items():
        if not speaker or (several_classes and len({utterances[i].label for i in members}) < 2):
            groups[speaker] = []
    return [np.array([j for j in groups[u.speaker or ""] if j != i], np.int64) for i, u in enumerate(utterances)]


def adapted(
    preprocessor: Preprocessor,
    utterances: Sequence[Utterance],
    inputs: Inputs,
    frames: Mapping[str, np.ndarray],
    count: int,
    order: int,
) -> Inputs:
    """Prepare utterances after earlier ones of their speakers, as prediction in a session does.

    Args:
        preprocessor: Of the system, with an adaptation.
        utterances: Labelled.
        inputs: The same, prepared as first utterances.
        frames: Utterance id → (frames, values) features.
        count: Earlier utterances; fewer where the speaker has no more.
        order: Seeds the draw, with the utterance's id: those after more utterances follow the same ones and others.

    Returns:
        The inputs.
    """
    adaptation, training, prepared = preprocessor.adaptation, preprocessor.normaliser, []
    assert adaptation is not None
    sums = [adaptation.sums(frames_of(u, frames), training) for u in utterances]
    for u, others in zip(utterances, _others(utterances, several_classes=False), strict=True):
        drawn = np.random.default_rng(derive("session", order, u.id)).permutation(others)[:count]
        speaker = sum((sums[i] for i in drawn), start=adaptation.empty(training))
        normaliser = adaptation.normaliser(speaker, training)
        prepared.append(preprocessor.normalise_frames(frames_of(u, frames), normaliser))
    return replace(inputs, frames=prepared)


def as_in_sessions(
    preprocessor: Preprocessor, utterances: Sequence[Utterance], inputs: Inputs, frames: Mapping[str, np.ndarray]
) -> Inputs:
    """Prepare utterances as first ones, and after each number of `AFTER`: what development data are for a system that
    adapts, so that epoch, settings and temperature suit recordings at any place of a session.

    Args:
        preprocessor: Of the system, with an adaptation.
        utterances: Labelled.
        inputs: The same, prepared as first utterances.
        frames: Utterance id → (frames, values) features.

    Returns:
        All of them, one after another.
    """
    parts = [inputs, *(adapted(preprocessor, utterances, inputs, frames, count, 0) for count in AFTER)]
    return Inputs(
        [x for part in parts for x in part.frames or []],
        None if inputs.words is None else [x for part in parts for x in part.words or []],
        np.concatenate([part.target for part in parts]),
        *(None if x is None else np.concatenate([x] * len(parts)) for x in (inputs.soft, inputs.ratings)),
    )


def after_utterances(
    preprocessor: Preprocessor,
    utterances: Sequence[Utterance],
    inputs: Inputs,
    frames: Mapping[str, np.ndarray],
    score: Score,
) -> np.ndarray:
    """Score utterances after earlier ones of their speakers.

    Args:
        preprocessor: Of the system, with an adaptation.
        utterances: Labelled.
        inputs: The same, prepared as first utterances.
        frames: Utterance id → (frames, values) features.
        score: The trained model.

    Returns:
        Logits (settings, orders, utterances, classes) float32, after each number of `AFTER` in `ORDERS` orders.
    """
    return np.stack(
        [[score(adapted(preprocessor, utterances, inputs, frames, n, order)) for order in range(ORDERS)] for n in AFTER]
    ).astype(np.float32)


def choose_shrinkage(
    preprocessor: Preprocessor,
    utterances: Sequence[Utterance],
    inputs: Inputs,
    frames: Mapping[str, np.ndarray],
    score: Score,
) -> Preprocessor:
    """Choose n₀ on development speakers, where the experiment leaves it to them.

    The one of `SHRINKAGES` with the smallest mean cross-entropy over all of `AFTER` and `ORDERS`; training has seen
    every mixture of training and speaker statistics, so the model need not be trained again.

    Args:
        preprocessor: Of the system, with an adaptation.
        utterances: Of development.
        inputs: The same, prepared as first utterances.
        frames: Utterance id → (frames, values) features.
        score: The trained model.

    Returns:
        The preprocessor with this n₀.
    """
    adaptation = preprocessor.adaptation
    if adaptation is None or preprocessor.experiment.shrinkage or not utterances:
        return preprocessor
    best, least = preprocessor, np.inf
    for shrinkage in SHRINKAGES:
        candidate = replace(preprocessor, adaptation=adaptation.with_shrinkage(shrinkage))
        logits = after_utterances(candidate, utterances, inputs, frames, score).astype(np.float64)
        probabilities = metrics.softmax(logits).reshape(-1, logits.shape[-1])
        repeated = np.tile(inputs.target, len(probabilities) // len(inputs.target))
        loss = metrics.negative_log_likelihood(probabilities, repeated)
        if loss < least * (1 - _CLOSE):
            best, least = candidate, loss
    return best
