"""MELD, the Multimodal EmotionLines Dataset: dialogues of the series Friends, 7 emotions, 13,708 utterances.

S. Poria, D. Hazarika, N. Majumder, G. Naik, E. Cambria and R. Mihalcea, "MELD: A multimodal multi-party dataset for
emotion recognition in conversations", ACL 2019, 527–536. Annotations: GPL-3.0 (https://github.com/declare-lab/MELD);
the recordings are excerpts of the series.

    train/train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv    one utterance a line
    train/train_splits/dia0_utt0.mp4                                 its video
    dev_splits_complete/, output_repeated_splits_test/               the same, of the other two parts

duetto reads sound files: extract them from the videos under the same names, into folders whose names hold train, dev or
test (in each folder: `for f in dia*.mp4; do ffmpeg -i $f -ac 1 -ar 16000 ${f%.mp4}.wav; done`). `scenario` is the
dialogue, `session` the episode, `split` the official part, whose test data have the speakers of the training data.
Minor roles ("Waiter", "All") are named by what they are, so one name may be several people. Two videos of the release
cannot be decoded or do not exist (`NO_RECORDING`), and are left out unless there is a recording.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from .corpus import Corpus
from .listing import first_file, table_rows
from .parsing import APPLE_DOUBLE, Collector, Problem, Report, files_below, is_audio

NUMBER = re.compile(r"[0-9]{1,4}")
NAME = re.compile(r"dia(?P<dialogue>\d+)_utt(?P<utterance>\d+)")
"""A file name: dialogue, utterance, both from 0."""

PARTS = {"train": "train", "dev": "development", "test": "test"}
"""Beginning of a table's name, and part of a folder's → part of the official split."""

LABEL_MAPS = {"four": {"anger": "angry", "joy": "happy", "neutral": "neutral", "sadness": "sad"}}
"""Label set → emotion → class."""

CLASSES = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "joy": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
}
"""Emotion → class, as-is."""

GENDERS = {
    "Chandler": "male", "Joey": "male", "Ross": "male", "Monica": "female", "Phoebe": "female", "Rachel": "female",
}  # fmt: skip
"""Speaker → gender, of the six main roles."""

NO_RECORDING = ("train_dia125_utt3", "dev_dia110_utt7")
"""Utterances whose video is damaged or missing in the release."""

KNOWN_SIZE = 13_706
"""Utterances in the release, without these two."""

COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "Season", "Episode")
"""Columns that are read."""


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of MELD: the lines of its three tables.

    Args:
        path: The folder that holds the tables (that of training may be in train/) and, below it, the recordings.
        labels: Map from emotions to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id: `train_dia0_utt0`.

    Raises:
        CorpusError: The folder does not exist, or lacks a table.
    """
    tables = {part: first_file(path, "MELD", _places(part)) for part in PARTS}
    recordings = _recordings(path, report)
    collector = Collector(report)
    for part, table in tables.items():
        for where, row in table_rows(table, COLUMNS, report):
            name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
            if not (NAME.fullmatch(name) and NUMBER.fullmatch(row["Season"]) and NUMBER.fullmatch(row["Episode"])):
                detail = f"{where}: Dialogue_ID, Utterance_ID, Season and Episode must be numbers; restore the line"
                report(Problem("bad-line", f"{part}_{name}", detail))
                continue
            audio = recordings.get((part, name))
            if audio is not None or f"{part}_{name}" not in NO_RECORDING:
                collector.add(_utterance(part, name, audio or path / part / f"{name}.wav", row, labels), where)
    return collector.sorted(f"{path}: no line in its tables; restore them from the release")


def _places(part: str) -> tuple[str, str]:
    return f"{part}_sent_emo.csv", f"{part}/{part}_sent_emo.csv"


def _utterance(part: str, name: str, audio: Path, row: dict[str, str], labels: LabelMap) -> Utterance:
    return Utterance(
        id=f"{part}_{name}",
        audio=audio,
        label=labels.get(row["Emotion"]),
        raw_label=row["Emotion"] or None,
        speaker=row["Speaker"] or None,
        session=f"s{int(row['Season']):02d}e{int(row['Episode']):02d}",
        scenario=f"{part}_dia{row['Dialogue_ID']}",
        text=row["Utterance"] or None,
        gender=GENDERS.get(row["Speaker"]),
        split=PARTS[part],
    )


def _recordings(path: Path, report: Report) -> dict[tuple[str, str], Path]:
    """(part, name) → sound file; a note where there are only videos."""
    found: dict[tuple[str, str], Path] = {}
    videos = 0
    for file in files_below(path):
        folders = "/".join(file.relative_to(path).parts[:-1])
        part = next((part for part in PARTS if part in folders), None)
        if part is None or not NAME.fullmatch(file.stem):
            continue
        videos += file.suffix.lower() == ".mp4" and not file.name.startswith(APPLE_DOUBLE)
        if is_audio(file):
            found.setdefault((part, file.stem), file)
    if videos > len(found):
        detail = f"{path}: {videos} videos, {len(found)} sound files; extract the sound of each to a .wav of its name"
        report(Problem("not-speech", path.name, detail, "note"))
    return found


CORPUS = Corpus(
    title="MELD",
    read=read,
    name="meld",
    label_maps=LABEL_MAPS,
    emotions=CLASSES,
    transcribed=True,
    language="en",
    size=KNOWN_SIZE,
)
