"""The features that an experiment can name (`Experiment.features`).

A new kind of features is one module with an `Extractor` and one line in `FEATURES`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..audio.timing import FRAME_SECONDS
from ..errors import ConfigurationError
from . import functionals, short_term, spectrogram, voice, waveform
from .extractor import Extractor
from .functionals import FunctionalsConfig
from .short_term import ShortTermConfig
from .spectrogram import STEP_SECONDS, SpectrogramConfig
from .voice import VoiceConfig
from .waveform import WaveformConfig


@dataclass(frozen=True)
class FeatureSpec:
    """One entry of the registry.

    Attributes:
        title: Name in progress bars.
        extractor: Computes the features.
        dim: Values of a frame.
        step_seconds: From one frame to the next; None where one frame describes the whole recording.
        continuous: Whether every part of a recording has its frames; false where some are left out.
        local: Whether a frame depends only on the samples near it, so that the first frames of a long recording need no
            more than its beginning.
        one_quantity: Whether all values of a frame are the same quantity (samples of a waveform), normalised by one
            mean and deviation.
    """

    title: str
    extractor: Extractor
    dim: int
    step_seconds: float | None
    continuous: bool = True
    local: bool = True
    one_quantity: bool = False

    @property
    def whole_recording(self) -> bool:
        """Whether a recording of any length has a single frame, computed from all of it."""
        return self.step_seconds is None

    @property
    def statistics(self) -> int:
        """Means, and deviations, of a normaliser: one for each value of a frame, or 1."""
        return 1 if self.one_quantity else self.dim


_SHORT_TERM, _VOICE = len(short_term.NAMES), len(voice.NAMES)

FEATURES: dict[str, FeatureSpec] = {
    "corrected": FeatureSpec("short-term features", ShortTermConfig("corrected"), _SHORT_TERM, FRAME_SECONDS),
    # Not local: this mode divides by the peak of the whole recording.
    "pyaudioanalysis": FeatureSpec(
        "short-term features", ShortTermConfig("pyaudioanalysis"), _SHORT_TERM, FRAME_SECONDS, local=False
    ),
    "voice": FeatureSpec("voice features", VoiceConfig(), _VOICE, FRAME_SECONDS, continuous=False, local=False),
    "spectrogram": FeatureSpec("spectrograms", SpectrogramConfig(), spectrogram.BANDS, STEP_SECONDS),
    "waveform": FeatureSpec("waveforms", WaveformConfig(), waveform.WIDTH, STEP_SECONDS, one_quantity=True),
    "functionals": FeatureSpec("functionals", FunctionalsConfig(), len(functionals.NAMES), None, local=False),
}
"""Value of `Experiment.features` → its specification."""


def feature_spec(name: str) -> FeatureSpec:
    """Look up features.

    Args:
        name: A key of `FEATURES`.

    Returns:
        Their specification.

    Raises:
        ConfigurationError: There are no such features.
    """
    if name not in FEATURES:
        raise ConfigurationError(f"features {name!r} are not known; choose from {', '.join(FEATURES)}")
    return FEATURES[name]
