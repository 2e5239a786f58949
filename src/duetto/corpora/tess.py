"""TESS, the Toronto Emotional Speech Set: 2 actresses, 200 words in a carrier phrase, 7 emotions, 2,800 utterances.

M. K. Pichora-Fuller and K. Dupuis, "Toronto emotional speech set (TESS)", 2020, https://doi.org/10.5683/SP2/E8H2MF.
Licence: CC BY-NC-ND 4.0.

    OAF_back_angry.wav    the older actress, "Say the word back", anger

`NAME` parses every file name, in whatever folders the copy has. `scenario` is the word; each is spoken in every
emotion, so the words carry no information. There are two speakers: no split of this corpus can show how well a system
does on new ones. There are no sessions.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from .corpus import Corpus
from .listing import read_names
from .parsing import Report

NAME = re.compile(r"(?P<speaker>OAF?|YAF)_(?P<word>[a-z]+)_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)")
"""A file name: speaker (older or younger adult female), word, emotion (ps: pleasant surprise). One name of the release
has OA for OAF."""

LABEL_MAPS = {"four": {"angry": "angry", "happy": "happy", "neutral": "neutral", "sad": "sad"}}
"""Label set → emotion → class."""

CLASSES = {
    "angry": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "ps": "surprised",
    "sad": "sad",
}
"""Emotion → class, as-is."""

KNOWN_SPEAKERS = {"OAF": 1400, "YAF": 1400}
"""Speaker → utterances in the release."""


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of TESS.

    Args:
        path: A folder with the recordings in it or below.
        labels: Map from emotions to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist.
    """

    def utterance(audio: Path, match: re.Match[str]) -> Utterance:
        return Utterance(
            id=audio.stem,
            audio=audio,
            label=labels.get(match["emotion"]),
            raw_label=match["emotion"],
            speaker="YAF" if match["speaker"] == "YAF" else "OAF",
            scenario=match["word"],
            text=f"Say the word {match['word']}.",
            gender="female",
        )

    return read_names(path, "TESS", NAME, "speaker, word, emotion, like OAF_back_angry", utterance, report)


CORPUS = Corpus(
    title="TESS",
    read=read,
    name="tess",
    label_maps=LABEL_MAPS,
    emotions=CLASSES,
    transcribed=True,
    language="en",
    speakers=KNOWN_SPEAKERS,
)
