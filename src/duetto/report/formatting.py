"""How numbers are written: percent with one decimal, intervals, p, and values of any kind, escaped for HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from ..evaluation import Score

MISSING = "–"


def escape(value: object) -> str:
    """Text for HTML content and quoted attributes."""
    return html.escape(str(value), quote=True)


def cell(text: object) -> str:
    """Text that cannot break a table or become a tag."""
    escaped = str(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(escaped.split())


def number(value: float | None, decimals: int = 1) -> str:
    """`68.5`, with a true minus sign; a dash where there is no value."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:.{decimals}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", "−")


def points(value: float) -> str:
    """A difference in percentage points with its sign: `+1.4`, `−0.3`, `0.0`."""
    text = number(value)
    return text if text.startswith("−") or not float(text) else f"+{text}"


def interval(bounds: tuple[float, float], decimals: int = 1, sign: bool = False) -> str:
    """`64.2–72.0`; with signs `−1.2 to +4.0`."""
    low, high = (points(b) if sign else number(b, decimals) for b in bounds)
    return f"{low} to {high}" if sign else f"{low}–{high}"


def spread(score: Score) -> str:
    """`68.5 ± 0.8` over seeds, or `68.5` with a single seed."""
    return number(score.mean) + (f" ± {number(score.std)}" if score.std is not None else "")


def p_value(p: float) -> str:
    """`0.03`, `0.004`, `< 0.001`."""
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.0095 else f"{p:.2f}"


def plain(value: Any) -> str:
    """A value of a protocol in a few words of plain text."""
    if value is None:
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{value:g}"
    if isinstance(value, int | np.integer):
        return str(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {plain(item)}" for key, item in value.items()) or MISSING
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str):
        return ", ".join(map(plain, value)) or MISSING
    return str(value)


def finding(found: Any) -> tuple[str, str]:
    """Severity ("" where none is given) and text of a finding of any kind: a sentence, a mapping, a dataclass.

    Systems that its evidence names open the text.
    """
    if is_dataclass(found) and not isinstance(found, type):
        found = asdict(found)
    if not isinstance(found, Mapping):
        return "", str(found)
    rest = dict(found)
    severity = str(rest.pop("severity", None) or rest.pop("level", None) or "")
    text = str(rest.pop("message", None) or rest.pop("detail", None) or "")
    systems = ""
    if isinstance(evidence := rest.get("evidence"), Mapping) and "systems" in evidence:
        systems = f"{plain(evidence['systems'])}: "
        rest["evidence"] = {key: value for key, value in evidence.items() if key != "systems"}
    others = "; ".join(f"{key}: {plain(value)}" for key, value in rest.items() if value not in (None, "", (), [], {}))
    return severity, systems + (f"{text} ({others})" if text and others else text or others)


def definitions(values: Mapping[str, Any]) -> str:
    """A definition list; a mapping within the mapping becomes a list within the list."""
    items = []
    for key, value in values.items():
        nested = isinstance(value, Mapping) and bool(value)
        items.append(f"<dt>{escape(str(key).replace('_', ' '))}</dt>")
        items.append(f"<dd>{definitions(value) if nested else escape(plain(value))}</dd>")
    return f"<dl>{''.join(items)}</dl>" if items else ""


def bullets(lines: Sequence[str], name: str = "notes") -> str:
    """A list of sentences; nothing where there are none."""
    return f'<ul class="{name}">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>' if lines else ""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, name: str = "") -> str:
    """A table in a box that scrolls by itself. Cells are HTML; the first of each row heads it."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(c if c.startswith("<td") else f"<td>{c}</td>" for c in cells)}</tr>'
        for first, *cells in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table class="{name}">'
        f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
