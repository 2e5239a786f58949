"""Overlapping windows of a recording and their spectra, a block at a time, in arrays that are used again.

Fresh arrays of this size go back to the system after every block and are faulted in again, page by page, which takes
longer than the FFT. Blocks this small stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

BLOCK = 64
"""Windows computed together: at 16 kHz and 40 ms their arrays take 2 MB."""


class Windows:
    """Windows (n, width) of samples, a view; every method overwrites what the same method gave before.

    scale: what brings the samples to full scale ±1. size: of the FFT, even, at least the width.
    """

    def __init__(self, windows: np.ndarray, scale: float, size: int) -> None:
        self._windows, self._scale, self._size = windows, np.float64(scale), size
        self._samples = np.empty((BLOCK, windows.shape[1]))
        self._spectrum = np.empty((BLOCK, size // 2 + 1), complex)
        self._power = np.empty((BLOCK, size // 2 + 1))
        self._inverse = np.empty((BLOCK, size))

    def centred(self, which: slice | np.ndarray) -> np.ndarray:
        """These windows, at most `BLOCK`, at full scale, each less its mean: (n, width) float64."""
        chosen = self._windows[which]
        out = np.multiply(chosen, self._scale, out=self._samples[: len(chosen)])
        out -= out.mean(1, keepdims=True)
        return out

    def power(self, samples: np.ndarray) -> np.ndarray:
        """|FFT|² of (n, width), n at most `BLOCK`: (n, size / 2 + 1)."""
        spectrum = np.fft.rfft(samples, self._size, out=self._spectrum[: len(samples)])
        power = np.square(spectrum.real, out=self._power[: len(samples)])
        power += np.square(spectrum.imag, out=self._inverse[: len(samples), : power.shape[1]])
        return power

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """The inverse FFT of a real spectrum (n, size / 2 + 1): (n, size). Of a power, the autocorrelation."""
        spectrum = self._spectrum[: len(values)]
        spectrum.real, spectrum.imag = values, 0.0
        return np.fft.irfft(spectrum, self._size, out=self._inverse[: len(values)])


Given = ParamSpec("Given")
Answer = TypeVar("Answer")

_ELEMENTS = 2048
"""Instead of NumPy's 8192; a frame of 100 ms has 1600 samples at 16 kHz."""


def small(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """The function with a small buffer, in its thread, while it runs."""

    @wraps(function)
    def buffered(*args: Given.args, **options: Given.kwargs) -> Answer:
        before = np.setbufsize(_ELEMENTS)
        try:
            return function(*args, **options)
        finally:
            np.setbufsize(before)

    return buffered
