"""A pretrained speech encoder in a folder: ONNX Runtime computes its states, without PyTorch.

    encoder.onnx    log-mel (1, bands, frames) → states (1, ⌈frames / 2⌉, dim), one every 20 ms (`models.onnx.whisper`)
    encoder.json    its size, its SHA-256, where it came from

    folder ─ opened ─▶ SpeechEncoder;    samples ─ log_mel ─ SpeechEncoder ─▶ (frames, dim)

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

from ..errors import ModelError
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
"""Longest part of a recording that is encoded at once: Whisper was trained on it, and attention is quadratic in it."""

_FORMAT = "duetto-encoder-1"
_LARGEST = 1 << 30
_WIDEST, _MOST_LAYERS, _MOST_BANDS = 8192, 100, 512
_REPAIR = "build it again (duetto encoder build)"
_LONGEST_FRAMES = round(LONGEST_SECONDS / STEP_SECONDS)
_OVERFLOW = 1e30


@dataclass(frozen=True)
class EncoderSettings:
    """The content of encoder.json.

    Attributes:
        dim: Values of a state.
        layers: Transformer layers.
        bands: Mel bands of the input.
        sha256: Of encoder.onnx.
        about: Where it came from: JSON values.
    """

    dim: int
    layers: int
    bands: int
    sha256: str
    about: Mapping[str, Any]


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
    dim = value.integer("dim", low=1, high=_WIDEST)
    layers = value.integer("layers", low=1, high=_MOST_LAYERS)
    return EncoderSettings(dim, layers, value.integer("bands", low=1, high=_MOST_BANDS), sha256, value.record("about"))


def write(
    graph: bytes, folder: Path, *, dim: int, layers: int, bands: int, about: Mapping[str, Any]
) -> EncoderSettings:
    """Write the folder of an encoder; the same arguments give the same bytes.

    Args:
        graph: Content of encoder.onnx.
        folder: Created where it does not exist.
        dim: See `EncoderSettings`.
        layers: See `EncoderSettings`.
        bands: See `EncoderSettings`.
        about: See `EncoderSettings`.

    Returns:
        What encoder.json holds.
    """
    found = EncoderSettings(dim, layers, bands, hashlib.sha256(graph).hexdigest(), about)
    files.write_bytes(folder / GRAPH, graph)
    files.write_text(folder / DESCRIPTION, json.dumps({"format": _FORMAT, **asdict(found)}, indent=2) + "\n")
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
        inputs = {"mel": Value(FLOAT, (1, self.settings.bands, "time"))}
        longest = {"time": 2 * _LONGEST_FRAMES}
        shapes = graph_check.check(model, inputs, longest, graph_check.SPEECH_ENCODER_OPERATORS)
        expected = {"states": Value(FLOAT, (1, "frames", self.settings.dim))}
        if dict(model.outputs) != expected or shapes.get("states") != (1, _LONGEST_FRAMES, self.settings.dim):
            raise ValueError(f"its output is not of the {self.settings.dim} values that {DESCRIPTION} states")

    def __call__(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """Encode a recording; one of more than 30 s in parts of equal length.

        Args:
            samples: (n,), n ≥ 1, full scale ±1 or int16.
            sample_rate: 16 000 Hz.

        Returns:
            (⌈⌊n / 160⌋ / 2⌉, dim) float32; state t is centred on 20 ms · t.

        Raises:
            AudioError: As `log_mel.log_mel`.
            ModelError: The graph fails, or its output is not finite.
        """
        mel = log_mel(samples, sample_rate, self.settings.bands)
        frames = math.ceil(mel.shape[1] / 2)
        parts = math.ceil(frames / _LONGEST_FRAMES)
        edges = [*(2 * (frames * part // parts) for part in range(parts)), mel.shape[1]]
        states = np.concatenate([self._run({"mel": mel[None, :, a:b]})[0] for a, b in pairwise(edges)])
        if states.shape != (frames, self.settings.dim) or not (np.abs(states) < _OVERFLOW).all():
            raise ModelError(f"{self._path}: its output has shape {states.shape}, or not all are finite; {_REPAIR}")
        return states


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
