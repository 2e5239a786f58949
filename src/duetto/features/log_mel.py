"""The log-mel spectrogram that Whisper reads.

    samples at 16 kHz ─ Hann windows of 25 ms every 10 ms ─ power ─ mel bands ─ log₁₀, floor, scale ─▶ (bands, frames)

Radford et al., "Robust speech recognition via large-scale weak supervision", 2022, and the code published with it. The
floor is 8 below the maximum of the recording, so the values of a frame depend on its loudest part.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..audio.signal import as_float
from ..audio.timing import SAMPLE_RATE
from ..errors import AudioError

BANDS = 80
"""Mel bands of every Whisper up to large-v2; large-v3 has 128."""

WINDOW, STEP = 400, 160
"""Samples of a window, and from one to the next."""

_SHORTEST = 2 * STEP
_SMALLEST, _RANGE = 1e-10, 8.0
_BLOCK = 512
"""Windows that are computed together."""

_LINEAR_HERTZ, _FIRST_LOGARITHMIC, _LOGARITHMIC_STEP = 200 / 3, 15.0, np.log(6.4) / 27


def log_mel(samples: np.ndarray, sample_rate: int, bands: int = BANDS) -> np.ndarray:
    """Compute the spectrogram of a recording; frame t is centred on sample 160 · t.

    Args:
        samples: (n,), n ≥ 1, full scale ±1 or int16. Less than 20 ms are filled with zeros.
        sample_rate: 16 000 Hz.
        bands: Mel bands.

    Returns:
        (bands, ⌊n / 160⌋) float32.

    Raises:
        AudioError: Another rate, or samples that `audio.signal.validate_samples` refuses.
    """
    if sample_rate != SAMPLE_RATE:
        raise AudioError(f"log-mel needs {SAMPLE_RATE} samples a second, not {sample_rate}; resample with `audio.load`")
    signal = as_float(samples)
    if len(signal) < _SHORTEST:
        signal = np.pad(signal, (0, _SHORTEST - len(signal)))
    padded = np.pad(signal, WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STEP][: len(signal) // STEP]
    taper, filters = _taper(), mel_filters(bands)
    energies = np.empty((len(windows), bands))
    for at in range(0, len(windows), _BLOCK):
        spectrum = np.fft.rfft(windows[at : at + _BLOCK] * taper)
        energies[at : at + _BLOCK] = (np.square(spectrum.real) + np.square(spectrum.imag)) @ filters
    levels = np.log10(np.maximum(energies, _SMALLEST))
    levels = np.maximum(levels, levels.max() - _RANGE)
    return np.ascontiguousarray(((levels + 4) / 4).T, np.float32)


@lru_cache(maxsize=1)
def _taper() -> np.ndarray:
    """Periodic Hann window (400,)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)


@lru_cache(maxsize=2)
def mel_filters(bands: int) -> np.ndarray:
    """Compute triangular filters of unit area, linear in frequency up to 1 kHz and logarithmic above (Slaney's scale).

    M. Slaney, "Auditory Toolbox", 1998; they span 0–8 kHz.

    Args:
        bands: Number of filters.

    Returns:
        (201, bands) float64.
    """
    top = _FIRST_LOGARITHMIC + np.log(SAMPLE_RATE / 2 / 1000) / _LOGARITHMIC_STEP
    mels = np.linspace(0, top, bands + 2)
    corners = np.where(
        mels < _FIRST_LOGARITHMIC,
        mels * _LINEAR_HERTZ,
        1000 * np.exp(_LOGARITHMIC_STEP * (mels - _FIRST_LOGARITHMIC)),
    )
    hertz = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)[:, None]
    rising = (hertz - corners[:-2]) / np.diff(corners)[:-1]
    falling = (corners[2:] - hertz) / np.diff(corners)[1:]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (corners[2:] - corners[:-2]))
