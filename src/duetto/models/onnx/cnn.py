"""`models.cnn.ConvolutionalEncoder` as ONNX operators.

    frames (batch, time, values) ─ [Conv ─ Relu ─ mask | MaxPool] × layers ─ mean over steps ─ dense ─▶ (batch, dense)

ONNX can pad the time axis with unequal numbers of zeros before and after, as `config.cnn_stacks` requires; each
convolution is masked as in the PyTorch model.
"""

from __future__ import annotations

from ...config.cnn_stacks import Convolution, Stack, layer_numbers
from .graph import FLOAT, Graph, Weights


def encoder(graph: Graph, stack: Stack, frames: str, lengths: str, weights: Weights, name: str) -> str:
    """Add the encoder to a graph.

    Args:
        graph: The graph to add to.
        stack: The encoder's layers.
        frames: (batch, time, values).
        lengths: (batch,) int64.
        weights: State dict.
        name: Of the encoder in the state dict.

    Returns:
        (batch, dense).
    """
    x, lengths = _channels(graph, stack, frames, lengths, name)
    x = _masked(graph, x, lengths, stack, f"{name}.input")
    lengths = graph.at_least_one(lengths, name)
    for place, layer in zip(layer_numbers(stack), stack.layers, strict=True):
        layer_name = f"{name}.features.{place}"
        before = layer.padding if isinstance(layer, Convolution) else 0
        window = _window(stack, layer.kernel, layer.stride, before)
        lengths = _steps(graph, lengths, layer.stride, layer_name)
        if isinstance(layer, Convolution):
            parts = [f"{layer_name}.{part}" for part in ("weight", "bias")]
            kernel = [graph.constant(part, weights[part]) for part in parts]
            x = graph.add("Conv", [x, *kernel], f"{layer_name}.conv", **window)
            x = _masked(graph, graph.add("Relu", [x], f"{layer_name}.relu"), lengths, stack, layer_name)
        else:
            x = graph.add("MaxPool", [x], f"{layer_name}.pool", **window)
    return graph.projected(_mean(graph, x, lengths, weights, name), weights, name)


def _channels(graph: Graph, stack: Stack, frames: str, lengths: str, name: str) -> tuple[str, str]:
    """Frames (batch, time, values) as channels (batch, channels, …, steps), and their lengths in steps."""
    if not stack.image:
        # The values of a frame are samples: one channel, and one step per sample.
        width = graph.add("Shape", [frames], f"{name}.width", start=2, end=3)
        lengths = graph.add("Mul", [lengths, width], f"{name}.samples")
        return graph.add("Reshape", [frames, graph.integers(f"{name}.row", [0, 1, -1])], f"{name}.signal"), lengths
    bands = graph.add("Transpose", [frames], f"{name}.bands", perm=[0, 2, 1])
    x = graph.add("Unsqueeze", [bands, graph.integers(f"{name}.channel", [1])], f"{name}.image")
    if stack.copies > 1:
        x = graph.add("Concat", [x] * stack.copies, f"{name}.copies", axis=1)
    return x, lengths


def _mean(graph: Graph, x: str, lengths: str, weights: Weights, name: str) -> str:
    """Mean over the steps of x (batch, channels, …, steps): (batch, channels · bands)."""
    width = weights[f"{name}.dense.weight"].shape[1]
    rows = graph.add("Reshape", [x, graph.integers(f"{name}.rows", [0, width, -1])], f"{name}.flat")
    total = graph.add("ReduceSum", [rows, graph.integers(f"{name}.last", [-1])], f"{name}.total", keepdims=0)
    count = graph.add("Cast", [_unsqueezed(graph, lengths, [1], f"{name}.count")], f"{name}.divisor", to=FLOAT)
    return graph.add("Div", [total, count], f"{name}.mean")


def _window(stack: Stack, kernel: int, stride: int, before: int) -> dict[str, list[int]]:
    """Attributes of a layer's window; ONNX lists the padding before all axes first, then that after all axes."""
    axes = 2 if stack.image else 1
    along_bands = [before] * (axes - 1)
    pads = [*along_bands, before, *along_bands, kernel - 1 - before]
    return {"kernel_shape": [kernel] * axes, "strides": [stride] * axes, "pads": pads}


def _steps(graph: Graph, lengths: str, stride: int, name: str) -> str:
    """⌈lengths / stride⌉."""
    if stride == 1:
        return lengths
    most = graph.add("Add", [lengths, graph.integers(f"{name}.most", stride - 1)], f"{name}.more")
    return graph.add("Div", [most, graph.integers(f"{name}.stride", stride)], f"{name}.steps")


def _masked(graph: Graph, x: str, lengths: str, stack: Stack, name: str) -> str:
    """Set x (batch, …, time) to zero from each sequence's length on."""
    width = graph.add("Shape", [x], f"{name}.shape", start=-1)
    scalar = graph.add("Squeeze", [width], f"{name}.time")
    zero, one = (graph.integers(f"{name}.{key}", number) for key, number in (("from", 0), ("by", 1)))
    steps = graph.add("Range", [zero, scalar, one], f"{name}.index")
    ends = _unsqueezed(graph, lengths, [1, 2, 3] if stack.image else [1, 2], f"{name}.ends")
    real = graph.add("Less", [steps, ends], f"{name}.real")
    return graph.add("Mul", [x, graph.add("Cast", [real], f"{name}.mask", to=FLOAT)], f"{name}.masked")


def _unsqueezed(graph: Graph, x: str, axes: list[int], name: str) -> str:
    return graph.add("Unsqueeze", [x, graph.integers(f"{name}.axes", axes)], name)
