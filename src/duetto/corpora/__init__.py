"""Corpus folders → utterances: `CORPORA[kind](path)`.

    from duetto.corpora import CORPORA
    utterances = CORPORA["iemocap"]("/data/IEMOCAP_full_release")

Every corpus is read into a list of all its utterances, sorted by id. A folder that is not what it should be raises
CorpusError with file and line; `duetto.corpora.validate.check(kind, path)` lists all of its problems instead.
"""

from __future__ import annotations

from pathlib import Path

from ..data.utterance import Utterance
from ..errors import ConfigurationError
from . import emodb, iemocap, librispeech, ljspeech, ravdess, tables
from .corpus import Corpus

__all__ = ["CORPORA", "Corpus", "find", "load"]

CORPORA: dict[str, Corpus] = {
    "iemocap": iemocap.CORPUS,
    "emodb": emodb.CORPUS,
    "ravdess": ravdess.CORPUS,
    "ljspeech": ljspeech.CORPUS,
    "librispeech": librispeech.CORPUS,
    "manifest": tables.CORPUS,
    "synthetic": iemocap.SYNTHETIC,
}
"""Kind of corpus → the corpus; call it to read a folder."""


def find(kind: str) -> Corpus:
    """Return the corpus of a kind.

    Args:
        kind: A key of `CORPORA`.

    Returns:
        The corpus.

    Raises:
        ConfigurationError: The kind does not exist; lists those that do.
    """
    if kind not in CORPORA:
        raise ConfigurationError(f"corpus kind {kind!r} is not known; choose from {', '.join(CORPORA)}")
    return CORPORA[kind]


def load(kind: str, path: str | Path, labels: str = "four") -> list[Utterance]:
    """Read all utterances of a corpus.

    Args:
        kind: A key of `CORPORA`.
        path: The corpus folder, or its file.
        labels: A label set, `as-is`, or the path of a file of labels.

    Returns:
        All utterances, sorted by id, including those without a class.

    Raises:
        ConfigurationError: The kind or the label set does not exist.
        CorpusError: The path does not hold the corpus, or part of it cannot be read.
    """
    return find(kind)(path, labels)
