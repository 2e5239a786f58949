"""MSP-Podcast: turns of podcasts, labelled by at least five people each; 8 emotions, up to 264,705 utterances (2.0).

C. Busso and others, "The MSP-Podcast corpus", 2025; R. Lotfian and C. Busso, "Building naturalistic emotionally
balanced speech corpus by retrieving emotional speech from existing podcast recordings", IEEE Transactions on Affective
Computing 10(4) (2019), 471–483. Licence: by agreement with the University of Texas at Dallas; it may not be
redistributed.

    Labels/labels_consensus.csv    FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
    Audios/MSP-PODCAST_0001_0008.wav
    Transcripts/MSP-PODCAST_0001_0008.txt    (optional)

`NAME` parses every name; `scenario` is the podcast. The label is the consensus (`O`: another emotion, `X`: no
agreement); `dimensions` are the means of EmoAct, EmoVal and EmoDom, 1–7. A speaker who is `Unknown` has no name here,
and may be anyone: protocols that keep speakers apart need utterances with one. `split` is the official part: train,
development, test, test2 (unknown speakers), test3 (its labels are not published). There are no sessions.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from .corpus import Corpus
from .listing import first_file, table_rows
from .parsing import Collector, Problem, Report, audio_in, expected_audio, ratings, read_text

NAME = re.compile(r"MSP-PODCAST_(?P<podcast>[0-9a-z]+)(?:_[0-9a-z]+)+")
"""A name without its suffix: podcast, part, number; the names of test3 are masked."""

LABEL_MAPS = {"four": {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}}
"""Label set → letter → class."""

CLASSES = {
    "A": "angry",
    "C": "contemptuous",
    "D": "disgusted",
    "F": "fearful",
    "H": "happy",
    "N": "neutral",
    "S": "sad",
    "U": "surprised",
}
"""Letter (C: contempt) → class, as-is."""

SPLITS = {
    "Train": "train",
    "Development": "development",
    "Validation": "development",
    "Test1": "test",
    "Test2": "test2",
    "Test3": "test3",
}
"""Split_Set → part; before release 1.11, Development is Validation."""

GENDERS = {"Female": "female", "Male": "male"}
"""Gender → gender; Unknown is neither."""

COLUMNS = ("FileName", "EmoClass", "SpkrID", "Gender", "Split_Set")
"""Columns that the table must have."""

DIMENSIONS = {"arousal": "EmoAct", "valence": "EmoVal", "dominance": "EmoDom"}
"""Dimension → column of its mean rating."""

TABLES = ("Labels/labels_consensus.csv", "Labels/labels_concensus.csv", "labels_consensus.csv")
"""Where the table may be; early releases have it misspelt."""


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of MSP-Podcast: the lines of its table.

    Args:
        path: The folder that holds Labels and Audios.
        labels: Map from letters of emotions to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist, or lacks the table.
    """
    table = first_file(path, "MSP-Podcast", TABLES)
    folder = next((path / name for name in ("Audios", "Audio") if (path / name).is_dir()), path / "Audios")
    recordings = audio_in(folder, report)
    collector = Collector(report)
    for where, row in table_rows(table, COLUMNS, report):
        name = row["FileName"].removesuffix(".wav")
        match = NAME.fullmatch(name)
        if match is None or row["Split_Set"] not in SPLITS:
            detail = (
                f"{where}: FileName must be like MSP-PODCAST_0001_0008.wav, not {row['FileName']!r}, and Split_Set one "
                f"of {', '.join(SPLITS)}, not {row['Split_Set']!r}; restore the line"
            )
            report(Problem("bad-line", name, detail))
            continue
        utterance = Utterance(
            id=name,
            audio=expected_audio(recordings, folder, name),
            label=labels.get(row["EmoClass"]),
            raw_label=row["EmoClass"] or "X",
            speaker=None if row["SpkrID"] in ("", "Unknown") else row["SpkrID"],
            scenario=match["podcast"],
            text=_text(path / "Transcripts" / f"{name}.txt", report),
            gender=GENDERS.get(row["Gender"]),
            split=SPLITS[row["Split_Set"]],
            dimensions=ratings({d: row.get(column, "") for d, column in DIMENSIONS.items()}, name, where, report),
        )
        collector.add(utterance, where)
    return collector.sorted(f"{table}: no line in it; restore it from the release")


def _text(file: Path, report: Report) -> str | None:
    return read_text(file, report).strip() or None if file.is_file() else None


CORPUS = Corpus(
    title="MSP-Podcast",
    read=read,
    name="msp-podcast",
    label_maps=LABEL_MAPS,
    emotions=CLASSES,
    language="en",
    named=False,
)
