"""Whole networks as ONNX models.

state dict (name → float32 array) ─ emotion | spoken_encoder ─▶ ONNX model
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...config.cnn_stacks import STACKS
from ...features.registry import kind
from . import cnn, layers
from .graph import Graph, _layers, _types


def emotion(weights: Mapping[str, np.ndarray], acoustic_encoder: str = "bilstm") -> bytes:
    """A serialised graph of `models.emotion.EmotionModel` from its state dict.

    Inputs, as the system needs them: `frames` (batch, time, values) float32, `frame_lengths` (batch,) int64,
    `words` (batch, n) int64 ids or (batch, n, dim) float32 vectors, `word_lengths` (batch,) int64.
    Output: `logits` (batch, classes).
    """
    value, floating, integers = _types()
    graph = Graph()
    inputs, read, stack = [], {}, STACKS.get(acoustic_encoder)
    if "acoustic.dense.weight" in weights:
        if stack:
            n_features = kind(stack.features).dim
        elif acoustic_encoder == "statistics":
            n_features = weights["acoustic.dense.weight"].shape[1] // 2
        else:
            n_features = weights["acoustic.lstm.weight_input"].shape[1]
        inputs.append(value("frames", floating, ["batch", "time", n_features]))
        inputs.append(value("frame_lengths", integers, ["batch"]))
        read["acoustic"] = ("frames", "frame_lengths")
    if "words.encoder.dense.weight" in weights:
        x = "words"
        if "words.embedding.weight" in weights:
            inputs.append(value("words", integers, ["batch", "n"]))
            x = graph.add("Gather", [graph.constant("table", weights["words.embedding.weight"]), "words"], "embedded")
        else:
            inputs.append(value("words", floating, ["batch", "n", _word_dim(weights)]))
        inputs.append(value("word_lengths", integers, ["batch"]))
        read["words.encoder"] = (x, "word_lengths")
    if "cross.acoustic.query.weight" in weights:
        encoded = layers.encode_crosswise(graph, read, weights)
    else:
        encoded = [
            cnn.encoder(graph, stack, x, lengths, weights, name)
            if stack and name == "acoustic"
            else graph.encoder(x, lengths, weights, name)
            for name, (x, lengths) in read.items()
        ]
    if "confidence.gates.acoustic.weight" in weights:
        head, logits = "confidence.heads.acoustic", layers.by_confidence(graph, encoded, weights)
    else:
        x = graph.add("Concat", encoded, "encoded", axis=1) if len(encoded) > 1 else encoded[0]
        head, logits = "head", graph.head(x, weights, "head")
    graph.add("Identity", [logits], "logits")
    classes = len(weights[_layers(weights, head)[-1] + ".bias"])
    return graph.serialise(inputs, value("logits", floating, ["batch", classes]))


def _word_dim(weights: Mapping[str, np.ndarray]) -> int:
    """Of the vectors that the words' encoder reads."""
    convolution = weights.get("words.encoder.convolutions.0.weight")
    return weights["words.encoder.lstm.weight_input"].shape[1] if convolution is None else convolution.shape[1]


def spoken_encoder(weights: Mapping[str, np.ndarray]) -> bytes:
    """A serialised graph of `models.speech2vec.Speech2Vec.encode`: `frames` (batch, time, features) and
    `lengths` (batch,) → `embedding` (batch, dim)."""
    value, floating, integers = _types()
    graph = Graph()
    _, n_features, width = weights["encoder.weight_input"].shape
    graph.add("Identity", [graph.bilstm("frames", "lengths", weights, "encoder")], "embedding")
    inputs = [value("frames", floating, ["batch", "time", n_features]), value("lengths", integers, ["batch"])]
    return graph.serialise(inputs, value("embedding", floating, ["batch", width // 2]))
