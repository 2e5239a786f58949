"""EMOVO: 6 actors, 14 Italian sentences, 7 emotions, 588 utterances.

G. Costantini, I. Iaderola, A. Paoloni and M. Todisco, "EMOVO corpus: an Italian emotional speech database", LREC 2014,
3501–3504. Free for non-commercial use with acknowledgement.

    f1/dis-f1-b1.wav    disgust, female speaker 1, short sentence 1

`NAME` parses every file name; `scenario` is the sentence. Each is spoken in every emotion, so the words carry no
information. There are no sessions.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..data.labels import LabelMap
from ..data.utterance import Utterance
from .corpus import Corpus
from .listing import read_names
from .parsing import GENDERS, Report

NAME = re.compile(r"(?P<emotion>dis|gio|neu|pau|rab|sor|tri)-(?P<speaker>[fm][123])-(?P<sentence>[bdln]\d)")
"""A file name: emotion, speaker, sentence."""

LABEL_MAPS = {"four": {"rab": "angry", "gio": "happy", "neu": "neutral", "tri": "sad"}}
"""Label set → emotion → class."""

CLASSES = {
    "rab": "angry",
    "dis": "disgusted",
    "pau": "fearful",
    "gio": "happy",
    "neu": "neutral",
    "tri": "sad",
    "sor": "surprised",
}
"""Beginning of the Italian word (rabbia, disgusto, paura, gioia, neutro, tristezza, sorpresa) → class, as-is."""

KNOWN_SPEAKERS = {"f1": 98, "f2": 98, "f3": 98, "m1": 98, "m2": 98, "m3": 98}
"""Speaker → utterances in the release."""

SENTENCES = {
    "b1": "Gli operai si alzano presto.",
    "b2": "I vigili sono muniti di pistola.",
    "b3": "La cascata fa molto rumore.",
    "d1": "Sabato sera cosa farà?",
    "d2": "Porti con te quella cosa?",
    "l1": "L'autunno prossimo Tony partirà per la Spagna nella prima metà di ottobre.",
    "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata.",
    "l3": "Un attimo dopo s'è incamminato ed è inciampato.",
    "l4": "Vorrei il numero telefonico del Signor Piatti.",
    "n1": "La casa forte vuole col pane.",
    "n2": "La forza trova il passo e l'aglio rosso.",
    "n3": "Il gatto sta scorrendo nella pera.",
    "n4": "Insalata pastasciutta coscia d'agnello limoncello.",
    "n5": "Uno quarantatré dieci mille cinquantasette venti.",
}
"""Code of a sentence (short, question, long, nonsense) → its text."""


def read(path: Path, labels: LabelMap, report: Report) -> list[Utterance]:
    """Read all utterances of EMOVO.

    Args:
        path: The folder that holds f1 … m3.
        labels: Map from emotions to classes.
        report: Called with each problem.

    Returns:
        All utterances, sorted by id.

    Raises:
        CorpusError: The folder does not exist.
    """

    def utterance(audio: Path, match: re.Match[str]) -> Utterance | None:
        if match["sentence"] not in SENTENCES:
            return None
        return Utterance(
            id=audio.stem,
            audio=audio,
            label=labels.get(match["emotion"]),
            raw_label=match["emotion"],
            speaker=match["speaker"],
            scenario=match["sentence"],
            text=SENTENCES[match["sentence"]],
            gender=GENDERS[match["speaker"][0].upper()],
        )

    return read_names(path, "EMOVO", NAME, "emotion, speaker, sentence, like dis-f1-b1", utterance, report)


CORPUS = Corpus(
    title="EMOVO",
    read=read,
    name="emovo",
    label_maps=LABEL_MAPS,
    emotions=CLASSES,
    transcribed=True,
    language="it",
    speakers=KNOWN_SPEAKERS,
)
