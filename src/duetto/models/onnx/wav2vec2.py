"""The first layers of wav2vec 2.0 and its relatives as a graph: samples in, states of 20 ms out.

    samples (1, time) ─ convolutions, normalisation, GELU ─ projection ─ + convolved positions ─ layers
        ─▶ states (1, n, d)

A. Baevski et al., "wav2vec 2.0", 2020; W.-N. Hsu et al., "HuBERT", 2021; S. Chen et al., "WavLM", 2022 (scores biased
by the distance of two frames, gated by the query); A. Baevski et al., "data2vec", 2022 (several convolutions of
positions).
The computation is that of Hugging Face's `transformers`, whose names the weights have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .graph import FLOAT, Graph, Weights
from .transformer import attention, gelu, linear, mixed, normalised


@dataclass(frozen=True)
class Architecture:
    """What the weights of an encoder do not state.

    Attributes:
        strides: Of each convolution of the samples.
        heads: Attention heads of a layer.
        groups: Of the convolutions of positions.
        norm_every: Whether every convolution is followed by a layer normalisation; else only the first one is, by a
            normalisation of each channel along time.
        norm_first: Whether a layer normalises its input (`do_stable_layer_norm`); else its output.
        buckets: Buckets of distances whose bias is learnt; 0 for none.
        farthest: Frames from which on all distances share a bucket.
    """

    strides: tuple[int, ...]
    heads: int
    groups: int
    norm_every: bool
    norm_first: bool
    buckets: int = 0
    farthest: int = 0


def encoder(
    weights: Weights, architecture: Architecture, layers: int, longest: int, mix: Sequence[float] | None = None
) -> bytes:
    """Build the graph.

    Args:
        weights: The encoder's tensors as float32 under the names of Hugging Face's models
            (`feature_extractor.conv_layers.0.conv.weight`, `encoder.layers.0.attention.q_proj.weight`, …), with the
            weight of `encoder.pos_conv_embed.conv` as it is applied, after weight normalisation.
        architecture: Of the encoder.
        layers: How many layers to keep, from the first.
        longest: Greatest number of frames that the graph will compute.
        mix: Weight of each kept layer in the states; None for the last one alone.

    Returns:
        A serialised ONNX model. Input `samples` (1, time) float32; output `states` (1, n, d) float32, before any
        normalisation that follows the last layer of the whole model.
    """
    graph = Graph()
    x = _extracted(graph, weights, architecture)
    if "feature_projection.layer_norm.weight" in weights:
        x = normalised(graph, x, weights, "feature_projection.layer_norm")
    x = linear(graph, x, weights, "feature_projection.projection")
    x = graph.add("Add", [x, _positions(graph, x, weights, architecture)], "placed")
    if not architecture.norm_first:
        x = normalised(graph, x, weights, "encoder.layer_norm")
    bias = _distance_bias(graph, x, weights, architecture, longest) if architecture.buckets else None
    outputs = []
    for number in range(layers):
        x = _layer(graph, x, weights, f"encoder.layers.{number}", architecture, bias)
        outputs.append(x)
    mixed(graph, outputs, mix)
    return graph.serialise("states", [1, "frames", len(weights["feature_projection.projection.bias"])])


def _extracted(graph: Graph, weights: Weights, architecture: Architecture) -> str:
    """The convolutions of the samples: (1, n, channels)."""
    samples = graph.input("samples", FLOAT, [1, "time"])
    x = graph.add("Unsqueeze", [samples, graph.integers("samples.axis", [1])], "samples.channel")
    for number, stride in enumerate(architecture.strides):
        name = f"feature_extractor.conv_layers.{number}"
        x = _convolved(graph, x, weights, f"{name}.conv", strides=[stride], pads=[0, 0])
        if architecture.norm_every:
            rows = graph.add("Transpose", [x], f"{name}.rows", perm=[0, 2, 1])
            rows = normalised(graph, rows, weights, f"{name}.layer_norm")
            x = graph.add("Transpose", [rows], f"{name}.columns", perm=[0, 2, 1])
        elif number == 0:
            parts = [graph.constant(f"{name}.scale", weights[f"{name}.layer_norm.weight"])]
            parts.append(graph.constant(f"{name}.shift", weights[f"{name}.layer_norm.bias"]))
            x = graph.add("InstanceNormalization", [x, *parts], f"{name}.normalised")
        x = gelu(graph, x, name)
    return graph.add("Transpose", [x], "extracted", perm=[0, 2, 1])


def _convolved(graph: Graph, x: str, weights: Weights, name: str, **attributes: Sequence[int] | int) -> str:
    weight = weights[f"{name}.weight"]
    bias = weights.get(f"{name}.bias", np.zeros(len(weight), np.float32))
    parts = [graph.constant(f"{name}.weight", weight), graph.constant(f"{name}.bias", bias)]
    return graph.add("Conv", [x, *parts], f"{name}.out", **attributes)


def _positions(graph: Graph, x: str, weights: Weights, architecture: Architecture) -> str:
    """What convolutions over (1, n, d) say of the position of each frame: (1, n, d)."""
    name = "encoder.pos_conv_embed"
    y = graph.add("Transpose", [x], f"{name}.columns", perm=[0, 2, 1])
    if f"{name}.batch_norm.weight" in weights:
        y = _batch_normalised(graph, y, weights, f"{name}.batch_norm")
    several = f"{name}.conv.weight" not in weights
    count = sum(key.startswith(f"{name}.layers.") and key.endswith(".conv.weight") for key in weights)
    for layer in [f"{name}.layers.{number}" for number in range(count)] if several else [name]:
        size = weights[f"{layer}.conv.weight"].shape[2]
        # As many frames as before: an even kernel has one zero less on the right.
        pads = [size // 2, (size - 1) // 2]
        y = _convolved(graph, y, weights, f"{layer}.conv", pads=pads, group=architecture.groups)
        if several:
            y = _standardised(graph, y, len(weights[f"{layer}.conv.weight"]), layer)
        y = gelu(graph, y, layer)
    return graph.add("Transpose", [y], f"{name}.rows", perm=[0, 2, 1])


def _standardised(graph: Graph, x: str, width: int, name: str) -> str:
    """Layer normalisation without weights over the channels of (1, width, n)."""
    plain = {f"{name}.norm.weight": np.ones(width, np.float32), f"{name}.norm.bias": np.zeros(width, np.float32)}
    rows = graph.add("Transpose", [x], f"{name}.norm.rows", perm=[0, 2, 1])
    rows = normalised(graph, rows, plain, f"{name}.norm")
    return graph.add("Transpose", [rows], f"{name}.norm.columns", perm=[0, 2, 1])


def _batch_normalised(graph: Graph, x: str, weights: Weights, name: str) -> str:
    """Batch normalisation by the running statistics, with ε = 1e-5."""
    deviation = np.sqrt(weights[f"{name}.running_var"].astype(np.float64) + 1e-5)
    scale = weights[f"{name}.weight"] / deviation
    shift = weights[f"{name}.bias"] - weights[f"{name}.running_mean"] * scale
    factor, addend = (
        graph.constant(f"{name}.{word}", value.astype(np.float32)[:, None])
        for word, value in (("scale", scale), ("shift", shift))
    )
    return graph.add("Add", [graph.add("Mul", [x, factor], f"{name}.scaled"), addend], f"{name}.out")


def _layer(graph: Graph, x: str, weights: Weights, name: str, architecture: Architecture, bias: str | None) -> str:
    """Self-attention and a feed-forward network, each added to its input."""
    first, heads = architecture.norm_first, architecture.heads
    read = normalised(graph, x, weights, f"{name}.layer_norm") if first else x
    gated = None if bias is None else _gated(graph, read, bias, weights, f"{name}.attention", heads)
    y = graph.add("Add", [x, attention(graph, read, weights, f"{name}.attention", heads, gated)], f"{name}.attended")
    y = y if first else normalised(graph, y, weights, f"{name}.layer_norm")
    read = normalised(graph, y, weights, f"{name}.final_layer_norm") if first else y
    hidden = linear(graph, read, weights, f"{name}.feed_forward.intermediate_dense")
    hidden = linear(graph, gelu(graph, hidden, f"{name}.feed_forward"), weights, f"{name}.feed_forward.output_dense")
    y = graph.add("Add", [y, hidden], f"{name}.out")
    return y if first else normalised(graph, y, weights, f"{name}.final_layer_norm")


def _distance_bias(graph: Graph, x: str, weights: Weights, architecture: Architecture, longest: int) -> str:
    """Bias of each pair of frames (1, n, d) by their distance: (heads, n, n)."""
    distance = np.arange(1 - longest, longest)
    learnt = weights["encoder.layers.0.attention.rel_attn_embed.weight"]
    table = learnt[buckets(distance, architecture.buckets, architecture.farthest)].T
    count = graph.add("Squeeze", [graph.add("Shape", [x], "distance.shape", start=1, end=2)], "distance.count")
    zero, one = (graph.integers(f"distance.{word}", number) for word, number in (("first", 0), ("step", 1)))
    index = graph.add("Range", [zero, count, one], "distance.index")
    keys, queries = (
        graph.add("Unsqueeze", [index, graph.integers(f"distance.{word}.axis", [axis])], f"distance.{word}")
        for word, axis in (("keys", 0), ("queries", 1))
    )
    difference = graph.add("Sub", [keys, queries], "distance.difference")
    place = graph.add("Add", [difference, graph.integers("distance.zero", longest - 1)], "distance.place")
    return graph.add("Gather", [graph.constant("distance.table", table), place], "distance.bias", axis=1)


def buckets(distance: np.ndarray, count: int, farthest: int) -> np.ndarray:
    """Sort distances of frames into buckets: single ones while they are small, then ever wider ones.

    C. Raffel et al., "Exploring the limits of transfer learning with a unified text-to-text transformer", 2020, as
    WavLM uses it.

    Args:
        distance: Integers, position of the key minus that of the query.
        count: Number of buckets, half of them for positive distances.
        farthest: Distance from which on all share the last bucket.

    Returns:
        Numbers of buckets, the shape of `distance`, int64.
    """
    half = count // 2
    single, size = half // 2, np.abs(distance)
    growth = np.log(np.maximum(size, 1) / single) / math.log(farthest / single)
    wide = np.minimum(single + (growth * (half - single)).astype(np.int64), half - 1)
    return np.where(distance > 0, half, 0) + np.where(size < single, size, wide)


def _gated(graph: Graph, x: str, bias: str, weights: Weights, name: str, heads: int) -> str:
    """The bias of distances, scaled for each query by two gates: (1, heads, n, n)."""
    width = weights[f"{name}.q_proj.weight"].shape[0]
    shape = graph.integers(f"{name}.gate.shape", [0, 0, heads, width // heads])
    y = graph.add("Reshape", [x, shape], f"{name}.gate.split")
    y = graph.add("Transpose", [y], f"{name}.gate.rows", perm=[0, 2, 1, 3])
    gates = []
    for word, rows in (("a", slice(0, 4)), ("b", slice(4, 8))):  # each gate is the sum of four outputs
        gate = f"{name}.gate.{word}"
        summed = {f"{gate}.{part}": weights[f"{name}.gru_rel_pos_linear.{part}"][rows].sum(0, keepdims=True)
                  for part in ("weight", "bias")}  # fmt: skip
        gates.append(graph.add("Sigmoid", [linear(graph, y, summed, gate)], gate))
    constant = graph.constant(f"{name}.gate.constant", weights[f"{name}.gru_rel_pos_const"])
    one, two = (graph.constant(f"{name}.gate.{n}", np.array(n, np.float32)) for n in (1, 2))
    inner = graph.add("Sub", [graph.add("Mul", [gates[1], constant], f"{name}.gate.inner"), one], f"{name}.gate.less")
    scale = graph.add("Add", [graph.add("Mul", [gates[0], inner], f"{name}.gate.outer"), two], f"{name}.gate.scale")
    return graph.add("Mul", [scale, bias], f"{name}.gate.bias")
