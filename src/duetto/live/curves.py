"""Dimensions over time, such as arousal, as curves of a page.

segments of a channel ─ Scale.curves ─▶ a line of points for each dimension, in the coordinates of an SVG
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .events import TimelineSegment

STYLES = 4
"""Ways in which a curve is drawn; further dimensions repeat them."""


@dataclass(frozen=True)
class Curve:
    """One dimension of one channel.

    Attributes:
        name: Of the dimension.
        style: Its CSS class.
        points: Points for SVG, x in seconds, y from 0 to 100.
    """

    name: str
    style: str
    points: str


@dataclass(frozen=True)
class Scale:
    """What all curves of a page share.

    Attributes:
        names: The dimensions; none for a model without.
        low: The lowest rating on the page, at the bottom.
        high: The highest, at the top.
    """

    names: tuple[str, ...]
    low: float
    high: float

    @classmethod
    def of(cls, segments: Iterable[TimelineSegment]) -> Scale:
        """Find the scale of a page.

        Args:
            segments: All that are on it.

        Returns:
            The scale.
        """
        rated = [each.dimensions for each in segments if each.dimensions]
        values = [rating for ratings in rated for rating in ratings.values()] or [0.0]
        return cls(tuple(dict.fromkeys(name for ratings in rated for name in ratings)), min(values), max(values))

    def style(self, name: str) -> str:
        """Find how a dimension is drawn.

        Args:
            name: Of the dimension.

        Returns:
            A CSS class.
        """
        return f"d{self.names.index(name) % STYLES}"

    def curves(self, segments: Sequence[TimelineSegment]) -> tuple[Curve, ...]:
        """Draw the dimensions of one channel; each segment is a point at its middle.

        Args:
            segments: Of the channel, in order; those without ratings are left out.

        Returns:
            One curve for each dimension; none where nothing is rated.
        """
        rated = [each for each in segments if each.dimensions]
        found = (Curve(name, self.style(name), self._points(name, rated)) for name in self.names)
        return tuple(curve for curve in found if curve.points)

    def _points(self, name: str, segments: Sequence[TimelineSegment]) -> str:
        spread = (self.high - self.low) or 1.0
        places = [
            ((each.start + each.end) / 2, 96 - 92 * (each.dimensions[name] - self.low) / spread)
            for each in segments
            if each.dimensions and name in each.dimensions
        ]
        return " ".join(f"{x:.2f},{y:.1f}" for x, y in places)
