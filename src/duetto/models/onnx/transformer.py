"""The parts of a transformer that speech encoders share, as nodes of a graph.

frames (1, n, d) ─ normalised ─ attention ─▶ (1, n, d);    layers' outputs ─ mixed ─▶ states
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .graph import Graph, Weights


def attention(graph: Graph, x: str, weights: Weights, name: str, heads: int, bias: str | None = None) -> str:
    """Add scaled dot-product attention of frames over themselves.

    Args:
        graph: The graph.
        x: (1, n, d).
        weights: Tensors `NAME.q_proj`, `k_proj`, `v_proj` and `out_proj`, each with a weight and maybe a bias.
        name: Their prefix.
        heads: Attention heads.
        bias: (1, heads, n, n), added to the scores; None for none.

    Returns:
        (1, n, d).
    """
    width = weights[f"{name}.q_proj.weight"].shape[0]
    # Splitting the scale keeps the products small, as Whisper does.
    scale = graph.constant(f"{name}.scale", np.array((width // heads) ** -0.25, np.float32))
    shape = graph.integers(f"{name}.heads", [0, 0, heads, width // heads])

    def split(part: str, perm: list[int], *, scaled: bool) -> str:
        y = linear(graph, x, weights, f"{name}.{part}_proj")
        y = graph.add("Mul", [y, scale], f"{name}.{part}.scaled") if scaled else y
        y = graph.add("Reshape", [y, shape], f"{name}.{part}.split")
        return graph.add("Transpose", [y], f"{name}.{part}", perm=perm)

    queries, keys = split("q", [0, 2, 1, 3], scaled=True), split("k", [0, 2, 3, 1], scaled=True)
    scores = graph.add("MatMul", [queries, keys], f"{name}.scores")
    scores = scores if bias is None else graph.add("Add", [scores, bias], f"{name}.biased")
    share = graph.add("Softmax", [scores], f"{name}.share", axis=-1)
    mixture = graph.add("MatMul", [share, split("v", [0, 2, 1, 3], scaled=False)], f"{name}.mixed")
    rows = graph.add("Transpose", [mixture], f"{name}.rows", perm=[0, 2, 1, 3])
    joined = graph.add("Reshape", [rows, graph.integers(f"{name}.joined.shape", [0, 0, width])], f"{name}.joined")
    return linear(graph, joined, weights, f"{name}.out_proj")


def linear(graph: Graph, x: str, weights: Weights, name: str) -> str:
    """Add x·Wᵀ + b over the last axis.

    Args:
        graph: The graph.
        x: (…, inputs).
        weights: Tensors `NAME.weight` (outputs, inputs) and, where there is one, `NAME.bias`.
        name: Their prefix.

    Returns:
        (…, outputs).
    """
    weight = graph.constant(f"{name}.weight", weights[f"{name}.weight"].T)
    product = graph.add("MatMul", [x, weight], f"{name}.product")
    if f"{name}.bias" not in weights:
        return product
    return graph.add("Add", [product, graph.constant(f"{name}.bias", weights[f"{name}.bias"])], f"{name}.sum")


def normalised(graph: Graph, x: str, weights: Weights, name: str) -> str:
    """Add layer normalisation along the last axis, with ε = 1e-5, the default of ONNX and PyTorch.

    Args:
        graph: The graph.
        x: (…, d).
        weights: Tensors `NAME.weight` and `NAME.bias`, (d,).
        name: Their prefix.

    Returns:
        (…, d).
    """
    parts = [graph.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias")]
    return graph.add("LayerNormalization", [x, *parts], f"{name}.out")


def gelu(graph: Graph, x: str, name: str) -> str:
    """Add x · Φ(x), with Φ from the error function, not its tanh approximation.

    Args:
        graph: The graph.
        x: Of any shape.
        name: Prefix of the new names.

    Returns:
        The same shape.
    """
    numbers = ("root", 0.5**0.5), ("one", 1.0), ("half", 0.5)
    root, one, half = (graph.constant(f"{name}.gelu.{word}", np.array(number, np.float32)) for word, number in numbers)
    error = graph.add("Erf", [graph.add("Mul", [x, root], f"{name}.gelu.scaled")], f"{name}.gelu.error")
    share = graph.add("Mul", [graph.add("Add", [error, one], f"{name}.gelu.twice"), half], f"{name}.gelu.share")
    return graph.add("Mul", [x, share], f"{name}.gelu")


def mixed(graph: Graph, layers: Sequence[str], mix: Sequence[float] | None) -> str:
    """Add the output of an encoder: the last layer, or a weighted sum of all.

    Args:
        graph: The graph.
        layers: Output of each layer, (1, n, d).
        mix: Weight of each layer; None for the last layer alone.

    Returns:
        `states` (1, n, d).
    """
    if mix is None:
        return graph.add("Identity", [layers[-1]], "states")
    total = ""
    for place, (layer, weight) in enumerate(zip(layers, mix, strict=True)):
        share = graph.constant(f"mix.{place}.weight", np.array(weight, np.float32))
        part = graph.add("Mul", [layer, share], f"mix.{place}.part")
        total = graph.add("Add", [total, part], f"mix.{place}.sum") if total else part
    return graph.add("Identity", [total], "states")
