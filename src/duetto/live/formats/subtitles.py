"""Subtitles: WebVTT (W3C) and SubRip. A cue is the label with its probability, and the words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ...utils.text import printable
from .common import Recorded, channel_name, clock, milliseconds, percent, spoken


class Cue(NamedTuple):
    """One subtitle.

    Attributes:
        start: Seconds.
        end: Seconds; a cue lasts a millisecond at least.
        caption: Its text, of one line.
        voice: Who speaks; empty for no such mark.
    """

    start: float
    end: float
    caption: str
    voice: str = ""

    def times(self, point: str) -> str:
        """Write when it is shown.

        Args:
            point: Stands before the milliseconds.

        Returns:
            Such as 00:00:01.000 --> 00:00:02.500.
        """
        shortest = (milliseconds(self.start) + 1) / 1000
        return f"{clock(self.start, point)} --> {clock(max(self.end, shortest), point)}"


def vtt_text(recordings: Sequence[Recorded]) -> str:
    """Write WebVTT; with several channels, each is a voice (`<v channel 0>`).

    Args:
        recordings: One.

    Returns:
        The file.
    """
    return webvtt(_cues(recordings))


def srt_text(recordings: Sequence[Recorded]) -> str:
    """Write SubRip; with several channels, each cue begins with its channel.

    Args:
        recordings: One.

    Returns:
        The file.
    """
    return subrip(_cues(recordings))


def webvtt(cues: Iterable[Cue]) -> str:
    """Write WebVTT.

    Args:
        cues: In order.

    Returns:
        The file; markup in captions is escaped.
    """
    table = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
    voices = ((cue, f"<v {cue.voice}>" if cue.voice else "") for cue in cues)
    shown = (f"{cue.times('.')}\n{voice}{printable(cue.caption).translate(table)}\n" for cue, voice in voices)
    return "\n".join(["WEBVTT\n", *shown])


def subrip(cues: Iterable[Cue]) -> str:
    """Write SubRip.

    Args:
        cues: In order.

    Returns:
        The file.
    """
    voices = ((cue, f"{cue.voice}: " if cue.voice else "") for cue in cues)
    return "\n".join(
        f"{number}\n{cue.times(',')}\n{voice}{printable(cue.caption).replace('-->', '→')}\n"
        for number, (cue, voice) in enumerate(voices, 1)
    )


def _cues(recordings: Sequence[Recorded]) -> Iterator[Cue]:
    """Of the utterances that have a label."""
    (recorded,) = recordings
    several = len(recorded.channels) > 1
    for segment in recorded.timeline.segments:
        if segment.label is not None:
            voice = channel_name(segment.channel) if several else ""
            yield Cue(segment.start, segment.end, f"[{percent(segment)}] {spoken(segment)}".strip(), voice)
