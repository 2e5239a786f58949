"""Which utterances are tested, and what a model reads of them.

utterances ─ choose ─▶ Chosen ─ Recordings ─▶ 16 kHz samples under a condition, seeded by what they contain
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import audio
from ..audio.timing import SAMPLE_RATE
from ..data.utterance import Utterance, by_id
from ..errors import AudioError, ConfigurationError, DuettoError
from ..features.content import Contents
from .conditions import CONDITIONS, VOICES

_POOL, _POOL_SECONDS = 24, 10.0
"""Recordings that babble is drawn from, and the seconds of each that are kept in memory."""


@dataclass(frozen=True)
class Chosen:
    """The utterances of the tests.

    Attributes:
        utterances: Labelled with classes of the model, sorted by id.
        of: Number of such utterances in the manifest.
        other_labels: Label that the model does not have → number of utterances, which are left out.
        unlabelled: Number of utterances without a label, which are left out.
    """

    utterances: tuple[Utterance, ...]
    of: int
    other_labels: dict[str, int]
    unlabelled: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        notes = []
        if len(self.utterances) < self.of:
            notes.append(f"{len(self.utterances):,} of {self.of:,} utterances, drawn class by class")
        if self.other_labels:
            listed = ", ".join(f"{label} ({n:,})" for label, n in sorted(self.other_labels.items()))
            notes.append(f"left out, whose label is no class of the model: {listed}")
        if self.unlabelled:
            notes.append(f"{self.unlabelled:,} utterances left out, which have no label")
        return tuple(notes)


def choose(utterances: Sequence[Utterance], classes: Sequence[str], limit: int | None = None, seed: int = 0) -> Chosen:
    """Choose the utterances to test on.

    Args:
        utterances: Of a manifest.
        classes: Of the model.
        limit: Most utterances; None for all. Each class keeps its share of them, and within a class each speaker comes
            once before any comes twice.
        seed: Of the draw, which depends on ids and not on their order.

    Returns:
        The utterances.

    Raises:
        ConfigurationError: No utterance has a class of the model.
    """
    labelled = [u for u in utterances if u.label is not None]
    known = [u for u in labelled if u.label in classes]
    others = dict(Counter(str(u.label) for u in labelled if u.label not in classes))
    if not known:
        found = ", ".join(sorted(others)) or "none"
        raise ConfigurationError(
            f"nothing to test: the labels of the manifest are {found}, the classes of the model {', '.join(classes)}; "
            "give --labels, or write the manifest with labels of these names"
        )
    picked = known if limit is None or limit >= len(known) else _drawn(known, limit, seed)
    return Chosen(tuple(by_id(picked)), len(known), others, len(utterances) - len(labelled))


def _drawn(utterances: Sequence[Utterance], limit: int, seed: int) -> list[Utterance]:
    """`limit` utterances: place r of the n of a class comes at (r + ½) / n, so that every class is drawn evenly."""
    by_class: dict[str, list[Utterance]] = defaultdict(list)
    for u in sorted(utterances, key=lambda u: (_drawn_number(f"{seed} {u.id}"), u.id)):
        by_class[str(u.label)].append(u)
    placed = []
    for label, members in by_class.items():
        turns = Counter[str | None]()
        order = []
        for u in members:
            order.append((turns[u.speaker], len(order), u))
            turns[u.speaker] += 1
        ranked = sorted(order, key=lambda entry: entry[:2])
        placed += [((r + 0.5) / len(ranked), label, u) for r, (*_, u) in enumerate(ranked)]
    return [u for *_, u in sorted(placed, key=lambda entry: entry[:2])[:limit]]


def _drawn_number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")


class Recordings:
    """The recordings of utterances under conditions.

    Args:
        utterances: The utterances.

    Attributes:
        keys: Of each utterance: the digest of its recording, and its cut. Recordings that cannot be read have their
            name instead.
    """

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        found = Contents()(u.audio.absolute() for u in utterances)
        self.keys = [f"{found.get(u.audio.absolute(), u.audio)} {u.start} {u.end}" for u in utterances]
        self._at = {u.id: i for i, u in enumerate(utterances)}
        self._utterances = utterances
        self._pool: list[tuple[int, np.ndarray]] | None = None

    def mixed_from(self) -> str:
        """Name what babble is drawn from.

        Returns:
            A digest of the recordings.
        """
        return hashlib.sha256("\n".join(self.keys[i] for i in self._pooled()).encode()).hexdigest()[:16]

    def enough_voices(self) -> bool:
        """Check for babble.

        Returns:
            Whether there are recordings enough to mix, none of them the one that is tested.
        """
        return len(self.keys) > VOICES

    def load(self, utterance: Utterance, condition: str | None) -> audio.Source | DuettoError:
        """Read an utterance under a condition.

        Args:
            utterance: One of the utterances.
            condition: Key of `CONDITIONS`; None for the recording as it is.

        Returns:
            Its samples, or why they cannot be read.
        """
        try:
            samples = audio.load(utterance.audio, start=utterance.start, end=utterance.end).samples
            if condition is not None:
                samples = self._changed(utterance, samples, condition)
        except DuettoError as error:
            return error
        except (OSError, UnicodeError, MemoryError) as error:
            return AudioError(f"{utterance.audio}: {error or type(error).__name__}")
        return {"waveform": samples, "sample_rate": SAMPLE_RATE}

    def _changed(self, utterance: Utterance, samples: np.ndarray, condition: str) -> np.ndarray:
        change, at = CONDITIONS[condition], self._at[utterance.id]
        others = [] if not change.mixes else [x for i, x in self._voices() if self._is_other(i, at)]
        return change.apply(samples, _drawn_number(f"{self.keys[at]} {condition}"), others)

    def _is_other(self, i: int, at: int) -> bool:
        """Whether a recording is of another speaker, or where speakers are unknown or too few, another recording."""
        if self.keys[i].split(" ")[0] == self.keys[at].split(" ")[0]:
            return False
        speakers = {self._utterances[j].speaker for j, _ in self._voices()}
        mine = self._utterances[at].speaker
        return mine is None or len(speakers) <= 2 or self._utterances[i].speaker != mine

    def _pooled(self) -> list[int]:
        """Indices of the recordings that babble is drawn from, each speaker once before any comes twice."""
        turns, order = Counter[str | None](), []
        for i in sorted(range(len(self.keys)), key=lambda i: _drawn_number(self.keys[i])):
            order.append((turns[self._utterances[i].speaker], len(order), i))
            turns[self._utterances[i].speaker] += 1
        return [i for *_, i in sorted(order)[:_POOL]]

    def _voices(self) -> list[tuple[int, np.ndarray]]:
        if self._pool is None:
            read = [(i, self.load(self._utterances[i], None)) for i in self._pooled()]
            most = round(_POOL_SECONDS * SAMPLE_RATE)
            self._pool = [(i, found["waveform"][:most]) for i, found in read if isinstance(found, dict)]
        return self._pool
