"""How values are written as text: percent with one decimal, intervals, p, and values of any type."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from ..evaluation import Score

MISSING = "–"
"""Stands where there is no value."""


def cell(text: object) -> str:
    """Escape text for a cell of a Markdown table.

    Args:
        text: Any value.

    Returns:
        One line that neither ends the cell nor opens a tag.
    """
    escaped = str(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(escaped.split())


def quantity(n: int, noun: str) -> str:
    """Write a count with its noun: `1 speaker`, `1,241 utterances`.

    Args:
        n: The count.
        noun: In the singular.

    Returns:
        The count and the noun.
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def number(value: float | None, decimals: int = 1) -> str:
    """Write a number: `68.5`, with a true minus sign.

    Args:
        value: The number.
        decimals: Number of decimals.

    Returns:
        The text; a dash where the value is missing or not finite.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:.{decimals}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", "−")


def points(value: float) -> str:
    """Write a difference with its sign: `+1.4`, `−0.3`, `0.0`.

    Args:
        value: Percentage points.

    Returns:
        The text.
    """
    text = number(value)
    return text if text.startswith("−") or not float(text) else f"+{text}"


def interval(bounds: tuple[float, float], decimals: int = 1, sign: bool = False) -> str:
    """Write an interval: `64.2–72.0`, or with signs `−1.2 to +4.0`.

    Args:
        bounds: Lower and upper bound.
        decimals: Number of decimals, without signs.
        sign: Whether to write signs, with one decimal.

    Returns:
        The text.
    """
    low, high = (points(b) if sign else number(b, decimals) for b in bounds)
    return f"{low} to {high}" if sign else f"{low}–{high}"


def spread(score: Score) -> str:
    """Write mean and standard deviation over seeds: `68.5 ± 0.8`, or `68.5` with a single seed.

    Args:
        score: The score.

    Returns:
        The text.
    """
    return number(score.mean) + (f" ± {number(score.std)}" if score.std is not None else "")


def p_value(p: float) -> str:
    """Write a p-value: `0.03`, `0.004`, `< 0.001`.

    Args:
        p: The p-value.

    Returns:
        The text.
    """
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.0095 else f"{p:.2f}"


def plain(value: Any) -> str:
    """Write a value of a protocol as a few words of plain text.

    Args:
        value: A number, text, mapping, sequence or None, nested as needed.

    Returns:
        The text.
    """
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
    """Split a finding of an audit into severity and text; systems named in its evidence come first in the text.

    Args:
        found: A sentence, a mapping or a dataclass.

    Returns:
        Severity ("" where there is none) and text.
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
