"""Which moments and which words of a recording moved its answer: parts that are left out in turn, and their effects.

speech ─ moments_of ─▶ stretches of at most 0.8 s ─ without ─▶ the recording without one of them
words ─ phrases_of ─▶ ranges of words, of one word each if there are no more than 100
Prediction, effects ─▶ Explanation            (`inference.occlusion` computes the effects)

Occlusion: a part is left out, the system answers again, and the difference is the effect of the part (Zeiler and
Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014). It needs no gradient and holds for any system.

A stretch of sound is cut out rather than replaced by silence. Silence is itself something that features measure: an
energy of nothing, a pitch of none, a pause where there was none, and levels that an utterance's own normalisation takes
for its range. Its effect would be that of a pause, not of the missing stretch. What remains is joined by a cross-fade,
since a step between two samples is a click, which every band of a spectrum shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio.activity import Segment
from ..audio.timing import samples
from ..data.utterance import Word
from .prediction import Prediction

LONGEST_MOMENT = 0.8
"""Seconds. Longer speech is divided into equal moments, of more than half of this."""

MOST_MOMENTS = 40
"""Where there would be more, neighbours are joined."""

MOST_WORDS = 100
"""Where there are more, neighbours are left out together."""

CROSS_FADE = 0.01
"""Seconds over which what comes before a removed stretch passes into what comes after it."""


@dataclass(frozen=True)
class Moment:
    """A stretch of the recording, and what it contributed by its sound.

    Attributes:
        start: Seconds from the beginning of the recording.
        end: Seconds.
        effects: Class → by how much the stretch raised its log-probability (natural logarithm): that of the answer less
            that of the answer without the stretch. Empty where too little speech remains for an answer.
    """

    start: float
    end: float
    effects: dict[str, float]


@dataclass(frozen=True)
class WordEffect:
    """A word, and what it contributed by being said.

    Attributes:
        word: The word; words with blanks between them, where they were left out together.
        start: Seconds from the beginning of the recording; None where the times are not known.
        end: Seconds, or None.
        effects: As those of a `Moment`.
    """

    word: str
    start: float | None
    end: float | None
    effects: dict[str, float]


@dataclass(frozen=True)
class Explanation:
    """An answer, and what moved it.

    Attributes:
        prediction: The answer with nothing left out.
        moments: Stretches of speech, in order; none without an answer.
        words: The words that the system read, in order; none for a system that reads no words.
        evaluations: Answers that were computed, that with nothing left out included. A part that no network of the
            system reads has an effect of 0 without one.
    """

    prediction: Prediction
    moments: tuple[Moment, ...]
    words: tuple[WordEffect, ...]
    evaluations: int

    def shifted(self, seconds: float) -> Explanation:
        """Place it in a longer recording, from which the explained one was cut.

        Args:
            seconds: Where it begins there.

        Returns:
            The same effects at later times; the prediction is not changed.
        """
        moments = (replace(m, start=m.start + seconds, end=m.end + seconds) for m in self.moments)
        words = (
            each if each.start is None or each.end is None
            else replace(each, start=each.start + seconds, end=each.end + seconds)
            for each in self.words
        )  # fmt: skip
        return replace(self, moments=tuple(moments), words=tuple(words))

    def to_json(self) -> dict[str, Any]:
        """Make the field `explanation` of the record that `duetto predict --explain --json` prints.

        Returns:
            JSON values, without those of the prediction.
        """
        return {
            "moments": [
                {"start": round(m.start, 3), "end": round(m.end, 3), "effects": _rounded(m.effects)}
                for m in self.moments
            ],
            "words": [
                {"word": w.word, "start": w.start, "end": w.end, "effects": _rounded(w.effects)} for w in self.words
            ],
            "evaluations": self.evaluations,
        }


def _rounded(effects: dict[str, float]) -> dict[str, float]:
    """To four digits, which do not depend on the processor; + 0.0, since a rounded loss may be −0.0."""
    return {label: round(value, 4) + 0.0 for label, value in effects.items()}


def moments_of(speech: Sequence[Segment]) -> list[Segment]:
    """Divide speech into moments.

    Args:
        speech: Segments in samples, in order (`audio.activity.detect_speech`).

    Returns:
        At most `MOST_MOMENTS` stretches in samples, in order, without overlap. Only where there would be more than
        that, a stretch is longer than `LONGEST_MOMENT` and may hold pauses.

    Example:
        >>> moments_of([(0, 8_000), (16_000, 32_000)])
        [(0, 8000), (16000, 24000), (24000, 32000)]
    """
    longest = samples(LONGEST_MOMENT)
    pieces: list[Segment] = []
    for start, end in speech:
        count = -(-(end - start) // longest)
        edges = [start + (end - start) * k // count for k in range(count + 1)]
        pieces += pairwise(edges)
    return [(pieces[first][0], pieces[last - 1][1]) for first, last in _groups(len(pieces), MOST_MOMENTS)]


def phrases_of(words: Sequence[Word]) -> list[tuple[int, int]]:
    """Divide words into those that are left out together.

    Args:
        words: Of the recording.

    Returns:
        The number of the first word of each part and of the one after its last, in order; at most `MOST_WORDS` parts.
    """
    return _groups(len(words), MOST_WORDS)


def _groups(count: int, most: int) -> list[tuple[int, int]]:
    """Ranges of equal size, but for the last, that hold `count` things."""
    size = max(1, -(-count // most))
    return [(at, min(at + size, count)) for at in range(0, count, size)]


def without(sound: NDArray[np.floating], start: int, end: int) -> NDArray[np.floating]:
    """Cut a stretch out of a recording.

    The cross-fade keeps the power of what it joins, sin² + cos² = 1, as is right for sounds that do not correlate.

    Args:
        sound: (n,) samples.
        start: First sample of the stretch.
        end: The one after its last.

    Returns:
        (n − (end − start),) samples of the same dtype. Those further than half of `CROSS_FADE` from the joint are as
        they were. There is no cross-fade at an end of the recording.
    """
    half = min(samples(CROSS_FADE) // 2, start, len(sound) - end, (end - start) // 2)
    angles = (np.arange(2 * half) + 0.5) * (np.pi / 4 / max(half, 1))
    joint = sound[start - half : start + half] * np.cos(angles) + sound[end - half : end + half] * np.sin(angles)
    return np.concatenate((sound[: start - half], joint.astype(sound.dtype), sound[end + half :]))


def speech_without(speech: Sequence[Segment], start: int, end: int) -> list[Segment]:
    """Find the speech of a recording from which a stretch was cut.

    Args:
        speech: Segments in samples before, in order.
        start: First sample of the stretch.
        end: The one after its last.

    Returns:
        Segments after, in order; what was in one segment on both sides of the stretch is in one.

    Example:
        >>> speech_without([(0, 10), (20, 40), (50, 60)], 25, 30)
        [(0, 10), (20, 35), (45, 55)]
    """
    found: list[Segment] = []
    for begin, stop in speech:
        first, last = (at if at <= start else max(start, at - (end - start)) for at in (begin, stop))
        if first < last:
            found.append((first, last))
    return found
