"""ONNX twins of the layers beyond the paper: attention, cross-attention, the multi-resolution CNN, confidence.

Each function adds to a `graph.Graph` what the PyTorch module in its docstring computes; weights have the names of that
module's state dict. Strings are names of tensors, and docstrings state their shapes.
"""

from __future__ import annotations

import numpy as np

from ...config.encoders import KERNEL_LIMIT, MCNN_KERNELS
from .graph import DOUBLE, FLOAT, Graph, Weights

_FAR = np.float32(1e9)
"""Subtracted from the scores of padding: exp(score − 1e9) is exactly 0 in float32."""
_VARIANCE_FLOOR = np.float32(1e-5)  # that of models.pooling


def attention_pooling(graph: Graph, states: str, lengths: str, weights: Weights, name: str) -> str:
    """Add `models.attention.AttentionPooling`.

    Args:
        graph: The graph to add to.
        states: (batch, time, width).
        lengths: (batch,) int64.
        weights: State dict.
        name: Of the module in the state dict.

    Returns:
        (batch, width).
    """
    hidden = graph.add("Tanh", [_dense(graph, states, weights, f"{name}.hidden")], f"{name}.tanh")
    scores = _product(graph, hidden, weights, f"{name}.score")  # (batch, time, 1)
    real = real_steps(graph, states, lengths, name)
    row = graph.add("Transpose", [_masked(graph, scores, real, name)], f"{name}.row", perm=[0, 2, 1])
    alpha = graph.add("Softmax", [row], f"{name}.alpha", axis=-1)
    pooled = graph.add("MatMul", [alpha, states], f"{name}.pooled")  # (batch, 1, width)
    return graph.add("Squeeze", [pooled, graph.integers(f"{name}.axis", [1])], f"{name}.out")


def cross_attention(graph: Graph, states: str, other: str, other_lengths: str, weights: Weights, name: str) -> str:
    """Add `models.attention.CrossAttention`.

    Args:
        graph: The graph to add to.
        states: (batch, time, width).
        other: (batch, other time, width).
        other_lengths: (batch,) int64.
        weights: State dict.
        name: Of the module in the state dict.

    Returns:
        (batch, time, width).
    """
    queries = _product(graph, states, weights, f"{name}.query")
    keys = graph.add("Transpose", [_product(graph, other, weights, f"{name}.key")], f"{name}.keys", perm=[0, 2, 1])
    scale = graph.constant(f"{name}.scale", np.sqrt(np.float32(weights[f"{name}.query.weight"].shape[0])))
    scores = graph.add("Div", [graph.add("MatMul", [queries, keys], f"{name}.products"), scale], f"{name}.scores")
    real = real_steps(graph, other, other_lengths, name)
    across = graph.add("Transpose", [real], f"{name}.across", perm=[0, 2, 1])  # (batch, 1, other time)
    alpha = graph.add("Softmax", [_masked(graph, scores, across, name)], f"{name}.alpha", axis=-1)
    context = graph.add("MatMul", [alpha, other], f"{name}.context")
    both = graph.add("Concat", [states, context], f"{name}.both", axis=-1)
    return graph.add("Tanh", [_dense(graph, both, weights, f"{name}.merge")], f"{name}.out")


def multi_resolution(graph: Graph, x: str, lengths: str, weights: Weights, name: str) -> str:
    """Add `models.multiresolution_cnn.MultiResolutionEncoder` up to its dense layer.

    Args:
        graph: The graph to add to.
        x: (batch, n, dim).
        lengths: (batch,) int64.
        weights: State dict.
        name: Of the module in the state dict.

    Returns:
        (batch, 2·filters·kernels).
    """
    x, real, count = _channels(graph, x, lengths, name)
    x = graph.add("Mul", [x, real], f"{name}.masked")
    pooled = []
    for i, kernel in enumerate(MCNN_KERNELS):
        layer = f"{name}.convolutions.{i}"
        inputs = [x, *(graph.constant(f"{layer}.{part}", weights[f"{layer}.{part}"]) for part in ("weight", "bias"))]
        convolved = graph.add("Conv", inputs, f"{layer}.out", pads=[(kernel - 1) // 2, kernel // 2])
        pooled += _mean_and_deviation(graph, graph.add("Relu", [convolved], f"{layer}.relu"), real, count, layer)
    return _concatenated(graph, pooled, name)


def statistics(graph: Graph, x: str, lengths: str, name: str) -> str:
    """Add `models.encoders.StatisticsEncoder` up to its dense layer.

    Args:
        graph: The graph to add to.
        x: (batch, time, features).
        lengths: (batch,) int64.
        name: Prefix of the new names.

    Returns:
        (batch, 2·features).
    """
    x, real, count = _channels(graph, x, lengths, name)
    return _concatenated(graph, _mean_and_deviation(graph, x, real, count, name), name)


def _channels(graph: Graph, x: str, lengths: str, name: str) -> tuple[str, str, str]:
    """x (batch, time, dim) → (batch, dim, time); mask of real steps (batch, 1, time); their number (batch, 1, 1)."""
    real = graph.add("Transpose", [real_steps(graph, x, lengths, name)], f"{name}.real.row", perm=[0, 2, 1])
    count = graph.add("ReduceSum", [real, graph.integers(f"{name}.last", [-1])], f"{name}.count", keepdims=1)
    return graph.add("Transpose", [x], f"{name}.channels", perm=[0, 2, 1]), real, count


def _mean_and_deviation(graph: Graph, x: str, real: str, count: str, name: str) -> list[str]:
    """`models.pooling.mean_and_deviation`: both (batch, channels, 1)."""
    mean = _mean(graph, x, real, count, f"{name}.mean")
    centred = graph.add("Sub", [x, mean], f"{name}.apart")
    variance = _mean(graph, graph.add("Mul", [centred, centred], f"{name}.square"), real, count, f"{name}.variance")
    floor = graph.constant(f"{name}.floor", np.array(_VARIANCE_FLOOR))
    return [mean, graph.add("Sqrt", [graph.add("Add", [variance, floor], f"{name}.above")], f"{name}.deviation")]


def _concatenated(graph: Graph, pooled: list[str], name: str) -> str:
    """(batch, channels, 1) each → (batch, all channels)."""
    concatenated = graph.add("Concat", pooled, f"{name}.together", axis=1)
    return graph.add("Squeeze", [concatenated, graph.integers(f"{name}.flat", [2])], f"{name}.pooled")


def confidence_fusion(graph: Graph, encoded: list[str], weights: Weights, head_layers: int) -> str:
    """Add `models.confidence.ConfidenceFusion`.

    Args:
        graph: The graph to add to.
        encoded: (batch, width) of each encoder, the acoustic one first.
        weights: State dict.
        head_layers: Dense layers in each encoder's head before the last one.

    Returns:
        Logits (batch, classes).
    """
    weighted = []
    for name, x, trust in zip(("acoustic", "words"), encoded, weights["confidence.trust"], strict=True):
        own = graph.head(x, weights, f"confidence.heads.{name}", head_layers)
        posterior = graph.add("LogSoftmax", [own], f"confidence.{name}.posterior", axis=1)
        evidence = graph.add("Concat", [x, posterior], f"confidence.{name}.evidence", axis=1)
        score = graph.linear(evidence, weights, f"confidence.gates.{name}")
        gate = graph.add("Sigmoid", [score], f"confidence.{name}.gate")
        factor = graph.constant(f"confidence.{name}.trust", trust)
        weight = graph.add("Mul", [gate, factor], f"confidence.{name}.weight")
        weighted.append(graph.add("Mul", [weight, posterior], f"confidence.{name}.weighed"))
    return graph.add("Add", weighted, "confidence.out")


def kernel_head(graph: Graph, x: str, weights: Weights, name: str) -> str:
    """Add `models.heads.KernelHead`.

    Args:
        graph: The graph to add to.
        x: (batch, inputs).
        weights: State dict.
        name: Of the head in the state dict.

    Returns:
        Logits (batch, classes).
    """

    def constant(part: str, value: np.ndarray | float) -> str:
        return graph.add(
            "Cast", [graph.constant(f"{name}.{part}", np.asarray(value, np.float32))], f"{name}.{part}.wide", to=DOUBLE
        )

    x = graph.add("Cast", [x], f"{name}.wide", to=DOUBLE)
    thirds = graph.add("Div", [x, constant("limit", KERNEL_LIMIT)], f"{name}.thirds")
    limited = graph.add("Tanh", [thirds], f"{name}.limited")
    scaled = graph.add("Mul", [limited, constant("scale", weights[f"{name}.scale"])], f"{name}.scaled")
    squares = graph.add("Mul", [scaled, scaled], f"{name}.squares")
    length = graph.add("ReduceSum", [squares, graph.integers(f"{name}.axis", [1])], f"{name}.length", keepdims=1)
    lengths = graph.add("Mul", [length, constant("half", 0.5)], f"{name}.length.half")
    both = graph.add("Add", [lengths, constant("halves", weights[f"{name}.halves"])], f"{name}.lengths")
    products = graph.add("MatMul", [scaled, constant("support", weights[f"{name}.support"].T)], f"{name}.products")
    distances = graph.add("Relu", [graph.add("Sub", [both, products], f"{name}.differences")], f"{name}.distances")
    exponents = graph.add("Mul", [distances, constant("minus", -1.0)], f"{name}.exponents")
    kernel = graph.add("Exp", [exponents], f"{name}.kernel")
    sums = graph.add("MatMul", [kernel, constant("coefficients", weights[f"{name}.coefficients"])], f"{name}.sums")
    decisions = graph.add("Add", [sums, constant("intercepts", weights[f"{name}.intercepts"])], f"{name}.decisions")
    soft = graph.add("Tanh", [decisions], f"{name}.soft")
    logits = graph.add("MatMul", [soft, constant("votes", weights[f"{name}.votes"])], f"{name}.logits")
    return graph.add("Cast", [logits], f"{name}.out", to=FLOAT)


def real_steps(graph: Graph, x: str, lengths: str, name: str) -> str:
    """Add a mask of the steps that are not padding.

    Args:
        graph: The graph to add to.
        x: (batch, time, …).
        lengths: (batch,) int64; 0 counts as 1.
        name: Prefix of the new names.

    Returns:
        (batch, time, 1) float32, 1 for real steps, 0 for padding.
    """
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
    """Exclude padding from a softmax: scores + 1e9·(real − 1)."""
    one, far = (graph.constant(f"{name}.mask.{key}", np.array(n, np.float32)) for key, n in (("one", 1), ("far", _FAR)))
    short = graph.add("Sub", [real, one], f"{name}.mask.short")
    return graph.add("Add", [scores, graph.add("Mul", [short, far], f"{name}.mask.down")], f"{name}.mask.out")


def _mean(graph: Graph, x: str, real: str, count: str, name: str) -> str:
    """Mean (batch, channels, 1) over the real steps of x (batch, channels, n)."""
    kept = graph.add("Mul", [x, real], f"{name}.kept")
    total = graph.add("ReduceSum", [kept, graph.integers(f"{name}.axis", [-1])], f"{name}.total", keepdims=1)
    return graph.add("Div", [total, count], f"{name}.out")


def _product(graph: Graph, x: str, weights: Weights, name: str) -> str:
    """x·Wᵀ of x (batch, time, width)."""
    return graph.add("MatMul", [x, graph.constant(f"{name}.weight", weights[f"{name}.weight"].T)], f"{name}.product")


def _dense(graph: Graph, x: str, weights: Weights, name: str) -> str:
    """x·Wᵀ + b of x (batch, time, width)."""
    product = _product(graph, x, weights, name)
    return graph.add("Add", [product, graph.constant(f"{name}.bias", weights[f"{name}.bias"])], f"{name}.out")
