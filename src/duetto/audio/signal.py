"""The one check of samples that come in as an array.

samples ─ validate_samples ─▶ (n,) int16 or floating-point, finite, on the scale ±1
        ─ as_float ─────────▶ (n,) floating-point, full scale ±1
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioError

INT16_FULL_SCALE = 32768
"""What int16 samples are divided by."""

MAX_AMPLITUDE = 100.0
"""Floating-point samples beyond this are not on the scale ±1."""


def validate_samples(samples: np.ndarray, *, max_amplitude: float = MAX_AMPLITUDE) -> np.ndarray:
    """Check that an array is one channel of sound.

    Args:
        samples: (n,), n ≥ 1, finite; int16, or floating-point with full scale ±1.
        max_amplitude: Largest magnitude of floating-point samples. Infinity for callers that normalise the level.

    Returns:
        The same samples, not copied.

    Raises:
        AudioError: They are anything else; the message says what is wrong and what is valid.
    """
    signal = np.asarray(samples)
    if signal.ndim != 1 or not (signal.dtype.kind == "f" or signal.dtype == np.int16):
        raise AudioError(
            f"(n,) samples needed, floating-point on the scale ±1 or int16, not {signal.dtype} of shape {signal.shape}"
        )
    if not len(signal):
        raise AudioError("no samples; there is nothing to analyse")
    low, high = float(signal.min()), float(signal.max())  # NaN passes through both
    if not (math.isfinite(low) and math.isfinite(high)):
        at = int(np.isfinite(signal).argmin())
        raise AudioError(f"the samples hold NaN or infinity (sample {at} is {signal[at]}); repair the recording")
    amplitude = max(high, -low)
    if signal.dtype.kind == "f" and amplitude > max_amplitude:
        raise AudioError(f"samples reach {amplitude:.6g}, but full scale is ±1: divide 16-bit samples by 32768")
    return signal


def as_float(samples: np.ndarray, *, max_amplitude: float = MAX_AMPLITUDE) -> NDArray[np.floating]:
    """Check samples and bring them to full scale ±1.

    Args:
        samples: As for `validate_samples`.
        max_amplitude: As for `validate_samples`.

    Returns:
        (n,) samples: int16 divided by 32768, as float32; floating-point ones unchanged, not copied.

    Raises:
        AudioError: As for `validate_samples`.
    """
    signal = validate_samples(samples, max_amplitude=max_amplitude)
    return signal / np.float32(INT16_FULL_SCALE) if signal.dtype == np.int16 else signal
