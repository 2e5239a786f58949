"""What is done to recordings before a model is asked again: noise, rooms, lines, codecs.

    recording (16 kHz), condition, seed, other recordings ─ Condition.apply ─▶ recording

Every condition depends on the recording, the seed that its content gives, and for babble on the other recordings alone.
The limits are points of UA that may be lost and percent of answers that may change; docs/behaviour.md gives reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..audio import augment, transmission
from ..audio.timing import SAMPLE_RATE

VOICES = 6
"""Recordings that babble is mixed from."""

Apply = Callable[[np.ndarray, int, Sequence[np.ndarray]], np.ndarray]
"""(n,) samples at 16 kHz, seed, other recordings → (m,) samples at 16 kHz."""


@dataclass(frozen=True)
class Condition:
    """One change of a recording.

    Attributes:
        title: What it is, with its settings.
        apply: The change.
        drop: Points of UA that a model may lose.
        changed: Percent of answers that may change.
        mixes: Whether it needs other recordings.
    """

    title: str
    apply: Apply
    drop: float
    changed: float
    mixes: bool = False


def _white(snr: float) -> Apply:
    return lambda x, seed, others: augment.add_noise(x, SAMPLE_RATE, snr, seed=seed)


def _babble(snr: float) -> Apply:
    def apply(x: np.ndarray, seed: int, others: Sequence[np.ndarray]) -> np.ndarray:
        drawn = np.random.default_rng(seed).permutation(len(others))[:VOICES]
        return augment.add_sound(x, augment.babble([others[i] for i in drawn], len(x), seed=seed), snr)

    return apply


def _gain(decibels: float) -> Apply:
    return lambda x, seed, others: np.clip(augment.gain(x, decibels), -1, 1)


def _room(seconds: float) -> Apply:
    return lambda x, seed, others: augment.reverberate(x, SAMPLE_RATE, seconds, seed=seed)


def _speed(ratio: float) -> Apply:
    return lambda x, seed, others: augment.speed(x, SAMPLE_RATE, ratio)


CONDITIONS: dict[str, Condition] = {
    "white-20": Condition("white noise, 20 dB", _white(20), 5, 20),
    "white-10": Condition("white noise, 10 dB", _white(10), 10, 35),
    "white-5": Condition("white noise, 5 dB", _white(5), 15, 45),
    "white-0": Condition("white noise, 0 dB", _white(0), 20, 55),
    "babble-20": Condition("babble of 6 voices, 20 dB", _babble(20), 5, 20, mixes=True),
    "babble-10": Condition("babble of 6 voices, 10 dB", _babble(10), 10, 35, mixes=True),
    "babble-5": Condition("babble of 6 voices, 5 dB", _babble(5), 15, 45, mixes=True),
    "babble-0": Condition("babble of 6 voices, 0 dB", _babble(0), 20, 55, mixes=True),
    "telephone": Condition(
        "telephone: 300–3400 Hz, 8 kHz, µ-law", lambda x, s, o: transmission.telephone(x, SAMPLE_RATE), 10, 35
    ),
    "rate-8k": Condition("sample rate of 8 kHz", lambda x, s, o: transmission.low_rate(x, SAMPLE_RATE, 8_000), 5, 20),
    "mp3-32": Condition("MP3 at 32 kbit/s", lambda x, s, o: transmission.mp3(x, SAMPLE_RATE, 32), 5, 10),
    "room-0.3": Condition("room of 0.3 s", _room(0.3), 10, 35),
    "room-0.8": Condition("room of 0.8 s", _room(0.8), 20, 55),
    "clipped": Condition("5 % of samples clipped", lambda x, s, o: augment.clip(x, 0.05), 5, 20),
    "gain+6": Condition("gain of +6 dB, cut at full scale", _gain(6), 5, 10),
    "gain-20": Condition("gain of −20 dB", _gain(-20), 5, 10),
    "speed+5": Condition("5 % faster and higher", _speed(1.05), 5, 20),
    "speed-5": Condition("5 % slower and lower", _speed(0.95), 5, 20),
    "silence": Condition("1 s of silence before", lambda x, s, o: augment.lead_in(x, SAMPLE_RATE, 1.0), 5, 10),
}
"""Name → condition."""

VERSION = 1
"""Raised with every change of what a condition does; kept answers of another version are not used."""
