"""Scored results: every interval and every paired test of a report, computed once and shared by all formats.

[SystemResult, …] ─ score ─▶ ScoredResults ─▶ HTML, Markdown, JSON
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from .. import evaluation
from ..errors import ConfigurationError
from ..evaluation import (
    RESAMPLES,
    Calibration,
    Difference,
    DimensionScore,
    McNemar,
    Selective,
    Summary,
    SystemResult,
)


@dataclass(frozen=True, eq=False)
class ScoredResult:
    """A result with its bootstrap intervals, each computed when first read and then kept.

    Attributes:
        result: The predictions that are scored.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.
    """

    result: SystemResult
    resamples: int = RESAMPLES
    seed: int = 0

    @cached_property
    def summary(self) -> Summary:
        """UA, WA and macro-F1 with intervals."""
        return evaluation.summary(self.result, self.resamples, self.seed)

    @cached_property
    def calibration(self) -> Calibration:
        """Calibration before and after temperature scaling, with intervals."""
        return evaluation.calibration(self.result, self.resamples, self.seed)

    @cached_property
    def selective(self) -> Selective:
        """Accuracy of the more confident answers, with intervals."""
        return evaluation.selective(self.result, self.resamples, self.seed)

    @cached_property
    def dimensions(self) -> tuple[DimensionScore, ...]:
        """Concordance and RMSE of its dimensions, with intervals."""
        return evaluation.dimensions(self.result, self.resamples, self.seed)

    @cached_property
    def after(self) -> dict[int, ScoredResult]:
        """Number of earlier utterances of the speaker → the result after them; empty for a system that does not
        adapt."""
        results = ((number, self.result.after_utterances(number)) for number in self.result.after)
        return {number: ScoredResult(result, self.resamples, self.seed) for number, result in results}


@dataclass(frozen=True, eq=False)
class Pair:
    """Two systems and how they differ in UA.

    Attributes:
        a: The first system.
        b: The second system.
        difference: Paired bootstrap of a − b; None where they cannot be compared.
        mcnemar: McNemar's test on WA; None where they cannot be compared.
        corrected: The bootstrap p of `difference`. In a comparison with the best system, from which the report draws
            its conclusions, corrected for multiple comparisons (Holm).
        problem: Why the systems cannot be compared; "" where they can.
    """

    a: ScoredResult
    b: ScoredResult
    difference: Difference | None = None
    mcnemar: McNemar | None = None
    corrected: float = 1.0
    problem: str = ""


@dataclass(frozen=True, eq=False)
class ScoredResults:
    """The results of a report: systems first, then controls, then leaks.

    Attributes:
        systems: The scored results, each with a name of its own.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.
    """

    systems: tuple[ScoredResult, ...]
    resamples: int
    seed: int
    _pairs: dict[tuple[str, str], Pair] = field(default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[ScoredResult]:
        return iter(self.systems)

    def __len__(self) -> int:
        return len(self.systems)

    def get(self, name: str) -> ScoredResult | None:
        """Look up a system by its short name.

        Args:
            name: `SystemResult.system`.

        Returns:
            The scored result, or None where there is no such system.
        """
        return next((system for system in self.systems if system.result.system == name), None)

    def subset(self, names: Sequence[str]) -> ScoredResults:
        """Select systems by name; intervals and paired tests are shared with this object.

        Args:
            names: Short names of the systems, in any order.

        Returns:
            The systems, in the order of this object.

        Raises:
            ConfigurationError: No system has one of the names.
        """
        known = {system.result.system for system in self.systems}
        if unknown := sorted(set(names) - known):
            raise ConfigurationError(
                f"no result of system {unknown[0]!r} to compare; there are {', '.join(sorted(known))}"
            )
        systems = tuple(system for system in self.systems if system.result.system in names)
        return ScoredResults(systems, self.resamples, self.seed, self._pairs)

    def pair(self, a: ScoredResult, b: ScoredResult) -> Pair:
        """Test two systems against each other, or return the test made before.

        Args:
            a: A system of this object.
            b: Another one.

        Returns:
            The pair in the order of this object, without correction for multiple comparisons.
        """
        first, second = sorted((a, b), key=self.systems.index)
        key = first.result.system, second.result.system
        if key not in self._pairs:
            self._pairs[key] = _test(first, second, self.resamples, self.seed)
        return self._pairs[key]


def score(results: Sequence[SystemResult] | ScoredResults, resamples: int = RESAMPLES, seed: int = 0) -> ScoredResults:
    """Prepare results for a report.

    Args:
        results: Results of the same classes, each with a name of its own. Scored results are returned as they are.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.

    Returns:
        The results, sorted: systems, controls, leaks, each in the order given.

    Raises:
        ConfigurationError: There is no result, a name occurs twice, or the classes differ.
    """
    if isinstance(results, ScoredResults):
        return results
    if not results:
        raise ConfigurationError("there is no result to report; give at least one SystemResult")
    names = [result.system for result in results]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(f"system {twice[0]!r} is reported twice; give each result a name of its own")
    classes = {result.classes for result in results}
    if len(classes) > 1:
        raise ConfigurationError(f"results have different classes: {sorted(classes)}; report each label set by itself")
    ordered = sorted(results, key=lambda result: evaluation.KINDS.index(result.kind))
    return ScoredResults(tuple(ScoredResult(result, resamples, seed) for result in ordered), resamples, seed)


def _test(a: ScoredResult, b: ScoredResult, resamples: int, seed: int) -> Pair:
    try:
        difference = evaluation.paired_bootstrap(a.result, b.result, "ua", resamples, seed)
        return Pair(a, b, difference, evaluation.mcnemar(a.result, b.result), corrected=difference.p)
    except ConfigurationError as error:
        return Pair(a, b, problem=str(error))
