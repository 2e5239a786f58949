"""The ten speakers and the four prosody styles: a planned line as sound.

    Line ─ render ─▶ (n,) float32 at 16 kHz, words with true times

A style sets what actors change with emotion (R. Banse and K. R. Scherer, "Acoustic profiles in vocal emotion
expression", Journal of Personality and Social Psychology 70, 1996, 614–636): rate, pitch, pitch range,
level, and vocal effort, here the slope of the spectrum. It is laid over each speaker's own voice with a little jitter,
so that styles differ within a voice, and can yet be recognised in an unseen voice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..audio.timing import SAMPLE_RATE, samples
from ..data.utterance import Word
from .espeak import Speaker
from .plan import Line

SPEECH_LEVEL = -23.0
"""Root mean square of neutral speech, dB of full scale."""

ROOM_LEVEL = -65.0
"""Root mean square of the white noise under every recording, dB of full scale: no digital silence."""

_PEAK = 0.95
_FFT_UNIT = 4096
_SILENCE = (0.15, 0.35)


@dataclass(frozen=True, slots=True)
class Style:
    """A prosody style, relative to the speaker's own voice.

    Attributes:
        rate: Factor of the speech rate.
        pitch: Added to the pitch, in steps of espeak-ng's 0–100.
        pitch_range: 0–100.
        level: Gain in dB.
        brightness: Hz, see `brightened`; it stands for vocal effort.
        word_gap: Pause between words, in units of 10 ms.
    """

    rate: float
    pitch: int
    pitch_range: int
    level: float
    brightness: float
    word_gap: int


STYLES = {
    "angry": Style(rate=1.28, pitch=4, pitch_range=75, level=6.0, brightness=3200, word_gap=0),
    "happy": Style(rate=1.13, pitch=26, pitch_range=95, level=3.0, brightness=1500, word_gap=0),
    "neutral": Style(rate=1.0, pitch=0, pitch_range=45, level=0.0, brightness=800, word_gap=0),
    "sad": Style(rate=0.75, pitch=-16, pitch_range=10, level=-7.0, brightness=400, word_gap=2),
}


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker's own voice.

    Attributes:
        variant: Of espeak-ng.
        language: Of espeak-ng.
        pitch: 0–100.
        rate: Words a minute.
        level: Gain in dB.
        brightness: Factor on that of the style.
    """

    variant: str
    language: str
    pitch: int
    rate: int
    level: float
    brightness: float = 1.0


VOICES = {
    (1, "F"): Voice("f4", "en-us", 48, 168, 0.5),
    (1, "M"): Voice("m5", "en-us", 44, 172, -0.5),
    (2, "F"): Voice("f2", "en-us", 46, 176, -1.0),
    (2, "M"): Voice("m3", "en-us", 47, 165, 1.0),
    (3, "F"): Voice("f5", "en-us", 50, 165, 1.0),
    (3, "M"): Voice("max", "en-us", 46, 175, 0.0),
    (4, "F"): Voice("f3", "en-us", 45, 172, 0.0),
    (4, "M"): Voice("m4", "en-us", 50, 170, -1.0),
    (5, "F"): Voice("f1", "en-us", 47, 170, 0.5),
    (5, "M"): Voice("m6", "en-us", 46, 169, 0.5),
}
"""(session, gender) → voice."""

UNSEEN_VOICES = {
    (5, "F"): Voice("steph2", "en-gb-x-rp", 54, 184, -6.0),
    (5, "M"): Voice("rob", "en-gb-scotland", 40, 156, 3.0),
}
"""Session 5 with voices unlike the others: another accent, pitch, rate and level."""


def render(line: Line, seed: int, *, unseen: bool = False) -> tuple[np.ndarray, tuple[Word, ...]]:
    """Synthesise a line.

    Its level is that of the speech itself, pauses included; it is lowered where the peak would exceed 0.95.

    Args:
        line: What to speak, by whom, and in which style.
        seed: Of the corpus; with the number of the line it draws the jitter.
        unseen: Whether session 5 has voices unlike the others.

    Returns:
        (n,) float32 samples at 16 kHz, |x| ≤ 0.95 plus noise, and the words with times in seconds.
    """
    random = np.random.default_rng([seed, line.number, 7])
    key = (line.session, line.gender)
    voice = UNSEEN_VOICES.get(key, VOICES[key]) if unseen else VOICES[key]
    style = STYLES[line.style]
    speech, words = Speaker(voice.variant, voice.language).synthesise(
        line.text,
        rate=round(voice.rate * style.rate * random.uniform(0.97, 1.03)),
        pitch=voice.pitch + style.pitch + int(random.integers(-2, 3)),
        pitch_range=style.pitch_range + int(random.integers(-4, 5)),
        word_gap=style.word_gap,
        seed=int(random.integers(1 << 30)),
    )
    before, after = (samples(random.uniform(*_SILENCE)) for _ in range(2))
    sound = np.concatenate([np.zeros(before), speech, np.zeros(after)])
    sound = brightened(sound, style.brightness * voice.brightness * random.uniform(0.95, 1.05))
    level = SPEECH_LEVEL + voice.level + style.level + random.uniform(-1, 1)
    power = np.sum(sound**2) / len(speech)
    sound *= min(_amplitude(level) / np.sqrt(power), _PEAK / np.abs(sound).max())
    sound += random.normal(scale=_amplitude(ROOM_LEVEL), size=len(sound))
    shift = before / SAMPLE_RATE
    shifted = tuple(Word(w.word, (w.start or 0.0) + shift, (w.end or 0.0) + shift, w.source) for w in words)
    return sound.astype(np.float32), shifted


def brightened(sound: np.ndarray, hertz: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Slope the spectrum of a sound (a constant number of dB an octave, above 100 Hz) to a given brightness.

    Brightness b is defined by ρ, the correlation of neighbouring samples, as cos(2π b / sample_rate) = ρ: the frequency
    of the one sine with that ρ. ρ falls as the slope rises, so the slope is found by bisection, within ±18 dB an
    octave. Filtering is by Fourier transform, without delay.

    Args:
        sound: (n,) samples.
        hertz: The brightness.
        sample_rate: Hz.

    Returns:
        (n,) samples.
    """
    # Padded to a length without large prime factors, for which the transform is many times faster.
    padded = -(-len(sound) // _FFT_UNIT) * _FFT_UNIT
    spectrum = np.fft.rfft(sound, padded)
    frequencies = np.linspace(0, sample_rate / 2, len(spectrum))
    octaves = np.log2(1 + frequencies / 100)
    # Bands of about 16 Hz are fine enough to choose the slope and make its search cheap.
    edges = np.arange(0, len(spectrum), max(1, len(spectrum) // 512))
    power = np.add.reduceat(np.abs(spectrum) ** 2, edges)
    cosines, steps = np.cos(2 * np.pi * frequencies[edges] / sample_rate), octaves[edges]
    target = np.cos(2 * np.pi * hertz / sample_rate)
    low, high = -18.0, 18.0
    for _ in range(20):
        slope = (low + high) / 2
        weights = power * 10 ** (slope / 10 * steps)
        low, high = (slope, high) if weights @ cosines > target * weights.sum() else (low, slope)
    return np.fft.irfft(spectrum * 10 ** ((low + high) / 40 * octaves), padded)[: len(sound)]


def _amplitude(decibel: float) -> float:
    return 10 ** (decibel / 20)
