"""What lines and codecs do to a recording: telephone, low sample rates, MP3.

    samples ─ telephone · low_rate · mu_law · mp3 ─▶ samples

Every transform is a pure function from (n,) samples, int16 or floating-point with full scale ±1 (see
`signal.validate_samples`), to float32, as long as before but for `mp3`.
"""

from __future__ import annotations

import io

import numpy as np

from ..errors import AudioError, ConfigurationError
from .augment import TELEPHONE, band
from .decode import NotAudioError, encode
from .io import load
from .signal import INT16_FULL_SCALE, as_float

TELEPHONE_RATE = 8_000
"""Hz; sample rate of narrow-band telephony (ITU-T G.711)."""

_BIAS, _LARGEST = 132, 32_635
"""Of µ-law on 16-bit samples: 33 and 8,158 of G.711's 14 bits."""

_MP3_RATES = ((32_000, 320, 32), (16_000, 160, 8), (0, 64, 8))
"""Least sample rate, and bit rates in kbit/s at libsndfile's compression 0 and 1, between which it is linear."""


def mu_law(samples: np.ndarray) -> np.ndarray:
    """Encode with 8 bits by the µ-law of ITU-T G.711 (table 2), and decode.

    Args:
        samples: (n,); beyond full scale they are clipped.

    Returns:
        (n,) float32, of at most 255 values.
    """
    whole = np.rint(np.clip(as_float(samples), -1, 1) * INT16_FULL_SCALE).astype(np.int64)
    biased = np.minimum(np.abs(whole), _LARGEST) + _BIAS
    segment = np.searchsorted(1 << np.arange(8, 15), biased, side="right")  # 2^7 to 2^8 − 1 is segment 0
    step = biased >> (segment + 3)
    decoded = ((step << 3) + 4 << segment) - _BIAS
    return (np.sign(whole) * decoded / INT16_FULL_SCALE).astype(np.float32)


def low_rate(samples: np.ndarray, sample_rate: int, lower: int) -> np.ndarray:
    """Sample at a lower rate and back, so that nothing is left above half of it.

    Args:
        samples: (n,).
        sample_rate: Hz.
        lower: Hz.

    Returns:
        (n,) float32.
    """
    return _as_long(_resampled(_resampled(as_float(samples), sample_rate, lower), lower, sample_rate), len(samples))


def telephone(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Send through a narrow-band telephone line: 300–3400 Hz, 8 kHz, 8 bits by µ-law.

    Args:
        samples: (n,).
        sample_rate: Hz.

    Returns:
        (n,) float32.
    """
    line = _resampled(band(samples, sample_rate, *TELEPHONE), sample_rate, TELEPHONE_RATE)
    return _as_long(_resampled(mu_law(line), TELEPHONE_RATE, sample_rate), len(samples))


def mp3(samples: np.ndarray, sample_rate: int, kilobits: float) -> np.ndarray:
    """Encode as MP3 at a constant bit rate, and decode.

    Args:
        samples: (n,).
        sample_rate: Hz, one that MP3 has.
        kilobits: kbit/s; the nearest that MP3 has at this rate is used.

    Returns:
        (m,) float32 as the decoder gives them: up to 0.1 s longer, and as much later, where the file states no delay.

    Raises:
        AudioError: The installed libsndfile writes no MP3, or none of this rate.
        ConfigurationError: The bit rate is out of range.
    """
    encoded = io.BytesIO(mp3_file(samples, sample_rate, kilobits))
    return load(encoded, sample_rate=sample_rate).samples


def mp3_file(samples: np.ndarray, sample_rate: int, kilobits: float) -> bytes:
    """Encode as MP3 at a constant bit rate.

    Args:
        samples: See `mp3`.
        sample_rate: See `mp3`.
        kilobits: See `mp3`.

    Returns:
        The content of a file.

    Raises:
        AudioError: See `mp3`.
        ConfigurationError: See `mp3`.
    """
    most, least = next((most, least) for rate, most, least in _MP3_RATES if sample_rate >= rate)
    if not least <= kilobits <= most:
        raise ConfigurationError(f"{kilobits} kbit/s is not valid at {sample_rate} Hz; give {least} to {most}")
    file, compression = io.BytesIO(), (most - kilobits) / (most - least)
    frames = np.clip(as_float(samples), -1, 1).astype(np.float32)[:, None]
    try:
        encode(file, frames, sample_rate, container="MP3", subtype="MPEG_LAYER_III", compression=compression)
    except (NotAudioError, ValueError) as error:
        raise AudioError(f"cannot write MP3 at {sample_rate} Hz with the installed libsndfile ({error})") from error
    return file.getvalue()


def _resampled(samples: np.ndarray, sample_rate: int, wanted: int) -> np.ndarray:
    source = {"waveform": np.asarray(samples, np.float32), "sample_rate": sample_rate}
    return load(source, sample_rate=wanted).samples


def _as_long(samples: np.ndarray, length: int) -> np.ndarray:
    """Cut, or filled with zeros."""
    return np.pad(samples[:length], (0, max(0, length - len(samples)))).astype(np.float32)
