"""The utterances of a manifest, given the classes of another label set.

    utterances, four | six | seven | as-is | FILE.toml ─ relabel ─▶ Labelled(utterances, classes)

Manifests keep the corpus' raw labels, which decide here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.labels import AS_IS, NAMES, LabelMap, classes, classes_of, spelled
from ..data.utterance import Utterance
from ..data.votes import majority
from ..errors import CorpusError
from . import CORPORA
from .labelling import LabelFile, check_choice, is_label_file, read_labels, unknown_labels


@dataclass(frozen=True)
class Labelled:
    """Utterances with the classes of one label set.

    Attributes:
        utterances: All utterances; `label` is a class or None, and so are the annotators' labels in `votes`.
        label_set: The classes, as `data.labels.classes` reads them and an experiment states them.
    """

    utterances: list[Utterance]
    label_set: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of logits."""
        return classes(self.label_set)


def relabel(utterances: Sequence[Utterance], labels: str) -> Labelled:
    """Give the utterances of a manifest the classes of a label set.

    The raw label decides, by the map of the utterance's corpus where that is known; else the name of the emotion, or
    the label that the manifest has. An utterance without any label takes the class of most annotators in `votes`.

    Args:
        utterances: Of a manifest.
        labels: A label set, `as-is`, or the path of a file of labels.

    Returns:
        The utterances with their classes, those of other labels with None.

    Raises:
        ConfigurationError: The choice does not exist, or fewer than two classes occur as they are.
        CorpusError: A raw label is neither mapped nor left out; lists all of them, and how to map them.
    """
    check_choice(labels)
    file = read_labels(Path(labels)) if is_label_file(labels) else None
    mappers: dict[str | None, _Mapper] = {}
    found, unknown = list[Utterance](), Counter[str]()
    for utterance in utterances:
        if utterance.corpus not in mappers:
            mappers[utterance.corpus] = _mapper(utterance.corpus, labels, file)
        mapper = mappers[utterance.corpus]
        labelled = mapper.labelled(utterance)
        if labelled is None:
            unknown[utterance.raw_label or utterance.label or ""] += 1
        else:
            found.append(labelled)
    if unknown:
        raise CorpusError(unknown_labels(unknown, labels))
    if file is not None:
        return Labelled(found, spelled(file.classes))
    return Labelled(found, spelled(classes_of(found, LabelMap(labels, {}, as_is=labels == AS_IS))))


@dataclass(frozen=True)
class _Mapper:
    """The raw labels of one corpus → classes.

    own: its map. known: raw labels that it has. votes: annotator's label, in lower case → raw label. lenient: whether
    a raw label that is not known has no class, since the corpus does not list all that it has.
    """

    own: LabelMap
    known: frozenset[str]
    votes: Mapping[str, str]
    lenient: bool = False

    def labelled(self, utterance: Utterance) -> Utterance | None:
        """The utterance with its class and the classes of its votes; None where its label is unknown."""
        votes = None if utterance.votes is None else self._votes(utterance.votes)
        given = [name for name in (utterance.raw_label, utterance.label) if name is not None]
        if not given:
            return replace(utterance, label=None if votes is None else majority(votes), votes=votes)
        if self.own.as_is:
            raw = utterance.raw_label
            label = self.own.get(raw) if raw in self.known else (utterance.label or raw)
        else:
            at = next((name for name in given if self._is_known(name)), None)
            if at is None and not self.lenient:
                return None
            label = None if at is None else self._class(at)
        raw_label = utterance.raw_label or (utterance.label if utterance.label != label else None)
        return replace(utterance, label=label, raw_label=raw_label, votes=votes)

    def _is_known(self, name: str) -> bool:
        lower = name.strip().lower()
        return name in self.known or lower in self.known or (not self.own.strict and lower in NAMES)

    def _class(self, name: str) -> str | None:
        """The class of a raw label that is known; None where it has none in this set."""
        if name in self.known:
            return self.own.get(name)
        lower = name.strip().lower()
        if lower in self.known:
            return self.own.get(lower)
        named = NAMES.get(lower)
        return named if named in self.own.classes and not self.own.strict else None

    def _votes(self, votes: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """The votes as classes, without those that have none."""
        found: dict[str, tuple[str, ...]] = {}
        for annotator, names in votes.items():
            given = (self._vote(name) for name in names)
            if kept := tuple(dict.fromkeys(name for name in given if name is not None)):
                found[annotator] = kept
        return found

    def _vote(self, name: str) -> str | None:
        raw = self.votes.get(name.strip().lower(), name)
        if self.own.as_is:
            return self.own.get(raw) if raw in self.known or not self.known else NAMES.get(raw.strip().lower())
        return self._class(raw)


def _mapper(kind: str | None, labels: str, file: LabelFile | None) -> _Mapper:
    """The map of a corpus; of utterances whose corpus is not known, that of the names of emotions."""
    corpus = CORPORA.get(kind or "")
    votes = {} if corpus is None else corpus.votes
    if file is not None:
        own = file.label_map(kind)
        return _Mapper(own, frozenset(own.raw_labels) | own.left_out, votes)
    if corpus is not None and corpus.maps_to(labels):
        own = corpus.label_map(labels)
        return _Mapper(own, frozenset(own.raw_labels) | frozenset(corpus.emotions), votes, not corpus.emotions)
    if labels == AS_IS:
        return _Mapper(LabelMap(AS_IS, {}, as_is=True), frozenset(), votes)
    members = classes(labels)
    own = LabelMap(labels, {name: name for name in members})
    return _Mapper(own, frozenset(members), votes)
