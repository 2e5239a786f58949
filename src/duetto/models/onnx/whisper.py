"""The first layers of Whisper's encoder as a graph: log-mel frames in, features of 20 ms out.

    mel (1, bands, time) ─ convolution, GELU ─ convolution of stride 2, GELU ─ + positions ─ layers
        ─▶ states (1, ⌈time / 2⌉, d)

Radford et al., "Robust speech recognition via large-scale weak supervision", 2022. The positions are the published
sinusoids, computed instead of stored, so any number of frames works and nothing is padded to 30 s.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .graph import FLOAT, Graph

Weights = Mapping[str, np.ndarray]
_LONGEST_PERIOD = 10_000.0


def encoder(weights: Weights, heads: int, layers: int) -> bytes:
    """Build the graph.

    Args:
        weights: The encoder's tensors as float32 under the names of Hugging Face's `WhisperEncoder`: `conv1.weight`,
            `layers.0.self_attn.q_proj.weight`, …
        heads: Attention heads of a layer.
        layers: How many layers to keep, from the first.

    Returns:
        A serialised ONNX model. Input `mel` (1, bands, time) float32; output `states` (1, ⌈time / 2⌉, d) float32, those
        that the last kept layer gives, before any final normalisation.
    """
    graph = Graph()
    x = graph.input("mel", FLOAT, [1, weights["conv1.weight"].shape[1], "time"])
    for number, stride in (("1", 1), ("2", 2)):
        names = [graph.constant(f"conv{number}.{part}", weights[f"conv{number}.{part}"]) for part in ("weight", "bias")]
        x = graph.add("Conv", [x, *names], f"conv{number}.out", pads=[1, 1], strides=[stride])
        x = _gelu(graph, x, f"conv{number}")
    x = graph.add("Transpose", [x], "frames", perm=[0, 2, 1])
    width = weights["conv2.bias"].shape[0]
    x = graph.add("Add", [x, _positions(graph, x, width)], "placed")
    for number in range(layers):
        x = _layer(graph, x, weights, f"layers.{number}", heads)
    graph.add("Identity", [x], "states")
    return graph.serialise("states", [1, "frames", width])


def _layer(graph: Graph, x: str, weights: Weights, name: str, heads: int) -> str:
    """Self-attention and a feed-forward network, each on normalised input and added to it."""
    attended = _attention(graph, _normalised(graph, x, weights, f"{name}.self_attn_layer_norm"), weights, name, heads)
    x = graph.add("Add", [x, attended], f"{name}.attended")
    hidden = _linear(graph, _normalised(graph, x, weights, f"{name}.final_layer_norm"), weights, f"{name}.fc1")
    hidden = _linear(graph, _gelu(graph, hidden, f"{name}.fc1"), weights, f"{name}.fc2")
    return graph.add("Add", [x, hidden], f"{name}.out")


def _attention(graph: Graph, x: str, weights: Weights, layer: str, heads: int) -> str:
    """Scaled dot-product attention of frames (1, n, d) over themselves."""
    name = f"{layer}.self_attn"
    width = weights[f"{name}.q_proj.weight"].shape[0]
    # Splitting the scale keeps the products small, as Whisper does.
    scale = graph.constant(f"{name}.scale", np.array((width // heads) ** -0.25, np.float32))
    shape = graph.integers(f"{name}.heads", [0, 0, heads, width // heads])

    def split(part: str, perm: list[int], *, scaled: bool) -> str:
        y = _linear(graph, x, weights, f"{name}.{part}_proj")
        y = graph.add("Mul", [y, scale], f"{name}.{part}.scaled") if scaled else y
        y = graph.add("Reshape", [y, shape], f"{name}.{part}.split")
        return graph.add("Transpose", [y], f"{name}.{part}", perm=perm)

    queries, keys = split("q", [0, 2, 1, 3], scaled=True), split("k", [0, 2, 3, 1], scaled=True)
    scores = graph.add("MatMul", [queries, keys], f"{name}.scores")
    share = graph.add("Softmax", [scores], f"{name}.share", axis=-1)
    mixed = graph.add("MatMul", [share, split("v", [0, 2, 1, 3], scaled=False)], f"{name}.mixed")
    rows = graph.add("Transpose", [mixed], f"{name}.rows", perm=[0, 2, 1, 3])
    joined = graph.add("Reshape", [rows, graph.integers(f"{name}.joined.shape", [0, 0, width])], f"{name}.joined")
    return _linear(graph, joined, weights, f"{name}.out_proj")


def _linear(graph: Graph, x: str, weights: Weights, name: str) -> str:
    """x·Wᵀ + b over the last axis; b may be missing."""
    weight = graph.constant(f"{name}.weight", weights[f"{name}.weight"].T)
    product = graph.add("MatMul", [x, weight], f"{name}.product")
    if f"{name}.bias" not in weights:
        return product
    return graph.add("Add", [product, graph.constant(f"{name}.bias", weights[f"{name}.bias"])], f"{name}.sum")


def _normalised(graph: Graph, x: str, weights: Weights, name: str) -> str:
    parts = [graph.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias")]
    return graph.add(
        "LayerNormalization", [x, *parts], f"{name}.out"
    )  # along the last axis; ε = 1e-5 by default, as in Whisper


def _gelu(graph: Graph, x: str, name: str) -> str:
    """x · Φ(x), with Φ from the error function, not its tanh approximation."""
    numbers = ("root", 0.5**0.5), ("one", 1.0), ("half", 0.5)
    root, one, half = (graph.constant(f"{name}.gelu.{word}", np.array(number, np.float32)) for word, number in numbers)
    error = graph.add("Erf", [graph.add("Mul", [x, root], f"{name}.gelu.scaled")], f"{name}.gelu.error")
    share = graph.add("Mul", [graph.add("Add", [error, one], f"{name}.gelu.twice"), half], f"{name}.gelu.share")
    return graph.add("Mul", [x, share], f"{name}.gelu")


def _positions(graph: Graph, frames: str, width: int) -> str:
    """The sinusoids of frames (1, n, width): (n, width), sines first."""
    count = graph.add("Squeeze", [graph.add("Shape", [frames], "positions.shape", start=1, end=2)], "positions.count")
    zero, one = (graph.integers(f"positions.{word}", number) for word, number in (("first", 0), ("step", 1)))
    steps = graph.add("Cast", [graph.add("Range", [zero, count, one], "positions.index")], "positions.steps", to=FLOAT)
    column = graph.add("Unsqueeze", [steps, graph.integers("positions.axis", [1])], "positions.column")
    angle = graph.add("Mul", [column, graph.constant("positions.rates", _rates(width))], "positions.angle")
    waves = [graph.add(function, [angle], f"positions.{function.lower()}") for function in ("Sin", "Cos")]
    return graph.add("Concat", waves, "positions", axis=1)


def positions(frames: int, width: int) -> np.ndarray:
    """Compute the sinusoids that Whisper adds to its frames.

    Args:
        frames: Number of frames.
        width: Values of a frame, even, at least 4.

    Returns:
        (frames, width) float32: sines, then cosines, of rates from 1 down to 1 / 10 000.
    """
    angle = np.arange(frames, dtype=np.float32)[:, None] * _rates(width)
    return np.concatenate((np.sin(angle), np.cos(angle)), axis=1)


def _rates(width: int) -> np.ndarray:
    """Radians from one frame to the next, (width / 2,) float32."""
    return np.exp(-np.log(_LONGEST_PERIOD) / (width // 2 - 1) * np.arange(width // 2)).astype(np.float32)
