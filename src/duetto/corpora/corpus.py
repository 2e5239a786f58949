"""`Corpus`: everything that duetto states about one corpus, and the one way to read it.

    CORPORA["emodb"](path)                        list[Utterance], or a CorpusError at the first error
    CORPORA["emodb"].scan(path, "four", report)   list[Utterance], with every problem passed to `report`

A corpus is one file in this package: it holds a function that reads the folder, the facts of the release, and a
`CORPUS` built from both. `duetto.corpora.CORPORA` lists them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..data.labels import AS_IS, LABEL_SETS, LabelMap, classes
from ..data.utterance import Utterance
from ..errors import ConfigurationError
from .labelling import is_label_file, read_labels, unknown_labels
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
        emotions: Raw label → class, for all classes that the corpus has itself (`as-is`), by the names of
            `data.labels.NAMES`; raw labels that name no emotion are missing. Empty where each raw label is a class.
        votes: Label that an annotator gives, in lower case → raw label, where they differ.
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
    emotions: Mapping[str, str] = field(default_factory=dict)
    votes: Mapping[str, str] = field(default_factory=dict)
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
            labels: What gives each utterance its class: a label set, `as-is`, or the path of a file of labels
                (`corpora.labelling`).

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
            labels: As for a call.
            report: Called with each problem.

        Returns:
            All utterances that can be read, sorted by id.

        Raises:
            CorpusError: The path does not hold the corpus at all.
            ConfigurationError: The label set does not exist, or the corpus has no map to it.
        """
        mapping = self.label_map(labels)
        utterances = self.read(path, mapping, report)
        unknown = Counter(
            u.raw_label for u in utterances if u.raw_label is not None and mapping.is_unknown(u.raw_label)
        )
        if unknown and not self.is_file:
            report(Problem("unknown-label", path.name, unknown_labels(unknown, labels)))
        return [replace(u, language=self.language or u.language, corpus=u.corpus or self.name) for u in utterances]

    def maps_to(self, label_set: str) -> bool:
        """Check whether the corpus has a map to a label set.

        Args:
            label_set: A key of `data.labels.LABEL_SETS`, or `as-is`.

        Returns:
            Whether it states one, or one follows from its emotions.
        """
        derived = bool(self.emotions) and label_set in (*_DERIVED, AS_IS)
        return derived or label_set in self.label_maps

    def label_map(self, label_set: str) -> LabelMap:
        """Return the map from the corpus' raw labels to the classes of a label set.

        A map to `six` or `seven` that the corpus does not state is that to `four`, with the other emotions of the set.

        Args:
            label_set: A key of `data.labels.LABEL_SETS`, `as-is`, or the path of a file of labels.

        Returns:
            The map; without entries for a corpus that has no emotion labels.

        Raises:
            ConfigurationError: The label set or the file does not exist, or the corpus has no map to it.
        """
        if is_label_file(label_set):
            return read_labels(Path(label_set)).label_map(self.name or self.title.lower())
        if label_set == AS_IS:
            # A corpus that lists its emotions leaves out what is none, such as a label without a majority.
            if not self.label_maps:
                return LabelMap(AS_IS, {}, ())
            found = tuple(sorted(set(self.emotions.values())))
            return LabelMap(AS_IS, self.emotions, found or None, as_is=not self.emotions)
        members = classes(label_set)
        if label_set in self.label_maps:
            return LabelMap(label_set, self.label_maps[label_set])
        if self.emotions and label_set in _DERIVED:
            others = {raw: label for raw, label in self.emotions.items() if label in members}
            return LabelMap(label_set, {**others, **self.label_maps.get("four", {})})
        if self.label_maps:
            known = (*self.label_maps, *(_DERIVED if self.emotions else ()), AS_IS)
            raise ConfigurationError(
                f"{self.title} has no map to label set {label_set!r}, only to {', '.join(dict.fromkeys(known))}; "
                "map its labels in a file: --labels FILE.toml"
            )
        return LabelMap(label_set, {})


_DERIVED = tuple(name for name in LABEL_SETS if name != "four")
