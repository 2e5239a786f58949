"""Makes a speech encoder for `features.speech_encoder` of the first layers of a pretrained model.

Whisper ─ whisper_weights.read ─ models.onnx.whisper.encoder ─┐
wav2vec 2.0, … ─ wav2vec2_weights.read ─ models.onnx.wav2vec2.encoder ─┴ int8 ─▶ DIR/encoder.onnx, encoder.json
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigurationError, ModelError
from ..features import speech_encoder
from ..features.speech_encoder import LONGEST_FRAMES, EncoderSettings, SamplesInput, SpeechEncoder
from ..models.onnx import wav2vec2, whisper
from ..models.onnx.int8 import int8 as quantised
from ..utils import files, onnx_runtime
from . import wav2vec2_weights, whisper_weights
from .wav2vec2_weights import Wav2Vec2Encoder

LAYERS = 3
"""Layers of a Whisper model that are kept by default: the best of Whisper base for emotion."""

AGREEMENT = 1e-3
"""Greatest difference of a graph from `transformers` that is accepted, relative, root mean square."""

_MOST_BYTES = 2_000_000_000
"""A file of ONNX can't be larger than 2 GiB."""


@dataclass(frozen=True)
class _Built:
    """A graph, what encoder.json states of it, and how many layers it has."""

    graph: bytes
    dim: int
    layers: int
    about: dict[str, Any]
    bands: int = 0
    samples: SamplesInput | None = None


def build(
    source: Path, folder: Path, *, layers: int | None = None, mix: Sequence[float] | None = None, int8: bool = True
) -> EncoderSettings:
    """Build an encoder; the same model gives the same bytes.

    Args:
        source: Folder of a pretrained model of any size: Whisper for CTranslate2, or Whisper, wav2vec 2.0, HuBERT,
            WavLM, UniSpeech or data2vec in Hugging Face's layout (config.json, model.safetensors,
            preprocessor_config.json). All but Whisper are read by `transformers` (extra `ssl`).
        folder: Where encoder.onnx and encoder.json go; created where it does not exist.
        layers: How many of its layers to keep, from the first; None for 3 of Whisper, half of the others.
        mix: Weight of each kept layer in the states, scaled to a sum of 1; None for the last kept layer alone.
        int8: Whether weights are stored as 8-bit integers, which the graph turns back into float32: a quarter of the
            size, and the same answer on every processor.

    Returns:
        What encoder.json holds.

    Raises:
        ModelError: The model is missing or damaged, the encoder exceeds the limits of `utils.graph_check`, or it does
            not compute what `transformers` computes.
        ConfigurationError: The model has fewer layers, or the weights in `mix` do not fit.
        MissingExtraError: The model needs `transformers`, which is not installed.
    """
    kind = wav2vec2_weights.kind(source)
    if kind in wav2vec2_weights.MODELS:
        built = _wav2vec2(source, layers, mix)
    elif kind in ("", "whisper"):
        built = _whisper(source, layers, mix)
    else:
        known = ", ".join(("whisper", *wav2vec2_weights.MODELS))
        raise ModelError(f"{source}: a model of type {kind[:40]!r}; known are {known}")
    built.about["weights"] = "int8" if int8 else "float32"
    content = quantised(built.graph) if int8 else built.graph
    found = speech_encoder.write(
        content,
        folder,
        dim=built.dim,
        layers=built.layers,
        about=built.about,
        bands=built.bands,
        samples=built.samples,
    )
    SpeechEncoder(folder)  # what would be refused is refused here, not where it is used
    return found


def _whisper(source: Path, layers: int | None, mix: Sequence[float] | None) -> _Built:
    model = whisper_weights.read(source)
    kept = _kept(source, layers or LAYERS, model.layers)
    shares = _shares(mix, kept)
    graph = whisper.encoder(model.tensors, model.heads, kept, shares)
    path = whisper_weights.weights_file(source)
    about: dict[str, Any] = {
        "model": "Whisper",
        "source": {"file": path.name, "sha256": files.digest(path), "layers": model.layers},
    }
    return _Built(graph, model.dim, kept, about | _mixed(shares), bands=model.bands)


def _wav2vec2(source: Path, layers: int | None, mix: Sequence[float] | None) -> _Built:
    model = wav2vec2_weights.read(source)
    kept = _kept(source, layers or math.ceil(model.layers / 2), model.layers)
    shares = _shares(mix, kept)
    weights = _of_first(kept, model.weights)
    if (size := sum(tensor.nbytes for tensor in weights.values())) > _MOST_BYTES:
        raise ConfigurationError(
            f"{source}: {kept} layers take {size:,} bytes, more than the {_MOST_BYTES:,} that a file of ONNX holds; "
            "keep fewer of them"
        )
    graph = wav2vec2.encoder(weights, model.architecture, kept, LONGEST_FRAMES, shares)
    _compare(source, graph, model, kept, shares)
    digests = {path.name: files.digest(path) for path in wav2vec2_weights.files_of(source)}
    about = {"model": model.kind, "source": {"sha256": digests, "layers": model.layers}} | _mixed(shares)
    return _Built(graph, model.dim, kept, about, samples=model.samples)


def _kept(source: Path, layers: int, available: int) -> int:
    if 1 <= layers <= available:
        return layers
    raise ConfigurationError(f"{source}: has {available} layers; keep 1 to {available} of them, not {layers}")


def _shares(mix: Sequence[float] | None, layers: int) -> list[float] | None:
    """Weights of layers with a sum of 1."""
    if mix is None:
        return None
    weights = np.asarray(mix, np.float64)
    if weights.shape != (layers,) or not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() <= 0:
        raise ConfigurationError(
            f"the mixture has weights {', '.join(map(str, mix))}; give one of at least 0 for each of the {layers} kept "
            "layers, not all 0"
        )
    return (weights / weights.sum()).tolist()


def _mixed(shares: list[float] | None) -> dict[str, Any]:
    return {} if shares is None else {"mix": shares}


def _of_first(layers: int, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors without those of later layers."""
    prefix = "encoder.layers."
    return {
        name: value
        for name, value in weights.items()
        if not name.startswith(prefix) or int(name.removeprefix(prefix).partition(".")[0]) < layers
    }


def _compare(source: Path, graph: bytes, model: Wav2Vec2Encoder, layers: int, shares: list[float] | None) -> None:
    """A model of another kind than its type says would give other states without any error."""
    samples = np.random.default_rng(0).standard_normal(model.samples.window + 2 * 16_000).astype(np.float32)
    run = onnx_runtime.load(graph, str(source), "states", threads=1, repair="give another model")
    found = run({"samples": samples[None]})[0]
    states = model.states(samples)[:layers]
    expected = states[-1] if shares is None else np.tensordot(shares, np.stack(states), 1)
    difference = float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))
    if not difference <= AGREEMENT:
        raise ModelError(
            f"{source}: the states of its graph differ from those of transformers by {difference:.2g} (root mean "
            f"square, relative), more than {AGREEMENT:g}; duetto does not know this variant of {model.kind}: give "
            "another model"
        )
