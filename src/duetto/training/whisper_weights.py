"""Weights of a Whisper encoder, read from a model folder of CTranslate2 or Hugging Face.

    FOLDER/model.bin | model.safetensors, config.json ─ read ─▶ WhisperEncoder(tensors, heads)

Files are parsed, never executed: CTranslate2's format is a list of named arrays, safetensors is one by design.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import ModelError
from ..utils.reading import open_regular, read_json
from . import checkpoint

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
"""CTranslate2's numbers of element types."""

_NEWEST_FORMAT = 6
_FLOATING = (np.float32, np.float16)

_NAMES = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
_PARTS = {"gamma": "weight", "beta": "bias", "weight": "weight", "bias": "bias"}


@dataclass(frozen=True)
class WhisperEncoder:
    """The tensors of an encoder.

    Attributes:
        tensors: float32 arrays under the names of Hugging Face's `WhisperEncoder` (`layers.0.fc1.weight`).
        heads: Attention heads of a layer.
    """

    tensors: dict[str, np.ndarray]
    heads: int


def read(folder: Path) -> WhisperEncoder:
    """Read the encoder of a Whisper model.

    Args:
        folder: Holds `model.bin` (CTranslate2), or `model.safetensors` and `config.json` (Hugging Face).

    Returns:
        Its tensors as float32.

    Raises:
        ModelError: There is neither, it is damaged, its weights are 8-bit integers, or it holds no Whisper encoder.
    """
    if (folder / "model.bin").is_file():
        return _from_ctranslate2(folder / "model.bin")
    if (folder / "model.safetensors").is_file():
        return _from_hugging_face(folder)
    raise ModelError(f"{folder}: neither model.bin (CTranslate2) nor model.safetensors in it; give a Whisper folder")


def _from_hugging_face(folder: Path) -> WhisperEncoder:
    prefix = "model.encoder."
    found = checkpoint.tensors(folder / "model.safetensors")
    tensors = {name[len(prefix) :]: t.float().numpy() for name, t in found.items() if name.startswith(prefix)}
    config = read_json(folder / "config.json", error=ModelError, repair="give the folder of a Whisper model")
    return _complete(WhisperEncoder(tensors, config.integer("encoder_attention_heads", low=1)), folder)


def _from_ctranslate2(path: Path) -> WhisperEncoder:
    with open_regular(path, error=ModelError) as file:
        try:
            found = _variables(file)
        except (struct.error, ValueError, KeyError, UnicodeDecodeError) as error:
            raise ModelError(f"{path}: can't be read as a CTranslate2 model ({error}); copy or convert it again") from error
    heads = int(found.pop("encoder/num_heads", np.array(0)))
    tensors: dict[str, np.ndarray] = {}
    for name, value in found.items():
        if name.startswith(("encoder/conv", "encoder/layer_")) and value.ndim:
            if value.dtype not in _FLOATING:
                raise ModelError(f"{path}: its weights are {value.dtype}; convert the model as float16 or float32")
            tensors |= _renamed(name.removeprefix("encoder/"), value.astype(np.float32))
    return _complete(WhisperEncoder(tensors, heads), path)


def _renamed(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    """One variable of CTranslate2, which joins queries, keys and values, under Hugging Face's names."""
    if name.startswith("conv"):
        return {name.replace("/", "."): value}
    layer, middle, part = name.split("/", 1)[0], name.split("/", 1)[1].rsplit("/", 1)[0], name.rsplit("/", 1)[1]
    at = f"layers.{layer.removeprefix('layer_')}"
    if middle == "self_attention/linear_0":
        thirds = np.split(value, 3)
        return {f"{at}.self_attn.{of}_proj.{part}": third for of, third in zip("qkv", thirds, strict=True)}
    if middle not in _NAMES:
        return {}
    return {f"{at}.{_NAMES[middle]}.{_PARTS[part]}": value}


def _variables(file: BinaryIO) -> dict[str, np.ndarray]:
    """All variables of a CTranslate2 model of format 4 and newer."""

    def numbers(form: str) -> tuple[int, ...]:
        return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))

    def text() -> str:
        return file.read(numbers("H")[0]).rstrip(b"\0").decode()

    version = numbers("I")[0]
    if not 4 <= version <= _NEWEST_FORMAT:
        raise ValueError(f"format {version}; 4 to {_NEWEST_FORMAT} are known")
    if text() != "WhisperSpec":
        raise ValueError("no Whisper model")
    _, count = numbers("II")
    found = {}
    for _ in range(count):
        name, rank = text(), numbers("B")[0]
        shape, (kind,), (size,) = numbers("I" * rank), numbers("B"), numbers("I")
        content = file.read(size)
        if len(content) < size:
            raise ValueError("it ends too early")
        found[name] = np.frombuffer(content, _TYPES[kind]).reshape(shape)
    return found


def _complete(encoder: WhisperEncoder, where: Path) -> WhisperEncoder:
    if "conv2.bias" not in encoder.tensors or "layers.0.fc2.bias" not in encoder.tensors or encoder.heads < 1:
        raise ModelError(f"{where}: holds no Whisper encoder; give the folder of a Whisper model")
    return encoder
