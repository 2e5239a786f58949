"""The corpus: validated, then read, and its words aligned where a system needs their times.

KIND, PATH ─ validate ─▶ LoadedCorpus(utterances) ─ with_word_times ─▶ LoadedCorpus(utterances with word times)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ...asr.annotate import find_words
from ...corpora import find, validate
from ...corpora.validate import Problem, ValidationReport
from ...data.labels import classes_of, selected, spelled
from ...data.text import tokens
from ...data.utterance import Utterance
from ...errors import CorpusError
from ...utils.progress import Progress

QUOTED = 5
"""Problems that an error message quotes."""


@dataclass(frozen=True)
class LoadedCorpus:
    """A corpus that was read.

    Attributes:
        kind: Kind of corpus, a key of `corpora.CORPORA`.
        name: Its name in a report.
        utterances: The labelled utterances.
        notes: What a reader of its results should know.
        label_set: The classes, as `data.labels.classes` reads them.
    """

    kind: str
    name: str
    utterances: list[Utterance]
    notes: tuple[str, ...] = ()
    label_set: str = "four"

    @property
    def transcribed(self) -> bool:
        """Whether any utterance has a transcript."""
        return any(tokens(utterance) for utterance in self.utterances)

    @property
    def untimed(self) -> int:
        """Number of utterances whose words have no times."""
        return sum(bool(tokens(utterance)) and not has_times(utterance) for utterance in self.utterances)


def has_times(utterance: Utterance) -> bool:
    """Check whether any word of an utterance has its time.

    Args:
        utterance: An utterance.

    Returns:
        Whether one has.
    """
    return any(word.start is not None for word in utterance.words or ())


def read(
    kind: str, path: Path, *, labels: str = "four", force: bool = False, progress: Progress | None = None
) -> LoadedCorpus:
    """Validate a corpus and read it.

    Args:
        kind: Kind of corpus.
        path: Its folder, or its manifest.
        labels: A label set, `as-is`, or the path of a file of labels.
        force: Go on with a corpus that has errors, without the utterances concerned.
        progress: Progress of the validation.

    Returns:
        The corpus.

    Raises:
        CorpusError: It does not exist, has errors, or has no labelled utterance.
    """
    corpus = find(kind, path)
    if not path.exists():
        what = "file" if corpus.is_file else "folder"
        raise CorpusError(f"{path}: no such {what}; give the path of the corpus, --corpus {kind}:PATH")
    validation = validate.check(kind, path, labels=labels, progress=progress)
    if not validation.healthy and not force:
        raise CorpusError(_refusal(kind, path, validation))
    problems: list[Problem] = []
    utterances = selected(corpus.scan(path, labels, problems.append))
    notes = []
    if not validation.healthy:
        notes.append(f"the corpus is not healthy: {_counts(validation)}; see: duetto corpus check")
    if force:
        faulty = {problem.id for problem in validation.errors}
        usable = [u for u in utterances if u.id not in faulty and u.audio.is_file()]
        if len(usable) < len(utterances):
            notes.append(f"{len(utterances) - len(usable)} of {len(utterances)} labelled utterances are left out")
        utterances = usable
    if not utterances:
        raise CorpusError(f"{path}: no utterance with a label in it; see: duetto corpus check {kind} {path}")
    name = path.name if corpus.is_file else corpus.title
    label_set = spelled(classes_of(utterances, corpus.label_map(labels)))
    return LoadedCorpus(kind, name, utterances, tuple(notes), label_set)


def _counts(validation: ValidationReport) -> str:
    kinds = [problem.kind for problem in validation.errors]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def _refusal(kind: str, path: Path, validation: ValidationReport) -> str:
    details = "".join(f"\n  {problem.detail}" for problem in validation.errors[:QUOTED])
    more = len(validation.errors) - QUOTED
    return (
        f"{path} is not healthy ({_counts(validation)}), so no figure on it can be compared with a published one:"
        f"{details}"
        + (f"\n  … and {more} more: duetto corpus check {kind} {path}" if more > 0 else "")
        + "\nRepair it; or go on without these utterances: --force"
    )


def with_word_times(
    corpus: LoadedCorpus, folder: Path, *, workers: int = 1, progress: Progress | None = None
) -> LoadedCorpus:
    """Add times to words that have none, by forced alignment.

    Args:
        corpus: The corpus.
        folder: Cache of the alignments.
        workers: Processes that align.
        progress: Progress of the alignment.

    Returns:
        The corpus with word times, and a note on how many were found; the same object where none were missing.
    """
    if not corpus.untimed:
        return corpus
    utterances, report = find_words(
        corpus.utterances, missing="skip", workers=workers, cache_folder=folder, progress=progress
    )
    notes = (*corpus.notes, f"times of words: {report.summary()}")
    return replace(corpus, utterances=utterances, notes=notes)
