"""Features of a pretrained speech encoder: its states, and one vector a recording.

    samples ─ SpeechEncoder ─▶ states (frames, dim), one every 20 ms
                 └ mean, deviation of the frames with speech, and features of the signal ─▶ one vector (`VECTORS`)

Early layers of Whisper carry how something is said; the last ones mostly what.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..audio.loudness import WINDOW_SECONDS, loudest
from ..audio.signal import INT16_FULL_SCALE, as_float
from ..audio.timing import SAMPLE_RATE
from . import contours, functionals, voice
from .extractor import Extractor, cache_key, pooled_names
from .speech_encoder import PACKAGED, opened, settings

_VERSION = 1
_LARGEST_HALF = 65504.0
_CONTOUR_SECONDS = 0.01
_BESIDE = (0.25, 0.5, 0.25)
"""Weights of the contours' frames 10 ms before, at, and 10 ms after a state."""


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The states of an encoder, rounded to float16, so that a corpus of them takes half the space and loses nothing.

    Attributes:
        folder: Of the encoder; the one that comes with duetto by default.
        half: See `extractor.stored_as_half`.
    """

    folder: Path = PACKAGED
    half: ClassVar[bool] = True

    def key(self) -> str:
        """Identify the computation.

        Returns:
            Canonical JSON, with the digest of the encoder, wherever its folder is.

        Raises:
            ModelError: The folder holds no encoder.
        """
        return _key("encoder", self.folder)

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Compute the states of a recording.

        Args:
            samples: (n,), n ≥ 1, full scale ±1 or int16.
            sample_rate: 16 000 Hz.

        Returns:
            (frames, dim) float32 whose values are those of float16, one every 20 ms.

        Raises:
            AudioError: As `log_mel.log_mel`.
            ModelError: The encoder is missing or damaged.
        """
        states = opened(self.folder)(samples, sample_rate)
        return np.clip(states, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16).astype(np.float32)


@dataclass(frozen=True, slots=True)
class EncoderVectorConfig:
    """One vector for each recording: what its kind takes of the states over the frames with speech, and of the signal.

    Attributes:
        kind: A key of `VECTORS`.
        folder: Of the encoder; the one that comes with duetto by default.
    """

    kind: str
    folder: Path = PACKAGED

    def key(self) -> str:
        """Identify the computation.

        Returns:
            Canonical JSON, with the digest of the encoder and the keys of the other features.

        Raises:
            ModelError: The folder holds no encoder.
        """
        others = {name: _OTHERS[name].config.key() for name in VECTORS[self.kind] if name in _OTHERS}
        if self.kind in LEVELLED:
            others["level"] = str(LEVEL)
        return _key(f"encoder-{self.kind}", self.folder, **others)

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Compute the vector of a recording.

        Args:
            samples: (n,), n ≥ 1, full scale ±1 or int16.
            sample_rate: 16 000 Hz.

        Returns:
            (1, `vector_size`) float32: the parts of `VECTORS`, in their order.

        Raises:
            AudioError: As `log_mel.log_mel`.
            ModelError: The encoder is missing or damaged.
        """
        encoder = opened(self.folder)
        sound = at_level(samples) if self.kind in LEVELLED else samples
        states, speech = encoder(sound, sample_rate), contours.speech_weights(samples, sample_rate)
        weights = speech_weights(speech, len(states), encoder.settings.first_seconds)
        means, deviations = statistics(states, weights)
        parts = {"means": means, "deviations": deviations}
        for name in VECTORS[self.kind]:
            if name in _OTHERS:
                parts[name] = _OTHERS[name].extract(samples, sample_rate)
        return np.concatenate([parts[name] for name in VECTORS[self.kind]])[None]


@dataclass(frozen=True)
class _Other:
    """Features of the signal itself that complete a vector. names: of its values; columns: of a frame."""

    config: Extractor
    columns: tuple[str, ...]
    pooled: bool

    @property
    def names(self) -> tuple[str, ...]:
        return pooled_names(self.columns) if self.pooled else self.columns

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """(values,) float32: the only frame, or mean and deviation over all."""
        frames = self.config.extract(samples, sample_rate)
        return np.concatenate(statistics(frames, np.ones(len(frames)))) if self.pooled else frames[0]


_OTHERS = {
    "functionals": _Other(functionals.FunctionalsConfig(), functionals.NAMES, pooled=False),
    "voice": _Other(voice.VoiceConfig(), voice.NAMES, pooled=True),
}

VECTORS: dict[str, tuple[str, ...]] = {
    "means": ("means",),
    "statistics": ("means", "deviations"),
    "functionals": ("means", "deviations", "functionals"),
    "voice": ("means", "voice"),
}
"""Kind of vector → its parts: means and standard deviations of the states, the functionals of the contours
(`features.functionals`), mean and deviation of the voice features (`features.voice`)."""


LEVELLED = ("voice",)
"""Kinds of which the encoder reads every recording at the same level: Whisper's states follow the level, which within a
corpus says something, and says nothing of a voice on another microphone."""

LEVEL = 0.2
"""Root mean square of the loudest 20 ms of such a recording, of full scale."""

_MOST_GAIN = 500.0
_BLOCK = 1 << 12
"""Frames that are converted to float64 at once, 82 s of states: those of ten minutes would take 120 MB each time."""


def at_level(samples: np.ndarray) -> np.ndarray:
    """Amplify or attenuate a recording so that its loudest 20 ms have `LEVEL`, or its peak is full scale.

    Args:
        samples: (n,), n ≥ 1, full scale ±1 or int16, at 16 kHz.

    Returns:
        (n,) float32, amplified by 54 dB at most.

    Raises:
        AudioError: The samples are not valid (`audio.signal.validate_samples`).
    """
    sound = as_float(samples)
    window = int(WINDOW_SECONDS * SAMPLE_RATE)
    deviation = math.sqrt(loudest(sound)) / window / INT16_FULL_SCALE
    peak = float(np.abs(sound).max())
    return (sound * min(_MOST_GAIN, LEVEL / max(deviation, 1e-9), 1 / max(peak, 1e-9))).astype(np.float32)


def vector_names(kind: str, dim: int) -> tuple[str, ...]:
    """Name the values of a vector.

    Args:
        kind: A key of `VECTORS`.
        dim: Values of a state.

    Returns:
        `state_0_mean`, …, `state_0_std`, …, and the names of other features.
    """
    means, deviations = np.split(np.array(pooled_names(state_names(dim))), 2)
    own = {"means": tuple(means.tolist()), "deviations": tuple(deviations.tolist())}
    return tuple(chain.from_iterable(own[part] if part in own else _OTHERS[part].names for part in VECTORS[kind]))


def state_names(dim: int) -> tuple[str, ...]:
    """Name the values of a state.

    Args:
        dim: Their number.

    Returns:
        `state_0`, `state_1`, …
    """
    return tuple(f"state_{number}" for number in range(dim))


def statistics(states: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the weighted mean and standard deviation of states.

    Args:
        states: (frames, dim).
        weights: (frames,), at least 0, not all 0.

    Returns:
        (dim,) means and (dim,) deviations, float32; sums are in float64.
    """
    share = weights / weights.sum()
    blocks = [slice(at, at + _BLOCK) for at in range(0, len(states), _BLOCK)]
    mean = sum(share[block] @ states[block].astype(np.float64) for block in blocks)
    variance = sum(share[block] @ np.square(states[block].astype(np.float64) - mean) for block in blocks)
    mean, deviation = np.asarray(mean), np.sqrt(variance)
    return mean.astype(np.float32), deviation.astype(np.float32)


def speech_weights(speech: np.ndarray, frames: int, first_seconds: float = 0.0) -> np.ndarray:
    """Weigh states by how surely there is speech around them, so that pauses count little.

    Args:
        speech: `contours.Contours.speech`, whose frame t is centred on 10 ms · t + 20 ms.
        frames: Number of states, one every 20 ms.
        first_seconds: Time that the first one is centred on, to the nearest 10 ms.

    Returns:
        (frames,) float64, not all 0.
    """
    centres = 2 * np.arange(frames) - 2 + round(first_seconds / _CONTOUR_SECONDS)
    near = [speech[np.clip(centres + shift, 0, len(speech) - 1)] for shift in (-1, 0, 1)]
    return np.array(_BESIDE) @ near


def _key(name: str, folder: Path, **more: str) -> str:
    return cache_key(name, _VERSION, **settings(folder).key(), **more)
