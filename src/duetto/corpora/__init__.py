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
from . import (
    cremad,
    emodb,
    emovo,
    esd,
    generic,
    iemocap,
    librispeech,
    ljspeech,
    meld,
    msp_improv,
    msp_podcast,
    ravdess,
    savee,
    shemo,
    tables,
    tess,
)
from .audformat import from_audformat, to_audformat
from .corpus import Corpus

__all__ = ["CORPORA", "Corpus", "find", "from_audformat", "load", "to_audformat"]

CORPORA: dict[str, Corpus] = {
    "iemocap": iemocap.CORPUS,
    "emodb": emodb.CORPUS,
    "ravdess": ravdess.CORPUS,
    "crema-d": cremad.CORPUS,
    "tess": tess.CORPUS,
    "savee": savee.CORPUS,
    "meld": meld.CORPUS,
    "msp-improv": msp_improv.CORPUS,
    "msp-podcast": msp_podcast.CORPUS,
    "emovo": emovo.CORPUS,
    "shemo": shemo.CORPUS,
    "esd": esd.CORPUS,
    "ljspeech": ljspeech.CORPUS,
    "librispeech": librispeech.CORPUS,
    "generic": generic.CORPUS,
    "manifest": tables.CORPUS,
    "synthetic": iemocap.SYNTHETIC,
}
"""Kind of corpus → the corpus; call it to read a folder."""


def find(kind: str, path: str | Path | None = None, layout: str | Path | None = None) -> Corpus:
    """Return the corpus of a kind.

    Args:
        kind: A key of `CORPORA`.
        path: The folder that will be read; of kind `generic`, it may hold its layout.
        layout: The layout of kind `generic` (`corpora.generic`).

    Returns:
        The corpus.

    Raises:
        ConfigurationError: The kind does not exist, and those that do are listed; or the layout is not valid, or is
            given for another kind.
    """
    if kind not in CORPORA:
        raise ConfigurationError(f"corpus kind {kind!r} is not known; choose from {', '.join(CORPORA)}")
    if layout is not None and kind != "generic":
        raise ConfigurationError(f"a layout is for kind generic, and {kind!r} has its own; leave one of the two out")
    own = Path(path, generic.LAYOUT) if path is not None and kind == "generic" else None
    if layout is None and own is not None and own.is_file():
        layout = own
    return CORPORA[kind] if layout is None else generic.corpus(Path(layout))


def load(kind: str, path: str | Path, labels: str = "four", layout: str | Path | None = None) -> list[Utterance]:
    """Read all utterances of a corpus.

    Args:
        kind: A key of `CORPORA`.
        path: The corpus folder, or its file.
        labels: A label set, `as-is`, or the path of a file of labels.
        layout: The layout of kind `generic`.

    Returns:
        All utterances, sorted by id, including those without a class.

    Raises:
        ConfigurationError: The kind, the label set or the layout is not valid.
        CorpusError: The path does not hold the corpus, or part of it cannot be read.
    """
    return find(kind, path, layout)(path, labels)
