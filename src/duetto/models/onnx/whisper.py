"""The first layers of Whisper's encoder as a graph: log-mel frames in, features of 20 ms out.

    mel (1, bands, time) ─ convolution, GELU ─ convolution of stride 2, GELU ─ + positions ─ layers
        ─▶ states (1, ⌈time / 2⌉, d)

Radford et al., "Robust speech recognition via large-scale weak supervision", 2022. The positions are the published
sinusoids, computed instead of stored, so any number of frames works and nothing is padded to 30 s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .graph import FLOAT, Graph, Weights
from .transformer import attention, gelu, linear, mixed, normalised

_LONGEST_PERIOD = 10_000.0


def encoder(weights: Weights, heads: int, layers: int, mix: Sequence[float] | None = None) -> bytes:
    """Build the graph.

    Args:
        weights: The encoder's tensors as float32 under the names of Hugging Face's `WhisperEncoder`: `conv1.weight`,
            `layers.0.self_attn.q_proj.weight`, …
        heads: Attention heads of a layer.
        layers: How many layers to keep, from the first.
        mix: Weight of each kept layer in the states; None for the last one alone.

    Returns:
        A serialised ONNX model. Input `mel` (1, bands, time) float32; output `states` (1, ⌈time / 2⌉, d) float32,
        before any final normalisation.
    """
    graph = Graph()
    x = graph.input("mel", FLOAT, [1, weights["conv1.weight"].shape[1], "time"])
    for number, stride in (("1", 1), ("2", 2)):
        names = [graph.constant(f"conv{number}.{part}", weights[f"conv{number}.{part}"]) for part in ("weight", "bias")]
        x = graph.add("Conv", [x, *names], f"conv{number}.out", pads=[1, 1], strides=[stride])
        x = gelu(graph, x, f"conv{number}")
    x = graph.add("Transpose", [x], "frames", perm=[0, 2, 1])
    width = weights["conv2.bias"].shape[0]
    x = graph.add("Add", [x, _positions(graph, x, width)], "placed")
    outputs = []
    for number in range(layers):
        x = _layer(graph, x, weights, f"layers.{number}", heads)
        outputs.append(x)
    mixed(graph, outputs, mix)
    return graph.serialise("states", [1, "frames", width])


def _layer(graph: Graph, x: str, weights: Weights, name: str, heads: int) -> str:
    """Self-attention and a feed-forward network, each on normalised input and added to it."""
    read = normalised(graph, x, weights, f"{name}.self_attn_layer_norm")
    x = graph.add("Add", [x, attention(graph, read, weights, f"{name}.self_attn", heads)], f"{name}.attended")
    hidden = linear(graph, normalised(graph, x, weights, f"{name}.final_layer_norm"), weights, f"{name}.fc1")
    hidden = linear(graph, gelu(graph, hidden, f"{name}.fc1"), weights, f"{name}.fc2")
    return graph.add("Add", [x, hidden], f"{name}.out")


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
