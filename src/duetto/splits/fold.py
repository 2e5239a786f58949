"""`Fold`: one division of a corpus, and the draw of its development speakers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..data.utterance import Utterance
from ..errors import ConfigurationError

GROUPS = ("speaker", "session", "scenario")
"""Fields of an utterance in which parts of a fold can be disjoint."""

DEVELOPMENT_SHARE = 0.15
"""Share of the training speakers (or utterances) that is held out for development."""


@dataclass(frozen=True)
class Fold:
    """One division of a corpus. The parts never share an utterance.

    Attributes:
        name: For messages and reports.
        train: Utterances that parameters are fitted to.
        development: Utterances that settings are chosen on.
        test: Utterances that are scored once.
        rated: Further utterances of training, without a class, from which only dimensions are learned (`with_rated`).
    """

    name: str
    train: tuple[Utterance, ...]
    development: tuple[Utterance, ...]
    test: tuple[Utterance, ...]
    rated: tuple[Utterance, ...] = ()

    @property
    def joined(self) -> Fold:
        """The fold whose training part holds the rated utterances too."""
        return replace(self, train=(*self.train, *self.rated), rated=())

    def shared(self, group: str) -> tuple[str, ...]:
        """List the values of a group that are both in the test part and in training or development.

        Sessions and scenarios of two corpora are two, whatever their names; speakers are compared by name alone.

        Args:
            group: One of `GROUPS`, or `corpus`.

        Returns:
            The shared speakers, sessions, scenarios or corpora, sorted.
        """
        fitted = {_identity(utterance, group) for utterance in (*self.train, *self.development)}
        shared = {_identity(utterance, group) for utterance in self.test} & fitted
        return tuple(sorted({value for _, value in shared if value is not None}))

    @property
    def disjoint_in(self) -> tuple[str, ...]:
        """The groups in which all test data are new; not those that an utterance lacks."""
        return tuple(
            group
            for group in (*GROUPS, "corpus")
            if not self.shared(group)
            and all(getattr(u, group) is not None for u in (*self.train, *self.development, *self.test))
        )


def _identity(utterance: Utterance, group: str) -> tuple[str | None, str | None]:
    """A value of a group: of sessions and scenarios, which corpora name alike, with the corpus."""
    return utterance.corpus if group in ("session", "scenario") else None, getattr(utterance, group)


def with_rated(fold: Fold, others: Iterable[Utterance]) -> Fold:
    """Add utterances without a class to the training of a fold, from which dimensions can be learned.

    Args:
        fold: The fold.
        others: Utterances that are in no part of it.

    Returns:
        The fold with those of them that leave its test data new in all groups in which they are, and whose speaker is
        none of development.
    """
    groups = fold.disjoint_in
    tested = {group: {_identity(u, group) for u in fold.test} for group in groups}
    held_out = {u.speaker for u in fold.development if u.speaker is not None}
    rated = (
        u
        for u in others
        if u.speaker not in held_out
        and all(getattr(u, group) is not None and _identity(u, group) not in tested[group] for group in groups)
    )
    return replace(fold, rated=tuple(rated))


def with_development(name: str, rest: Sequence[Utterance], test: Sequence[Utterance], seed: int) -> Fold:
    """Make a fold whose development speakers are drawn from the utterances that are not tested.

    Args:
        name: Name of the fold.
        rest: Utterances for training and development; those without a speaker are trained on.
        test: Utterances that are tested.
        seed: Of the draw.

    Returns:
        The fold.

    Raises:
        ConfigurationError: `test` is empty, or `rest` has fewer than two speakers.
    """
    if not test:
        raise ConfigurationError(f"fold {name!r} has no test utterance; check the sessions and labels of the manifest")
    speakers = sorted({utterance.speaker for utterance in rest if utterance.speaker is not None})
    if len(speakers) < 2:
        raise ConfigurationError(
            f"fold {name!r} has {len(speakers)} speaker(s) to train on; development data need one more. "
            "Give every utterance its speaker, or choose protocol 'random'"
        )
    order = np.random.default_rng([seed, len(rest)]).permutation(len(speakers))
    held_out = {speakers[i] for i in order[: max(1, round(DEVELOPMENT_SHARE * len(speakers)))]}
    return Fold(
        name,
        train=tuple(u for u in rest if u.speaker not in held_out),
        development=tuple(u for u in rest if u.speaker in held_out),
        test=tuple(test),
    )
