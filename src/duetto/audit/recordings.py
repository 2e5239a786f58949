"""The same audio under several names: recordings identified by their samples, and overlapping cuts of one file.

utterances ─ recording_keys ─▶ RecordingKeys: cut → key; equal keys, equal samples
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from .. import audio
from ..data.utterance import Utterance
from ..errors import AudioError
from ..utils.progress import Progress

OVERLAP = 0.5
"""Share of the shorter of two cuts of one file from which they count as the same audio. Speakers who talk at the same
time overlap by less."""

_SAME_LENGTH = 0.001
"""Seconds by which equal lengths may differ, through rounding to samples; cuts of other lengths have other samples."""

Cut = tuple[Path, float | None, float | None]
"""File, start, end."""


@dataclass(frozen=True)
class RecordingKeys:
    """Keys that identify the audio of utterances.

    Attributes:
        keys: Cut → a string that is equal for equal samples.
        unread: Cut → why it could not be read; such a cut is identified by its file and times alone.
    """

    keys: Mapping[Cut, str]
    unread: Mapping[Cut, str]

    def key(self, utterance: Utterance) -> str:
        """Look up the key of an utterance.

        Args:
            utterance: One of those that were identified.

        Returns:
            A string that is equal for utterances with the same audio.
        """
        return self.keys[_cut(utterance)]


def _cut(utterance: Utterance) -> Cut:
    return utterance.audio.absolute(), utterance.start, utterance.end


def recording_keys(
    utterances: Iterable[Utterance], *, read: bool = True, progress: Progress | None = None
) -> RecordingKeys:
    """Identify every recording by its decoded samples, so that neither name, container nor header hides a copy.

    Only recordings of equal length, according to their headers, are decoded. A copy at another sample rate or level,
    or with lossy coding, has other samples and is not recognised.

    Args:
        utterances: The utterances.
        read: Whether to read the recordings; without it, only files and times are compared.
        progress: Called after each recording.

    Returns:
        The keys of all utterances.
    """
    keys: dict[Cut, str] = {c: repr(c) for c in map(_cut, utterances)}
    if not read:
        return RecordingKeys(keys, {})
    unread: dict[Cut, str] = {}
    lengths = _lengths(keys, unread)
    candidates = _of_equal_length(lengths)
    for done, place in enumerate(candidates, 1):
        path, start, end = place
        try:
            samples = audio.load(path, start=start, end=end).samples
            keys[place] = hashlib.blake2b(samples.tobytes(), digest_size=16).hexdigest()
        except AudioError as error:
            unread[place] = str(error)
        if progress is not None:
            progress(done, len(candidates))
    return RecordingKeys(keys, unread)


def _lengths(cuts: Iterable[Cut], unread: dict[Cut, str]) -> dict[Cut, float]:
    """Seconds of every cut, from the header; enters those that cannot be read in `unread`."""
    lengths: dict[Cut, float] = {}
    files: dict[Path, float | str] = {}
    for place in cuts:
        path, start, end = place
        if path not in files:
            try:
                files[path] = audio.duration(path)
            except AudioError as error:
                files[path] = str(error)
        whole = files[path]
        if isinstance(whole, str):
            unread[place] = whole
        else:
            lengths[place] = min(math.inf if end is None else end, whole) - (start or 0.0)
    return lengths


def _of_equal_length(lengths: Mapping[Cut, float]) -> list[Cut]:
    """Cuts that have a neighbour of equal length, in order of length."""
    ordered = sorted(lengths, key=lambda place: lengths[place])
    close = [lengths[b] - lengths[a] <= _SAME_LENGTH for a, b in pairwise(ordered)]
    return [
        place
        for number, place in enumerate(ordered)
        if any(close[max(0, number - 1) : number + 1])  # the one before, or the one after
    ]


def overlaps(members: Iterable[tuple[str, Utterance]]) -> Iterator[tuple[tuple[str, Utterance], tuple[str, Utterance]]]:
    """Find cuts of one file, in different parts, that share at least `OVERLAP` of the shorter one.

    Args:
        members: (part, utterance) of one fold.

    Yields:
        Pairs of (part, utterance).
    """
    by_file: dict[Path, list[tuple[str, Utterance]]] = defaultdict(list)
    for part, utterance in members:
        by_file[utterance.audio.absolute()].append((part, utterance))
    for here in by_file.values():
        here.sort(key=lambda member: member[1].start or 0.0)
        for number, (part, utterance) in enumerate(here):
            start, end = _span(utterance)
            for other_part, other in here[number + 1 :]:
                other_start, other_end = _span(other)
                if other_start >= end:
                    break
                shorter = min(end - start, other_end - other_start)
                shared = min(end, other_end) - other_start
                if part != other_part and (shared == math.inf or shared >= OVERLAP * shorter):
                    yield (part, utterance), (other_part, other)


def _span(utterance: Utterance) -> tuple[float, float]:
    return utterance.start or 0.0, math.inf if utterance.end is None else utterance.end
