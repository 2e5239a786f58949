"""The facts of IEMOCAP's release: names, labels, folders, published counts, known defects.

The counts are those that s3prl's metadata and EmoBox list; the four classes count happiness and excitement as one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ID = re.compile(
    r"(?P<dialog>Ses0(?P<session>[1-5])(?P<markers>[FM])_"
    r"(?P<scenario>(?:impro|script)0\d)(?P<part>[ab]?(?:_\d[ab]?)?))"
    r"_(?P<speaker>[FM])(?P<turn>\d{3})"
)
"""An utterance id: dialogue, speaker, turn. `markers` is who wore the motion-capture markers."""

RAW_LABELS = {
    "ang": "anger", "hap": "happiness", "exc": "excitement", "sad": "sadness", "neu": "neutral", "fru": "frustration",
    "sur": "surprise", "fea": "fear", "dis": "disgust", "oth": "other", "xxx": "no majority",
}  # fmt: skip
"""Raw label → its meaning."""

LABEL_MAPS = {"four": {"ang": "angry", "hap": "happy", "exc": "happy", "neu": "neutral", "sad": "sad"}}
"""Paper, section 3: happiness is merged with excitement, which leaves 5,531 utterances."""

CLASSES = {
    "ang": "angry", "hap": "happy", "exc": "excited", "sad": "sad", "neu": "neutral", "fru": "frustrated",
    "sur": "surprised", "fea": "fearful", "dis": "disgusted",
}  # fmt: skip
"""Raw label → class, as-is: nine; `oth` and `xxx` name no emotion."""

VOTES = {
    "anger": "ang", "happiness": "hap", "excited": "exc", "sadness": "sad", "neutral state": "neu",
    "frustration": "fru", "surprise": "sur", "fear": "fea", "disgust": "dis", "other": "oth",
}  # fmt: skip
"""Label of an annotator, in lower case → raw label."""

SAMPLE_RATE = 16_000
"""Hz, of every recording."""

SESSION = re.compile(r"Session(?P<number>[1-5])")
"""Name of a session's folder."""

EVALUATION = Path("dialog", "EmoEvaluation")
"""Labels and votes, below a session."""

TRANSCRIPTIONS = Path("dialog", "transcriptions")
"""Transcripts, below a session."""

RECORDINGS = Path("sentences", "wav")
"""Recordings, below a session."""

ALIGNMENTS = Path("sentences", "ForcedAlignment")
"""Times of words, below a session."""


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """Counts of one session. All but `dialogs` are of its utterances with one of the four classes.

    Attributes:
        dialogs: Dialogues.
        angry: Utterances labelled angry.
        happy: Utterances labelled happy, which includes excited.
        neutral: Utterances labelled neutral.
        sad: Utterances labelled sad.
        female: Utterances of the female speaker.
        male: Utterances of the male speaker.
    """

    dialogs: int
    angry: int
    happy: int
    neutral: int
    sad: int
    female: int
    male: int


KNOWN_SESSIONS = {
    "1": SessionCounts(dialogs=28, angry=229, happy=278, neutral=384, sad=194, female=528, male=557),
    "2": SessionCounts(dialogs=30, angry=137, happy=327, neutral=362, sad=197, female=481, male=542),
    "3": SessionCounts(dialogs=32, angry=240, happy=286, neutral=320, sad=305, female=522, male=629),
    "4": SessionCounts(dialogs=30, angry=327, happy=303, neutral=258, sad=143, female=528, male=503),
    "5": SessionCounts(dialogs=31, angry=170, happy=442, neutral=384, sad=245, female=590, male=651),
}
"""Session → its counts in the release."""

KNOWN_RAW_LABELS = {
    "ang": 1103, "exc": 1041, "hap": 595, "sad": 1084, "neu": 1708, "fru": 1849, "xxx": 2507, "sur": 107,
    "fea": 40, "oth": 3, "dis": 2,
}  # fmt: skip
"""Raw label → utterances in the whole release, 10,039 in all."""

KNOWN_UNALIGNED = frozenset({"Ses03M_impro03_M001", "Ses03F_impro07_M030"})
"""Utterances whose `.wdseg` file is not in the release."""
