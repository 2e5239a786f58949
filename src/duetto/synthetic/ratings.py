"""The planted ratings: arousal, valence and dominance, and how well they can be predicted.

    prosody style, wording class ─ LEVELS ─▶ level, + noise of two annotators ─▶ mean rating
    Channel ─ rating_ceilings ─▶ the greatest concordance possible from audio, from words, from both

Arousal and dominance follow from the prosody style, valence from the wording class. Each of two annotators adds −1, 0
or 1, equally likely: a variance of 2/3, of their mean 1/3. Levels from 2 to 4 keep ratings within 1 to 5.

What is known of an utterance, x, predicts a rating y by E[y|x] at best. Of all functions of x, the concordance (CCC)
with y is greatest for a multiple of it that has the spread of y, m + (E[y|x] − m) / η with m = E[y]: it is η, the
correlation ratio, η² = Var E[y|x] / Var y. For CCC is at most the correlation, and that is at most η.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .channel import DEFAULT, EMOTIONS, Channel

LEVELS: dict[str, tuple[str, dict[str, int]]] = {
    "valence": ("wording", {"angry": 2, "happy": 4, "neutral": 4, "sad": 2}),
    "arousal": ("style", {"angry": 4, "happy": 4, "neutral": 2, "sad": 2}),
    "dominance": ("style", {"angry": 4, "happy": 3, "neutral": 3, "sad": 2}),
}
"""Dimension, in the order of an evaluation file → what it follows from, and its level for each value of that."""

ANNOTATORS = 2
"""Annotators whose mean is the rating."""

NOISE = 2 / 3 / ANNOTATORS
"""Variance of the mean of the annotators' noise."""


def levels(style: str, wording: str) -> dict[str, int]:
    """Look up the planted levels.

    Args:
        style: Prosody style.
        wording: Wording class.

    Returns:
        Dimension → level, 2–4.
    """
    values = {"style": style, "wording": wording}
    return {name: table[values[source]] for name, (source, table) in LEVELS.items()}


def best_ratings(channel: Channel = DEFAULT) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Tabulate the predictions of the greatest concordance.

    Args:
        channel: The channel.

    Returns:
        Dimension → modality (`audio`: the style is known, `words`: the wording, `both`) → (4, 4) float64 for each
        style (row) and wording (column).
    """
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for name in LEVELS:
        known, mean, total = _expected(name, channel)
        found[name] = {}
        for modality, expected in known.items():
            spread = np.sqrt(_variance(expected, channel))
            scale = np.sqrt(total) / spread if spread > 0 else 0.0
            found[name][modality] = mean + (expected - mean) * scale
    return found


def rating_ceilings(channel: Channel = DEFAULT) -> dict[str, dict[str, float]]:
    """Compute the greatest possible concordance (see this module).

    Args:
        channel: The channel.

    Returns:
        Dimension → modality (`audio`, `words`, `both`) → CCC.
    """
    found: dict[str, dict[str, float]] = {}
    for name in LEVELS:
        known, _, total = _expected(name, channel)
        found[name] = {modality: float(np.sqrt(_variance(x, channel) / total)) for modality, x in known.items()}
    return found


def _joint(channel: Channel) -> NDArray[np.float64]:
    """P(style, wording), (4, 4), over balanced emotions."""
    return np.einsum("es,ew->sw", channel.styles(), channel.wordings()) / len(EMOTIONS)


def _variance(values: NDArray[np.float64], channel: Channel) -> float:
    joint = _joint(channel)
    return float((joint * values**2).sum() - (joint * values).sum() ** 2)


def _expected(name: str, channel: Channel) -> tuple[dict[str, NDArray[np.float64]], float, float]:
    """Modality → the expected rating for each style and wording, (4, 4); mean and variance of the rating."""
    level = np.array([[levels(style, wording)[name] for wording in EMOTIONS] for style in EMOTIONS], np.float64)
    joint = _joint(channel)
    by_style = (joint * level).sum(1, keepdims=True) / joint.sum(1, keepdims=True)
    by_wording = (joint * level).sum(0, keepdims=True) / joint.sum(0, keepdims=True)
    known = {"audio": by_style + 0 * level, "words": by_wording + 0 * level, "both": level}
    return known, float((joint * level).sum()), _variance(level, channel) + NOISE
