"""Quantisation of weights to 8-bit integers, which the graph itself turns back into float32.

weight (float32) ─ int8 ─▶ integers, scales ─ Cast ─ Mul ─▶ weight ─▶ Gemm | MatMul | Conv | LSTM | Gather
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import MissingExtraError
from .graph import FLOAT

WEIGHTS: Mapping[str, Mapping[int, tuple[int, ...]]] = {
    "Gemm": {1: (1,)},
    "MatMul": {1: (0,)},
    "Conv": {1: (1, 2, 3)},
    "LSTM": {1: (2,), 2: (2,)},
    "Gather": {0: (1,)},
}
"""Operator → number of the input that is a weight → the axes that share a scale: those that are summed over (of a
table: the values of a word). Along the other axes each unit, channel or word has its own scale. Gemm's weight is
transposed (`Graph.linear`)."""

SMALLEST = 64
"""Values of the smallest weight that is quantised; in smaller ones the scales take the space that integers save."""

_STEPS = 127


def int8(model: bytes) -> bytes:
    """Quantise the weights of a graph to 255 steps about 0; the graph restores them to float32 by itself.

        integers, scales ─ Cast ─ Mul ─▶ weight ─▶ Gemm | MatMul | Conv | LSTM | Gather

    Only the file gets smaller: ONNX Runtime computes the products once, when it loads the graph. Its integer kernels
    are avoided: their results depend on the processor, and some saturate without 8-bit dot products. ONNX Runtime may
    fuse `DequantizeLinear` into such kernels, but not `Cast` and `Mul`.

    Args:
        model: Content of an ONNX file.

    Returns:
        Content of the quantised file.

    Raises:
        MissingExtraError: The onnx package is not installed.
    """
    try:
        import onnx
        from onnx import checker, numpy_helper
    except ImportError as error:
        raise MissingExtraError("Quantising a model", "train") from error
    graph = (parsed := onnx.load_from_string(model)).graph
    axes = {node.input[place]: axes for node in graph.node for place, axes in WEIGHTS.get(node.op_type, {}).items()}
    constants, nodes = [], []
    for constant in graph.initializer:
        weight = numpy_helper.to_array(constant)
        if constant.name not in axes or weight.size < SMALLEST or weight.dtype != np.float32:
            constants.append(constant)
            continue
        quantised, restoring = _restored(constant.name, *quantise(weight, axes[constant.name]))
        constants += quantised
        nodes += restoring
    nodes += graph.node
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(constants)
    graph.node.extend(nodes)
    checker.check_model(parsed)
    return parsed.SerializeToString()


def quantise(weight: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Quantise one weight; integers times scales are the weight to half a step.

    Args:
        weight: float32 array.
        axes: Axes that share a scale; those beyond the weight's dimensions are ignored.

    Returns:
        int8 integers of the weight's shape, and float32 scales that broadcast to it.
    """
    largest = np.abs(weight).max(tuple(axis for axis in axes if axis < weight.ndim), keepdims=True)
    scale = np.where(largest > 0, largest / np.float32(_STEPS), 1).astype(np.float32)
    return np.clip(np.rint(weight / scale), -_STEPS, _STEPS).astype(np.int8), scale


def _restored(name: str, integers: np.ndarray, scale: np.ndarray) -> tuple[list[Any], list[Any]]:
    """The constants of a quantised weight, and the nodes that restore it under the name of the weight."""
    from onnx import helper, numpy_helper

    constants = [numpy_helper.from_array(integers, f"{name}.int8"), numpy_helper.from_array(scale, f"{name}.scale")]
    cast = helper.make_node("Cast", [f"{name}.int8"], [f"{name}.steps"], name=f"{name}.steps", to=FLOAT)
    return constants, [cast, helper.make_node("Mul", [f"{name}.steps", f"{name}.scale"], [name], name=name)]
