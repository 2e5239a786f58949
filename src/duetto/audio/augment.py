"""What rooms, microphones and lines do to a recording, so that training data hold more than one of each.

    samples ─ speed · reverberate · add_noise · tilt · band ─▶ samples

Every transform is a pure function of (n,) samples, n ≥ 1, finite, full scale ±1 (int16 is divided by 32768), to
(m,) float32; those that are random take a seed. Samples that are empty, of another shape or type, not finite, or
beyond ±100 are an `AudioError`, a setting that is not valid is a `ConfigurationError`. `recording` draws one chain
of transforms: same samples, same seed, same result, in any process.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import audio
from ..errors import ConfigurationError
from .signal import as_float

TELEPHONE = (300.0, 3400.0)
"""Hz; the band of a narrow-band telephone line (ITU-T G.712)."""


def gain(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Louder or softer: every sample times 10^(decibels / 20)."""
    _require_finite(gain=decibels)
    return (as_float(samples) * 10 ** (decibels / 20)).astype(np.float32)


def speed(samples: np.ndarray, sample_rate: int, ratio: float) -> np.ndarray:
    """Played `ratio` times as fast: 1 / ratio as long, and every frequency (pitch and formants) times `ratio`.

    Resampling, as a tape would do it. ratio: 0.5–2.
    """
    if not 0.5 <= ratio <= 2:
        raise ConfigurationError(f"speed ratio = {ratio} is not valid; give a number from 0.5 to 2")
    played = {"waveform": np.asarray(as_float(samples), np.float32), "sample_rate": round(sample_rate * ratio)}
    return audio.load(played, sample_rate=sample_rate).samples


def band(samples: np.ndarray, sample_rate: int, low: float, high: float) -> np.ndarray:
    """Only the frequencies from `low` to `high` Hz; the edges fall like half a cosine, over a tenth of an octave.

    The mean is removed.
    """
    if not 0 < low < high:
        raise ConfigurationError(f"band {low}–{high} Hz is not valid; give 0 < low < high")

    def response(frequency: np.ndarray) -> np.ndarray:
        inside = np.minimum(np.log2(frequency / low), np.log2(high / frequency))
        return 0.5 - 0.5 * np.cos(np.pi * np.clip(1 + inside / 0.1, 0, 1))

    return _filtered(as_float(samples), sample_rate, response)


def tilt(samples: np.ndarray, sample_rate: int, decibels: float, pivot: float = 1000.0) -> np.ndarray:
    """A microphone or line that favours high or low tones: `decibels` more an octave, none at `pivot` Hz.

    Level beyond three octaves of the pivot is held, so that no rumble is raised without end. The mean is removed.
    """
    _require_finite(tilt=decibels, pivot=pivot)
    if pivot <= 0:
        raise ConfigurationError(f"pivot = {pivot} Hz is not valid; give a number above 0")
    sound = as_float(samples)
    return _filtered(sound, sample_rate, lambda f: 10 ** (decibels * np.clip(np.log2(f / pivot), -3, 3) / 20))


def add_noise(samples: np.ndarray, sample_rate: int, snr: float, *, colour: float = 0.0, seed: int = 0) -> np.ndarray:
    """Gaussian noise so much softer than the recording: 10·log10 of the ratio of mean squares is `snr` dB.

    colour: power falls as 1 / frequency^colour; 0 is white, 1 pink, 2 brown; flat below 20 Hz.
    A silent recording stays silent: it has no level to be `snr` dB below.
    """
    _require_finite(snr=snr, colour=colour)
    sound = as_float(samples)
    white = np.random.default_rng(seed).standard_normal(len(sound))
    noise = _filtered(white, sample_rate, lambda f: np.maximum(f, 20.0) ** (-colour / 2)) if colour else white
    noise *= math.sqrt(_power(sound) / max(_power(noise), 1e-30)) * 10 ** (-snr / 20)
    return (sound + noise).astype(np.float32)


def reverberate(
    samples: np.ndarray, sample_rate: int, seconds: float, *, direct: float = 0.0, seed: int = 0
) -> np.ndarray:
    """A room: direct sound plus exponentially decaying Gaussian noise (Polack's model), at the old mean square.

    seconds: reverberation time, in which the tail falls by 60 dB; the tail is cut there. direct: dB by which
    the energy of the direct sound exceeds that of the tail's impulse response. The length stays.
    """
    if not 0 < seconds < math.inf:
        raise ConfigurationError(f"reverberation time = {seconds} s is not valid; give a finite number above 0")
    _require_finite(direct=direct)
    sound = as_float(samples)
    steps = np.arange(1, max(2, round(seconds * sample_rate)))
    tail = np.random.default_rng(seed).standard_normal(len(steps)) * 10 ** (-3 * steps / (seconds * sample_rate))
    tail *= 10 ** (-direct / 20) / math.sqrt(float(tail @ tail))
    response = np.concatenate(([1.0], tail))
    size = len(sound) + len(response) - 1
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[: len(sound)]
    return (wet * math.sqrt(_power(sound) / max(_power(wet), 1e-30))).astype(np.float32)


def recording(samples: np.ndarray, sample_rate: int, *, seed: int) -> np.ndarray:
    """The same speech, recorded elsewhere: a chain of the transforms above, drawn by `seed`.

    Speed within ±10 %, always. Then each with its own chance: a room of 0.1–0.8 s with 0–15 dB of direct
    sound (3 in 10), noise of any colour from white to brown at 5–35 dB (6 in 10), a tilt of ±3 dB an octave
    (7 in 10), the telephone's band (1 in 5); at last a gain of −20 to +6 dB.
    """
    rng = np.random.default_rng(seed)
    chance, noise_seed, room_seed = rng.random(4), *rng.integers(2**32, size=2).tolist()
    out = speed(samples, sample_rate, 1.1 ** rng.uniform(-1, 1))
    room, direct = 0.1 * 8 ** rng.random(), rng.uniform(0, 15)
    snr, colour, slope, level = rng.uniform(5, 35), rng.uniform(0, 2), rng.uniform(-3, 3), rng.uniform(-20, 6)
    if chance[0] < 0.3:
        out = reverberate(out, sample_rate, room, direct=direct, seed=room_seed)
    if chance[1] < 0.6:
        out = add_noise(out, sample_rate, snr, colour=colour, seed=noise_seed)
    if chance[2] < 0.7:
        out = tilt(out, sample_rate, slope)
    if chance[3] < 0.2:
        out = band(out, sample_rate, *TELEPHONE)
    return gain(out, level)


def _require_finite(**settings: float) -> None:
    """A `ConfigurationError` names the first setting that is NaN or infinite."""
    for name, value in settings.items():
        if not math.isfinite(value):
            raise ConfigurationError(f"{name} = {value} is not valid; give a finite number")


def _filtered(samples: np.ndarray, sample_rate: int, response: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The samples with every frequency above 0 multiplied by `response(frequencies)`; DC becomes 0."""
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / sample_rate)
    spectrum[0] = 0
    if len(spectrum) > 1:
        spectrum[1:] *= response(frequency[1:])
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def _power(samples: np.ndarray) -> float:
    """Mean square."""
    return float(np.mean(np.square(samples, dtype=np.float64)))
