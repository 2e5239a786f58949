"""Weights of a Whisper encoder, read from a model folder of CTranslate2 or Hugging Face.

    FOLDER/model.bin | model.safetensors, config.json ─ read ─▶ WhisperEncoder(tensors, heads)

Files are parsed, never executed: CTranslate2's format is a list of named arrays, safetensors is one by design.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import ModelError
from ..models.onnx.whisper import positions
from ..utils.reading import open_regular, read_json
from . import checkpoint

CTRANSLATE2, SAFETENSORS = "model.bin", "model.safetensors"

_TYPES: dict[int, np.dtype[Any]] = {
    number: np.dtype(name) for number, name in enumerate(("<f4", "i1", "<i2", "<i4", "<f2"))
}
"""CTranslate2's numbers of element types."""

_OLDEST_FORMAT, _NEWEST_FORMAT = 4, 6
_MOST_HEADS = 1024
_POSITION_TOLERANCE = 2e-3
"""Positions are stored as float16 in most models, which rounds them by 2⁻¹¹ at most."""

_NAMES = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
_PARTS = {"gamma": "weight", "beta": "bias", "weight": "weight", "bias": "bias"}
_POSITIONS = "embed_positions.weight"


@dataclass(frozen=True)
class WhisperEncoder:
    """The tensors of an encoder.

    Attributes:
        tensors: float32 arrays under the names of Hugging Face's `WhisperEncoder` (`layers.0.fc1.weight`), without the
            positions, which `models.onnx.whisper` computes.
        heads: Attention heads of a layer.
        positions: (frames, dim) as the model stores them, mostly rounded to float16; None where it does not.
    """

    tensors: dict[str, np.ndarray]
    heads: int
    positions: np.ndarray | None = None

    @property
    def layers(self) -> int:
        """Number of layers."""
        return sum(name.endswith(".fc2.bias") for name in self.tensors)

    @property
    def dim(self) -> int:
        """Values of a state."""
        return len(self.tensors["conv2.bias"])

    @property
    def bands(self) -> int:
        """Mel bands of the input."""
        return self.tensors["conv1.weight"].shape[1]


def weights_file(folder: Path) -> Path:
    """Find the file of the weights in the folder of a Whisper model.

    Args:
        folder: Of the model.

    Returns:
        Its `model.bin` (CTranslate2) or `model.safetensors` (Hugging Face).

    Raises:
        ModelError: There is neither.
    """
    for name in (CTRANSLATE2, SAFETENSORS):
        if (folder / name).is_file():
            return folder / name
    raise ModelError(
        f"{folder}: neither {CTRANSLATE2} (CTranslate2) nor {SAFETENSORS} (Hugging Face, in one file) in it; "
        "give the folder of a Whisper model"
    )


def read(folder: Path) -> WhisperEncoder:
    """Read the encoder of a Whisper model.

    Args:
        folder: Holds `model.bin` (CTranslate2), or `model.safetensors` and `config.json` (Hugging Face).

    Returns:
        Its tensors as float32.

    Raises:
        ModelError: There is neither, it is damaged, its weights are integers, or it holds no Whisper encoder.
    """
    path = weights_file(folder)
    found = _from_ctranslate2(path) if path.name == CTRANSLATE2 else _from_hugging_face(path)
    _check_positions(found.positions, path)
    problem = next(_problems(found), None)
    if problem is not None:
        raise ModelError(f"{path}: holds no Whisper encoder ({problem}); give the folder of a Whisper model")
    return found


def _from_hugging_face(path: Path) -> WhisperEncoder:
    found = checkpoint.tensors(path)
    tensors = {}
    for name, tensor in found.items():
        before, encoder, after = name.rpartition("encoder.")
        if encoder and before in ("", "model."):
            tensors[after] = tensor.float().numpy()
    config = read_json(path.parent / "config.json", error=ModelError, repair="give the folder of a Whisper model")
    heads = config.integer("encoder_attention_heads", low=1, high=_MOST_HEADS)
    return WhisperEncoder(tensors, heads, tensors.pop(_POSITIONS, None))


def _from_ctranslate2(path: Path) -> WhisperEncoder:
    with open_regular(path, error=ModelError) as file:
        try:
            found = _variables(file)
        except (struct.error, ValueError) as error:
            raise ModelError(
                f"{path}: can't be read as a CTranslate2 model ({error}); copy or convert it again"
            ) from error
    heads = found.pop("encoder/num_heads", np.array(0))
    tensors: dict[str, np.ndarray] = {}
    for name, value in found.items():
        renamed = dict(_renamed(name, value))
        if renamed and value.dtype.kind != "f":
            raise ModelError(f"{path}: its weights are {value.dtype}; convert the model as float16 or float32")
        tensors |= {key: part.astype(np.float32) for key, part in renamed.items()}
    return WhisperEncoder(tensors, int(heads.reshape(-1)[0]) if heads.size else 0, tensors.pop(_POSITIONS, None))


def _renamed(name: str, value: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """A variable of CTranslate2's encoder under Hugging Face's names; queries, keys and values are one there."""
    if found := re.fullmatch(r"encoder/(conv[12])/(weight|bias)", name):
        yield f"{found[1]}.{found[2]}", value
    elif found := re.fullmatch(r"encoder/layer_norm/(gamma|beta)", name):
        yield f"layer_norm.{_PARTS[found[1]]}", value
    elif name == "encoder/position_encodings/encodings":
        yield _POSITIONS, value
    elif found := re.fullmatch(r"encoder/layer_(\d+)/self_attention/linear_0/(weight|bias)", name):
        for part, third in zip("qkv", np.array_split(value, 3), strict=True):
            yield f"layers.{found[1]}.self_attn.{part}_proj.{found[2]}", third
    elif found := re.fullmatch(rf"encoder/layer_(\d+)/({'|'.join(_NAMES)})/({'|'.join(_PARTS)})", name):
        yield f"layers.{found[1]}.{_NAMES[found[2]]}.{_PARTS[found[3]]}", value


def _variables(file: BinaryIO) -> dict[str, np.ndarray]:
    """All variables of a CTranslate2 model of format 4 and newer.

    version, name of the kind of model, revision, count; of each variable its name, number of axes, sizes, element type,
    bytes, content. Numbers are little-endian; a text is its length, then bytes that end in 0.
    """

    def numbers(form: str) -> tuple[int, ...]:
        return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))

    def text() -> str:
        return file.read(numbers("H")[0]).rstrip(b"\0").decode()

    version = numbers("I")[0]
    if not _OLDEST_FORMAT <= version <= _NEWEST_FORMAT:
        raise ValueError(f"format {version}; {_OLDEST_FORMAT} to {_NEWEST_FORMAT} are known")
    if (kind := text()) != "WhisperSpec":
        raise ValueError(f"a model of kind {kind[:40]!r}, not WhisperSpec")
    _, count = numbers("II")
    found = {}
    for _ in range(count):
        name, axes = text(), numbers("B")[0]
        shape, (element,), (size,) = numbers("I" * axes), numbers("B"), numbers("I")
        content = file.read(size)
        if len(content) < size:
            raise ValueError("it ends too early")
        if element not in _TYPES:
            raise ValueError(f"elements of type {element}")
        found[name] = np.frombuffer(content, _TYPES[element]).reshape(shape)
    return found


def _check_positions(stored: np.ndarray | None, path: Path) -> None:
    """Other positions than Whisper's sinusoids would be ignored silently."""
    if stored is None or (stored.ndim == 2 and _is_sinusoidal(stored)):
        return
    raise ModelError(
        f"{path}: its positions are not Whisper's sinusoids, so it is no Whisper encoder; give another model"
    )


def _is_sinusoidal(stored: np.ndarray) -> bool:
    even = stored.shape[1] % 2 == 0 and stored.shape[1] >= 4
    return even and bool(np.abs(stored - positions(*stored.shape)).max() <= _POSITION_TOLERANCE)


def _problems(encoder: WhisperEncoder) -> Iterator[str]:
    """Tensors that are missing or of a wrong shape."""
    tensors = encoder.tensors
    for name, axes in (("conv1.weight", 3), ("conv2.bias", 1), ("layers.0.fc1.bias", 1)):
        if name not in tensors or tensors[name].ndim != axes:
            yield f"{name} is missing, or has not {axes} axes"
            return
    for name, shape in _shapes(encoder):
        if name not in tensors and name.endswith("k_proj.bias"):  # Whisper has none; CTranslate2 stores zeros
            continue
        if name not in tensors:
            yield f"{name} is missing"
        elif tensors[name].shape != shape:
            yield f"{name} has shape {tensors[name].shape}, not {shape}"
    if encoder.heads < 1 or encoder.dim % encoder.heads or encoder.dim < 4 or encoder.dim % 2:
        yield f"{encoder.heads} heads for {encoder.dim} values"


def _shapes(encoder: WhisperEncoder) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors of an encoder of these sizes."""
    dim, inner = encoder.dim, len(encoder.tensors["layers.0.fc1.bias"])
    sizes: Mapping[str, tuple[int, ...]] = {"conv1": (dim, encoder.bands, 3), "conv2": (dim, dim, 3)}
    linear = {f"self_attn.{part}_proj": (dim, dim) for part in ("q", "k", "v", "out")}
    linear |= {"fc1": (inner, dim), "fc2": (dim, inner), "self_attn_layer_norm": (dim,), "final_layer_norm": (dim,)}
    sizes |= {f"layers.{i}.{name}": shape for i in range(encoder.layers) for name, shape in linear.items()}
    for name, shape in sizes.items():
        yield f"{name}.weight", shape
        yield f"{name}.bias", shape[:1]
