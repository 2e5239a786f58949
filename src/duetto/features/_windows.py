"""Overlapping windows of a recording and their spectra, a block at a time, in arrays that are reused.

The allocator returns fresh arrays of this size to the system after every block, and touching them again page by page
takes longer than the FFT. Blocks this small stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

BLOCK = 64
"""Windows computed together: at 16 kHz and 40 ms their arrays take 2 MB."""


class Windows:
    """Windows of samples; every method reuses its array, and so overwrites what it returned before.

    Args:
        windows: (n, width) view of the samples.
        scale: Factor that brings the samples to full scale ±1.
        size: Of the FFT; even, at least the width.
    """

    def __init__(self, windows: np.ndarray, scale: float, size: int) -> None:
        self._windows, self._scale, self._size = windows, np.float64(scale), size
        self._samples = np.empty((BLOCK, windows.shape[1]))
        self._spectrum = np.empty((BLOCK, size // 2 + 1), complex)
        self._power = np.empty((BLOCK, size // 2 + 1))
        self._inverse = np.empty((BLOCK, size))

    def centred(self, which: slice | np.ndarray) -> np.ndarray:
        """Windows at full scale ±1, each with its mean subtracted.

        Args:
            which: Index of at most `BLOCK` windows.

        Returns:
            (n, width) float64.
        """
        chosen = self._windows[which]
        out = np.multiply(chosen, self._scale, out=self._samples[: len(chosen)])
        out -= out.mean(1, keepdims=True)
        return out

    def power(self, samples: np.ndarray) -> np.ndarray:
        """Power spectra |FFT|².

        Args:
            samples: (n, width), at most `BLOCK` rows.

        Returns:
            (n, size / 2 + 1) float64.
        """
        spectrum = np.fft.rfft(samples, self._size, out=self._spectrum[: len(samples)])
        power = np.square(spectrum.real, out=self._power[: len(samples)])
        power += np.square(spectrum.imag, out=self._inverse[: len(samples), : power.shape[1]])
        return power

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """Inverse FFT of real spectra: of a power spectrum, the autocorrelation.

        Args:
            values: (n, size / 2 + 1), at most `BLOCK` rows.

        Returns:
            (n, size) float64.
        """
        spectrum = self._spectrum[: len(values)]
        spectrum.real, spectrum.imag = values, 0.0
        return np.fft.irfft(spectrum, self._size, out=self._inverse[: len(values)])


Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_BUFFER_SIZE = 2048
"""Elements, instead of NumPy's 8192; a frame of 100 ms has 1600 samples at 16 kHz."""


def small_buffer(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a function so that NumPy's ufunc buffer is small, in its thread, while it runs.

    Args:
        function: To be decorated.

    Returns:
        The decorated function.
    """

    @wraps(function)
    def buffered(*args: Parameters.args, **options: Parameters.kwargs) -> Result:
        before = np.setbufsize(_BUFFER_SIZE)
        try:
            return function(*args, **options)
        finally:
            np.setbufsize(before)

    return buffered
