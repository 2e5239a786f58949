"""Fits a fusion of posteriors on speakers on whom the branches were not trained.

    logits (branches, n, classes), target, speakers ─ fit_fusion ─▶ PosteriorFusion, what was chosen from what

Each branch is calibrated by a temperature. Candidates, from the simplest: the best branch alone; the product with equal
weights; weights of penalised likelihood, shrunk towards equal weights or towards the best branch alone, strongly to
weakly; such weights with corrections for each pair of classes, shrunk towards none. Each is fitted without a part of
the speakers and scored on them, in turn. Of the candidates whose UA there is not below that of the best branch, the one
with the least log-loss is found, and the simplest whose log-loss is within one standard error of it is chosen (Breiman
et al. 1984, section 3.4.3; the error is that of the paired difference, over speakers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..errors import ConfigurationError
from .product import Corrections, PosteriorFusion, log_softmax, nested
from .product_weights import minimise, minimise_by_class

BEST, EQUAL = "best branch alone", "equal weights"
STRENGTHS = (0.3, 0.03, 0.003)
"""Strengths λ of the penalty λ·‖w − w₀‖² beside the mean log-loss, in nats, the strongest first."""

BY_CLASS, CLASS_STRENGTHS = "by class", (0.1, 0.01)
"""Candidates with corrections C_b for each pair of classes, which the same penalty shrinks towards 0. A branch that
confuses certain classes is worth more than one weight says: matrix scaling (Guo et al. 2017) of each branch."""

_UNCORRECTED = (EQUAL, 0.03)
"""Anchor and strength of the weights to which corrections are added."""

CANDIDATES: tuple[tuple[str, str, float], ...] = (
    (BEST, BEST, np.inf),
    (EQUAL, EQUAL, np.inf),
    *(
        (f"fitted, {strength:g} towards {anchor}", anchor, strength)
        for strength in STRENGTHS
        for anchor in (EQUAL, BEST)
    ),
    *((f"by class, {strength:g} towards fitted weights", BY_CLASS, strength) for strength in CLASS_STRENGTHS),
)
"""Name, anchor w₀ and strength of each candidate, from the simplest."""

MOST_PARTS = 10
"""Parts of the speakers on which candidates are scored."""

_EQUAL_STRENGTH = 1e-3
"""Penalty that keeps the common weight of `EQUAL` finite if every answer is right."""

_TIE = 1e-9
_DIGITS = 6
"""Decimals kept of weights, so that they do not depend on the order of sums."""


@dataclass(frozen=True)
class Scored:
    """How a candidate does on speakers that it was not fitted on.

    Attributes:
        candidate: Its name.
        log_loss: Mean, in nats.
        ua: Unweighted accuracy, from 0 to 1.
        behind: Log-loss minus that of the reference, the eligible candidate with the least log-loss.
        standard_error: Of `behind`, over speakers.
        eligible: Whether the UA is not below that of the best branch alone.
    """

    candidate: str
    log_loss: float
    ua: float
    behind: float
    standard_error: float
    eligible: bool


@dataclass(frozen=True)
class FittedFusion:
    """A fitted fusion.

    Attributes:
        fusion: With weights for every combination of branches that can occur.
        chosen: Name of the candidate, for all branches together.
        scored: All candidates, for all branches together; empty with fewer than two groups.
        utterances: On which it was fitted.
        groups: Speakers among them.
    """

    fusion: PosteriorFusion
    chosen: str
    scored: tuple[Scored, ...]
    utterances: int
    groups: int

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            What was fitted on, and what was chosen from what; log-loss in nats, UA from 0 to 1.
        """
        return {
            "utterances": self.utterances,
            "groups": self.groups,
            "chosen": self.chosen,
            "candidates": [asdict(each) for each in self.scored],
        }


def fit_fusion(
    logits: NDArray[np.floating],
    target: NDArray[np.integer],
    groups: Sequence[str],
    *,
    names: Sequence[str],
    present: NDArray[np.bool_] | None = None,
    optional: Sequence[str] = (),
    together: Sequence[str] = (),
) -> FittedFusion:
    """Calibrate branches and fit how they are fused.

    Args:
        logits: (branches, n, classes) for utterances on whose speakers no branch was trained.
        target: (n,) classes.
        groups: (n,) speakers, or whatever keeps what resembles each other together.
        names: Of the branches.
        present: (branches, n), whether a branch has anything to go by; by default all have.
        optional: Names of the branches that can be missing in prediction, each by itself. Weights are fitted for every
            combination.
        together: Names of the branches that can be missing at once, as all that read the voice are where there is no
            speech. Weights are fitted for what remains.

    Returns:
        The fusion.

    Raises:
        ConfigurationError: The arrays do not fit together, or there is no utterance.
    """
    values, truth = np.asarray(logits, np.float64), np.asarray(target, np.int64)
    there = np.ones(values.shape[:2], bool) if present is None else np.asarray(present, bool)
    if values.ndim != 3 or values.shape[:2] != (len(names), len(truth)) or len(groups) != len(truth) or not len(truth):
        raise ConfigurationError(
            f"logits have shape {values.shape}, target {truth.shape} and groups {len(groups)} entries; (branches, n, "
            f"classes) with {len(names)} branches, (n,) and n above 0 are required"
        )
    data = _Data(values, truth, _numbers(groups), there)
    weights: dict[frozenset[str], tuple[float, ...]] = {}
    corrections: dict[frozenset[str], Corrections] = {}
    chosen: tuple[str, tuple[Scored, ...]] = (BEST, ())
    for taking_part in _combinations(names, optional, together):
        columns = [i for i, name in enumerate(names) if name in taking_part]
        found, candidate, scored = _choose(data.of(columns))
        full, corrected = np.zeros(len(names)), np.zeros((len(names), *found.corrections.shape[1:]))
        full[columns], corrected[columns] = found.weights, found.corrections
        weights[taking_part] = tuple(full.tolist())
        if corrected.any():
            corrections[taking_part] = nested(corrected)
        if len(columns) == len(names):
            chosen = (candidate, scored)
    temperatures = tuple(_temperature(data, b) for b in range(len(names)))
    prior = tuple(np.round(_prior(data), _DIGITS).tolist())
    fusion = PosteriorFusion(tuple(names), temperatures, weights, prior, corrections=corrections)
    return FittedFusion(fusion, *chosen, len(truth), len(set(groups)))


@dataclass(frozen=True, eq=False)
class _Data:
    """What is fitted on. logits: (branches, n, classes). target, groups: (n,) integers. present: (branches, n)."""

    logits: NDArray[np.float64]
    target: NDArray[np.int64]
    groups: NDArray[np.int64]
    present: NDArray[np.bool_]

    def of(self, branches: Sequence[int]) -> _Data:
        """Some branches, on the utterances where all of them take part; on all where that is nowhere."""
        present = self.present[list(branches)]
        rows = np.asarray(present.all(0), np.bool_)
        rows = rows if rows.any() else np.ones_like(rows)
        return _Data(self.logits[list(branches)], self.target, self.groups, present).rows(rows)

    def rows(self, rows: NDArray[np.bool_]) -> _Data:
        return _Data(self.logits[:, rows], self.target[rows], self.groups[rows], self.present[:, rows])


def _combinations(names: Sequence[str], optional: Sequence[str], together: Sequence[str]) -> Iterator[frozenset[str]]:
    """All branches first, then those that remain without one or more of the optional ones, then without those that are
    missing together as well; each combination once, in a fixed order."""
    missing = list(chain.from_iterable(combinations(optional, n) for n in range(len(optional) + 1)))
    left = (frozenset(names) - {*each, *more} for more in ((), together) for each in missing)
    yield from dict.fromkeys(each for each in left if each)


def _numbers(groups: Sequence[str]) -> NDArray[np.int64]:
    """The number of each utterance's group; groups are numbered by size, the largest first, then by name."""
    sizes = Counter(groups)
    order = {name: i for i, name in enumerate(sorted(sizes, key=lambda name: (-sizes[name], name)))}
    return np.array([order[name] for name in groups], np.int64)


@dataclass(frozen=True, eq=False)
class _Joint:
    """How branches are joined. weights: (branches,). corrections: (branches, classes, classes)."""

    weights: NDArray[np.float64]
    corrections: NDArray[np.float64]

    @classmethod
    def weighted(cls, weights: NDArray[np.float64], classes: int) -> _Joint:
        return cls(weights, np.zeros((len(weights), classes, classes)))

    def of(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, classes) of evidence (branches, n, classes)."""
        return np.tensordot(self.weights, evidence, 1) + np.einsum("bnj,bjk->nk", evidence, self.corrections)

    def rounded(self) -> _Joint:
        return _Joint(np.round(self.weights, _DIGITS), np.round(self.corrections, _DIGITS))


def _choose(data: _Data) -> tuple[_Joint, str, tuple[Scored, ...]]:
    """How the branches are joined, by which candidate, and all candidates on held-out groups."""
    if len(data.logits) == 1:
        return _Joint.weighted(np.ones(1), data.logits.shape[2]), BEST, ()
    groups = np.unique(data.groups)
    if len(groups) < 2:  # nobody to score candidates on
        return _fitted(data)[1].rounded(), EQUAL, ()
    held_out = np.empty((len(CANDIDATES), *data.logits.shape[1:]))
    parts = np.searchsorted(groups, data.groups) % min(MOST_PARTS, len(groups))
    for part in range(int(parts.max()) + 1):
        inside = parts == part
        learnt = data.rows(~inside)
        answers = _evidence(data.rows(inside), learnt)
        prior = np.log(_prior(learnt))
        for number, joint in enumerate(_fitted(learnt)):
            held_out[number, inside] = log_softmax(prior + joint.of(answers))
    scored, number = _ranked(held_out, data)
    return _fitted(data)[number].rounded(), CANDIDATES[number][0], scored


def _ranked(held_out: NDArray[np.float64], data: _Data) -> tuple[tuple[Scored, ...], int]:
    """All candidates, and the number of the chosen one."""
    classes = held_out.shape[2]
    losses = -held_out[:, np.arange(len(data.target)), data.target]
    uas = [
        metrics.unweighted_accuracy(data.target, metrics.predicted_classes(answers), classes) for answers in held_out
    ]
    eligible = [ua >= uas[0] - _TIE for ua in uas]
    means = losses.mean(1)
    reference = min((i for i, able in enumerate(eligible) if able), key=lambda i: means[i])
    scored, chosen = [], None
    for i, (name, *_) in enumerate(CANDIDATES):
        behind, error = _paired(losses[i] - losses[reference], data.groups)
        scored.append(Scored(name, float(means[i]), uas[i], behind, error, eligible[i]))
        if chosen is None and eligible[i] and behind <= error + _TIE:
            chosen = i
    assert chosen is not None  # the reference is behind itself by 0
    return tuple(scored), chosen


def _paired(differences: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[float, float]:
    """Mean of differences, and its standard error where groups, not utterances, are independent (Liang, Zeger 1986)."""
    mean, n = float(differences.mean()), len(differences)
    sums = np.bincount(groups, differences - mean)[np.unique(groups)]
    count = len(sums)
    return mean, float(np.sqrt(count / (count - 1) * (sums**2).sum()) / n)


def _temperature(data: _Data, branch: int) -> float:
    """Temperature of a branch, on the utterances where it takes part."""
    rows = data.present[branch] if data.present[branch].any() else np.ones(len(data.target), bool)
    return float(f"{metrics.fit_temperature(data.logits[branch, rows], data.target[rows]):.6g}")


def _prior(data: _Data) -> NDArray[np.float64]:
    """Frequency of the classes, with one more utterance of each."""
    counts = np.bincount(data.target, minlength=data.logits.shape[2]) + 1.0
    return counts / counts.sum()


def _evidence(data: _Data, learnt: _Data) -> NDArray[np.float64]:
    """log p_b − log π (branches, n, classes), calibrated on `learnt`."""
    temperatures = np.array([_temperature(learnt, b) for b in range(len(learnt.logits))])
    return log_softmax(data.logits / temperatures[:, None, None]) - np.log(_prior(learnt))


def _fitted(data: _Data) -> list[_Joint]:
    """What each candidate makes of the data."""
    evidence, prior = _evidence(data, data), np.log(_prior(data))
    branches = len(evidence)
    common = minimise(evidence.sum(0, keepdims=True), data.target, prior, np.ones(1), _EQUAL_STRENGTH)
    anchors = {EQUAL: np.full(branches, common[0]), BEST: np.eye(branches)[_best(evidence + prior, data.target)]}
    weights = {
        (anchor, strength): anchors[anchor]
        if np.isinf(strength)
        else minimise(evidence, data.target, prior, anchors[anchor], strength)
        for _, anchor, strength in CANDIDATES
        if anchor != BY_CLASS
    }
    found = [_Joint.weighted(each, evidence.shape[2]) for each in weights.values()]
    uncorrected = weights[_UNCORRECTED]
    for strength in CLASS_STRENGTHS:
        found.append(_Joint(uncorrected, minimise_by_class(evidence, data.target, prior, uncorrected, strength)))
    return found


def _best(answers: NDArray[np.float64], target: NDArray[np.int64]) -> int:
    """The branch with the highest UA, the first of equals."""
    classes = answers.shape[2]
    uas = np.array([metrics.unweighted_accuracy(target, metrics.predicted_classes(each), classes) for each in answers])
    return int(np.argmax(uas >= uas.max() - _TIE))
