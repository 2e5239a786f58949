"""ESD, the Emotional Speech Dataset: 10 Mandarin and 10 English speakers, 350 sentences, 5 emotions, 35,000 utterances.

K. Zhou, B. Sisman, R. Liu and H. Li, "Emotional voice conversion: Theory, databases and ESD", Speech Communication 137
(2022), 1–18. Free for research, after signing a licence (https://hltsingapore.github.io/ESD/).

    0011/Angry/0011_000351.wav              speaker 0011, anger, number 351
    0011/Angry/evaluation/0011_000351.wav   the same, in copies with the official split
    0011/0011.txt                           number, text, emotion, separated by tabs

The folder is the emotion. Numbers count through the 350 sentences once for every emotion, and all speakers of a
language read the same ones: `scenario` is the language and the sentence. So the words carry no information, and the
official split (`split`) has every speaker in each of its parts. Speakers 0001–0010 speak Mandarin (transcripts in
GB 18030 or UTF-16), the others English. There are no sessions.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from .corpus import Corpus
from .listing import read_names
from .parsing import Problem, Report, lines_of, read_text, require_folder

NAME = re.compile(r"(?P<speaker>00(?:0[1-9]|1\d|20))_(?P<number>00(?:0[0-9]|1[0-7])\d\d)")
"""A file name: speaker, number from 1 to 1750."""

LABEL_MAPS = {"four": {"Angry": "angry", "Happy": "happy", "Neutral": "neutral", "Sad": "sad"}}
"""Label set → folder → class."""

CLASSES = {"Angry": "angry", "Happy": "happy", "Neutral": "neutral", "Sad": "sad", "Surprise": "surprised"}
"""Folder → class, as-is."""

EMOTIONS = {"Angry": "生气", "Happy": "快乐", "Neutral": "中立", "Sad": "伤心", "Surprise": "惊喜"}
"""Folder → the emotion in the transcripts of Mandarin speakers; English ones have the folder's name."""

SPLITS = {"train": "train", "evaluation": "development", "test": "test"}
"""Folder → part of the official split."""

MALE = frozenset(("0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"))
"""The ten male speakers."""

SENTENCES = 350
"""Sentences of a language; each speaker reads each one five times."""

KNOWN_SPEAKERS = {f"{number:04d}": 5 * SENTENCES for number in range(1, 21)}
"""Speaker → utterances in the release."""

_LINE = re.compile(rf"(?P<id>\d{{4}}_\d{{6}})\s+(?P<text>.+?)(?:\s+(?:{'|'.join((*EMOTIONS, *EMOTIONS.values()))}))?")


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of ESD.

    Args:
        path: The folder that holds 0001 … 0020, or one of these.
        labels: Map from folders of emotions to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist.
    """
    texts: dict[str, str] = {}
    for speaker in KNOWN_SPEAKERS:
        for folder in (require_folder(path, "ESD"), path / speaker):
            if (file := folder / f"{speaker}.txt").is_file():
                texts |= _texts(file, speaker, report)

    def utterance(audio: Path, match: re.Match[str]) -> Utterance | None:
        emotion = next((name for name in (audio.parent.name, audio.parent.parent.name) if name in EMOTIONS), None)
        number, language = int(match["number"]), _language(match["speaker"])
        if emotion is None or not 1 <= number <= 5 * SENTENCES:
            return None
        return Utterance(
            id=audio.stem,
            audio=audio,
            label=labels.get(emotion),
            raw_label=emotion,
            speaker=match["speaker"],
            scenario=f"{language}{(number - 1) % SENTENCES + 1:03d}",
            text=texts.get(audio.stem),
            gender="male" if match["speaker"] in MALE else "female",
            language=language,
            split=SPLITS.get(audio.parent.name),
        )

    form = f"speaker and number, like 0011_000351, in a folder of an emotion ({', '.join(EMOTIONS)})"
    return read_names(path, "ESD", NAME, form, utterance, report)


def _language(speaker: str) -> str:
    return "zh" if int(speaker) <= 10 else "en"


def _texts(file: Path, speaker: str, report: Report) -> dict[str, str]:
    """Id → transcript; a note for each line that is not one."""
    texts = {}
    legacy = "gb18030" if _language(speaker) == "zh" else None
    for number, line in enumerate(lines_of(read_text(file, report, legacy)), 1):
        match = _LINE.fullmatch(line.strip())
        if match is not None:
            texts[match["id"]] = match["text"]
        elif line.strip():
            detail = f"{file}:{number}: no transcript, which is number, text, emotion; its utterance has no text"
            report(Problem("bad-transcript", f"{speaker} line {number}", detail, "note"))
    return texts


CORPUS = Corpus(title="ESD", read=read, name="esd", label_maps=LABEL_MAPS, emotions=CLASSES, speakers=KNOWN_SPEAKERS)
