"""CREMA-D: 91 actors, 12 English sentences, 6 emotions in up to 3 intensities, 7,442 utterances.

H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova and R. Verma, "CREMA-D: Crowd-sourced emotional multimodal
actors dataset", IEEE Transactions on Affective Computing 5(4) (2014), 377–390. Licence: Open Database License
(https://github.com/CheyneyComputerScience/CREMA-D).

    AudioWAV/1001_IEO_ANG_HI.wav    actor 1001, sentence IEO, anger, high intensity

Give the folder AudioWAV: AudioMP3 beside it holds the same utterances. `NAME` parses every file name; `scenario` is
the sentence. All sentences are spoken in every emotion, so the words carry no information. The label is what the actor
was to express, not what raters perceived. `1076_MTI_SAD_XX` is silent in the release. There are no sessions.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from .corpus import Corpus
from .listing import read_names
from .parsing import Report

NAME = re.compile(
    r"(?P<actor>10[0-8]\d|109[01])_(?P<sentence>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?:LO|MD|HI|XX?)"
)
"""A file name: actor, sentence, emotion, intensity (low, medium, high, unspecified; one name has a single X)."""

LABEL_MAPS = {"four": {"ANG": "angry", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}}
"""Label set → code of the emotion → class."""

CLASSES = {"ANG": "angry", "DIS": "disgusted", "FEA": "fearful", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
"""Code of the emotion → class, as-is."""

KNOWN_SIZE = 7442
"""Utterances in the release."""

FEMALE = frozenset(
    {
        1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025, 1028,
        1029, 1030, 1037, 1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060, 1061, 1063,
        1072, 1073, 1074, 1075, 1076, 1078, 1079, 1082, 1084, 1089, 1091,
    }
)  # fmt: skip
"""The 43 female actors (VideoDemographics.csv of the release); the other 48 are male."""

SENTENCES = {
    "DFA": "Don't forget a jacket.",
    "IEO": "It's eleven o'clock.",
    "IOM": "I'm on my way to the meeting.",
    "ITH": "I think I have a doctor's appointment.",
    "ITS": "I think I've seen this before.",
    "IWL": "I would like a new alarm clock.",
    "IWW": "I wonder what this is about.",
    "MTI": "Maybe tomorrow it will be cold.",
    "TAI": "The airplane is almost full.",
    "TIE": "That is exactly what happened.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
"""Code of a sentence → its text."""


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of CREMA-D.

    Args:
        path: The folder AudioWAV.
        labels: Map from codes of emotions to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist.
    """

    def utterance(audio: Path, match: re.Match[str]) -> Utterance | None:
        if match["actor"] == "1000" or match["sentence"] not in SENTENCES:
            return None
        return Utterance(
            id=audio.stem,
            audio=audio,
            label=labels.get(match["emotion"]),
            raw_label=match["emotion"],
            speaker=match["actor"],
            scenario=match["sentence"],
            text=SENTENCES[match["sentence"]],
            gender="female" if int(match["actor"]) in FEMALE else "male",
        )

    form = "actor, sentence, emotion, intensity, like 1001_IEO_ANG_HI"
    return read_names(path, "CREMA-D", NAME, form, utterance, report)


CORPUS = Corpus(
    title="CREMA-D",
    read=read,
    name="crema-d",
    label_maps=LABEL_MAPS,
    emotions=CLASSES,
    transcribed=True,
    language="en",
    size=KNOWN_SIZE,
)
