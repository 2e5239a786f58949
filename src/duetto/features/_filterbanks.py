"""Constant tables of `short_term`, built once per mode and sample rate: mel filters, pitch classes, moments.

A sum over FFT bins is a product with a table (bins, columns). Most of a table is zero, so it is stored as `Part`s: a
few columns each, with only the bins in which they are not zero. `spectrogram` stores its mel triangles in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

FILTERS, CEPSTRA, CLASSES = 40, 13, 12
"""Mel filters, MFCC and pitch classes."""

LOWEST_PITCH = 27.5
"""Hz of A0, the reference of the pitch classes."""

_LINEAR_FILTERS = 13
_LOWEST_EDGE, _LINEAR_STEP, _LOG_STEP = 133.33, 200 / 3, 1.0711703
_FILTERS_PER_PART, _CLASSES_PER_PART = 8, 4
"""8 filters per part reduce the multiplications of the mel table to a fifth; with fewer, the overhead of calls grows.
Both keep the product of a block of up to 2^16 bins below 2^18 multiplications (8 filters span less than half of the
bins). There OpenBLAS begins to start threads, which cost more than they gain and compete with other processes."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some columns of a table, in the bins in which they are not zero: `values[:, bins] @ table` → columns.

    Attributes:
        bins: Rows of the whole table.
        columns: Columns of the whole table.
        table: (bins, columns) values.
    """

    bins: slice
    columns: slice
    table: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Constants of one mode and sample rate.

    Attributes:
        length: Samples of a frame.
        bins: FFT bins in use.
        first_bin: The first of them.
        filters: (bins, 40) mel filters, for magnitudes.
        moments: (bins, 3) frequency, frequency², ones.
        chroma: (chroma bins, 12) pitch classes, for powers.
        chroma_bins: The bins that have a pitch class.
        frequency: (bins,) relative to Nyquist.
        rolloff: (bins,) spectral rolloff where it is reached in that bin.
        cosine: (40, 13) DCT-II, orthonormal.
    """

    length: int
    bins: int
    first_bin: int
    filters: tuple[Part, ...]
    moments: np.ndarray
    chroma: tuple[Part, ...]
    chroma_bins: slice | np.ndarray
    frequency: np.ndarray
    rolloff: np.ndarray
    cosine: np.ndarray


def filter_edges() -> np.ndarray:
    """Edges of the mel filters: filter i rises from edge i to i + 1 and falls to i + 2.

    13 linear steps of 66.67 Hz from 133.33 Hz, then steps by the factor 1.0711703 (Slaney's Auditory Toolbox, as in
    pyAudioAnalysis).

    Returns:
        (42,) Hz.
    """
    linear = _LOWEST_EDGE + _LINEAR_STEP * np.arange(_LINEAR_FILTERS)
    return np.concatenate([linear, linear[-1] * _LOG_STEP ** np.arange(1, FILTERS + 3 - _LINEAR_FILTERS)])


def mel_filters(frequencies: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Sample triangular filters of unit area (in Hz).

    Args:
        frequencies: (bins,) Hz.
        below: (bins, 42) whether a bin lies at or below each edge.

    Returns:
        (bins, 40).
    """
    edges = filter_edges()
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    f = frequencies[:, None]
    height = 2 / (high - low)
    rising = ~below[:, :-2] & below[:, 1:-1]
    falling = ~below[:, 1:-1] & below[:, 2:]
    return rising * height / (middle - low) * (f - low) + falling * height / (high - middle) * (high - f)


def pitch_classes(frequencies: np.ndarray, lowest: float) -> np.ndarray:
    """Weights of the chroma: each bin counts in the pitch class of its nearest semitone.

    Divided by the number of bins of that class, so that white noise has the same weight in all (Giannakopoulos 2015,
    section 3.9: v_k = Σ_{n ∈ S_k} X(n)² / N_k).

    Args:
        frequencies: (bins,) Hz.
        lowest: Hz; bins below do not count.

    Returns:
        (bins, 12), pitch class A first.
    """
    used = frequencies >= lowest
    semitone = np.round(12 * np.log2(np.where(used, frequencies, LOWEST_PITCH) / LOWEST_PITCH)).astype(int)
    member = (semitone[:, None] % 12 == np.arange(12)) & used[:, None]
    return member / np.maximum(member.sum(axis=0), 1)


def lowest_pitch(spacing: float) -> float:
    """Frequency above which FFT bins resolve pitches to within a semitone.

    A bin represents pitches up to half a spacing away; that is at most one semitone where two neighbouring bins are at
    most a whole tone, a factor of 2^(1/6), apart.

    Args:
        spacing: Of the bins, in Hz.

    Returns:
        Hz; 81.7 for frames of 0.1 s.
    """
    return spacing / (2 ** (1 / 6) - 1)


def scattered_chroma(rate: int, bins: int) -> np.ndarray:
    """The chroma of pyAudioAnalysis 0.3.14, as a table.

    The package takes bin k for (k + 1)·rate / (2·bins) Hz; stores the power of a bin at the index of its semitone, so
    that of all bins in a semitone only the last counts (and negative semitones land at the far end); divides index i by
    the number of bins that share the semitone of bin semitone[i]; and folds indices modulo 12.

    Args:
        rate: Sample rate in Hz.
        bins: FFT bins in use.

    Returns:
        (bins, 12).
    """
    semitone = np.round(12 * np.log2((np.arange(bins) + 1) * rate / (2 * bins) / LOWEST_PITCH)).astype(int)
    _, which, sharing = np.unique(semitone, return_inverse=True, return_counts=True)
    divisor = sharing[which][semitone].astype(float)
    table = np.zeros((bins, 12))
    for index, last in {int(s) % bins: k for k, s in enumerate(semitone)}.items():
        table[last, index % 12] += 1 / divisor[index]
    return table


@lru_cache(maxsize=16)
def tables(rate: int, length: int, compatible: bool) -> Tables:
    """Build the tables of one mode and sample rate.

    Args:
        rate: Sample rate in Hz.
        length: Samples of a frame.
        compatible: Mode `pyaudioanalysis` rather than `corrected`.

    Returns:
        The tables, cached and read-only.
    """
    bins = length // 2
    if compatible:
        # Bins 0 … K−1, each with the frequency of the next one; the filters assume that they span 0 … rate.
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
    used = np.flatnonzero(chroma.any(axis=1))  # a contiguous range, or in the compatible mode scattered bins
    scattered = len(used) < used[-1] - used[0] + 1
    moments = np.column_stack([relative, relative**2, np.ones(bins)])
    rolloff = np.arange(bins) / bins if compatible else relative
    cosine = _cosines()
    for table in (moments, relative, rolloff, cosine):
        table.setflags(write=False)
    return Tables(
        length=length,
        bins=bins,
        first_bin=0 if compatible else 1,
        filters=parts(filters, _FILTERS_PER_PART),
        moments=moments,
        chroma=parts(chroma[used], CLASSES if scattered else _CLASSES_PER_PART),
        chroma_bins=used if scattered else slice(int(used[0]), int(used[-1]) + 1),
        frequency=relative,
        rolloff=rolloff,
        cosine=cosine,
    )


def _cosines() -> np.ndarray:
    """DCT-II, orthonormal: (40, 13)."""
    k = np.arange(CEPSTRA)
    cosine = np.sqrt(2 / FILTERS) * np.cos(np.pi * (np.arange(FILTERS)[:, None] + 0.5) * k / FILTERS)
    cosine[:, 0] = np.sqrt(1 / FILTERS)
    return cosine


def parts(table: np.ndarray, width: int) -> tuple[Part, ...]:
    """Cut a table into parts; see `product`.

    Args:
        table: (bins, columns).
        width: Columns of a part.

    Returns:
        The parts, read-only.
    """
    found = []
    for first in range(0, table.shape[1], width):
        columns = slice(first, min(first + width, table.shape[1]))
        used = np.flatnonzero(table[:, columns].any(axis=1))
        bins = slice(int(used[0]), int(used[-1]) + 1)
        piece = np.asfortranarray(table[bins, columns])  # the order in which BLAS is fastest here
        piece.setflags(write=False)
        found.append(Part(bins, columns, piece))
    return tuple(found)


def product(values: np.ndarray, table: tuple[Part, ...], out: np.ndarray) -> None:
    """Multiply values by a table.

    Args:
        values: (n, bins).
        table: The parts of a table (bins, columns).
        out: (n, columns), overwritten.
    """
    for part in table:
        np.matmul(values[:, part.bins], part.table, out=out[:, part.columns])
