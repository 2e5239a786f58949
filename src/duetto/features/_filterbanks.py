"""Constant tables behind `short_term`, built once per (mode, rate): mel filters, pitch classes, moments.

A sum over bins is a product with a table. Most of a table is zeros, so it is kept as `Part`s: a few columns
each, and only the bins in which they are not zero. `spectrogram` keeps its triangles in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

FILTERS, CEPSTRA, CLASSES = 40, 13, 12
LOWEST_PITCH = 27.5
"""Hz of A0, where pitch class A begins to count."""

_LINEAR_FILTERS = 13
_LOWEST_EDGE, _LINEAR_STEP, _LOG_STEP = 133.33, 200 / 3, 1.0711703
_FILTERS_OF_A_PART, _CLASSES_OF_A_PART = 8, 4
"""8 filters at a time cut the mel table to a fifth of the multiplications; fewer leave too little for a call.
A product of a block, which has at most 2^16 bins, stays below 2^18 multiplications with both (8 filters span less
than half of the bins): there OpenBLAS begins to start threads, which cost more than they bring and would fight
over the cores with other processes."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some columns of a table, in the bins in which they are not zero: `values[:, bins] @ table` → columns."""

    bins: slice
    columns: slice
    table: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Constants of one mode and sample rate. `bins` bins from `first_bin` on are used.

    filters: → 40 mel filters, of magnitudes. moments: (bins, 3) frequency, frequency², ones.
    chroma: → 12 pitch classes, of the powers in the bins `chroma_bins`.
    frequency: (bins,) with Nyquist = 1. rolloff: (bins,) the answer for each bin.
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


@lru_cache(maxsize=16)
def tables(rate: int, length: int, compatible: bool) -> Tables:
    """The tables of one mode, sample rate (Hz) and frame length (samples)."""
    bins = length // 2
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
    used = np.flatnonzero(chroma.any(axis=1))  # all from the lowest on, or a few here and there
    scattered = len(used) < used[-1] - used[0] + 1
    moments = np.column_stack([relative, relative**2, np.ones(bins)])
    rolloff = np.arange(bins) / bins if compatible else relative
    k = np.arange(CEPSTRA)
    cosine = np.sqrt(2 / FILTERS) * np.cos(np.pi * (np.arange(FILTERS)[:, None] + 0.5) * k / FILTERS)
    cosine[:, 0] = np.sqrt(1 / FILTERS)
    for table in (moments, relative, rolloff, cosine):
        table.setflags(write=False)
    return Tables(
        length=length,
        bins=bins,
        first_bin=0 if compatible else 1,
        filters=parts(filters, _FILTERS_OF_A_PART),
        moments=moments,
        chroma=parts(chroma[used], CLASSES if scattered else _CLASSES_OF_A_PART),
        chroma_bins=used if scattered else slice(int(used[0]), int(used[-1]) + 1),
        frequency=relative,
        rolloff=rolloff,
        cosine=cosine,
    )


def parts(table: np.ndarray, width: int) -> tuple[Part, ...]:
    """(bins, columns) cut into parts of `width` columns; their products side by side are that with the table."""
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
    """out = (n, bins) values @ the table that was cut into parts."""
    for part in table:
        np.matmul(values[:, part.bins], part.table, out=out[:, part.columns])
