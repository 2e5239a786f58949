"""The 34 short-term features: one vector for every 100 ms of a voice.

    samples ─ extract ─▶ (frames, 34) float32 ─ functionals ─▶ (68,)

    waveform = duetto.audio.load("call.wav")
    features = extract(waveform.samples, waveform.sample_rate)          # what the definitions say
    features = extract(samples, 16000, mode="pyaudioanalysis")          # what the released package computes

Columns are `NAMES`: zero-crossing rate, energy and its entropy, five of the spectrum, 13 MFCC, 12 chroma
and their deviation. Definitions: Giannakopoulos, "pyAudioAnalysis" (PLOS ONE 10(12), 2015), table 2, and
the released package, `ShortTermFeatures.feature_extraction` (0.3.14). The package departs from its own
definitions in several places; mode `corrected` follows the definitions, mode `pyaudioanalysis` the package,
number for number. docs/features.md has both side by side. In mode `corrected` nothing hangs on the last bit of a sum:
zero crossings have a dead zone (`_spectral.crossings`), the rolloff a slack. In mode `pyaudioanalysis` they are not
defined where samples equal the recording's mean, or a running sum 0.90 of its total, to the last bit.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from ..audio import timing
from ..audio.signal import INT16_FULL_SCALE, validate_samples
from ..errors import AudioError, ConfigurationError
from . import _spectral as spectral
from . import _workspace
from ._filterbanks import LOWEST_PITCH, Tables, filter_edges, tables

NAMES: tuple[str, ...] = (
    "zcr",
    "energy",
    "energy_entropy",
    "spectral_centroid",
    "spectral_spread",
    "spectral_entropy",
    "spectral_flux",
    "spectral_rolloff",
    *(f"mfcc_{i}" for i in range(1, 14)),
    *(f"chroma_{i}" for i in range(1, 13)),
    "chroma_std",
)
"""The 34 columns. `chroma_1` is pitch class A, `chroma_2` A sharp, … `chroma_12` G sharp."""

FUNCTIONAL_NAMES: tuple[str, ...] = (*(f"{n}_mean" for n in NAMES), *(f"{n}_std" for n in NAMES))

MODES = ("corrected", "pyaudioanalysis")

SILENCE_ENERGY = 1e-15
"""Mean square at or below which a frame counts as digital silence in mode `corrected`: −150 dB of full
scale, the quantisation noise of 24 bits. What is left there is rounding, which has no spectrum."""

MFCC_FLOOR = 1e-10
"""Smallest filter output in mode `corrected`; 16-bit quantisation noise lies 400 times higher."""


_VERSION = 2
_BLOCK_SAMPLES = 1 << 17
"""Samples of a block, 81 frames at 16 kHz: frames, spectrum, magnitudes and powers take 3 MB. Smaller blocks stay
closer to the core, but what Python spends on a block then weighs more."""
_SAMPLES_OF_A_SUM = 1 << 16
_TOGETHER = 500
"""Frames whose sums are finished together: many, so that what Python spends on them weighs little; few enough for
their DCT to stay below 2^18 multiplications, where OpenBLAS begins to start threads."""


@dataclass(frozen=True, slots=True)
class ShortTermConfig:
    """What decides the numbers that `extract` gives.

    mode: `corrected` or `pyaudioanalysis`.
    max_frames: keep only so many frames from the beginning (the paper's 20 s are 200); None keeps all.
    """

    mode: str = "corrected"
    max_frames: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigurationError(f"mode {self.mode!r} is not known; modes are {', '.join(MODES)}")
        whole = isinstance(self.max_frames, int) and not isinstance(self.max_frames, bool)
        if self.max_frames is not None and not (whole and self.max_frames >= 1):
            raise ConfigurationError(f"max_frames is {self.max_frames!r}; give a whole number from 1 on, or None")

    def key(self) -> str:
        """Canonical JSON that changes whenever the numbers can change; caches are keyed by it."""
        return json.dumps({"extractor": "short_term", "version": _VERSION} | asdict(self), sort_keys=True)

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """(frames, 34) float32; see `extract` of this module."""
        return _features(samples, sample_rate, self, np.float32)


def extract(
    samples: np.ndarray, sample_rate: int, *, mode: str = "corrected", max_frames: int | None = None
) -> np.ndarray:
    """The 34 short-term features of every 100 ms frame, without overlap: (frames, 34) float32.

    samples: (n,) with full scale ±1, or int16. sample_rate: Hz; at least 13 708 in mode `corrected` and
        6 854 in mode `pyaudioanalysis`, so that no mel filter lies beyond the end of the spectrum.
    mode: `corrected`: a last frame that is not full is filled with zeros and kept, so n ≥ 1 is enough.
        `pyaudioanalysis`: that frame is dropped, and less than one frame is an error.
    max_frames: keep only so many frames from the beginning.
    Raises `AudioError` for samples that cannot be analysed, `ConfigurationError` for a wrong option.
    """
    return ShortTermConfig(mode, max_frames).extract(samples, sample_rate)


def functionals(features: np.ndarray) -> np.ndarray:
    """Mean and population standard deviation of every feature over time: (frames, 34) → (68,) float32.

    All means, then all deviations, as in `FUNCTIONAL_NAMES`. One frame has deviation 0.
    """
    array = np.asarray(features, np.float64)
    if array.ndim != 2 or array.shape[1] != len(NAMES) or not len(array):
        raise ConfigurationError(f"functionals need (frames, {len(NAMES)}) features, not shape {array.shape}")
    return np.concatenate([array.mean(axis=0), array.std(axis=0)]).astype(np.float32)


@_workspace.small
def _features(
    samples: np.ndarray, sample_rate: int, config: ShortTermConfig, dtype: type[np.floating] = np.float64
) -> np.ndarray:
    """(frames, 34); computed in float64, kept as `dtype`."""
    signal = validate_samples(samples)
    length = timing.frame_length(sample_rate)
    compatible = config.mode == "pyaudioanalysis"
    _check_rate(sample_rate, length, compatible)
    count = timing.frame_count(len(signal), length, partial=not compatible)
    if count == 0:
        raise AudioError(
            f"{len(signal)} samples at {sample_rate} Hz are less than one frame of {timing.FRAME_SECONDS} s; "
            "mode 'pyaudioanalysis' drops frames that are not full, mode 'corrected' keeps them"
        )
    count = min(count, config.max_frames or count)
    t = tables(sample_rate, length, compatible)
    level = _level(signal, compatible)
    block = max(1, _BLOCK_SAMPLES // length)
    work = spectral.workspace(block, length)
    out = np.empty((count, len(NAMES)), dtype)
    spectrum = None
    together = max(1, _TOGETHER // block) * block
    for at in range(0, count, together):
        part = out[at : at + together]
        sums = spectral.Sums.empty(len(part))
        for first in range(0, len(part), block):
            rows = slice(first, min(first + block, len(part)))
            piece = signal[(at + rows.start) * length : (at + rows.stop) * length]
            means = _centre(piece, work.frames[: rows.stop - rows.start], level)
            spectrum = spectral.block_sums(work, means, t, level, spectrum, sums, rows)
        _finish(sums, t, level, part)
    return out


def _level(signal: np.ndarray, compatible: bool) -> spectral.Level:
    scale = 1 / INT16_FULL_SCALE if signal.dtype == np.int16 else 1.0
    if not compatible:
        return spectral.Level(scale, silence=SILENCE_ENERGY)
    mean = _sum(signal) / len(signal)
    peak = max(float(signal.max()) - mean, mean - float(signal.min())) * scale + 1e-10
    return spectral.Level(scale, mean, peak, epsilon=spectral.EPSILON)


def _sum(signal: np.ndarray) -> float:
    """Of all samples. Those of int16 are added as int32, row by row of so many that none can overflow."""
    if signal.dtype != np.int16:
        return float(np.add.reduce(signal, dtype=np.float64))
    whole = len(signal) - len(signal) % _SAMPLES_OF_A_SUM
    rows = np.add.reduce(signal[:whole].reshape(-1, _SAMPLES_OF_A_SUM), axis=1, dtype=np.int32)
    return float(rows.sum(dtype=np.int64) + np.add.reduce(signal[whole:], dtype=np.int32))


def _centre(piece: np.ndarray, values: np.ndarray, level: spectral.Level) -> np.ndarray:
    """Fill (count, length) `values` with a piece of the signal less its mean; returns that of each row, (count,).

    Where the piece ends, the zeros of the last frame begin; they are neither in its mean nor moved by it.
    """
    count, length = values.shape
    values.reshape(-1)[: len(piece)] = piece
    real = len(piece) - (count - 1) * length
    values[-1, real:] = 0
    if level.mean is not None:
        values -= level.mean
        return np.full(count, level.mean)
    mean = np.vecdot(values, np.ones(length))
    mean[:-1] /= length
    mean[-1] /= real
    values -= mean[:, None]
    values[-1, real:] = 0
    return mean


def _finish(sums: spectral.Sums, t: Tables, level: spectral.Level, out: np.ndarray) -> None:
    """Fill `out` (n, 34) from the sums of n frames; divisions by zero have the answer 0."""
    unit, epsilon = level.unit, level.epsilon
    energy, power = sums.whole
    out[:, 0] = sums.crossings / (t.length - 1)
    out[:, 1] = energy / (t.length * unit**2)
    if epsilon:
        scale = np.array([[unit**2], [(t.bins * unit) ** 2]])
        shares = sums.tenths / (sums.whole + epsilon * scale)[:, :, None]
        chroma = _share(sums.chroma, power[:, None])
    else:
        shares = _share(sums.tenths, sums.tenths.sum(axis=2, keepdims=True))
        chroma = _share(sums.chroma, sums.chroma.sum(axis=1, keepdims=True))
    out[:, 2], out[:, 5] = _entropy(shares, epsilon)
    out[:, 3] = _share(sums.moments[:, 0], sums.moments[:, 2])
    out[:, 4] = np.sqrt(sums.variance)
    out[:, 6] = sums.flux
    out[:, 7] = sums.rolloff
    filtered = sums.filters / (t.bins * unit)
    filtered = filtered + epsilon if epsilon else np.maximum(filtered, MFCC_FLOOR)
    out[:, 8:21] = np.log10(filtered) @ t.cosine
    out[:, 21:33] = chroma
    out[:, 33] = _deviation(chroma)


def _deviation(values: np.ndarray) -> np.ndarray:
    """(n,) population standard deviation of each row; `ndarray.std` costs several times as much on short rows."""
    centred = values - values.sum(axis=1, keepdims=True) / values.shape[1]
    return np.sqrt(np.vecdot(centred, centred) / values.shape[1])


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.where(whole > 0, whole, 1)


def _entropy(shares: np.ndarray, epsilon: float) -> np.ndarray:
    """(…, n) → (…,) bits: −Σ p·log2(p + epsilon), with 0·log 0 = 0."""
    return 0.0 - np.vecdot(shares, np.log2(np.maximum(shares + epsilon, sys.float_info.min)))


@lru_cache(maxsize=16)
def _check_rate(rate: int, length: int, compatible: bool) -> None:
    """Refuse a rate at which a mel filter, or pyAudioAnalysis' chroma, would fall off the spectrum."""
    top = filter_edges()[-1]
    bins = length // 2
    fits = bins > 0 and (np.floor(top * bins / rate) < bins if compatible else top <= rate / 2)
    if fits and compatible:
        fits = round(12 * np.log2(rate / 2 / LOWEST_PITCH)) < bins
    if not fits:
        raise AudioError(
            f"{rate} Hz is too low a sample rate: the mel filters reach {top:.0f} Hz; "
            f"resample to {timing.SAMPLE_RATE} Hz (duetto.audio.load does)"
        )
