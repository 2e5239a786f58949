"""The page: a headline, warnings, and one section for each question a reader has. No script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from .. import evaluation as statistics
from ..evaluation import Group, SystemResult
from . import svg
from .comparison import ALPHA, Comparison, Pair, Scored, basis, between, conclusions, count, headline
from .formatting import MISSING, bullets, definitions, escape, finding, interval, number, p_value, points, spread, table
from .sections import Section

FATAL = ("error", "leak", "fatal")
NAMED = 3
"""Systems that a warning names; more of them are counted."""


@dataclass(frozen=True)
class Content:
    """Everything that the page says; fields as the arguments of `report.write`, scored.

    pairs: the best system with all others. comparisons: the systems that are compared among themselves.
    """

    title: str
    systems: tuple[Scored, ...]
    pairs: tuple[Pair, ...]
    comparisons: tuple[Comparison, ...]
    sections: tuple[Section, ...]
    protocol: Mapping[str, Any]
    corpus: Mapping[str, Any]
    ceilings: Mapping[str, float]
    audit: tuple[Any, ...] | None
    notes: tuple[str, ...]
    resamples: int


def render(content: Content) -> str:
    """The whole page."""
    sections = [
        ("overview", "Overview", _overview(content)),
        *((f"section-{i}", section.name, section.html()) for i, section in enumerate(content.sections, 1)),
        ("scores", "Scores", _scores(content)),
        ("confusions", "Confusions", _confusions(content)),
        ("groups", "Groups", _groups(content)),
        ("calibration", "Calibration", _calibration(content)),
        ("comparisons", "Comparisons", _comparisons(content)),
        ("protocol", "Protocol", _protocol(content)),
    ]
    links = "".join(f'<a href="#{key}">{name}</a>' for key, name, _ in sections)
    body = "".join(f'<section id="{key}"><h2>{name}</h2>{inner}</section>' for key, name, inner in sections)
    style = files("duetto.report").joinpath("style.css").read_text(encoding="utf-8")
    top = escape(headline(content.systems, content.pairs, content.corpus))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(content.title)}</title>'
        f"<style>{style}</style></head><body><header><h1>{escape(content.title)}</h1>"
        f'<p class="headline">{top}</p><p class="basis">{escape(basis(content.systems))}</p>{_banners(content)}'
        f'<nav aria-label="Sections">{links}</nav></header>'
        f"<main>{body}</main><footer>Made by duetto. This file is complete: it loads nothing.</footer></body></html>\n"
    )


def _banners(content: Content) -> str:
    found = []
    if content.corpus.get("synthetic"):
        found.append(
            "<strong>Synthetic corpus.</strong> These figures show that the software works, against ceilings that are "
            "known. They say nothing about recognising emotion in people."
        )
    leaks = [escape(s.result.title) for s in content.systems if s.result.kind == "leak"]
    if leaks:
        named = ", ".join(leaks) if len(leaks) <= NAMED else f"{len(leaks)} systems, which are marked below"
        found.append(f"<strong>Leak.</strong> Test data reached {named}: the figures are no results.")
    fatal = [severity for severity, _ in map(finding, content.audit or ()) if severity.lower() in FATAL]
    if fatal:
        found.append(
            f"<strong>The audit failed.</strong> {count(len(fatal), 'finding')} "
            f'{"makes" if len(fatal) == 1 else "make"} these figures doubtful; see <a href="#protocol">Protocol</a>.'
        )
    return "".join(f'<p class="banner" role="alert">{text}</p>' for text in found)


def _overview(content: Content) -> str:
    lines = svg.lines(content.systems, content.ceilings)
    runs = any(len(s.result.seeds) > 1 for s in content.systems)
    paper = any(s.result.paper_ua is not None for s in content.systems)
    unit = "/".join(sorted({s.summary.unit for s in content.systems}))
    legend = f"Mark: mean UA over seeds. Thick bar: 95% interval over {unit}s; thin, where it reaches further: over "
    legend += "utterances as if they were independent."
    legend += " Small dots: single seeds." if runs else ""
    legend += " Triangle: published figure." if paper else ""
    return f"<figure>{svg.forest(content.systems, lines)}<figcaption>{legend}</figcaption></figure>"


def _scores(content: Content) -> str:
    header = ("System", "UA %", "UA % published", "WA %", "Macro-F1 %", "ECE", "ECE, temperature")
    rows = [[_name(s.result) + _key(s.result), *_score_cells(s)] for s in content.systems]
    notes = [f"{s.result.title}: {note}" for s in content.systems for note in (*s.result.notes, *s.summary.notes)]
    shared = [
        note for note in content.systems[0].summary.notes if all(note in s.summary.notes for s in content.systems)
    ]
    own = [note for note in notes if not any(note.endswith(": " + text) for text in shared)]
    lead = (
        "<p>UA is the mean of the per-class recalls, WA the share of utterances that are right. Figures are means "
        "± standard deviation over seeds; below them the 95% interval of the mean. ECE, from 0 (best) to 1, is before "
        "and after a temperature fitted on development data.</p>"
    )
    everywhere = [text[0].upper() + text[1:] for text in shared]
    lines = [note.rstrip(".") + "." for note in (*everywhere, *own)]
    return lead + table(header, rows, "Scores of every system", "figures") + bullets(lines)


def _score_cells(system: Scored) -> list[str]:
    def cell(score: statistics.Score) -> str:
        return f"{spread(score)}<small>{interval(score.ci95)}</small>"

    ece = [
        f"{number(value, 3)}<small>{interval(bounds, 3)}</small>"
        for value, bounds in zip(system.calibration.ece, system.calibration.ece_ci95, strict=True)
    ]
    scores, paper = system.summary, system.result.paper_ua
    return [
        cell(scores.ua),
        number(paper, 2) if paper is not None else MISSING,
        cell(scores.wa),
        cell(scores.macro_f1),
        *ece,
    ]


def _name(result: SystemResult) -> str:
    tag = "" if result.kind == "system" else f' <span class="tag {result.kind}">{result.kind}</span>'
    return escape(result.title) + tag


def _key(result: SystemResult) -> str:
    """The short name, by which other tables call a system, where it is not the title."""
    return f'<small class="key">{escape(result.system)}</small>' if result.title != result.system else ""


def _confusions(content: Content) -> str:
    boxes = "".join(_confusion(s.result) for s in content.systems)
    return (
        "<p>Rows are what the utterance is, columns what the system answered. Large: percent of the row; small: "
        f'utterances, means over seeds, rounded.</p><div class="multiples">{boxes}</div>'
    )


def _confusion(result: SystemResult) -> str:
    matrix = result.confusion
    rows = []
    for name, row in zip(result.classes, matrix, strict=True):
        total = row.sum()
        shares = row / total if total else row
        cells = [
            f'<td class="heat" style="--v:{share:.3f}">{number(100 * share, 0) if total else MISSING}'
            f"<small>{number(n, 0)}</small></td>"
            for share, n in zip(shares, row, strict=True)
        ]
        rows.append([escape(name), *cells])
    header = ['<span class="hidden">target</span>', *map(escape, result.classes)]
    return table(header, rows, escape(result.title), "confusion")


def _groups(content: Content) -> str:
    """Few groups are columns of one table beside the systems; where they are more than the systems, they are rows."""
    columns, parts = [], []
    for by in ("gender", "style", "session", "speaker"):
        found = [statistics.breakdown(s.result, by, 1) for s in content.systems]
        names = list(dict.fromkeys(group.name for groups in found for group in groups))
        if len(names) < 2:
            continue
        rows = [(name, [next((g for g in groups if g.name == name), None) for groups in found]) for name in names]
        if len(rows) < len(found):
            columns += [(by, name, groups) for name, groups in rows]
        else:
            parts.append(_group_rows(content, by, rows))
    if not columns and not parts:
        return "<p>The corpus names no speakers, genders, sessions or styles to compare.</p>"
    lead = (
        "<p>UA in percent, means over seeds; WA below it. A dagger marks UA over the classes that occur, where some "
        "do not. Small groups vary by chance: compare a difference with the number of utterances before believing it."
        "</p>"
    )
    return lead + (_group_columns(content, columns) if columns else "") + "".join(parts)


def _group_columns(content: Content, columns: list[tuple[str, str, list[Group | None]]]) -> str:
    header = ["System", *(f"{escape(name)}<small>{by}, {_sizes(groups)}</small>" for by, name, groups in columns)]
    rows = [
        [_name(system.result), *(_group_cell(groups[i]) for _, _, groups in columns)]
        for i, system in enumerate(content.systems)
    ]
    kinds = ", ".join(dict.fromkeys(by for by, _, _ in columns))
    return table(header, rows, f"UA by {kinds}, with their utterances", "figures groups")


def _group_rows(content: Content, by: str, named: list[tuple[str, list[Group | None]]]) -> str:
    header = [
        by.capitalize(),
        "Utterances",
        *(f'<abbr title="{escape(s.result.title)}">{escape(s.result.system)}</abbr>' for s in content.systems),
    ]
    rows = [[escape(name), _sizes(groups), *map(_group_cell, groups)] for name, groups in named]
    return table(header, rows, f"UA by {by}", "figures groups")


def _sizes(groups: list[Group | None]) -> str:
    """Utterances of a group; a range where systems were tested on different ones."""
    return "–".join(f"{n:,}" for n in sorted({group.utterances for group in groups if group}))


def _group_cell(group: Group | None) -> str:
    if group is None:
        return MISSING
    mark = f'<abbr title="without {escape(", ".join(group.absent))}">†</abbr>' if group.absent else ""
    return (
        f'<td class="heat" style="--v:{group.ua.mean / 100:.3f}">{number(group.ua.mean)}{mark}'
        f"<small>{number(group.wa.mean)}</small></td>"
    )


def _calibration(content: Content) -> str:
    boxes = "".join(
        f"<figure>{svg.reliability(s.result.title, *s.calibration.curves)}<figcaption>{_name(s.result)}"
        f"<small>ECE {_arrow(s.calibration.ece)}; NLL {_arrow(s.calibration.nll)}; Brier {_arrow(s.calibration.brier)}"
        "</small></figcaption></figure>"
        for s in content.systems
    )
    return (
        "<p>How often an answer is right, in percent, against how sure the system was. On the diagonal a probability "
        "means what it says; below it the system is too sure. Hollow: as trained; filled: after temperature, fitted "
        f"on development data. Areas show how many utterances; bins with less than 1% of them are not joined.</p>"
        f'<div class="multiples">{boxes}</div>'
    )


def _arrow(pair: tuple[float, float]) -> str:
    return f"{number(pair[0], 3)} → {number(pair[1], 3)}"


def _comparisons(content: Content) -> str:
    made = sum(len(comparison.pairs) for comparison in content.comparisons)
    if not made:
        return "<p>There are no two systems to compare.</p>"
    lead = (
        "<p>Above the diagonal: difference of UA in points, its 95% interval, and p from the paired bootstrap over "
        "speakers. Below: p of McNemar's exact test on WA, which takes utterances as independent and so finds more, "
        "with the utterances that only the row : only the column has right. Each p stands for its comparison alone: "
        f"of {count(made, 'comparison')} between equal systems about {number(ALPHA * made)} would fall below {ALPHA}. "
        "The sentences below a table draw on p corrected for all that they compare (Holm).</p>"
    )
    return lead + "".join(_comparison(content, c) for c in content.comparisons if c.pairs)


def _comparison(content: Content, comparison: Comparison) -> str:
    places = comparison.places
    header = ["Row − column", *(f'<abbr title="{_title(content, p)}">{i}</abbr>' for i, p in enumerate(places, 1))]
    rows = [
        [f'<span class="place">{i}</span> {_title(content, p)}']
        + [_pair_cell(content, comparison.pairs, p, q) for q in places]
        for i, p in enumerate(places, 1)
    ]
    sentences = bullets(conclusions(content.systems, comparison), "conclusions")
    return table(header, rows, escape(comparison.title), "pairs") + sentences


def _title(content: Content, place: int) -> str:
    return escape(content.systems[place].result.title)


def _pair_cell(content: Content, tested: tuple[Pair, ...], row: int, column: int) -> str:
    pair = between(tested, row, column)
    if pair is None:
        return '<td class="self"></td>'
    if pair.difference is None or pair.mcnemar is None:
        return f'<td><abbr title="{escape(pair.problem)}">{MISSING}</abbr></td>'
    if row > column:
        only_row, only_column = pair.mcnemar.only_b, pair.mcnemar.only_a
        discordant = f"{number(only_row, 0)} : {number(only_column, 0)}"
        return f'<td class="below">p {p_value(pair.mcnemar.p)}<small>{discordant}</small></td>'
    sure = " sure" if pair.difference.p < ALPHA else ""
    return (
        f'<td class="above{sure}">{points(pair.difference.mean)}'
        f"<small>{interval(pair.difference.ci95, sign=True)}</small><small>p {p_value(pair.difference.p)}</small></td>"
    )


def _protocol(content: Content) -> str:
    corpus = {key: value for key, value in content.corpus.items() if key != "synthetic"}
    corpus["synthetic"] = bool(content.corpus.get("synthetic"))
    parts = [
        ("Corpus", definitions(corpus)),
        ("Runs", definitions(content.protocol)),
        ("Audit of the split", _audit(content.audit)),
        ("Intervals and tests", _method(content)),
        ("Notes", bullets(content.notes)),
    ]
    return "".join(f'<div class="part"><h3>{name}</h3>{inner}</div>' for name, inner in parts if inner)


def _audit(findings: tuple[Any, ...] | None) -> str:
    if findings is None:
        return "<p>No audit was made: nobody has checked these splits for leaks.</p>"
    if not findings:
        return "<p>The audit found nothing.</p>"
    rows = []
    for severity, text in map(finding, findings):
        tag = f'<span class="tag {"leak" if severity.lower() in FATAL else "control"}">{escape(severity)}</span> '
        rows.append(f"<li>{tag if severity else ''}{escape(text)}</li>")
    return f'<ul class="audit">{"".join(rows)}</ul>'


def _method(content: Content) -> str:
    units = sorted({s.summary.unit for s in content.systems})
    return (
        f"<p>Intervals hold the middle 95% of {content.resamples:,} bootstrap resamples. Each draws "
        f"{' or '.join(units)}s with replacement, as many as there are, with all their utterances under all seeds, and "
        "takes the mean over seeds. They tell how far other speakers from the same population could move the figure; "
        "the standard deviation over seeds tells how far another training run could. A paired test scores both systems "
        "on the same resamples; its p is never below 2<sup>1 − speakers</sup>, the least that a sign test can give. "
        "McNemar's p, where there are several pairs of seeds, is twice their median. Utterances of all folds are "
        "scored together.</p>"
    )
