"""Sounds by formula: one that Silero VAD takes for speech, and others that it does not."""

from pathlib import Path

import numpy as np

from duetto import audio

RATE = 16_000
FORMANTS = ((500, 250, 2.1, 0.0, 90), (1500, 500, 1.3, 1.0, 120), (2500, 100, 1.0, 0.0, 170))
"""Centre, excursion, rate and phase of its movement, and width, in Hz and radians."""


def voice(seconds: float = 2.0) -> np.ndarray:
    """Syllables of a vowel: harmonics of 100 to 140 Hz under three moving formants, (n,) float32."""
    time = np.arange(round(RATE * seconds)) / RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    out = np.zeros_like(time)
    for k in range(1, 30):
        gain = np.zeros_like(time)
        for centre, excursion, rate, shift, width in FORMANTS:
            formant = centre + excursion * np.sin(2 * np.pi * rate * time + shift)
            gain += 1 / (1 + ((k * pitch - formant) / width) ** 2)
        out += gain * np.sin(k * phase) / np.sqrt(k)
    syllables = np.clip(1.2 * np.sin(2 * np.pi * 1.9 * time) + 0.5, 0, 1)
    return (0.2 * out / np.abs(out).max() * syllables).astype(np.float32)


def no_voices(seconds: float = 3.0) -> dict[str, np.ndarray]:
    """Name → (n,) float32 of a sound without speech."""
    rng, n = np.random.default_rng(0), round(RATE * seconds)
    time = np.arange(n) / RATE
    white = rng.standard_normal(n)
    clicks = np.zeros(n)
    clicks[:: RATE // 4] = 0.8
    typing = np.zeros(n)
    for at in range(1000, n - 800, 2700):
        typing[at : at + 800] = 0.2 * rng.standard_normal(800) * np.exp(-np.arange(800) / 120)
    sounds = {
        "digital silence": np.zeros(n),
        "a constant": np.full(n, 0.3),
        "white noise": 0.1 * white,
        "soft white noise": 1e-4 * white,
        "clicks": clicks,
        "typing": typing,
        "a tone of 440 Hz": 0.3 * np.sin(2 * np.pi * 440 * time),
        "mains hum": sum(0.2 * np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 20)),
        "a chord": sum(0.1 * np.sin(2 * np.pi * f * time) for f in (262, 330, 392)),
    }
    return {name: np.asarray(sound, np.float32) for name, sound in sounds.items()}


def conversation(folder: Path, count: int, seed: int = 0) -> np.ndarray:
    """Utterances of a corpus (the first wav files in a folder) at several levels, with pauses of 0.2 to 2 s."""
    rng, parts = np.random.default_rng(seed), []
    for path in sorted(folder.rglob("*.wav"))[:count]:
        parts += [rng.uniform(0.05, 1.0) * audio.load(path).samples, np.zeros(round(rng.uniform(0.2, 2.0) * RATE))]
    sound = np.concatenate(parts)
    return (sound + 1e-4 * rng.standard_normal(len(sound))).astype(np.float32)
