"""Block-wise sums of `short_term`: everything that touches single bins or samples.

    frames (block, length) ─ block_sums ─▶ a few sums per frame ─ short_term ─▶ (frames, 34)

A block is small enough to stay in the cache of its core. It costs one FFT, one pass for magnitudes, and products with
the tables; nothing else runs over all bins. Frames, and with them all sums, are in the units of the recording
(`Level`); only the few sums of a frame are converted to full scale 1, in `short_term`.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass

import numpy as np

from ._filterbanks import CLASSES, FILTERS, Tables, product

BANDS = 10
"""Parts of a frame, and of a spectrum, over which the two entropies run."""

ROLLOFF = 0.90
"""Share of the power below the spectral rolloff."""

ROLLOFF_SLACK = 1e-9
"""Share of the total by which a running sum may fall short of 0.90 in mode `corrected`. Spectra of equal lines reach
0.90 exactly, where the rounding of a sum, about 1e-15, would otherwise decide the bin."""

ZONE_OF_LEVEL, ZONE_OF_MEAN = 0.01, 2.0**-16
"""Half the dead zone of zero crossings: this share of a frame's RMS, or of its mean where that is more. The rounding of
float32 samples is 2^-24 of their size: with a mean 650 times the RMS it would be a noticeable part of the first."""
_SMALLEST_ZONE = 1e-300

EPSILON = sys.float_info.epsilon
"""What pyAudioAnalysis adds to its sums."""

NARROW = 1e-6
"""A squared spread below this (Nyquist = 1) is computed again in two passes: the difference of two moments has only
about 16 − log10(1 / variance) correct digits."""

ROUNDING = 1e-9
"""Filter outputs below this (full scale 1) may be rounding of the FFT, about 1e-17: in silence, which pyAudioAnalysis
scales to constants of full size, there is nothing else."""


@dataclass(frozen=True, slots=True)
class Level:
    """How the samples of a recording relate to the scale on which the features are defined.

    Attributes:
        scale: Factor from the samples to full scale ±1: 1, or 1/32768 for int16.
        mean: Subtracted from all samples, in their units; None subtracts the mean of each frame.
        peak: Divisor of samples at full scale ±1.
        silence: Mean square (full scale 1) at or below which a frame counts as zero; negative for none.
        epsilon: Added to sums (full scale 1).
    """

    scale: float
    mean: float | None = None
    peak: float = 1.0
    silence: float = -1.0
    epsilon: float = 0.0

    @property
    def unit(self) -> float:
        """Full scale 1 in units of the samples."""
        return self.peak / self.scale


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums of each of T frames, in units of the samples and of the FFT (not yet divided by `bins`).

    Attributes:
        filters: (T, 40) product with `Tables.filters`.
        moments: (T, 3) product with `Tables.moments`.
        chroma: (T, 12) product with `Tables.chroma`.
        tenths: (2, T, 10) energy of each tenth of the frame, and power of each tenth of the spectrum.
        whole: (2, T) energy Σx² of the frame, and power of the spectrum.
        crossings: (T,) half the summed |Δ sign|.
        variance: (T,) magnitude-weighted variance of frequency.
        flux: (T,) spectral flux.
        rolloff: (T,) spectral rolloff.
    """

    filters: np.ndarray
    moments: np.ndarray
    chroma: np.ndarray
    tenths: np.ndarray
    whole: np.ndarray
    crossings: np.ndarray
    variance: np.ndarray
    flux: np.ndarray
    rolloff: np.ndarray

    @classmethod
    def empty(cls, count: int) -> Sums:
        """Allocate the sums of some frames.

        Args:
            count: Number of frames T.

        Returns:
            Uninitialised arrays.
        """
        shapes = (count, FILTERS), (count, 3), (count, CLASSES), (2, count, BANDS), (2, count)
        return cls(*map(np.empty, shapes), *np.empty((4, count)))


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """Arrays of one block, reused by every block of a thread; half = length // 2.

    The allocator returns a fresh array to the system when it is freed, and the pages of the next one are faulted in one
    by one: for a short recording that costs more than the FFT.

    Attributes:
        frames: (rows, length).
        above: (rows, length) bool, samples above the dead zone.
        below: (rows, length) bool, samples below the dead zone.
        changes: (rows, length − 1) bool, sign changes.
        spectrum: (rows, half + 1) complex.
        magnitude: (rows, half + 1).
        power: (rows · half,).
    """

    frames: np.ndarray
    above: np.ndarray
    below: np.ndarray
    changes: np.ndarray
    spectrum: np.ndarray
    magnitude: np.ndarray
    power: np.ndarray


_own = threading.local()


def workspace(rows: int, length: int) -> Workspace:
    """The arrays of this thread.

    Args:
        rows: Most frames of a block.
        length: Samples of a frame.

    Returns:
        Arrays of this size, those of the last call where it had the same size.
    """
    found: Workspace | None = getattr(_own, "workspace", None)
    if found is None or found.frames.shape != (rows, length):
        half = length // 2
        found = _own.workspace = Workspace(
            np.empty((rows, length)),
            np.empty((rows, length), bool),
            np.empty((rows, length), bool),
            np.empty((rows, length - 1), bool),
            np.empty((rows, half + 1), complex),
            np.empty((rows, half + 1)),
            np.empty(rows * half),
        )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The spectrum of one frame.

    Attributes:
        magnitude: (bins,).
        total: Sum of the magnitudes, with epsilon.
        power: Sum of their squares.
    """

    magnitude: np.ndarray
    total: float
    power: float


def block_sums(
    work: Workspace, means: np.ndarray, t: Tables, level: Level, before: Spectrum | None, out: Sums, rows: slice
) -> Spectrum:
    """Compute the sums of a block of frames.

    Args:
        work: The block, in its first n frames; silent frames are set to zero in place.
        means: (n,) mean that was subtracted from each frame.
        t: The tables of the mode and sample rate.
        level: The scale of the samples.
        before: Spectrum of the frame before the block; None before the first frame.
        out: Sums of all frames.
        rows: The n rows of `out` to fill.

    Returns:
        The spectrum of the last frame.
    """
    n, bins, unit = rows.stop - rows.start, t.bins, level.unit
    frames = work.frames[:n]
    (parts, bands), (energy, power) = out.tenths[:, rows], out.whole[:, rows]
    _energies(frames, parts, energy)
    if energy.min() <= (silence := level.silence * t.length * unit**2):
        silent = energy <= silence
        frames[silent], parts[silent], energy[silent] = 0, 0, 0
    out.crossings[rows] = crossings(work, energy, zones(energy, means, t, level))

    spectrum = np.fft.rfft(frames, out=work.spectrum[:n])
    magnitude = np.abs(spectrum, out=work.magnitude[:n])[:, t.first_bin : t.first_bin + bins]
    product(magnitude, t.filters, filters := out.filters[rows])
    if level.mean is not None:
        _as_released(frames, magnitude, filters, t, level)
    np.matmul(magnitude, t.moments, out=(moments := out.moments[rows]))
    tonal = magnitude[:, t.chroma_bins]
    product(np.square(tonal, out=work.power[: tonal.size].reshape(tonal.shape)), t.chroma, out.chroma[rows])
    _energies(magnitude, bands, power)
    out.variance[rows] = variance(magnitude, moments, t.frequency)
    epsilon = level.epsilon * bins**2 * unit
    end = ROLLOFF * power - epsilon * unit if level.epsilon else (ROLLOFF - ROLLOFF_SLACK) * power
    bin_ = rolloff_bins(magnitude, bands, end)
    out.rolloff[rows] = t.rolloff[bin_] * (power > 0)
    total = moments[:, 2] + epsilon
    out.flux[rows] = flux(magnitude, total, power, before)
    return Spectrum(magnitude[-1].copy(), float(total[-1]), float(power[-1]))


def _as_released(frames: np.ndarray, magnitude: np.ndarray, filters: np.ndarray, t: Tables, level: Level) -> None:
    """Repeat frames whose filter outputs may be rounding of the FFT as pyAudioAnalysis does: divided by the peak first.

    Dividing the sums instead is equivalent for everything but that rounding, and saves a pass.
    """
    lowest = ROUNDING * t.bins * level.unit
    if filters.min() < lowest:
        rows = np.flatnonzero(filters.min(axis=1) < lowest)
        spectrum = np.fft.rfft(frames[rows] * level.scale / level.peak)
        magnitude[rows] = np.abs(spectrum[:, t.first_bin : t.first_bin + t.bins]) * level.unit
        again = np.empty((len(rows), FILTERS))
        product(magnitude[rows], t.filters, again)
        filters[rows] = again


def _tenths(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, m) → views (n, 10, m // 10), and (n, m % 10) of the rest."""
    whole = values.shape[1] // BANDS * BANDS
    return values[:, :whole].reshape(len(values), BANDS, -1), values[:, whole:]


def _energies(values: np.ndarray, parts: np.ndarray, whole: np.ndarray) -> None:
    """Fill `parts` (n, 10) with Σx² of each tenth of (n, m) values, and `whole` (n,) with that of all."""
    tenths, odd = _tenths(values)
    np.vecdot(tenths, tenths, out=parts)
    parts.sum(axis=1, out=whole)
    if odd.shape[1]:
        whole += np.vecdot(odd, odd)


def flux(magnitude: np.ndarray, total: np.ndarray, power: np.ndarray, before: Spectrum | None) -> np.ndarray:
    """Spectral flux: the squared distance between the normalised spectra of neighbouring frames.

    Written as |p|² + |q|² − 2p·q, which needs no array of normalised spectra. All three terms are at most 1, so the
    rounding error is about 1e-16.

    Args:
        magnitude: (n, bins).
        total: (n,) sums of the magnitudes, by which spectra are normalised.
        power: (n,) sums of the squared magnitudes.
        before: Spectrum of the frame before the first; None sets its flux to 0.

    Returns:
        (n,).
    """
    scale = 1 / np.where(total > 0, total, 1)
    own = power * scale * scale
    found = np.empty(len(total))
    np.vecdot(magnitude[1:], magnitude[:-1], out=found[1:])
    found[1:] *= -2 * scale[1:] * scale[:-1]
    found[1:] += own[1:] + own[:-1]
    found[0] = 0
    if before is not None:
        scale_before = 1 / before.total if before.total > 0 else 1.0
        cross = magnitude[0] @ before.magnitude * scale[0] * scale_before
        found[0] = own[0] + before.power * scale_before**2 - 2 * cross
    return np.maximum(found, 0, out=found)


def zones(energy: np.ndarray, means: np.ndarray, t: Tables, level: Level) -> np.ndarray:
    """Half the dead zone of zero crossings; as good as none in mode `pyaudioanalysis`.

    Args:
        energy: (n,) Σx² of the frames.
        means: (n,) mean that was subtracted from each frame.
        t: The tables of the mode and sample rate.
        level: The scale of the samples.

    Returns:
        (n,) in units of the samples.
    """
    if level.mean is not None:
        return np.full(len(energy), _SMALLEST_ZONE)
    zone = np.maximum(ZONE_OF_LEVEL * np.sqrt(energy / t.length), ZONE_OF_MEAN * np.abs(means))
    return np.maximum(zone, _SMALLEST_ZONE, out=zone)


def crossings(work: Workspace, energy: np.ndarray, zone: np.ndarray) -> np.ndarray:
    """Count zero crossings with a dead zone: half of Σ|s_i − s_{i−1}| with s = x / zone, clipped to −1 … 1.

    s is continuous, so a rounding error of samples, mean or zone changes the result by as little.

    Args:
        work: The frames, in its first n rows.
        energy: (n,) Σx² of the frames.
        zone: (n,) half the dead zone, above 0.

    Returns:
        (n,).
    """
    # Nearly all samples lie outside the zone: there s is a sign, and changes are counted. Pairs with a sample inside
    # are then corrected.
    n = len(zone)
    frames, above, below = work.frames[:n], work.above[:n], work.below[:n]
    np.greater(frames, zone[:, None], out=above)
    np.less(frames, -zone[:, None], out=below)
    found = _changes(above, work.changes[:n]).astype(float)
    inside = np.equal(above, below, out=below)
    if not energy.all():
        inside[energy == 0] = False  # a frame of zeros has no crossings
    if len(at := np.flatnonzero(inside)):
        column, length = at % frames.shape[1], frames.shape[1]
        left = (column > 0) & ~inside.reshape(-1)[at - 1]  # a pair of two inside counts once, from its left end
        pairs = np.concatenate((at[left], at[column < length - 1] + 1))
        rows = pairs // length
        ends = np.stack((pairs, pairs - 1))
        soft = frames.reshape(-1)[ends] / zone[rows]
        soft = np.minimum(np.maximum(soft, -1, out=soft), 1, out=soft)
        counted = np.logical_xor(*above.reshape(-1)[ends])
        found += np.bincount(rows, np.abs(soft[0] - soft[1]) / 2 - counted, n)
    return found


def _changes(signs: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """(n,) count of neighbours that differ in each row of (n, m) booleans; `changes` (n, m − 1) is overwritten."""
    differ = np.packbits(np.not_equal(signs[:, 1:], signs[:, :-1], out=changes), axis=1)
    return np.bitwise_count(differ).sum(axis=1, dtype=np.uint32)


def variance(magnitude: np.ndarray, moments: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Magnitude-weighted variance of frequency.

    Args:
        magnitude: (n, bins).
        moments: (n, 3) Σf·X, Σf²·X, ΣX.
        frequency: (bins,) relative to Nyquist.

    Returns:
        (n,); 0 where there is no magnitude.
    """
    first, second, total = moments.T
    total = np.where(total > 0, total, 1)
    centre = first / total
    found = second / total - centre * centre
    if found.min() < NARROW:
        for row in np.flatnonzero((found < NARROW) & (first > 0)):
            found[row] = magnitude[row] @ (frequency - centre[row]) ** 2 / total[row]
    return np.maximum(found, 0)


def rolloff_bins(magnitude: np.ndarray, bands: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Find the first bin at which the running sum of power exceeds a threshold.

    First the band is found, then the bin within the band: a tenth of the work of a full running sum.

    Args:
        magnitude: (n, bins).
        bands: (n, 10) power of each tenth of the bins.
        end: (n,) threshold.

    Returns:
        (n,) index of the bin.
    """
    tenths, odd = _tenths(magnitude)
    n, _, width = tenths.shape
    threshold = end[:, None]
    ends = bands.cumsum(axis=1)
    within, row = ends > threshold, np.arange(n)
    band = within.argmax(axis=1)
    reached = np.square(tenths[row, band]).cumsum(axis=1) > threshold - (ends - bands)[row, band, None]
    reached[:, -1] = True  # whatever the rounding: the band as a whole did exceed it
    found = band * width + reached.argmax(axis=1)
    if odd.shape[1] and not within[:, -1].all():  # among the odd bins at the end
        late = ~within[:, -1]
        running = ends[late, -1:] + np.square(odd[late]).cumsum(axis=1)
        found[late] = np.minimum(BANDS * width + (running <= threshold[late]).sum(axis=1), magnitude.shape[1] - 1)
    return found
