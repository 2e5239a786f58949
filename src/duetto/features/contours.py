"""How the acoustics of speech move: 39 values every 10 ms, the ground that `functionals` stands on.

    samples ─ 40 ms Hann windows ─┬─ power spectrum ─ bands, slopes, rolloffs, cepstra ─┐
                                  └─ autocorrelation ─ f0, periodicity, LPC, harmonics ─┴─▶ Contours (frames, 39)

Nothing depends on the gain of a recording that is loud enough: levels are relative to its loudest 100 ms, and the
cepstral coefficient that is the level is left out. Each frame carries two weights, of speech and of voicing, between
0 and 1 and continuous in the samples: where a threshold would decide, a rounding error could.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..audio.timing import SAMPLE_RATE
from ..errors import AudioError
from . import formants, pitch, prosody
from ._windows import BLOCK, Windows
from .formants import FORMANTS

CEPSTRA = 14
NAMES: tuple[str, ...] = (
    "level",
    "f0",
    "periodicity",
    "hnr",
    "slope_0_500",
    "slope_500_1500",
    "slope_1500_4000",
    "slope_0_8000",
    "alpha_ratio",
    "hammarberg",
    "rolloff_25",
    "rolloff_50",
    "rolloff_75",
    "rolloff_90",
    "centroid",
    "spread",
    "flux",
    "entropy",
    "h1_h2",
    "h1_a3",
    *(f"formant_{i + 1}" for i in range(FORMANTS)),
    "a1_a2",
    "prominence",
    *(f"mfcc_{i + 1}" for i in range(CEPSTRA)),
)
"""Columns. level: dB against the loudest 100 ms of the recording. f0: octaves above 200 Hz. periodicity: 0–1, see
`pitch.Pitch`. hnr: harmonics-to-noise ratio, 10·log₁₀(r / (1 − r)) of the periodicity r, dB (Boersma 1993). slope_A_B:
of the mel-band levels from A to B Hz, dB an octave. alpha_ratio: energy of 50–1000 Hz against that of 1–5 kHz, dB.
hammarberg: strongest harmonic below 2 kHz against the strongest of 2–5 kHz, dB (both as in Eyben et al., "The Geneva
minimalistic acoustic parameter set", IEEE Trans. Affective Computing 7, 2016). rolloff_Q: frequency below which Q % of
the energy lies, octaves above 100 Hz. centroid, spread: mean and standard deviation of the power spectrum, log₂ Hz.
flux: log₁₀ of the squared distance of neighbouring amplitude spectra, each scaled to the sum 1. entropy: of the power
spectrum, nats. h1_h2, h1_a3: first harmonic against the second, and against the strongest near formant 3, dB.
formant_1–3: frequencies, octaves above 500 Hz. a1_a2: level of formant 1 against formant 2 in the LPC spectrum, dB.
prominence: cepstral peak prominence, dB (`prosody`). mfcc_1–14: mel-cepstra without the zeroth, of band levels / 10."""

VOICED_ONLY: tuple[str, ...] = (
    "f0",
    "hnr",
    "h1_h2",
    "h1_a3",
    *(f"formant_{i + 1}" for i in range(FORMANTS)),
    "a1_a2",
    "prominence",
)
"""Columns that mean something where there is voice alone."""

_BANDS, _LOWEST_BAND, _HIGHEST_BAND = 26, 50.0, 7600.0
_SLOPES = ((0.0, 500.0), (500.0, 1500.0), (1500.0, 4000.0), (0.0, 8000.0))
_ROLLOFFS = np.array((0.25, 0.5, 0.75, 0.9))
_FLOOR = 1e-9
"""Relative to the mean power of a frame: so far below it a bin counts as empty."""
_SMALLEST = 1e-14
_LEAST_FLUX = 1e-8
_LOUDEST_FRAMES = 10
_DECIBELS = 10 / np.log(10)
"""Of a natural logarithm of power, which NumPy computes faster than log₁₀."""


class Contours(NamedTuple):
    """What a recording does every 10 ms.

    Attributes:
        values: (frames, 39) float64, columns `NAMES`.
        speech: (frames,) weight 0–1: how surely the frame is loud enough to be speech.
        voiced: (frames,) weight 0–1: how surely it is voiced speech.
    """

    values: np.ndarray
    speech: np.ndarray
    voiced: np.ndarray


def extract(samples: np.ndarray, sample_rate: int, most: int | None = None) -> Contours:
    """Compute the contours of a recording; frame t covers 40 ms from t · 10 ms on.

    Args:
        samples: (n,), n ≥ 1, full scale ±1 or int16. Less than 40 ms are filled with zeros to one frame.
        sample_rate: 16 000 Hz.
        most: Frames to compute at most, from the beginning; None for all.

    Returns:
        At least one frame, all values finite.

    Raises:
        AudioError: Another rate, or samples that are not valid (`audio.signal.validate_samples`).
    """
    cut, scale = _frames(samples, sample_rate)
    cut, tables = cut[:most], _tables(cut.shape[1])
    work = Windows(cut, scale, tables.size)
    values = np.empty((len(cut), len(NAMES)))
    amplitudes: np.ndarray | None = None
    for at in range(0, len(cut), BLOCK):
        amplitudes = _block(work, slice(at, at + BLOCK), tables, amplitudes, values[at : at + BLOCK])
    flux = values[:, NAMES.index("flux")]
    flux[:1] = flux[1:2] if len(flux) > 1 else flux  # nothing comes before the first frame
    return Contours(values, *_weights(values))


def speech_weights(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Compute the weights of speech without the contours: about a tenth of the work.

    Args:
        samples: As for `extract`.
        sample_rate: 16 000 Hz.

    Returns:
        (frames,) float64: `extract(…).speech`.

    Raises:
        AudioError: As `extract`.
    """
    cut, scale = _frames(samples, sample_rate)
    work = Windows(cut, scale, cut.shape[1])
    levels = [_level(work.centred(slice(at, at + BLOCK))) for at in range(0, len(cut), BLOCK)]
    return _speech(_relative(10 * np.log10(np.concatenate(levels))))


def _frames(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """`pitch.windows` of samples at 16 kHz."""
    if sample_rate != SAMPLE_RATE:
        raise AudioError(f"contours need {SAMPLE_RATE} samples a second, not {sample_rate}; resample with `audio.load`")
    return pitch.windows(samples, sample_rate)


def _level(frames: np.ndarray) -> np.ndarray:
    """Mean squares (n,) of frames (n, width)."""
    return np.maximum(np.einsum("ij,ij->i", frames, frames) / frames.shape[1], pitch.SILENT)


class _Tables(NamedTuple):
    """What all frames of one width share; see `_tables`. What spectra are multiplied by is float32."""

    size: int
    taper: np.ndarray
    own: np.ndarray
    hertz: np.ndarray
    bands: np.ndarray
    slopes: np.ndarray
    cepstra: np.ndarray
    sums: np.ndarray


def _block(work: Windows, which: slice, tables: _Tables, before: np.ndarray | None, out: np.ndarray) -> np.ndarray:
    """Fill `out` (n, 39), `level` still in dB full scale; returns the last amplitude spectrum, for the next flux.

    before: the last amplitude spectrum of the block before. What a choice depends on (the best lag, the peaks of an
    envelope) is computed in float64, all else in float32: rounding moves a mean, but it could turn a choice.
    """
    frames = work.centred(which)
    level = _level(frames)
    frames *= tables.taper
    exact = work.power(frames)
    first, last = int(SAMPLE_RATE / pitch.HIGHEST_HZ), int(SAMPLE_RATE / pitch.LOWEST_HZ)
    correlation = work.inverse(exact)
    lag, periodicity = pitch.best_lags(correlation, tables.own, first, last, frames.shape[1], between=True)
    periodicity[level <= pitch.SILENT] = 0
    exact += _FLOOR * exact.mean(1, keepdims=True) + _SMALLEST
    power = exact.astype(np.float32)
    logarithms = np.log(power)
    hertz = SAMPLE_RATE / lag
    column = dict(zip(NAMES, out.T, strict=True))
    column["level"][:] = 10 * np.log10(level)
    column["f0"][:] = np.log2(hertz / 200)
    column["periodicity"][:] = periodicity
    harmonic = np.clip(periodicity, 1e-3, 1 - 1e-4)
    column["hnr"][:] = 10 * np.log10(harmonic / (1 - harmonic))
    bands = _DECIBELS * np.log(power @ tables.bands)
    out[:, NAMES.index("slope_0_500") :][:, : len(_SLOPES)] = bands @ tables.slopes
    out[:, -CEPSTRA:] = bands @ tables.cepstra
    _shape(power, logarithms, tables, column)
    logarithms *= np.float32(_DECIBELS)
    _voice(exact, logarithms, hertz, column)
    logarithms -= logarithms.mean(1, keepdims=True)  # which the cepstrum has at quefrency 0 alone
    column["prominence"][:] = prosody.peak_prominence(np.fft.irfft(logarithms), SAMPLE_RATE)
    return _flux(power, before, column["flux"])


def _shape(power: np.ndarray, logarithms: np.ndarray, tables: _Tables, column: dict[str, np.ndarray]) -> None:
    """The columns that describe the power spectrum (n, bins) and its natural logarithm, whatever made it."""
    hertz = tables.hertz
    low, high, total, first, second = (power @ tables.sums).astype(np.float64).T
    column["alpha_ratio"][:] = 10 * np.log10(low / high)
    edges = np.searchsorted(hertz, (2000.0, 5000.0))
    strongest = logarithms[:, : edges[0]].max(1) - logarithms[:, edges[0] : edges[1]].max(1)
    column["hammarberg"][:] = _DECIBELS * strongest
    for at, name in zip(_rolloffs(power), ("rolloff_25", "rolloff_50", "rolloff_75", "rolloff_90"), strict=True):
        column[name][:] = np.log2(1 + at * hertz[1] / 100)
    centroid = first / total
    column["centroid"][:] = np.log2(np.maximum(centroid, 1.0))
    column["spread"][:] = 0.5 * np.log2(np.maximum(second / total - centroid**2, 1.0))
    column["entropy"][:] = np.log(total) - np.einsum("ij,ij->i", power, logarithms) / total


def _rolloffs(power: np.ndarray) -> np.ndarray:
    """Where the energy up to a bin reaches each share of it, in bins, (shares, n); within a bin by a straight line."""
    rows, bins = power.shape
    cumulative = np.cumsum(power, axis=1, dtype=np.float64)
    cumulative /= cumulative[:, -1:]
    cumulative += np.arange(rows)[:, None]  # so that all rows together rise, and one search finds the bins of all
    flat, wanted = cumulative.ravel(), np.arange(rows) + _ROLLOFFS[:, None]
    found = np.searchsorted(flat, wanted)
    below = np.where(found % bins, flat[found - 1], np.arange(rows))
    return found % bins + (wanted - below) / (flat[found] - below)


def _flux(power: np.ndarray, before: np.ndarray | None, out: np.ndarray) -> np.ndarray:
    """Fill `out` (n,); returns the last amplitude spectrum. power: (n, bins), which is overwritten."""
    amplitude = np.sqrt(power, out=power)
    amplitude /= amplitude.sum(1, keepdims=True)
    change = np.empty_like(amplitude)
    np.subtract(amplitude[1:], amplitude[:-1], out=change[1:])
    np.subtract(amplitude[0], amplitude[0] if before is None else before, out=change[0])
    out[:] = np.log10(np.einsum("ij,ij->i", change, change) + _LEAST_FLUX)
    return amplitude[-1].copy()


def _voice(power: np.ndarray, decibels: np.ndarray, hertz: np.ndarray, column: dict[str, np.ndarray]) -> None:
    """The columns that describe voice: formants, and harmonics of the fundamental `hertz` (n,)."""
    found = formants.track(power)
    for i in range(FORMANTS):
        column[f"formant_{i + 1}"][:] = np.log2(found.hertz[:, i] / 500)
    column["a1_a2"][:] = found.decibels[:, 0] - found.decibels[:, 1]
    first = _harmonic(decibels, hertz, 2)
    column["h1_h2"][:] = first - _harmonic(decibels, 2 * hertz, 2)
    column["h1_a3"][:] = first - _harmonic(decibels, found.hertz[:, 2], 4)


def _harmonic(decibels: np.ndarray, hertz: np.ndarray, reach: int) -> np.ndarray:
    """The strongest of the bins within `reach` of each frequency, dB (n,)."""
    centre = np.rint(hertz * (2 * (decibels.shape[1] - 1) / SAMPLE_RATE)).astype(int)
    bins = np.clip(centre[:, None] + np.arange(-reach, reach + 1), 0, decibels.shape[1] - 1)
    return decibels[np.arange(len(bins))[:, None], bins].max(1)


def _weights(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of speech and of voice, (frames,) each; the column `level` becomes relative to the loudest 100 ms."""
    level, periodicity = values[:, NAMES.index("level")], values[:, NAMES.index("periodicity")]
    level[:] = _relative(level)
    voiced = np.clip((periodicity - 0.4) / 0.2, 0, 1) * np.clip((level + 35) / 10, 0, 1)
    return _speech(level), voiced


def _relative(level: np.ndarray) -> np.ndarray:
    """Levels (frames,) in dB, against the loudest 100 ms."""
    length = min(_LOUDEST_FRAMES, len(level))
    means = np.convolve(10 ** (level / 10), np.full(length, 1 / length), mode="valid")
    return level - 10 * np.log10(means.max())


def _speech(level: np.ndarray) -> np.ndarray:
    """Weights (frames,) of speech: from 40 to 30 dB below the loudest part, they rise from 0 to 1."""
    return np.clip((level + 40) / 10, 0, 1)


@lru_cache(maxsize=2)
def _tables(width: int) -> _Tables:
    """Make what all frames of `width` samples at 16 kHz share."""
    taper, own, size = pitch.window_tables(width, int(SAMPLE_RATE / pitch.LOWEST_HZ) + 2)
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    edges = _mel_inverse(np.linspace(_mel(_LOWEST_BAND), _mel(_HIGHEST_BAND), _BANDS + 2))
    rising = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    bands = np.maximum(0, np.minimum(rising, falling))
    bands /= bands.sum(1, keepdims=True)
    order = np.arange(1, CEPSTRA + 1)[:, None]
    cepstra = np.sqrt(2 / _BANDS) * np.cos(np.pi * order * (np.arange(_BANDS) + 0.5) / _BANDS) / 10
    slopes = np.stack([_slope(edges[1:-1], low, high) for low, high in _SLOPES], axis=1)
    inside = [(hertz >= low) & (hertz < high) for low, high in ((50, 1000), (1000, 5000), (0, np.inf))]
    sums = np.stack([*inside, hertz, hertz**2], axis=1).astype(float)
    single = (np.ascontiguousarray(table, np.float32) for table in (bands.T, slopes, cepstra.T, sums))
    return _Tables(size, taper, own, hertz, *single)


def _slope(centres: np.ndarray, low: float, high: float) -> np.ndarray:
    """What the levels of bands (bands,) are multiplied by to give their least-squares slope, dB an octave."""
    within = (centres >= low) & (centres <= high)
    octaves = np.log2(centres)
    octaves -= octaves[within].mean()
    octaves[~within] = 0
    return octaves / (octaves @ octaves)


def _mel(hertz: float) -> float:
    return 1127 * float(np.log1p(hertz / 700))


def _mel_inverse(mel: np.ndarray) -> np.ndarray:
    return 700 * np.expm1(mel / 1127)
