"""RAVDESS, speech part: 24 actors, 2 English sentences, 8 emotions, 60 recordings each: 1,440 utterances.

S. R. Livingstone and F. A. Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)",
PLoS ONE 13(5) (2018), e0196391. Licence: CC BY-NC-SA 4.0 (https://zenodo.org/record/1188976).

    Actor_12/03-01-06-01-02-01-12.wav
        audio-only, speech, fearful, normal intensity, sentence 02, first repetition, actor 12

Every name is read by `NAME`; odd actors are male, even ones female. `scenario` is the sentence; both are
spoken in every emotion, so the words tell nothing. Five recordings are stereo, which decoding mixes down.
There are no sessions. Song and the sound of the videos are not speech recordings: they are skipped, with a note.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..data.labels import label_map
from ..data.utterance import Utterance
from .parsing import Collector, Problem, Report, audio_below, refuse, require_folder, some

NAME = re.compile(
    r"(?P<modality>0[123])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])-"
    r"(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>0[1-9]|1\d|2[0-4])"
)

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

STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}


def parse(path: str | Path, labels: str = "four") -> list[Utterance]:
    """All speech recordings below a folder, sorted by id; one with a foreign name is a CorpusError."""
    return scan(Path(path), labels, refuse)


def scan(path: Path, labels: str, report: Report) -> list[Utterance]:
    """All utterances; everything wrong goes to `report`."""
    classes = label_map(labels, "ravdess")
    found = Collector(report)
    other = []
    for audio in audio_below(require_folder(path, "RAVDESS")):
        match = NAME.fullmatch(audio.stem)
        if match is None:
            detail = (
                f"{audio}: no RAVDESS name, which is modality-channel-emotion-intensity-sentence-repetition-actor, "
                "like 03-01-06-01-02-01-12; move it out of the folder"
            )
            report(Problem("bad-name", audio.stem, detail))
            continue
        if (match["modality"], match["channel"]) != ("03", "01"):
            other.append(audio.stem)
            continue
        utterance = Utterance(
            id=audio.stem,
            audio=audio,
            label=classes.get(match["emotion"]),
            raw_label=match["emotion"],
            speaker=match["actor"],
            scenario=match["statement"],
            text=STATEMENTS[match["statement"]],
            gender="male" if int(match["actor"]) % 2 else "female",
        )
        found.add(utterance, str(audio))
    if other:
        detail = f"{path}: {len(other)} recordings of song or video are skipped ({some(other)}); only 03-01 is speech"
        report(Problem("not-speech", path.name, detail, "note"))
    return found.sorted(f"{path}: no speech recording in it or below; RAVDESS has folders Actor_01 … Actor_24")
