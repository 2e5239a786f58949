"""The one check of samples: what comes in is a signal, or an error says what it is."""

from __future__ import annotations

import numpy as np

from ..errors import AudioError

LARGEST_SAMPLE = 100.0
"""Floating-point samples beyond this are not on the scale ±1."""


def checked(samples: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The signal, its smallest and its largest sample.

    Raises `AudioError` unless it is (n,), n ≥ 1, finite, and int16 or floating-point within ±100.
    """
    signal = np.asarray(samples)
    if signal.ndim != 1 or not (signal.dtype.kind == "f" or signal.dtype == np.int16):
        raise AudioError(
            f"(n,) samples needed, floating-point on the scale ±1 or int16, not {signal.dtype} of shape {signal.shape}"
        )
    if not len(signal):
        raise AudioError("no samples; there is nothing to analyse")
    low, high = float(signal.min()), float(signal.max())  # NaN passes through both
    if not np.isfinite(high - low):
        raise AudioError("the samples hold NaN or infinity; repair the recording")
    if signal.dtype.kind == "f" and max(high, -low) > LARGEST_SAMPLE:
        raise AudioError(f"samples reach {max(high, -low):.6g}, but full scale is ±1: divide 16-bit samples by 32768")
    return signal, low, high
