"""What the HTML page shows, prepared for `templates/report.html.j2`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .. import evaluation
from ..evaluation import DimensionScore, Group
from . import conclusions, coverage, curves, dimensions
from .comparison import ALPHA, Comparison
from .curves import CurveDiagram, Training
from .dimensions import ScatterDiagram
from .formatting import finding
from .plots import CoverageDiagram, ForestPlot, ReliabilityDiagram, forest_plot
from .scores import ScoredResult, ScoredResults
from .sections import Section, Table
from .utterances import UtteranceList

FATAL = ("error", "leak", "fatal")
"""Severities of findings that put a warning on top of the page."""


@dataclass(frozen=True)
class GroupScores:
    """Scores of all systems on one group of utterances.

    Attributes:
        by: What the group is of: `gender`, `style`, `session` or `speaker`.
        name: Name of the group, such as `female`.
        scores: One entry a system; None where it was tested on no utterance of the group.
    """

    by: str
    name: str
    scores: tuple[Group | None, ...]

    @property
    def sizes(self) -> str:
        """Number of utterances; a range where systems were tested on different ones."""
        return "–".join(f"{n:,}" for n in sorted({group.utterances for group in self.scores if group}))


@dataclass(frozen=True)
class Page:
    """Everything that the page shows; fields as the arguments of `report.write`.

    Attributes:
        title: Title of the page.
        scored: Every system.
        comparisons: Systems that are compared with each other, one table each.
        sections: Further sections, shown behind the overview.
        protocol: Splits, seeds, environment, and so on.
        corpus: Name, counts of labels, whether it is synthetic, and so on.
        ceilings: Name → best possible UA in percent, where it is known.
        audit: Findings; None where no audit was made.
        notes: Remarks.
        listing: Utterances with their answers; None for no list.
        trainings: Training curves.
    """

    title: str
    scored: ScoredResults
    comparisons: tuple[Comparison, ...]
    sections: tuple[Section, ...]
    protocol: Mapping[str, Any]
    corpus: Mapping[str, Any]
    ceilings: Mapping[str, float]
    audit: tuple[Any, ...] | None
    notes: tuple[str, ...]
    listing: UtteranceList | None = None
    trainings: tuple[Training, ...] = ()

    alpha = ALPHA

    @property
    def parts(self) -> list[tuple[str, str]]:
        """Template and heading of each part of the page that follows the sections."""
        parts = [("scores", "Scores"), ("confusions", "Confusions")]
        parts += [("dimensions", "Dimensions")] if self.dimension_table is not None else []
        parts += [("utterances", "Utterances")] if self.listing is not None else []
        parts += [("groups", "Groups"), ("calibration", "Calibration"), ("comparisons", "Comparisons")]
        parts += [("curves", "Training curves")] if self.trainings else []
        return [*parts, ("protocol", "Protocol")]

    @property
    def curves(self) -> list[tuple[Training, tuple[CurveDiagram, ...], str]]:
        """Each training with its diagrams and a remark."""
        return [(training, curves.diagrams(training), curves.remark(training)) for training in self.trainings]

    @property
    def systems(self) -> tuple[ScoredResult, ...]:
        """Every system, in the order of the report."""
        return self.scored.systems

    @property
    def headline(self) -> str:
        """The result in one sentence."""
        return conclusions.headline(self.scored, self.corpus)

    @property
    def basis(self) -> str:
        """What the headline rests on."""
        return conclusions.basis(self.scored)

    @property
    def leaks(self) -> list[str]:
        """Titles of the systems that saw test data."""
        return [system.result.title for system in self.systems if system.result.kind == "leak"]

    @cached_property
    def findings(self) -> list[tuple[str, str, bool]]:
        """Severity, text, and whether it is fatal, of each finding of the audit."""
        return [(severity, text, severity.lower() in FATAL) for severity, text in map(finding, self.audit or ())]

    @property
    def fatal(self) -> int:
        """Number of findings that are fatal."""
        return sum(fatal for _, _, fatal in self.findings)

    @cached_property
    def forest(self) -> ForestPlot:
        """UA of every system with its intervals."""
        return forest_plot(self.systems, self.ceilings)

    @property
    def has_seeds(self) -> bool:
        """Whether any system was trained with several seeds."""
        return any(len(system.result.seeds) > 1 for system in self.systems)

    @property
    def has_published(self) -> bool:
        """Whether any system has a published figure."""
        return any(system.result.paper_ua is not None for system in self.systems)

    @property
    def units(self) -> list[str]:
        """What the bootstrap resampled: `speaker`, `utterance`, or both."""
        return sorted({system.summary.unit for system in self.systems})

    @property
    def score_notes(self) -> list[str]:
        """Remarks on the scores, those that concern all systems first, each a sentence."""
        first = self.systems[0].summary.notes
        shared = [note for note in first if all(note in system.summary.notes for system in self.systems)]
        own = [
            f"{system.result.title}: {note}"
            for system in self.systems
            for note in (*system.result.notes, *system.summary.notes)
            if note not in shared
        ]
        return [note.rstrip(".") + "." for note in (*(note[0].upper() + note[1:] for note in shared), *own)]

    @cached_property
    def groups(self) -> dict[str, list[GroupScores]]:
        """Grouping → its groups, for every grouping with at least two."""
        found = {}
        for by in ("gender", "style", "session", "speaker"):
            # One resample: only the scores are shown, not their intervals.
            tables = [{g.name: g for g in evaluation.breakdown(s.result, by, resamples=1)} for s in self.systems]
            names = list(dict.fromkeys(name for table in tables for name in table))
            if len(names) > 1:
                found[by] = [GroupScores(by, name, tuple(table.get(name) for table in tables)) for name in names]
        return found

    @property
    def group_columns(self) -> list[GroupScores]:
        """Groups of groupings with fewer groups than there are systems: columns of one table beside the systems."""
        return [group for groups in self.groups.values() if len(groups) < len(self.systems) for group in groups]

    @property
    def group_tables(self) -> dict[str, list[GroupScores]]:
        """The other groupings: a table each, whose rows are the groups."""
        return {by: groups for by, groups in self.groups.items() if len(groups) >= len(self.systems)}

    @property
    def reliability(self) -> list[tuple[ScoredResult, ReliabilityDiagram]]:
        """Each system with its reliability diagram."""
        return [(s, ReliabilityDiagram(s.result.title, *s.calibration.curves)) for s in self.systems]

    @property
    def coverage(self) -> list[tuple[ScoredResult, CoverageDiagram]]:
        """Each system with its risk–coverage curve."""
        return [(s, CoverageDiagram(s.result.title, s.selective.curve)) for s in self.systems]

    @property
    def coverage_table(self) -> Table:
        """Accuracy at each coverage, and the area under the risk–coverage curve."""
        return coverage.table(self.systems)

    @cached_property
    def dimension_table(self) -> Table | None:
        """Concordance and RMSE of every dimension; None where no system has any."""
        return dimensions.table(self.systems)

    @property
    def dimensions(self) -> list[tuple[ScoredResult, list[tuple[DimensionScore, ScatterDiagram]]]]:
        """Each system that has dimensions with a scatter plot of each."""
        return [(s, dimensions.diagrams(s)) for s in self.systems if s.dimensions]

    @property
    def tests(self) -> int:
        """Number of paired tests in all comparisons."""
        return sum(len(comparison.pairs) for comparison in self.comparisons)

    @property
    def conclusions(self) -> list[tuple[Comparison, list[str]]]:
        """Each comparison that has a pair, with the sentences that follow from it."""
        return [(c, conclusions.conclusions(c)) for c in self.comparisons if c.pairs]

    @property
    def corpus_facts(self) -> dict[str, Any]:
        """Facts on the corpus; whether it is synthetic comes last, and always."""
        facts = {key: value for key, value in self.corpus.items() if key != "synthetic" and value not in ("", None)}
        return {**facts, "synthetic": bool(self.corpus.get("synthetic"))}
