"""Statistics on results: scores with intervals, breakdowns, calibration, paired tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..errors import ConfigurationError
from .bootstrap import RESAMPLES, clusters_of, draws, interval, tally
from .result import SystemResult

GROUPINGS = ("speaker", "gender", "session", "style", "fold")
"""Fields of a result by which it can be broken down."""
BINS = 15
"""Bins of confidence in calibration."""


@dataclass(frozen=True)
class Score:
    """One measure over seeds, in percent.

    Attributes:
        mean: Mean over seeds.
        std: Standard deviation over seeds (n − 1); None with a single seed, where it is not defined.
        ci95: 95% percentile interval of the mean over seeds, resampling speakers (see `Summary.unit`).
        ci95_utterances: The same, resampling utterances as if they were independent.
        seeds: The measure under each seed.
    """

    mean: float
    std: float | None
    ci95: tuple[float, float]
    ci95_utterances: tuple[float, float]
    seeds: tuple[float, ...]


@dataclass(frozen=True)
class Summary:
    """Scores of one system.

    Attributes:
        ua: Unweighted accuracy.
        wa: Weighted accuracy.
        macro_f1: Macro-F1.
        utterances: Number of test utterances.
        unit: What was resampled: `speaker` or `utterance`.
        clusters: Number of such units.
        notes: What a reader of the intervals should know.
    """

    ua: Score
    wa: Score
    macro_f1: Score
    utterances: int
    unit: str
    clusters: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Scores on the utterances of one speaker, gender, …

    Attributes:
        name: Name of the group; `unknown` for utterances without one.
        utterances: Number of utterances.
        ua: Unweighted accuracy over the classes that occur.
        wa: Weighted accuracy.
        absent: Classes that do not occur.
    """

    name: str
    utterances: int
    ua: Score
    wa: Score
    absent: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """Difference a − b of two systems in one measure, percentage points.

    Attributes:
        mean: Difference of the means over seeds; negative where b scores higher.
        ci95: 95% percentile interval.
        p: Two-sided, from the resamples on either side of 0, and never below the smallest value that a sign test on so
            many speakers can give, 2^(1 − speakers): two speakers cannot establish anything.
        unit: What was resampled: `speaker` or `utterance`.
        clusters: Number of such units.
    """

    mean: float
    ci95: tuple[float, float]
    p: float
    unit: str
    clusters: int


@dataclass(frozen=True)
class McNemar:
    """Exact McNemar test of two systems.

    Attributes:
        only_a: Utterances that only a classifies correctly, mean over pairs of seeds.
        only_b: Utterances that only b classifies correctly.
        p: Two-sided p.
    """

    only_a: float
    only_b: float
    p: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """Calibration errors, each (before, after) temperature scaling, means over seeds.

    Attributes:
        ece: Expected calibration error over 15 bins.
        ece_ci95: Intervals as in `summary`. Resampling makes an ECE larger, so the resamples are first shifted to have
            their mean at the ECE found; bounds stay within 0–1.
        nll: Negative log-likelihood, nats.
        brier: Brier score.
        curves: Reliability over the utterances of all seeds.
    """

    ece: tuple[float, float]
    ece_ci95: tuple[tuple[float, float], tuple[float, float]]
    nll: tuple[float, float]
    brier: tuple[float, float]
    curves: tuple[metrics.Reliability, metrics.Reliability]


def summary(result: SystemResult, resamples: int = RESAMPLES, seed: int = 0) -> Summary:
    """Compute UA, WA and macro-F1 with intervals.

    Every measure is computed on the utterances of all folds together. A resample that lacks a class is scored on the
    classes it has (see `metrics.scores`). With fewer than two known speakers utterances are resampled instead, and a
    note states it; an utterance without a speaker counts as a speaker of its own.

    Args:
        result: A result.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.

    Returns:
        The scores.
    """
    own = np.arange(len(result.ids))
    clusters, unit, notes = clusters_of(result)
    size = len(result.classes)
    drawn = [
        metrics.scores(draws(*tally(result.target, result.predicted, by, size), resamples, seed))
        for by in (clusters, own)
    ]
    ua, wa, macro_f1 = (
        _score(values, drawn[0][i].mean(1), drawn[1][i].mean(1), 100.0) for i, values in enumerate(_by_seed(result))
    )
    return Summary(ua, wa, macro_f1, len(own), unit, int(clusters.max()) + 1, notes)


def mean_ua(result: SystemResult) -> float:
    """UA in percent, mean over seeds: that of `summary`, without its intervals.

    Args:
        result: A result.

    Returns:
        The mean.
    """
    return float(np.mean((100.0 * _by_seed(result).ua).tolist()))


def _by_seed(result: SystemResult) -> metrics.Scores:
    """UA, WA and macro-F1 as fractions, (seeds,) each."""
    together = np.zeros(len(result.ids), dtype=np.int64)
    return metrics.scores(tally(result.target, result.predicted, together, len(result.classes))[0][0])


def breakdown(result: SystemResult, by: str, resamples: int = RESAMPLES, seed: int = 0) -> list[Group]:
    """Score each speaker, gender, session, style or fold by itself.

    Args:
        result: A result.
        by: One of `GROUPINGS`.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.

    Returns:
        The groups, sorted by name, `unknown` last. UA is the mean over the classes that the group has; intervals are
        as in `summary`, within the group.

    Raises:
        ConfigurationError: `by` is not one of `GROUPINGS`.
    """
    if by not in GROUPINGS:
        raise ConfigurationError(f"cannot break down by {by!r}; choose from {', '.join(GROUPINGS)}")
    values = getattr(result, by)
    groups = []
    for value in sorted(np.unique(values).tolist(), key=lambda v: (v == "", v)):
        part = result.subset(values == value)
        scored = summary(part, resamples, seed)
        present = set(part.target.tolist())
        absent = tuple(name for i, name in enumerate(result.classes) if i not in present)
        name = f"fold {value}" if by == "fold" else value or "unknown"
        groups.append(Group(name, len(part.ids), scored.ua, scored.wa, absent))
    return groups


def paired_bootstrap(
    a: SystemResult, b: SystemResult, measure: str = "ua", resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """Test a difference, with both systems scored on the same resamples of speakers (or utterances).

    Two-sided p = 2 · (1 + resamples on the smaller side of 0) / (1 + resamples), ties counting for both sides, at
    most 1.

    Args:
        a: A result.
        b: A result on the same utterances, in any order.
        measure: `ua`, `wa` or `macro_f1`.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.

    Returns:
        The difference a − b.

    Raises:
        ConfigurationError: The measure is unknown, or the results are not on the same utterances.
    """
    if measure not in metrics.Scores._fields:
        raise ConfigurationError(f"measure {measure!r} is not known; choose from {', '.join(metrics.Scores._fields)}")
    b = aligned(a, b)
    clusters, unit, _ = clusters_of(a)
    predicted, runs = np.concatenate([a.predicted, b.predicted]), len(a.seeds)

    def difference(confusions: NDArray[Any]) -> NDArray[np.float64]:
        values = getattr(metrics.scores(confusions), measure)
        return 100.0 * (values[:, :runs].mean(1) - values[:, runs:].mean(1))

    counts, times = tally(a.target, predicted, clusters, len(a.classes))
    drawn = difference(draws(counts, times, resamples, seed))
    point = difference(np.einsum("mspq,m->spq", counts, times)[None])
    # Rounding leaves differences of 1e-14 between equal scores; they are ties.
    side = 1 + min(int((drawn <= 1e-9).sum()), int((drawn >= -1e-9).sum()))
    units = int(clusters.max()) + 1
    p = min(1.0, max(2.0 * side / (1 + resamples), 2.0 ** (1 - units)))
    return Difference(float(point[0]), interval(drawn), p, unit, units)


def mcnemar(a: SystemResult, b: SystemResult) -> McNemar:
    """Test a difference in WA on the utterances that exactly one of two systems classifies correctly.

    If the WA are equal, each such utterance falls to either side with probability 1/2 (McNemar 1947). The test takes
    utterances as independent and does not generalise to other speakers. Every seed of a is paired with every seed of
    b; with more than one pair, p is twice the median of their p, at most 1, which is valid however the pairs depend on
    each other (Meinshausen, Meier and Bühlmann 2009, quantile 1/2).

    Args:
        a: A result.
        b: A result on the same utterances, in any order.

    Returns:
        The exact two-sided test.

    Raises:
        ConfigurationError: The results are not on the same utterances.
    """
    b = aligned(a, b)
    correct_a, correct_b = a.predicted == a.target, b.predicted == b.target
    pairs = [(int((x & ~y).sum()), int((y & ~x).sum())) for x in correct_a for y in correct_b]
    tests = [binomial_p(*sorted(pair)) for pair in pairs]
    p = tests[0] if len(tests) == 1 else min(1.0, 2.0 * median(tests))
    only_a, only_b = np.mean(pairs, axis=0)
    return McNemar(float(only_a), float(only_b), p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple comparisons (Holm 1979).

    Args:
        p_values: p of every comparison.

    Returns:
        Corrected p, in the same order, each at most 1.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def calibration(result: SystemResult, resamples: int = RESAMPLES, seed: int = 0) -> Calibration:
    """Measure how well probabilities match frequencies, before and after temperature scaling.

    Args:
        result: A result.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.

    Returns:
        The calibration errors.
    """
    clusters, _, _ = clusters_of(result)
    target = np.tile(result.target, len(result.seeds))
    columns = []
    for table in (result.probabilities, result.calibrated):
        flat = table.reshape(-1, table.shape[-1])
        ece = float(np.mean([metrics.expected_calibration_error(each, result.target, BINS) for each in table]))
        drawn = _ece_draws(table, result.target, clusters, resamples, seed)
        bounds = interval(np.clip(drawn - drawn.mean() + ece, 0.0, 1.0))
        nll, brier = metrics.negative_log_likelihood(flat, target), metrics.brier(flat, target)
        columns.append((ece, bounds, nll, brier, metrics.reliability(flat, target, BINS)))
    return Calibration(*zip(*columns, strict=True))


def _ece_draws(
    table: NDArray[np.float64], target: NDArray[np.int64], clusters: NDArray[np.int64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """ECE, mean over seeds, of each resample, (resamples,)."""
    units = int(clusters.max()) + 1
    gaps = np.zeros((units, len(table), BINS))
    for run, probabilities in enumerate(table):
        confidence, right, index = metrics.confidence_bins(probabilities, target, BINS)
        np.add.at(gaps[:, run], (clusters, index), right - confidence)
    once = np.ones(units, dtype=np.int64)
    drawn = draws(gaps, once, resamples, seed)
    sizes = draws(np.bincount(clusters).astype(np.float64), once, resamples, seed)
    return np.abs(drawn).sum(-1).mean(-1) / sizes


def _score(
    values: NDArray[np.float64], over_speakers: NDArray[np.float64], over_utterances: NDArray[np.float64], unit: float
) -> Score:
    seeds = tuple((unit * values).tolist())
    spread = float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None
    return Score(float(np.mean(seeds)), spread, interval(unit * over_speakers), interval(unit * over_utterances), seeds)


def aligned(a: SystemResult, b: SystemResult, purpose: str = "compared") -> SystemResult:
    """Put b in the order of a's utterances.

    Args:
        a: A result.
        b: A result on the same utterances, in any order.
        purpose: Past participle that completes the error message: the results "cannot be {purpose}".

    Returns:
        b, reordered.

    Raises:
        ConfigurationError: Classes, utterances or their labels differ.
    """
    names = f"{a.system!r} and {b.system!r}"
    if a.classes != b.classes:
        raise ConfigurationError(f"{names} cannot be {purpose}: classes {a.classes} and {b.classes} differ")
    order = {name: i for i, name in enumerate(b.ids.tolist())}
    missing = sum(name not in order for name in a.ids.tolist())
    if missing or len(a.ids) != len(b.ids):
        raise ConfigurationError(
            f"{names} cannot be {purpose}: they hold {len(a.ids)} and {len(b.ids)} utterances, "
            f"{len(a.ids) - missing} of them in common. Test both on the same utterances"
        )
    index = np.array([order[name] for name in a.ids.tolist()])
    ordered = b.subset(index)
    if not np.array_equal(a.target, ordered.target):
        wrong = int((a.target != ordered.target).sum())
        raise ConfigurationError(f"{names} cannot be {purpose}: {wrong} utterances have another label in each")
    return ordered


@lru_cache(maxsize=4096)
def binomial_p(fewer: int, more: int) -> float:
    """Compute the p-value of the sign test; exact, in integers.

    Args:
        fewer: Heads of a fair coin, at most half of all throws.
        more: Tails.

    Returns:
        Probability of an outcome at least as uneven, either way.
    """
    n = fewer + more
    ways, below = 1, 0
    for i in range(fewer + 1):
        below += ways
        ways = ways * (n - i) // (i + 1)
    return min(1.0, float(2 * below / 2**n))
