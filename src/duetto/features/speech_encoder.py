"""A pretrained speech encoder in a folder: ONNX Runtime computes its states, without PyTorch.

    encoder.onnx    log-mel (1, bands, frames) → states (1, ⌈frames / 2⌉, dim), one every 20 ms (`models.onnx.whisper`),
                    or samples (1, n) → states (1, ⌊(n − window) / 320⌋ + 1, dim) (`models.onnx.wav2vec2`)
    encoder.json    its input, its size, its SHA-256, where it came from

    folder ─ opened ─▶ SpeechEncoder;    samples ─ log_mel | normalised ─ SpeechEncoder ─▶ (frames, dim)

`duetto encoder build` writes such a folder. The one that comes with duetto is `PACKAGED`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..audio.signal import as_float
from ..audio.timing import SAMPLE_RATE
from ..errors import AudioError, ModelError
from ..utils import files, graph_check, onnx_file, onnx_runtime
from ..utils.onnx_file import FLOAT, Value
from ..utils.reading import read_bytes, read_json
from .log_mel import log_mel

PACKAGED = Path(__file__).parent / "whisper_base"
"""Folder of the encoder that comes with duetto: the first three layers of Whisper base."""

PACKAGED_DIM = 512
"""Values of a state of that encoder."""

GRAPH, DESCRIPTION = "encoder.onnx", "encoder.json"
STEP_SECONDS = 0.02
LONGEST_SECONDS = 30.0
"""Longest part of a recording that Whisper encodes at once: it was trained on it, and attention is quadratic in it."""

LONGEST_SAMPLES_SECONDS = 15.0
"""The same for encoders of samples, most of which were trained on parts of up to 15.6 s."""

STEP_SAMPLES = 320
"""Samples from one state to the next."""

_FORMAT = "duetto-encoder-1"
_LARGEST = 1 << 30
_WIDEST, _MOST_LAYERS, _MOST_BANDS = 8192, 100, 512
_REPAIR = "build it again (duetto encoder build)"
LONGEST_FRAMES = round(LONGEST_SAMPLES_SECONDS / STEP_SECONDS)
"""States of the longest part of a recording, of an encoder of samples."""

_LONGEST_MEL_FRAMES = round(LONGEST_SECONDS / STEP_SECONDS)
_WIDEST_WINDOW = 1 << 16
_VARIANCE_FLOOR = 1e-7
_OVERFLOW = 1e30


@dataclass(frozen=True)
class SamplesInput:
    """How samples enter an encoder that reads them instead of a log-mel spectrogram.

    Attributes:
        window: Samples that a state is computed from, before attention.
        normalise: Whether a recording gets mean 0 and variance 1 first (`do_normalize` in Hugging Face's
            preprocessor_config.json).
    """

    window: int
    normalise: bool


@dataclass(frozen=True)
class EncoderSettings:
    """The content of encoder.json.

    Attributes:
        dim: Values of a state.
        layers: Transformer layers.
        bands: Mel bands of the input; 0 where it is samples.
        sha256: Of encoder.onnx.
        about: Where it came from: JSON values.
        samples: How samples enter; None where the input is a log-mel spectrogram.
    """

    dim: int
    layers: int
    bands: int
    sha256: str
    about: Mapping[str, Any]
    samples: SamplesInput | None = None

    @property
    def first_seconds(self) -> float:
        """Time that the first state is centred on, in seconds; the others follow every 20 ms."""
        return self.samples.window / 2 / SAMPLE_RATE if self.samples else 0.0

    def key(self) -> dict[str, Any]:
        """Identify what the encoder computes.

        Returns:
            JSON values: the digest of its graph, and what happens to samples before it.
        """
        return {"sha256": self.sha256} | ({"samples": asdict(self.samples)} if self.samples else {})


def settings(folder: Path) -> EncoderSettings:
    """Read and validate encoder.json.

    Args:
        folder: Of the encoder.

    Returns:
        Its content.

    Raises:
        ModelError: The file is missing, damaged or of another version.
    """
    path = folder / DESCRIPTION
    if not path.exists():
        raise ModelError(f"{folder}: no {DESCRIPTION} in it; give a folder that `duetto encoder build` wrote")
    value = read_json(path, error=ModelError, repair=_REPAIR)
    if value.get("format") != _FORMAT:
        raise ModelError(f"{path}: not of format {_FORMAT}; {_REPAIR}")
    sha256 = value.text("sha256")
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise value.wrong("'sha256' is not a digest of 64 hexadecimal digits")
    samples = None
    if "samples" in value:
        how = value.record("samples")
        samples = SamplesInput(how.integer("window", low=1, high=_WIDEST_WINDOW), how.boolean("normalise"))
    bands = value.integer("bands", low=1, high=_MOST_BANDS) if samples is None else 0
    dim = value.integer("dim", low=1, high=_WIDEST)
    layers = value.integer("layers", low=1, high=_MOST_LAYERS)
    return EncoderSettings(dim, layers, bands, sha256, value.record("about"), samples)


def write(
    graph: bytes,
    folder: Path,
    *,
    dim: int,
    layers: int,
    about: Mapping[str, Any],
    bands: int = 0,
    samples: SamplesInput | None = None,
) -> EncoderSettings:
    """Write the folder of an encoder; the same arguments give the same bytes.

    Args:
        graph: Content of encoder.onnx.
        folder: Created where it does not exist.
        dim: See `EncoderSettings`.
        layers: See `EncoderSettings`.
        about: See `EncoderSettings`.
        bands: See `EncoderSettings`.
        samples: See `EncoderSettings`.

    Returns:
        What encoder.json holds.
    """
    found = EncoderSettings(dim, layers, bands, hashlib.sha256(graph).hexdigest(), about, samples)
    written = asdict(found)
    del written["bands" if samples else "samples"]
    files.write_bytes(folder / GRAPH, graph)
    files.write_text(folder / DESCRIPTION, json.dumps({"format": _FORMAT, **written}, indent=2) + "\n")
    return found


def copy(source: Path, folder: Path) -> None:
    """Copy an encoder, so that another folder holds all that it needs.

    Args:
        source: Folder of the encoder.
        folder: Created where it does not exist.
    """
    for name in (GRAPH, DESCRIPTION):
        files.copy(source / name, folder / name)


class SpeechEncoder:
    """An encoder, its file checked by digest and by `graph_check`. Safe to call from several threads.

    Args:
        folder: Of the encoder.
        threads: Of ONNX Runtime.

    Attributes:
        settings: What its folder says of it.

    Raises:
        ModelError: A file is missing or damaged, or they are not of one encoder.
    """

    settings: EncoderSettings

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.settings, path = settings(folder), folder / GRAPH
        content = read_bytes(path, error=ModelError, limit=_LARGEST, repair=_REPAIR)
        if hashlib.sha256(content).hexdigest() != self.settings.sha256:
            raise ModelError(f"{path}: its SHA-256 is not the one in {DESCRIPTION}: it is damaged; {_REPAIR}")
        try:
            self._check(onnx_file.read(content))
        except ValueError as error:
            raise ModelError(f"{path}: {error}; {_REPAIR}") from error
        self._path = path
        self._run = onnx_runtime.load(content, str(path), "states", threads=threads, repair=_REPAIR)

    def _check(self, model: onnx_file.OnnxModel) -> None:
        how = self.settings.samples
        if how is None:
            name, sizes, longest, frames = "mel", (1, self.settings.bands, "time"), 2 * _LONGEST_MEL_FRAMES, None
        else:
            name, sizes, frames = "samples", (1, "time"), LONGEST_FRAMES
            longest = how.window + STEP_SAMPLES * LONGEST_FRAMES - 1
        inputs = {name: Value(FLOAT, sizes)}
        operators, limit = graph_check.SPEECH_ENCODER_OPERATORS, graph_check.MOST_ELEMENTS_OF_ENCODERS
        shapes = graph_check.check(model, inputs, {"time": longest}, operators, limit)
        expected = {"states": Value(FLOAT, (1, "frames", self.settings.dim))}
        most = (1, frames or _LONGEST_MEL_FRAMES, self.settings.dim)
        if dict(model.outputs) != expected or shapes.get("states") != most:
            raise ValueError(f"its output is not of the {self.settings.dim} values that {DESCRIPTION} states")

    def __call__(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Encode a recording; a long one in parts of equal length, of at most 30 s of Whisper, else at most 15 s.

        Args:
            samples: (n,), n ≥ 1, full scale ±1 or int16.
            sample_rate: 16 000 Hz.

        Returns:
            (frames, dim) float32; state t is centred on `settings.first_seconds` + 20 ms · t. Whisper gives
            ⌈⌊n / 160⌋ / 2⌉ frames, an encoder of samples ⌊(n − window) / 320⌋ + 1, at least one: a recording that is
            shorter than the window is filled with zeros.

        Raises:
            AudioError: Another rate, or samples that `audio.signal.validate_samples` refuses.
            ModelError: The graph fails, or its output is not finite.
        """
        how = self.settings.samples
        if how is None:
            mel = log_mel(samples, sample_rate, self.settings.bands)
            frames = math.ceil(mel.shape[1] / 2)
            parts = [{"mel": mel[None, :, 2 * a : 2 * b]} for a, b in _parts(frames, _LONGEST_MEL_FRAMES)]
        else:
            signal = _normalised(samples, sample_rate, how)
            frames = (len(signal) - how.window) // STEP_SAMPLES + 1
            # The last part includes the samples beyond its last window: some models normalise along all of them.
            ends = {b: STEP_SAMPLES * (b - 1) + how.window for _, b in _parts(frames, LONGEST_FRAMES)}
            ends[frames] = len(signal)
            parts = [{"samples": signal[None, STEP_SAMPLES * a : ends[b]]} for a, b in _parts(frames, LONGEST_FRAMES)]
        states = np.concatenate([self._run(part)[0] for part in parts])
        if states.shape != (frames, self.settings.dim) or not (np.abs(states) < _OVERFLOW).all():
            raise ModelError(f"{self._path}: its output has shape {states.shape}, or not all are finite; {_REPAIR}")
        return states


def _parts(frames: int, longest: int) -> list[tuple[int, int]]:
    """First and last frame of parts of equal length."""
    parts = math.ceil(frames / longest)
    return list(pairwise(frames * part // parts for part in range(parts + 1)))


def _normalised(samples: np.ndarray, sample_rate: int, how: SamplesInput) -> np.ndarray:
    """The samples as an encoder reads them: (n,) float32, at least one window."""
    if sample_rate != SAMPLE_RATE:
        raise AudioError(
            f"the encoder needs {SAMPLE_RATE} samples a second, not {sample_rate}; resample with `audio.load`"
        )
    signal = as_float(samples).astype(np.float64)
    if how.normalise:
        signal = (signal - signal.mean()) / np.sqrt(signal.var() + _VARIANCE_FLOOR)
    return np.pad(signal, (0, max(0, how.window - len(signal)))).astype(np.float32)


def opened(folder: Path) -> SpeechEncoder:
    """Open an encoder, once in a process for as long as its folder does not change.

    Args:
        folder: Of the encoder.

    Returns:
        The encoder, with one thread.

    Raises:
        ModelError: As `SpeechEncoder`.
    """
    return _opened(folder, settings(folder).sha256)


@lru_cache(maxsize=2)
def _opened(folder: Path, sha256: str) -> SpeechEncoder:
    return SpeechEncoder(folder)
