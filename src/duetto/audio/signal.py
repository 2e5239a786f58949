"""The one check of samples and sample rates that come in.

samples ─ validate_samples ─▶ (n,) int16 or floating-point, finite, on the scale ±1
        ─ as_float ─────────▶ (n,) floating-point, full scale ±1
        ─ as_frames ────────▶ (n, channels) float32, full scale ±1
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioError

INT16_FULL_SCALE = 32768
"""What int16 samples are divided by."""
MAX_AMPLITUDE = 100.0
"""Floating-point samples beyond this are not on the scale ±1."""
NO_SAMPLES = "no samples; there is nothing to analyse"

_FULL_SCALES = {np.dtype(np.int16): float(INT16_FULL_SCALE), np.dtype(np.int32): 2.0**31}
_MIN_RATE, _MAX_RATE = 1_000, 768_000
_MAX_CHANNELS = 64


def validate_samples(samples: np.ndarray, *, max_amplitude: float = MAX_AMPLITUDE) -> np.ndarray:
    """Check that an array is one channel of sound.

    Args:
        samples: (n,), n ≥ 1, finite; int16, or floating-point with full scale ±1.
        max_amplitude: Largest magnitude of floating-point samples. Infinity for callers that normalise the level.

    Returns:
        The same samples, not copied.

    Raises:
        AudioError: They are anything else; the message states what is wrong and what is valid.
    """
    signal = np.asarray(samples)
    if signal.ndim != 1 or not (signal.dtype.kind == "f" or signal.dtype == np.int16):
        raise AudioError(
            f"(n,) samples needed, floating-point on the scale ±1 or int16, not {signal.dtype} of shape {signal.shape}"
        )
    if not len(signal):
        raise AudioError(NO_SAMPLES)
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


def as_frames(samples: Any, name: str) -> np.ndarray:
    """Bring an array of one or more channels to the layout of a decoded file.

    Args:
        samples: (n,), (channels, n) or (n, channels), also as a tensor; int16 and int32 are divided by their full
            scale. Of two axes, the one longer than 64 is time; where neither is, the second.
        name: Opens the message of an error.

    Returns:
        (n, channels) float32. Values beyond float32 become infinite; see `check_finite`.

    Raises:
        AudioError: Another shape or type, no samples, or more than 64 channels.
    """
    array = np.asarray(samples.detach().cpu() if hasattr(samples, "detach") else samples)
    what = f"{array.dtype} of shape {array.shape}"
    if array.ndim not in (1, 2) or not (array.dtype.kind == "f" or array.dtype in _FULL_SCALES):
        raise AudioError(f"{name}: (n,) or (channels, n) of floats, int16 or int32 needed, not {what}")
    if array.ndim == 2 and array.shape[0] > _MAX_CHANNELS:
        array = array.T
        if array.shape[0] > _MAX_CHANNELS:
            raise AudioError(f"{name}: {what} reads as {array.shape[0]} channels; {_MAX_CHANNELS} are the limit")
    if array.size == 0:
        raise AudioError(f"{name}: holds {NO_SAMPLES}")
    if array.dtype.kind == "i":
        array = array / _FULL_SCALES[array.dtype]
    with np.errstate(over="ignore"):
        return np.atleast_2d(array).T.astype(np.float32, copy=False)


def check_finite(frames: np.ndarray, name: str, first: int, sample_rate: int) -> None:
    """Check that every sample of a block is a number.

    Args:
        frames: (n, channels).
        name: Opens the message of the error.
        first: Position of the block in the recording, in frames.
        sample_rate: Hz.

    Raises:
        AudioError: Some are NaN or infinite; the message states how many, and the time of the first.
    """
    bad = ~np.isfinite(frames).all(axis=1)
    if bad.any():
        at = (first + int(bad.argmax())) / sample_rate
        raise AudioError(f"{name}: {int(bad.sum())} samples from {at:.3f} s on are NaN or infinite; repair the file")


def validate_rate(value: Any, what: str) -> int:
    """Check a sample rate.

    Args:
        value: Hz, a whole number from 1,000 to 768,000 of any numeric type.
        what: Whose rate it is, for the message.

    Returns:
        The rate as an int.

    Raises:
        AudioError: It is no such number.
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value != int(value) or not _MIN_RATE <= value <= _MAX_RATE:
        raise AudioError(f"{what} is {value!r}; give whole samples per second from {_MIN_RATE} to {_MAX_RATE}")
    return int(value)
