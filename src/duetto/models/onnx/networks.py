"""Whole networks as ONNX models.

state dict (name → float32 array) ─ emotion | spoken_encoder ─▶ ONNX model
"""

from __future__ import annotations

from collections.abc import Mapping

from ...config.cnn_stacks import STACKS
from ...features.registry import feature_spec
from . import cnn, layers
from .graph import FLOAT, INT64, Graph, dense_layers
from .layers import Weights


def emotion(weights: Weights, acoustic_encoder: str = "bilstm") -> bytes:
    """A serialised graph of `models.emotion.EmotionModel` from its state dict.

    Inputs, as the system needs them: `frames` (batch, time, values) float32, `frame_lengths` (batch,) int64,
    `words` (batch, n) int64 ids or (batch, n, dim) float32 vectors, `word_lengths` (batch,) int64.
    Output: `logits` (batch, classes).
    """
    graph, stack = Graph(), STACKS.get(acoustic_encoder)
    sequences = _inputs(graph, weights, acoustic_encoder)
    if "cross.acoustic.query.weight" in weights:
        encoded = _crosswise(graph, sequences, weights)
    else:
        encoded = [
            cnn.encoder(graph, stack, x, lengths, weights, name)
            if stack and name == "acoustic"
            else _encoder(graph, x, lengths, weights, name)
            for name, (x, lengths) in sequences.items()
        ]
    if "confidence.gates.acoustic.weight" in weights:
        head, logits = "confidence.heads.acoustic", layers.by_confidence(graph, encoded, weights)
    else:
        x = graph.add("Concat", encoded, "encoded", axis=1) if len(encoded) > 1 else encoded[0]
        head, logits = "head", graph.head(x, weights, "head")
    classes = len(weights[dense_layers(weights, head)[-1] + ".bias"])
    return graph.serialise(graph.add("Identity", [logits], "logits"), ["batch", classes])


def spoken_encoder(weights: Weights) -> bytes:
    """A serialised graph of `models.speech2vec.Speech2Vec.encode`: `frames` (batch, time, features) and
    `lengths` (batch,) → `embedding` (batch, dim)."""
    graph = Graph()
    _, n_features, width = weights["encoder.weight_input"].shape
    frames = graph.input("frames", FLOAT, ["batch", "time", n_features])
    last = graph.bilstm(frames, graph.input("lengths", INT64, ["batch"]), weights, "encoder")
    return graph.serialise(graph.add("Identity", [last], "embedding"), ["batch", width // 2])


def _inputs(graph: Graph, weights: Weights, acoustic_encoder: str) -> dict[str, tuple[str, str]]:
    """Add what an emotion system reads: name of each encoder, the acoustic one first → (sequences, lengths)."""
    sequences = {}
    if "acoustic.dense.weight" in weights:
        frames = graph.input("frames", FLOAT, ["batch", "time", _frame_dim(weights, acoustic_encoder)])
        sequences["acoustic"] = (frames, graph.input("frame_lengths", INT64, ["batch"]))
    if "words.encoder.dense.weight" in weights:
        if "words.embedding.weight" in weights:
            ids = graph.input("words", INT64, ["batch", "n"])
            words = graph.add("Gather", [graph.constant("table", weights["words.embedding.weight"]), ids], "embedded")
        else:
            words = graph.input("words", FLOAT, ["batch", "n", _word_dim(weights)])
        sequences["words.encoder"] = (words, graph.input("word_lengths", INT64, ["batch"]))
    return sequences


def _frame_dim(weights: Weights, acoustic_encoder: str) -> int:
    """Of the frames that the acoustic encoder reads."""
    if acoustic_encoder in STACKS:
        return feature_spec(STACKS[acoustic_encoder].features).dim
    if acoustic_encoder == "statistics":
        return weights["acoustic.dense.weight"].shape[1] // 2
    return weights["acoustic.lstm.weight_input"].shape[1]


def _word_dim(weights: Weights) -> int:
    """Of the vectors that the encoder of words reads."""
    convolution = weights.get("words.encoder.convolutions.0.weight")
    return weights["words.encoder.lstm.weight_input"].shape[1] if convolution is None else convolution.shape[1]


def _encoder(graph: Graph, x: str, lengths: str, weights: Weights, name: str) -> str:
    """`models.encoders.SequenceEncoder`, `.StatisticsEncoder` or `MultiResolutionEncoder`:
    x (batch, time, features) → (batch, dense)."""
    if f"{name}.convolutions.0.weight" in weights:
        pooled = layers.multi_resolution(graph, x, lengths, weights, name)
    elif f"{name}.lstm.weight_input" not in weights:
        pooled = layers.statistics(graph, x, lengths, name)
    else:
        pooled = graph.bilstm(x, lengths, weights, f"{name}.lstm")
        if f"{name}.pool.score.weight" in weights:
            states = graph.states(weights, f"{name}.lstm")
            pooled = layers.attention_pooling(graph, states, lengths, weights, f"{name}.pool")
    return graph.described(pooled, weights, name)


def _crosswise(graph: Graph, sequences: Mapping[str, tuple[str, str]], weights: Weights) -> list[str]:
    """`models.emotion.EmotionModel._encode_crosswise`: the encodings (batch, dense) of both encoders."""
    states = {}
    for name, (x, lengths) in sequences.items():
        graph.bilstm(x, lengths, weights, f"{name}.lstm")
        states[name] = graph.states(weights, f"{name}.lstm")
    encoded = []
    for name, other in (("acoustic", "words.encoder"), ("words.encoder", "acoustic")):
        block = "cross." + name.split(".")[0]
        merged = layers.cross_attention(graph, states[name], states[other], sequences[other][1], weights, block)
        pooled = layers.attention_pooling(graph, merged, sequences[name][1], weights, f"{name}.pool")
        encoded.append(graph.described(pooled, weights, name))
    return encoded
