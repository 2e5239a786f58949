"""What a report computes once: every system scored, every pair tested, and the sentences that may be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from .. import results as statistics
from ..errors import ConfigurationError
from ..results import Calibration, Difference, McNemar, Summary, SystemResult
from .text import interval, number, p_value

ALPHA = 0.05


@dataclass(frozen=True)
class Scored:
    """One system with its scores."""

    result: SystemResult
    summary: Summary
    calibration: Calibration


@dataclass(frozen=True)
class Pair:
    """Two systems, by their places in the list, and how they differ in UA; `problem` where they cannot be compared.

    corrected: the bootstrap p of `difference`; in comparisons with the best system, those that the report draws
        conclusions from, corrected for having made all of them (Holm).
    """

    a: int
    b: int
    difference: Difference | None = None
    mcnemar: McNemar | None = None
    corrected: float = 1.0
    problem: str = ""


def checked(results: Sequence[SystemResult]) -> list[SystemResult]:
    """The results as systems, controls, leaks, each in the order given; an error where they do not fit together."""
    if not results:
        raise ConfigurationError("there is no result to report; give at least one SystemResult")
    names = [result.system for result in results]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(f"system {twice[0]!r} is reported twice; give each result a name of its own")
    classes = {result.classes for result in results}
    if len(classes) > 1:
        raise ConfigurationError(f"results have different classes: {sorted(classes)}; report each label set by itself")
    return sorted(results, key=lambda result: statistics.KINDS.index(result.kind))


def score(result: SystemResult, resamples: int, seed: int) -> Scored:
    """A result with everything the report says of it alone."""
    return Scored(result, statistics.summary(result, resamples, seed), statistics.calibration(result, resamples, seed))


def pairs(systems: Sequence[Scored], resamples: int, seed: int) -> list[Pair]:
    """Every two systems that are no leak, tested."""
    valid = [place for place, system in enumerate(systems) if system.result.kind != "leak"]
    found = []
    for a, b in combinations(valid, 2):
        first, second = systems[a].result, systems[b].result
        try:
            difference = statistics.paired_bootstrap(first, second, "ua", resamples, seed)
            found.append(Pair(a, b, difference, statistics.mcnemar(first, second)))
        except ConfigurationError as error:
            found.append(Pair(a, b, problem=str(error)))
    place = leader(systems)
    drawn_on = [pair for pair in found if pair.difference and place in (pair.a, pair.b)]
    corrected = statistics.holm([pair.difference.p for pair in drawn_on if pair.difference])
    known = {(pair.a, pair.b): p for pair, p in zip(drawn_on, corrected, strict=True)}
    return [
        replace(pair, corrected=known.get((pair.a, pair.b), pair.difference.p)) if pair.difference else pair
        for pair in found
    ]


def leader(systems: Sequence[Scored]) -> int:
    """The place of the best system, or of the best control where there is no system."""
    top = best(systems, "system") or best(systems, "control") or systems[0]
    return systems.index(top)


def best(systems: Sequence[Scored], kind: str) -> Scored | None:
    """The system of a kind with the highest mean UA, the first of equals."""
    return max((s for s in systems if s.result.kind == kind), key=lambda s: s.summary.ua.mean, default=None)


def between(tested: Sequence[Pair], a: int, b: int) -> Pair | None:
    """The pair of the systems at places a and b, in either order."""
    return next((pair for pair in tested if {pair.a, pair.b} == {a, b}), None)


def headline(systems: Sequence[Scored], tested: Sequence[Pair], corpus: Mapping[str, Any]) -> str:
    """The result in one sentence, with the best control beside it."""
    top, control = best(systems, "system"), best(systems, "control")
    if top is None:
        return "No system is reported that is neither a control nor a leak."
    ua = top.summary.ua
    where = f" on {corpus['name']}" if corpus.get("name") else ""
    sentence = f"{top.result.title} reaches {number(ua.mean)}% UA{where} (95% interval {interval(ua.ci95)})"
    if control is None:
        return sentence + "; no control was run beside it."
    pair = between(tested, systems.index(top), systems.index(control))
    verdict = "not tested on the same utterances"
    if pair and pair.difference:
        verdict = "a difference beyond chance" if pair.corrected < ALPHA else "a difference that may be chance"
    return sentence + f"; the best control, {control.result.title}, {number(control.summary.ua.mean)}%: {verdict}."


def basis(systems: Sequence[Scored]) -> str:
    """What the headline rests on: utterances, speakers, classes, seeds."""
    top = best(systems, "system") or systems[0]
    unit = [count(top.summary.clusters, "speaker")] if top.summary.unit == "speaker" else ["speakers unknown"]
    parts = [count(top.summary.utterances, "test utterance"), *unit, f"classes {', '.join(top.result.classes)}"]
    return "; ".join([*parts, count(len(top.result.seeds), "seed")]) + "."


def conclusion(systems: Sequence[Scored], pair: Pair) -> str:
    """What may and may not be concluded from a pair, in one sentence; the higher system comes first."""
    first, second = systems[pair.a].result.title, systems[pair.b].result.title
    if pair.difference is None:
        return f"{first} and {second} were not tested on the same utterances: nothing may be concluded."
    mean, ci95, units = pair.difference.mean, pair.difference.ci95, pair.difference.clusters
    if mean < 0:
        first, second, mean, ci95 = second, first, -mean, (-ci95[1], -ci95[0])
    gap = (
        f"{number(mean)} points of UA (95% interval {interval(ci95, sign=True)}, corrected p {p_value(pair.corrected)})"
    )
    start, unit = f"{first} scores {gap} above {second}", f"{pair.difference.unit}s"
    if pair.difference.unit == "speaker" and 2.0 ** (1 - units) >= ALPHA:
        return (
            f"{start}, but {count(units, 'speaker')} are too few for any test: it may not be concluded that the order "
            "would hold for other speakers."
        )
    if pair.corrected >= ALPHA:
        return (
            f"{start}, which the choice of {unit} alone can explain: it may not be concluded that either is better, "
            "nor that they are equal."
        )
    return (
        f"{start}, more than the choice of {unit} explains: it is better on this corpus under this protocol; of other "
        "corpora, languages or recordings this says nothing."
    )


def count(n: int, what: str) -> str:
    """`1 speaker`, `1,241 utterances`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
