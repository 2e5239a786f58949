"""Validation of an ONNX graph before ONNX Runtime loads it, since a model folder may come from anybody.

    model.onnx ─ onnx_file.read ─▶ OnnxModel ─ check ─▶ shapes of all its tensors, or a ValueError

A graph passes if every operator, with its attributes, is one that duetto's own graphs have (`OPERATORS`: no loops, no
conditions, no random numbers, nothing that reads a file), if everything that determines a size is a constant of the
file or the size of another tensor, and if, for the longest input that the description permits, the tensors that are
needed at any one time have at most `MOST_ELEMENTS` elements, and all need at most `MOST_OPERATIONS` multiplications.

No size decreases with the number of frames or words, so the longest input is the worst case. The bounds hold for
constant subgraphs too, which ONNX Runtime computes when it loads a graph; their tensors count as needed to the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .onnx_file import Node, OnnxModel, Value
from .reading import shortened

OPSET = 17
"""Version of the standard operators that duetto's graphs use."""

MOST_ELEMENTS = 1 << 29
"""Limit of the elements of tensors in memory at one time, for the longest input: 2 GiB in float32."""

MOST_ELEMENTS_OF_ENCODERS = 1 << 30
"""The same for speech encoders: a model of 300 million 8-bit weights counts twice as many, before and after scaling."""

MOST_OPERATIONS = 10**12
"""Limit of the multiplications (or comparisons) for the longest input: about a minute on one core."""

_MOST_AXES = 8

Shape = tuple[int, ...]
"""Sizes of a tensor."""

OPERATORS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("Add", "Div", "Less", "Max", "Mul", "Sub"), frozenset()),
    **dict.fromkeys(("Cos", "Erf", "Exp", "Identity", "Relu", "Sigmoid", "Sin", "Sqrt", "Tanh"), frozenset()),
    **dict.fromkeys(("LayerNormalization", "MatMul", "Range", "Reshape", "Squeeze", "Unsqueeze"), frozenset()),
    **dict.fromkeys(("Concat", "Gather", "LogSoftmax", "Softmax"), frozenset({"axis"})),
    "Conv": frozenset({"group", "kernel_shape", "pads", "strides"}),
    "MaxPool": frozenset({"kernel_shape", "pads", "strides"}),
    "Cast": frozenset({"to"}),
    "Gemm": frozenset({"transB"}),
    "InstanceNormalization": frozenset(),
    "LSTM": frozenset({"direction", "hidden_size"}),
    "ReduceSum": frozenset({"keepdims"}),
    "Shape": frozenset({"start", "end"}),
    "Transpose": frozenset({"perm"}),
}
"""Operator of the graphs that duetto writes → the attributes that it has there."""

SPOKEN_OPERATORS = frozenset({"Cast", "Identity", "LSTM", "Max", "Reshape", "Transpose"})
"""Those of the encoder of spoken words, whose input has no greatest length: the time of all is linear in it."""


SPEECH_ENCODER_OPERATORS = frozenset(
    {"Add", "Cast", "Concat", "Conv", "Cos", "Erf", "Gather", "Identity", "InstanceNormalization", "LayerNormalization"}
    | {"MatMul", "Mul", "Range", "Reshape", "Shape", "Sigmoid", "Sin", "Softmax", "Squeeze", "Sub", "Transpose"}
    | {"Unsqueeze"}
)
"""Those of a speech encoder (`models.onnx.whisper`, `models.onnx.wav2vec2`)."""


@dataclass
class _Sizes:
    """What is known after some of the nodes.

    shapes: of every tensor so far. values: integers that may determine a size: constants, and sizes of tensors.
    constants, inputs: names. fixed: names of what follows from constants alone. elements: of the tensors in memory.
    operations: computed so far.
    """

    shapes: dict[str, Shape]
    values: dict[str, np.ndarray]
    constants: frozenset[str]
    inputs: frozenset[str]
    fixed: set[str]
    elements: int = 0
    operations: int = 0

    def integers(self, name: str, *, constant: bool = True) -> np.ndarray:
        """Return the integers of a tensor that determines a size."""
        if name not in self.values or (constant and name not in self.constants):
            raise ValueError("a size in it follows from what it computes, not from its constants")
        return self.values[name]


def check(
    model: OnnxModel,
    inputs: Mapping[str, Value],
    largest: Mapping[str, int],
    operators: frozenset[str] = frozenset(OPERATORS),
    most_elements: int = MOST_ELEMENTS,
) -> dict[str, Shape]:
    """Validate a graph and infer the shapes of its tensors.

    Args:
        model: From `onnx_file.read`.
        inputs: The inputs that it must have.
        largest: Name of each free size in `inputs` → its greatest value; the batch is 1.
        operators: Operators that may occur.
        most_elements: Limit of the elements of tensors in memory at one time.

    Returns:
        Name of each tensor → its shape for one recording of the greatest length.

    Raises:
        ValueError: The graph contains what duetto never writes, would take too much memory or time, or has other
            inputs.
    """
    sizes = _initial_sizes(model, inputs, largest)
    last = {name: place for place, node in enumerate(model.nodes) for name in (*node.inputs, *node.outputs)}
    last |= dict.fromkeys(model.outputs, len(model.nodes))
    for place, node in enumerate(model.nodes):
        for name, shape in _computed(node, sizes, operators).items():
            if name in sizes.shapes:
                raise ValueError("it computes one tensor twice")
            _require(len(shape) <= _MOST_AXES)
            sizes.shapes[name] = shape
            sizes.elements += math.prod(shape)
        sizes.operations += sum(math.prod(sizes.shapes[name]) for name in node.outputs)
        if sizes.elements > most_elements or sizes.operations > MOST_OPERATIONS:
            raise ValueError(
                f"for the longest input it takes more than {most_elements:,} numbers or {MOST_OPERATIONS:,} "
                "multiplications, which is the limit"
            )
        _release(node, sizes, {name for name in (*node.inputs, *node.outputs) if last[name] == place})
    return sizes.shapes


def _release(node: Node, sizes: _Sizes, last: set[str]) -> None:
    """Subtract the tensors of a node that no later one reads; what follows from constants alone stays."""
    if sizes.fixed.issuperset(node.inputs):
        sizes.fixed.update(node.outputs)
    sizes.elements -= sum(math.prod(sizes.shapes[name]) for name in last - sizes.fixed - sizes.inputs)


def _initial_sizes(model: OnnxModel, inputs: Mapping[str, Value], largest: Mapping[str, int]) -> _Sizes:
    """The sizes of inputs and constants, after validating the inputs."""
    if model.opset != OPSET:
        raise ValueError(f"it is of version {model.opset} of ONNX's operators, not of {OPSET}")
    if dict(model.inputs) != dict(inputs):
        raise ValueError(
            f"its inputs are {_described(model.inputs)}, but its description requires {_described(inputs)}: "
            "they are not of one model"
        )
    shapes = {
        name: tuple(largest.get(n, 1) if isinstance(n, str) else n for n in value.shape)
        for name, value in inputs.items()
    }
    constants = {name: array.shape for name, array in model.constants.items()}
    if shapes.keys() & constants.keys():
        raise ValueError("an input and a constant of it have one name")
    values = {name: a for name, a in model.constants.items() if a.dtype == np.dtype("<i8") and a.size <= 8}
    return _Sizes(shapes | constants, values, frozenset(constants), frozenset(inputs), set(constants))


def _described(values: Mapping[str, Value]) -> str:
    return shortened({name: list(value.shape) for name, value in sorted(values.items())}, 200)


def _computed(node: Node, sizes: _Sizes, operators: frozenset[str]) -> dict[str, Shape]:
    """Name → shape of the outputs of a node."""
    if node.operator not in operators:
        raise ValueError(f"it has the operator {shortened(node.operator)}, which duetto's graphs don't have there")
    if unknown := node.attributes.keys() - OPERATORS[node.operator]:
        raise ValueError(f"its operator {node.operator} has the attribute {shortened(sorted(unknown)[0])}")
    missing = [name for name in node.inputs if name not in sizes.shapes]
    if missing:
        raise ValueError(f"its operator {node.operator} reads a tensor that nothing before it computes")
    rule, n_inputs = _RULES[node.operator]
    if len(node.inputs) not in n_inputs:
        raise ValueError(f"its operator {node.operator} has {len(node.inputs)} inputs")
    try:
        shapes = rule(node, [sizes.shapes[name] for name in node.inputs], sizes)
    except (IndexError, TypeError, KeyError, OverflowError) as error:  # a wrong axis; a wrong or missing attribute
        raise ValueError(f"its operator {node.operator} does not fit its inputs") from error
    if len(node.outputs) > len(shapes):
        raise ValueError(f"its operator {node.operator} has {len(node.outputs)} outputs")
    return dict(zip(node.outputs, shapes, strict=False))


_Rule = Callable[[Node, list[Shape], _Sizes], list[Shape]]


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError("the shapes of its tensors do not fit together")


def _elementwise(_: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    _require(all(0 not in shape for shape in shapes))
    return [np.broadcast_shapes(*shapes)]


def _same(_: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    return [shapes[0]]


def _transpose(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    perm = node.attributes["perm"]
    _require(sorted(perm) == list(range(len(shapes[0]))))
    return [tuple(shapes[0][axis] for axis in perm)]


def _concat(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    axis = range(len(shapes[0]))[node.attributes["axis"]]
    rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    _require(len(rest) == 1 and {len(shape) for shape in shapes} == {len(shapes[0])})
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])]


def _gather(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    data, index = node.inputs
    axis = range(len(shapes[0]))[node.attributes.get("axis", 0)]
    if data in sizes.values and data not in sizes.constants and index in sizes.constants:  # one size of a shape
        sizes.values[node.outputs[0]] = sizes.values[data][sizes.integers(index)]
    return [(*shapes[0][:axis], *shapes[1], *shapes[0][axis + 1 :])]


def _shape(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    selected = np.array(shapes[0][node.attributes.get("start", 0) : node.attributes.get("end")], np.int64)
    sizes.values[node.outputs[0]] = selected
    return [selected.shape]


def _squeeze(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    _require(len(shapes) == 2 or len(shapes[0]) == 1)
    axes = sizes.integers(node.inputs[1]) if len(shapes) == 2 else np.array([0])
    removed = {range(len(shapes[0]))[axis] for axis in axes.tolist()}
    _require(all(shapes[0][axis] == 1 for axis in removed))
    result = tuple(n for axis, n in enumerate(shapes[0]) if axis not in removed)
    if (value := sizes.values.get(node.inputs[0])) is not None:
        sizes.values[node.outputs[0]] = value.reshape(result)
    return [result]


def _unsqueeze(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    axes = sizes.integers(node.inputs[1]).tolist()
    rank = len(shapes[0]) + len(axes)
    new, old = {range(rank)[axis] for axis in axes}, iter(shapes[0])
    _require(len(new) == len(axes))
    return [tuple(1 if axis in new else next(old) for axis in range(rank))]


def _reshape(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    target = sizes.integers(node.inputs[1]).tolist()
    result = [shapes[0][axis] if n == 0 else n for axis, n in enumerate(target)]
    _require(min(result, default=1) >= -1 and result.count(-1) <= 1)
    total, known = math.prod(shapes[0]), math.prod(n for n in result if n != -1)
    if -1 in result:
        _require(known > 0 and total % known == 0)
        result[result.index(-1)] = total // known
    _require(math.prod(result) == total)
    return [tuple(result)]


def _range(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    start, step = (int(sizes.integers(node.inputs[i]).reshape(())) for i in (0, 2))
    _require((start, step) == (0, 1))
    return [(int(sizes.integers(node.inputs[1], constant=False).reshape(())),)]


def _reduce_sum(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    removed = {range(len(shapes[0]))[axis] for axis in sizes.integers(node.inputs[1]).tolist()}
    sizes.operations += math.prod(shapes[0])
    if node.attributes.get("keepdims", 1):
        return [tuple(1 if axis in removed else n for axis, n in enumerate(shapes[0]))]
    return [tuple(n for axis, n in enumerate(shapes[0]) if axis not in removed)]


def _matmul(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    (*first, rows, inner), (*second, same, columns) = shapes
    _require(inner == same)
    result = (*np.broadcast_shapes(tuple(first), tuple(second)), rows, columns)
    sizes.operations += math.prod(result) * inner
    return [result]


def _layer_normalization(_: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    _require(shapes[1] == shapes[2] == shapes[0][-1:])
    return [shapes[0]]


def _instance_normalization(_: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    _require(len(shapes[0]) > 2 and shapes[1] == shapes[2] == shapes[0][1:2])
    return [shapes[0]]


def _gemm(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    (rows, inner), weight, bias = shapes
    outer, same = weight if node.attributes.get("transB", 0) else weight[::-1]
    _require(inner == same and bias == (outer,))
    sizes.operations += rows * inner * outer
    return [(rows, outer)]


def _lstm(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    (time, batch, width), *weights = shapes
    hidden = node.attributes["hidden_size"]
    _require(node.attributes["direction"] == "bidirectional" and hidden > 0)
    _require(weights == [(2, 4 * hidden, width), (2, 4 * hidden, hidden), (2, 8 * hidden), (batch,)])
    sizes.operations += time * batch * 8 * hidden * (width + hidden)
    return [(time, 2, batch, hidden), (2, batch, hidden)]


def _windows(node: Node, size: Shape, kernel: Shape) -> Shape:
    """Sizes along the axes that a window slides over."""
    n = len(size)
    pads = node.attributes["pads"]
    strides = node.attributes.get("strides", (1,) * n)
    _require(len(kernel) == len(strides) == n and len(pads) == 2 * n and min(kernel) > 0 and min(strides) > 0)
    _require(all(0 <= pad < kernel[axis % n] for axis, pad in enumerate(pads)))
    result = tuple((size[i] + pads[i] + pads[n + i] - kernel[i]) // strides[i] + 1 for i in range(n))
    _require(min(result) > 0)
    return result


def _conv(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    (batch, channels, *size), (filters, same, *kernel), bias = shapes
    groups = node.attributes.get("group", 1)
    _require(groups > 0 and channels == same * groups and filters % groups == 0 and bias == (filters,))
    _require(node.attributes.get("kernel_shape", tuple(kernel)) == tuple(kernel))
    result = (batch, filters, *_windows(node, tuple(size), tuple(kernel)))
    sizes.operations += math.prod(result) * same * math.prod(kernel)
    return [result]


def _max_pool(node: Node, shapes: list[Shape], sizes: _Sizes) -> list[Shape]:
    (batch, channels, *size), kernel = shapes[0], node.attributes["kernel_shape"]
    result = (batch, channels, *_windows(node, tuple(size), kernel))
    sizes.operations += math.prod(result) * math.prod(kernel)
    return [result]


_RULES: dict[str, tuple[_Rule, range]] = {
    **dict.fromkeys(("Add", "Div", "Less", "Max", "Mul", "Sub"), (_elementwise, range(2, 3))),
    **dict.fromkeys(("Cast", "Cos", "Erf", "Exp", "Identity", "Relu", "Sigmoid"), (_same, range(1, 2))),
    **dict.fromkeys(("Sin", "Sqrt", "Tanh"), (_same, range(1, 2))),
    **dict.fromkeys(("Softmax", "LogSoftmax"), (_same, range(1, 2))),
    "Transpose": (_transpose, range(1, 2)),
    "Concat": (_concat, range(1, 1000)),
    "Gather": (_gather, range(2, 3)),
    "Shape": (_shape, range(1, 2)),
    "Squeeze": (_squeeze, range(1, 3)),
    "Unsqueeze": (_unsqueeze, range(2, 3)),
    "Reshape": (_reshape, range(2, 3)),
    "Range": (_range, range(3, 4)),
    "ReduceSum": (_reduce_sum, range(2, 3)),
    "LayerNormalization": (_layer_normalization, range(3, 4)),
    "InstanceNormalization": (_instance_normalization, range(3, 4)),
    "MatMul": (_matmul, range(2, 3)),
    "Gemm": (_gemm, range(3, 4)),
    "LSTM": (_lstm, range(5, 6)),
    "Conv": (_conv, range(3, 4)),
    "MaxPool": (_max_pool, range(1, 2)),
}
"""Operator → its rule of shape inference, and how many inputs it may have."""
