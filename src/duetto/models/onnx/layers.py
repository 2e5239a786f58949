"""ONNX pieces of the layers beyond the paper: attention, cross-attention, the multi-resolution CNN, confidence.

Each function adds to a `graph.Graph` what the PyTorch module in its docstring computes; the names of the weights
are those of that module's state dict.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .graph import FLOAT, Graph

Weights = Mapping[str, np.ndarray]
_FAR = np.float32(1e9)
"""Taken from a score that must not count: exp(score − 1e9) is exactly 0 in float32."""
_VARIANCE_FLOOR = np.float32(1e-5)  # that of models.pooling


def attention_pooling(graph: Graph, states: str, lengths: str, weights: Weights, name: str) -> str:
    """`models.attention.AttentionPooling`: states (batch, time, width) → (batch, width)."""
    hidden = graph.add("Tanh", [_dense(graph, states, weights, f"{name}.hidden")], f"{name}.tanh")
    scores = _dense(graph, hidden, weights, f"{name}.score")  # (batch, time, 1)
    real = real_steps(graph, states, lengths, name)
    row = graph.add("Transpose", [_masked(graph, scores, real, name)], f"{name}.row", perm=[0, 2, 1])
    alpha = graph.add("Softmax", [row], f"{name}.alpha", axis=-1)
    pooled = graph.add("MatMul", [alpha, states], f"{name}.pooled")  # (batch, 1, width)
    return graph.add("Squeeze", [pooled, graph.integers(f"{name}.axis", [1])], f"{name}.out")


def cross_attention(graph: Graph, states: str, other: str, other_lengths: str, weights: Weights, name: str) -> str:
    """`models.attention.CrossAttention`: states (batch, time, width) → (batch, time, width)."""
    queries = _dense(graph, states, weights, f"{name}.query")
    keys = graph.add("Transpose", [_dense(graph, other, weights, f"{name}.key")], f"{name}.keys", perm=[0, 2, 1])
    scale = graph.constant(f"{name}.scale", np.sqrt(np.float32(weights[f"{name}.query.weight"].shape[0])))
    scores = graph.add("Div", [graph.add("MatMul", [queries, keys], f"{name}.products"), scale], f"{name}.scores")
    real = real_steps(graph, other, other_lengths, name)
    across = graph.add("Transpose", [real], f"{name}.across", perm=[0, 2, 1])  # (batch, 1, other time)
    alpha = graph.add("Softmax", [_masked(graph, scores, across, name)], f"{name}.alpha", axis=-1)
    context = graph.add("MatMul", [alpha, other], f"{name}.context")
    both = graph.add("Concat", [states, context], f"{name}.both", axis=-1)
    return graph.add("Tanh", [_dense(graph, both, weights, f"{name}.merge")], f"{name}.out")


def multi_resolution(graph: Graph, x: str, lengths: str, weights: Weights, name: str) -> str:
    """`MultiResolutionEncoder` up to its dense layer: x (batch, n, dim) → (batch, 2·filters·kernels)."""
    x, real, count = _channels(graph, x, lengths, name)
    x = graph.add("Mul", [x, real], f"{name}.masked")
    pooled, i = [], 0
    while f"{name}.convolutions.{i}.weight" in weights:
        layer = f"{name}.convolutions.{i}"
        kernel = weights[f"{layer}.weight"].shape[2]
        inputs = [x, *(graph.constant(f"{layer}.{part}", weights[f"{layer}.{part}"]) for part in ("weight", "bias"))]
        seen = graph.add("Conv", inputs, f"{layer}.out", pads=[(kernel - 1) // 2, kernel // 2])
        pooled += _mean_and_deviation(graph, graph.add("Relu", [seen], f"{layer}.relu"), real, count, layer)
        i += 1
    return _joined(graph, pooled, name)


def statistics(graph: Graph, x: str, lengths: str, name: str) -> str:
    """`models.encoders.StatisticsEncoder` up to its dense layer: x (batch, time, features) → (batch, 2·features)."""
    x, real, count = _channels(graph, x, lengths, name)
    return _joined(graph, _mean_and_deviation(graph, x, real, count, name), name)


def _channels(graph: Graph, x: str, lengths: str, name: str) -> tuple[str, str, str]:
    """x (batch, time, dim) → (batch, dim, time); its real steps (batch, 1, time); their number (batch, 1, 1)."""
    real = graph.add("Transpose", [real_steps(graph, x, lengths, name)], f"{name}.real.row", perm=[0, 2, 1])
    count = graph.add("ReduceSum", [real, graph.integers(f"{name}.last", [-1])], f"{name}.count", keepdims=1)
    return graph.add("Transpose", [x], f"{name}.channels", perm=[0, 2, 1]), real, count


def _mean_and_deviation(graph: Graph, x: str, real: str, count: str, name: str) -> list[str]:
    """`models.pooling.mean_and_deviation`: both (batch, channels, 1)."""
    mean = _mean(graph, x, real, count, f"{name}.mean")
    apart = graph.add("Sub", [x, mean], f"{name}.apart")
    variance = _mean(graph, graph.add("Mul", [apart, apart], f"{name}.square"), real, count, f"{name}.variance")
    floor = graph.constant(f"{name}.floor", np.array(_VARIANCE_FLOOR))
    return [mean, graph.add("Sqrt", [graph.add("Add", [variance, floor], f"{name}.above")], f"{name}.deviation")]


def _joined(graph: Graph, pooled: list[str], name: str) -> str:
    """(batch, channels, 1) each → (batch, all channels)."""
    together = graph.add("Concat", pooled, f"{name}.together", axis=1)
    return graph.add("Squeeze", [together, graph.integers(f"{name}.flat", [2])], f"{name}.pooled")


def by_confidence(graph: Graph, encoded: list[str], weights: Weights) -> str:
    """`models.confidence.ConfidenceFusion`: encodings, the acoustic one first → logits (batch, classes)."""
    weighed = []
    for name, x, trust in zip(("acoustic", "words"), encoded, weights["confidence.trust"], strict=True):
        own = graph.head(x, weights, f"confidence.heads.{name}")
        posterior = graph.add("LogSoftmax", [own], f"confidence.{name}.posterior", axis=1)
        evidence = graph.add("Concat", [x, posterior], f"confidence.{name}.evidence", axis=1)
        believed = graph.linear(evidence, weights, f"confidence.gates.{name}")
        gate = graph.add("Sigmoid", [believed], f"confidence.{name}.gate")
        trusted = graph.add(
            "Mul", [gate, graph.constant(f"confidence.{name}.trust", trust)], f"confidence.{name}.weight"
        )
        weighed.append(graph.add("Mul", [trusted, posterior], f"confidence.{name}.weighed"))
    return graph.add("Add", weighed, "confidence.out")


def real_steps(graph: Graph, x: str, lengths: str, name: str) -> str:
    """(batch, time, 1) float32: 1 where a step of x (batch, time, …) is real, 0 where it is padding."""
    zero, one = (graph.integers(f"{name}.real.{n}", n) for n in (0, 1))
    shape = graph.add("Shape", [x], f"{name}.real.shape")
    time = graph.add("Gather", [shape, one], f"{name}.real.time", axis=0)
    steps = graph.add("Range", [zero, time, one], f"{name}.real.steps")
    column = graph.integers(f"{name}.real.axis", [1])
    limits = graph.add("Unsqueeze", [graph.at_least_one(lengths, f"{name}.real"), column], f"{name}.real.limits")
    within = graph.add("Less", [steps, limits], f"{name}.real.within")  # (batch, time)
    deep = graph.add("Unsqueeze", [within, graph.integers(f"{name}.real.deep", [2])], f"{name}.real.each")
    return graph.add("Cast", [deep], f"{name}.real", to=FLOAT)


def _masked(graph: Graph, scores: str, real: str, name: str) -> str:
    """Scores, those of padding put out of reach: scores + 1e9·(real − 1)."""
    one, far = (graph.constant(f"{name}.mask.{key}", np.array(n, np.float32)) for key, n in (("one", 1), ("far", _FAR)))
    short = graph.add("Sub", [real, one], f"{name}.mask.short")
    return graph.add("Add", [scores, graph.add("Mul", [short, far], f"{name}.mask.down")], f"{name}.mask.out")


def _mean(graph: Graph, x: str, real: str, count: str, name: str) -> str:
    """Mean (batch, channels, 1) over the real steps of x (batch, channels, n)."""
    kept = graph.add("Mul", [x, real], f"{name}.kept")
    total = graph.add("ReduceSum", [kept, graph.integers(f"{name}.axis", [-1])], f"{name}.total", keepdims=1)
    return graph.add("Div", [total, count], f"{name}.out")


def _dense(graph: Graph, x: str, weights: Weights, name: str) -> str:
    """x·Wᵀ, + b where there is one, of x (batch, time, width)."""
    product = graph.add("MatMul", [x, graph.constant(f"{name}.weight", weights[f"{name}.weight"].T)], f"{name}.product")
    if f"{name}.bias" not in weights:
        return product
    return graph.add("Add", [product, graph.constant(f"{name}.bias", weights[f"{name}.bias"])], f"{name}.out")
