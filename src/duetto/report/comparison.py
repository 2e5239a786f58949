"""What a report computes once: every system scored, every pair tested, and the sentences that may be drawn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from .. import evaluation as statistics
from ..errors import ConfigurationError
from ..evaluation import Calibration, Difference, McNemar, Summary, SystemResult
from .formatting import interval, number, p_value

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


@dataclass(frozen=True)
class Comparison:
    """Systems that are compared with each other, by their places in the list, and every two of them tested."""

    title: str
    places: tuple[int, ...]
    pairs: tuple[Pair, ...]


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


def compare(systems: Sequence[Scored], title: str, names: Sequence[str], resamples: int, seed: int) -> Comparison:
    """The systems of some names (by default all), those that are no leak, with every two of them tested."""
    wanted = set(names or [s.result.system for s in systems])
    known = {s.result.system for s in systems}
    if unknown := sorted(wanted - known):
        raise ConfigurationError(f"no result of system {unknown[0]!r} to compare; there are {', '.join(sorted(known))}")
    places = [i for i, s in enumerate(systems) if s.result.system in wanted and s.result.kind != "leak"]
    return Comparison(title, tuple(places), tuple(pairs(systems, combinations(places, 2), resamples, seed)))


def with_leader(systems: Sequence[Scored], resamples: int, seed: int) -> list[Pair]:
    """The best system tested against every other that is no leak."""
    top = leader(systems)
    others = [i for i, s in enumerate(systems) if s.result.kind != "leak" and i != top]
    return pairs(systems, [(min(top, i), max(top, i)) for i in others], resamples, seed)


def pairs(systems: Sequence[Scored], places: Iterable[tuple[int, int]], resamples: int, seed: int) -> list[Pair]:
    """Pairs of systems, tested; p of those with the best among them is corrected for being drawn on."""
    found = []
    for a, b in places:
        first, second = systems[a].result, systems[b].result
        try:
            difference = statistics.paired_bootstrap(first, second, "ua", resamples, seed)
            found.append(Pair(a, b, difference, statistics.mcnemar(first, second)))
        except ConfigurationError as error:
            found.append(Pair(a, b, problem=str(error)))
    if not found:
        return []
    place = leader(systems, {place for pair in found for place in (pair.a, pair.b)})
    drawn_on = [pair for pair in found if pair.difference and place in (pair.a, pair.b)]
    corrected = statistics.holm([pair.difference.p for pair in drawn_on if pair.difference])
    known = {(pair.a, pair.b): p for pair, p in zip(drawn_on, corrected, strict=True)}
    return [
        replace(pair, corrected=known.get((pair.a, pair.b), pair.difference.p)) if pair.difference else pair
        for pair in found
    ]


def leader(systems: Sequence[Scored], places: Collection[int] | None = None) -> int:
    """The place of the best system, or of the best control where there is no system; among `places`, or of all."""
    here = [s for i, s in enumerate(systems) if places is None or i in places]
    top = best(here, "system") or best(here, "control") or here[0]
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
    start, unit = _gap(systems, pair), f"{pair.difference.unit}s"
    if _too_few(pair):
        return (
            f"{start}, but {count(pair.difference.clusters, 'speaker')} are too few for any test: it may not be "
            "concluded that the order would hold for other speakers."
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


def conclusions(systems: Sequence[Scored], comparison: Comparison) -> list[str]:
    """A sentence for every comparison with the best system, or with the best there is; what all share is said once."""
    top = leader(systems, comparison.places)
    tested = [between(comparison.pairs, top, other) for other in comparison.places if other != top]
    drawn = [pair for pair in tested if pair is not None]
    if len(drawn) < 2:
        return [conclusion(systems, pair) for pair in drawn]
    if all(map(_too_few, drawn)):
        speakers = count(next(pair.difference.clusters for pair in drawn if pair.difference), "speaker")
        found = [
            f"{speakers} are too few for any test: it may not be concluded that any order here would hold for other "
            "speakers. On these speakers:",
            *(f"{_gap(systems, pair)}." for pair in drawn),
        ]
    else:
        found = [conclusion(systems, pair) for pair in drawn]
    return [
        *found,
        f"{systems[top].result.title} stands first here because it scored highest on these very test data: that choice "
        "alone makes its lead look larger than it is.",
    ]


def _gap(systems: Sequence[Scored], pair: Pair) -> str:
    """Which of two scores how much above the other."""
    assert pair.difference is not None
    first, second = systems[pair.a].result.title, systems[pair.b].result.title
    mean, ci95 = pair.difference.mean, pair.difference.ci95
    if number(abs(mean)) == number(0.0):
        return f"{first} and {second} score the same UA (95% interval of the difference {interval(ci95, sign=True)})"
    if mean < 0:
        first, second, mean, ci95 = second, first, -mean, (-ci95[1], -ci95[0])
    return (
        f"{first} scores {number(mean)} points of UA (95% interval {interval(ci95, sign=True)}, corrected p "
        f"{p_value(pair.corrected)}) above {second}"
    )


def _too_few(pair: Pair) -> bool:
    """Whether no test on so many speakers can find anything."""
    difference = pair.difference
    return difference is not None and difference.unit == "speaker" and 2.0 ** (1 - difference.clusters) >= ALPHA


def count(n: int, what: str) -> str:
    """`1 speaker`, `1,241 utterances`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
