"""Whisper encoders of a few thousand weights, their model folders, and what PyTorch computes of them."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from duetto.models.onnx import wav2vec2
from duetto.models.onnx.whisper import positions

DIM, HEADS, INNER, BANDS = 16, 2, 32, 80


def random_weights(layers: int = 2, *, seed: int = 0, bands: int = BANDS) -> dict[str, np.ndarray]:
    """Tensors under the names of Hugging Face's `WhisperEncoder`, of a size that keeps every part of it relevant."""
    rng = np.random.default_rng(seed)
    shapes = {"conv1": (DIM, bands, 3), "conv2": (DIM, DIM, 3), "layer_norm": (DIM,)}
    linear = {f"self_attn.{part}_proj": (DIM, DIM) for part in ("q", "k", "v", "out")}
    linear |= {"self_attn_layer_norm": (DIM,), "final_layer_norm": (DIM,), "fc1": (INNER, DIM), "fc2": (DIM, INNER)}
    shapes |= {f"layers.{i}.{name}": shape for i in range(layers) for name, shape in linear.items()}
    weights = {}
    for name, shape in shapes.items():
        scale = 1.0 if "norm" in name else 2 / np.sqrt(np.prod(shape[1:]))
        weights[f"{name}.weight"] = (scale * rng.standard_normal(shape)).astype(np.float32)
        if not name.endswith("k_proj"):
            weights[f"{name}.bias"] = (0.5 * rng.standard_normal(shape[0])).astype(np.float32)
    return weights


def reference(weights: Mapping[str, np.ndarray], mel: np.ndarray, *, heads: int = HEADS, layers: int = 2) -> np.ndarray:
    """The states (frames, dim) float64 of a log-mel spectrogram (bands, time), written with torch.nn.functional."""
    w = {name: torch.tensor(value, dtype=torch.float64) for name, value in weights.items()}

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

    def normalised(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    x = torch.tensor(mel, dtype=torch.float64)[None]
    x = functional.gelu(functional.conv1d(x, w["conv1.weight"], w["conv1.bias"], padding=1))
    x = functional.gelu(functional.conv1d(x, w["conv2.weight"], w["conv2.bias"], padding=1, stride=2))[0].T
    time, rate = torch.arange(len(x))[:, None], torch.arange(x.shape[1] // 2)
    angle = time * torch.exp(-np.log(10_000) * rate / (x.shape[1] // 2 - 1))
    x = x + torch.cat((angle.sin(), angle.cos()), 1)
    for i in range(layers):
        name = f"layers.{i}"
        y = normalised(x, f"{name}.self_attn_layer_norm")
        parts = (linear(y, f"{name}.self_attn.{part}_proj") for part in "qkv")
        q, k, v = (part.unflatten(1, (heads, -1)).transpose(0, 1) for part in parts)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(0, 1).flatten(1)
        x = x + linear(mixed, f"{name}.self_attn.out_proj")
        y = normalised(x, f"{name}.final_layer_norm")
        x = x + linear(functional.gelu(linear(y, f"{name}.fc1")), f"{name}.fc2")
    return x.numpy()


def ctranslate2(
    weights: Mapping[str, np.ndarray], *, version: int = 6, kind: str = "WhisperSpec", dtype: type = np.float32
) -> bytes:
    """The content of model.bin, as CTranslate2's converter writes it."""
    renamed: dict[str, np.ndarray] = {}
    for name, value in weights.items():
        if name.startswith("conv"):
            renamed[f"encoder/{name.replace('.', '/')}"] = value
    norms = {"self_attn_layer_norm": "self_attention/layer_norm", "final_layer_norm": "ffn/layer_norm"}
    linear = {"self_attn.out_proj": "self_attention/linear_1", "fc1": "ffn/linear_0", "fc2": "ffn/linear_1"}
    layers = sum(name.endswith(".fc2.bias") for name in weights)
    for i in range(layers):
        ours, theirs = f"layers.{i}", f"encoder/layer_{i}"
        for part in ("weight", "bias"):
            joined = [weights.get(f"{ours}.self_attn.{p}_proj.{part}", np.zeros(DIM, np.float32)) for p in "qkv"]
            renamed[f"{theirs}/self_attention/linear_0/{part}"] = np.concatenate(joined)
            for a, b in linear.items():
                renamed[f"{theirs}/{b}/{part}"] = weights[f"{ours}.{a}.{part}"]
            for a, b in norms.items():
                renamed[f"{theirs}/{b}/{'gamma' if part == 'weight' else 'beta'}"] = weights[f"{ours}.{a}.{part}"]
    for part, name in (("weight", "gamma"), ("bias", "beta")):
        renamed[f"encoder/layer_norm/{name}"] = weights[f"layer_norm.{part}"]
    renamed["encoder/position_encodings/encodings"] = positions(50, DIM)
    arrays = {name: value.astype(dtype) for name, value in renamed.items()}
    arrays |= {"encoder/num_heads": np.array(HEADS, np.int16), "decoder/num_heads": np.array(HEADS, np.int16)}
    content = struct.pack("<I", version) + _text(kind) + struct.pack("<II", 3, len(arrays))
    numbers = {np.dtype(np.float32): 0, np.dtype(np.int8): 1, np.dtype(np.int16): 2, np.dtype(np.float16): 4}
    for name, value in sorted(arrays.items()):
        content += _text(name) + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        content += struct.pack("<BI", numbers[value.dtype], value.nbytes) + value.tobytes()
    return content + struct.pack("<I", 0)  # no aliases


def _text(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def whisper_folder(folder: Path, *, layers: int = 3, seed: int = 0) -> Path:
    """The folder of a Whisper model for CTranslate2."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.bin").write_bytes(ctranslate2(random_weights(layers, seed=seed)))
    return folder


def samples_encoder(longest: int = 50) -> bytes:
    """A graph like WavLM's, of random weights: two convolutions, 160 samples a state, two layers."""
    rng = np.random.default_rng(0)
    first, layer = "feature_extractor.conv_layers", "encoder.layers"
    shapes: dict[str, tuple[int, ...]] = {
        f"{first}.0.conv": (8, 1, 10), f"{first}.0.layer_norm": (8,), f"{first}.1.conv": (8, 8, 3),
        "feature_projection.layer_norm": (8,), "feature_projection.projection": (DIM, 8),
        "encoder.pos_conv_embed.conv": (DIM, DIM // 4, 6), "encoder.layer_norm": (DIM,),
        f"{layer}.0.attention.rel_attn_embed": (32, HEADS),
    }  # fmt: skip
    for i in range(2):
        shapes |= {f"{layer}.{i}.attention.{part}_proj": (DIM, DIM) for part in ("q", "k", "v", "out")}
        shapes |= {f"{layer}.{i}.attention.gru_rel_pos_linear": (8, DIM // HEADS)}
        shapes |= {f"{layer}.{i}.{part}": (DIM,) for part in ("layer_norm", "final_layer_norm")}
        shapes |= {f"{layer}.{i}.feed_forward.intermediate_dense": (INNER, DIM)}
        shapes |= {f"{layer}.{i}.feed_forward.output_dense": (DIM, INNER)}
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = rng.standard_normal(shape).astype(np.float32)
        weights[f"{name}.bias"] = rng.standard_normal(shape[0]).astype(np.float32)
    weights |= {f"{layer}.{i}.attention.gru_rel_pos_const": np.ones((1, HEADS, 1, 1), np.float32) for i in range(2)}
    how = wav2vec2.Architecture((5, 32), HEADS, 4, norm_every=False, norm_first=False, buckets=32, farthest=40)
    return wav2vec2.encoder(weights, how, 2, longest)
