"""MSP-IMPROV: 12 actors in 6 dyadic sessions, 20 target sentences, improvised, read and natural, 8,438 utterances.

C. Busso, S. Parthasarathy, A. Burmania, M. AbdelWahab, N. Sadoughi and E. Mower Provost, "MSP-IMPROV: An acted corpus
of dyadic interactions to study emotion perception", IEEE Transactions on Affective Computing 8(1) (2017), 67–80.
Licence: by agreement with the University of Texas at Dallas; it may not be redistributed.

    Evalution.txt                                              (sic) consensus and ratings
        UTD-IMPROV-S01A-F01-S-FM01.avi; N; A:2.8; V:3.1; D:2.9 ; N:3.0;
        AMT-7; Neutral; Neutral,Bored; A:3.0; V:3.0; D:3.0; N:3.0;
    session1/S01A/S/MSP-IMPROV-S01A-F01-S-FM01.wav             one utterance

`NAME` parses every name: target sentence and target emotion, speaker (gender, session), recording (R read, T the
improvised target sentence, S other improvised turns, P between the improvisations), pair and turn. The label is the
raters' consensus (`O`: another emotion, `X`: no agreement); `votes` has the first letter of what each of them chose.
`dimensions` are the raters' means of A, V and D, 1–5. `scenario` is the number of the target sentence, which is the
same in all four target emotions.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from .corpus import Corpus
from .listing import first_file
from .parsing import GENDERS, Collector, Problem, Report, audio_below, ratings, read_lines

NAME = re.compile(
    r"IMPROV-S(?P<sentence>\d\d)[AHNS]-(?P<speaker>(?P<gender>[FM])0(?P<session>[1-6]))-[PRST]-[FM]{2}\d{2,3}"
)
"""A name without its beginning, which is MSP- for a recording and UTD- in the ratings."""

LABEL_MAPS = {"four": {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}}
"""Label set → letter → class."""

CLASSES = {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}
"""Letter → class, as-is."""

KNOWN_SIZE = 8438
"""Utterances in the release."""

RATINGS = ("Evalution.txt", "Evaluation.txt")
"""Names of the file of ratings, in its two spellings."""

_CONSENSUS = re.compile(rf"UTD-(?P<name>{NAME.pattern})\.avi;\s*(?P<label>[A-Z])\s*;(?P<ratings>.*)")
DIMENSIONS = {"A": "arousal", "V": "valence", "D": "dominance"}
"""Letter → dimension; N, how natural a turn is, is not read."""

_MEAN = re.compile(r"([AVD]):\s*([^;\s]+)")
_RATING = re.compile(r"(?P<rater>[^;]+);\s*(?P<label>[A-Z])[A-Za-z]*\s*;.*")


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of MSP-IMPROV: those of the file of ratings.

    Args:
        path: The folder that holds Evalution.txt and, below it, the recordings.
        labels: Map from letters of emotions to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist, or holds no file of ratings.
    """
    file = first_file(path, "MSP-IMPROV", RATINGS)
    recordings = {audio.stem: audio for audio in audio_below(path)}
    blocks: list[tuple[str, re.Match[str], dict[str, tuple[str, ...]]]] = []
    for number, line in enumerate(read_lines(file, report), 1):
        consensus, rating = _CONSENSUS.fullmatch(line.strip()), _RATING.fullmatch(line.strip())
        if consensus is not None:
            blocks.append((f"{file}:{number}", consensus, {}))
        elif rating is not None and blocks and ".avi" not in line:
            votes = blocks[-1][2]
            votes[rating["rater"]] = (*votes.get(rating["rater"], ()), rating["label"])
        elif line.strip():
            detail = f"{file}:{number}: {line[:60]!r} is neither a consensus nor a rating; restore the line"
            report(Problem("bad-line", f"line {number}", detail))
    collector = Collector(report)
    for where, consensus, votes in blocks:
        utterance = _utterance(path, consensus, labels)
        audio = recordings.get(utterance.id, utterance.audio)
        means = {DIMENSIONS[letter]: text for letter, text in _MEAN.findall(consensus["ratings"])}
        dimensions = ratings(means, utterance.id, where, report)
        collector.add(replace(utterance, audio=audio, votes=votes or None, dimensions=dimensions), where)
    return collector.sorted(f"{file}: no consensus in it, a line like UTD-IMPROV-S01A-F01-S-FM01.avi; N; …; restore it")


def _utterance(path: Path, consensus: re.Match[str], labels: LabelMap) -> Utterance:
    name = f"MSP-{consensus['name']}"
    return Utterance(
        id=name,
        audio=path / f"session{consensus['session']}" / f"{name}.wav",
        label=labels.get(consensus["label"]),
        raw_label=consensus["label"],
        speaker=consensus["speaker"],
        session=consensus["session"],
        scenario=f"S{consensus['sentence']}",
        gender=GENDERS[consensus["gender"]],
    )


CORPUS = Corpus(
    title="MSP-IMPROV",
    read=read,
    name="msp-improv",
    label_maps=LABEL_MAPS,
    emotions=CLASSES,
    language="en",
    size=KNOWN_SIZE,
)
