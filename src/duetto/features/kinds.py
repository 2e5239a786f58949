"""What an experiment's key `features` can name, and what the rest of duetto must know of it."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigurationError
from ..frames import FRAME_SECONDS
from . import short_term, voice
from .short_term import ShortTermConfig
from .store import Extractor
from .voice import VoiceConfig


@dataclass(frozen=True)
class Kind:
    """One kind of frames. title: for progress. dim: values in a frame. step_seconds: from one frame to the next."""

    title: str
    extractor: Extractor
    dim: int
    step_seconds: float


def _short_term(mode: str) -> Kind:
    return Kind("short-term features", ShortTermConfig(mode=mode), len(short_term.NAMES), FRAME_SECONDS)


FEATURES: dict[str, Kind] = {
    "corrected": _short_term("corrected"),
    "pyaudioanalysis": _short_term("pyaudioanalysis"),
    "voice": Kind("voice features", VoiceConfig(), len(voice.NAMES), FRAME_SECONDS),
}
"""Value of the key `features` → kind of frames."""


def kind(name: str) -> Kind:
    """The kind of a name; a `ConfigurationError` lists them where there is none such."""
    if name not in FEATURES:
        raise ConfigurationError(f"features {name!r} are not known; choose from {', '.join(FEATURES)}")
    return FEATURES[name]
