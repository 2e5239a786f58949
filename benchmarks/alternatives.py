"""What the 34 features, and a training, might have been made of instead: each alternative in turns with what is used.

    python benchmarks/alternatives.py --write

Features: on one block of 81 frames of noise, as `short_term` cuts a recording at 16 kHz. Training: both directions of
the acoustic LSTM over 32 utterances of 1–90 frames, and their gradients. Ratios of processor time, on one thread (set
OMP_NUM_THREADS=1); above 1, the alternative is slower. Half a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from harness import alternate, parser, publish, table

from duetto.features import _windows
from duetto.features._filterbanks import Part, product, tables
from duetto.models._lstm_cpu import Recurrence

FRAMES, LENGTH, BINS = 81, 1600, 800
Pair = tuple[str, Callable[[], object], str, Callable[[], object]]


def dense(parts: tuple[Part, ...]) -> np.ndarray:
    """The (bins, columns) table that was cut into parts, without the bins after the last that is used."""
    table = np.zeros((max(part.bins.stop for part in parts), parts[-1].columns.stop))
    product(np.eye(len(table)), parts, table)
    return table


def transforms(frames: np.ndarray, spectrum: np.ndarray) -> Iterator[Pair]:
    """The FFT, magnitudes and powers."""
    single, small = frames.astype(np.float32), spectrum.astype(np.complex64)
    magnitude, power, other = (np.empty(spectrum.shape) for _ in range(3))
    part = magnitude[:, 1:]
    power32 = np.square(np.abs(small))

    def parts() -> None:
        np.square(spectrum.real, out=power)
        np.square(spectrum.imag, out=other)
        np.sqrt(np.add(power, other, out=power), out=magnitude)

    def absolute() -> None:
        np.square(np.abs(spectrum, out=magnitude), out=power)

    yield "FFT in float32", lambda: np.fft.rfft(single, out=small), "float64", lambda: np.fft.rfft(frames, out=spectrum)
    yield "root of re² + im²", parts, "absolute value, squared", absolute
    yield (
        "absolute value of some bins",
        lambda: np.abs(spectrum[:, 1:], out=part),
        "of all, as one piece",
        lambda: np.abs(spectrum, out=magnitude),
    )
    yield "root in float32", lambda: np.sqrt(power32), "in float64", lambda: np.sqrt(power, out=other)


def sums(values: np.ndarray) -> Iterator[Pair]:
    """Sums over bins: products with tables, energies, the running sum of rolloff."""
    for mode, compatible in (("pyaudioanalysis", True), ("corrected", False)):
        filters = tables(16_000, LENGTH, compatible).filters
        whole, out = dense(filters), np.empty((FRAMES, 40))
        yield (
            f"one dense mel product, `{mode}`",
            lambda whole=whole: values[:, : len(whole)] @ whole,
            "parts",
            lambda filters=filters, out=out: product(values, filters, out),
        )
    tenths = values.reshape(FRAMES, 10, -1)
    yield (
        "energies by einsum",
        lambda: np.einsum("tbi,tbi->tb", tenths, tenths),
        "by vecdot",
        lambda: np.vecdot(tenths, tenths),
    )
    semitones = np.round(12 * np.log2(np.arange(1, BINS + 1) * 10 / 27.5))
    starts, chroma = np.flatnonzero(np.diff(semitones, prepend=-99)), tables(16_000, LENGTH, False).chroma
    out = np.empty((FRAMES, 12))
    yield (
        "semitones by add.reduceat",
        lambda: np.add.reduceat(values, starts, axis=1),
        "pitch classes by product",
        lambda: product(values, chroma, out),
    )
    row, band = np.arange(FRAMES), np.full(FRAMES, 7)
    yield (
        "running sum of all bins",
        lambda: values.cumsum(axis=1),
        "of tenths, then of one tenth",
        lambda: (tenths.sum(axis=2).cumsum(axis=1), tenths[row, band].cumsum(axis=1)),
    )


def means(frames: np.ndarray) -> Iterator[Pair]:
    """Each frame less its mean, through NumPy's buffer as it comes and as `_buffers.small` makes it."""
    values, mean = frames.copy(), np.zeros((FRAMES, 1))

    def subtract() -> np.ndarray:
        return np.subtract(values, mean, out=values)

    yield "means taken away with NumPy's buffer of 8192", subtract, "of 2048", _windows.small_buffer(subtract)


def seeds(n: int = 5) -> Iterator[Pair]:
    """Models that are trained on the same batches, as one model whose weights are further directions."""
    lengths = np.sort(np.random.default_rng(0).integers(1, 91, 32))[::-1]
    counts = [int((lengths > step).sum()) for step in range(lengths[0])]

    def step(directions: int) -> Callable[[], object]:
        x = torch.randn(directions, sum(counts), 34)
        weights = [torch.randn(directions, *shape).div_(10) for shape in ((34, 512), (128, 512), (512,))]
        mask = torch.bernoulli(torch.full((directions, 32, 128), 0.8)) / 0.8
        for weight in weights:
            weight.requires_grad_()
        return lambda: Recurrence.apply(x, *weights, mask, counts).sum().backward()  # type: ignore[union-attr]

    one, all_ = step(2), step(2 * n)
    yield f"{n} seeds as one model", all_, "one after the other", lambda: [one() for _ in range(n)]


def main() -> None:
    """Parse the command line, measure, publish."""
    torch.set_num_threads(1)
    line = parser(__doc__)
    line.add_argument("--repetitions", type=int, default=15)
    options = line.parse_args()
    frames = np.random.default_rng(0).standard_normal((FRAMES, LENGTH))
    spectrum = np.fft.rfft(frames)
    rows = []
    for tried, alternative, instead, used in (
        *transforms(frames, spectrum),
        *sums(np.ascontiguousarray(np.abs(spectrum[:, :BINS]))),
        *means(frames),
        *seeds(),
    ):
        taken = alternate({"a": alternative, "b": used}, options.repetitions, clock=time.process_time, turn=0.02)
        rows.append((tried, instead, taken["a"] / taken["b"]))
    found = table(("tried", "instead of", "times as long"), rows)
    publish("Alternatives", [found], packages=("numpy", "torch"), into=options.write)


if __name__ == "__main__":
    main()
