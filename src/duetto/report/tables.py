"""Results as JSON and Markdown, for other programs and for pages that are not HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluation import RESAMPLES, Score, Summary, SystemResult, summary
from .comparison import Pair, Scored, between, checked, compare, conclusions, count, leader, score
from .formatting import MISSING, cell, interval, number, plain, spread

_TABLES = {"system": "systems", "control": "controls", "leak": "leaks"}


def tables(results: Sequence[SystemResult], *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """`{"unit": "percent", "systems": […], "controls": […], "leaks": […]}`, one `record` a result; JSON-ready."""
    found: dict[str, Any] = {"unit": "percent", **{name: [] for name in _TABLES.values()}}
    for result in checked(results):
        found[_TABLES[result.kind]].append(record(result, resamples=resamples, seed=seed))
    return found


def record(result: SystemResult, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """One result as a row of `tables.json`; every score in percent.

    `{"system", "title", "kind", "paper_ua", "ua": {"mean", "std", "ci95": [low, high], "ci95_utterances",
    "seeds": […]}, "wa": {…}, "macro_f1": {…}, "utterances", "resampled", "clusters", "notes": […]}`.
    `std` and `paper_ua` are null where they are not defined.
    """
    scored = summary(result, resamples, seed)
    return {
        "system": result.system,
        "title": result.title,
        "kind": result.kind,
        "paper_ua": result.paper_ua,
        "ua": _score(scored.ua),
        "wa": _score(scored.wa),
        "macro_f1": _score(scored.macro_f1),
        "utterances": scored.utterances,
        "resampled": scored.unit,
        "clusters": scored.clusters,
        "notes": [*result.notes, *scored.notes],
    }


def significance(
    results: Sequence[SystemResult], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any] | None:
    """What may be concluded from results beside each other: the best with all, and every system with every control.

    `{"best", "comparisons": [{"a", "b", "ua": {"difference", "ci95", "p", "p_holm"}, "mcnemar": {"only_a", "only_b",
    "p"}, "resampled", "clusters"}], "conclusions": […]}`; difference is a − b in points. p_holm is corrected for all
    comparisons with the best, and null for others. None where no two can be compared.
    """
    systems = [score(result, resamples, seed) for result in checked(results)]
    compared = compare(systems, "", (), resamples, seed)
    if not compared.pairs:
        return None
    top = leader(systems, compared.places)
    controls = [place for place in compared.places if place != top and systems[place].result.kind == "control"]
    pairs = [
        pair
        for first in (top, *controls)
        for place in compared.places
        if place != first and not (first != top and place in (top, *controls))
        if (pair := between(compared.pairs, first, place)) and pair.difference
    ]
    return {
        "best": systems[top].result.system,
        "comparisons": [_pair(systems, pair, top) for pair in pairs],
        "conclusions": conclusions(systems, compared),
    }


def _pair(systems: Sequence[Scored], pair: Pair, top: int) -> dict[str, Any]:
    assert pair.difference is not None and pair.mcnemar is not None
    drawn_on = top in (pair.a, pair.b)
    return {
        "a": systems[pair.a].result.system,
        "b": systems[pair.b].result.system,
        "ua": {
            "difference": pair.difference.mean,
            "ci95": list(pair.difference.ci95),
            "p": pair.difference.p,
            "p_holm": pair.corrected if drawn_on else None,
        },
        "mcnemar": {"only_a": pair.mcnemar.only_a, "only_b": pair.mcnemar.only_b, "p": pair.mcnemar.p},
        "resampled": pair.difference.unit,
        "clusters": pair.difference.clusters,
    }


def _score(score: Score) -> dict[str, Any]:
    return {
        "mean": score.mean,
        "std": score.std,
        "ci95": list(score.ci95),
        "ci95_utterances": list(score.ci95_utterances),
        "seeds": list(score.seeds),
    }


def markdown(
    results: Sequence[SystemResult],
    *,
    protocol: Mapping[str, Any] | None = None,
    corpus: Mapping[str, Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> str:
    """A table of UA, WA and macro-F1 with intervals, the published UA beside, then notes and the protocol."""
    ordered = checked(results)
    scored = [summary(result, resamples, seed) for result in ordered]
    warning = "**The corpus is synthetic: these figures show that the software works, and nothing else.**"
    text = [warning, ""] if corpus and corpus.get("synthetic") else []
    text += ["| System | UA % | WA % | macro-F1 % | UA % published |", "|---|---|---|---|---:|"]
    text += [_markdown_row(result, scores) for result, scores in zip(ordered, scored, strict=True)]
    runs = sorted({len(result.seeds) for result in ordered})
    text += [
        "",
        f"Mean ± standard deviation over seeds ({' or '.join(count(n, 'seed') for n in runs)}) and, in brackets, the "
        f"95% interval of the mean ({count(resamples, 'bootstrap resample')} of whole speakers where they are known).",
    ]
    text += _notes(ordered, scored)
    settings = [f"- {cell(key)}: {cell(plain(value))}" for key, value in (protocol or {}).items()]
    text += ["", "Protocol:", "", *settings] if settings else []
    return "\n".join(text) + "\n"


def _notes(results: Sequence[SystemResult], scored: Sequence[Summary]) -> list[str]:
    """Each note once, with the systems it is about where these are not all."""
    about: dict[str, list[str]] = {}
    for result, scores in zip(results, scored, strict=True):
        for note in (*result.notes, *scores.notes):
            about.setdefault(note, []).append(result.title)
    lines = [
        f"- {cell(note)}" if len(titles) == len(results) else f"- {cell('; '.join(titles))}: {cell(note)}"
        for note, titles in about.items()
    ]
    return ["", *lines] if lines else []


def _markdown_row(result: SystemResult, scores: Summary) -> str:
    cells = [f"{spread(score)} [{interval(score.ci95)}]" for score in (scores.ua, scores.wa, scores.macro_f1)]
    kind = "" if result.kind == "system" else f" ({result.kind})"
    published = number(result.paper_ua, 2) if result.paper_ua is not None else MISSING
    return f"| {cell(result.title)}{kind} | {' | '.join(cells)} | {published} |"
