"""`duetto timeline`: the emotion of recordings over time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Annotated

import numpy as np
import typer

from ..errors import DuettoError
from ..inference.pretrained import DEFAULT
from ..inference.recogniser import Recogniser
from ..live.formats import FORMATS, Recorded, format_of, plain
from ..live.page import AUDIO, Page, Peaks, page_html, require_page
from ..live.segments import SegmenterConfig
from ..live.stream import StreamConfig
from ..live.timeline import analyse
from ..utils import files
from ..utils.progress import bar
from ..utils.text import name_of
from .options import (
    Asr,
    ChannelChoice,
    Model,
    Rate,
    RawChannels,
    Recordings,
    Recursive,
    Reject,
    RequireSpeech,
    one_of,
    usage_errors,
)
from .output import echo, json_line, raw
from .recogniser import open_recogniser
from .recordings import Recording, channels_of, find

Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Write a file, whose suffix chooses the format; or a folder, with a file a recording."
    ),
]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        callback=one_of(tuple(FORMATS)),
        help="Of the file, where its suffix does not tell, or of what is printed: " + ", ".join(FORMATS) + ".",
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(help="Write a page to look at and listen to: one file that loads nothing (or a folder of them)."),
]
PageAudio = Annotated[
    str,
    typer.Option("--audio", callback=one_of(AUDIO), help="In the page: embed the sound, link to the file, or none."),
]
Window = Annotated[
    float | None, typer.Option(help="Also answer windows of so many seconds, 0.5 to 60, whatever is in them.")
]
Hop = Annotated[float | None, typer.Option(help="Seconds from one window to the next; by default their length.")]
Pause = Annotated[float, typer.Option(help="A pause of so many seconds ends an utterance, 0.1 to 10.")]
Longest = Annotated[float, typer.Option("--longest", help="Seconds of an utterance at most, 1 to 60.")]
Adapt = Annotated[
    bool,
    typer.Option("--adapt/--no-adapt", help="Adapt to the voice of each channel, where the model was trained to."),
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain", help="Add what each moment and word contributed to each answer: up to 41 times the work."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a recording, and nothing else.")]


def timeline(
    files: Recordings,
    model: Model = DEFAULT,
    out: Out = None,
    format_name: FormatName = None,
    html: Html = None,
    page_audio: PageAudio = "embed",
    channels: ChannelChoice = "split",
    window: Window = None,
    hop: Hop = None,
    pause: Pause = 0.5,
    longest: Longest = 15.0,
    adapt: Adapt = True,
    explain: Explain = False,
    asr: Asr = "auto",
    require_speech: RequireSpeech = True,
    reject: Reject = None,
    recursive: Recursive = False,
    rate: Rate = None,
    raw_channels: RawChannels = 1,
    as_json: AsJson = False,
) -> None:
    """Recognise emotion over time: of each utterance of each channel, in recordings of any length.

    Speech is cut into utterances at its pauses. The two channels of a call are two speakers (--channels mix joins
    them). An answer is the emotion that a voice expresses as others would judge it, not what a person feels.

    Examples:

        duetto timeline call.wav

        duetto timeline call.wav -o call.TextGrid

        duetto timeline call.wav --html call.html --explain

        duetto timeline -r calls -o segments.csv

        duetto timeline calls/*.wav -o subtitles/ --format vtt

        duetto timeline call.wav --window 4 --hop 1 --json
    """
    found = find(files, recursive=recursive, rate=rate, channels=raw_channels)
    with usage_errors():
        config = StreamConfig(SegmenterConfig(min_pause=pause, max_utterance=longest), window, hop, adapt, explain)
        kind = None if out is None and format_name is None else format_of(out or Path("-"), format_name)
        _check(kind, out, html, len(found), as_json)
    if html is not None:
        require_page()
    recogniser = open_recogniser(model, asr, require_speech, reject)
    done: list[Recorded] = []
    pages = _paths(html, [each.path for each in found], ".html")
    for recording, page in zip(found, pages, strict=True):
        answered = _answered(recogniser, recording, config, channels, page, page_audio)
        if answered is not None:
            done.append(answered)
            if as_json:
                json_line(answered.timeline.to_json(answered.name))
            elif kind is None and html is None:
                echo(plain.text([answered]).rstrip())
    if kind is not None and done:
        _write(kind, out, done)
    if len(done) < len(found):
        echo(f"{len(found) - len(done)} of {len(found)} recordings have no time line", err=True)
        raise typer.Exit(1)


def _check(kind: str | None, out: Path | None, html: Path | None, count: int, as_json: bool) -> None:
    """Check before work begins that there is a place for every answer."""
    if as_json and kind is not None and out is None:
        raise typer.BadParameter("--json and --format both state what to print; give one")
    if kind == "audformat" and out is None:
        raise typer.BadParameter("audformat is a folder; give -o FOLDER")
    if count > 1 and html is not None and not _is_folder(html):
        raise typer.BadParameter(f"{html}: a page shows one recording; give a folder (a name without suffix)")
    if count > 1 and kind is not None and not FORMATS[kind].several and not (out and _is_folder(out)):
        raise typer.BadParameter(
            f"{kind} holds one recording; give -o FOLDER (a name without suffix) and --format {kind}"
        )


def _is_folder(path: Path) -> bool:
    """Whether a path is a folder, or is to be one: its name has no suffix (`Path` drops a slash at the end)."""
    return path.is_dir() or not path.suffix


def _answered(
    recogniser: Recogniser, recording: Recording, config: StreamConfig, channels: str, page: Path | None, sound: str
) -> Recorded | None:
    """The time line of a recording, and its page; None where it cannot be read, which is printed."""
    peaks = Peaks()
    try:
        with _watch(recording.path, peaks) as watch:
            answer = analyse(recogniser, recording.source, config, channels=channels_of(channels), watch=watch)
        recorded = Recorded(name_of(recording.path), answer)
        if page is not None:
            shown = Page.of(recorded, peaks, recording.source, sound, beside=page.parent)
            files.write_text(page, page_html(shown))
    except DuettoError as error:
        echo(f"error: {error}", err=True)
        return None
    for warning in answer.warnings:
        echo(f"  warning: {recording.path}: {warning}", err=True)
    return recorded


class _Watch:
    """Collects peaks, and moves the bar."""

    def __init__(self, peaks: Peaks, progress: object) -> None:
        self._peaks, self._progress, self._seconds = peaks, progress, 0.0

    def __call__(self, channels: Sequence[int | None], blocks: Sequence[np.ndarray], stated: float) -> None:
        self._peaks.add(channels, blocks)
        if callable(self._progress) and math.isfinite(stated):
            self._progress(round(self._peaks.seconds), max(round(stated), round(self._peaks.seconds)))


@contextmanager
def _watch(path: Path, peaks: Peaks) -> Iterator[_Watch]:
    with bar(f"{path.name} (s)") as progress:
        yield _Watch(peaks, progress)


def _paths(folder: Path | None, recordings: list[Path], suffix: str) -> list[Path | None]:
    """A file for each recording: the one that was named, or one in a folder, by its name; equal names are numbered."""
    if folder is None:
        return [None] * len(recordings)
    if not _is_folder(folder):
        return [folder for _ in recordings]
    seen: Counter[str] = Counter()
    paths: list[Path | None] = []
    for path in recordings:
        stem = "recording" if str(path) == "-" else PurePath(path).stem
        seen[stem] += 1
        number = "" if seen[stem] == 1 else f"-{seen[stem]}"
        paths.append(folder / f"{stem}{number}{suffix}")
    return paths


def _write(kind: str, out: Path | None, done: list[Recorded]) -> None:
    chosen = FORMATS[kind]
    if out is None:
        for recorded in [done] if chosen.several else [[each] for each in done]:
            for text in chosen.files(recorded, Path("-")).values():
                raw(text)
        return
    if chosen.suffix and _is_folder(out):
        paths = _paths(out, [Path(each.name) for each in done], chosen.suffix)
        found = [chosen.files([each], path) for each, path in zip(done, paths, strict=True) if path is not None]
    else:
        found = [chosen.files(done, out)]
    for texts in found:
        for path, text in texts.items():
            files.write_bytes(path, text.encode("utf-8", "backslashreplace"))
