"""`Corpus`: everything that duetto states about one corpus, and the one way to read it.

    CORPORA["emodb"](path)                        list[Utterance], or a CorpusError at the first error
    CORPORA["emodb"].scan(path, "four", report)   list[Utterance], with every problem passed to `report`

A corpus is one file in this package: it holds a function that reads the folder, the facts of the release, and a
`CORPUS` built from both. `duetto.corpora.CORPORA` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..data.labels import LabelMap, classes
from ..data.utterance import Utterance
from ..errors import ConfigurationError
from .parsing import Problem, Report, refuse

Reader = Callable[[Path, LabelMap, Report], list[Utterance]]
"""(path, label map, report) → utterances sorted by id; raises CorpusError where there is no such corpus at all."""

Check = Callable[[Path, Sequence[Utterance], Collection[str], bool], Iterable[Problem]]
"""(path, utterances, ids already reported, whether to compare with the release) → problems of the corpus."""


@dataclass(frozen=True)
class Corpus:
    """One corpus: how to read it, and what its release holds.

    Attributes:
        title: Name for error messages and reports.
        read: Reads the folder and reports every problem it meets.
        name: Its kind, a key of `CORPORA`, which becomes `Utterance.corpus`; None where utterances state their own.
        label_maps: Label set → raw label → class. Empty for a corpus without emotion labels.
        is_file: Whether the path is a file that describes the corpus instead of its folder.
        transcribed: Whether every utterance of the release has a transcript, so that a missing one is an error.
        named: Whether every utterance of the release has a speaker, so that a missing one is an error.
        language: What is spoken in all of its recordings (ISO 639-1); None where it is not one language, or each
            utterance states its own.
        sample_rate: Samples per second of every recording of the release, in Hz; None where it varies.
        size: Utterances in the release, where parts of it are in common use (a difference is a note).
        speakers: Speaker → utterances in the release (a difference is an error).
        subsets: Folder of a subset → utterances in the release (a difference is a note).
        check: Replaces the common checks of speakers, labels, transcripts and counts (`corpora.validate`).
    """

    title: str
    read: Reader
    name: str | None = None
    label_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    is_file: bool = False
    transcribed: bool = False
    named: bool = True
    language: str | None = None
    sample_rate: int | None = None
    size: int | None = None
    speakers: Mapping[str, int] = field(default_factory=dict)
    subsets: Mapping[str, int] = field(default_factory=dict)
    check: Check | None = None

    def __call__(self, path: str | Path, labels: str = "four") -> list[Utterance]:
        """Read all utterances of the corpus.

        Args:
            path: The corpus folder, or its file.
            labels: Label set that gives each utterance its class.

        Returns:
            All utterances, sorted by id, including those without a class (`label=None`).

        Raises:
            CorpusError: The path does not hold the corpus, or part of it cannot be read; names file and line.
            ConfigurationError: The label set does not exist, or the corpus has no map to it.
        """
        return self.scan(Path(path), labels, refuse)

    def scan(self, path: Path, labels: str, report: Report) -> list[Utterance]:
        """Read all utterances, and report every problem instead of stopping at the first.

        Args:
            path: The corpus folder, or its file.
            labels: Label set that gives each utterance its class.
            report: Called with each problem.

        Returns:
            All utterances that can be read, sorted by id.

        Raises:
            CorpusError: The path does not hold the corpus at all.
            ConfigurationError: The label set does not exist, or the corpus has no map to it.
        """
        utterances = self.read(path, self.label_map(labels), report)
        return [replace(u, language=self.language or u.language, corpus=u.corpus or self.name) for u in utterances]

    def label_map(self, label_set: str) -> LabelMap:
        """Return the map from the corpus' raw labels to the classes of a label set.

        Args:
            label_set: A key of `data.labels.LABEL_SETS`.

        Returns:
            The map; without entries for a corpus that has no emotion labels.

        Raises:
            ConfigurationError: The label set does not exist, or the corpus has no map to it.
        """
        classes(label_set)
        if self.label_maps and label_set not in self.label_maps:
            raise ConfigurationError(
                f"{self.title} has no map to label set {label_set!r}, only to {', '.join(self.label_maps)}"
            )
        return LabelMap(label_set, self.label_maps.get(label_set, {}))
