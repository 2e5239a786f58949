"""Plots as inline SVG, without scripts, fonts or files from elsewhere.

Strips place their marks in percent of their width, so they are as sharp and as legible on a phone as on
paper; colours come from the page's style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..metrics import Reliability
from .comparison import Scored, best
from .formatting import escape, interval, number

HEIGHT = 36
"""Height of one strip, pixels."""


@dataclass(frozen=True)
class Line:
    """A vertical line of reference: `key` is its letter in the plot, `kind` its style (chance, control, ceiling)."""

    key: str
    label: str
    value: float
    kind: str


@dataclass(frozen=True)
class Axis:
    """A range of percent shown over the full width of a strip."""

    low: float
    high: float

    def place(self, value: float) -> str:
        """Horizontal place of a value, as SVG wants it."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return f"{100 * share:.2f}%"

    @property
    def ticks(self) -> list[int]:
        """Whole tens, at most seven of them."""
        step = 10 if self.high - self.low <= 60 else 20
        return list(range(math.ceil(self.low / step) * step, int(self.high) + 1, step))


def lines(systems: Sequence[Scored], ceilings: Mapping[str, float]) -> list[Line]:
    """Chance, the best control, and every known ceiling, from left to right."""
    classes = len(set(systems[0].result.target.tolist()))
    found = [("chance", f"chance, any constant answer among {classes} classes", 100.0 / classes)]
    control = best(systems, "control")
    if control is not None:
        found.append(("control", f"best control, {control.result.title}", control.summary.ua.mean))
    found += [("ceiling", f"known ceiling, {name}", float(value)) for name, value in ceilings.items()]
    found.sort(key=lambda line: line[2])
    return [Line(chr(ord("a") + i % 26), label, value, kind) for i, (kind, label, value) in enumerate(found)]


def forest(systems: Sequence[Scored], references: Sequence[Line]) -> str:
    """UA of every system with its intervals, one strip each, over common lines of reference."""
    axis = _axis(systems, references)
    marks, height, last = "", 14, -math.inf
    for line in references:  # two letters that would touch stand one above the other
        close = line.value - last < 0.04 * (axis.high - axis.low)
        height, last = (2 if close and height == 14 else 14), line.value
        marks += f'<text x="{axis.place(line.value)}" y="{height}" class="key {line.kind}">{line.key}</text>'
    rows = [_row("", f'<svg class="strip edge" aria-hidden="true">{marks}</svg>', "")]
    rows += [_system_row(system, axis, references) for system in systems]
    ticks = "".join(f'<text x="{axis.place(t)}" y="15" class="tick">{t}</text>' for t in axis.ticks)
    rows.append(_row("", f'<svg class="strip edge" aria-hidden="true">{ticks}</svg>', "UA, %"))
    keys = "".join(
        f'<li><b class="{line.kind}">{line.key}</b> {escape(line.label)}: {number(line.value)}</li>'
        for line in references
    )
    return f'<div class="forest">{"".join(rows)}</div><ul class="keys">{keys}</ul>'


def _axis(systems: Sequence[Scored], references: Sequence[Line]) -> Axis:
    values = [line.value for line in references]
    for system in systems:
        ua = system.summary.ua
        values += [*ua.ci95, *ua.ci95_utterances, *ua.seeds]
        values += [system.result.paper_ua] if system.result.paper_ua is not None else []
    low = max(0, math.floor((min(values) - 2) / 10) * 10)
    high = min(100, math.ceil((max(values) + 2) / 10) * 10)
    return Axis(low, max(high, low + 10))


def _row(name: str, strip: str, value: str, kind: str = "") -> str:
    return (
        f'<div class="row {kind}"><div class="name">{name}</div><div class="plot">{strip}</div>'
        f'<div class="value">{value}</div></div>'
    )


def _system_row(system: Scored, axis: Axis, references: Sequence[Line]) -> str:
    result, ua = system.result, system.summary.ua
    middle = HEIGHT // 2
    paper = f"; published {number(result.paper_ua)}" if result.paper_ua is not None else ""
    title = f"{result.title}: UA {number(ua.mean)}, 95% interval {interval(ua.ci95)}{paper}"
    grid = "".join(f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="100%"/>' for x in map(axis.place, axis.ticks))
    reference = "".join(
        f'<line class="{line.kind}" x1="{axis.place(line.value)}" x2="{axis.place(line.value)}" y1="0" y2="100%"/>'
        for line in references
    )
    bars = "".join(
        f'<line class="{name}" x1="{axis.place(low)}" x2="{axis.place(high)}" y1="{middle}" y2="{middle}"/>'
        for name, (low, high) in (("wide", ua.ci95_utterances), ("bar", ua.ci95))
    )
    seeds = "".join(f'<circle class="seed" cx="{axis.place(v)}" cy="{middle + 10}" r="1.6"/>' for v in ua.seeds)
    shape = {
        "system": '<circle class="point" r="5"/>',
        "control": '<rect class="point" x="-4.5" y="-4.5" width="9" height="9"/>',
        "leak": '<path class="point" d="M-6 0 0-6 6 0 0 6z"/>',
    }[result.kind]
    point = f'<svg x="{axis.place(ua.mean)}" y="{middle}" overflow="visible">{shape}</svg>'
    if result.paper_ua is not None:
        point += (
            f'<svg x="{axis.place(result.paper_ua)}" y="{middle - 8}" overflow="visible">'
            '<path class="paper" d="M-4.5-7h9L0 0z"/></svg>'
        )
    strip = (
        f'<svg class="strip" height="{HEIGHT}" role="img"><title>{escape(title)}</title>'
        f"{grid}{reference}{bars}{seeds if len(ua.seeds) > 1 else ''}{point}</svg>"
    )
    tag = "" if result.kind == "system" else f' <span class="tag {result.kind}">{result.kind}</span>'
    value = f"{number(ua.mean)} <small>{interval(ua.ci95)}</small>"
    return _row(escape(result.title) + tag, strip, value, result.kind)


def reliability(title: str, before: Reliability, after: Reliability) -> str:
    """Accuracy against confidence, before (hollow) and after (filled) temperature; areas are counts."""
    side, left, top, below = 180.0, 32.0, 8.0, 34.0
    width, height = left + side + 14, top + side + below

    def x(value: float) -> float:
        return left + side * value

    def y(value: float) -> float:
        return top + side * (1 - value)

    def curve(points: Reliability, name: str) -> str:
        share = points.count / points.count.sum()
        filled = [i for i, n in enumerate(points.count) if n]
        joined = [i for i in filled if share[i] >= 0.01]
        path = " ".join(f"{x(points.confidence[i]):.1f},{y(points.accuracy[i]):.1f}" for i in joined)
        dots = "".join(
            f'<circle cx="{x(points.confidence[i]):.1f}" cy="{y(points.accuracy[i]):.1f}" '
            f'r="{1.5 + 8 * math.sqrt(share[i]):.1f}"/>'
            for i in filled
        )
        return f'<g class="{name}"><polyline points="{path}"/>{dots}</g>'

    grid = "".join(
        f'<line class="grid" x1="{x(v)}" x2="{x(v)}" y1="{y(0)}" y2="{y(1)}"/>'
        f'<line class="grid" x1="{x(0)}" x2="{x(1)}" y1="{y(v)}" y2="{y(v)}"/>'
        f'<text class="tick" x="{x(v)}" y="{y(0) + 14}">{100 * v:.0f}</text>'
        f'<text class="tick side" x="{left - 5}" y="{y(v) + 4}">{100 * v:.0f}</text>'
        for v in (0.0, 0.5, 1.0)
    )
    return (
        f'<svg class="reliability" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img">'
        f"<title>{escape(title)}: accuracy against confidence, before and after temperature</title>{grid}"
        f'<line class="ideal" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/>{curve(before, "before")}'
        f'{curve(after, "after")}<text class="tick" x="{x(0.5)}" y="{height - 4}">confidence, %</text></svg>'
    )
