"""A page to look at and listen to: the waveform, its utterances with their emotions, words, and the sound itself.

(Recorded, Peaks) ─ Page.of ─▶ Page ─ page_html ─▶ one file that loads nothing, but the recording where it is linked
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from .. import audio
from ..audio.decode import encode
from ..audio.timing import SAMPLE_RATE
from ..errors import MissingExtraError
from ..inference.explanation import Moment
from ..report.rendering import render, require_html
from ..utils.text import printable
from .curves import Curve, Scale
from .events import TimelineSegment
from .formats.common import Recorded, channel_name, doubts_of
from .formats.plain import clock

AUDIO = ("embed", "link", "none")
"""What a page does with the sound."""
MOST_EMBEDDED_SECONDS = 1800.0
"""A longer recording is linked: half an hour of sound makes a page of about 10 MB a channel."""
MOST_POINTS = 8000
"""Of the waveform of one channel."""
MOST_EFFECT = 1.0
"""Nats that are drawn: a moment with this effect made the answer e times as probable, or as improbable."""

_PEAK = 800
_COLOURS = 8
_CHANNELS_OF_SOUND = 2


class Peaks:
    """The shape of a waveform, collected as the recording is read: the largest magnitude of each 50 ms."""

    def __init__(self) -> None:
        self._pending: dict[int | None, np.ndarray] = {}
        self._peaks: dict[int | None, list[np.ndarray]] = {}
        self._samples = 0

    @property
    def seconds(self) -> float:
        """Of the recording so far."""
        return self._samples / SAMPLE_RATE

    @property
    def channels(self) -> list[int | None]:
        """The channels, in the order in which they were given."""
        return list(self._pending)

    def add(self, channels: Sequence[int | None], blocks: Sequence[np.ndarray]) -> None:
        """Take the next samples.

        Args:
            channels: From 0 on; None for the mean of all.
            blocks: (n,) float32 at 16 kHz of each.
        """
        for channel, block in zip(channels, blocks, strict=True):
            joined = np.concatenate([self._pending.get(channel, block[:0]), block])
            whole = len(joined) // _PEAK * _PEAK
            self._peaks.setdefault(channel, []).append(np.abs(joined[:whole]).reshape(-1, _PEAK).max(axis=1))
            self._pending[channel] = joined[whole:].copy()
        self._samples += len(blocks[0]) if blocks else 0

    def of(self, channel: int | None) -> np.ndarray:
        """Return the shape of a channel.

        Args:
            channel: One that was given.

        Returns:
            (n,) float32, n ≤ `MOST_POINTS`: the largest magnitudes of n parts of the recording, equal but for the last.
        """
        rest = self._pending[channel]
        last = [np.abs(rest).max(keepdims=True)] if len(rest) else []
        peaks = np.concatenate([*self._peaks[channel], *last])
        each = max(1, math.ceil(len(peaks) / MOST_POINTS))
        return np.pad(peaks, (0, -len(peaks) % each)).reshape(-1, each).max(axis=1)


@dataclass(frozen=True)
class Lane:
    """One channel on the page.

    Attributes:
        name: Of the channel.
        outline: Points of the waveform's outline for SVG, x in seconds, y from 0 to 100.
        segments: Its utterances, with their numbers on the page.
        windows: Its windows.
        curves: Its dimensions over time: of the windows, or else of the utterances.
    """

    name: str
    outline: str
    segments: tuple[tuple[int, TimelineSegment], ...]
    windows: tuple[TimelineSegment, ...]
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True)
class Page:
    """Everything that the page shows.

    Attributes:
        recorded: The recording and its time line.
        lanes: The channels.
        sound: URL of the sound; empty for none.
        note: Why the sound is not as asked for; empty where it is.
        scale: Of the dimensions.
    """

    recorded: Recorded
    lanes: tuple[Lane, ...]
    sound: str
    note: str
    scale: Scale

    @classmethod
    def of(cls, recorded: Recorded, peaks: Peaks, source: audio.Source, sound: str, *, beside: Path) -> Page:
        """Make a page.

        Args:
            recorded: The recording and its time line.
            peaks: The shape of the recording.
            source: The recording itself.
            sound: One of `AUDIO`.
            beside: Folder of the page, to which a link is relative.

        Returns:
            The page.

        Raises:
            AudioError: The recording can no longer be read.
        """
        scale = Scale.of((*recorded.timeline.segments, *recorded.timeline.windows))
        lanes = tuple(_lane(recorded, peaks, channel, scale) for channel in peaks.channels)
        url, note = _sound(source, sound, recorded, beside)
        return cls(recorded, lanes, url, note, scale)

    @property
    def name(self) -> str:
        """Of the recording."""
        return printable(self.recorded.name)

    @property
    def data(self) -> list[dict[str, Any]]:
        """What the script reads about each utterance."""
        return [segment.to_json() for segment in self.recorded.timeline.segments]

    @property
    def counts(self) -> dict[str, int]:
        """Class → number of utterances."""
        found = [each.label for each in self.recorded.timeline.segments]
        return {label: found.count(label) for label in self.recorded.timeline.labels}

    def style(self, label: str | None) -> str:
        """Find how a class is drawn.

        Args:
            label: The class; None for no answer.

        Returns:
            A CSS class: one of eight colours, each with a pattern of its own.
        """
        return "none" if label is None else f"e{self.recorded.timeline.labels.index(label) % _COLOURS}"

    def place(self, segment: TimelineSegment | Moment) -> str:
        """Find where a segment or a moment is drawn.

        Args:
            segment: Of the recording.

        Returns:
            CSS: its left edge and width in percent.
        """
        whole = self.recorded.timeline.duration or 1.0
        width = 100 * (segment.end - segment.start) / whole
        return f"left:{100 * segment.start / whole:.4f}%;width:{width:.4f}%"

    @property
    def explained(self) -> bool:
        """Whether it shows what moved the answers."""
        return any(segment.explanation for segment in self.recorded.timeline.segments)

    def effects(self, segment: TimelineSegment) -> list[tuple[Moment, float]]:
        """List what the moments of an utterance contributed to its answer.

        Args:
            segment: Of the recording.

        Returns:
            Moments, and their effects on the class that was answered, in nats, limited to `MOST_EFFECT` either way.
        """
        found = segment.explanation.moments if segment.explanation and segment.label else ()
        effects = [(moment, moment.effects.get(segment.label or "", 0.0)) for moment in found]
        return [(moment, max(-MOST_EFFECT, min(effect, MOST_EFFECT))) for moment, effect in effects]

    def remarks(self, segment: TimelineSegment) -> str:
        """Write what is doubtful about an answer.

        Args:
            segment: Of the recording.

        Returns:
            Words with commas between them; empty where nothing is.
        """
        return ", ".join([*doubts_of(segment), *segment.warnings])


def page_html(page: Page) -> str:
    """Render a page.

    Args:
        page: What it shows.

    Returns:
        One HTML file: no script or style but its own, no request but for a linked recording.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    require_page()
    script = render("timeline.js.j2")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return render("timeline.html.j2", page=page, script=script, digest=digest, clock=clock)


def require_page() -> None:
    """Check that a page can be rendered, before the work begins whose result it is.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    try:
        require_html()
    except MissingExtraError as error:
        raise MissingExtraError("a page of a time line", "live") from error


def _lane(recorded: Recorded, peaks: Peaks, channel: int | None, scale: Scale) -> Lane:
    timeline = recorded.timeline
    segments = tuple((number, each) for number, each in enumerate(timeline.segments) if each.channel == channel)
    windows = tuple(each for each in timeline.windows if each.channel == channel)
    curves = scale.curves(windows or [each for _, each in segments])
    return Lane(channel_name(channel), _outline(peaks.of(channel), timeline.duration), segments, windows, curves)


def _outline(peaks: np.ndarray, duration: float) -> str:
    """A polygon: the peaks above the middle, and back below it; the loudest reaches both edges."""
    loudest = max(float(peaks.max(initial=0.0)), 0.05)
    heights = np.minimum(48.0 * peaks / loudest, 48.0)
    step = duration / max(1, len(peaks))
    above = [f"{(i + 0.5) * step:.2f},{50 - h:.1f}" for i, h in enumerate(heights.tolist())]
    below = [f"{(i + 0.5) * step:.2f},{50 + h:.1f}" for i, h in enumerate(heights.tolist())]
    return " ".join([*above, *reversed(below)])


def _sound(source: audio.Source, wanted: str, recorded: Recorded, beside: Path) -> tuple[str, str]:
    """The URL of the sound, and why it is not as wanted."""
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    if wanted == "none" or (wanted == "link" and path is not None and path.is_file()):
        return ("" if wanted == "none" or path is None else _link(path, beside)), ""
    if wanted == "embed" and recorded.timeline.duration <= MOST_EMBEDDED_SECONDS:
        return _embedded(source, recorded.timeline.channels)
    reason = f"longer than {MOST_EMBEDDED_SECONDS / 60:g} minutes" if wanted == "embed" else "no file"
    if path is None or not path.is_file():
        return "", f"The recording is {reason}, so the page has no sound."
    return _link(path, beside), f"The recording is {reason}, so the page links to it; keep both together."


def _link(path: Path, beside: Path) -> str:
    try:
        return quote(Path(os.path.relpath(path, beside)).as_posix())
    except ValueError:  # another drive
        return path.absolute().as_uri()


def _embedded(source: audio.Source, count: int) -> tuple[str, str]:
    """The recording as MP3 at 16 kHz, in at most two channels."""
    inner = source.source if isinstance(source, audio.RawPcm) else source
    if audio.is_stream(inner) or (hasattr(inner, "read") and not _rewinds(inner)):
        return "", "The recording came through a pipe, so the page has no sound."
    channels = (0, 1) if count == _CHANNELS_OF_SOUND else (None,)
    with audio.open_channels(source) as recording:
        blocks = list(recording.blocks(channels))
    frames = np.stack([np.concatenate(parts) for parts in zip(*blocks, strict=True)], axis=1)
    out = io.BytesIO()
    encode(out, np.clip(frames, -1, 1), SAMPLE_RATE, container="MP3", subtype="MPEG_LAYER_III")
    return "data:audio/mpeg;base64," + base64.b64encode(out.getvalue()).decode(), ""


def _rewinds(source: Any) -> bool:
    return bool(hasattr(source, "seekable") and source.seekable())
