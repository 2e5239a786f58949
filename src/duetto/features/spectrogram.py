"""A log-mel spectrogram, one column every 10 ms: what the convolutional encoders see.

    samples ─ [pre-emphasis] ─ 25 ms Hamming windows ─ |FFT|² ─ mel bands ─ log ─▶ (frames, bands) float32

Mel scale 2595·log10(1 + f/700), triangles of equal height from 20 Hz to half the sample rate, natural
logarithm of the energies, none below 1e-10. Frame t is centred at (t + ½)·10 ms, so that nothing of the step's
grid depends on the window; the last frame may be partial, so one sample is enough for one frame.

The MFCC of `features.mfcc` are the cosine transform of the same spectrogram of 40 bands. The spectrogram that
encoders see has 64 and no pre-emphasis: of a logarithm that is nearly one constant a band, which normalisation
takes away.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from ..audio.signal import as_float
from ..audio.timing import frame_count, frame_length, samples
from ..errors import AudioError, ConfigurationError
from ._filterbanks import Part, parts, product

STEP_SECONDS = 0.01
WINDOW_SECONDS = 0.025
BANDS = 64
LOWEST_HZ = 20.0
FLOOR = 1e-10
"""Smallest band energy: digital silence stays finite."""

_MOST_BANDS = 100
_BLOCK, _BANDS_OF_A_PART = 128, 8
_VERSION = 1


@dataclass(frozen=True, slots=True)
class SpectrogramConfig:
    """bands: of the mel scale, at most 100: with many more, low bands hold no bin of the FFT."""

    bands: int = BANDS

    def __post_init__(self) -> None:
        if not 1 <= self.bands <= _MOST_BANDS:
            raise ConfigurationError(f"bands = {self.bands} is not valid; give 1 to {_MOST_BANDS}")

    def key(self) -> str:
        """Canonical JSON that changes whenever the numbers can change."""
        return json.dumps({"extractor": "spectrogram", "version": _VERSION} | asdict(self), sort_keys=True)

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """(n,) samples, full scale ±1 or int16 → (⌈n / 10 ms⌉, bands) float32; errors as `log_mel`."""
        return log_mel(samples, sample_rate, bands=self.bands)


def log_mel(signal: np.ndarray, sample_rate: int, *, bands: int = BANDS, pre_emphasis: float = 0.0) -> np.ndarray:
    """Logarithm of mel band energies: (n,) → (⌈n / 10 ms⌉, bands) float32.

    pre_emphasis: a of x[n] − a·x[n−1], applied first. Raises `AudioError` for an empty or non-finite signal, one
    far beyond full scale, or a rate below 2 kHz.
    """
    signal = as_float(signal).astype(np.float32, copy=False)
    if sample_rate < 2000:
        raise AudioError(f"mel bands need at least 2000 samples a second, not {sample_rate}")
    step, window = frame_length(sample_rate, STEP_SECONDS), samples(WINDOW_SECONDS, sample_rate)
    frames = _emphasised_frames(signal, step, window, pre_emphasis)
    taper, triangles = _tables(sample_rate, window, bands)
    result = np.empty((len(frames), bands), np.float32)
    block = np.zeros((min(len(frames), _BLOCK), 1 << (window - 1).bit_length()))  # float64: NumPy's faster FFT
    energies = np.empty((len(block), bands))
    for first in range(0, len(frames), _BLOCK):
        piece = frames[first : first + _BLOCK]
        n = len(piece)
        np.multiply(piece, taper, out=block[:n, :window], dtype=np.float32)
        spectrum = np.fft.rfft(block[:n])
        product(spectrum.real**2 + spectrum.imag**2, triangles, energies[:n])
        result[first : first + n] = np.log(np.maximum(energies[:n], FLOOR))
    return result


def _emphasised_frames(signal: np.ndarray, step: int, window: int, pre_emphasis: float) -> np.ndarray:
    """(frames, window) view of the pre-emphasised signal: frame t is centred on step t, zeros where it has ended."""
    count = frame_count(len(signal), step, partial=True)
    before = (window - step) // 2
    padded = np.zeros(max(before + (count - 1) * step + window, before + len(signal)), np.float32)
    emphasised = padded[before : before + len(signal)]
    np.multiply(signal[:-1], np.float32(-pre_emphasis), out=emphasised[1:])
    emphasised += signal
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::step][:count]


def _mel(hertz: np.ndarray | float) -> np.ndarray:
    return 2595.0 * np.log10(1.0 + np.asarray(hertz) / 700.0)


@lru_cache(maxsize=8)
def _tables(sample_rate: int, window: int, bands: int) -> tuple[np.ndarray, tuple[Part, ...]]:
    """Hamming window (window,) float32, and mel triangles bins → bands."""
    size = 1 << (window - 1).bit_length()
    mel = _mel(np.fft.rfftfreq(size, 1 / sample_rate))
    edges = np.linspace(_mel(LOWEST_HZ), _mel(sample_rate / 2), bands + 2)
    width = edges[1] - edges[0]
    triangles = np.maximum(0.0, 1.0 - np.abs(mel[:, None] - edges[None, 1:-1]) / width)
    return np.hamming(window).astype(np.float32), parts(triangles, _BANDS_OF_A_PART)
