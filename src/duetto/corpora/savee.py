"""SAVEE, Surrey Audio-Visual Expressed Emotion: 4 male British speakers, 7 emotions, 480 utterances.

S. Haq and P. J. B. Jackson, "Speaker-dependent audio-visual emotion recognition", AVSP 2009, 53–58. Free for research,
after registration (http://kahlan.eps.surrey.ac.uk/savee/).

    AudioData/DC/sa03.wav    speaker DC, sadness, sentence 3
    DC_sa03.wav              the same, in copies that have all recordings in one folder

`NAME` parses every file name. `scenario` is emotion and number of the sentence, which all four speakers share. Of the
15 sentences of an emotion, three are spoken in all emotions, and those that are special to an emotion are spoken
neutrally too; names do not show which, and the release has no transcript in words, so the scenario of such a sentence
is not one. There are no sessions.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from .corpus import Corpus
from .listing import read_names
from .parsing import Report

NAME = re.compile(r"(?:(?P<speaker>DC|JE|JK|KL)_?)?(?P<emotion>sa|su|[adfhn])(?P<number>\d\d)")
"""A file name: speaker, where the folder does not name it, emotion, number of the sentence."""

LABEL_MAPS = {"four": {"a": "angry", "h": "happy", "n": "neutral", "sa": "sad"}}
"""Label set → letters → class."""

CLASSES = {"a": "angry", "d": "disgusted", "f": "fearful", "h": "happy", "n": "neutral", "sa": "sad", "su": "surprised"}
"""Letters → class, as-is."""

KNOWN_SPEAKERS = {"DC": 120, "JE": 120, "JK": 120, "KL": 120}
"""Speaker → utterances in the release: 30 neutral, 15 of each other emotion."""


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of SAVEE.

    Args:
        path: The folder AudioData, or one with all recordings.
        labels: Map from letters of emotions to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist.
    """

    def utterance(audio: Path, match: re.Match[str]) -> Utterance | None:
        speaker = match["speaker"] or audio.parent.name
        if speaker not in KNOWN_SPEAKERS:
            return None
        sentence = match["emotion"] + match["number"]
        return Utterance(
            id=f"{speaker}_{sentence}",
            audio=audio,
            label=labels.get(match["emotion"]),
            raw_label=match["emotion"],
            speaker=speaker,
            scenario=sentence,
            gender="male",
        )

    form = f"emotion and sentence, like sa03, in a folder of a speaker ({', '.join(KNOWN_SPEAKERS)}), or DC_sa03"
    return read_names(path, "SAVEE", NAME, form, utterance, report)


CORPUS = Corpus(
    title="SAVEE",
    read=read,
    name="savee",
    label_maps=LABEL_MAPS,
    emotions=CLASSES,
    language="en",
    speakers=KNOWN_SPEAKERS,
)
