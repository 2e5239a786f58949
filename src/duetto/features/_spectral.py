"""Tables and block-wise sums behind `short_term`: everything that touches single bins or samples.

    frames (block, length) ─ block_sums ─▶ a few sums per frame ─ short_term ─▶ (frames, 34)

Every sum over bins (mel filters, chroma, bands, moments) is a column of one of two tables, so that a
block of frames costs one FFT and two matrix products. Tables are built once per (mode, rate).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

BANDS = 10
"""Parts of a frame, and of a spectrum, over which the two entropies run."""

FILTERS, CEPSTRA = 40, 13
ROLLOFF = 0.90
LOWEST_PITCH = 27.5
"""Hz of A0, where pitch class A begins to count."""

_LINEAR_FILTERS = 13
_LOWEST_EDGE, _LINEAR_STEP, _LOG_STEP = 133.33, 200 / 3, 1.0711703

NARROW = 1e-6
"""A squared spread below this (Nyquist = 1) is computed again in two passes: the difference of two
moments keeps only about 16 − log10(1 / variance) digits."""


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Constants of one mode and sample rate. `bins` bins from `first_bin` on are used.

    filters: (bins of `filtered`, 40) the mel filters, where any of them is not zero.
    moments: (bins, 3) frequency, frequency², ones. chroma: (bins, 12) the pitch classes.
    frequency: (bins,) with Nyquist = 1. rolloff: (bins,) the answer for each bin.
    cosine: (40, 13) DCT-II, orthonormal.
    """

    length: int
    bins: int
    first_bin: int
    filtered: slice
    filters: np.ndarray
    moments: np.ndarray
    chroma: np.ndarray
    frequency: np.ndarray
    rolloff: np.ndarray
    cosine: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Per-frame sums of a whole signal, still on the scale of the FFT (not yet divided by `bins`).

    filters: (T, 40), moments: (T, 3), chroma: (T, 12): products with the tables of those names.
    bands: (T, 10) power of each tenth of the spectrum; power: (T,) of all of it. parts: (T, 10) energy of each
    tenth of the frame; energy: (T,) Σx². crossings: (T,) half the summed |Δ sign|. variance, flux,
    rolloff: (T,).
    """

    filters: np.ndarray
    moments: np.ndarray
    chroma: np.ndarray
    bands: np.ndarray
    parts: np.ndarray
    power: np.ndarray
    energy: np.ndarray
    crossings: np.ndarray
    variance: np.ndarray
    flux: np.ndarray
    rolloff: np.ndarray

    @classmethod
    def empty(cls, count: int) -> Sums:
        columns = (FILTERS, 3, 12, BANDS, BANDS)
        return cls(*(np.empty((count, n)) for n in columns), *(np.empty(count) for _ in range(6)))


def filter_edges() -> np.ndarray:
    """(42,) Hz: edges of the 40 triangles; filter i rises from edge i to i + 1 and falls to i + 2.

    13 linear steps of 66.67 Hz from 133.33 Hz, then steps by the factor 1.0711703 (Slaney's Auditory
    Toolbox, as in pyAudioAnalysis).
    """
    linear = _LOWEST_EDGE + _LINEAR_STEP * np.arange(_LINEAR_FILTERS)
    return np.concatenate([linear, linear[-1] * _LOG_STEP ** np.arange(1, FILTERS + 3 - _LINEAR_FILTERS)])


def mel_filters(frequencies: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(bins, 40) triangles of unit area (in Hz), sampled at `frequencies`.

    inside: (bins, 42) whether a bin lies at or below each edge.
    """
    edges = filter_edges()
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    f = frequencies[:, None]
    height = 2 / (high - low)
    rising = ~inside[:, :-2] & inside[:, 1:-1]
    falling = ~inside[:, 1:-1] & inside[:, 2:]
    return rising * height / (middle - low) * (f - low) + falling * height / (high - middle) * (high - f)


def pitch_classes(frequencies: np.ndarray, lowest: float) -> np.ndarray:
    """(bins, 12) weights: each bin counts in the class of its nearest semitone (A first), divided by the
    number of bins of that class, so that white noise has the same weight everywhere.

    Giannakopoulos 2015, section 3.9: v_k = Σ_{n ∈ S_k} X(n)² / N_k. Bins below `lowest` Hz do not count.
    """
    used = frequencies >= lowest
    semitone = np.round(12 * np.log2(np.where(used, frequencies, LOWEST_PITCH) / LOWEST_PITCH)).astype(int)
    member = (semitone[:, None] % 12 == np.arange(12)) & used[:, None]
    return member / np.maximum(member.sum(axis=0), 1)


def lowest_pitch(spacing: float) -> float:
    """Hz from which bins `spacing` Hz apart tell pitches apart to the nearest semitone either side.

    A bin stands for pitches up to half a spacing away; that is at most one semitone where
    two neighbouring bins are at most a whole tone, a factor of 2^(1/6), apart. 81.7 Hz for frames of 0.1 s.
    """
    return spacing / (2 ** (1 / 6) - 1)


def scattered_chroma(rate: int, bins: int) -> np.ndarray:
    """(bins, 12) pyAudioAnalysis 0.3.14's chroma, as a table.

    It takes bin k for (k + 1)·rate / (2·bins) Hz; stores the power of a bin at the index of its semitone,
    so that of all bins in a semitone the last one stands (and negative semitones land at the far end);
    divides index i by the number of bins sharing bin semitone[i]'s semitone; and folds indices modulo 12.
    """
    semitone = np.round(12 * np.log2((np.arange(bins) + 1) * rate / (2 * bins) / 27.5)).astype(int)
    _, which, sharing = np.unique(semitone, return_inverse=True, return_counts=True)
    divisor = sharing[which][semitone].astype(float)
    table = np.zeros((bins, 12))
    for index, last in {int(s) % bins: k for k, s in enumerate(semitone)}.items():
        table[last, index % 12] += 1 / divisor[index]
    return table


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """One frame's magnitudes (bins,), their sum (with epsilon), and the sum of their squares."""

    magnitude: np.ndarray
    total: float
    power: float


@lru_cache(maxsize=16)
def tables(rate: int, length: int, compatible: bool) -> Tables:
    """The tables of one mode, sample rate (Hz) and frame length (samples)."""
    bins = length // 2
    first = 0 if compatible else 1
    if compatible:
        # Bins 0 … K−1, each labelled as if it were the next one; the filters take them to span 0 … rate.
        relative = np.arange(1, bins + 1) / bins
        filters = mel_filters(
            np.arange(bins) / bins * rate, np.arange(bins)[:, None] <= np.floor(filter_edges() * bins / rate)
        )
        chroma = scattered_chroma(rate, bins)
    else:
        hertz = np.arange(1, bins + 1) * rate / length
        relative = hertz / (rate / 2)
        filters = mel_filters(hertz, hertz[:, None] <= filter_edges())
        chroma = pitch_classes(hertz, lowest_pitch(rate / length))
    used = np.flatnonzero(filters.any(axis=1))
    filtered = slice(int(used[0]), int(used[-1]) + 1)
    filters = np.ascontiguousarray(filters[filtered])
    moments = np.column_stack([relative, relative**2, np.ones(bins)])
    rolloff = np.arange(bins) / bins if compatible else relative
    k = np.arange(CEPSTRA)
    cosine = np.sqrt(2 / FILTERS) * np.cos(np.pi * (np.arange(FILTERS)[:, None] + 0.5) * k / FILTERS)
    cosine[:, 0] = np.sqrt(1 / FILTERS)
    for table in (filters, moments, chroma, relative, rolloff, cosine):
        table.setflags(write=False)
    return Tables(length, bins, first, filtered, filters, moments, chroma, relative, rolloff, cosine)


def block_sums(
    frames: np.ndarray, t: Tables, epsilon: float, silence: float, before: Spectrum | None, out: Sums, rows: slice
) -> Spectrum:
    """Fill `rows` of `out` from (block, length) float64 frames; returns the last frame's spectrum.

    epsilon: what pyAudioAnalysis adds to its sums, 0 in corrected mode.
    silence: frames whose Σx² is not above it are set to zero, in place.
    before: the spectrum of the frame before the block, None before the first frame.
    """
    bins = t.bins
    energy = _energies(frames, out.parts[rows])
    if energy.min() <= silence:
        frames[energy <= silence] = 0
        energy = _energies(frames, out.parts[rows])
    out.energy[rows] = energy
    out.crossings[rows] = crossings(frames)

    magnitude = np.abs(np.fft.rfft(frames)[:, t.first_bin : t.first_bin + bins])
    power = magnitude * magnitude
    _product(magnitude[:, t.filtered], t.filters, out.filters[rows])
    _product(magnitude, t.moments, moments := out.moments[rows])
    _product(power, t.chroma, out.chroma[rows])
    bands, odd = _tenths(power)
    out.bands[rows] = bands @ np.ones(bands.shape[2])
    out.power[rows] = out.bands[rows].sum(axis=1) + odd.sum(axis=1)
    out.variance[rows] = variance(magnitude, moments, t.frequency)
    bin_ = rolloff_bins(power, out.bands[rows], out.power[rows], epsilon * bins**2)
    out.rolloff[rows] = np.where(out.power[rows] > 0, t.rolloff[bin_], 0)
    total = moments[:, -1] + epsilon * bins**2
    out.flux[rows] = flux(magnitude, total, out.power[rows], before)
    return Spectrum(magnitude[-1].copy(), float(total[-1]), float(out.power[rows][-1]))


def _product(values: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """out = values @ table, in stacks of 8 rows: small enough that no BLAS wakes threads for it, whose
    start costs more than the product, and which would fight over the cores with other processes."""
    whole = len(values) // 8 * 8
    if whole:
        np.matmul(values[:whole].reshape(-1, 8, values.shape[1]), table, out=out[:whole].reshape(-1, 8, out.shape[1]))
    np.matmul(values[whole:], table, out=out[whole:])


def _tenths(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, m) contiguous → (n, 10, m // 10) and the (n, m % 10) that are left over."""
    whole = values.shape[1] // BANDS * BANDS
    return values[:, :whole].reshape(len(values), BANDS, -1), values[:, whole:]


def _energies(frames: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(n,) Σx² of each frame; fills `parts` (n, 10) with that of its tenths."""
    tenths, odd = _tenths(frames)
    np.einsum("tbi,tbi->tb", tenths, tenths, out=parts)
    return parts.sum(axis=1) + np.einsum("ti,ti->t", odd, odd)


def flux(magnitude: np.ndarray, total: np.ndarray, power: np.ndarray, before: Spectrum | None) -> np.ndarray:
    """(n,) squared distance of the spectra, each divided by its total, of neighbouring frames; 0 for the first.

    Written out as |p|² + |q|² − 2p·q, which needs no array of relative spectra. All three are at most 1, so
    the rounding error is about 1e-16.
    """
    scale = 1 / np.where(total > 0, total, 1)
    own = power * scale**2
    cross = np.empty(len(total))
    cross[1:] = np.einsum("tk,tk->t", magnitude[1:], magnitude[:-1]) * scale[1:] * scale[:-1]
    last = np.empty(len(total))
    last[1:] = own[:-1]
    if before is None:
        last[0], cross[0] = own[0], own[0]
    else:
        scale_before = 1 / before.total if before.total > 0 else 1.0
        last[0] = before.power * scale_before**2
        cross[0] = magnitude[0] @ before.magnitude * scale[0] * scale_before
    return np.maximum(own + last - 2 * cross, 0)


def crossings(frames: np.ndarray) -> np.ndarray:
    """(n,) half of Σ|sign(x_i) − sign(x_{i−1})|, with sign(0) = 0."""
    # sign(x) = [x > 0] + [x ≥ 0] − 1, and both steps go the same way.
    above, not_below = frames > 0, frames >= 0
    changes = _changes(above)
    return changes if np.array_equal(above, not_below) else (changes + _changes(not_below)) / 2


def _changes(flags: np.ndarray) -> np.ndarray:
    """(n,) places where neighbours in a row of (n, m) flags differ."""
    differ = flags[:, 1:] != flags[:, :-1]
    return differ.view(np.uint8).sum(axis=1, dtype=np.uint32).astype(float)


def variance(magnitude: np.ndarray, moments: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """(n,) magnitude-weighted variance of frequency, from Σf·X, Σf²·X, ΣX; 0 where there is no magnitude."""
    first, second, total = moments.T
    total = np.where(total > 0, total, 1)
    centre = first / total
    found = second / total - centre * centre
    for row in np.flatnonzero((found < NARROW) & (first > 0)):
        found[row] = magnitude[row] @ (frequency - centre[row]) ** 2 / total[row]
    return np.maximum(found, 0)


def rolloff_bins(power: np.ndarray, bands: np.ndarray, total: np.ndarray, epsilon: float) -> np.ndarray:
    """(n,) index of the first bin at which the running sum of power plus epsilon exceeds 0.90 of its total.

    First the band is found, then the bin within the band: a tenth of the work of a full running sum.
    """
    tenths, odd = _tenths(power)
    n, _, width = tenths.shape
    threshold = (ROLLOFF * total - epsilon)[:, None]
    ends = np.zeros((n, BANDS + 1))
    np.cumsum(bands, axis=1, out=ends[:, 1:])
    reached = np.ones((n, BANDS + 1), bool)
    np.greater(ends[:, 1:], threshold, out=reached[:, :-1])
    band, row = reached.argmax(axis=1), np.arange(n)  # BANDS itself: among the odd bins at the end
    inside = np.cumsum(tenths[row, np.minimum(band, BANDS - 1)], axis=1) > threshold - ends[row, band][:, None]
    inside[:, -1] = True  # rounding: the band as a whole did exceed it
    found = band * width + inside.argmax(axis=1)
    for late in np.flatnonzero(band == BANDS):
        running = ends[late, BANDS] + np.cumsum(odd[late])
        found[late] = BANDS * width + np.count_nonzero(running <= threshold[late])
    return np.minimum(found, power.shape[1] - 1)
