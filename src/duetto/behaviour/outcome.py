"""`Outcome`: one figure against one limit, decided by its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..utils.reading import Record

PASSED, FAILED, UNDECIDED = "passed", "failed", "undecided"
"""Values of `Outcome.status`."""

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Limit:
    """What a figure must not leave.

    Attributes:
        low: Least valid value; None for none.
        high: Greatest valid value; None for none.
    """

    low: float | None = None
    high: float | None = None

    def holds(self, value: float) -> bool:
        """Check a value.

        Args:
            value: Any number.

        Returns:
            Whether it lies within the limit, up to rounding.
        """
        above = self.low is None or value >= self.low - _TOLERANCE
        return above and (self.high is None or value <= self.high + _TOLERANCE)

    def decide(self, low: float, high: float) -> str:
        """Compare an interval with the limit.

        Args:
            low: Lower bound of the interval.
            high: Its upper bound.

        Returns:
            `passed` where all of it is valid, `failed` where none of it is, else `undecided`.
        """
        if self.holds(low) and self.holds(high):
            return PASSED
        below = self.low is not None and high < self.low - _TOLERANCE
        return FAILED if below or (self.high is not None and low > self.high + _TOLERANCE) else UNDECIDED

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            return f"within ±{self.high:g}" if self.low == -self.high else f"{self.low:g} to {self.high:g}"
        return (f"≥ {self.low:g}" if self.low is not None else f"≤ {self.high:g}").replace("-", "−")


@dataclass(frozen=True)
class Outcome:
    """One test.

    Attributes:
        group: `correctness`, `fairness`, `robustness`, `calibration` or `rejection`.
        test: Name of the threshold within the group, such as `recall`.
        kind: What the subject is: `class`, `gender`, `condition`, `sound`, …; empty for all utterances.
        subject: What is tested, such as `sad`, `female` or `white-10`; empty for all utterances.
        title: The subject as a reader names it.
        value: The figure, in percent or percentage points; None where there is none.
        ci95: Its 95% interval; None where it has none.
        low: Least valid value; None for none.
        high: Greatest valid value; None for none.
        utterances: Number of utterances that the figure rests on.
        status: `passed`, `failed` or `undecided`.
        note: Why nothing is decided, and what else a reader should know.
    """

    group: str
    test: str
    kind: str
    subject: str
    title: str
    value: float | None
    ci95: tuple[float, float] | None
    low: float | None
    high: float | None
    utterances: int
    status: str
    note: str = ""

    @property
    def limit(self) -> Limit:
        """The limit."""
        return Limit(self.low, self.high)

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            The fields.
        """
        return {**asdict(self), "ci95": None if self.ci95 is None else list(self.ci95)}

    @classmethod
    def from_json(cls, record: Record) -> Outcome:
        """Read what `to_json` made.

        Args:
            record: Of the file.

        Returns:
            The outcome.

        Raises:
            DuettoError: (of the record) A field is missing or of another type.
        """
        bounds = None if record["ci95"] is None else record.array("ci95", (2,)).tolist()
        numbers = {name: None if record[name] is None else record.number(name) for name in ("value", "low", "high")}
        return cls(
            group=record.text("group"),
            test=record.text("test"),
            kind=record.text("kind"),
            subject=record.text("subject"),
            title=record.text("title"),
            ci95=None if bounds is None else (bounds[0], bounds[1]),
            utterances=record.integer("utterances", low=0, high=1 << 53),
            status=record.text("status"),
            note=record.text("note"),
            **numbers,
        )


@dataclass(frozen=True)
class Figure:
    """A measured figure, before its limit is known.

    Attributes:
        value: In percent or percentage points.
        ci95: Its 95% interval.
        utterances: Number of utterances that it rests on.
        problem: Why nothing can be decided, such as too few speakers; empty where there is no reason.
        note: What else a reader should know.
    """

    value: float
    ci95: tuple[float, float]
    utterances: int
    problem: str = ""
    note: str = ""

    def against(
        self, limit: Limit, group: str, test: str, *, kind: str = "", subject: str = "", title: str = ""
    ) -> Outcome:
        """Decide.

        Args:
            limit: Of the figure.
            group: See `Outcome`.
            test: See `Outcome`.
            kind: See `Outcome`.
            subject: See `Outcome`.
            title: See `Outcome`; by default the subject.

        Returns:
            The outcome; undecided where there is a problem.
        """
        status = UNDECIDED if self.problem else limit.decide(*self.ci95)
        note = "; ".join(filter(None, (self.problem, self.note)))
        subject_and_figure = (kind, subject, title or subject, self.value, self.ci95)
        return Outcome(group, test, *subject_and_figure, limit.low, limit.high, self.utterances, status, note)


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count outcomes.

    Args:
        outcomes: Any number.

    Returns:
        Status → number of outcomes.
    """
    return {status: sum(o.status == status for o in outcomes) for status in (PASSED, FAILED, UNDECIDED)}
