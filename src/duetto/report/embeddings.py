"""Reports on word vectors: the page of `duetto speech2vec inspect`, and summaries as lines of text.

Inspection ─ inspection_page ─▶ HTML with a map of the words
           ─ inspection_lines ─▶ text
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..embeddings.inspection import Inspection, PairTest
from .rendering import render

WIDTH, MARGIN = 1000, 20
"""Size of the longer side of the map, and its margin, in pixels."""

_LETTER, _LINE = 6.5, 11  # size of a label in pixels
_EXAMPLES = 6


@dataclass(frozen=True)
class MapWord:
    """A word on the map.

    Attributes:
        word: The word.
        left: In pixels.
        top: In pixels.
        labelled: Whether its label overlaps no earlier one, so that it is drawn beside the dot.
    """

    word: str
    left: float
    top: float
    labelled: bool


def word_map(found: Inspection) -> tuple[list[MapWord], tuple[float, float]]:
    """Lay the map of an inspection out, both axes to the same scale.

    Args:
        found: With its map.

    Returns:
        The words, and the width and height that they take in pixels.
    """
    columns = list(zip(*((x, y) for _, x, y in found.map), strict=True))
    low, high = [min(column) for column in columns], [max(column) for column in columns]
    scale = WIDTH / max(*(b - a for a, b in zip(low, high, strict=True)), 1e-9)
    words: list[MapWord] = []
    labels: list[tuple[float, float, float]] = []
    for word, x, y in found.map:
        left, top, length = scale * (x - low[0]), scale * (high[1] - y), _LETTER * len(word) + 8
        free = all(left + length < a or a + n < left or abs(top - b) > _LINE for a, b, n in labels)
        if free:
            labels.append((left, top, length))
        words.append(MapWord(word, left, top, free))
    return words, (scale * (high[0] - low[0]), scale * (high[1] - low[1]))


def inspection_page(name: str, found: Inspection) -> str:
    """Render an inspection as a self-contained HTML page: verdict, evidence, and a map of the words.

    Args:
        name: Of the vectors.
        found: The inspection.

    Returns:
        HTML.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    words, (width, height) = word_map(found)
    box = f"{-MARGIN} {-MARGIN} {width + 5 * MARGIN:.0f} {height + 2 * MARGIN:.0f}"  # room for a label
    return render("embeddings.html.j2", name=name, found=found, words=words, box=box)


def inspection_lines(found: Inspection) -> list[str]:
    """Summarise an inspection as text.

    Args:
        found: The inspection.

    Returns:
        Lines, the verdict first.
    """
    lines = [f"verdict: {found.verdict}", *(f"  {reason}" for reason in found.reasons), ""]
    lines.append(f"{found.words} words, {found.dimension} values each; {found.pronounced} with a known pronunciation")
    tests = {"homophones": found.homophones, "related words": found.meaning}
    lines += [f"{title}: {_pair_test(test)}" for title, test in tests.items() if test is not None]
    if (distance := found.distance) is not None:
        lines.append(
            f"correlation of cosine and phone distance: ρ {distance.phones:.2f}, and spelling distance: "
            f"{distance.spelling:.2f}, and phone distance, controlling for spelling: {distance.phones_partial:.2f} "
            f"(p {distance.p:.3f}, {distance.words} words)"
        )
    if (agreement := found.agreement) is not None:
        lines.append(
            f"pairwise cosines with those of the other vectors (RSA): ρ {agreement.rho:.2f}, {agreement.words} words"
        )
    lines += ["", "nearest words"]
    for word, neighbours in found.neighbours.items():
        nearest = ", ".join(f"{other} {cosine:.2f}" for other, cosine in neighbours[:_EXAMPLES])
        lines.append(f"  {word}: {nearest}")
    return lines


def _pair_test(test: PairTest) -> str:
    examples = ", ".join(f"{a}–{b} {cosine:.2f}" for a, b, cosine in test.examples[:_EXAMPLES])
    return f"cosine {test.cosine:.2f}, of their controls {test.control_cosine:.2f} ({examples})"


def training_lines(folder: Path, about: Mapping[str, Any]) -> list[str]:
    """Summarise the training of Speech2Vec as text: its data, and the epoch that was kept.

    Args:
        folder: Of the encoder.
        about: What training recorded in it.

    Returns:
        Lines.
    """
    errors = f"error {about['loss']:.4f}"
    if about["development_loss"] is not None:
        errors += f", on development words {about['development_loss']:.4f} ({about['mean_frame_error']:.4f} if the "
        errors += "decoder always predicted the mean frame)"
    return [
        f"{folder}: {about['words']} words of {about['types']} types; {about['development_words']} for development",
        *unused_words(about["dropped"], about["cut"], about["without_type"]),
        f"epoch {about['epoch_kept']} of {about['epochs']} kept: {errors}",
    ]


def unused_words(dropped: Mapping[str, int], cut: int, without_type: int) -> list[str]:
    """Summarise the spoken words that are not used, or not entirely.

    Args:
        dropped: Reason → number of words.
        cut: Number of words that were cut to their first second.
        without_type: Number of words that belong to no word type.

    Returns:
        One line; none if all words are used.
    """
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(dropped.items()))
    parts = [f"dropped: {reasons}"] if reasons else []
    if cut:
        parts.append(f"cut to their first second: {cut}")
    if without_type:
        parts.append(f"of no word type, since not spelled as one word: {without_type}")
    return ["; ".join(parts)] if parts else []
