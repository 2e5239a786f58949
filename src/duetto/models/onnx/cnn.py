"""`models.cnn.ConvolutionalEncoder` as ONNX operators.

    frames (batch, time, values) ─ [Conv ─ Relu ─ mask | MaxPool] × layers ─ mean over steps ─ dense ─▶ (batch, dense)

ONNX pads a layer's time by unequal numbers of zeros before and after, so its steps are those of `convolutions`; the
mask of each convolution repeats the model's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...config.cnn_stacks import Convolution, Stack, layer_numbers
from .graph import FLOAT, Graph


def encoder(graph: Graph, stack: Stack, frames: str, lengths: str, weights: Mapping[str, np.ndarray], name: str) -> str:
    """Add the encoder `name` of the state dict: frames (batch, time, values), lengths (batch,) → (batch, dense)."""
    if stack.image:
        bands = graph.add("Transpose", [frames], f"{name}.bands", perm=[0, 2, 1])
        x = graph.add("Unsqueeze", [bands, graph.integers(f"{name}.channel", [1])], f"{name}.image")
        if stack.copies > 1:
            x = graph.add("Concat", [x] * stack.copies, f"{name}.copies", axis=1)
    else:
        # The values of a frame are samples: one channel, and as many steps as samples.
        width = graph.add("Shape", [frames], f"{name}.width", start=2, end=3)
        lengths = graph.add("Mul", [lengths, width], f"{name}.samples")
        x = graph.add("Reshape", [frames, graph.integers(f"{name}.row", [0, 1, -1])], f"{name}.signal")
    x = _masked(graph, x, lengths, stack, f"{name}.input")
    lengths = graph.at_least_one(lengths, name)
    for place, layer in zip(layer_numbers(stack), stack.layers, strict=True):
        at = f"{name}.features.{place}"
        before = layer.padding if isinstance(layer, Convolution) else 0
        window = _window(stack, layer.kernel, layer.stride, before)
        lengths = _steps(graph, lengths, layer.stride, at)
        if isinstance(layer, Convolution):
            kernel = [graph.constant(f"{at}.{part}", weights[f"{at}.{part}"]) for part in ("weight", "bias")]
            x = graph.add("Relu", [graph.add("Conv", [x, *kernel], f"{at}.conv", **window)], f"{at}.relu")
            x = _masked(graph, x, lengths, stack, at)
        else:
            x = graph.add("MaxPool", [x], f"{at}.pool", **window)
    rows = graph.add("Reshape", [x, graph.integers(f"{name}.rows", _flat(stack, weights, name))], f"{name}.flat")
    total = graph.add("ReduceSum", [rows, graph.integers(f"{name}.last", [-1])], f"{name}.total", keepdims=0)
    count = graph.add("Cast", [_unsqueezed(graph, lengths, [1], f"{name}.count")], f"{name}.divisor", to=FLOAT)
    mean = graph.add("Div", [total, count], f"{name}.mean")
    return graph.add("Relu", [graph.linear(mean, weights, f"{name}.dense")], f"{name}.out")


def _window(stack: Stack, kernel: int, stride: int, before: int) -> dict[str, list[int]]:
    """Attributes of a layer's window; ONNX's pads are all beginnings, then all ends."""
    axes = 2 if stack.image else 1
    along_bands = [before] * (axes - 1)
    pads = [*along_bands, before, *along_bands, kernel - 1 - before]
    return {"kernel_shape": [kernel] * axes, "strides": [stride] * axes, "pads": pads}


def _flat(stack: Stack, weights: Mapping[str, np.ndarray], name: str) -> list[int]:
    """Shape (batch, channels · bands, steps), for a Reshape that keeps the batch and finds the steps."""
    return [0, weights[f"{name}.dense.weight"].shape[1], -1]


def _steps(graph: Graph, lengths: str, stride: int, name: str) -> str:
    """⌈lengths / stride⌉."""
    if stride == 1:
        return lengths
    most = graph.add("Add", [lengths, graph.integers(f"{name}.most", stride - 1)], f"{name}.more")
    return graph.add("Div", [most, graph.integers(f"{name}.stride", stride)], f"{name}.steps")


def _masked(graph: Graph, x: str, lengths: str, stack: Stack, name: str) -> str:
    """x (batch, …, time), zero from each sequence's length on."""
    width = graph.add("Shape", [x], f"{name}.shape", start=-1)
    scalar = graph.add("Squeeze", [width], f"{name}.time")
    zero, one = (graph.integers(f"{name}.{word}", number) for word, number in (("from", 0), ("by", 1)))
    steps = graph.add("Range", [zero, scalar, one], f"{name}.index")
    ends = _unsqueezed(graph, lengths, [1, 2, 3] if stack.image else [1, 2], f"{name}.ends")
    real = graph.add("Less", [steps, ends], f"{name}.real")
    return graph.add("Mul", [x, graph.add("Cast", [real], f"{name}.mask", to=FLOAT)], f"{name}.masked")


def _unsqueezed(graph: Graph, x: str, axes: list[int], name: str) -> str:
    return graph.add("Unsqueeze", [x, graph.integers(f"{name}.axes", axes)], name)
