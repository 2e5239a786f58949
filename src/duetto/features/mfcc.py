"""13 MFCC every 10 ms: what Speech2Vec hears (Chung & Glass 2018, section 3.1).

    samples ─ pre-emphasis ─ 25 ms Hamming windows ─ |FFT|² ─ 40 mel bands ─ log ─ DCT ─▶ (frames, 13) float32

The recipe names the number of coefficients and the step; the rest are the usual settings: pre-emphasis 0.97,
mel scale 2595·log10(1 + f/700), triangles of equal height from 20 Hz to half the sample rate, natural
logarithm, orthonormal DCT-II with the zeroth coefficient kept.

Frame t is centred at (t + ½)·10 ms, so a word from `start` to `end` seconds is the frames from start·100 to
end·100: nothing of the step's grid depends on the window.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from ..errors import AudioError, ConfigurationError
from ..frames import frame_count, frame_length, samples
from ..utterance import Word
from ._tables import Part, parts, product

STEP_SECONDS = 0.01
WINDOW_SECONDS = 0.025
BANDS = 40
LOWEST_HZ = 20.0
PRE_EMPHASIS = 0.97
LARGEST_SAMPLE = 100.0
"""Samples beyond this are not on the scale ±1."""
FLOOR = 1e-10
"""Smallest band energy: digital silence stays finite."""

MAX_WORD_FRAMES = 100
"""Frames of a spoken word that are used, from its beginning: 1 s."""

_BLOCK, _BANDS_OF_A_PART = 64, 8
_VERSION = 2


@dataclass(frozen=True, slots=True)
class MfccConfig:
    """coefficients: how many MFCC a frame has, the zeroth included. centred: take the recording's mean away
    from each coefficient (cepstral mean normalisation), and with it much of what is the speaker's and the
    channel's; the published recipe says nothing of it."""

    coefficients: int = 13
    centred: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.coefficients <= BANDS:
            raise ConfigurationError(f"coefficients = {self.coefficients} is not valid; give 1 to {BANDS}")

    def key(self) -> str:
        """Canonical JSON that changes whenever the numbers can change."""
        return json.dumps({"extractor": "mfcc", "version": _VERSION} | asdict(self), sort_keys=True)

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """(n,) samples, full scale ±1 → (frames, coefficients) float32; frames = ⌈n / 10 ms⌉."""
        features = extract(samples, sample_rate, coefficients=self.coefficients)
        return features - features.mean(0) if self.centred else features


def extract(signal: np.ndarray, sample_rate: int, *, coefficients: int = 13) -> np.ndarray:
    """MFCC of a signal: (n,) → (⌈n / 10 ms⌉, coefficients) float32.

    Raises `AudioError` for an empty or non-finite signal, one far beyond full scale, or a rate below 2 kHz.
    """
    signal = np.asarray(signal, np.float32)
    if signal.ndim != 1 or not signal.size:
        raise AudioError(f"MFCC need a mono signal of at least one sample, not shape {signal.shape}")
    if not np.isfinite(signal).all():
        raise AudioError("the signal holds values that are not numbers")
    if np.abs(signal).max() > LARGEST_SAMPLE:
        raise AudioError(f"a sample of {np.abs(signal).max():.3g} is not on the scale ±1; divide by full scale first")
    if sample_rate < 2000:
        raise AudioError(f"MFCC need at least 2000 samples a second, not {sample_rate}")
    step, window = frame_length(sample_rate, STEP_SECONDS), samples(WINDOW_SECONDS, sample_rate)
    frames = _emphasised_frames(signal, step, window)
    taper, bands, cosines = _tables(sample_rate, window, coefficients)
    result = np.empty((len(frames), coefficients), np.float32)
    block = np.zeros((min(len(frames), _BLOCK), 1 << (window - 1).bit_length()))  # float64: NumPy's faster FFT
    energies = np.empty((len(block), BANDS))
    for first in range(0, len(frames), _BLOCK):
        piece = frames[first : first + _BLOCK]
        n = len(piece)
        np.multiply(piece, taper, out=block[:n, :window], dtype=np.float32)
        spectrum = np.fft.rfft(block[:n])
        product(spectrum.real**2 + spectrum.imag**2, bands, energies[:n])
        result[first : first + n] = np.log(np.maximum(energies[:n], FLOOR)) @ cosines
    return result


def _emphasised_frames(signal: np.ndarray, step: int, window: int) -> np.ndarray:
    """(frames, window) view of the pre-emphasised signal: frame t is centred on step t, zeros where it has ended."""
    count = frame_count(len(signal), step, partial=True)
    before = (window - step) // 2
    padded = np.zeros(max(before + (count - 1) * step + window, before + len(signal)), np.float32)
    emphasised = padded[before : before + len(signal)]
    np.multiply(signal[:-1], np.float32(-PRE_EMPHASIS), out=emphasised[1:])
    emphasised += signal
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::step][:count]


def word_frames(word: Word, available: int) -> tuple[int, int] | None:
    """The frames [first, last) of a word in a recording of `available` frames, at most `MAX_WORD_FRAMES`.

    None for a word without sound: without times, shorter than a frame, or outside the recording.
    """
    if word.start is None or word.end is None:
        return None
    first, last = round(word.start / STEP_SECONDS), min(round(word.end / STEP_SECONDS), available)
    return (first, min(last, first + MAX_WORD_FRAMES)) if first < last else None


def words_of(words: Iterable[Word], features: np.ndarray) -> list[np.ndarray]:
    """The MFCC of each word that has a sound, cut out of those of its recording, (frames, coefficients)."""
    places = (word_frames(word, len(features)) for word in words)
    return [features[place[0] : place[1]] for place in places if place is not None]


def _mel(hertz: np.ndarray | float) -> np.ndarray:
    return 2595.0 * np.log10(1.0 + np.asarray(hertz) / 700.0)


@lru_cache(maxsize=8)
def _tables(sample_rate: int, window: int, coefficients: int) -> tuple[np.ndarray, tuple[Part, ...], np.ndarray]:
    """Hamming window (window,) float32, mel triangles bins → bands, DCT-II (bands, coefficients)."""
    size = 1 << (window - 1).bit_length()
    mel = _mel(np.fft.rfftfreq(size, 1 / sample_rate))
    edges = np.linspace(_mel(LOWEST_HZ), _mel(sample_rate / 2), BANDS + 2)
    width = edges[1] - edges[0]
    bands = np.maximum(0.0, 1.0 - np.abs(mel[:, None] - edges[None, 1:-1]) / width)
    angles = np.pi * (np.arange(BANDS)[:, None] + 0.5) * np.arange(coefficients)[None] / BANDS
    cosines = np.cos(angles) * np.sqrt(2.0 / BANDS)
    cosines[:, 0] = np.sqrt(1.0 / BANDS)
    return np.hamming(window).astype(np.float32), parts(bands, _BANDS_OF_A_PART), cosines
