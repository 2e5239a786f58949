"""Corpus folders → utterances: one parser a corpus, `CORPORA[kind](path)`.

    from duetto.corpora import CORPORA
    utterances = CORPORA["iemocap"]("/data/IEMOCAP_full_release")

Every parser returns all utterances, sorted by id, and raises CorpusError, naming file and line, where the
folder is not what it should be. `duetto.corpora.validate.check(kind, path)` lists everything that is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..data.utterance import Utterance
from ..errors import ConfigurationError
from . import emodb, iemocap, librispeech, ljspeech, ravdess, tables

__all__ = ["CORPORA", "Parser", "load"]


class Parser(Protocol):
    """A corpus parser: folder (or manifest file) and label set in, utterances out."""

    def __call__(self, path: str | Path, labels: str = "four") -> list[Utterance]: ...


CORPORA: dict[str, Parser] = {
    "iemocap": iemocap.parse,
    "emodb": emodb.parse,
    "ravdess": ravdess.parse,
    "ljspeech": ljspeech.parse,
    "librispeech": librispeech.parse,
    "manifest": tables.parse,
    "synthetic": iemocap.parse_synthetic,
}
"""Kind of corpus → its parser."""


def load(kind: str, path: str | Path, labels: str = "four") -> list[Utterance]:
    """The utterances of a corpus; an unknown kind is a ConfigurationError that lists the known ones."""
    if kind not in CORPORA:
        raise ConfigurationError(f"corpus kind {kind!r} is not known; choose from {', '.join(CORPORA)}")
    return CORPORA[kind](path, labels)
