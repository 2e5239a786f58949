"""`load`, `stream`, `duration`, `write`: see the package."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import soxr

from ..errors import AudioError
from ..utils.files import replacing
from .decode import Decoder, NotAudioError, encode, opened
from .hints import not_audio
from .levels import Levels
from .sources import binary
from .timing import SAMPLE_RATE

Source = str | os.PathLike[str] | BinaryIO | Mapping[str, Any]
"""A path, a binary file object (read from its beginning), or {"waveform", "sample_rate"}."""

END_TOLERANCE = 0.1
"""Seconds by which `end` may lie beyond the file: corpora round their times."""
LENGTH_TOLERANCE = 0.1
"""Seconds by which a header may misstate the length before a warning says so: one frame of the features."""
_FULL_SCALE = 0.999
_READ_FRAMES = 1 << 16
_RATES = (1_000, 768_000)
_MAX_CHANNELS = 64
_HEAD = 4096
_NOTHING = "holds no samples; there is nothing to analyse"
_FULL_SCALES = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31}
_ENCODINGS = {".wav": "PCM_16", ".flac": "PCM_16", ".ogg": "VORBIS", ".opus": "OPUS", ".mp3": "MPEG_LAYER_III"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """One channel of sound.

    samples: (n,) float32, n ≥ 1, finite, read-only, full scale ±1.
    sample_rate: samples per second. warnings: what a listener should know about this recording.
    source_duration: seconds of the recording that these samples are a part of, where `load` was given `max_seconds`.
    """

    samples: np.ndarray
    sample_rate: int
    warnings: tuple[str, ...] = ()
    source_duration: float | None = None

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True, slots=True)
class Properties:
    """sample_rate: of the file, in Hz. channels: in the file. duration: seconds."""

    sample_rate: int
    channels: int
    duration: float


@dataclass(slots=True)
class _Array:
    """Samples in memory, with the face of a `Decoder`. frames: (n, channels) float32."""

    name: str
    rate: int
    frames: np.ndarray
    full_scale: float = _FULL_SCALE
    notes: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        return len(self.frames)

    @property
    def stated(self) -> int:
        return len(self.frames)

    @property
    def channels(self) -> int:
        return self.frames.shape[1]

    def measured(self) -> int:
        return self.length

    def blocks(self, first: float = 0, last: float = math.inf) -> Iterator[np.ndarray]:
        end = int(min(last, self.length))
        for at in range(int(first), end, _READ_FRAMES):
            yield self.frames[at : min(at + _READ_FRAMES, end)]


def load(
    source: Source,
    *,
    start: float | None = None,
    end: float | None = None,
    sample_rate: int = SAMPLE_RATE,
    max_seconds: float | None = None,
    side: Literal["first", "last"] = "first",
) -> Waveform:
    """Read a recording, or the seconds `start`–`end` of it, as one channel at `sample_rate`.

    The cut is made before resampling, so what lies outside it does not leak in. An `end` up to `END_TOLERANCE` beyond
    the file is taken as its end, with a warning.

    Args:
        source: A path, a binary file object, or {"waveform": (n,) or (channels, n), "sample_rate": Hz}. int16 and
            int32 are divided by their full scale; floating-point samples are taken as they are.
        start: Seconds; the beginning by default.
        end: Seconds; the end by default.
        sample_rate: Of the result, in Hz.
        max_seconds: Seconds of the recording to decode at most; without start and end. The samples are those of the whole
            recording, but for the filter of the resampler at the cut.
        side: Which of them: the first, or the last, from a whole second on.

    Raises:
        AudioError: It cannot be analysed; the message names the file.
    """
    sample_rate = _valid_rate(sample_rate, "the sample rate asked for")
    with _opened(source) as decoder:
        if max_seconds is None:
            first, last = _cut(decoder, start, end)
        else:
            first, last = _part(decoder, max_seconds, side)
        levels = Levels(decoder.rate, decoder.full_scale)
        pieces = list(_resampled(decoder, first, last, sample_rate, levels, (start, end)))
        warnings = [*_length_warnings(decoder, end if max_seconds is None else None), *decoder.notes]
        source_duration = None if max_seconds is None else decoder.measured() / decoder.rate
    samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    samples.setflags(write=False)
    return Waveform(samples, sample_rate, (*warnings, *levels.warnings(sample_rate)), source_duration)


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
    """Length of a recording in seconds: of what can be decoded, whatever its header states."""
    return properties(source).duration


def properties(source: Source) -> Properties:
    """Sample rate, channels and length of a recording. Decoded only where nothing else shows its length.

    Raises:
        AudioError: It cannot be read; the message names the file.
    """
    with _opened(source) as decoder:
        length = decoder.measured()
        if not length:
            raise AudioError(f"{decoder.name}: {_NOTHING}")
        return Properties(decoder.rate, decoder.channels, length / decoder.rate)


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
    if subtype == "PCM_16":  # rounded here: libsndfile cuts off, so that a copy of a copy would drift
        array = np.clip(np.rint(array * np.float32(32_768)), -32_768, 32_767).astype(np.int16)
    else:
        array = np.clip(array, -1, 1)
    try:
        with replacing(path) as temporary:
            encode(temporary, array, rate, container=container, subtype=subtype)
    except NotAudioError as error:
        raise AudioError(f"{path}: cannot write {container} at {rate} Hz ({error})") from error


def _stream(source: Source, sample_rate: int, size: int) -> Iterator[np.ndarray]:
    with _opened(source) as decoder:
        kept: list[np.ndarray] = []
        count = 0
        for piece in _resampled(decoder, 0, math.inf, sample_rate, None, (None, None)):
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
    decoder: Decoder | _Array,
    first: float,
    last: float,
    sample_rate: int,
    levels: Levels | None,
    cut: tuple[float | None, float | None],
) -> Iterator[np.ndarray]:
    """Mono float32 blocks at `sample_rate`; at least one sample in all, or an error. cut: see `_check_cut`."""
    same = decoder.rate == sample_rate
    resampler = None if same else soxr.ResampleStream(decoder.rate, sample_rate, 1, dtype="float32", quality="HQ")
    at, given, mono = int(first), 0, np.empty(0, np.float32)
    for block in decoder.blocks(first, last):
        _check_finite(block, decoder.name, at, decoder.rate)
        mono = block[:, 0].copy() if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float64).astype(np.float32)
        if levels is not None:
            levels.add(block, mono)
        at += len(mono)
        out = mono if resampler is None else resampler.resample_chunk(mono)
        given += len(out)
        yield out
    _check_cut(decoder, at - int(first), *cut)
    if resampler is not None:
        rest = resampler.resample_chunk(np.empty(0, np.float32), last=True)
        yield rest if given + len(rest) else mono[:1]  # one sample at 48 kHz is a third of one at 16 kHz


@contextlib.contextmanager
def _opened(source: Source) -> Generator[Decoder | _Array]:
    if isinstance(source, Mapping):
        yield _from_mapping(source)
        return
    if isinstance(source, np.ndarray):
        raise AudioError('an array has no sample rate: give {"waveform": array, "sample_rate": Hz}')
    if not (isinstance(source, str | os.PathLike) or hasattr(source, "read")):
        kind = type(source).__name__
        raise AudioError(f'{kind} is no audio source: give a path, a file object, or {{"waveform", "sample_rate"}}')
    with binary(source) as (file, name, is_path), contextlib.ExitStack() as stack:
        try:
            decoder = stack.enter_context(opened(file, name))
        except NotAudioError as error:
            file.seek(0)
            raise AudioError(not_audio(name, file.read(_HEAD), str(error), is_path=is_path)) from error
        except OSError as error:
            raise AudioError(f"{name}: cannot be read ({error})") from error
        _valid_rate(decoder.rate, f"{name}: the sample rate")
        yield decoder


def _from_mapping(source: Mapping[str, Any]) -> _Array:
    if missing := sorted({"waveform", "sample_rate"} - set(source)):
        raise AudioError(f'{{"waveform": array, "sample_rate": Hz}} needed; {" and ".join(missing)} missing')
    rate = _valid_rate(source["sample_rate"], 'waveform: its "sample_rate"')
    array = _frames_first(source["waveform"], "waveform")
    return _Array("waveform", rate, array)


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


def _cut(decoder: Decoder | _Array, start: float | None, end: float | None) -> tuple[float, float]:
    """First and last frame of the cut at the source's own rate; the last is infinite where no end is given."""
    first, last = _frame(decoder, 0.0 if start is None else start, start, end), math.inf
    if end is not None:
        last = _frame(decoder, end, start, end)
        if last <= first:
            raise AudioError(f"{decoder.name}: {_said(start, end)} holds no sample: end must lie after start")
    return first, last


def _frame(decoder: Decoder | _Array, seconds: float, start: float | None, end: float | None) -> int:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise AudioError(f"{decoder.name}: {_said(start, end)} is not valid: give finite seconds from 0 on")
    return round(seconds * decoder.rate)


def _said(start: float | None, end: float | None) -> str:
    return f"the cut {0.0 if start is None else start}–{'' if end is None else end} s"


def _part(decoder: Decoder | _Array, max_seconds: float, side: str) -> tuple[float, float]:
    """First and last frame of the first or last `max_seconds`."""
    if side == "first":
        return 0, max(1, round(max_seconds * decoder.rate))
    length = decoder.measured()
    return max(0, math.floor(length / decoder.rate - max_seconds)) * decoder.rate, length


def _check_cut(decoder: Decoder | _Array, read: int, start: float | None, end: float | None) -> None:
    """Refuse a cut that lies beyond the recording, now that its true length is known if it ended."""
    if decoder.length is None:
        return
    length = decoder.length / decoder.rate
    if decoder.length == 0:
        raise AudioError(f"{decoder.name}: {_NOTHING}")
    if not read or (end is not None and end > length + END_TOLERANCE):
        raise AudioError(f"{decoder.name}: {_said(start, end)} lies beyond the file, which is {length:.3f} s long")


def _length_warnings(decoder: Decoder | _Array, end: float | None) -> Iterator[str]:
    """What a cut was shortened by, and what a header misstates; known where the recording was decoded to its end."""
    if decoder.length is None:
        return
    length, stated = decoder.length / decoder.rate, decoder.stated / decoder.rate
    if end is not None and round(end * decoder.rate) > decoder.length:
        yield f"cut at the end of the file: {end} s asked for, {length:.3f} s there"
    if math.isfinite(stated) and stated > length + LENGTH_TOLERANCE:
        yield f"truncated: its header states {stated:.3f} s, of which {length:.3f} s are there"
    elif stated < length - LENGTH_TOLERANCE:
        yield f"longer than its header states: {length:.3f} s are there and read, not {stated:.3f} s"


def _check_finite(block: np.ndarray, name: str, at: int, rate: int) -> None:
    bad = ~np.isfinite(block).all(axis=1)
    if bad.any():
        first = (at + int(bad.argmax())) / rate
        raise AudioError(f"{name}: {int(bad.sum())} samples from {first:.3f} s on are NaN or infinite; repair the file")
