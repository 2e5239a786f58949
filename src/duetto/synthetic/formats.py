"""The text files of IEMOCAP, written for planned lines: evaluation, transcription, forced alignment.

Formats as in the release of IEMOCAP, including what makes parsers fail: times that differ by 0.0001 s between two
files, an empty dominance, lines that are no utterance, pronunciation variants, noises.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.utterance import Word
from .plan import Line
from .ratings import ANNOTATORS, levels

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"
FULL_NAMES = {
    "ang": "Anger", "exc": "Excited", "fru": "Frustration", "hap": "Happiness", "neu": "Neutral", "sad": "Sadness",
    "sur": "Surprise",
}  # fmt: skip
"""Raw label → its name in the annotations."""

VARIANTS = frozenset({"a", "and", "because", "for", "the", "to", "was", "with"})
"""Words with a second pronunciation in CMUdict, which an aligner writes `THE(2)`."""

FRAMES_PER_SECOND = 100
_IRREGULARITY_RATE = 0.2


@dataclass(frozen=True, slots=True)
class Timed:
    """A line at its place in the dialogue.

    Attributes:
        line: What is spoken.
        start: Seconds.
        end: Seconds.
    """

    line: Line
    start: float
    end: float


def evaluation(turns: list[Timed], random: np.random.Generator) -> str:
    """Write an EmoEvaluation file: two header lines, then one block an utterance.

    Args:
        turns: The lines of a dialogue.
        random: Draws the votes and ratings.

    Returns:
        The file's text.
    """
    return f"{HEADER}\n\n" + "\n".join(_block(turn, random) for turn in turns)


def _block(turn: Timed, random: np.random.Generator) -> str:
    label = turn.line.raw_label
    votes = _votes(label, random)
    planted = levels(turn.line.style, turn.line.wording).values()
    ratings = [[level + int(random.integers(-1, 2)) for level in planted] for _ in range(ANNOTATORS)]
    mean = ", ".join(f"{value:.4f}" for value in np.mean(ratings, axis=0))
    rows = [f"[{turn.start:.4f} - {turn.end:.4f}]\t{turn.line.id}\t{label}\t[{mean}]"]
    rows += [f"C-E{number}:\t{vote}\t()" for number, vote in enumerate(votes, 2)]
    # The speaker's own judgement, F1 … M5, need not agree with the others.
    own = f"{turn.line.gender}{turn.line.session}"
    rows.append(f"C-{own}:\t{FULL_NAMES[str(random.choice(sorted(FULL_NAMES)))]};\t()")
    for number, (valence, activation, dominance) in enumerate(ratings, 3):
        rating = "" if random.random() < 0.1 else str(dominance)
        rows.append(f"A-E{number}:\tval {valence}; act {activation}; dom  {rating};\t()")
    return "\n".join(rows) + "\n"


def _votes(label: str, random: np.random.Generator) -> list[str]:
    """Votes of three annotators: a majority for the label; for `xxx` three that disagree."""
    names = sorted(FULL_NAMES)
    if label == "xxx":
        return [f"{FULL_NAMES[names[i]]};" for i in random.permutation(len(names))[:3]]
    other = FULL_NAMES[str(random.choice([name for name in names if name != label]))]
    votes = [f"{FULL_NAMES[label]};", f"{FULL_NAMES[label]};"]
    share = random.random()
    votes.append(f"{other};" if share < 0.3 else f"{FULL_NAMES[label]}; {other};" if share < 0.45 else votes[0])
    return [votes[i] for i in random.permutation(3)]


def categorical(turns: list[Timed]) -> str:
    """Write one annotator's own file, which parsers of the evaluation must ignore.

    Args:
        turns: The lines of a dialogue.

    Returns:
        The file's text.
    """
    rows = [f"{turn.line.id} :{FULL_NAMES.get(turn.line.raw_label, 'Other')}; ()" for turn in turns]
    return "\n".join(rows) + "\n"


def transcription(turns: list[Timed], random: np.random.Generator) -> str:
    """Write a transcription file; in some dialogues with a prompter's aside or an unnumbered interjection.

    Args:
        turns: The lines of a dialogue.
        random: Draws the irregularities.

    Returns:
        The file's text.
    """
    rows: list[str] = []
    for turn in turns:
        end = turn.end - (1e-4 if random.random() < _IRREGULARITY_RATE else 0.0)
        rows.append(f"{turn.line.id} [{turn.start:08.4f}-{end:08.4f}]: {turn.line.text}")
    last = turns[-1]
    if random.random() < _IRREGULARITY_RATE:
        rows.insert(int(random.integers(len(rows))), "M: sorry")
    if random.random() < _IRREGULARITY_RATE:
        span = f"[{last.end + 0.5:08.4f}-{last.end + 0.9:08.4f}]"
        rows.append(f"{last.line.dialog}_{last.line.gender}XX0 {span}: Mm-hmm.")
    return "\n".join(rows) + "\n"


def wdseg(words: tuple[Word, ...], duration: float, random: np.random.Generator) -> str:
    """Write a forced alignment as Sphinx-3 does: 100 frames a second, last frames inclusive, no gap between rows.

    Args:
        words: The words with times in seconds.
        duration: Of the recording, in seconds.
        random: Draws the scores and irregularities.

    Returns:
        The file's text.
    """
    total = max(1, round(duration * FRAMES_PER_SECOND))
    variants, noise = random.random() < _IRREGULARITY_RATE, random.random() < _IRREGULARITY_RATE
    rows: list[tuple[int, int, str]] = []
    at = 0
    for word in words:
        start = max(at, round((word.start or 0.0) * FRAMES_PER_SECOND))
        end = max(start + 1, round((word.end or 0.0) * FRAMES_PER_SECOND))
        if start > at:
            rows.append((at, start, "<sil>" if rows else "<s>"))
        rows.append((start, end, word.word.upper() + ("(2)" if variants and word.word in VARIANTS else "")))
        at = end
    rows.append((at, max(total, at + 1), "</s>"))
    if noise and rows[0][1] >= 4 and rows[0][2] == "<s>":
        rows[:1] = [(0, 3, "<s>"), (3, rows[0][1], "++BREATHING++")]
    scores = [-int(random.integers(2000, 9000)) * (end - start) for start, end, _ in rows]
    lines = [f"\t{'SFrm':>5} {'EFrm':>5} {'SegAScr':>10} Word"]
    for (start, end, word), score in zip(rows, scores, strict=True):
        lines.append(f"\t{start:5d} {end - 1:5d} {score:10d} {word}")
    return "\n".join(lines) + f"\n Total score: {sum(scores):11d}\n"
