"""The corpus: examined first, then read, and its words given times where a system needs them.

KIND, PATH ─ doctor ─▶ Material(utterances) ─ timed ─▶ Material(timed utterances)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...asr.annotate import find_words
from ...corpora import find, validate
from ...corpora.validate import Problem, ValidationReport
from ...data.labels import selected
from ...data.text import tokens
from ...data.utterance import Utterance
from ...errors import CorpusError
from ...utils.progress import Progress

SHOWN = 5
"""Problems that an error quotes."""


@dataclass(frozen=True)
class Material:
    """A corpus that was read: its labelled utterances, and what a reader of its results should know.

    kind: of corpus. name: what a report calls it.
    """

    kind: str
    name: str
    utterances: list[Utterance]
    notes: tuple[str, ...] = ()

    @property
    def transcribed(self) -> bool:
        """Whether any utterance says its words."""
        return any(tokens(utterance) for utterance in self.utterances)

    @property
    def untimed(self) -> int:
        """How many utterances have words without times."""
        return sum(bool(tokens(utterance)) and not has_times(utterance) for utterance in self.utterances)


def has_times(utterance: Utterance) -> bool:
    """Whether any word of an utterance has its time."""
    return any(word.start is not None for word in utterance.words or ())


def read(kind: str, path: Path, *, force: bool = False, progress: Progress | None = None) -> Material:
    """Examine a corpus, and read it.

    force: go on with an unhealthy one, without the utterances that an error names.
    Errors: a `CorpusError` where it is not there, says what is wrong with it, or has nothing with a label in it.
    """
    corpus = find(kind)
    if not path.exists():
        what = "file" if corpus.is_file else "folder"
        raise CorpusError(f"{path}: no such {what}; give the path of the corpus, --corpus {kind}:PATH")
    checkup = validate.check(kind, path, progress=progress)
    if not checkup.healthy and not force:
        raise CorpusError(_refusal(kind, path, checkup))
    problems: list[Problem] = []
    utterances = selected(corpus.scan(path, "four", problems.append))
    notes = [] if checkup.healthy else [f"the corpus is not healthy: {_counts(checkup)}; see: duetto corpus check"]
    if force:
        named = {problem.id for problem in checkup.errors}
        usable = [u for u in utterances if u.id not in named and u.audio.is_file()]
        if len(usable) < len(utterances):
            notes.append(f"{len(utterances) - len(usable)} of {len(utterances)} labelled utterances are left out")
        utterances = usable
    if not utterances:
        raise CorpusError(f"{path}: no utterance with a label in it; see: duetto corpus check {kind} {path}")
    return Material(kind, path.name if corpus.is_file else corpus.title, utterances, tuple(notes))


def _counts(checkup: ValidationReport) -> str:
    kinds = [problem.kind for problem in checkup.errors]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def _refusal(kind: str, path: Path, checkup: ValidationReport) -> str:
    details = "".join(f"\n  {problem.detail}" for problem in checkup.errors[:SHOWN])
    more = len(checkup.errors) - SHOWN
    return (
        f"{path} is not healthy ({_counts(checkup)}), so no figure on it can be compared with a published one:{details}"
        + (f"\n  … and {more} more: duetto corpus check {kind} {path}" if more > 0 else "")
        + "\nRepair it; or go on without these utterances: --force"
    )


def timed(material: Material, folder: Path, *, workers: int = 1, progress: Progress | None = None) -> Material:
    """The same corpus, with times for the words that lacked them, aligned to the sound; `folder` keeps them."""
    if not material.untimed:
        return material
    found, report = find_words(
        material.utterances, missing="skip", workers=workers, cache_folder=folder, progress=progress
    )
    return Material(material.kind, material.name, found, (*material.notes, f"times of words: {report.summary()}"))
