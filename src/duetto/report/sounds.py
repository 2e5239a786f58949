"""Sounds of a report: embedded as MP3, within bounds, or linked where they lie."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from .. import audio
from ..audio.decode import encode
from ..audio.timing import SAMPLE_RATE
from ..data.utterance import Utterance
from ..errors import AudioError
from .formatting import quantity

MOST_SECONDS = 20.0
"""Embedded of one utterance: its beginning."""
MOST_BYTES = 24 << 20
"""Embedded in one page: about two hours of speech."""
MOST_EMBEDDED = 1000
"""Sounds in one page."""


@dataclass(frozen=True)
class Sounds:
    """Which sounds go into a page.

    Attributes:
        embedded: Number of utterances whose sound is part of the page, the most confident wrong answers first.
        linked: Whether the others link to their recordings, where these lie on this computer.
    """

    embedded: int = 0
    linked: bool = False


def sound_urls(
    ids: Sequence[str], known: Mapping[str, Utterance], page: Path, sounds: Sounds
) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Embed or link the sounds of utterances.

    Args:
        ids: Of the utterances, in the order in which they are embedded.
        known: Id → utterance, where it is known.
        page: The page, which links are relative to.
        sounds: What is wanted.

    Returns:
        For each id a `data:` URL and a link, each "" where there is none; and notes on what is missing.
    """
    urls, size, unread, number = [], 0, [], 0
    wanted, full = min(sounds.embedded, MOST_EMBEDDED), False
    for name in ids:
        utterance, data = known.get(name), ""
        if utterance is not None and number < wanted and not full:
            try:
                data = _embedded(utterance)
            except AudioError as error:
                unread.append(str(error))
            full = size + len(data) > MOST_BYTES
            data = "" if full else data
            size, number = size + len(data), number + bool(data)
        link = _link(utterance, page) if utterance is not None and sounds.linked and not data else ""
        urls.append((data, link))
    return urls, _notes(sounds, number, full, unread, any(name in known for name in ids))


def _notes(sounds: Sounds, number: int, full: bool, unread: Sequence[str], known: bool) -> tuple[str, ...]:
    if not (sounds.embedded or sounds.linked):
        return ()
    if not known:
        return ("No sound: it is not known where the recordings lie; --utterances MANIFEST names them.",)
    notes = []
    if full or sounds.embedded > MOST_EMBEDDED:
        bound = f"{MOST_BYTES >> 20} MB" if full else f"{MOST_EMBEDDED:,} sounds"
        notes.append(f"The sound of {quantity(number, 'utterance')} is embedded, up to the limit of {bound}.")
    if unread:
        notes.append(f"{quantity(len(unread), 'recording')} could not be read; the first: {unread[0]}.")
    return tuple(notes)


def _embedded(utterance: Utterance) -> str:
    """The first seconds of an utterance as MP3."""
    start, end = utterance.start, utterance.end
    if start is None and end is None:
        wave = audio.load(utterance.audio, max_seconds=MOST_SECONDS)
    else:
        wave = audio.load(utterance.audio, start=start, end=end)
    samples = np.clip(wave.samples[: int(MOST_SECONDS * SAMPLE_RATE)], -1, 1)
    out = io.BytesIO()
    encode(out, samples[:, None], SAMPLE_RATE, container="MP3", subtype="MPEG_LAYER_III")
    return "data:audio/mpeg;base64," + base64.b64encode(out.getvalue()).decode()


def _link(utterance: Utterance, page: Path) -> str:
    """The recording, with its cut as a media fragment (W3C, *Media Fragments URI 1.0*)."""
    cut = ""
    if utterance.start is not None or utterance.end is not None:
        end = "" if utterance.end is None else f",{utterance.end:g}"
        cut = f"#t={utterance.start or 0:g}{end}"
    return relative(utterance.audio, page) + cut


def relative(path: Path, page: Path) -> str:
    """Write the address of a file relative to a page.

    Args:
        path: The file.
        page: The page.

    Returns:
        The address, escaped as a URL.
    """
    try:
        return quote(Path(os.path.relpath(path.absolute(), page.absolute().parent)).as_posix())
    except ValueError:  # another drive
        return path.absolute().as_uri()
