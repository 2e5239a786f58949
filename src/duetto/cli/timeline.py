"""`duetto timeline`: the emotion of every utterance of recordings of any length."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..errors import DuettoError
from ..inference.pretrained import DEFAULT
from ..inference.recogniser import Recogniser
from ..live.formats import FORMATS, by_suffix
from ..live.stream import StreamConfig
from ..live.timeline import Channels, Timeline, analyse
from ..utils.files import replacing
from ..utils.text import name_of
from .options import Asr, Recordings, one_of, usage_errors
from .output import echo
from .predict import source_of

Model = Annotated[
    str, typer.Option("--model", "-m", help="A run folder, an exported folder, or a model that comes with duetto.")
]
ChannelChoice = Annotated[
    str,
    typer.Option("--channels", help="split (each channel is a speaker), mix, or the number of one channel, from 0 on."),
]
WindowSeconds = Annotated[
    float | None, typer.Option("--window", help="Answer a sliding window of so many seconds too.")
]
HopSeconds = Annotated[float | None, typer.Option("--hop", help="Seconds between windows; by default their length.")]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        callback=one_of(FORMATS),
        help="text, json (one object a recording), jsonl (one a segment) or csv; by default that of the suffix of "
        "--out, or text.",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="File to write; by default standard output.")]


def timeline(
    files: Recordings,
    model: Model = DEFAULT,
    asr: Asr = "auto",
    channels: ChannelChoice = "split",
    window: WindowSeconds = None,
    hop: HopSeconds = None,
    format_name: FormatName = None,
    out: Out = None,
) -> None:
    """Recognise the emotion of every utterance of recordings of any length.

    Utterances end with a pause of 0.5 s. Each channel is one speaker, unless --channels says otherwise; a system that
    adapts does so within the channel. A recording that cannot be read is reported, the others are still processed, and
    the exit status is 1.

    Examples:

        duetto timeline call.wav

        duetto timeline call.wav --window 5 --hop 1 -o call.csv

        duetto timeline calls/*.wav --format jsonl > segments.jsonl
    """
    with usage_errors():
        config = StreamConfig(window=window, hop=hop)
    selected = _channels(channels)
    form = FORMATS[format_name or (by_suffix(out.suffix) if out else None) or "text"]
    recogniser = Recogniser(model, asr=asr)
    if recogniser.terms:
        echo(f"model {recogniser.name}: {recogniser.terms}", err=True)
    failed = 0
    with _writer(out, for_program=form is not FORMATS["text"]) as write:
        write(form.header(recogniser.labels))
        for file in files:
            found = _attempt(recogniser, file, config, selected)
            failed += found is None
            write("" if found is None else form.render(name_of(file), found))
    if failed:
        echo(f"{failed} of {len(files)} recordings have no time line", err=True)
        raise typer.Exit(1)


def _channels(value: str) -> Channels:
    if value in ("split", "mix"):
        return value
    if value.isdecimal():
        return int(value)
    raise typer.BadParameter(f"--channels is {value!r}; give split, mix, or the number of a channel, from 0 on")


def _attempt(recogniser: Recogniser, file: Path, config: StreamConfig, channels: Channels) -> Timeline | None:
    """The time line; None, after its error is printed, where there is none."""
    try:
        found = analyse(recogniser, source_of(file), config, channels=channels)
    except DuettoError as error:
        echo(f"error: {error}", err=True)
        return None
    for warning in found.warnings:
        echo(f"warning: {file}: {warning}", err=True)
    return found


@contextmanager
def _writer(out: Path | None, *, for_program: bool) -> Iterator[Callable[[str], object]]:
    """Where to write; standard output gets UTF-8 for a program, and no control characters for a person."""
    if out is not None:
        with replacing(out) as temporary, temporary.open("w", encoding="utf-8", errors="surrogateescape") as file:
            yield file.write
    elif for_program:
        yield lambda text: sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.flush()
    else:
        yield lambda text: echo(text.removesuffix("\n")) if text else None
