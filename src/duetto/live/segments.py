"""Speech of a stream, cut into utterances as it arrives.

samples ─ Segmenter.push ─▶ SpeechBegin, SpeechSegment, SpeechEnd, …
                            by audio.activity's probabilities of speech, amplified causally (`live.gain`)

The law: the same samples give the same results, to the last bit, however they are pushed: whole or in pieces of any
length. And no segment depends on what comes more than `SegmenterConfig.lookahead_seconds` after its end. Both hold
since everything is computed from chunks of 512 samples at fixed places of the stream, in groups of four, in order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..audio.activity import CHUNK_SECONDS, SpeechDetector
from ..audio.loudness import chunk_variances
from ..audio.signal import as_float
from ..audio.silero import CHUNK
from ..audio.timing import samples
from ..errors import AudioError, ConfigurationError
from .gain import CausalGain
from .history import History
from .state import Found, UtteranceState, in_chunks

GROUP = 4
"""Chunks that are analysed together, 128 ms: the network costs the same for 1 and for 16 of them."""

_SLICE = 16 * GROUP * CHUNK
"""Samples of a piece that are taken at once, 2 s: memory does not grow with what is pushed."""


ENDED = "the stream has ended (finish was called); start a new one for other samples"
"""Message of the error."""


@dataclass(frozen=True)
class SegmenterConfig:
    """How speech is cut into utterances. The defaults suit calls and conversations.

    Durations are rounded up to chunks of 32 ms, but for `padding`.

    Attributes:
        threshold: Speech begins with a probability from this on.
        release: A chunk counts as speech, once speech has begun, from this probability on.
        min_speech: Seconds. Less speech than this in all is no utterance, and does not count as begun.
        min_pause: Seconds. A pause from this on ends an utterance.
        max_utterance: Seconds. A longer utterance is cut at its quietest chunk of the last `cut_window`.
        cut_window: Seconds before `max_utterance` in which it may be cut; at most half of it.
        padding: Seconds of sound before and after an utterance that its samples include, where no other utterance has
            them; at most half of `min_pause`.
        snapshot: Seconds from one snapshot of an utterance that has not ended to the next; None for no snapshots.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    threshold: float = 0.5
    release: float = 0.35
    min_speech: float = 0.25
    min_pause: float = 0.5
    max_utterance: float = 15.0
    cut_window: float = 3.0
    padding: float = 0.2
    snapshot: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.release <= self.threshold < 1:
            raise ConfigurationError(
                f"threshold {self.threshold!r} and release {self.release!r}: give 0 < release ≤ threshold < 1"
            )
        ranges = {
            "min_speech": (0.032, 5.0),
            "min_pause": (0.1, 10.0),
            "max_utterance": (1.0, 60.0),
            "cut_window": (0.1, self.max_utterance / 2),
            "padding": (0.0, self.min_pause / 2),
            "snapshot": (0.1, 60.0),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ConfigurationError(f"{name} is {value!r}; give {low:g} to {high:g} seconds")

    @property
    def lookahead_seconds(self) -> float:
        """Seconds after its end on which a segment may depend.

        For one that a pause ends, it is `min_pause`; for one that was too long, up to `min_pause` + `cut_window`.
        """
        return (in_chunks(self.min_pause) + in_chunks(self.cut_window)) * CHUNK_SECONDS


@dataclass(frozen=True, slots=True)
class SpeechBegin:
    """Speech has begun, and there is enough of it for an utterance.

    Attributes:
        start: Sample of the stream at which it begins.
        known_at: Samples of the stream after which this is known.
    """

    start: int
    known_at: int


@dataclass(frozen=True, slots=True)
class SpeechEnd:
    """Speech has ended with a pause or with the stream. Each one follows a `SpeechBegin`.

    Attributes:
        end: Sample of the stream after the last one of speech.
        known_at: Samples of the stream after which this is known.
    """

    end: int
    known_at: int


@dataclass(frozen=True, slots=True, eq=False)
class SpeechSegment:
    """An utterance, or a snapshot of one that has not ended. Each lies between a `SpeechBegin` and its `SpeechEnd`.

    Attributes:
        start: Sample of the stream at which its speech begins.
        end: Sample after the last one of speech.
        first: Sample of the stream at which `samples` begin: up to `SegmenterConfig.padding` before `start`.
        samples: (n,) float32 at 16 kHz, as pushed (not amplified), to up to `SegmenterConfig.padding` after `end`.
        final: Whether the utterance has ended; a snapshot has not.
        cut: Whether it was too long and ends within speech, which goes on in the next one.
        known_at: Samples of the stream after which this is known.
    """

    start: int
    end: int
    first: int
    samples: NDArray[np.float32]
    final: bool
    cut: bool
    known_at: int


SegmentEvent = SpeechBegin | SpeechSegment | SpeechEnd


class Segmenter:
    """Cuts one stream into utterances, in constant memory; for one thread.

    Args:
        config: How; by default `SegmenterConfig()`.
    """

    def __init__(self, config: SegmenterConfig | None = None) -> None:
        self._config = config or SegmenterConfig()
        c = self._config
        self._detector, self._gain = SpeechDetector(), CausalGain()
        self._state = UtteranceState(
            threshold=c.threshold,
            release=c.release,
            shortest=in_chunks(c.min_speech),
            pause=in_chunks(c.min_pause),
            longest=in_chunks(c.max_utterance),
            window=in_chunks(c.cut_window),
            snapshot=None if c.snapshot is None else in_chunks(c.snapshot),
        )
        self._padding = samples(c.padding)
        self._history = History(samples(c.max_utterance) + self._padding + _SLICE + 2 * GROUP * CHUNK)
        self._analysed = 0
        self._used = 0
        self._ended = False

    def push(self, block: np.ndarray) -> list[SegmentEvent]:
        """Take the next samples.

        Args:
            block: (n,) samples at 16 kHz, any number (`signal.validate_samples`).

        Returns:
            What is known now and was not before, in order.

        Raises:
            AudioError: The samples are not valid, or the stream has ended.
        """
        if self._ended:
            raise AudioError(ENDED)
        if not np.size(block):
            return []
        sound = as_float(block).astype(np.float32, copy=False)
        found: list[SegmentEvent] = []
        for at in range(0, len(sound), _SLICE):
            self._history.append(sound[at : at + _SLICE])
            groups = (self._history.end - self._analysed * CHUNK) // (GROUP * CHUNK)
            found += self._analyse(groups * GROUP)
        return found

    def finish(self) -> list[SegmentEvent]:
        """End the stream.

        Returns:
            What was not known before, in order.

        Raises:
            AudioError: It has ended already.
        """
        if self._ended:
            raise AudioError(ENDED)
        self._ended = True
        found = self._analyse(-(-(self._history.end - self._analysed * CHUNK) // CHUNK))
        return found + [self._event(each) for each in self._state.close()]

    def _analyse(self, count: int) -> list[SegmentEvent]:
        """What the next chunks add; an incomplete last one is padded with silence."""
        if not count:
            return []
        begin = self._analysed * CHUNK
        sound = self._history.cut(begin, begin + count * CHUNK)
        chunks = np.pad(sound, (0, count * CHUNK - len(sound))).reshape(count, CHUNK)
        probabilities = self._detector.add(self._gain(chunks).reshape(-1))
        events: list[SegmentEvent] = []
        for probability, level in zip(probabilities.tolist(), chunk_variances(chunks).tolist(), strict=True):
            self._analysed += 1
            events += [self._event(found) for found in self._state.step(probability, level)]
        self._history.drop(self._state.needed * CHUNK - self._padding)
        return events

    def _event(self, found: Found) -> SegmentEvent:
        """On the scale of samples."""
        groups = -(-self._analysed // GROUP)
        known_at, end = min(groups * GROUP * CHUNK, self._history.end), min(found.end * CHUNK, self._history.end)
        if found.kind == "begin":
            return SpeechBegin(found.start * CHUNK, known_at)
        if found.kind == "end":
            return SpeechEnd(end, known_at)
        first = max(found.start * CHUNK - self._padding, self._used)
        last = min(end + self._padding, found.limit * CHUNK, self._history.end)
        if found.kind == "utterance":
            self._used = last
        cut = self._history.cut(first, last)
        return SpeechSegment(found.start * CHUNK, end, first, cut, found.kind == "utterance", found.cut, known_at)
