"""Sentences that a report draws from its figures: the headline, and what may be concluded from a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..evaluation import Difference, Summary
from .comparison import ALPHA, Comparison, against_best, best, between, leader
from .formatting import interval, number, p_value, quantity
from .scores import Pair, ScoredResult, ScoredResults


def headline(scored: ScoredResults, corpus: Mapping[str, Any]) -> str:
    """State the result, with the best control beside it; a finding only where the test can decide.

    Args:
        scored: The results of the report.
        corpus: Its `name` is used where there is one.

    Returns:
        A sentence; two where the speakers are too few for a test.
    """
    top, control = best(scored.systems, "system"), best(scored.systems, "control")
    if top is None:
        return "No system is reported that is neither a control nor a leak."
    ua, few = top.summary.ua, _few_speakers(top)
    where = f" on {corpus['name']}" if corpus.get("name") else ""
    verb = "scored" if few else "reaches"
    sentence = f"{top.result.title} {verb} {number(ua.mean)}% UA{where} (95% interval {interval(ua.ci95)})"
    if few:
        return _description(sentence, few, control)
    if control is None:
        return sentence + "; no control was run beside it."
    pair = between(against_best(scored), top, control)
    return (
        sentence + f"; the best control, {control.result.title}, {number(control.summary.ua.mean)}%: {_verdict(pair)}."
    )


def _few_speakers(system: ScoredResult) -> int:
    """Number of speakers where they are known and too few for a test; else 0."""
    if system.summary.unit == "speaker":
        return system.summary.clusters if _too_few(system.summary) else 0
    return int(len(set(system.result.speaker.tolist()) - {""}) == 1 and bool((system.result.speaker != "").all()))


def _description(sentence: str, few: int, control: ScoredResult | None) -> str:
    """What was measured, without a finding: on so few speakers no test can decide."""
    beside = "no control was run beside it"
    if control is not None:
        beside = f"the best control, {control.result.title}, {number(control.summary.ua.mean)}%"
    verb, whom = ("is", "this speaker") if few == 1 else ("are", "these speakers")
    return (
        f"{sentence}; {beside}. {quantity(few, 'speaker')} {verb} too few for any test, so this describes {whom} alone."
    )


def _verdict(pair: Pair | None) -> str:
    """What the test against the best control decides."""
    if pair is None or pair.difference is None:
        return "not tested on the same utterances"
    if _too_few_speakers(pair):
        return f"{quantity(pair.difference.clusters, 'speaker')} are too few to test the difference"
    verdict = "a difference beyond chance" if pair.corrected < ALPHA else "a difference that may be chance"
    return verdict + (" if utterances are independent" if pair.difference.unit == "utterance" else "")


def basis(scored: ScoredResults) -> str:
    """State what the headline rests on: utterances, speakers, classes, seeds.

    Args:
        scored: The results of the report.

    Returns:
        The facts, separated by semicolons.
    """
    top = best(scored.systems, "system") or scored.systems[0]
    unit = quantity(top.summary.clusters, "speaker") if top.summary.unit == "speaker" else "speakers unknown"
    parts = [quantity(top.summary.utterances, "test utterance"), unit, f"classes {', '.join(top.result.classes)}"]
    return "; ".join([*parts, quantity(len(top.result.seeds), "seed")]) + "."


def conclusions(comparison: Comparison) -> list[str]:
    """State what may be concluded from a comparison.

    Args:
        comparison: The systems and their pairs.

    Returns:
        A sentence for every pair with the best system; what holds for all of them is stated once.
    """
    top = leader(comparison.systems)
    tested = [comparison.between(top, other) for other in comparison.systems if other is not top]
    pairs = [pair for pair in tested if pair is not None]
    if len(pairs) < 2:
        return list(map(_conclusion, pairs))
    if all(map(_too_few_speakers, pairs)):
        speakers = quantity(next(pair.difference.clusters for pair in pairs if pair.difference), "speaker")
        sentences = [
            f"{speakers} are too few for any test: it may not be concluded that any order here would hold for other "
            "speakers. On these speakers:",
            *(f"{_gap(pair)}." for pair in pairs),
        ]
    else:
        sentences = list(map(_conclusion, pairs))
    return [
        *sentences,
        f"{top.result.title} stands first here because it scored highest on these very test data: that choice "
        "alone makes its lead look larger than it is.",
    ]


def _conclusion(pair: Pair) -> str:
    """What may and may not be concluded from a pair; the higher system comes first."""
    if pair.difference is None:
        return (
            f"{pair.a.result.title} and {pair.b.result.title} were not tested on the same utterances: nothing may be "
            "concluded."
        )
    start, unit = _gap(pair), f"{pair.difference.unit}s"
    if _too_few_speakers(pair):
        return (
            f"{start}, but {quantity(pair.difference.clusters, 'speaker')} are too few for any test: it may not be "
            "concluded that the order would hold for other speakers."
        )
    if pair.corrected >= ALPHA:
        return (
            f"{start}, which the choice of {unit} alone can explain: it may not be concluded that either is better, "
            "nor that they are equal."
        )
    return (
        f"{start}, more than the choice of {unit} explains: it is better on this corpus under this protocol, which "
        "shows nothing about other corpora, languages or recordings."
    )


def _gap(pair: Pair) -> str:
    """Which system scores how much above the other."""
    assert pair.difference is not None
    first, second = pair.a.result.title, pair.b.result.title
    mean, ci95 = pair.difference.mean, pair.difference.ci95
    if number(abs(mean)) == number(0.0):
        return f"{first} and {second} score the same UA (95% interval of the difference {interval(ci95, sign=True)})"
    if mean < 0:
        first, second, mean, ci95 = second, first, -mean, (-ci95[1], -ci95[0])
    return (
        f"{first} scores {number(mean)} points of UA (95% interval {interval(ci95, sign=True)}, corrected p "
        f"{p_value(pair.corrected)}) above {second}"
    )


def _too_few_speakers(pair: Pair) -> bool:
    """Whether no test on so few speakers can reach significance."""
    difference = pair.difference
    return difference is not None and _too_few(difference)


def _too_few(found: Difference | Summary) -> bool:
    """Whether a sign test on so many speakers, whose least p is 2^(1 − speakers), can't reach significance."""
    return found.unit == "speaker" and 2.0 ** (1 - found.clusters) >= ALPHA
