"""Recordings as arguments: files, folders, patterns, standard input, samples without a header, single channels."""

from __future__ import annotations

import glob
import io
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import typer

from .. import audio
from ..audio.ffmpeg import installed
from ..errors import AudioError
from ..live.timeline import Channels, chosen_channels

_READ = ".wav .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd .caf .w64 .rf64 .sph .nist .voc".split()  # noqa: SIM905
_BY_FFMPEG = (  # noqa: SIM905
    ".m4a .mp4 .m4v .mov .3gp .3g2 .aac .ac3 .amr .ape .asf .avi .flv .mka .mkv .mpg .mpeg .mts .ts .mxf .ra .rm .tta "
    ".webm .wma .wmv .wv"
).split()


@dataclass(frozen=True)
class Recording:
    """A recording to work on.

    Attributes:
        path: As given, or found in a folder; `-` is standard input.
        source: What is read.
        channel: The only channel that is read; None for all.
    """

    path: Path
    source: audio.Source
    channel: int | None = None


def channels_of(choice: str) -> Channels:
    """Convert the value of `--channels`.

    Args:
        choice: A valid value.

    Returns:
        The channels.
    """
    return choice if choice in ("split", "mix") else int(choice)  # pyright: ignore[reportReturnType]


def source_of(file: Path) -> Path | BinaryIO:
    """Resolve an argument.

    Args:
        file: A path; `-` is standard input.

    Returns:
        The path, or the stream.
    """
    return sys.stdin.buffer if str(file) == "-" else file


def find(files: list[Path], *, recursive: bool = False, rate: int | None = None, channels: int = 1) -> list[Recording]:
    """List the recordings that arguments name.

    Args:
        files: Files; folders, with `recursive`; patterns such as `calls/*.wav` that the shell has not replaced.
        recursive: Whether to take recordings in folders, found by their suffixes, in the order of their paths.
        rate: Of raw samples, in Hz; None for recordings with a header.
        channels: Of raw samples.

    Returns:
        The recordings; at least one. A folder without `recursive` is one that cannot be read.

    Raises:
        BadParameter: Nothing was found.
    """
    paths = [path for file in files for path in _paths(file, recursive)]
    if not paths:
        raise typer.BadParameter(f"no recording is in {', '.join(map(str, files))}")
    sources = [source_of(path) for path in paths]
    if rate is None:
        return [Recording(path, source) for path, source in zip(paths, sources, strict=True)]
    return [Recording(path, audio.RawPcm(source, rate, channels)) for path, source in zip(paths, sources, strict=True)]


def by_channel(recordings: Iterable[Recording], choice: str) -> list[Recording]:
    """Take the channels of recordings apart.

    Args:
        recordings: From `find`.
        choice: Value of `--channels`.

    Returns:
        A recording for each channel; with `mix` the same recordings. One that cannot be read stays as it is, so that
        its error is reported where it is used.
    """
    return [each for recording in recordings for each in _split(recording, choice)]


def _split(recording: Recording, choice: str) -> Iterator[Recording]:
    if choice == "mix":
        yield recording
        return
    if choice != "split":
        yield replace(recording, source=audio.Channel(recording.source, int(choice)), channel=int(choice))
        return
    try:
        recording = _rereadable(recording)
        with audio.open_channels(recording.source) as opened:
            chosen = chosen_channels("split", opened.channels)
    except AudioError:
        yield recording
        return
    if len(chosen) == 1:
        yield recording
        return
    for channel in chosen:
        if channel is not None:
            yield replace(recording, source=audio.Channel(recording.source, channel), channel=channel)


def _rereadable(recording: Recording) -> Recording:
    """A stream, which can be read only once, is copied."""
    pcm = recording.source if isinstance(recording.source, audio.RawPcm) else None
    inner = recording.source.source if isinstance(recording.source, audio.RawPcm) else recording.source
    if str(recording.path) != "-" and not audio.is_stream(recording.path):
        return recording
    content = io.BytesIO()
    audio.save(inner, content, raw=pcm is not None)
    return replace(recording, source=content if pcm is None else replace(pcm, source=content))


def _paths(file: Path, recursive: bool) -> list[Path]:
    if str(file) == "-":
        return [file]
    if recursive and file.is_dir():
        return sorted(path for path in file.rglob("*") if _is_recording(path, file))
    if not file.exists() and glob.has_magic(str(file)):
        found = sorted(map(Path, glob.glob(str(file), recursive=True)))  # noqa: PTH207 (absolute patterns, too)
        return [path for path in found if path.is_file()] or [file]
    return [file]


def _is_recording(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    suffixes = {*_READ, *(_BY_FFMPEG if installed() else ())}
    return not hidden and path.suffix.lower() in suffixes and path.is_file()
