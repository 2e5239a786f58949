"""Transcriptions in OpenAI's shapes; each segment has its emotion.

timeline ─ Transcription ─▶ json · text · verbose_json · srt · vtt
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..live.events import TimelineSegment
from ..live.formats.subtitles import Cue, subrip, webvtt


@dataclass(frozen=True)
class Transcription:
    """A recording as text with emotions.

    Attributes:
        segments: Of its time line.
        texts: (start, channel) of a segment → its text, where the system reads no words itself.
        duration: Seconds.
        language: As the client stated it; empty where it did not.
        with_words: Whether `verbose_json` lists the words.
    """

    segments: Sequence[TimelineSegment]
    texts: dict[tuple[float, int | None], str]
    duration: float
    language: str = ""
    with_words: bool = False

    def text_of(self, segment: TimelineSegment) -> str:
        """Find the text of a segment.

        Args:
            segment: One of `segments`.

        Returns:
            Its words, with spaces between them.
        """
        own = " ".join(word.word for word in segment.words if word.word)
        return own or self.texts.get((segment.start, segment.channel), "")

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(filter(None, map(self.text_of, self.segments)))

    def verbose(self) -> dict[str, Any]:
        """Make `verbose_json`.

        Returns:
            JSON values. `tokens` … `no_speech_prob` are there for clients that expect them, and hold nothing.
        """
        nothing = {"seek": 0, "tokens": [], "temperature": 0.0}
        nothing |= {"avg_logprob": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0}
        segments = [
            {
                "id": i,
                "start": round(each.start, 3),
                "end": round(each.end, 3),
                "text": self.text_of(each),
                **nothing,
                "emotion": emotion(each),
                "channel": each.channel,
            }
            for i, each in enumerate(self.segments)
        ]
        record = {"task": "transcribe", "language": self.language, "duration": round(self.duration, 3)}
        record |= {"text": self.text, "segments": segments}
        if self.with_words:
            record["words"] = [word for each in self.segments for word in each.to_json()["words"]]
        return record

    def brief(self) -> dict[str, Any]:
        """Make `json`.

        Returns:
            JSON values: the text, and the emotion of each segment.
        """
        keys = ("start", "end", "text", "emotion")
        segments = [{key: each[key] for key in keys} for each in self.verbose()["segments"]]
        return {"text": self.text, "segments": segments}

    def srt(self) -> str:
        """Make SubRip subtitles.

        Returns:
            The file.
        """
        return subrip(self._cues())

    def vtt(self) -> str:
        """Make WebVTT subtitles.

        Returns:
            The file.
        """
        return webvtt(self._cues())

    def _cues(self) -> Iterator[Cue]:
        for each in self.segments:
            yield Cue(each.start, each.end, f"[{each.label or 'no speech'}] {self.text_of(each)}".strip())


def emotion(segment: TimelineSegment) -> dict[str, Any]:
    """Make the `emotion` of a segment.

    Args:
        segment: The segment.

    Returns:
        JSON values.
    """
    record = segment.to_json()
    return {key: record[key] for key in ("label", "probabilities", "uncertain", "unfamiliar", "warnings")}


FORMATS: dict[str, tuple[str, Callable[[Transcription], Any]]] = {
    "json": ("application/json", Transcription.brief),
    "text": ("text/plain; charset=utf-8", lambda each: each.text + "\n"),
    "verbose_json": ("application/json", Transcription.verbose),
    "srt": ("application/x-subrip; charset=utf-8", Transcription.srt),
    "vtt": ("text/vtt; charset=utf-8", Transcription.vtt),
}
"""Value of `response_format` → media type, and what makes it."""
