"""The features that an experiment can name (`Experiment.features`).

A new kind of features is one module with an `Extractor` and one line in `FEATURES`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..audio.timing import FRAME_SECONDS
from ..errors import ConfigurationError
from . import functionals, short_term, spectrogram, speech_encoder, voice, waveform
from .extractor import Extractor
from .functionals import FunctionalsConfig
from .short_term import ShortTermConfig
from .spectrogram import STEP_SECONDS, SpectrogramConfig
from .speech_only import SpeechOnly
from .voice import VoiceConfig
from .waveform import WaveformConfig
from .whisper import VECTORS, EncoderConfig, EncoderVectorConfig, state_names, vector_names


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
        names: Of the values of a frame; none where they have only a number.
    """

    title: str
    extractor: Extractor
    dim: int
    step_seconds: float | None
    continuous: bool = True
    local: bool = True
    one_quantity: bool = False
    names: tuple[str, ...] = ()

    @property
    def whole_recording(self) -> bool:
        """Whether a recording of any length has a single frame, computed from all of it."""
        return self.step_seconds is None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the values of a frame: `names`, or `value_0`, `value_1`, …"""
        return self.names or tuple(f"value_{number}" for number in range(self.dim))

    @property
    def statistics(self) -> int:
        """Means, and deviations, of a normaliser: one for each value of a frame, or 1."""
        return 1 if self.one_quantity else self.dim


def _of_encoder(kind: str, folder: Path, dim: int) -> FeatureSpec:
    """Features of a speech encoder whose states have `dim` values: they themselves, or one vector a recording."""
    if kind == "encoder":
        step, names = speech_encoder.STEP_SECONDS, state_names(dim)
        return FeatureSpec("encoder states", EncoderConfig(folder), dim, step, local=False, names=names)
    vector = kind.removeprefix("encoder-")
    extractor, names = EncoderVectorConfig(vector, folder), vector_names(vector, dim)
    return FeatureSpec(f"encoder {vector}", extractor, len(names), None, local=False, names=names)


ENCODER_KINDS = ("encoder", *(f"encoder-{kind}" for kind in VECTORS))
"""Kinds of features that a user's own encoder can compute: `KIND:FOLDER` names them."""

_SHORT_TERM, _VOICE = len(short_term.NAMES), len(voice.NAMES)

FEATURES: dict[str, FeatureSpec] = {
    "corrected": FeatureSpec(
        "short-term features", ShortTermConfig("corrected"), _SHORT_TERM, FRAME_SECONDS, names=short_term.NAMES
    ),
    # Not local: this mode divides by the peak of the whole recording.
    "pyaudioanalysis": FeatureSpec(
        "short-term features",
        ShortTermConfig("pyaudioanalysis"),
        _SHORT_TERM,
        FRAME_SECONDS,
        local=False,
        names=short_term.NAMES,
    ),
    "voice": FeatureSpec(
        "voice features", VoiceConfig(), _VOICE, FRAME_SECONDS, continuous=False, local=False, names=voice.NAMES
    ),
    "spectrogram": FeatureSpec("spectrograms", SpectrogramConfig(), spectrogram.BANDS, STEP_SECONDS),
    "waveform": FeatureSpec("waveforms", WaveformConfig(), waveform.WIDTH, STEP_SECONDS, one_quantity=True),
    "functionals": FeatureSpec(
        "functionals", FunctionalsConfig(), len(functionals.NAMES), None, local=False, names=functionals.NAMES
    ),
    **{
        kind.replace("encoder", "whisper"): _of_encoder(kind, speech_encoder.PACKAGED, speech_encoder.PACKAGED_DIM)
        for kind in ENCODER_KINDS
    },
}
"""Value of `Experiment.features` → its specification."""


def feature_spec(name: str, *, speech_only: bool = False) -> FeatureSpec:
    """Look up features.

    Args:
        name: A key of `FEATURES`; or `KIND:FOLDER`, where KIND is one of `ENCODER_KINDS` and FOLDER holds an encoder
            (`duetto encoder build`).
        speech_only: Extract them without the pauses of a recording (`speech_only.SpeechOnly`). They are not local then:
            how much of a recording its first frames need depends on its pauses.

    Returns:
        Their specification.

    Raises:
        ConfigurationError: There are no such features.
        ModelError: The folder holds no encoder.
    """
    if (folder := encoder_folder(name)) is not None:
        spec = _of_encoder(name.partition(":")[0], folder, speech_encoder.settings(folder).dim)
    elif name in FEATURES:
        spec = FEATURES[name]
    else:
        raise ConfigurationError(f"features {name!r} are not known; choose from {choices()}")
    return replace(spec, extractor=SpeechOnly(spec.extractor), local=False) if speech_only else spec


def is_known(name: str) -> bool:
    """Whether features have a valid name; the folder of an encoder need not exist.

    Args:
        name: See `feature_spec`.

    Returns:
        Whether `feature_spec` can look it up.
    """
    return name in FEATURES or encoder_folder(name) is not None


def is_whole_recording(name: str) -> bool:
    """Whether features have one frame for a recording of any length; the folder of an encoder is not read.

    Args:
        name: Of features with a valid name.

    Returns:
        `FeatureSpec.whole_recording`.
    """
    return FEATURES[name].whole_recording if name in FEATURES else name.startswith("encoder-")


def choices() -> str:
    """List the valid names of features.

    Returns:
        Text for an error or a help page.
    """
    return f"{', '.join(FEATURES)}, {', '.join(f'{kind}:FOLDER' for kind in ENCODER_KINDS)}"


def encoder_folder(name: str) -> Path | None:
    """The folder of the encoder that features name.

    Args:
        name: See `feature_spec`.

    Returns:
        The folder; None for features without an encoder of the user's own.
    """
    kind, _, folder = name.partition(":")
    return Path(folder) if kind in ENCODER_KINDS and folder else None


def with_encoder(name: str, folder: str) -> str:
    """Name the same features of an encoder in another folder.

    Args:
        name: Features with an encoder of the user's own.
        folder: The other folder.

    Returns:
        The new name.
    """
    return f"{name.partition(':')[0]}:{folder}"
