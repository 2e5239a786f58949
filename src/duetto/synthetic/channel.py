"""The planted channel: how an emotion shows in the prosody and in the words, and how well it can be recognised.

    emotion ─ Channel ─▶ prosody style, wording class (independent given the emotion)
    Channel ─ ceilings ─▶ the best accuracy possible from audio, from words, from both

Each modality shows the emotion itself with probability `own`, its sibling with `sibling`, and each of the other two
with half of the rest. The siblings differ: prosody confuses emotions of like arousal, words those of like valence. Two
modalities that err in different directions are worth more together than either alone, which is what fusion is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigurationError

EMOTIONS = ("angry", "happy", "neutral", "sad")
"""Emotions, prosody styles and wording classes; the order of every axis here."""

AROUSAL_SIBLING = {"angry": "happy", "happy": "angry", "neutral": "sad", "sad": "neutral"}
VALENCE_SIBLING = {"angry": "sad", "sad": "angry", "happy": "neutral", "neutral": "happy"}


@dataclass(frozen=True, slots=True)
class Channel:
    """How reliably a modality shows an emotion.

    Attributes:
        own: Probability that it shows the emotion itself.
        sibling: Probability that it shows the emotion's sibling.
    """

    own: float = 0.7
    sibling: float = 0.29

    def __post_init__(self) -> None:
        if not (self.own >= 0 and self.sibling >= 0 and self.own + self.sibling <= 1):
            raise ConfigurationError(
                f"channel own={self.own}, sibling={self.sibling}: both must be at least 0, and their sum at most 1"
            )

    def styles(self) -> np.ndarray:
        """Tabulate P(style | emotion).

        Returns:
            (4, 4) float64: row emotion, column prosody style.
        """
        return self._table(AROUSAL_SIBLING)

    def wordings(self) -> np.ndarray:
        """Tabulate P(wording | emotion).

        Returns:
            (4, 4) float64: row emotion, column wording class.
        """
        return self._table(VALENCE_SIBLING)

    def _table(self, sibling: dict[str, str]) -> np.ndarray:
        table = np.full((4, 4), (1 - self.own - self.sibling) / 2)
        for row, emotion in enumerate(EMOTIONS):
            table[row, row] = self.own
            table[row, EMOTIONS.index(sibling[emotion])] = self.sibling
        return table


DEFAULT = Channel()


def ceilings(channel: Channel = DEFAULT) -> dict[str, float]:
    """Compute the best possible accuracy on balanced emotions, by enumeration of all 4 × 4 × 4 cases.

    Unweighted and weighted accuracy have the same ceiling.

    Args:
        channel: The channel.

    Returns:
        `audio`: Σ_s max_e P(s|e) / 4, from the prosody style alone; `words`: likewise from the wording class; `both`:
        Σ_{s,w} max_e P(s|e) P(w|e) / 4.
    """
    styles, wordings = channel.styles(), channel.wordings()
    joint = styles[:, :, None] * wordings[:, None, :]
    return {
        "audio": float(styles.max(axis=0).sum() / 4),
        "words": float(wordings.max(axis=0).sum() / 4),
        "both": float(joint.max(axis=0).sum() / 4),
    }


def deciders(channel: Channel) -> dict[str, Callable[[str, str], str]]:
    """Make the Bayes-optimal decisions; of equal posteriors the first class wins.

    Args:
        channel: The channel.

    Returns:
        Modality (`audio`, `words`, `both`) → a function from (style, wording) to the emotion.
    """
    styles, wordings = channel.styles(), channel.wordings()

    def audio(style: str, wording: str) -> str:
        return EMOTIONS[int(styles[:, EMOTIONS.index(style)].argmax())]

    def words(style: str, wording: str) -> str:
        return EMOTIONS[int(wordings[:, EMOTIONS.index(wording)].argmax())]

    def both(style: str, wording: str) -> str:
        posterior = styles[:, EMOTIONS.index(style)] * wordings[:, EMOTIONS.index(wording)]
        return EMOTIONS[int(posterior.argmax())]

    return {"audio": audio, "words": words, "both": both}
