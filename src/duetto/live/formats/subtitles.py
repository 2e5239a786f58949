"""Subtitles: WebVTT (W3C) and SubRip. A cue is the label with its probability, and the words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...utils.text import printable
from ..events import TimelineSegment
from .common import Recorded, channel_name, clock, milliseconds, percent, spoken


def vtt_text(recordings: Sequence[Recorded]) -> str:
    """Write WebVTT; with several channels, each is a voice (`<v channel 0>`).

    Args:
        recordings: One.

    Returns:
        The file.
    """
    cues = []
    for start, end, segment, several in _cues(recordings):
        voice = f"<v {channel_name(segment.channel)}>" if several else ""
        cues.append(f"{clock(start)} --> {clock(end)}\n{voice}{_escaped(_caption(segment))}\n")
    return "\n".join(["WEBVTT\n", *cues])


def srt_text(recordings: Sequence[Recorded]) -> str:
    """Write SubRip; with several channels, each cue begins with its channel.

    Args:
        recordings: One.

    Returns:
        The file.
    """
    cues = []
    for number, (start, end, segment, several) in enumerate(_cues(recordings), 1):
        voice = f"{channel_name(segment.channel)}: " if several else ""
        caption = _caption(segment).replace("-->", "→")
        cues.append(f"{number}\n{clock(start, ',')} --> {clock(end, ',')}\n{voice}{caption}\n")
    return "\n".join(cues)


def _cues(recordings: Sequence[Recorded]) -> Iterator[tuple[float, float, TimelineSegment, bool]]:
    """Start, end, segment, and whether there are several channels; a cue lasts a millisecond at least."""
    (recorded,) = recordings
    several = len(recorded.channels) > 1
    for segment in recorded.timeline.segments:
        if segment.label is not None:
            shortest = (milliseconds(segment.start) + 1) / 1000
            yield segment.start, max(segment.end, shortest), segment, several


def _caption(segment: TimelineSegment) -> str:
    return printable(f"[{percent(segment)}] {spoken(segment)}".strip())


def _escaped(caption: str) -> str:
    return caption.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
