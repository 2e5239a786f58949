"""Training curves: the epochs, or candidates, of every training of a run, as small plots.

run folder ─ trainings ─▶ [Training, …] ─ diagrams ─▶ geometry for `templates/curves.html.j2`
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import runs
from ..config.fusion import BRANCHES
from ..errors import ModelError
from .formatting import quantity

MOST_LINES = 60
"""Trainings that one plot shows."""


@dataclass(frozen=True)
class Course:
    """One training.

    Attributes:
        name: Fold and seed.
        epochs: Figures of each epoch or candidate: `development_ua` or `score` (0–1); of epochs also `loss` and
            `development_loss`.
        chosen: Index of the one whose weights are kept.
    """

    name: str
    epochs: tuple[Mapping[str, float], ...]
    chosen: int


@dataclass(frozen=True)
class Training:
    """All trainings of one system.

    Attributes:
        title: Of the system.
        courses: One a fold and seed.
    """

    title: str
    courses: tuple[Course, ...]

    @property
    def unit(self) -> str:
        """What the figures follow each other by: `epoch` or `candidate`."""
        return "epoch" if any("loss" in epoch for course in self.courses for epoch in course.epochs) else "candidate"


def trainings(folder: Path, title: str = "") -> list[Training]:
    """Read the training curves of a run.

    Args:
        folder: The run folder.
        title: Of the system; by default its name.

    Returns:
        One entry for a network or classifier, one for each branch of a fusion; none where no history was kept.

    Raises:
        ModelError: The folder holds no run, or a damaged file.
    """
    description = runs.read(folder)
    names = [e["name"] for e in description["fusion"]["experiments"]] if "fusion" in description else []
    title = title or description[runs.kind_of(description)]["name"]
    places = {f"{title}: {name}": f"{BRANCHES}/{name}" for name in names} or {title: "."}
    parts = [
        (f"{fold['name']}, seed {seed}", folder / runs.member(number, seed))
        for number, fold in enumerate(description["folds"])
        for seed in description["seeds"]
    ]
    found = []
    for each, within in places.items():
        courses = tuple(c for name, part in parts if (c := _course(name, part / within / runs.OUTCOME)) is not None)
        if any(len(course.epochs) > 1 for course in courses):
            found.append(Training(each, courses))
    return found


def _course(name: str, path: Path) -> Course | None:
    """The history in an outcome; None where it holds none, as that of a baseline."""
    try:
        value: Any = runs.outcome_value(path, "history")
    except ModelError:
        return None
    epochs = value.get("epochs") if isinstance(value, dict) else None
    chosen = value.get("chosen") if isinstance(value, dict) else None
    if not isinstance(epochs, list) or not isinstance(chosen, int) or not 0 <= chosen < len(epochs):
        return None
    rows = tuple({k: float(v) for k, v in epoch.items() if type(v) in (int, float)} for epoch in epochs)
    return Course(name, rows, chosen) if all(_ua(row) is not None for row in rows) else None


def _ua(row: Mapping[str, float]) -> float | None:
    value = row.get("development_ua", row.get("score"))
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class Line:
    """A curve in the coordinates of the SVG.

    Attributes:
        kind: Its style: `development` or `training`.
        points: (x, y), pixels.
        chosen: The point that was chosen; None where it is not marked.
    """

    kind: str
    points: tuple[tuple[float, float], ...]
    chosen: tuple[float, float] | None = None


@dataclass(frozen=True)
class CurveDiagram:
    """One figure of all trainings of a system.

    Attributes:
        title: What is shown.
        unit: `epoch` or `candidate`.
        lines: The curves.
        ticks: Vertical axis: text and place, pixels.
        last: Number of the last epoch.
    """

    title: str
    unit: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[str, float], ...]
    last: int

    width, height, left, top, across, down = 300.0, 190.0, 38.0, 10.0, 250.0, 140.0


def diagrams(training: Training) -> tuple[CurveDiagram, ...]:
    """Lay out UA on development data, and of networks the losses.

    Args:
        training: The trainings of a system.

    Returns:
        One or two diagrams.
    """
    courses = training.courses[:MOST_LINES]
    longest = max(len(course.epochs) for course in courses)
    scores = [("development", [100 * (_ua(e) or 0.0) for e in c.epochs], c.chosen) for c in courses]
    found = [_diagram("UA on development data, %", training.unit, scores, longest)]
    losses = [
        (kind, values, course.chosen if kind == "development" else None)
        for kind, key in (("training", "loss"), ("development", "development_loss"))
        for course in courses
        if len(values := [e[key] for e in course.epochs if math.isfinite(e.get(key, math.nan))]) == len(course.epochs)
    ]
    if losses:
        found.append(_diagram("Loss", training.unit, losses, longest))
    return tuple(found)


def _diagram(title: str, unit: str, curves: Sequence[tuple[str, list[float], int | None]], longest: int) -> Any:
    values = [value for _, line, _ in curves for value in line]
    step = 10.0 ** math.floor(math.log10(max(max(values) - min(values), 1e-3)))
    low, high = math.floor(min(values) / step) * step, math.ceil(max(values) / step + 1e-9) * step
    shape = CurveDiagram

    def place(epoch: int, value: float) -> tuple[float, float]:
        x = shape.left + shape.across * (epoch / (longest - 1) if longest > 1 else 0.5)
        return x, shape.top + shape.down * (1 - (value - low) / (high - low))

    lines = tuple(
        Line(
            kind,
            tuple(place(i, v) for i, v in enumerate(line)),
            None if chosen is None else place(chosen, line[chosen]),
        )
        for kind, line, chosen in curves
    )
    ticks = tuple((f"{value:.4g}", place(0, value)[1]) for value in (low, (low + high) / 2, high))
    return CurveDiagram(title, unit, lines, ticks, longest)


def remark(training: Training) -> str:
    """State what the curves are of.

    Args:
        training: The trainings of a system.

    Returns:
        Numbers of trainings and of those that are shown.
    """
    total = len(training.courses)
    more = f", the first {MOST_LINES} of them shown" if total > MOST_LINES else ""
    return f"{quantity(total, 'training')} (folds × seeds){more}"
