"""Results as JSON and Markdown, for other programs and for pages that are not HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluation import Calibration, Score, SystemResult
from . import dimensions
from .comparison import compare, leader
from .conclusions import conclusions
from .formatting import MISSING, cell, interval, number, plain, quantity, spread
from .scores import Pair, ScoredResult, ScoredResults, score

SYNTHETIC = "**The corpus is synthetic: these figures show that the software works, and nothing else.**"
"""Warning on top of a Markdown report."""

_TABLES = {"system": "systems", "control": "controls", "leak": "leaks"}


def tables(results: Sequence[SystemResult] | ScoredResults) -> dict[str, Any]:
    """Write all results as JSON values.

    Args:
        results: The results; from `score`, where intervals are shared with another format.

    Returns:
        `{"unit": "percent", "systems": […], "controls": […], "leaks": […]}`, one `record` a result.
    """
    found: dict[str, Any] = {"unit": "percent", **{name: [] for name in _TABLES.values()}}
    for system in score(results):
        found[_TABLES[system.result.kind]].append(record(system))
    return found


def record(scored: ScoredResult) -> dict[str, Any]:
    """Write one result as a row of `tables.json`; every score in percent.

    Args:
        scored: The result.

    Returns:
        `{"system", "title", "kind", "paper_ua", "ua": {"mean", "std", "ci95": [low, high], "ci95_utterances",
        "seeds": […]}, "wa": {…}, "macro_f1": {…}, "calibration": {"before": {"ece", "ece_ci95", "nll", "brier"},
        "after": {…}}, "coverage": {"accuracy": {"100": {"mean", "ci95"}, "80": …}, "area": {…}}, "utterances",
        "resampled", "clusters", "notes": […]}`. Calibration and area are no percentages; before and after are of the
        temperature.
        `std` and `paper_ua` are null where they are not defined. A system that adapts to a speaker also has
        `"after_utterances": {"1": {"ua", "wa", "macro_f1"}, …}`, one entry for each number of earlier utterances; the
        seeds of these scores are all orders of the utterances under each seed. One with dimensions has `"dimensions":
        {"arousal": {"ccc": {"mean", "ci95"}, "rmse": {"mean", "ci95"}, "utterances"}, …}`, no percentages.
    """
    result, summary = scored.result, scored.summary
    after = {
        str(number): {name: _score_record(getattr(each.summary, name)) for name in ("ua", "wa", "macro_f1")}
        for number, each in scored.after.items()
    }
    return {
        "system": result.system,
        "title": result.title,
        "kind": result.kind,
        "paper_ua": result.paper_ua,
        "ua": _score_record(summary.ua),
        "wa": _score_record(summary.wa),
        "macro_f1": _score_record(summary.macro_f1),
        "calibration": _calibration_record(scored.calibration),
        "coverage": scored.selective.to_json(),
        **({"dimensions": {each.name: each.to_json() for each in scored.dimensions}} if scored.dimensions else {}),
        "utterances": summary.utterances,
        "resampled": summary.unit,
        "clusters": summary.clusters,
        "notes": [*result.notes, *summary.notes],
        **({"after_utterances": after} if after else {}),
    }


def significance(results: Sequence[SystemResult] | ScoredResults) -> dict[str, Any] | None:
    """Test the best system against all others, and every system against every control.

    Args:
        results: The results; from `score`, where intervals are shared with another format.

    Returns:
        `{"best", "comparisons": [{"a", "b", "ua": {"difference", "ci95", "p", "p_holm"}, "mcnemar": {"only_a",
        "only_b", "p"}, "resampled", "clusters"}], "conclusions": […]}`; difference is a − b in points. p_holm is
        corrected for all comparisons with the best, and null for others. None where no two can be compared.
    """
    compared = compare(score(results))
    if not compared.pairs:
        return None
    top = leader(compared.systems)
    controls = [s for s in compared.systems if s is not top and s.result.kind == "control"]
    pairs = [
        pair
        for first in (top, *controls)
        for other in compared.systems
        if other is not first and not (first is not top and other in (top, *controls))
        if (pair := compared.between(first, other)) and pair.difference
    ]
    return {
        "best": top.result.system,
        "comparisons": [_pair(pair, with_best=top in (pair.a, pair.b)) for pair in pairs],
        "conclusions": conclusions(compared),
    }


def _pair(pair: Pair, *, with_best: bool) -> dict[str, Any]:
    assert pair.difference is not None and pair.mcnemar is not None
    return {
        "a": pair.a.result.system,
        "b": pair.b.result.system,
        "ua": {
            "difference": pair.difference.mean,
            "ci95": list(pair.difference.ci95),
            "p": pair.difference.p,
            "p_holm": pair.corrected if with_best else None,
        },
        "mcnemar": {"only_a": pair.mcnemar.only_a, "only_b": pair.mcnemar.only_b, "p": pair.mcnemar.p},
        "resampled": pair.difference.unit,
        "clusters": pair.difference.clusters,
    }


def _calibration_record(found: Calibration) -> dict[str, Any]:
    return {
        name: {"ece": found.ece[i], "ece_ci95": list(found.ece_ci95[i]), "nll": found.nll[i], "brier": found.brier[i]}
        for i, name in enumerate(("before", "after"))
    }


def _score_record(score: Score) -> dict[str, Any]:
    return {
        "mean": score.mean,
        "std": score.std,
        "ci95": list(score.ci95),
        "ci95_utterances": list(score.ci95_utterances),
        "seeds": list(score.seeds),
    }


def markdown(
    results: Sequence[SystemResult] | ScoredResults,
    *,
    protocol: Mapping[str, Any] | None = None,
    corpus: Mapping[str, Any] | None = None,
) -> str:
    """Write a table of UA, WA and macro-F1 with intervals, the published UA beside, then notes and the protocol.

    Args:
        results: The results; from `score`, where intervals are shared with another format.
        protocol: As in `report.write`; left out where None.
        corpus: As in `report.write`; a synthetic one puts a warning on top.

    Returns:
        Markdown.
    """
    scored = score(results)
    text = [SYNTHETIC, ""] if corpus and corpus.get("synthetic") else []
    published = any(system.result.paper_ua is not None for system in scored)
    last, line = (" UA % published |", "---:|") if published else ("", "")
    text += ["| System | UA % | WA % | macro-F1 % |" + last, "|---|---|---|---|" + line]
    text += [_markdown_row(row, published) for system in scored for row in (system, *system.after.values())]
    seeds = sorted({len(system.result.seeds) for system in scored})
    resamples = quantity(scored.resamples, "bootstrap resample")
    text += [
        "",
        f"Mean ± standard deviation over seeds ({' or '.join(quantity(n, 'seed') for n in seeds)}) and, in brackets, "
        f"the 95% interval of the mean ({resamples} of whole speakers where they are known).",
    ]
    if (found := dimensions.table(scored.systems)) is not None:
        text += ["", found.markdown()]
    text += _notes(scored)
    settings = [f"- {cell(key)}: {cell(plain(value))}" for key, value in (protocol or {}).items()]
    text += ["", "Protocol:", "", *settings] if settings else []
    return "\n".join(text) + "\n"


def _notes(scored: ScoredResults) -> list[str]:
    """Each note once, with the systems it is about where these are not all."""
    about: dict[str, list[str]] = {}
    for system in scored:
        for note in (*system.result.notes, *system.summary.notes):
            about.setdefault(note, []).append(system.result.title)
    lines = [
        f"- {cell(note)}" if len(titles) == len(scored) else f"- {cell('; '.join(titles))}: {cell(note)}"
        for note, titles in about.items()
    ]
    return ["", *lines] if lines else []


def _markdown_row(system: ScoredResult, with_published: bool) -> str:
    result, summary = system.result, system.summary
    cells = [f"{spread(score)} [{interval(score.ci95)}]" for score in (summary.ua, summary.wa, summary.macro_f1)]
    kind = "" if result.kind == "system" else f" ({result.kind})"
    published = number(result.paper_ua, 2) if result.paper_ua is not None else MISSING
    return f"| {cell(result.title)}{kind} | {' | '.join([*cells, *([published] if with_published else [])])} |"
