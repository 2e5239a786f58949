"""Whole models as ONNX graphs.

ModelConfig, state dict ─ emotion ─▶ ONNX model
state dict of a Speech2Vec ─ spoken_encoder ─▶ ONNX model
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ...config.cnn_stacks import STACKS, Stack
from ...config.encoders import LINEAR
from ...config.model import ModelConfig
from . import cnn, layers
from .graph import FLOAT, INT64, Graph, Weights

_PREFIXES = {"acoustic": "acoustic", "words": "words.encoder"}
"""Encoder → its prefix in the state dict."""
_TABLE = "words.embedding.weight"


def emotion(config: ModelConfig, weights: Weights) -> bytes:
    """Build the graph of a `models.emotion.EmotionModel`.

    Its inputs, as far as the encoders need them: `frames` (batch, time, values) float32, `frame_lengths` (batch,)
    int64, `words` (batch, n) int64 ids or (batch, n, dim) float32 vectors, `word_lengths` (batch,) int64.
    Its output: `logits` (batch, classes + dimensions) float32; the ratings of dimensions follow the logits.

    Args:
        config: The model's architecture.
        weights: Its state dict as float32 arrays; with an embedding table, words are ids.

    Returns:
        The content of an ONNX file.
    """
    graph = Graph()
    sequences = _inputs(graph, config, weights)
    if config.fusion == "cross-attention":
        encoded = _cross_encoded(graph, sequences, weights)
    else:
        names = {"acoustic": config.acoustic_encoder, "words": config.word_encoder}
        encoded = [
            ENCODERS[names[part]](graph, config, x, lengths, weights, _PREFIXES[part])
            for part, (x, lengths) in sequences.items()
        ]
    joined = config.fusion != "confidence" or config.dimensions
    x = graph.add("Concat", encoded, "encoded", axis=1) if joined and len(encoded) > 1 else encoded[0]
    if config.fusion == "confidence":
        outputs = layers.confidence_fusion(graph, encoded, weights, config.head_layers)
    else:
        outputs = HEADS[config.classifier](graph, config, x, weights, "head")
    if config.dimensions:
        outputs = graph.add("Concat", [outputs, _dimensions(graph, x, weights)], "joined", axis=1)
    return graph.serialise(graph.add("Identity", [outputs], "logits"), ["batch", config.outputs])


def _dimensions(graph: Graph, x: str, weights: Weights) -> str:
    """Add `models.heads.DimensionHead`, mean and scale within the weights of its linear layer."""
    name = "dimensions.linear"
    mean, scale = weights["dimensions.mean"], weights["dimensions.scale"]
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    scaled = {f"{name}.weight": weight * scale[:, None], f"{name}.bias": bias * scale + mean}
    return graph.linear(x, scaled, name)


def spoken_encoder(weights: Weights) -> bytes:
    """Build the graph of `models.speech2vec.Speech2Vec.encode`.

    Its inputs: `frames` (batch, time, features) float32 and `lengths` (batch,) int64. Its output: `embedding`
    (batch, dim) float32.

    Args:
        weights: The model's state dict as float32 arrays.

    Returns:
        The content of an ONNX file.
    """
    graph = Graph()
    _, n_features, width = weights["encoder.weight_input"].shape
    frames = graph.input("frames", FLOAT, ["batch", "time", n_features])
    last = graph.bilstm(frames, graph.input("lengths", INT64, ["batch"]), weights, "encoder")
    return graph.serialise(graph.add("Identity", [last], "embedding"), ["batch", width // 2])


def _inputs(graph: Graph, config: ModelConfig, weights: Weights) -> dict[str, tuple[str, str]]:
    """Add the inputs: encoder, the acoustic one first → (sequences, lengths)."""
    sequences = {}
    if "acoustic" in config.encoders:
        frames = graph.input("frames", FLOAT, ["batch", "time", config.n_features])
        sequences["acoustic"] = (frames, graph.input("frame_lengths", INT64, ["batch"]))
    if "words" in config.encoders:
        if _TABLE in weights:
            ids = graph.input("words", INT64, ["batch", "n"])
            words = graph.add("Gather", [graph.constant("table", weights[_TABLE]), ids], "embedded")
        else:
            words = graph.input("words", FLOAT, ["batch", "n", config.word_dim])
        sequences["words"] = (words, graph.input("word_lengths", INT64, ["batch"]))
    return sequences


def _bilstm(graph: Graph, config: ModelConfig, x: str, lengths: str, weights: Weights, name: str) -> str:
    pooled = graph.bilstm(x, lengths, weights, f"{name}.lstm")
    if config.pooling == "attention":
        states = graph.states(weights, f"{name}.lstm")
        pooled = layers.attention_pooling(graph, states, lengths, weights, f"{name}.pool")
    return graph.projected(pooled, weights, name)


def _statistics(graph: Graph, config: ModelConfig, x: str, lengths: str, weights: Weights, name: str) -> str:
    return graph.projected(layers.statistics(graph, x, lengths, name), weights, name)


def _multi_resolution(graph: Graph, config: ModelConfig, x: str, lengths: str, weights: Weights, name: str) -> str:
    return graph.projected(layers.multi_resolution(graph, x, lengths, weights, name), weights, name)


def _vector(graph: Graph, config: ModelConfig, x: str, lengths: str, weights: Weights, name: str) -> str:
    first = graph.add("Gather", [x, graph.integers(f"{name}.step", [0])], f"{name}.first", axis=1)
    vector = graph.add("Squeeze", [first, graph.integers(f"{name}.axis", [1])], f"{name}.vector")
    return graph.projected(vector, weights, name) if config.classifier == "network" else vector


def _cnn(graph: Graph, config: ModelConfig, x: str, lengths: str, weights: Weights, name: str, *, stack: Stack) -> str:
    return cnn.encoder(graph, stack, x, lengths, weights, name)


ENCODERS: dict[str, Callable[[Graph, ModelConfig, str, str, Weights, str], str]] = {
    "bilstm": _bilstm,
    "statistics": _statistics,
    "vector": _vector,
    "mcnn": _multi_resolution,
    "tfidf": _vector,
    **{name: partial(_cnn, stack=stack) for name, stack in STACKS.items()},
}
"""Name of an encoder → function that adds the twin of `models.encoders.ENCODERS[name]` to a graph.

Its arguments: the graph, the configuration, sequences (batch, time, features), lengths (batch,), the state dict, and
the encoder's prefix in it. It returns the name of a tensor (batch, dense).
"""


def _network(graph: Graph, config: ModelConfig, x: str, weights: Weights, name: str) -> str:
    return graph.head(x, weights, name, config.head_layers)


def _linear(graph: Graph, config: ModelConfig, x: str, weights: Weights, name: str) -> str:
    return graph.head(x, weights, name, 0)


def _svm(graph: Graph, config: ModelConfig, x: str, weights: Weights, name: str) -> str:
    return layers.kernel_head(graph, x, weights, name)


HEADS: dict[str, Callable[[Graph, ModelConfig, str, Weights, str], str]] = {
    "network": _network,
    "svm": _svm,
    **dict.fromkeys(LINEAR, _linear),
}
"""Classifier → function that adds its head in `models.emotion.EmotionModel` to a graph.

Its arguments: the graph, the configuration, encodings (batch, width), the state dict, and the head's prefix in it. It
returns the name of logits (batch, classes).
"""


def _cross_encoded(graph: Graph, sequences: Mapping[str, tuple[str, str]], weights: Weights) -> list[str]:
    """Add both encoders with cross-attention: the encodings (batch, dense), the acoustic one first."""
    states = {}
    for part, (x, lengths) in sequences.items():
        graph.bilstm(x, lengths, weights, f"{_PREFIXES[part]}.lstm")
        states[part] = graph.states(weights, f"{_PREFIXES[part]}.lstm")
    encoded = []
    for part, other in (("acoustic", "words"), ("words", "acoustic")):
        other_lengths, prefix = sequences[other][1], _PREFIXES[part]
        merged = layers.cross_attention(graph, states[part], states[other], other_lengths, weights, f"cross.{part}")
        pooled = layers.attention_pooling(graph, merged, sequences[part][1], weights, f"{prefix}.pool")
        encoded.append(graph.projected(pooled, weights, prefix))
    return encoded
