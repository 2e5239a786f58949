"""Weights of a graph as 8-bit integers, which the graph itself turns back into float32.

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
"""Operator → which input is a weight → the axes that are summed over (of a table: the values of a word). All others
have a scale for each place: a unit, a channel, a word. Gemm has its weight transposed (`Graph.linear`)."""

SMALLEST = 64
"""Values of a weight; in a smaller one scales and operators take what the integers save."""

_STEPS = 127


def int8(model: bytes) -> bytes:
    """The same graph with its weights as 8-bit integers, 255 steps about 0, which it turns back into float32 itself:

        integers, scales ─ Cast ─ Mul ─▶ weight ─▶ Gemm | MatMul | Conv | LSTM | Gather

    Only the file is smaller: ONNX Runtime computes the products once, when it loads the graph. Its integer kernels are
    not used: their answers depend on the processor, and some saturate without 8-bit dot products. `DequantizeLinear`
    it may merge into such kernels; `Cast` and `Mul` it does not.
    """
    try:
        import onnx
        from onnx import checker, numpy_helper
    except ImportError as error:
        raise MissingExtraError("Quantising a model", "train") from error
    read = onnx.load_from_string(model)
    axes = {
        node.input[place]: axes for node in read.graph.node for place, axes in WEIGHTS.get(node.op_type, {}).items()
    }
    kept, nodes = [], []
    for constant in read.graph.initializer:
        weight = numpy_helper.to_array(constant)
        if constant.name not in axes or weight.size < SMALLEST or weight.dtype != np.float32:
            kept.append(constant)
            continue
        more, restored = _restored(constant.name, *quantised(weight, axes[constant.name]))
        kept += more
        nodes += restored
    nodes += read.graph.node
    del read.graph.initializer[:], read.graph.node[:]
    read.graph.initializer.extend(kept)
    read.graph.node.extend(nodes)
    checker.check_model(read)
    return read.SerializeToString()


def quantised(weight: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """int8 of a weight's shape, and float32 scales that broadcast to it: their product is the weight to half a step.

    axes: share a scale; those that the weight lacks are left out.
    """
    largest = np.abs(weight).max(tuple(axis for axis in axes if axis < weight.ndim), keepdims=True)
    scale = np.where(largest > 0, largest / np.float32(_STEPS), 1).astype(np.float32)
    return np.clip(np.rint(weight / scale), -_STEPS, _STEPS).astype(np.int8), scale


def _restored(name: str, integers: np.ndarray, scale: np.ndarray) -> tuple[list[Any], list[Any]]:
    """Constants, and the nodes whose product has the weight's name."""
    from onnx import helper, numpy_helper

    constants = [numpy_helper.from_array(integers, f"{name}.int8"), numpy_helper.from_array(scale, f"{name}.scale")]
    cast = helper.make_node("Cast", [f"{name}.int8"], [f"{name}.steps"], name=f"{name}.steps", to=FLOAT)
    return constants, [cast, helper.make_node("Mul", [f"{name}.steps", f"{name}.scale"], [name], name=name)]
