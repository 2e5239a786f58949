"""`StreamingRecogniser`: sound in, as it arrives; events with emotions out.

stream = StreamingRecogniser(duetto.load())
for block in microphone:
    for event in stream.push(block):
        print(event.to_json())
stream.finish()

The law of `live.segments` holds for events, too: the same samples give equal events in the same order, however they are
pushed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio.io import StreamResampler
from ..audio.signal import as_float
from ..audio.timing import SAMPLE_RATE, seconds
from ..data.utterance import Word
from ..errors import AudioError, ConfigurationError, DuettoError
from ..inference.explanation import Explanation
from ..inference.prediction import Prediction
from ..inference.recogniser import Recogniser
from ..inference.sources import guarded
from ..inference.speaker_session import SpeakerSession
from .events import (
    Partial,
    SegmentKind,
    SpeechStarted,
    SpeechStopped,
    StreamEvent,
    TimelineSegment,
    UtteranceAnswered,
    WindowAnswered,
)
from .segments import ENDED, Segmenter, SegmenterConfig, SegmentEvent, SpeechBegin, SpeechEnd, SpeechSegment
from .windows import SlidingWindows, Window, check_timing

_SLICE = SAMPLE_RATE
"""Samples of a piece that are taken at once: memory does not grow with what is pushed."""


@dataclass(frozen=True)
class StreamConfig:
    """What a stream is answered with.

    Attributes:
        segmenter: How speech is cut into utterances; its `snapshot` is the interval of partial answers.
        window: Seconds of a sliding window, 0.5 to 60; None for no windows.
        hop: Seconds from one window to the next, 0.5 to 60; by default the window's length.
        adapt: Adapt to the speaker by the utterances before, where the system was trained to.
        explain: Compute what moved the answer of each utterance (`Recogniser.explain`): up to 41 times the work.

    Raises:
        ConfigurationError: A hop without a window, or one of them is out of its range.
    """

    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    window: float | None = None
    hop: float | None = None
    adapt: bool = True
    explain: bool = False

    def __post_init__(self) -> None:
        if self.hop is not None and self.window is None:
            raise ConfigurationError(f"hop is {self.hop!r}, but there is no window; give both, or neither")
        if self.window is not None:
            check_timing(self.window, self.window if self.hop is None else self.hop)


class StreamingRecogniser:
    """Recognises emotion in one channel of one stream, in constant memory; for one thread.

    Several streams may share a recogniser, each in a thread of its own.

    Args:
        recogniser: From `duetto.load`.
        config: See `StreamConfig`.
        sample_rate: Of the samples that will be pushed, in Hz.
        channel: What the answers state as their channel.
        session: Statistics of the speaker, such as one with enrolled recordings; by default a new session, where the
            system adapts and `config.adapt` is set.
        words: What is said in the stream, with times in it, where that is known: an utterance is given those whose
            middle is in it. By default a system that reads words finds them.

    Raises:
        AudioError: The sample rate is not valid.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        config: StreamConfig | None = None,
        *,
        sample_rate: int = SAMPLE_RATE,
        channel: int | None = None,
        session: SpeakerSession | None = None,
        words: Sequence[Word] | None = None,
    ) -> None:
        config = config or StreamConfig()
        self._words = words
        self._recogniser, self._channel = recogniser, channel
        self._explain = config.explain
        self._session = session if session is not None or not config.adapt else _session(recogniser)
        self._resampler = StreamResampler(sample_rate)
        self._segmenter = Segmenter(config.segmenter)
        length = config.window
        hop = config.hop or length
        self._windows = None if length is None or hop is None else SlidingWindows(length, hop, _SLICE)
        self._ended = False

    def push(self, block: np.ndarray) -> list[StreamEvent]:
        """Take the next samples.

        Args:
            block: (n,) samples at the stream's rate, any number (`signal.validate_samples`).

        Returns:
            What is known now and was not before, in order.

        Raises:
            AudioError: The samples are not valid, or the stream has ended. An utterance that cannot be analysed is no
                error, but an answer without a label.
        """
        if self._ended:
            raise AudioError(ENDED)
        if not np.size(block):
            return []
        return self._pushed(self._resampler.push(as_float(block).astype(np.float32, copy=False)))

    def finish(self) -> list[StreamEvent]:
        """End the stream.

        Returns:
            What was not known before, in order.

        Raises:
            AudioError: It has ended already.
        """
        if self._ended:
            raise AudioError(ENDED)
        self._ended = True
        events = self._pushed(self._resampler.finish())
        return events + self._answered(self._segmenter.finish(), self._windows.finish() if self._windows else [])

    def _pushed(self, sound: NDArray[np.float32]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for at in range(0, len(sound), _SLICE):
            piece = sound[at : at + _SLICE]
            windows = self._windows.push(piece) if self._windows else []
            events += self._answered(self._segmenter.push(piece), windows)
        return events

    def _answered(self, found: Sequence[SegmentEvent], windows: Sequence[Window]) -> list[StreamEvent]:
        """Answers in the order in which they are known, so that each is by the same statistics however samples came."""
        ordered = sorted([*found, *windows], key=lambda each: each.known_at)  # stable: segments before windows
        return [self._event(each) for each in ordered]

    def _event(self, found: SegmentEvent | Window) -> StreamEvent:
        known_at = seconds(found.known_at)
        if isinstance(found, SpeechBegin):
            return SpeechStarted(self._channel, seconds(found.start), known_at)
        if isinstance(found, SpeechEnd):
            return SpeechStopped(self._channel, seconds(found.end), known_at)
        if isinstance(found, Window):
            answer = self._attempt(found)
            return WindowAnswered(self._segment(answer, "window", found.first, found.known_at, found.first), known_at)
        answer = self._final(found) if found.final else self._attempt(found)
        kind: SegmentKind = "utterance" if found.final else "partial"
        segment = replace(self._segment(answer, kind, found.start, found.end, found.first), cut=found.cut)
        return UtteranceAnswered(segment, known_at) if found.final else Partial(segment, known_at)

    def _attempt(self, found: SpeechSegment | Window) -> Prediction | DuettoError:
        """The answer for sound that does not count."""
        speaker = self._recogniser if self._session is None else self._session.fork()
        return speaker.attempt(_source(found), **self._given(found))

    def _final(self, found: SpeechSegment) -> Prediction | Explanation | DuettoError:
        """The answer for an utterance, which counts."""
        speaker = self._session or self._recogniser
        if self._explain:
            return guarded(partial(speaker.explain, **self._given(found)), _source(found))
        return speaker.attempt(_source(found), **self._given(found))

    def _given(self, found: SpeechSegment | Window) -> dict[str, Any]:
        """The words that are known of a part of the stream, with times in it."""
        if self._words is None:
            return {}
        first, last = seconds(found.first), seconds(found.first + len(found.samples))
        own = [
            w
            for w in self._words
            if w.start is not None and w.end is not None and first <= (w.start + w.end) / 2 < last
        ]
        return {"words": [word.shifted(-first) for word in own]}

    def _segment(
        self, answer: Prediction | Explanation | DuettoError, kind: SegmentKind, start: int, end: int, first: int
    ) -> TimelineSegment:
        """The answer for samples that begin at `first` on the stream's scale of time."""
        times: dict[str, Any] = {"start": seconds(start), "end": seconds(end), "channel": self._channel}
        if isinstance(answer, DuettoError):
            return TimelineSegment(kind, **times, label=None, probabilities={}, warnings=(str(answer),))
        explanation = None
        if isinstance(answer, Explanation):
            explanation, answer = answer.shifted(seconds(first)), answer.prediction
        return TimelineSegment(
            kind,
            **times,
            label=answer.label,
            probabilities=answer.probabilities,
            dimensions=answer.dimensions,
            words=tuple(word.shifted(seconds(first)) for word in answer.words),
            speech_seconds=answer.speech_seconds,
            session_utterances=answer.session_utterances,
            uncertain=answer.uncertain,
            unfamiliar=answer.unfamiliar,
            warnings=answer.warnings,
            explanation=explanation,
        )


def _source(found: SpeechSegment | Window) -> dict[str, Any]:
    return {"waveform": found.samples, "sample_rate": SAMPLE_RATE}


def _session(recogniser: Recogniser) -> SpeakerSession | None:
    """A session, where the system adapts to a speaker."""
    try:
        return recogniser.session()
    except ConfigurationError:
        return None
