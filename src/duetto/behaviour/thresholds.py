"""Limits of the tests: literal defaults, each with its reason, and a user's own from a TOML file.

    [correctness]
    ua = 60                       # a number for all subjects

    [correctness.recall]          # or one for each
    "*" = 50
    sad = 30

    [robustness.ua_change]
    white-0 = -30

The conditions of robustness have limits of their own (`conditions.CONDITIONS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigurationError
from ..utils.reading import Record, finite, read_toml, shortened
from .conditions import CONDITIONS
from .outcome import Limit

LEAST, MOST, WITHIN = "least", "most", "within"
"""Which values a threshold allows: those from it on, those up to it, those not farther from 0."""

ALL = "*"
"""Subject of a file that stands for all subjects which it does not name."""


@dataclass(frozen=True)
class Threshold:
    """The limit of one test.

    Attributes:
        title: What is measured.
        allows: `LEAST`, `MOST` or `WITHIN`.
        default: In percent or percentage points.
        reason: Why this default.
    """

    title: str
    allows: str
    default: float
    reason: str


THRESHOLDS: dict[str, dict[str, Threshold]] = {
    "correctness": {
        "ua": Threshold("UA", LEAST, 50, "half of each emotion found, as audEERING's tests ask of four classes"),
        "wa": Threshold("WA", LEAST, 50, "most answers right"),
        "above_chance": Threshold("UA above chance", LEAST, 10, "chance alone is 50 % with two classes"),
        "recall": Threshold("recall", LEAST, 30, "no emotion is missed nearly always"),
        "precision": Threshold("precision", LEAST, 30, "no answer is nearly always wrong"),
        "group_ua": Threshold("UA", LEAST, 40, "as for all utterances, less the difference that fairness allows"),
    },
    "fairness": {
        "ua_difference": Threshold("UA − UA of the others", WITHIN, 10, "a tenth of all emotions, missed by group"),
        "share_difference": Threshold(
            "share of a class − share for the others", WITHIN, 15, "one answer in seven that the group alone explains"
        ),
    },
    "robustness": {
        "ua_change": Threshold("change of UA", LEAST, -10, "by condition"),
        "changed": Threshold("answers that change", MOST, 35, "by condition"),
    },
    "calibration": {
        "ece": Threshold("ECE above that of perfect calibration", MOST, 10, "80 % then means 70 % at worst on average"),
        "brier_skill": Threshold("Brier score, better than equal probabilities", LEAST, 0, "else none is informative"),
        "confident_wrong": Threshold("wrong of the answers with p ≥ 0.8", MOST, 20, "what 0.8 promises"),
    },
    "rejection": {
        "no_emotion": Threshold("answered without emotion", LEAST, 100, "what is no speech has no emotion"),
        "speech_found": Threshold("recordings in which speech is found", LEAST, 95, "speech is not to be rejected"),
        "confident_right": Threshold("WA of the most confident 60 %", LEAST, 70, "confidence is worth waiting for"),
    },
}
"""Group → test → threshold."""

LEAST_SPEAKERS = 5
"""With fewer speakers, an interval over speakers decides nothing."""
LEAST_UTTERANCES = 10
"""With fewer utterances of a subject, nothing is decided."""

DECISION = "decision"
_DECISION = {"least_speakers": LEAST_SPEAKERS, "least_utterances": LEAST_UTTERANCES}


@dataclass(frozen=True)
class Limits:
    """The limits of one run of the tests.

    Attributes:
        own: Group → test → subject → the user's value.
        least_speakers: See `LEAST_SPEAKERS`.
        least_utterances: See `LEAST_UTTERANCES`.
    """

    own: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    least_speakers: int = LEAST_SPEAKERS
    least_utterances: int = LEAST_UTTERANCES

    def limit(self, group: str, test: str, subject: str = "") -> Limit:
        """Look a limit up.

        Args:
            group: Key of `THRESHOLDS`.
            test: Key of the group.
            subject: A class, a condition, …

        Returns:
            The limit: the user's for the subject, else the user's for all, else the default.
        """
        threshold, own = THRESHOLDS[group][test], self.own.get(group, {}).get(test, {})
        value = own.get(subject, own.get(ALL, threshold.default))
        if group == "robustness" and not {subject, ALL} & set(own) and subject in CONDITIONS:
            condition = CONDITIONS[subject]
            value = -condition.drop if test == "ua_change" else condition.changed
        if threshold.allows == WITHIN:
            return Limit(-abs(value), abs(value))
        return Limit(low=value) if threshold.allows == LEAST else Limit(high=value)


def read(path: Path) -> Limits:
    """Read a file of limits.

    Args:
        path: The file (TOML), see the head of this module.

    Returns:
        The limits; defaults for what it does not name.

    Raises:
        ConfigurationError: It cannot be read, or names a group, test or condition that does not exist, or no number.
    """
    record, own = read_toml(path, error=ConfigurationError), dict[str, dict[str, dict[str, float]]]()
    for group in record:
        table = record.record(group)
        known = _DECISION if group == DECISION else THRESHOLDS.get(group)
        if known is None:
            raise _unknown(record, group, (*THRESHOLDS, DECISION))
        if unknown := sorted(set(table) - set(known)):
            raise _unknown(table, unknown[0], known)
        if group != DECISION:
            own[group] = {test: _values(table, test) for test in table}
    if unknown := sorted({s for test in own.get("robustness", {}).values() for s in test} - {ALL, *CONDITIONS}):
        raise _unknown(record, unknown[0], CONDITIONS)
    least = record.record(DECISION) if DECISION in record else Record({}, str(path), ConfigurationError)
    numbers = {name: least.integer(name, default, low=1, high=10**6) for name, default in _DECISION.items()}
    return Limits(own, **numbers)


def _values(table: Record, test: str) -> dict[str, float]:
    given = table[test] if isinstance(table[test], dict) else {ALL: table[test]}
    found = {subject: finite(value) for subject, value in given.items()}
    if wrong := next((subject for subject, value in found.items() if value is None), None):
        raise table.wrong(f"{test} of {wrong!r} is {shortened(given[wrong])}; give a number")
    return {subject: value for subject, value in found.items() if value is not None}


def _unknown(record: Record, name: str, known: Mapping[str, object] | tuple[str, ...]) -> Exception:
    return record.wrong(f"{shortened(name)} is not known; choose from {', '.join(known)}")
