"""Log-mel spectrograms, one frame every 10 ms: the input of the spectrogram CNNs.

    samples ─ [pre-emphasis] ─ 25 ms Hamming windows ─ |FFT|² ─ mel bands ─ log ─▶ (frames, bands) float32

Mel scale 2595·log10(1 + f/700), triangles of equal height from 20 Hz to half the sample rate, natural logarithm of the
band energies, floored at 1e-10. Frame t is centred at (t + ½)·10 ms, whatever the window; the last frame may be
partial, so one sample is enough for one frame.

The MFCC of `features.mfcc` are the cosine transform of the same spectrogram with 40 bands. The CNNs read 64 bands
without pre-emphasis, which would add nearly a constant to each band of a logarithm; normalisation removes it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from ..audio import timing
from ..audio.signal import as_float
from ..audio.timing import frame_count, frame_length
from ..errors import AudioError, ConfigurationError
from ._filterbanks import Part, parts, product
from .extractor import cache_key

STEP_SECONDS, WINDOW_SECONDS = 0.01, 0.025
"""Step between frames, and length of a window."""

BANDS = 64
"""Mel bands of the default configuration."""

LOWEST_HZ = 20.0
"""Lower edge of the first band."""

FLOOR = 1e-10
"""Smallest band energy: the logarithm of digital silence stays finite."""

_MAX_BANDS = 100
"""With many more, the lowest bands have no bin of the FFT."""

_BLOCK, _BANDS_PER_PART = 128, 8
_VERSION = 1


@dataclass(frozen=True, slots=True)
class SpectrogramConfig:
    """The extractor of spectrograms.

    Attributes:
        bands: Mel bands, 1 to 100.

    Raises:
        ConfigurationError: A setting is not valid.
    """

    bands: int = BANDS

    def __post_init__(self) -> None:
        if not 1 <= self.bands <= _MAX_BANDS:
            raise ConfigurationError(f"bands = {self.bands} is not valid; give 1 to {_MAX_BANDS}")

    def key(self) -> str:
        """The key of the feature store.

        Returns:
            Canonical JSON.
        """
        return cache_key("spectrogram", _VERSION, **asdict(self))

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Compute a log-mel spectrogram.

        Args:
            samples: (n,) with full scale ±1, or int16.
            sample_rate: Hz, at least 2000.

        Returns:
            (⌈n / 10 ms⌉, bands) float32.

        Raises:
            AudioError: As `log_mel`.
        """
        return log_mel(samples, sample_rate, bands=self.bands)


def log_mel(samples: np.ndarray, sample_rate: int, *, bands: int = BANDS, pre_emphasis: float = 0.0) -> np.ndarray:
    """Compute the logarithms of mel band energies.

    Args:
        samples: (n,) with full scale ±1, or int16.
        sample_rate: Hz, at least 2000.
        bands: Mel bands.
        pre_emphasis: a of x[n] − a·x[n−1], applied first.

    Returns:
        (⌈n / 10 ms⌉, bands) float32.

    Raises:
        AudioError: The sample rate is too low, or the samples are not valid (`audio.signal.validate_samples`).
    """
    signal = as_float(samples).astype(np.float32, copy=False)
    if sample_rate < 2000:
        raise AudioError(f"mel bands need a sample rate of at least 2000 Hz, not {sample_rate}")
    step, window = frame_length(sample_rate, STEP_SECONDS), timing.samples(WINDOW_SECONDS, sample_rate)
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
    """(frames, window) view of the pre-emphasised signal, zero-padded: frame t is centred on step t."""
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
    return np.hamming(window).astype(np.float32), parts(triangles, _BANDS_PER_PART)
