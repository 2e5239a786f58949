"""The features that an experiment can name (key `features`), and what other modules need to know about each."""

from __future__ import annotations

from dataclasses import dataclass

from ..audio.timing import FRAME_SECONDS
from ..errors import ConfigurationError
from . import short_term, spectrogram, voice, waveform
from .short_term import ShortTermConfig
from .spectrogram import SpectrogramConfig
from .store import Extractor
from .voice import VoiceConfig
from .waveform import WaveformConfig


@dataclass(frozen=True)
class FeatureSpec:
    """One entry of the registry.

    title: for progress bars. dim: values in a frame. step_seconds: from one frame to the next.
    statistics: values of a frame that are normalised each by its own mean and deviation: all of them, or 1 where
    they are one quantity (the samples of a waveform). continuous: whether every stretch of a recording has its frames.
    local: whether a frame depends only on the samples near it, so that the first frames of a long recording need no
    more than its beginning.
    """

    title: str
    extractor: Extractor
    dim: int
    step_seconds: float
    statistics: int
    continuous: bool = True
    local: bool = True


def _short_term(mode: str) -> FeatureSpec:
    n = len(short_term.NAMES)
    # pyaudioanalysis divides by the level of the whole recording.
    return FeatureSpec(
        "short-term features", ShortTermConfig(mode=mode), n, FRAME_SECONDS, n, local=mode == "corrected"
    )


_BANDS, _VOICE = spectrogram.BANDS, len(voice.NAMES)

FEATURES: dict[str, FeatureSpec] = {
    "corrected": _short_term("corrected"),
    "pyaudioanalysis": _short_term("pyaudioanalysis"),
    "voice": FeatureSpec("voice features", VoiceConfig(), _VOICE, FRAME_SECONDS, _VOICE, continuous=False, local=False),
    "spectrogram": FeatureSpec("spectrograms", SpectrogramConfig(), _BANDS, spectrogram.STEP_SECONDS, _BANDS),
    "waveform": FeatureSpec("waveforms", WaveformConfig(), waveform.WIDTH, spectrogram.STEP_SECONDS, 1),
}
"""Value of the key `features` → its specification."""


def feature_spec(name: str) -> FeatureSpec:
    """The specification of a name.

    Raises:
        ConfigurationError: The name is not known.
    """
    if name not in FEATURES:
        raise ConfigurationError(f"features {name!r} are not known; choose from {', '.join(FEATURES)}")
    return FEATURES[name]
