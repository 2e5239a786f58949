"""Protocols: utterances → folds of training, development and test data.

    fold.train ∪ fold.development ─▶ everything that is fitted or chosen      fold.test ─▶ scored once

Development data are held out of training by speaker, and whatever is chosen (an epoch, a temperature) is chosen on
them. A fold computes from its own utterances what its test data share with the rest (`shared`), so that no protocol
can claim a disjointness that the data do not have.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .data.utterance import Utterance, by_id
from .errors import ConfigurationError

GROUPS = ("speaker", "session", "scenario")
"""Fields of an utterance in which parts of a fold can be disjoint."""

DEVELOPMENT_SHARE = 0.15
"""Share of the training speakers (or utterances) that is held out for development."""

FOLDS = 5
"""Folds of a protocol that groups speakers or scenarios."""


@dataclass(frozen=True)
class Fold:
    """One division of a corpus. The three parts never share an utterance.

    Attributes:
        name: For messages and reports.
        train: Utterances that parameters are fitted to.
        development: Utterances that settings are chosen on.
        test: Utterances that are scored once.
    """

    name: str
    train: tuple[Utterance, ...]
    development: tuple[Utterance, ...]
    test: tuple[Utterance, ...]

    def shared(self, group: str) -> tuple[str, ...]:
        """List the values of a group that are both in the test part and in training or development.

        Args:
            group: One of `GROUPS`.

        Returns:
            The shared speakers, sessions or scenarios, sorted.
        """
        fitted = {getattr(utterance, group) for utterance in (*self.train, *self.development)}
        return tuple(sorted({getattr(utterance, group) for utterance in self.test} & fitted - {None}))

    @property
    def disjoint_in(self) -> tuple[str, ...]:
        """The groups in which all test data are new; not those that an utterance lacks."""
        return tuple(
            group
            for group in GROUPS
            if not self.shared(group)
            and all(getattr(u, group) is not None for u in (*self.train, *self.development, *self.test))
        )


def _values(utterances: Iterable[Utterance], group: str, protocol: str) -> list[str]:
    """Sorted distinct values of a group; an utterance without one is an error."""
    values = set()
    for utterance in utterances:
        value = getattr(utterance, group)
        if value is None:
            raise ConfigurationError(
                f"protocol {protocol!r} needs the {group} of every utterance; {utterance.id!r} has none. "
                f"Add it to the manifest, or choose another protocol: {', '.join(PROTOCOLS)}"
            )
        values.add(value)
    return sorted(values)


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """A sort key that puts "10" after "9"."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name))


def _partition(values: Sequence[str], sizes: dict[str, int], parts: int) -> list[set[str]]:
    """Values in `parts` groups of nearly equal total size: largest first, each to the smallest group."""
    groups: list[set[str]] = [set() for _ in range(parts)]
    totals = [0] * parts
    for value in sorted(values, key=lambda v: (-sizes[v], v)):
        smallest = totals.index(min(totals))
        groups[smallest].add(value)
        totals[smallest] += sizes[value]
    return groups


def _sizes(utterances: Iterable[Utterance], group: str) -> dict[str, int]:
    sizes: dict[str, int] = defaultdict(int)
    for utterance in utterances:
        sizes[getattr(utterance, group)] += 1
    return sizes


def _fold(name: str, rest: Sequence[Utterance], test: Sequence[Utterance], seed: int) -> Fold:
    """A fold whose development speakers are drawn from `rest` by the seed."""
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


def _leave_out(utterances: Sequence[Utterance], group: str, groups: Sequence[set[str]], seed: int) -> list[Fold]:
    folds = []
    for values in groups:
        test = [u for u in utterances if getattr(u, group) in values]
        rest = [u for u in utterances if getattr(u, group) not in values]
        folds.append(_fold(f"{group} {', '.join(sorted(values))}", rest, test, seed))
    return folds


def transfer(name: str, source: Sequence[Utterance], target: Sequence[Utterance], seed: int = 0) -> Fold:
    """Make the fold that trains on one corpus and tests on another.

    Args:
        name: Name of the fold.
        source: Utterances to train on; its development speakers are drawn from them.
        target: Utterances to test on. Their speakers need names that do not occur in `source`.
        seed: Of the draw of development speakers.

    Returns:
        The fold.

    Raises:
        ConfigurationError: The target is empty, or the source has fewer than two speakers.
    """
    return _fold(name, by_id(source), by_id(target), seed)


def session5(utterances: Sequence[Utterance], seed: int = 0) -> list[Fold]:
    """Train on sessions 1–4, test on session 5 (paper, section 3); in other corpora, on the last session.

    Args:
        utterances: Labelled utterances, each with its session.
        seed: Of the draw of development speakers.

    Returns:
        One fold.

    Raises:
        ConfigurationError: An utterance has no session, or too few speakers are left to train on.
    """
    sessions = _values(utterances, "session", "session5")
    return _leave_out(utterances, "session", [{max(sessions, key=_natural)}], seed)


def loso(utterances: Sequence[Utterance], seed: int = 0) -> list[Fold]:
    """Leave one session out.

    Args:
        utterances: Labelled utterances, each with its session.
        seed: Of the draw of development speakers.

    Returns:
        A fold for every session.

    Raises:
        ConfigurationError: An utterance has no session, or too few speakers are left to train on.
    """
    return _leave_out(utterances, "session", [{s} for s in _values(utterances, "session", "loso")], seed)


def speaker(utterances: Sequence[Utterance], seed: int = 0) -> list[Fold]:
    """Cross-validate over groups of speakers.

    Args:
        utterances: Labelled utterances, each with its speaker.
        seed: Of the draw of development speakers.

    Returns:
        Up to five folds of nearly equal size, whose test parts share no speaker.

    Raises:
        ConfigurationError: An utterance has no speaker, or too few speakers are left to train on.
    """
    speakers = _values(utterances, "speaker", "speaker")
    groups = _partition(speakers, _sizes(utterances, "speaker"), min(FOLDS, len(speakers)))
    return _leave_out(utterances, "speaker", groups, seed)


def scenario(utterances: Sequence[Utterance], seed: int = 0) -> list[Fold]:
    """Cross-validate over groups of scenarios, so that the wording of test data cannot have been learned.

    Where the corpus has sessions, test data come from the last one and training data from the others: the test parts
    of all folds together are that of `session5`, and their speakers are new too. Without sessions only the scenarios
    are new.

    Args:
        utterances: Labelled utterances, each with its scenario.
        seed: Of the draw of development speakers.

    Returns:
        Up to five folds.

    Raises:
        ConfigurationError: An utterance has no scenario, there is only one, or too few speakers are left to train on.
    """
    scenarios = _values(utterances, "scenario", "scenario")
    if len(scenarios) < 2:
        raise ConfigurationError(f"protocol 'scenario' needs two scenarios; the manifest has only {scenarios}")
    has_sessions = all(u.session is not None for u in utterances)
    last = max((str(u.session) for u in utterances), key=_natural) if has_sessions else None
    folds = []
    for values in _partition(scenarios, _sizes(utterances, "scenario"), min(FOLDS, len(scenarios))):
        test = [u for u in utterances if u.scenario in values and (last is None or u.session == last)]
        rest = [u for u in utterances if u.scenario not in values and (last is None or u.session != last)]
        if test:
            folds.append(_fold(f"scenario {', '.join(sorted(values))}", rest, test, seed))
    return folds


def improvised(utterances: Sequence[Utterance], seed: int = 0) -> list[Fold]:
    """Apply `session5` to the improvised utterances.

    Args:
        utterances: Labelled utterances, some of them improvised.
        seed: Of the draw of development speakers.

    Returns:
        One fold.

    Raises:
        ConfigurationError: No scenario's name begins with `impro`, or as `session5`.
    """
    chosen = [utterance for utterance in utterances if utterance.style == "improvised"]
    if not chosen:
        raise ConfigurationError("protocol 'improvised' needs scenarios whose names begin with 'impro'; there are none")
    return session5(chosen, seed)


def random(utterances: Sequence[Utterance], seed: int = 0) -> list[Fold]:
    """Shuffle and split 80:20, with 15 % of the training part for development.

    It LEAKS: speakers, scenarios and wordings are on both sides. It exists to measure how much that flatters a system.

    Args:
        utterances: Labelled utterances.
        seed: Of the draw of the order.

    Returns:
        One fold.

    Raises:
        ConfigurationError: There are too few utterances for three parts.
    """
    order = np.random.default_rng(seed).permutation(len(utterances))
    shuffled = [utterances[i] for i in order]
    n_test = max(1, round(0.2 * len(shuffled)))
    n_development = max(1, round(DEVELOPMENT_SHARE * (len(shuffled) - n_test)))
    if len(shuffled) < n_test + n_development + 1:
        raise ConfigurationError(f"{len(shuffled)} utterances are too few for three parts")
    return [
        Fold(
            "random (leaks)",
            train=tuple(shuffled[n_test + n_development :]),
            development=tuple(shuffled[n_test : n_test + n_development]),
            test=tuple(shuffled[:n_test]),
        )
    ]


PROTOCOLS: dict[str, Callable[..., list[Fold]]] = {
    "session5": session5,
    "loso": loso,
    "speaker": speaker,
    "scenario": scenario,
    "improvised": improvised,
    "random": random,
}
"""Name → protocol: `(utterances, seed=0) -> list[Fold]`. Every utterance must have a label."""

LEAKING = frozenset({"random"})
"""Protocols whose test data share speakers with training data by design."""


def folds(protocol: str, utterances: Sequence[Utterance], seed: int = 0) -> list[Fold]:
    """Divide the labelled utterances by a named protocol.

    Args:
        protocol: A key of `PROTOCOLS`.
        utterances: Utterances in any order; those without a label are left out.
        seed: Of the draw of development data.

    Returns:
        The folds; they depend neither on the order of the utterances nor on those without a label.

    Raises:
        ConfigurationError: The protocol does not exist or cannot be applied, no utterance has a label, or a training
            part has one class only or lacks a class of its test part.
    """
    if protocol not in PROTOCOLS:
        raise ConfigurationError(f"protocol {protocol!r} is not known; choose from {', '.join(PROTOCOLS)}")
    labelled = by_id(utterance for utterance in utterances if utterance.label is not None)
    if not labelled:
        raise ConfigurationError("no utterance has a label; write the manifest with --labels four, or add labels to it")
    result = PROTOCOLS[protocol](labelled, seed=seed)
    for fold in result:
        missing = {u.label for u in fold.test} - {u.label for u in fold.train}
        if missing:
            raise ConfigurationError(
                f"fold {fold.name!r} has no training utterance labelled {', '.join(sorted(map(str, missing)))}"
            )
        if len({u.label for u in fold.train}) == 1:
            raise ConfigurationError(
                f"fold {fold.name!r} trains on one class only, {fold.train[0].label!r}; there is nothing to classify; "
                "add utterances of another class to the manifest"
            )
    return result
