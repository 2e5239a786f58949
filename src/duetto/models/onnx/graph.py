"""Nodes and constants of an ONNX graph, assembled operator by operator from trained weights.

Nothing is traced: ONNX's own LSTM is bidirectional and takes the length of every sequence, so any number of
frames and words works, and no exporter of any PyTorch version is needed. `networks` puts whole systems together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import MissingExtraError

OPSET = 17
"""Version of ONNX's standard operators."""

FLOAT, INT8, INT32, INT64 = 1, 3, 6, 7
"""ONNX's numbers of element types."""


class Graph:
    """Nodes and constants of a graph under construction; every method returns the name of its output."""

    def __init__(self) -> None:
        try:
            import onnx  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("Exporting a model", "train") from error
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []

    def input(self, name: str, element: int, shape: Sequence[int | str]) -> str:
        """An input of the graph. element: `FLOAT` or `INT64`. shape: sizes, and names of sizes that are free."""
        from onnx import helper

        self._inputs.append(helper.make_tensor_value_info(name, element, shape))
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        from onnx import numpy_helper

        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def integers(self, name: str, values: int | list[int]) -> str:
        """A constant of int64."""
        return self.constant(name, np.array(values, np.int64))

    def add(self, operator: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        """A node, named after its last output, which is the one returned."""
        from onnx import helper

        self._nodes.append(helper.make_node(operator, inputs, outputs, name=outputs[-1], **attributes))
        return outputs[-1]

    def linear(self, x: str, weights: Mapping[str, np.ndarray], name: str) -> str:
        """x·Wᵀ + b of a dense layer called `name`."""
        inputs = [x, *(self.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias"))]
        return self.add("Gemm", inputs, f"{name}.out", transB=1)

    def described(self, pooled: str, weights: Mapping[str, np.ndarray], name: str) -> str:
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
            self.add("Cast", [self.at_least_one(lengths, name)], f"{name}.lengths", to=INT32),
        ]
        last = self.add("LSTM", inputs, f"{name}.every", f"{name}.last", hidden_size=hidden, direction="bidirectional")
        batch_first = self.add("Transpose", [last], f"{name}.rows", perm=[1, 0, 2])
        shape = self.integers(f"{name}.shape", [-1, 2 * hidden])
        return self.add("Reshape", [batch_first, shape], f"{name}.flat")

    def states(self, weights: Mapping[str, np.ndarray], name: str) -> str:
        """All states (batch, time, 2·hidden) of the BiLSTM that `bilstm` added as `name`; 0 beyond each length."""
        batch_first = self.add("Transpose", [f"{name}.every"], f"{name}.every.rows", perm=[2, 0, 1, 3])
        width = 2 * weights[f"{name}.weight_recurrent"].shape[1]
        shape = self.integers(f"{name}.every.shape", [0, 0, width])  # 0: as it is
        return self.add("Reshape", [batch_first, shape], f"{name}.states")

    def at_least_one(self, lengths: str, name: str) -> str:
        """A sequence of length 0 is read as one step of zeros."""
        return self.add("Max", [lengths, self.integers(f"{name}.one", 1)], f"{name}.clamped")

    def head(self, x: str, weights: Mapping[str, np.ndarray], name: str) -> str:
        """Dense layers with ReLU and a last one without: x (batch, width) → logits (batch, classes)."""
        *dense, last = dense_layers(weights, name)
        for layer in dense:
            x = self.add("Relu", [self.linear(x, weights, layer)], f"{layer}.relu")
        return self.linear(x, weights, last)

    def serialise(self, output: str, shape: Sequence[int | str]) -> bytes:
        """The checked model, as bytes. output: name of the tensor that it gives, float32 of this shape."""
        from onnx import checker, helper

        outputs = [helper.make_tensor_value_info(output, FLOAT, shape)]
        body = helper.make_graph(self._nodes, "duetto", self._inputs, outputs, self._constants)
        model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        checker.check_model(model)
        return model.SerializeToString()


def _gates(array: np.ndarray) -> np.ndarray:
    """Gate blocks along axis 1 from our order i, f, g, o to ONNX's i, o, f, c."""
    i, f, g, o = np.split(array, 4, axis=1)
    return np.concatenate((i, o, f, g), axis=1)


def dense_layers(weights: Mapping[str, np.ndarray], name: str) -> list[str]:
    """Names of the dense layers of the sequence called `name`, in order."""
    found = {key.rsplit(".", 1)[0] for key in weights if key.startswith(f"{name}.")}
    return sorted(found, key=lambda layer: int(layer.rsplit(".", 1)[1]))
