"""What an experiment's key `features` can name, and what the rest of duetto must know of it."""

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
class Kind:
    """One kind of frames. title: for progress. dim: values in a frame. step_seconds: from one frame to the next.
    statistics: values of a frame that are normalised each by its own mean and deviation: all of them, or 1 where
    they are one quantity (the samples of a sound). continuous: whether every stretch of a recording has its frames.
    local: whether a frame depends on the sound near it alone, so that the first frames of a long recording need no more
    than its beginning."""

    title: str
    extractor: Extractor
    dim: int
    step_seconds: float
    statistics: int
    continuous: bool = True
    local: bool = True


def _short_term(mode: str) -> Kind:
    n = len(short_term.NAMES)
    # pyaudioanalysis divides by the level of the whole recording.
    return Kind("short-term features", ShortTermConfig(mode=mode), n, FRAME_SECONDS, n, local=mode == "corrected")


_BANDS, _VOICE = spectrogram.BANDS, len(voice.NAMES)

FEATURES: dict[str, Kind] = {
    "corrected": _short_term("corrected"),
    "pyaudioanalysis": _short_term("pyaudioanalysis"),
    "voice": Kind("voice features", VoiceConfig(), _VOICE, FRAME_SECONDS, _VOICE, continuous=False, local=False),
    "spectrogram": Kind("spectrograms", SpectrogramConfig(), _BANDS, spectrogram.STEP_SECONDS, _BANDS),
    "waveform": Kind("waveforms", WaveformConfig(), waveform.WIDTH, spectrogram.STEP_SECONDS, 1),
}
"""Value of the key `features` → kind of frames."""


def kind(name: str) -> Kind:
    """The kind of a name; a `ConfigurationError` lists them where there is none such."""
    if name not in FEATURES:
        raise ConfigurationError(f"features {name!r} are not known; choose from {', '.join(FEATURES)}")
    return FEATURES[name]
