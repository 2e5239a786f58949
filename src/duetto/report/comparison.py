"""Which systems of a report are compared with each other, and the correction for making several comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from ..evaluation import holm
from .scores import Pair, ScoredResult, ScoredResults

ALPHA = 0.05
"""Level of significance of the conclusions."""


@dataclass(frozen=True)
class Comparison:
    """Systems that are compared with each other.

    Attributes:
        title: Heading of the comparison.
        systems: The systems, in the order of the report.
        pairs: Every two of them, tested.
    """

    title: str
    systems: tuple[ScoredResult, ...]
    pairs: tuple[Pair, ...]

    def between(self, a: ScoredResult, b: ScoredResult) -> Pair | None:
        """Find the pair of two systems.

        Args:
            a: A system.
            b: Another system.

        Returns:
            Their pair, in either order; None where they are the same or not both in the comparison.
        """
        return between(self.pairs, a, b)


def compare(scored: ScoredResults, title: str = "", names: Sequence[str] = ()) -> Comparison:
    """Test every two systems that are not leaks.

    Args:
        scored: The results of the report.
        title: Heading of the comparison.
        names: The systems to compare; by default all.

    Returns:
        The systems and their pairs, p corrected in those with the best system.

    Raises:
        ConfigurationError: No system has one of the names.
    """
    chosen = scored.subset(names) if names else scored
    systems = tuple(system for system in chosen if system.result.kind != "leak")
    return Comparison(title, systems, _corrected([chosen.pair(a, b) for a, b in combinations(systems, 2)]))


def against_best(scored: ScoredResults) -> tuple[Pair, ...]:
    """Test the best system against every other that is not a leak.

    Args:
        scored: The results of the report.

    Returns:
        The pairs, p corrected for having tested all of them.
    """
    top = leader(scored.systems)
    return _corrected([scored.pair(top, s) for s in scored if s is not top and s.result.kind != "leak"])


def leader(systems: Sequence[ScoredResult]) -> ScoredResult:
    """Find the best system.

    Args:
        systems: At least one system.

    Returns:
        The best system, the best control where there is no system, or else the first leak.
    """
    return best(systems, "system") or best(systems, "control") or systems[0]


def best(systems: Sequence[ScoredResult], kind: str) -> ScoredResult | None:
    """Find the best system of a kind.

    Args:
        systems: The systems to choose from.
        kind: `system`, `control` or `leak`.

    Returns:
        The one with the highest mean UA, the first of equals; None where there is none.
    """
    return max((s for s in systems if s.result.kind == kind), key=lambda s: s.summary.ua.mean, default=None)


def between(pairs: Sequence[Pair], a: ScoredResult, b: ScoredResult) -> Pair | None:
    """Find the pair of two systems.

    Args:
        pairs: Pairs that were tested.
        a: A system.
        b: Another system.

    Returns:
        Their pair, in either order; None where it was not tested.
    """
    return next((pair for pair in pairs if {pair.a, pair.b} == {a, b}), None)


def _corrected(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Correct the p of the comparisons with the best system for having made all of them."""
    if not pairs:
        return ()
    members = list(dict.fromkeys(system for pair in pairs for system in (pair.a, pair.b)))
    top = leader(members)
    with_top = [pair for pair in pairs if pair.difference and top in (pair.a, pair.b)]
    p_values = holm([pair.difference.p for pair in with_top if pair.difference])
    corrected = dict(zip(with_top, p_values, strict=True))
    return tuple(replace(pair, corrected=corrected.get(pair, pair.corrected)) for pair in pairs)
