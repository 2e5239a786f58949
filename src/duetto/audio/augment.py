"""What rooms, microphones and lines do to a recording, so that training data hold more than one of each.

    samples ─ speed · reverberate · add_noise · add_sound · tilt · band · clip · lead_in ─▶ samples
    recordings ─ babble ─▶ samples of many voices at once, for add_sound

What lines and codecs do to a recording is in `transmission`.

Every transform is a pure function from (n,) samples, int16 or floating-point with full scale ±1 (see
`signal.validate_samples`), to (m,) float32; those that are random take a seed. Samples that are not valid are an
`AudioError`, a setting that is not valid is a `ConfigurationError`. `recording` draws one chain of transforms: same
samples, same seed, same result, in any process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..errors import ConfigurationError
from .io import load
from .signal import as_float

TELEPHONE = (300.0, 3400.0)
"""Hz; the band of a narrow-band telephone line (ITU-T G.712)."""

_NO_POWER = 1e-30


def gain(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Make a recording louder or softer.

    Args:
        samples: (n,).
        decibels: Every sample is multiplied by 10^(decibels / 20).

    Returns:
        (n,) float32.
    """
    _require_finite(gain=decibels)
    return (as_float(samples) * 10 ** (decibels / 20)).astype(np.float32)


def speed(samples: np.ndarray, sample_rate: int, ratio: float) -> np.ndarray:
    """Play a recording faster or slower, as a tape would: every frequency (pitch and formants) times `ratio`.

    Args:
        samples: (n,).
        sample_rate: Hz.
        ratio: From 0.5 to 2.

    Returns:
        (n / ratio,) float32.
    """
    if not 0.5 <= ratio <= 2:
        raise ConfigurationError(f"speed ratio = {ratio} is not valid; give a number from 0.5 to 2")
    waveform = {"waveform": np.asarray(as_float(samples), np.float32), "sample_rate": round(sample_rate * ratio)}
    return load(waveform, sample_rate=sample_rate).samples


def band(samples: np.ndarray, sample_rate: int, low: float, high: float) -> np.ndarray:
    """Keep only the frequencies of a band; its edges fall like half a cosine, over a tenth of an octave.

    Args:
        samples: (n,).
        sample_rate: Hz.
        low: Lower edge in Hz, above 0.
        high: Upper edge in Hz.

    Returns:
        (n,) float32, without the mean.
    """
    if not 0 < low < high:
        raise ConfigurationError(f"band {low}–{high} Hz is not valid; give 0 < low < high")

    def response(frequency: np.ndarray) -> np.ndarray:
        octaves_inside = np.minimum(np.log2(frequency / low), np.log2(high / frequency))
        return 0.5 - 0.5 * np.cos(np.pi * np.clip(1 + octaves_inside / 0.1, 0, 1))

    return _filtered(as_float(samples), sample_rate, response)


def tilt(samples: np.ndarray, sample_rate: int, decibels: float, pivot: float = 1000.0) -> np.ndarray:
    """Slope the spectrum, as a microphone or line does that favours high or low tones.

    The gain is constant beyond three octaves of the pivot, so that no rumble is raised without limit.

    Args:
        samples: (n,).
        sample_rate: Hz.
        decibels: Gain that is added with each octave.
        pivot: Frequency without gain, in Hz, above 0.

    Returns:
        (n,) float32, without the mean.
    """
    _require_finite(tilt=decibels, pivot=pivot)
    if pivot <= 0:
        raise ConfigurationError(f"pivot = {pivot} Hz is not valid; give a number above 0")
    signal = as_float(samples)
    return _filtered(signal, sample_rate, lambda f: 10 ** (decibels * np.clip(np.log2(f / pivot), -3, 3) / 20))


def add_noise(samples: np.ndarray, sample_rate: int, snr: float, *, colour: float = 0.0, seed: int = 0) -> np.ndarray:
    """Add Gaussian noise. A silent recording stays silent: it has no level to be `snr` dB below.

    Args:
        samples: (n,).
        sample_rate: Hz.
        snr: Signal-to-noise ratio in dB: 10·log10 of the ratio of mean squares.
        colour: Power falls as 1 / frequency^colour; 0 is white, 1 pink, 2 brown; flat below 20 Hz.
        seed: Of the noise.

    Returns:
        (n,) float32.
    """
    _require_finite(snr=snr, colour=colour)
    signal = as_float(samples)
    white = np.random.default_rng(seed).standard_normal(len(signal))
    noise = _filtered(white, sample_rate, lambda f: np.maximum(f, 20.0) ** (-colour / 2)) if colour else white
    noise *= math.sqrt(_power(signal) / max(_power(noise), _NO_POWER)) * 10 ** (-snr / 20)
    return (signal + noise).astype(np.float32)


def add_sound(samples: np.ndarray, sound: np.ndarray, snr: float) -> np.ndarray:
    """Add another sound. A silent recording stays silent, as in `add_noise`; a silent sound adds nothing.

    Args:
        samples: (n,).
        sound: (m,) of the same rate; its beginning, or repeated where it is shorter.
        snr: Signal-to-noise ratio in dB: 10·log10 of the ratio of mean squares over the n samples.

    Returns:
        (n,) float32.
    """
    _require_finite(snr=snr)
    signal = as_float(samples)
    noise = np.resize(as_float(sound), len(signal)).astype(np.float64)
    noise *= math.sqrt(_power(signal) / max(_power(noise), _NO_POWER)) * 10 ** (-snr / 20)
    return (signal + noise).astype(np.float32)


def babble(recordings: Sequence[np.ndarray], length: int, *, seed: int = 0) -> np.ndarray:
    """Mix recordings of speech to the noise of many voices at once.

    Args:
        recordings: (m,) each, of one rate; every one begins at a random place, is repeated, and has the same mean
            square. Silent ones add nothing.
        length: Samples of the result.
        seed: Of the places.

    Returns:
        (length,) float32, of mean square 0.01 or less where voices cancel.

    Raises:
        ConfigurationError: There is no recording.
    """
    if not recordings:
        raise ConfigurationError("babble needs recordings to mix; give one or more")
    rng, mixed = np.random.default_rng(seed), np.zeros(length)
    for recording in recordings:
        voice = as_float(recording).astype(np.float64)
        voice = np.resize(np.roll(voice, -int(rng.integers(len(voice)))), length)
        mixed += voice / math.sqrt(max(_power(voice), _NO_POWER))
    return (0.1 * mixed / math.sqrt(len(recordings))).astype(np.float32)


def clip(samples: np.ndarray, share: float) -> np.ndarray:
    """Cut the peaks off, as an amplifier that is driven too far does; the level is not raised.

    Args:
        samples: (n,).
        share: Of the samples that lie at the limit afterwards, from 0 to 1.

    Returns:
        (n,) float32.
    """
    if not 0 <= share < 1:
        raise ConfigurationError(f"share = {share} is not valid; give a number from 0 to 1, without 1")
    signal = as_float(samples)
    limit = np.quantile(np.abs(signal), 1 - share)
    return np.clip(signal, -limit, limit).astype(np.float32)


def lead_in(samples: np.ndarray, sample_rate: int, seconds: float) -> np.ndarray:
    """Put digital silence before a recording.

    Args:
        samples: (n,).
        sample_rate: Hz.
        seconds: Of silence, 0 or more.

    Returns:
        (n + seconds · sample_rate,) float32.
    """
    if not 0 <= seconds < math.inf:
        raise ConfigurationError(f"lead-in = {seconds} s is not valid; give a finite number, 0 or more")
    return np.concatenate([np.zeros(round(seconds * sample_rate)), as_float(samples)]).astype(np.float32)


def reverberate(
    samples: np.ndarray, sample_rate: int, seconds: float, *, direct: float = 0.0, seed: int = 0
) -> np.ndarray:
    """Add a room: direct sound plus exponentially decaying Gaussian noise (Polack's model), at the same mean square.

    Args:
        samples: (n,).
        sample_rate: Hz.
        seconds: Reverberation time, in which the tail falls by 60 dB; the tail is cut there.
        direct: dB by which the energy of the direct sound exceeds that of the tail's impulse response.
        seed: Of the tail.

    Returns:
        (n,) float32.
    """
    if not 0 < seconds < math.inf:
        raise ConfigurationError(f"reverberation time = {seconds} s is not valid; give a finite number above 0")
    _require_finite(direct=direct)
    signal = as_float(samples)
    steps = np.arange(1, max(2, round(seconds * sample_rate)))
    tail = np.random.default_rng(seed).standard_normal(len(steps)) * 10 ** (-3 * steps / (seconds * sample_rate))
    tail *= 10 ** (-direct / 20) / math.sqrt(float(tail @ tail))
    response = np.concatenate(([1.0], tail))
    size = len(signal) + len(response) - 1
    wet = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(response, size), size)[: len(signal)]
    return (wet * math.sqrt(_power(signal) / max(_power(wet), _NO_POWER))).astype(np.float32)


def recording(samples: np.ndarray, sample_rate: int, *, seed: int) -> np.ndarray:
    """Simulate another recording of the same speech: a chain of the transforms above, drawn by `seed`.

    Speed within ±10 %, always. Then each with its own probability: a room of 0.1–0.8 s with 0–15 dB of direct sound
    (3 in 10), noise of any colour from white to brown at 5–35 dB (6 in 10), a tilt of ±3 dB an octave (7 in 10), the
    telephone's band (1 in 5); at last a gain of −20 to +6 dB.

    Args:
        samples: (n,).
        sample_rate: Hz.
        seed: Of everything that is drawn.

    Returns:
        (m,) float32.
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
    """Raise a `ConfigurationError` for the first setting that is NaN or infinite."""
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
