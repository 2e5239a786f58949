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

import numpy as np

from ..data.utterance import Utterance, by_id
from ..errors import ConfigurationError
from .across import qualified, transfer
from .fold import DEVELOPMENT_SHARE, GROUPS, Fold, with_development, with_rated
from .own import has_new_speakers, split

__all__ = [
    "DEVELOPMENT_SHARE",
    "FOLDS",
    "GROUPS",
    "LEAKING",
    "PROTOCOLS",
    "Fold",
    "check_classes",
    "corpus",
    "default_protocol",
    "folds",
    "improvised",
    "loso",
    "qualified",
    "random",
    "scenario",
    "session5",
    "speaker",
    "split",
    "transfer",
    "with_development",
    "with_rated",
]

FOLDS = 5
"""Folds of a protocol that groups speakers or scenarios."""


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


def _leave_out(utterances: Sequence[Utterance], group: str, groups: Sequence[set[str]], seed: int) -> list[Fold]:
    folds = []
    for values in groups:
        test = [u for u in utterances if getattr(u, group) in values]
        rest = [u for u in utterances if getattr(u, group) not in values]
        folds.append(with_development(f"{group} {', '.join(sorted(values))}", rest, test, seed))
    return folds


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
            folds.append(with_development(f"scenario {', '.join(sorted(values))}", rest, test, seed))
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


def corpus(utterances: Sequence[Utterance], seed: int = 0) -> list[Fold]:
    """Leave one corpus out: train on all other corpora, test on the whole of it.

    Args:
        utterances: Labelled utterances, each with its corpus (`duetto corpus join`).
        seed: Of the draw of development speakers.

    Returns:
        A fold for every corpus.

    Raises:
        ConfigurationError: An utterance has no corpus, there is only one, or too few speakers are left to train on.
    """
    corpora = _values(utterances, "corpus", "corpus")
    if len(corpora) < 2:
        raise ConfigurationError(
            f"protocol 'corpus' needs two corpora; the manifest has only {corpora}. Join manifests with: duetto corpus "
            "join A B -o C"
        )
    return _leave_out(utterances, "corpus", [{name} for name in corpora], seed)


PROTOCOLS: dict[str, Callable[..., list[Fold]]] = {
    "session5": session5,
    "loso": loso,
    "speaker": speaker,
    "scenario": scenario,
    "corpus": corpus,
    "split": split,
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
    check_classes(result)
    return result


def default_protocol(utterances: Sequence[Utterance]) -> str:
    """Choose the protocol that a corpus allows, where none is asked for.

    Args:
        utterances: Those without a label do not count.

    Returns:
        `split` where the corpus has a division of its own whose test speakers are new, as in MSP-Podcast; else
        `session5` where every utterance has a session and there are several, as in IEMOCAP; else `speaker`.
    """
    if has_new_speakers([u for u in utterances if u.label is not None]):
        return "split"
    sessions = {(u.corpus, u.session) for u in utterances if u.label is not None}
    several = len(sessions) > 1 and all(session is not None for _, session in sessions)
    return "session5" if several and len({corpus for corpus, _ in sessions}) == 1 else "speaker"


def check_classes(folds: Sequence[Fold]) -> None:
    """Check that every class that is tested can be learned.

    Args:
        folds: Of labelled utterances.

    Raises:
        ConfigurationError: A training part has one class only, or lacks a class of its test part.
    """
    for fold in folds:
        missing = {u.label for u in fold.test} - {u.label for u in fold.train}
        if missing:
            raise ConfigurationError(
                f"fold {fold.name!r} has no training utterance labelled {', '.join(sorted(map(str, missing)))}; "
                "write the manifests with one label set that all parts have"
            )
        if len({u.label for u in fold.train}) == 1:
            raise ConfigurationError(
                f"fold {fold.name!r} trains on one class only, {fold.train[0].label!r}; there is nothing to classify; "
                "add utterances of another class to the manifest"
            )
