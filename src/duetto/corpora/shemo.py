"""ShEMO, the Sharif Emotional Speech Database: 87 Persian speakers in radio plays, 6 emotions, 3,000 utterances.

O. Mohamad Nezami, P. Jamshid Lou and M. Karami, "ShEMO: a large-scale validated database for Persian speech emotion
detection", Language Resources and Evaluation 53 (2019), 1–16. Free for academic purposes
(https://github.com/pariajm/sharif-emotional-speech-dataset).

    female/F01A01.wav    female speaker 01, anger, utterance 01
    shemo.json           F01A01 → {"transcript": …}; optional, a download of its own

`NAME` parses every file name. The text files in the archives are not read: 162 of them have the name of another
recording (https://github.com/aliyzd95/modified_shemo). There are no sessions and no scenarios.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from ..errors import CorpusError
from ..utils.reading import read_json
from .corpus import Corpus
from .listing import read_names
from .parsing import GENDERS, Report

NAME = re.compile(r"(?P<speaker>(?P<gender>[FM])\d\d)(?P<emotion>[AFHNSW])(?P<number>\d{2,3})")
"""A file name: speaker, emotion, number."""

LABEL_MAPS = {"four": {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}}
"""Label set → letter → class."""

CLASSES = {"A": "angry", "F": "fearful", "H": "happy", "N": "neutral", "S": "sad", "W": "surprised"}
"""Letter → class, as-is."""

KNOWN_SIZE = 3000
"""Utterances in the release."""

TRANSCRIPTS = "shemo.json"
"""File of the transcripts."""


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of ShEMO.

    Args:
        path: The folder that holds female, male and, for transcripts, shemo.json.
        labels: Map from letters of emotions to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist, or shemo.json is damaged.
    """
    texts = _texts(path / TRANSCRIPTS)

    def utterance(audio: Path, match: re.Match[str]) -> Utterance:
        return Utterance(
            id=audio.stem,
            audio=audio,
            label=labels.get(match["emotion"]),
            raw_label=match["emotion"],
            speaker=match["speaker"],
            text=texts.get(audio.stem),
            gender=GENDERS[match["gender"]],
        )

    return read_names(path, "ShEMO", NAME, "speaker, emotion, number, like F01A01", utterance, report)


def _texts(file: Path) -> dict[str, str]:
    """Stem of a recording → transcript; empty without the file."""
    if not file.is_file():
        return {}
    entries: Any = read_json(file, error=CorpusError, repair="download it again, or delete it")
    texts = {}
    for name, entry in entries.items():
        text = entry.get("transcript") if isinstance(entry, dict) else None
        if not isinstance(text, str):
            raise CorpusError(f"{file}: {name!r} has no 'transcript'; download the file again, or delete it")
        if text.strip():
            texts[name.removesuffix(".wav")] = text.strip()
    return texts


CORPUS = Corpus(
    title="ShEMO", read=read, name="shemo", label_maps=LABEL_MAPS, emotions=CLASSES, language="fa", size=KNOWN_SIZE
)
