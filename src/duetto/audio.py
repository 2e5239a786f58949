"""Audio in, audio out: decode, cut, mix down, resample. The only user of soundfile and soxr.

    file · file object · {"waveform", "sample_rate"} ─ load ─▶ Waveform (mono float32, 16 kHz, warnings)
                                                     ─ stream ─▶ blocks of the same samples, in bounded memory

WAV, FLAC, OGG, OPUS and MP3 (and whatever else the installed libsndfile reads) at any sample rate and
with any number of channels. Channels are averaged; rates are converted by soxr at quality `HQ`
(passband to 0.91 of the lower Nyquist frequency, stopband at 20 bits).

What is odd but can be analysed gets an answer and a line in `Waveform.warnings`: silence, a constant
(DC), a single sample, clipping, a narrow band, channels that cancel out, a truncated file. What cannot be
analysed is an `AudioError` that names the file: missing, empty, damaged, not audio, NaN or infinite
samples, a cut outside the file.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import os
import shlex
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import soundfile
import soxr

from .errors import AudioError
from .frames import FRAME_SECONDS, SAMPLE_RATE

Source = str | os.PathLike[str] | BinaryIO | Mapping[str, Any]
"""A path, a binary file object (read from its beginning), or {"waveform", "sample_rate"}."""

SILENCE_PEAK = 1e-4
"""A swing (largest minus smallest sample) below this, −80 dB of full scale, counts as silence."""
CLIPPED_SHARE = 1e-3
"""A recording with a larger share of its samples at full scale is reported as clipped.

A file that was only normalised to its peak has a handful of such samples."""
END_TOLERANCE = 0.1
"""Seconds by which `end` may lie beyond the file: corpora round their times."""
_FULL_SCALE, _FULL_SCALE_8_BIT = 0.999, 127 / 128
_READ_FRAMES = 1 << 16
_UNKNOWN_FRAMES = 1 << 60
_RATES = (1_000, 768_000)
_MAX_CHANNELS = 64
_NOTHING = "holds no samples; there is nothing to analyse"
_FULL_SCALES = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31}
_ENCODINGS = {".wav": "PCM_16", ".flac": "PCM_16", ".ogg": "VORBIS", ".opus": "OPUS", ".mp3": "MPEG_LAYER_III"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """One channel of sound.

    samples: (n,) float32, n ≥ 1, finite, read-only, full scale ±1.
    sample_rate: samples per second. warnings: what a listener should know about this recording.
    """

    samples: np.ndarray
    sample_rate: int
    warnings: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


class _File(soundfile.SoundFile):
    """Read strictly forward: a `SoundFile` that thinks it can seek does so after every read, and in an MP3 file
    that loses the bits which the next frame borrows from those before it."""

    def seekable(self) -> bool:
        return False


@dataclass(slots=True)
class _Decoder:
    """An opened source: `frames` frames of samples in an opened file or an (n, channels) float32 array."""

    name: str
    rate: int
    frames: int
    full_scale: float
    content: _File | np.ndarray
    truncated: bool = False

    def blocks(self, first: int, last: int) -> Iterator[np.ndarray]:
        """(n, channels) float32 blocks of the frames `first` … `last`; fewer where the file breaks off."""
        file, at = self.content, first
        try:
            if isinstance(file, _File):
                at = 0 if file.format == "MP3" else file.seek(first)  # MP3: decode what lies before, and drop it
            while at < last:
                end = min(at + _READ_FRAMES, last)
                array = isinstance(file, np.ndarray)
                block = file[at:end] if array else file.read(end - at, dtype="float32", always_2d=True)
                if not len(block):
                    return
                at += len(block)
                if at > first:
                    yield block[max(0, first - at + len(block)) :]
        except soundfile.SoundFileError as error:
            raise AudioError(f"{self.name}: damaged after {at / self.rate:.2f} s ({_reason(error)})") from error


@dataclass(slots=True)
class _Levels:
    """What the warnings need to know, gathered block by block before resampling."""

    rate: int
    full_scale: float
    frames: int = 0
    low: float = math.inf
    high: float = -math.inf
    peak: float = 0.0
    clipped: float = 0.0

    def add(self, block: np.ndarray, mono: np.ndarray) -> None:
        self.frames += len(mono)
        self.low = min(self.low, float(mono.min()))
        self.high = max(self.high, float(mono.max()))
        magnitude = np.abs(block)
        self.peak = max(self.peak, float(magnitude.max()))
        self.clipped += np.count_nonzero(magnitude >= self.full_scale) / block.shape[1]

    def warnings(self, sample_rate: int) -> Iterator[str]:
        if self.frames == 1:
            yield "only one sample"
        elif self.frames < FRAME_SECONDS * self.rate:
            yield f"only {self.frames / self.rate:.3f} s long: less than one frame of {FRAME_SECONDS} s"
        if self.high - self.low < SILENCE_PEAK:
            if max(abs(self.low), abs(self.high)) >= SILENCE_PEAK:
                yield f"constant: every sample is about {self.high:.3g} (DC only), there is no sound in it"
            elif self.peak >= SILENCE_PEAK:
                yield "silent after mixing down: the channels cancel each other out"
            else:
                yield "silent: no sample above −80 dB of full scale"
        elif self.clipped > CLIPPED_SHARE * self.frames:
            yield f"clipped: {100 * self.clipped / self.frames:.1f} % of the samples are at full scale"
        if self.rate < sample_rate:
            yield f"narrow-band: sampled at {self.rate} Hz, so there is nothing above {self.rate // 2} Hz"


def load(
    source: Source, *, start: float | None = None, end: float | None = None, sample_rate: int = SAMPLE_RATE
) -> Waveform:
    """Read a recording, or the seconds `start`–`end` of it, as one channel at `sample_rate`.

    source: path, binary file object, or {"waveform": (n,) or (channels, n), "sample_rate": Hz}. int16
        and int32 are divided by their full scale; floating-point samples are taken as they are.
    Raises `AudioError`, naming the file, for whatever cannot be analysed. The cut is made before
    resampling, so what lies outside it does not leak in. An `end` up to `END_TOLERANCE` beyond the file
    is taken as its end, with a warning.
    """
    sample_rate = _valid_rate(sample_rate, "the sample rate asked for")
    with _opened(source) as decoder:
        first, last, warnings = _cut(decoder, start, end)
        levels = _Levels(decoder.rate, decoder.full_scale)
        pieces = list(_resampled(decoder, first, last, sample_rate, levels))
    samples = np.concatenate(pieces)
    samples.setflags(write=False)
    if decoder.truncated or levels.frames < last - first:
        warnings.append(
            f"truncated: the file breaks off before its header says, {levels.frames / decoder.rate:.2f} s read"
        )
    return Waveform(samples, sample_rate, (*warnings, *levels.warnings(sample_rate)))


def stream(source: Source, *, sample_rate: int = SAMPLE_RATE, block_seconds: float = 30.0) -> Iterator[np.ndarray]:
    """The samples of `load`, in blocks of `block_seconds` (the last one shorter), in bounded memory.

    Yields (n,) float32 arrays. Their concatenation equals `load(source).samples` bit for bit: both run
    the same streaming resampler over the same blocks. Errors are those of `load`; one that lies deep in
    the file is raised when the stream reaches it.
    """
    sample_rate = _valid_rate(sample_rate, "the sample rate asked for")
    if not (math.isfinite(block_seconds) and block_seconds * sample_rate >= 1):
        raise AudioError(f"a block of {block_seconds} s holds no sample: give at least {1 / sample_rate:.2g} s")
    return _stream(source, sample_rate, round(block_seconds * sample_rate))


def duration(source: Source) -> float:
    """Length of a recording in seconds, from its header."""
    with _opened(source) as decoder:
        return decoder.frames / decoder.rate


def write(path: str | os.PathLike[str], samples: np.ndarray, sample_rate: int) -> None:
    """Write (n,) or (channels, n) samples with full scale ±1, atomically; the suffix chooses the format.

    `.wav` and `.flac` hold 16 bits; `.ogg`, `.opus` and `.mp3` are lossy. Samples beyond ±1 are clipped
    and their number is logged.
    """
    path = Path(path)
    if path.suffix.lower() not in _ENCODINGS:
        raise AudioError(f"{path}: cannot write {path.suffix or 'a file without suffix'}; use {', '.join(_ENCODINGS)}")
    rate = _valid_rate(sample_rate, f"{path}: the sample rate")
    array = _frames_first(samples, str(path))
    _check_finite(array, str(path), 0, rate)
    if beyond := int(np.count_nonzero(np.abs(array) > 1)):
        _log.warning("%s: %d samples lie beyond ±1 and are clipped", path, beyond)
    subtype = _ENCODINGS[path.suffix.lower()]
    container = "OGG" if subtype == "OPUS" else path.suffix[1:].upper()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        if subtype == "PCM_16":  # rounded here: libsndfile cuts off, so that a copy of a copy would drift
            array = np.clip(np.rint(array * np.float32(32_768)), -32_768, 32_767).astype(np.int16)
        else:
            array = np.clip(array, -1, 1)
        soundfile.write(partial, array, rate, subtype=subtype, format=container)
        os.replace(partial, path)
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path}: cannot write {container} at {rate} Hz ({error})") from error
    finally:
        partial.unlink(missing_ok=True)


def _stream(source: Source, sample_rate: int, size: int) -> Iterator[np.ndarray]:
    with _opened(source) as decoder:
        kept: list[np.ndarray] = []
        count = 0
        for piece in _resampled(decoder, 0, decoder.frames, sample_rate, None):
            kept.append(piece)
            count += len(piece)
            if count >= size:
                joined = np.concatenate(kept)
                whole = count - count % size
                yield from joined[:whole].reshape(-1, size)
                kept, count = [joined[whole:].copy()], count - whole
        if count:
            yield np.concatenate(kept)


def _resampled(
    decoder: _Decoder, first: int, last: int, sample_rate: int, levels: _Levels | None
) -> Iterator[np.ndarray]:
    """Mono float32 blocks at `sample_rate`; at least one sample in all, or an error."""
    same = decoder.rate == sample_rate
    resampler = None if same else soxr.ResampleStream(decoder.rate, sample_rate, 1, dtype="float32", quality="HQ")
    at, given, mono = first, 0, np.empty(0, np.float32)
    for block in decoder.blocks(first, last):
        _check_finite(block, decoder.name, at, decoder.rate)
        mono = block[:, 0].copy() if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float64).astype(np.float32)
        if levels is not None:
            levels.add(block, mono)
        at += len(mono)
        out = mono if resampler is None else resampler.resample_chunk(mono)
        given += len(out)
        yield out
    if at == first:
        raise AudioError(f"{decoder.name}: {_NOTHING}")
    if resampler is not None:
        rest = resampler.resample_chunk(np.empty(0, np.float32), last=True)
        yield rest if given + len(rest) else mono[:1]  # one sample at 48 kHz is a third of one at 16 kHz


@contextlib.contextmanager
def _opened(source: Source) -> Generator[_Decoder]:
    if isinstance(source, Mapping):
        return (yield _from_mapping(source))
    if isinstance(source, np.ndarray):
        raise AudioError('an array has no sample rate: give {"waveform": array, "sample_rate": Hz}')
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        _check_file(path)
        handle, name = cast(Any, os.fsencode(path) if os.name == "posix" else path), str(path)  # may be no UTF-8
    elif hasattr(source, "read"):
        handle, name = _seekable(source)
    else:
        kind = type(source).__name__
        raise AudioError(f'{kind} is no audio source: give a path, a file object, or {{"waveform", "sample_rate"}}')
    try:
        file = _File(handle)
    except (soundfile.SoundFileError, TypeError, OSError) as error:
        raise AudioError(_not_audio(name, error)) from error
    with file:
        if file.frames <= 0:
            raise AudioError(f"{name}: {_NOTHING}")
        if file.frames >= _UNKNOWN_FRAMES:  # FLAC from a pipe; libsndfile cannot seek in it, nor soundfile read it
            raise AudioError(f"{name}: does not state its length; rewrite it: ffmpeg -i {shlex.quote(name)} whole.flac")
        rate = _valid_rate(file.samplerate, f"{name}: the sample rate")
        scale = _FULL_SCALE_8_BIT if file.subtype in ("PCM_U8", "PCM_S8") else _FULL_SCALE
        truncated = file.format in ("WAV", "WAVEX") and _data_chunk_is_short(file.extra_info)
        yield _Decoder(name, rate, file.frames, scale, file, truncated)


def _data_chunk_is_short(log: str) -> bool:
    """Whether libsndfile's log says that the data of a WAV file end before its header says."""
    for line in log.splitlines():
        claimed, _, actual = line.partition("(should be ")
        if line.startswith("data : ") and actual:
            size = int(claimed.removeprefix("data : "))
            return int(actual.rstrip(")")) < size < 0x7FFFF000  # writers into a pipe leave the largest number
    return False


def _from_mapping(source: Mapping[str, Any]) -> _Decoder:
    if missing := sorted({"waveform", "sample_rate"} - set(source)):
        raise AudioError(f'{{"waveform": array, "sample_rate": Hz}} needed; {" and ".join(missing)} missing')
    rate = _valid_rate(source["sample_rate"], 'waveform: its "sample_rate"')
    array = _frames_first(source["waveform"], "waveform")
    return _Decoder("waveform", rate, len(array), _FULL_SCALE, array)


def _frames_first(value: Any, name: str) -> np.ndarray:
    """(n,) or (channels, n) samples as (n, channels) float32."""
    array = np.asarray(value)
    what = f"{array.dtype} of shape {array.shape}"
    if array.ndim not in (1, 2) or not (array.dtype.kind == "f" or array.dtype in _FULL_SCALES):
        raise AudioError(f"{name}: (n,) or (channels, n) of floats, int16 or int32 needed, not {what}")
    if array.ndim == 2 and array.shape[0] > _MAX_CHANNELS:
        raise AudioError(f"{name}: {what} reads as {array.shape[0]} channels; give (channels, n)")
    if array.size == 0:
        raise AudioError(f"{name}: {_NOTHING}")
    if array.dtype.kind == "i":
        array = array / _FULL_SCALES[array.dtype]
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which is reported
        return np.atleast_2d(array).T.astype(np.float32, copy=False)


def _valid_rate(value: Any, what: str) -> int:
    low, high = _RATES
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value != int(value) or not low <= value <= high:
        raise AudioError(f"{what} is {value!r}; give whole samples per second from {low} to {high}")
    return int(value)


def _cut(decoder: _Decoder, start: float | None, end: float | None) -> tuple[int, int, list[str]]:
    """First and last frame of the cut at the source's own rate, and warnings."""
    length = decoder.frames / decoder.rate
    start, end = 0.0 if start is None else start, length if end is None else end
    where = f"{decoder.name}: the cut {start}–{end} s"
    if not (math.isfinite(start) and math.isfinite(end) and start >= 0):
        raise AudioError(f"{where} is not valid: give finite seconds from 0 on")
    first, last = round(start * decoder.rate), round(end * decoder.rate)
    if first >= decoder.frames or end > length + END_TOLERANCE:
        raise AudioError(f"{where} lies beyond the file, which is {length:.3f} s long")
    if last <= first:
        raise AudioError(f"{where} holds no sample: end must lie after start")
    if last <= decoder.frames:
        return first, last, []
    return first, decoder.frames, [f"cut at the end of the file: {end} s asked for, {length:.3f} s there"]


def _check_finite(block: np.ndarray, name: str, at: int, rate: int) -> None:
    bad = ~np.isfinite(block).all(axis=1)
    if bad.any():
        first = (at + int(bad.argmax())) / rate
        raise AudioError(f"{name}: {int(bad.sum())} samples from {first:.3f} s on are NaN or infinite; repair the file")


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise AudioError(f"{path}: is a folder; give an audio file")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise AudioError(f"{path}: is empty (0 bytes)")
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be opened ({error})"
        raise AudioError(f"{path}: {reason}") from error


def _seekable(source: Any) -> tuple[Any, str]:
    """A binary file object rewound to its beginning (a pipe is read whole), and its name for errors."""
    name = str(getattr(source, "name", "file object"))
    try:
        if not (hasattr(source, "seekable") and source.seekable()):
            source = io.BytesIO(source.read())
        source.seek(0)
        head = source.read(1)
        source.seek(0)
    except (OSError, ValueError, TypeError) as error:
        raise AudioError(f"{name}: cannot be read ({error}); open it with mode 'rb'") from error
    if not head or not isinstance(head, bytes):
        raise AudioError(f"{name}: " + ("opened as text; open it with mode 'rb'" if head else "is empty (0 bytes)"))
    return source, name


def _not_audio(name: str, error: Exception) -> str:
    return (
        f"{name}: cannot be read as audio ({_reason(error)}). WAV, FLAC, OGG, OPUS and MP3 are read; convert "
        f"anything else (m4a, aac, wma, video) first: ffmpeg -i {shlex.quote(name)} -ac 1 -ar 16000 converted.wav"
    )


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", error)).removeprefix("Error : ").rstrip(". ")
    # What libsndfile says of an MP3 stream in which it finds no frame.
    return "no audio frame found" if "possibly a pipe" in text else text
