"""What a stream or a time line answers: `TimelineSegment`, and the events of a stream.

SpeechStarted ─ Partial … ─ UtteranceAnswered ─ … ─ SpeechStopped;    WindowAnswered, at any time

Times are seconds from the beginning of the stream, of whose sound they state a place, not a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ..data.utterance import Word
from ..inference.explanation import Explanation

SegmentKind = Literal["utterance", "window", "partial"]


@dataclass(frozen=True)
class TimelineSegment:
    """The emotion of one stretch of a stream.

    Attributes:
        kind: An utterance, a window of fixed length, or a part of an utterance that has not ended.
        start: Seconds at which its speech begins; of a window, at which that begins.
        end: Seconds at which its speech, or the window, ends.
        channel: Of the recording, from 0 on; None for all of them, mixed.
        label: The most probable class; None where there is no speech in it, or it could not be analysed.
        probabilities: Class → calibrated probability, in the order of the label set; empty where `label` is None.
        words: The words that the system read, with times in the stream where known.
        speech_seconds: Of speech in it, as `Prediction.speech_seconds`.
        session_utterances: Earlier utterances of the channel that the statistics of its speaker held; None for a system
            that does not adapt.
        uncertain: Whether the system would rather not answer, where it states that; None otherwise.
        unfamiliar: Whether it is unlike what the system was trained on, where it states that; None otherwise.
        cut: Whether the utterance was too long, and goes on in the next one.
        warnings: Reasons to trust it less, or the error that prevented an answer.
        dimensions: Dimension, such as `arousal` → its rating, as `Prediction.dimensions`; None where there is none.
        explanation: What moved the answer, with times in the stream; None where that was not asked for.
    """

    kind: SegmentKind
    start: float
    end: float
    channel: int | None
    label: str | None
    probabilities: dict[str, float]
    words: tuple[Word, ...] = ()
    speech_seconds: float = 0.0
    session_utterances: int | None = None
    uncertain: bool | None = None
    unfamiliar: bool | None = None
    cut: bool = False
    warnings: tuple[str, ...] = ()
    dimensions: dict[str, float] | None = None
    explanation: Explanation | None = None

    def to_json(self) -> dict[str, Any]:
        """Make a record of it.

        Returns:
            JSON values; times in seconds, to the millisecond.
        """
        return {
            "kind": self.kind,
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "channel": self.channel,
            "label": self.label,
            "probabilities": {label: round(p, 6) for label, p in self.probabilities.items()},
            "dimensions": self.dimensions and {name: round(x, 6) for name, x in self.dimensions.items()},
            "words": [
                {"word": w.word, "start": rounded(w.start), "end": rounded(w.end), "source": w.source}
                for w in self.words
            ],
            "speech_seconds": round(self.speech_seconds, 3),
            "session_utterances": self.session_utterances,
            "uncertain": self.uncertain,
            "unfamiliar": self.unfamiliar,
            "cut": self.cut,
            "warnings": list(self.warnings),
            **({} if self.explanation is None else {"explanation": self.explanation.to_json()}),
        }


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody speaks, long enough for an utterance.

    Attributes:
        event: Name of its kind.
        channel: See `TimelineSegment`.
        start: Seconds at which speech begins.
        known_at: Seconds of the stream after which this is known.
    """

    event: ClassVar[str] = "speech_started"
    channel: int | None
    start: float
    known_at: float

    def to_json(self) -> dict[str, Any]:
        """Make a record of it.

        Returns:
            JSON values.
        """
        times = {"start": round(self.start, 3), "known_at": round(self.known_at, 3)}
        return {"event": self.event, "channel": self.channel, **times}


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Nobody speaks any more; for each `SpeechStarted` there is one.

    Attributes:
        event: Name of its kind.
        channel: See `TimelineSegment`.
        end: Seconds at which speech ended.
        known_at: Seconds of the stream after which this is known.
    """

    event: ClassVar[str] = "speech_stopped"
    channel: int | None
    end: float
    known_at: float

    def to_json(self) -> dict[str, Any]:
        """Make a record of it.

        Returns:
            JSON values.
        """
        times = {"end": round(self.end, 3), "known_at": round(self.known_at, 3)}
        return {"event": self.event, "channel": self.channel, **times}


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answer.

    Attributes:
        event: Name of its kind.
        segment: The answer.
        known_at: Seconds of the stream after which this is known.
    """

    event: ClassVar[str]
    segment: TimelineSegment
    known_at: float

    def to_json(self) -> dict[str, Any]:
        """Make a record of it.

        Returns:
            JSON values.
        """
        return {"event": self.event, **self.segment.to_json(), "known_at": round(self.known_at, 3)}


@dataclass(frozen=True, slots=True)
class Partial(_Answered):
    """An answer for an utterance so far, which does not count for the speaker's statistics.

    Attributes:
        event: Name of its kind.
        segment: The answer.
        known_at: Seconds of the stream after which this is known.
    """

    event: ClassVar[str] = "partial"


@dataclass(frozen=True, slots=True)
class UtteranceAnswered(_Answered):
    """The final answer for an utterance.

    Attributes:
        event: Name of its kind.
        segment: The answer.
        known_at: Seconds of the stream after which this is known.
    """

    event: ClassVar[str] = "utterance"


@dataclass(frozen=True, slots=True)
class WindowAnswered(_Answered):
    """The answer for a window of fixed length, which does not count for the speaker's statistics.

    Attributes:
        event: Name of its kind.
        segment: The answer.
        known_at: Seconds of the stream after which this is known.
    """

    event: ClassVar[str] = "window"


StreamEvent = SpeechStarted | Partial | UtteranceAnswered | WindowAnswered | SpeechStopped


def rounded(seconds: float | None) -> float | None:
    """Round a time that may not be known.

    Args:
        seconds: The time.

    Returns:
        The time, to the millisecond.
    """
    return None if seconds is None else round(seconds, 3)
