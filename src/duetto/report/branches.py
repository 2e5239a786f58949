"""A fusion beside its branches: the UA of each, and the paired difference.

ScoredResults + name of a fusion and of its branches ─▶ branch_records (JSON), branch_section (tables)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..evaluation import SystemResult
from .formatting import MISSING, interval, p_value, points, spread
from .scores import ScoredResults
from .sections import Section, Table


def named_branches(fusion: SystemResult, branches: Sequence[SystemResult]) -> list[SystemResult]:
    """Name the results of branches after their fusion, so that they stand beside runs of the same systems.

    Args:
        fusion: Result of the fusion.
        branches: Results of its branches.

    Returns:
        The results of the branches, each with a name of its own.
    """
    return [replace(branch, system=f"{fusion.system}: {branch.system}", paper_ua=None) for branch in branches]


def branch_records(scored: ScoredResults, fusion: str, branches: Sequence[str]) -> list[dict[str, Any]]:
    """Compare a fusion with its branches, as JSON values.

    Args:
        scored: All results of the report.
        fusion: Name of the fusion.
        branches: Names of its branches.

    Returns:
        `[{"system", "ua": {"mean", "ci95"}, "difference": {"mean", "ci95", "p"}}, …]`: UA in percent; the difference is
        that of the fusion minus the branch, in points, null where they cannot be compared.
    """
    own, found = scored.get(fusion), []
    for name in branches:
        branch = scored.get(name)
        assert own is not None and branch is not None
        difference = scored.pair(own, branch).difference  # the fusion stands before its branches
        found.append(
            {
                "system": name,
                "ua": {"mean": branch.summary.ua.mean, "ci95": list(branch.summary.ua.ci95)},
                "difference": difference
                and {"mean": difference.mean, "ci95": list(difference.ci95), "p": difference.p},
            }
        )
    return found


def branch_section(scored: ScoredResults, fusions: Mapping[str, Sequence[str]]) -> Section:
    """Compare fusions with their branches, as tables.

    Args:
        scored: All results of the report.
        fusions: Name of each fusion → names of its branches.

    Returns:
        The section, one table a fusion.
    """
    tables = []
    for fusion, branches in fusions.items():
        own = scored.get(fusion)
        assert own is not None
        rows = [(own.result.title, f"{spread(own.summary.ua)} [{interval(own.summary.ua.ci95)}]", MISSING, MISSING)]
        for record in branch_records(scored, fusion, branches):
            branch, difference = scored.get(record["system"]), record["difference"]
            assert branch is not None
            ua = f"{spread(branch.summary.ua)} [{interval(branch.summary.ua.ci95)}]"
            gap, p = MISSING, MISSING
            if difference:
                gap = f"{points(difference['mean'])} [{interval(tuple(difference['ci95']), sign=True)}]"
                p = p_value(difference["p"])
            rows.append((branch.result.title, ua, gap, p))
        tables.append(Table(own.result.title, ("System", "UA %", "Fusion − branch", "p"), tuple(rows)))
    lead = "Each branch by itself, and the paired difference of the fusion from it, with its 95% interval."
    return Section("Fusion and branches", lead, tuple(tables))
