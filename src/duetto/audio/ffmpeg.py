"""Decoding of what libsndfile does not read, by the program `ffmpeg`, where that is installed. No package is needed.

    file ─ open_media ─▶ FfmpegDecoder ─.blocks(first, last)─▶ (n, channels) float32, … at the file's own sample rate

The program is a process of its own that may read this file and write into a pipe, and nothing else: no network, no
playlist or other container that names further files, no video decoding. It is ended where it decodes more than
`MAX_MEDIA_SECONDS` of sound, or nothing for `STALL_SECONDS`.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import AudioError
from .decode import NotAudioError
from .decoder import FULL_SCALE

MAX_MEDIA_SECONDS = 24 * 3600
"""Seconds of sound that are decoded from one file at most."""
STALL_SECONDS = 60.0
"""Seconds without a decoded sample after which the program is ended."""
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,asf,avi,flv,mpegts,mpeg,amr,amrnb,amrwb,aac,ac3,eac3,dts,dtshd,truehd,mlp,"
    "ogg,oga,opus,wav,w64,aiff,au,caf,flac,voc,wv,ape,tta,tak,mpc,mpc8,rm,gsm,oma,dsf,iff,nut,mxf,gxf,xwma,sln,qcp,ea"
)
"""Containers that hold sound themselves. Playlists (HLS, DASH, concat) name other files, and are left out."""

_MOST_BYTES_IN_MEMORY = 64 << 20
_MOST_ALLOCATED = 512 << 20
_BLOCK_VALUES = 1 << 18
_MESSAGE_LENGTH = 300
_MOST_MESSAGES = 16 * _MESSAGE_LENGTH
"""Bytes of standard error that are kept."""
_AU_HEAD = 24


def installed() -> str | None:
    """Find the program.

    Returns:
        Its path; None where it is not installed.
    """
    return shutil.which("ffmpeg")


class _Process:
    """One run of the program.

    Args:
        argument: The file, as the program opens it.
        descriptors: Open files that it inherits.
        name: For messages.
    """

    def __init__(self, argument: str, descriptors: tuple[int, ...], name: str) -> None:
        self._argument, self._name = argument, name
        self._messages = bytearray()
        self._stalled = False
        self._run = subprocess.Popen(
            _command(argument),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=descriptors,
        )
        self._drain = threading.Thread(target=self._drained, name="messages of ffmpeg", daemon=True)
        self._drain.start()

    def head(self) -> tuple[int, int]:
        """Read the head of the AU stream.

        Returns:
            Sample rate and channels.

        Raises:
            NotAudioError: The program does not read the file.
        """
        head = self._read(_AU_HEAD)
        if len(head) < _AU_HEAD:
            self._run.wait()
            raise NotAudioError(f"ffmpeg: {self.message() or 'finds no sound in it'}")
        _, begin, _, _, rate, channels = struct.unpack(">4s5I", head)
        self._read(begin - _AU_HEAD)
        return rate, channels

    def read(self, frames: int, channels: int) -> np.ndarray:
        """Read the next frames.

        Args:
            frames: How many at most.
            channels: Of the stream.

        Returns:
            (n, channels) float32; fewer than `frames` only at the end.

        Raises:
            AudioError: The program stands still.
        """
        data = self._read(4 * frames * channels)
        if self._stalled:
            raise AudioError(f"{self._name}: ffmpeg decoded nothing for {STALL_SECONDS:g} s; convert the file first")
        return np.frombuffer(data, ">f4", count=len(data) // (4 * channels) * channels).reshape(-1, channels)

    def failed(self) -> bool:
        """Wait for the end of the program.

        Returns:
            Whether it reports a failure.
        """
        return self._run.wait() != 0

    def message(self) -> str:
        """Return what the program, which has ended, wrote to standard error.

        Returns:
            Its first lines, as one.
        """
        self._drain.join()
        text = self._messages.decode("utf-8", "replace")
        text = re.sub(r"\[(\S+) @ 0x[0-9a-f]+\] ", "", text.replace(f"{self._argument}: ", ""))
        return "; ".join(dict.fromkeys(filter(None, map(str.strip, text.splitlines()))))[:_MESSAGE_LENGTH]

    def close(self) -> None:
        """End the program."""
        self._run.kill()
        self._run.wait()
        self._drain.join()
        for pipe in (self._run.stdout, self._run.stderr):
            assert pipe is not None
            pipe.close()

    def _drained(self) -> None:
        """Read standard error to its end, since a full pipe would stop the program, and keep its beginning."""
        assert self._run.stderr is not None
        while part := self._run.stderr.read(1 << 10):
            self._messages += part[: _MOST_MESSAGES - len(self._messages)]

    def _read(self, count: int) -> bytes:
        watch = threading.Timer(STALL_SECONDS, self._end)
        watch.daemon = True
        watch.start()
        try:
            assert self._run.stdout is not None
            return self._run.stdout.read(count)
        finally:
            watch.cancel()

    def _end(self) -> None:
        self._stalled = True
        self._run.kill()


class FfmpegDecoder:
    """The first sound track of a file that ffmpeg reads, with the interface of a `Decoder`.

    Args:
        argument: The file, as the program opens it.
        descriptors: Open files that it inherits.
        name: For messages.

    Attributes:
        name: For messages.
        sample_rate: Hz.
        channels: Number of channels.
        full_scale: Magnitude from which a sample counts as clipped.
        length: Frames; None until it was decoded to its end.
        stated_length: Infinite: what the container states is not read.
        warnings: What ffmpeg reported about a file that it read to its end.

    Raises:
        NotAudioError: The program does not read the file.
    """

    stated_length = math.inf

    def __init__(self, argument: str, descriptors: tuple[int, ...], name: str) -> None:
        self._argument, self._descriptors = argument, descriptors
        self.name, self.full_scale = name, FULL_SCALE
        self.length: int | None = None
        self.warnings: list[str] = []
        self._fresh: _Process | None = None
        self._fresh, (self.sample_rate, self.channels) = self._started()

    def _started(self) -> tuple[_Process, tuple[int, int]]:
        process = _Process(self._argument, self._descriptors, self.name)
        try:
            return process, process.head()
        except BaseException:
            process.close()
            raise

    def close(self) -> None:
        """End the program."""
        if self._fresh is not None:
            self._fresh.close()

    def measure_length(self) -> int:
        """Find the length, by decoding everything once.

        Returns:
            Frames.
        """
        if self.length is None:
            for _ in self.blocks():
                pass
        assert self.length is not None
        return self.length

    def blocks(self, first: float = 0, last: float = math.inf) -> Iterator[np.ndarray]:
        """Decode a range of frames; see `Decoder.blocks`.

        Args:
            first: Frame to begin at.
            last: Frame to end before.

        Yields:
            (n, channels) float32.

        Raises:
            AudioError: The file is damaged, or too long.
        """
        process = self._fresh or self._started()[0]
        self._fresh = None
        with contextlib.closing(process):
            at, most = 0, _BLOCK_VALUES // self.channels
            while at < last:
                block = process.read(int(min(most, last - at)), self.channels)
                if not len(block):
                    self._ended(process, at)
                    return
                at += len(block)
                if at > MAX_MEDIA_SECONDS * self.sample_rate:
                    raise AudioError(f"{self.name}: holds more than {MAX_MEDIA_SECONDS // 3600} h of sound; cut it")
                if at > first:
                    yield block[int(max(0, first - at + len(block))) :].astype(np.float32)

    def _ended(self, process: _Process, at: int) -> None:
        failed, message = process.failed(), process.message()
        if failed:
            raise AudioError(f"{self.name}: damaged after {at / self.sample_rate:.2f} s (ffmpeg: {message})")
        self.length = at
        warning = f"damaged: ffmpeg reports {message}"
        if message and warning not in self.warnings:
            self.warnings.append(warning)


@contextlib.contextmanager
def open_media(file: BinaryIO, name: str, *, is_path: bool) -> Generator[FfmpegDecoder]:
    """Open a file for decoding by ffmpeg.

    Args:
        file: A seekable binary file; it stays open.
        name: For messages.
        is_path: Whether `name` is its path.

    Yields:
        Its decoder.

    Raises:
        NotAudioError: The program does not read it; the message is its own.
    """
    with _openable(file, Path(name) if is_path else None) as (argument, descriptors):
        decoder = FfmpegDecoder(argument, descriptors, name)
        with contextlib.closing(decoder):
            yield decoder


@contextlib.contextmanager
def _openable(file: BinaryIO, path: Path | None) -> Generator[tuple[str, tuple[int, ...]]]:
    """The file as another process can open it and seek in it, and the descriptors that it needs for that."""
    if path is not None and path.is_file():
        yield f"file:{path}", ()
        return
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    in_memory = size <= _MOST_BYTES_IN_MEMORY or isinstance(file, io.BytesIO)
    if hasattr(os, "memfd_create") and in_memory:  # what was in memory does not reach the disk
        with os.fdopen(os.memfd_create("duetto"), "w+b") as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            yield f"file:/dev/fd/{copy.fileno()}", (copy.fileno(),)
        return
    with tempfile.NamedTemporaryFile(prefix="duetto-") as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield f"file:{copy.name}", ()


def _command(argument: str) -> list[str]:
    options = f"-nostdin -hide_banner -loglevel error -max_alloc {_MOST_ALLOCATED} -threads 1"
    reading = f"-protocol_whitelist file,pipe -format_whitelist {FORMATS} -vn -sn -dn"
    writing = "-map 0:a:0 -map_metadata -1 -c:a pcm_f32be -f au"
    program = installed() or "ffmpeg"
    return [program, *options.split(), *reading.split(), "-i", argument, *writing.split(), "pipe:1"]
