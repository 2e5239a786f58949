"""Geometry of the plots, which `templates/plots.html.j2` draws as inline SVG.

Strips of the forest plot place their marks in percent of their width, so they are as sharp and as legible on a phone
as on paper; colours come from the page's style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import metrics
from .comparison import best
from .scores import ScoredResult

STRIP_HEIGHT = 36
"""Height of one strip of the forest plot, pixels."""


@dataclass(frozen=True)
class Reference:
    """A vertical line of reference in the forest plot.

    Attributes:
        key: Letter that labels it.
        label: What it stands for.
        value: UA in percent.
        kind: `chance`, `control` or `ceiling`; decides its style.
        height: Vertical place of the letter, pixels: two that would touch stand one above the other.
    """

    key: str
    label: str
    value: float
    kind: str
    height: int


@dataclass(frozen=True)
class Axis:
    """A range of values shown over the full width of a strip.

    Attributes:
        low: Value at the left edge, percent.
        high: Value at the right edge, percent.
    """

    low: float
    high: float

    def place(self, value: float) -> str:
        """Find the horizontal place of a value.

        Args:
            value: In percent; values outside the axis are drawn at its edge.

        Returns:
            A length in SVG, such as `12.50%`.
        """
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return f"{100 * share:.2f}%"

    @property
    def ticks(self) -> list[int]:
        """Whole tens, at most seven of them."""
        step = 10 if self.high - self.low <= 60 else 20
        return list(range(math.ceil(self.low / step) * step, int(self.high) + 1, step))


@dataclass(frozen=True)
class ForestPlot:
    """UA of every system with its intervals, one strip each, over common lines of reference.

    Attributes:
        systems: One strip each, in order.
        references: From left to right.
        axis: Shared by all strips.
    """

    systems: tuple[ScoredResult, ...]
    references: tuple[Reference, ...]
    axis: Axis
    height: int = STRIP_HEIGHT
    """Height of a strip, pixels."""


def forest_plot(systems: Sequence[ScoredResult], ceilings: Mapping[str, float]) -> ForestPlot:
    """Lay out the forest plot.

    Args:
        systems: One strip each, in order.
        ceilings: Name → best possible UA in percent, where it is known.

    Returns:
        The plot, with chance, the best control and every ceiling as lines of reference.
    """
    classes = len(set(systems[0].result.target.tolist()))
    found = [("chance", f"chance, any constant answer among {classes} classes", 100.0 / classes)]
    control = best(systems, "control")
    if control is not None:
        found.append(("control", f"best control, {control.result.title}", control.summary.ua.mean))
    found += [("ceiling", f"known ceiling, {name}", float(value)) for name, value in ceilings.items()]
    found.sort(key=lambda line: line[2])
    axis = _axis(systems, [value for _, _, value in found])
    references, height, last = [], 14, -math.inf
    for i, (kind, label, value) in enumerate(found):
        close = value - last < 0.04 * (axis.high - axis.low)
        height, last = (2 if close and height == 14 else 14), value
        references.append(Reference(chr(ord("a") + i % 26), label, value, kind, height))
    return ForestPlot(tuple(systems), tuple(references), axis)


def _axis(systems: Sequence[ScoredResult], references: Sequence[float]) -> Axis:
    values = list(references)
    for system in systems:
        ua = system.summary.ua
        values += [*ua.ci95, *ua.ci95_utterances, *ua.seeds]
        values += [system.result.paper_ua] if system.result.paper_ua is not None else []
    low = max(0, math.floor((min(values) - 2) / 10) * 10)
    high = min(100, math.ceil((max(values) + 2) / 10) * 10)
    return Axis(low, max(high, low + 10))


@dataclass(frozen=True)
class Dot:
    """A bin of a reliability diagram, in the coordinates of the SVG.

    Attributes:
        x: Confidence.
        y: Accuracy.
        radius: Its area grows with the number of utterances.
        joined: Whether the curve passes through it: it holds at least 1 % of the utterances.
    """

    x: float
    y: float
    radius: float
    joined: bool


@dataclass(frozen=True)
class ReliabilityDiagram:
    """Accuracy against confidence, before and after temperature scaling; areas of dots are counts.

    Args:
        title: Of the system.
        before: Reliability before temperature scaling.
        after: Reliability after it.
    """

    title: str
    before: metrics.Reliability
    after: metrics.Reliability

    side, left, top, below = 180.0, 32.0, 8.0, 34.0
    width, height = left + side + 14, top + side + below

    def x(self, confidence: float) -> float:
        """Find the horizontal place of a confidence.

        Args:
            confidence: From 0 to 1.

        Returns:
            Pixels from the left.
        """
        return self.left + self.side * confidence

    def y(self, accuracy: float) -> float:
        """Find the vertical place of an accuracy.

        Args:
            accuracy: From 0 to 1.

        Returns:
            Pixels from the top.
        """
        return self.top + self.side * (1 - accuracy)

    def dots(self, curve: metrics.Reliability) -> list[Dot]:
        """Place the bins of a curve that hold an utterance.

        Args:
            curve: `before` or `after`.

        Returns:
            One dot a bin.
        """
        shares = curve.count / curve.count.sum()
        bins = zip(curve.confidence, curve.accuracy, shares, strict=True)
        return [
            Dot(self.x(confidence), self.y(accuracy), 1.5 + 8 * math.sqrt(share), share >= 0.01)
            for confidence, accuracy, share in bins
            if share
        ]


class CoverageDiagram:
    """Error rate against coverage, on the canvas of a `ReliabilityDiagram`.

    Args:
        title: Of the system.
        curve: Error rate at every coverage.
    """

    side, left, top = ReliabilityDiagram.side, ReliabilityDiagram.left, ReliabilityDiagram.top
    width, height = ReliabilityDiagram.width, ReliabilityDiagram.height
    _most = 120
    """Points that are drawn."""

    def __init__(self, title: str, curve: metrics.RiskCoverage) -> None:
        self.title, self._curve = title, curve
        # Whole tens of percent, so that the curves of accurate systems aren't flat.
        self.highest = max(0.1, math.ceil(10 * float(curve.risk.max()) - 1e-9) / 10)

    def x(self, coverage: float) -> float:
        """Find the horizontal place of a coverage.

        Args:
            coverage: From 0 to 1.

        Returns:
            Pixels from the left.
        """
        return self.left + self.side * coverage

    def y(self, risk: float) -> float:
        """Find the vertical place of an error rate.

        Args:
            risk: From 0 to `highest`.

        Returns:
            Pixels from the top.
        """
        return self.top + self.side * (1 - risk / self.highest)

    @property
    def points(self) -> list[tuple[float, float]]:
        """Places of the curve, evenly spread over the coverages."""
        n = len(self._curve.risk)
        chosen = sorted({round(i * (n - 1) / (self._most - 1)) for i in range(self._most)})
        return [(self.x(float(self._curve.coverage[i])), self.y(float(self._curve.risk[i]))) for i in chosen]
