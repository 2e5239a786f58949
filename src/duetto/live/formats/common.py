"""What the writers share: `Recorded` in, text out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ...data.utterance import Word
from ..events import TimelineSegment
from ..timeline import Timeline

Interval = tuple[float, float, str]
"""Start and end in seconds, and a text."""


@dataclass(frozen=True)
class Recorded:
    """A recording with its time line.

    Attributes:
        name: Of the file, as given.
        timeline: Its time line.
    """

    name: str
    timeline: Timeline

    @property
    def channels(self) -> list[int | None]:
        """The channels that were answered, in their order; channel 0 where nothing was found."""
        every = {each.channel for each in (*self.timeline.segments, *self.timeline.windows)}
        return sorted(every, key=lambda channel: -1 if channel is None else channel) or [0]

    def labelled(self, channel: int | None) -> list[TimelineSegment]:
        """List the utterances of a channel that have a label.

        Args:
            channel: The channel.

        Returns:
            They, in order.
        """
        return [s for s in self.timeline.segments if s.channel == channel and s.label is not None]


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        suffix: Of its files; empty where it is a folder.
        summary: What it is, in a few words.
        text: Writes recordings as one file.
        tables: Writes recordings as the files of a folder: name → text.
        several: Whether one file holds several recordings.
    """

    suffix: str
    summary: str
    text: Callable[[Sequence[Recorded]], str] | None = None
    several: bool = True
    tables: Callable[[Sequence[Recorded]], Mapping[str, str]] | None = None

    def files(self, recordings: Sequence[Recorded], path: Path) -> dict[Path, str]:
        """Write recordings.

        Args:
            recordings: Of one model; one only, unless `several`.
            path: The file or folder.

        Returns:
            Path of each file → its text.
        """
        if self.tables is not None:
            return {path / name: text for name, text in self.tables(recordings).items()}
        assert self.text is not None
        return {path: self.text(recordings)}


def percent(segment: TimelineSegment) -> str:
    """Write the label with its probability.

    Args:
        segment: With a label.

    Returns:
        Such as `happy 81 %`, with what is doubtful about it.
    """
    assert segment.label is not None
    doubts = "".join(f", {doubt}" for doubt in doubts_of(segment))
    return f"{segment.label} {100 * segment.probabilities[segment.label]:.0f} %{doubts}"


def doubts_of(segment: TimelineSegment) -> list[str]:
    """List what makes the answer doubtful.

    Args:
        segment: Any.

    Returns:
        `uncertain` and `unfamiliar`, where they hold.
    """
    return [name for name in ("uncertain", "unfamiliar") if getattr(segment, name)]


def milliseconds(seconds: float) -> int:
    """Convert a time.

    Args:
        seconds: From 0 on.

    Returns:
        Whole milliseconds.
    """
    return round(1000 * seconds)


def clock(seconds: float, point: str = ".") -> str:
    """Write a time as hours, minutes, seconds and milliseconds.

    Args:
        seconds: From 0 on.
        point: Stands before the milliseconds.

    Returns:
        Such as 00:01:02.345.
    """
    whole, thousandths = divmod(milliseconds(seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"


def spoken(segment: TimelineSegment) -> str:
    """Join the words of a segment.

    Args:
        segment: Any.

    Returns:
        The words, with blanks between them.
    """
    return " ".join(word.word for word in segment.words if word.word)


def timed_words(segments: Sequence[TimelineSegment]) -> list[tuple[float, float, Word]]:
    """List the words whose times are known, without overlap, as tiers need them.

    Args:
        segments: Of one channel, in order.

    Returns:
        Start, end and word, in order; a word that begins before the one before it ends is shortened, or left out.
    """
    found: list[tuple[float, float, Word]] = []
    at = 0.0
    for word in sorted(_timed(segments), key=lambda each: (each.start or 0.0, each.end or 0.0)):
        assert word.start is not None and word.end is not None
        start = max(at, word.start)
        if word.word and milliseconds(start) < milliseconds(word.end):
            found.append((start, word.end, word))
            at = word.end
    return found


def windows_of(recorded: Recorded, channel: int | None) -> list[tuple[float, float, TimelineSegment]]:
    """List windows without overlap, as tiers need them: each from its start to that of the next one.

    Args:
        recorded: The recording.
        channel: The channel.

    Returns:
        Start, end and window, in order, of those with a label.
    """
    own = [window for window in recorded.timeline.windows if window.channel == channel]
    ends = [*(min(a.end, b.start) for a, b in pairwise(own)), *(w.end for w in own[-1:])]
    return [(w.start, end, w) for w, end in zip(own, ends, strict=True) if w.label is not None]


def channel_name(channel: int | None) -> str:
    """Name a channel.

    Args:
        channel: From 0 on; None for the mean of all.

    Returns:
        Such as `channel 0`, or `all channels`.
    """
    return "all channels" if channel is None else f"channel {channel}"


def tiers(recorded: Recorded) -> Iterator[tuple[str, list[Interval]]]:
    """List what Praat and ELAN show: for each channel its emotions, probabilities, doubts, words and windows.

    Args:
        recorded: The recording.

    Yields:
        Name of a tier, and its intervals, in order and without overlap. Only tiers of emotion may be empty.
    """
    several = len(recorded.channels) > 1
    for channel in recorded.channels:
        prefix = f"{channel_name(channel)} " if several else ""
        own = recorded.labelled(channel)
        yield f"{prefix}emotion", [(s.start, s.end, s.label or "") for s in own]
        shown = [(s.start, s.end, " ".join(f"{name} {p:.3f}" for name, p in s.probabilities.items())) for s in own]
        doubts = [(s.start, s.end, " ".join(doubts_of(s))) for s in own if doubts_of(s)]
        words = [(start, end, word.word) for start, end, word in timed_words(own)]
        windows = [(start, end, window.label or "") for start, end, window in windows_of(recorded, channel)]
        for name, intervals in {"probability": shown, "doubt": doubts, "words": words, "windows": windows}.items():
            if intervals:
                yield f"{prefix}{name}", intervals


def _timed(segments: Sequence[TimelineSegment]) -> Iterator[Word]:
    for segment in segments:
        yield from (word for word in segment.words if word.start is not None)
