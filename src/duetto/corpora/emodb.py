"""EmoDB, the Berlin Database of Emotional Speech: 10 actors, 10 German sentences, 7 emotions, 535 utterances.

F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier and B. Weiss, "A database of German emotional speech",
Interspeech 2005, 1517–1520. Freely available; read the terms at its source (http://emodb.bilderbar.info).

    wav/03a01Fa.wav    speaker 03, sentence a01, Freude (happiness), take a

`NAME` parses every file name. Each sentence is spoken in every emotion, so the words carry no information: a system
that reads them must score at chance. `scenario` is the sentence. There are no sessions.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from .corpus import Corpus
from .listing import read_names
from .parsing import Report

NAME = re.compile(r"(?P<speaker>\d{2})(?P<sentence>[ab]\d{2})(?P<emotion>[WLEAFTN])(?P<take>[a-z]?)")
"""A file name: speaker, sentence, emotion, take."""

EMOTIONS = {
    "W": "anger (Wut)",
    "L": "boredom (Langeweile)",
    "E": "disgust (Ekel)",
    "A": "fear (Angst)",
    "F": "happiness (Freude)",
    "T": "sadness (Trauer)",
    "N": "neutral",
}
"""Letter of the German emotion word → emotion."""

LABEL_MAPS = {"four": {"W": "angry", "F": "happy", "N": "neutral", "T": "sad"}}
"""Label set → letter → class."""

CLASSES = {
    "W": "angry", "L": "bored", "E": "disgusted", "A": "fearful", "F": "happy", "T": "sad", "N": "neutral",
}  # fmt: skip
"""Letter → class, as-is: all seven."""

GENDERS = {
    "03": "male", "08": "female", "09": "female", "10": "male", "11": "male",
    "12": "male", "13": "female", "14": "female", "15": "male", "16": "female",
}  # fmt: skip
"""Speaker → gender."""

KNOWN_SPEAKERS = {
    "03": 49, "08": 58, "09": 43, "10": 38, "11": 55, "12": 35, "13": 61, "14": 69, "15": 56, "16": 71,
}  # fmt: skip
"""Speaker → utterances in the release, 535 in all."""

SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
"""Code of a sentence → its text."""


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of EmoDB.

    Args:
        path: The folder wav/, or one above it.
        labels: Map from emotion letters to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist.
    """

    def utterance(audio: Path, match: re.Match[str]) -> Utterance | None:
        if match["speaker"] not in GENDERS or match["sentence"] not in SENTENCES:
            return None
        return Utterance(
            id=audio.stem,
            audio=audio,
            label=labels.get(match["emotion"]),
            raw_label=match["emotion"],
            speaker=match["speaker"],
            scenario=match["sentence"],
            text=SENTENCES[match["sentence"]],
            gender=GENDERS[match["speaker"]],
        )

    form = (
        f"speaker, sentence, emotion, take, like 03a01Fa (speakers {', '.join(GENDERS)}; sentences "
        f"{', '.join(SENTENCES)}; emotions {''.join(EMOTIONS)})"
    )
    return read_names(path, "EmoDB", NAME, form, utterance, report)


CORPUS = Corpus(
    title="EmoDB",
    read=read,
    name="emodb",
    label_maps=LABEL_MAPS,
    emotions=CLASSES,
    transcribed=True,
    language="de",
    speakers=KNOWN_SPEAKERS,
)
