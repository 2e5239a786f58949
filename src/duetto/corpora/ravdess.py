"""RAVDESS, speech part: 24 actors, 2 English sentences, 8 emotions, 60 recordings each: 1,440 utterances.

S. R. Livingstone and F. A. Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)",
PLoS ONE 13(5) (2018), e0196391. Licence: CC BY-NC-SA 4.0 (https://zenodo.org/record/1188976).

    Actor_12/03-01-06-01-02-01-12.wav
        audio-only, speech, fearful, normal intensity, sentence 02, first repetition, actor 12

`NAME` parses every file name; odd actors are male, even ones female. `scenario` is the sentence; both are spoken in
every emotion, so the words carry no information. Five recordings are stereo, which decoding mixes down. There are no
sessions. Songs and the audio of the videos are skipped, with a note.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from .corpus import Corpus
from .listing import read_names
from .parsing import Problem, Report, some

NAME = re.compile(
    r"(?P<modality>0[123])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])-"
    r"(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>0[1-9]|1\d|2[0-4])"
)
"""A file name: seven two-digit codes."""

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
"""Code → emotion."""

LABEL_MAPS = {"four": {"01": "neutral", "02": "neutral", "03": "happy", "04": "sad", "05": "angry"}}
"""Label set → code of the emotion → class; calm (02) counts as neutral."""

SPEECH = "03-01-"
"""Beginning of the names that are read: audio only, speech."""
CLASSES = {**EMOTIONS, "07": "disgusted"}
"""Code → class, as-is: all eight."""

KNOWN_SPEAKERS = {f"{actor:02d}": 60 for actor in range(1, 25)}
"""Actor → utterances in the release, 1,440 in all."""

STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
"""Code → sentence."""


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of RAVDESS' speech part.

    Args:
        path: The folder that holds Actor_01 … Actor_24.
        labels: Map from emotion codes to classes.
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
            speaker=match["actor"],
            scenario=match["statement"],
            text=STATEMENTS[match["statement"]],
            gender="male" if int(match["actor"]) % 2 else "female",
        )

    form = "modality-channel-emotion-intensity-sentence-repetition-actor, like 03-01-06-01-02-01-12"
    found = read_names(path, "RAVDESS", NAME, form, utterance, report)
    speech = [utterance for utterance in found if utterance.id.startswith(SPEECH)]
    if len(speech) < len(found):
        other = [utterance.id for utterance in found if not utterance.id.startswith(SPEECH)]
        detail = f"{path}: {len(other)} recordings of song or video are skipped ({some(other)}); only 03-01 is speech"
        report(Problem("not-speech", path.name, detail, "note"))
    if found and not speech:
        detail = f"{path}: no speech recording in it or below; RAVDESS has folders Actor_01 … Actor_24"
        report(Problem("empty-corpus", "", detail))
    return speech


CORPUS = Corpus(
    title="RAVDESS",
    read=read,
    name="ravdess",
    label_maps=LABEL_MAPS,
    emotions=CLASSES,
    transcribed=True,
    language="en",
    speakers=KNOWN_SPEAKERS,
)
