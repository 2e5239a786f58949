"""Accuracy of the more confident answers, as a table of the report and as a section of a model card."""

from __future__ import annotations

from collections.abc import Sequence

from ..evaluation import COVERAGES
from .formatting import interval, number
from .scores import ScoredResult
from .sections import Section, Table

_LEAD = (
    "Weighted accuracy in percent of the answers that remain when the least confident are left out, by confidence "
    "after temperature scaling; and the area under the curve of the error rate over the coverage, from 0 (best) to 1."
)


def table(systems: Sequence[ScoredResult]) -> Table:
    """List accuracy at each coverage, and the area under the risk–coverage curve.

    Args:
        systems: The systems, in order.

    Returns:
        One row a system.
    """
    header = ("System", *(f"{100 * c:.0f} % of answers" for c in COVERAGES), "Area")
    return Table("Accuracy % by coverage", header, tuple(map(_row, systems)))


def _row(system: ScoredResult) -> tuple[str, ...]:
    found = system.selective
    accuracies = (f"{number(each.mean)} [{interval(each.ci95)}]" for each in found.accuracy)
    area = f"{number(found.area.mean, 3)} [{interval(found.area.ci95, 3)}]"
    return (system.result.title, *accuracies, area)


def section(systems: Sequence[ScoredResult]) -> Section:
    """Make the section of a model card.

    Args:
        systems: The systems, in order.

    Returns:
        The section, with one table.
    """
    return Section("Coverage and accuracy", _LEAD, (table(systems),))
