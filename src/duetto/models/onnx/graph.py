"""Nodes and constants of an ONNX graph, assembled operator by operator from trained weights.

Nothing is traced: ONNX's own LSTM is bidirectional and takes the length of every sequence, so any number of
frames and words works, and no exporter of any PyTorch version is needed. `networks` puts whole systems together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import MissingExtraError
from . import layers

_OPSET = 17


class Graph:
    """Nodes and constants of a graph under construction; every method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, array: np.ndarray) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        """A node, named after its last output, which is the one returned."""
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, outputs, name=outputs[-1], **attributes))
        return outputs[-1]

    def linear(self, x: str, weights: Mapping[str, np.ndarray], name: str) -> str:
        """x·Wᵀ + b of a dense layer called `name`."""
        inputs = [x, *(self.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias"))]
        return self.add("Gemm", inputs, f"{name}.out", transB=1)

    def encoder(self, x: str, lengths: str, weights: Mapping[str, np.ndarray], name: str) -> str:
        """`models.encoders.SequenceEncoder`, `.StatisticsEncoder` or `MultiResolutionEncoder`:
        x (batch, time, features) → (batch, dense)."""
        if f"{name}.convolutions.0.weight" in weights:
            pooled = layers.multi_resolution(self, x, lengths, weights, name)
        elif f"{name}.lstm.weight_input" not in weights:
            pooled = layers.statistics(self, x, lengths, name)
        else:
            pooled = self.bilstm(x, lengths, weights, f"{name}.lstm")
        if f"{name}.pool.score.weight" in weights:
            pooled = layers.attention_pooling(
                self, self.states(weights, f"{name}.lstm"), lengths, weights, f"{name}.pool"
            )
        return self.describe(pooled, weights, name)

    def describe(self, pooled: str, weights: Mapping[str, np.ndarray], name: str) -> str:
        """The dense layer with ReLU that ends an encoder."""
        return self.add("Relu", [self.linear(pooled, weights, f"{name}.dense")], f"{name}.out")

    def bilstm(self, x: str, lengths: str, weights: Mapping[str, np.ndarray], name: str) -> str:
        """Last states of `models.lstm.BiLSTM`: x (batch, time, features) → (batch, 2·hidden)."""
        hidden = weights[f"{name}.weight_recurrent"].shape[1]
        w, r = (_gates(weights[f"{name}.weight_{kind}"].swapaxes(1, 2)) for kind in ("input", "recurrent"))
        bias = _gates(weights[f"{name}.bias"])
        inputs = [
            self.add("Transpose", [x], f"{name}.steps", perm=[1, 0, 2]),
            self.constant(f"{name}.W", w),
            self.constant(f"{name}.R", r),
            self.constant(f"{name}.B", np.concatenate((bias, np.zeros_like(bias)), axis=1)),
            self.add("Cast", [self.at_least_one(lengths, name)], f"{name}.lengths", to=6),  # 6: int32
        ]
        last = self.add("LSTM", inputs, f"{name}.every", f"{name}.last", hidden_size=hidden, direction="bidirectional")
        batch_first = self.add("Transpose", [last], f"{name}.rows", perm=[1, 0, 2])
        shape = self.constant(f"{name}.shape", np.array([-1, 2 * hidden], np.int64))
        return self.add("Reshape", [batch_first, shape], f"{name}.flat")

    def states(self, weights: Mapping[str, np.ndarray], name: str) -> str:
        """All states (batch, time, 2·hidden) of the BiLSTM that `bilstm` added as `name`; 0 beyond each length."""
        batch_first = self.add("Transpose", [f"{name}.every"], f"{name}.every.rows", perm=[2, 0, 1, 3])
        width = 2 * weights[f"{name}.weight_recurrent"].shape[1]
        shape = self.constant(f"{name}.every.shape", np.array([0, 0, width], np.int64))  # 0: as it is
        return self.add("Reshape", [batch_first, shape], f"{name}.states")

    def at_least_one(self, lengths: str, name: str) -> str:
        """A sequence of length 0 is read as one step of zeros."""
        return self.add("Max", [lengths, self.constant(f"{name}.one", np.array(1, np.int64))], f"{name}.clamped")

    def head(self, x: str, weights: Mapping[str, np.ndarray], name: str) -> str:
        """Dense layers with ReLU and a last one without: x (batch, width) → logits (batch, classes)."""
        *dense, last = _layers(weights, name)
        for layer in dense:
            x = self.add("Relu", [self.linear(x, weights, layer)], f"{layer}.relu")
        return self.linear(x, weights, last)

    def serialise(self, inputs: list[Any], output: Any) -> bytes:
        """The checked model, as bytes."""
        from onnx import checker, helper

        body = helper.make_graph(self.nodes, "duetto", inputs, [output], self.constants)
        model = helper.make_model(body, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
        checker.check_model(model)
        return model.SerializeToString()


def _gates(array: np.ndarray) -> np.ndarray:
    """Gate blocks along axis 1 from our order i, f, g, o to ONNX's i, o, f, c."""
    i, f, g, o = np.split(array, 4, axis=1)
    return np.concatenate((i, o, f, g), axis=1)


def _types() -> tuple[Any, int, int]:
    """The maker of graph inputs and outputs, and ONNX's numbers for float32 and int64."""
    try:
        from onnx import TensorProto, helper
    except ImportError as error:
        raise MissingExtraError("Exporting a model", "train") from error
    return helper.make_tensor_value_info, TensorProto.FLOAT, TensorProto.INT64


def _layers(weights: Mapping[str, np.ndarray], name: str) -> list[str]:
    """Names of the dense layers of the sequence called `name`, in order."""
    found = {key.rsplit(".", 1)[0] for key in weights if key.startswith(f"{name}.")}
    return sorted(found, key=lambda layer: int(layer.rsplit(".", 1)[1]))
