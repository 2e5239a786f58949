"""Options that several commands share, and how a wrong value of one ends: as wrong usage, with exit status 2.

A failure while a command works (an unreadable file, a leak, a folder that is in use) has exit status 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ..config.accelerators import ACCELERATORS
from ..corpora.labelling import check_choice
from ..data.labels import AS_IS, LABEL_SETS
from ..errors import ConfigurationError
from ..inference.pretrained import PRETRAINED

Value = TypeVar("Value", str, str | None)

_REST = {"=": "PATH", ":": "MODEL"}  # what follows a value that ends so


def one_of(valid: Collection[str]) -> Callable[[Value], Value]:
    """Make the callback of an option that takes one of several values.

    Args:
        valid: The values. `NAME=` stands for NAME=PATH, `NAME:` for NAME:MODEL.

    Returns:
        The callback, which refuses all others. None, where an option is not given, passes.
    """

    def check(value: Value) -> Value:
        if value is None or value in valid or any(v[-1] in _REST and value.startswith(v) for v in valid):
            return value
        shown = ", ".join(v + _REST.get(v[-1], "") for v in valid)
        raise typer.BadParameter(f"{value!r} is not known; choose from {shown}")

    return check


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn the ConfigurationError of a block that only reads option values into wrong usage.

    Yields:
        Nothing.

    Raises:
        BadParameter: The block raised a ConfigurationError.
    """
    try:
        yield
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from error


def _channels(value: str | None) -> str | None:
    if value is None or value in ("split", "mix") or re.fullmatch(r"\d{1,3}", value):
        return value
    raise typer.BadParameter(f"{value!r} is not valid; give split, mix, or the number of a channel, from 0 on")


def _labels(value: Value) -> Value:
    if value is None:
        return value
    with usage_errors():
        check_choice(value)
    return value


Recordings = Annotated[
    list[Path],
    typer.Argument(  # not checked here: a file that cannot be read is an error of that recording alone
        help="Recordings: wav, flac, ogg, opus or mp3 at any rate, and where ffmpeg is installed m4a, mp4, webm, wma, "
        "amr, … and videos; folders (-r); - is standard input.",
        readable=False,
    ),
]
Asr = Annotated[
    str,
    typer.Option(
        callback=one_of(("auto", "corpus", "general", "segments", "whisper", "whisper=", "whisper:")),
        help="Speech recogniser that finds the words: auto (Whisper if a model is at hand, else corpus), corpus, "
        "general, segments, whisper=FOLDER, or whisper:NAME (downloads it).",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="A run folder, an exported folder, hub:OWNER/NAME, or a model that comes with duetto: "
        + ", ".join(PRETRAINED),
    ),
]
Reject = Annotated[
    str | None,
    typer.Option(
        help="Mark answers as uncertain, so that at most this share of the others is wrong, such as 0.1; or auto.",
        metavar="RATE|auto",
    ),
]
RequireSpeech = Annotated[
    bool,
    typer.Option(
        "--require-speech/--any-sound",
        help="Give a recording without speech no emotion, or predict one for any sound.",
    ),
]
Recursive = Annotated[
    bool, typer.Option("--recursive", "-r", help="Take the recordings in folders, and in the folders in these.")
]
Rate = Annotated[
    int | None,
    typer.Option(
        min=1000, max=768_000, help="The input is raw samples at this rate in Hz: 16 bits, little-endian, no header."
    ),
]
RawChannels = Annotated[int, typer.Option(min=1, max=64, help="Channels of raw samples (--rate), interleaved.")]
ChannelChoice = Annotated[
    str,
    typer.Option(
        "--channels",
        metavar="split|mix|N",
        callback=_channels,
        help="Each channel by itself, since in a call each is a speaker; their mean; or channel N, from 0 on.",
    ),
]
_CLASSES = f"Classes: {', '.join((*LABEL_SETS, AS_IS))}, or a TOML file that maps raw labels to classes"
Labels = Annotated[str, typer.Option(callback=_labels, metavar="SET|FILE", help=f"{_CLASSES}.")]
ManifestLabels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        callback=_labels,
        metavar="SET|FILE",
        help=f"{_CLASSES}; applied to the raw labels. Default: the manifest's labels, which must be classes of the "
        "system.",
    ),
]
Accelerator = Annotated[
    str, typer.Option(callback=one_of(ACCELERATORS), help=f"Where to train: {', '.join(ACCELERATORS)}.")
]
Devices = Annotated[int, typer.Option(min=1, help="Processes that share a training, each on a device of its own.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse --vectors with duplicate or empty words, or invalid UTF-8.")
]
DeclareLeak = Annotated[
    bool, typer.Option("--declare-leak", help="Train although test data leak; results are marked as such.")
]
TrainWorkers = Annotated[int, typer.Option(min=1, help="Processes that train folds and seeds side by side.")]
