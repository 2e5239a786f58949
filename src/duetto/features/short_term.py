"""The 34 short-term features of the paper (section 2.1): one vector for every 100 ms.

    samples ─ extract ─▶ (frames, 34) float32 ─ functionals ─▶ (68,)

    waveform = duetto.audio.load("call.wav")
    features = extract(waveform.samples, waveform.sample_rate)          # the definitions
    features = extract(samples, 16000, mode="pyaudioanalysis")          # the released package

Columns are `NAMES`: zero-crossing rate, energy and its entropy, five of the spectrum, 13 MFCC, 12 chroma and their
deviation. Definitions: Giannakopoulos, "pyAudioAnalysis" (PLOS ONE 10(12), 2015), table 2, and the released package,
`ShortTermFeatures.feature_extraction` (0.3.14). The package departs from its own definitions in several places; mode
`corrected` follows the definitions, mode `pyaudioanalysis` reproduces the package, number for number. docs/features.md
has both side by side. In mode `corrected` no value depends on the last bit of a sum: zero crossings have a dead zone
(`_spectral.crossings`), the rolloff a slack. In mode `pyaudioanalysis` these two are discontinuous where samples equal
the recording's mean, or a running sum 0.90 of its total.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from ..audio import timing
from ..audio.signal import INT16_FULL_SCALE, validate_samples
from ..errors import AudioError, ConfigurationError
from . import _spectral as spectral
from . import _windows
from ._filterbanks import LOWEST_PITCH, Tables, filter_edges, tables
from .extractor import cache_key, pooled, pooled_names

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

FUNCTIONAL_NAMES: tuple[str, ...] = pooled_names(NAMES)
"""The 68 columns of `functionals`."""

MODES = ("corrected", "pyaudioanalysis")
"""The definitions, or the released package with its defects."""

SILENCE_ENERGY = 1e-15
"""Mean square at or below which a frame counts as digital silence in mode `corrected`: −150 dB of full scale, the
quantisation noise of 24 bits. What remains there is rounding, which has no meaningful spectrum."""

MFCC_FLOOR = 1e-10
"""Smallest filter output in mode `corrected`; 16-bit quantisation noise lies 400 times higher."""


_VERSION = 2
_BLOCK_SAMPLES = 1 << 17
"""Samples of a block, 81 frames at 16 kHz: frames, spectrum, magnitudes and powers take 3 MB. Smaller blocks fit a
smaller cache, but the overhead of Python per block weighs more."""
_SAMPLES_PER_SUM = 1 << 16
"""int16 samples whose sum fits into int32."""
_FRAMES_PER_BATCH = 500
"""Frames whose sums become features together: many, so that the overhead of Python weighs little; few enough for their
DCT to stay below 2^18 multiplications, where OpenBLAS begins to start threads."""


@dataclass(frozen=True, slots=True)
class ShortTermConfig:
    """The extractor of short-term features.

    Attributes:
        mode: One of `MODES`.
        max_frames: Frames kept from the beginning (the paper's 20 s are 200); None keeps all.

    Raises:
        ConfigurationError: A setting is not valid.
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
        """The key of the feature store.

        Returns:
            Canonical JSON.
        """
        return cache_key("short_term", _VERSION, **asdict(self))

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Compute the features; see `extract` of this module.

        Args:
            samples: (n,) with full scale ±1, or int16.
            sample_rate: Hz.

        Returns:
            (frames, 34) float32.

        Raises:
            AudioError: As `extract` of this module.
        """
        return compute(samples, sample_rate, self, np.float32)


def extract(
    samples: np.ndarray, sample_rate: int, *, mode: str = "corrected", max_frames: int | None = None
) -> np.ndarray:
    """Compute the 34 short-term features of every 100 ms frame, without overlap.

    Args:
        samples: (n,) with full scale ±1, or int16.
        sample_rate: Hz; at least 13 708 in mode `corrected` and 6 854 in mode `pyaudioanalysis`, so that no mel filter
            lies beyond the end of the spectrum.
        mode: `corrected` zero-pads an incomplete last frame, so one sample is enough; `pyaudioanalysis` drops it.
        max_frames: Frames kept from the beginning; None keeps all.

    Returns:
        (frames, 34) float32, columns `NAMES`.

    Raises:
        AudioError: The sample rate is too low, the samples are not valid (`audio.signal.validate_samples`), or mode
            `pyaudioanalysis` has no complete frame.
        ConfigurationError: A setting is not valid.

    Example:
        >>> a4 = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
        >>> features = extract(a4, 16_000)
        >>> features.shape, features[0, NAMES.index("chroma_1")].round(2).item()
        ((10, 34), 1.0)
    """
    return ShortTermConfig(mode, max_frames).extract(samples, sample_rate)


def functionals(features: np.ndarray) -> np.ndarray:
    """Mean and population standard deviation of every feature over time.

    Args:
        features: (frames, 34), at least one frame.

    Returns:
        (68,) float32: all means, then all deviations, as in `FUNCTIONAL_NAMES`. One frame has deviation 0.

    Raises:
        ConfigurationError: The features have another shape.
    """
    array = np.asarray(features, np.float64)
    if array.ndim != 2 or array.shape[1] != len(NAMES) or not len(array):
        raise ConfigurationError(f"functionals need (frames, {len(NAMES)}) features, not shape {array.shape}")
    return pooled(array)


@_windows.small_buffer
def compute(
    samples: np.ndarray, sample_rate: int, config: ShortTermConfig, dtype: type[np.floating] = np.float64
) -> np.ndarray:
    """Compute the features in float64.

    Args:
        samples: As for `extract`.
        sample_rate: Of the samples, in Hz.
        config: Mode and greatest number of frames.
        dtype: What they are rounded to.

    Returns:
        (frames, 34) of `dtype`.

    Raises:
        AudioError: As for `extract`.
    """
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
    batch = max(1, _FRAMES_PER_BATCH // block) * block
    for at in range(0, count, batch):
        part = out[at : at + batch]
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
    mean = exact_sum(signal) / len(signal)
    peak = max(float(signal.max()) - mean, mean - float(signal.min())) * scale + 1e-10
    return spectral.Level(scale, mean, peak, epsilon=spectral.EPSILON)


def exact_sum(signal: np.ndarray) -> float:
    """Sum all samples. Those of int16 are added as int32, in rows too short to overflow.

    Args:
        signal: (n,).

    Returns:
        The sum, exact for int16.
    """
    if signal.dtype != np.int16:
        return float(np.add.reduce(signal, dtype=np.float64))
    whole = len(signal) - len(signal) % _SAMPLES_PER_SUM
    rows = np.add.reduce(signal[:whole].reshape(-1, _SAMPLES_PER_SUM), axis=1, dtype=np.int32)
    return float(rows.sum(dtype=np.int64) + np.add.reduce(signal[whole:], dtype=np.int32))


def _centre(piece: np.ndarray, values: np.ndarray, level: spectral.Level) -> np.ndarray:
    """Fill (count, length) `values` with a piece of the signal minus its mean; returns the mean of each row, (count,).

    The zeros that pad the last frame are neither part of its mean nor shifted by it.
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
    """Fill `out` (n, 34) from the sums of n frames; divisions by zero give 0."""
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
    """(n,) population standard deviation of each row; `ndarray.std` takes several times as long on short rows."""
    centred = values - values.sum(axis=1, keepdims=True) / values.shape[1]
    return np.sqrt(np.vecdot(centred, centred) / values.shape[1])


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.where(whole > 0, whole, 1)


def _entropy(shares: np.ndarray, epsilon: float) -> np.ndarray:
    """(…, n) → (…,) bits: −Σ p·log2(p + epsilon), with 0·log 0 = 0."""
    return 0.0 - np.vecdot(shares, np.log2(np.maximum(shares + epsilon, sys.float_info.min)))


@lru_cache(maxsize=16)
def _check_rate(rate: int, length: int, compatible: bool) -> None:
    """Reject a rate at which a mel filter, or the chroma of pyAudioAnalysis, would exceed the spectrum."""
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
