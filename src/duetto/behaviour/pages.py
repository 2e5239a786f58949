"""The outcomes of all tests as JSON, as a page, as text, and as a section of a model card.

Tested ─ record ─▶ tests.json ─ read ─▶ Tested
       ─ page ──▶ tests.html (one file, without scripts)        needs Jinja2
       ─ markdown ─▶ text · card ─▶ a section of a README.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError, ModelError
from ..report.formatting import quantity
from ..report.rendering import render
from ..report.sections import Section, Table
from ..utils import files
from ..utils.reading import Record, read_bytes, read_json
from ..utils.text import to_json
from .outcome import FAILED, PASSED, UNDECIDED, Outcome, counts
from .suite import Tested
from .thresholds import THRESHOLDS

JSON, HTML = "tests.json", "tests.html"
HEADING = "Behaviour"
"""Of the section of a model card."""

_FORMAT = "duetto-tests-1"
_REPAIR = "run `duetto test` again"
WORDS = {PASSED: "passed", FAILED: "failed", UNDECIDED: "not decided"}
"""Status → what a reader sees."""

_KINDS = {"": "All utterances", "class": "By class", "condition": "By condition", "sound": "Sounds without speech"}


@dataclass(frozen=True)
class Block:
    """One table of the page: subjects by tests.

    Attributes:
        caption: Heading.
        subject: Title of the first column.
        tests: Titles of the columns.
        rows: Title of each subject, and its outcomes; None where a test has none.
    """

    caption: str
    subject: str
    tests: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Outcome | None, ...]], ...]


def title_of(outcome: Outcome) -> str:
    """Name what an outcome is of.

    Args:
        outcome: Of any test.

    Returns:
        Such as `recall, sad`.
    """
    measured = THRESHOLDS[outcome.group][outcome.test].title
    return measured if not outcome.kind else f"{measured}, {outcome.title}"


def figure_of(outcome: Outcome) -> str:
    """Write a figure with its interval.

    Args:
        outcome: Of any test.

    Returns:
        Such as `68.5 [64.2–72.0]`; `–` where there is none.
    """
    if outcome.value is None:
        return "–"
    if outcome.ci95 is None:
        return _number(outcome.value)
    low, high = map(_number, outcome.ci95)
    return f"{_number(outcome.value)} [{low}{' to ' if '−' in low + high else '–'}{high}]"


def _number(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def record(tested: Tested, about: Mapping[str, Any]) -> dict[str, Any]:
    """Make the content of tests.json.

    Args:
        tested: The outcomes.
        about: Facts on the call: manifest, limits, and so on.

    Returns:
        JSON values.
    """
    return {
        "format": _FORMAT,
        "model": tested.model,
        "classes": list(tested.classes),
        "utterances": tested.utterances,
        "about": dict(about),
        "notes": list(tested.notes),
        "counts": counts(tested.outcomes),
        "tests": [outcome.to_json() for outcome in tested.outcomes],
        "errors": [str(error) for error in tested.errors],
    }


def write(folder: Path, tested: Tested, about: Mapping[str, Any]) -> None:
    """Write tests.json and tests.html, atomically.

    Args:
        folder: Created where it does not exist.
        tested: The outcomes.
        about: See `record`.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files.write_text(folder / JSON, to_json(record(tested, about)) + "\n")
    files.write_text(folder / HTML, page(tested, about))


def read(path: Path) -> Tested:
    """Read tests.json.

    Args:
        path: The file.

    Returns:
        The outcomes, without the errors.

    Raises:
        ModelError: The file is missing, damaged or of another kind.
    """
    found = read_json(path, error=ModelError, repair=_REPAIR)
    if found.get("format") != _FORMAT:
        raise found.wrong(f"not a file of format {_FORMAT}")
    items = found.items_of("tests")
    outcomes = [
        Outcome.from_json(Record(item, f"{path}: test {i}", ModelError, _REPAIR)) for i, item in enumerate(items)
    ]
    for outcome in outcomes:
        if outcome.test not in THRESHOLDS.get(outcome.group, {}):
            raise found.wrong(f"test {outcome.group}.{outcome.test} is not known")
    size = found.integer("utterances", low=0, high=1 << 53)
    return Tested(found.text("model"), found.texts("classes"), size, tuple(outcomes), found.texts("notes"))


def headline(tested: Tested) -> str:
    """State the result in a sentence.

    Args:
        tested: The outcomes.

    Returns:
        The sentence.
    """
    n, tests = counts(tested.outcomes), quantity(len(tested.outcomes), "test")
    on = quantity(tested.utterances, "utterance")
    return f"Of {tests}, {n[PASSED]} passed, {n[FAILED]} failed, and {n[UNDECIDED]} could not be decided on {on}."


def blocks(outcomes: Sequence[Outcome], group: str) -> list[Block]:
    """Arrange the outcomes of a group in tables.

    Args:
        outcomes: Of all groups.
        group: Key of `THRESHOLDS`.

    Returns:
        A table for each kind of subject.
    """
    own = [outcome for outcome in outcomes if outcome.group == group]
    tables = []
    for kind in dict.fromkeys(outcome.kind for outcome in own):
        of_kind = [outcome for outcome in own if outcome.kind == kind]
        found = {(outcome.subject, outcome.test): outcome for outcome in of_kind}
        tests = list(dict.fromkeys(outcome.test for outcome in of_kind))
        titles = tuple(THRESHOLDS[group][test].title for test in tests)
        if not kind:  # one subject: the tests are the rows
            rows = tuple((title, (found["", test],)) for title, test in zip(titles, tests, strict=True))
            tables.append(Block(_KINDS[kind], "Test", ("Result",), rows))
            continue
        subjects = {outcome.subject: outcome.title for outcome in of_kind}
        rows = tuple((t, tuple(found.get((s, test)) for test in tests)) for s, t in subjects.items())
        tables.append(Block(_KINDS.get(kind, f"By {kind}"), kind.capitalize(), titles, rows))
    return tables


def page(tested: Tested, about: Mapping[str, Any]) -> str:
    """Render the page.

    Args:
        tested: The outcomes.
        about: See `record`.

    Returns:
        HTML, one file that loads nothing and runs nothing.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    groups = [group for group in THRESHOLDS if any(o.group == group for o in tested.outcomes)]
    return render(
        "behaviour.html.j2",
        title=f"Tests of {Path(tested.model).name or tested.model}",
        headline=headline(tested),
        tested=tested,
        about=about,
        summary=[(group, counts([o for o in tested.outcomes if o.group == group])) for group in groups],
        groups=[(group, blocks(tested.outcomes, group)) for group in groups],
        reasons={group: list(THRESHOLDS[group].values()) for group in groups},
        words=WORDS,
        figure=figure_of,
        title_of=title_of,
    )


def section(tested: Tested) -> Section:
    """Summarise the tests as a section of a report or card.

    Args:
        tested: The outcomes.

    Returns:
        Counts by group, and the tests that fail.
    """
    rows = []
    for group in THRESHOLDS:
        if own := [o for o in tested.outcomes if o.group == group]:
            rows.append((group, *(str(n) for n in counts(own).values())))
    tables = [Table("Tests", ("Group", *WORDS.values()), tuple(rows))]
    if tested.failed:
        failed = tuple((title_of(o), figure_of(o), str(o.limit), str(o.utterances), o.note) for o in tested.failed)
        header = ("Test", "Figure [95% interval]", "Limit", "Utterances", "Note")
        tables.append(Table("Failed", header, failed))
    return Section(HEADING, headline(tested), tuple(tables), tested.notes)


def card(tested: Tested) -> str:
    """Write the section of a model card: counts, failures, and the main figures.

    Args:
        tested: The outcomes.

    Returns:
        Markdown, from its heading on.
    """
    shown = [o for o in tested.outcomes if not o.kind or o.kind in ("class", "condition")]
    rows = [(title_of(o), figure_of(o), str(o.limit), WORDS[o.status]) for o in shown]
    figures = Table("Figures", ("Test", "Figure [95% interval]", "Limit", "Result"), tuple(rows))
    summary = section(tested)
    return Section(summary.name, summary.lead, (*summary.tables, figures), summary.notes).markdown()


def write_card(path: Path, tested: Tested) -> None:
    """Write the section into a model card, in place of one that is there.

    Args:
        path: A Markdown file, such as the README.md of an exported model; made where it does not exist.
        tested: The outcomes.

    Raises:
        ConfigurationError: The file cannot be read, or is no UTF-8.
    """
    text = ""
    if path.exists():
        try:
            text = read_bytes(path, error=ConfigurationError).decode()
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path}: is no UTF-8 text; give a Markdown file") from error
    before, found, rest = f"\n{text}".partition(f"\n## {HEADING}\n")
    after = rest[rest.find("\n## ") + 1 :] if found and "\n## " in rest else ""
    start = f"{before.strip()}\n\n" if before.strip() else ""
    files.write_text(path, f"{start}{card(tested)}" + (f"\n{after}" if after else ""))
