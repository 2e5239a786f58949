"""Sounds without speech, by formula: what a recogniser must give no emotion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..audio import augment
from ..audio.timing import SAMPLE_RATE

SECONDS = 3.0
"""Length of each sound."""


def sounds() -> dict[str, NDArray[np.float32]]:
    """Make the sounds.

    Returns:
        Name → (n,) float32 at 16 kHz.
    """
    rng, n = np.random.default_rng(0), round(SECONDS * SAMPLE_RATE)
    time = np.arange(n) / SAMPLE_RATE
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    clicks, knocks = np.zeros(n), np.zeros(n)
    clicks[:: SAMPLE_RATE // 4] = 0.8
    decay = np.exp(-np.arange(800) / 120)
    for at in range(1000, n - 800, 2700):
        knocks[at : at + 800] = 0.2 * rng.standard_normal(800) * decay
    made = {
        "digital silence": np.zeros(n),
        "silence with −80 dB of noise": 1e-4 * rng.standard_normal(n),
        "white noise": 0.1 * rng.standard_normal(n),
        "pink noise": augment.add_noise(1e-3 * tone, SAMPLE_RATE, -40.0, colour=1.0),
        "brown noise": augment.add_noise(1e-3 * tone, SAMPLE_RATE, -40.0, colour=2.0),
        "a tone of 440 Hz": tone,
        "a tone of 1 kHz": 0.3 * np.sin(2 * np.pi * 1000 * time),
        "a chord": sum(0.1 * np.sin(2 * np.pi * f * time) for f in (262, 330, 392)),
        "mains hum": sum(0.2 * np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 20)),
        "a dial tone": 0.15 * (np.sin(2 * np.pi * 350 * time) + np.sin(2 * np.pi * 440 * time)),
        "clicks": clicks,
        "knocks": knocks,
    }
    return {name: np.asarray(sound, np.float32) for name, sound in made.items()}
