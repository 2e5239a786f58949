"""The effects of moments and words on an answer: each is left out in turn, and the system answers again.

PreparedRecording, moments ─ Occlusion.of_moments ─▶ (moments, classes) effects
PreparedRecording, words ─ Occlusion.of_words ─▶ (parts, classes) effects
           └──────── explained ────────▶ Explanation

Moments are left out of the sound that the acoustic encoders read, and the words stay; words are left out of those that
the word encoders read, and the sound stays. So each effect is that of one modality. The speech recogniser runs once:
what it would recognise in the rest of the sound may be other words, whose effect is not that of the moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..audio import Waveform
from ..audio.activity import MIN_SPEECH_SECONDS, Segment, speech_seconds
from ..audio.timing import seconds
from ..data.utterance import Word
from ..utils.progress import Progress
from .certainty import Certainty
from .explanation import Explanation, Moment, WordEffect, moments_of, phrases_of, speech_without, without
from .inputs import part_begin
from .network import Network, NetworkInputs, PreparedRecording, joined
from .prediction import Prediction
from .speaker_session import Statistics

if TYPE_CHECKING:
    from ..evaluation.product import PosteriorFusion

_AT_ONCE = 16
"""Variants of a recording in memory, and in one batch of a network."""

_Variant = tuple[NetworkInputs, ...]
"""What each network reads of a recording from which a part is left out; as before, the same object."""


@dataclass(frozen=True, eq=False)
class Occlusion:
    """A system, and a recording that it has answered.

    Attributes:
        fusion: What joins the networks; None for one network.
        networks: Of the system.
        certainty: How wide its probabilities are.
        waveform: The recording.
        recording: What the networks read of it.
        speaker: Statistics of the speaker for each network; None for those of training.
    """

    fusion: PosteriorFusion | None
    networks: Sequence[Network]
    certainty: Certainty
    waveform: Waveform
    recording: PreparedRecording
    speaker: Statistics | None = None

    def of_moments(self, moments: Sequence[Segment], progress: Progress | None = None) -> NDArray[np.float64]:
        """Compute the effects of moments.

        Args:
            moments: Stretches in samples. What remains without one must be long enough for an answer.
            progress: Called with the number of moments done, and of all.

        Returns:
            (moments, classes): log-probabilities of the recording less those without the moment.
        """
        return self._effects(self._of_sound(moments), len(moments), progress)

    def of_words(self, parts: Sequence[tuple[int, int]], progress: Progress | None = None) -> NDArray[np.float64]:
        """Compute the effects of words.

        Args:
            parts: Number of the first word of each and of the one after its last.
            progress: Called with the number of parts done, and of all.

        Returns:
            (parts, classes): log-probabilities of the recording less those without these words.
        """
        return self._effects(self._of_words(parts), len(parts), progress)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words that the system read."""
        return () if self.recording.found is None else self.recording.found.words

    @property
    def uses_audio(self) -> bool:
        """Whether a network reads the sound of the recording, not only that of words."""
        return any(network.uses_audio for network in self.networks)

    def _of_sound(self, moments: Iterable[Segment]) -> Iterator[_Variant]:
        """The recording without each of the moments; features are extracted once for all networks."""
        statistics = self.speaker or [None] * len(self.networks)
        for start, end in moments:
            sound = replace(self.waveform, samples=without(self.waveform.samples, start, end))
            speech, extracted = speech_without(self.recording.speech, start, end), {}
            yield tuple(
                network.with_sound(read, sound, speech, extracted, own)
                for network, read, own in zip(self.networks, self.recording.inputs, statistics, strict=True)
            )

    def _of_words(self, parts: Iterable[tuple[int, int]]) -> Iterator[_Variant]:
        words, speech = self.words, not self.recording.silent
        for first, last in parts:
            rest = (*words[:first], *words[last:])
            yield tuple(
                network.with_words(read, self.waveform, rest, speech=speech)
                for network, read in zip(self.networks, self.recording.inputs, strict=True)
            )

    def _effects(self, variants: Iterator[_Variant], count: int, progress: Progress | None) -> NDArray[np.float64]:
        logits = [network.logits_of([read])[0] for network, read in self._whole()]
        whole = self._log_probabilities(logits, self.recording.inputs)
        effects = np.zeros((count, len(whole)))
        done, prepared = 0, _reported(variants, count, progress)
        while some := list(islice(prepared, _AT_ONCE)):
            each = self._logits(some, logits)
            for i, variant in enumerate(some):
                effects[done + i] = whole - self._log_probabilities([own[i] for own in each], variant)
            done += len(some)
        return effects

    def _whole(self) -> Iterator[tuple[Network, NetworkInputs]]:
        return zip(self.networks, self.recording.inputs, strict=True)

    def _logits(self, variants: Sequence[_Variant], known: Sequence[np.ndarray]) -> list[np.ndarray]:
        """(variants, classes) of each network; what reads the same as without anything left out is not computed."""
        found = []
        for at, (network, whole) in enumerate(self._whole()):
            logits = np.repeat(known[at][None], len(variants), axis=0)
            changed = [i for i, variant in enumerate(variants) if variant[at] is not whole]
            if changed:
                logits[changed] = network.logits_of([variants[i][at] for i in changed])
            found.append(logits)
        return found

    def _log_probabilities(self, logits: Sequence[np.ndarray], inputs: Sequence[NetworkInputs]) -> NDArray[np.float64]:
        answer = joined(self.fusion, self.networks, logits, inputs)
        return self.certainty.log_probabilities(answer.log_posteriors, inputs)


def explained(prediction: Prediction, occlusion: Occlusion, progress: Progress | None = None) -> Explanation:
    """Explain an answer by what it would have been without each of its moments and words.

    Args:
        prediction: The answer.
        occlusion: The system and the recording.
        progress: Called with the number of parts done, and of all.

    Returns:
        The explanation. A system that reads no sound gives every moment an effect of 0.
    """
    sound, labels = occlusion.waveform.samples, list(prediction.probabilities)
    speech = occlusion.recording.speech or ([] if occlusion.recording.silent else [(0, len(sound))])
    moments, parts = moments_of(speech), phrases_of(occlusion.words)
    left = [i for i, (start, end) in enumerate(moments) if _answerable(speech, start, end)]
    evaluated = left if occlusion.uses_audio else []
    total = len(evaluated) + len(parts)
    effects = np.zeros((len(moments), len(labels)))
    effects[evaluated] = occlusion.of_moments([moments[i] for i in evaluated], _part_of(progress, 0, total))
    of_words = occlusion.of_words(parts, _part_of(progress, len(evaluated), total))
    offset = part_begin(occlusion.waveform, occlusion.networks[0].acoustic_input.side)
    return Explanation(
        prediction,
        tuple(
            Moment(offset + seconds(start), offset + seconds(end), _named(labels, effects[i]) if i in left else {})
            for i, (start, end) in enumerate(moments)
        ),
        tuple(
            _word_effect([word.shifted(offset) for word in occlusion.words[first:last]], _named(labels, own))
            for (first, last), own in zip(parts, of_words, strict=True)
        ),
        1 + total,
    )


def _reported(variants: Iterator[_Variant], count: int, progress: Progress | None) -> Iterator[_Variant]:
    """The variants; each is reported once it is prepared, which takes most of the time."""
    for done, variant in enumerate(variants, 1):
        if progress:
            progress(done, count)
        yield variant


def _answerable(speech: Sequence[Segment], start: int, end: int) -> bool:
    """Whether the recording without a stretch has speech enough for an answer."""
    return speech_seconds(speech_without(speech, start, end)) >= MIN_SPEECH_SECONDS


def _part_of(progress: Progress | None, before: int, total: int) -> Progress | None:
    """The progress of a part of the work."""
    return None if progress is None else lambda done, _: progress(before + done, total)


def _named(labels: Sequence[str], effects: np.ndarray) -> dict[str, float]:
    return dict(zip(labels, map(float, effects), strict=True))


def _word_effect(words: Sequence[Word], effects: dict[str, float]) -> WordEffect:
    return WordEffect(" ".join(word.word for word in words), words[0].start, words[-1].end, effects)
