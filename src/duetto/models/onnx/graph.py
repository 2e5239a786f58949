"""Nodes and constants of an ONNX graph, assembled operator by operator from trained weights.

Nothing is traced: ONNX's own LSTM is bidirectional and takes the length of every sequence, so any number of
frames and words works, and no exporter of any PyTorch version is needed. `networks` builds whole models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import MissingExtraError

Weights = Mapping[str, np.ndarray]
"""A PyTorch state dict as float32 arrays."""

OPSET = 17
"""Version of ONNX's standard operators."""

FLOAT, INT8, INT32, INT64, DOUBLE = 1, 3, 6, 7, 11
"""ONNX's numbers of element types."""


class Graph:
    """Nodes and constants of a graph under construction; methods that add a node return the name of its output.

    Raises:
        MissingExtraError: The onnx package is not installed.
    """

    def __init__(self) -> None:
        try:
            import onnx  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("Exporting a model", "train") from error
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []

    def input(self, name: str, element: int, shape: Sequence[int | str]) -> str:
        """Add an input of the graph.

        Args:
            name: Of the input.
            element: `FLOAT` or `INT64`.
            shape: Sizes, and names of free sizes.

        Returns:
            The name.
        """
        from onnx import helper

        self._inputs.append(helper.make_tensor_value_info(name, element, shape))
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        """Add a constant.

        Args:
            name: Of the constant.
            array: Its value.

        Returns:
            The name.
        """
        from onnx import numpy_helper

        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def integers(self, name: str, values: int | list[int]) -> str:
        """Add an int64 constant.

        Args:
            name: Of the constant.
            values: A scalar, or the values of a vector.

        Returns:
            The name.
        """
        return self.constant(name, np.array(values, np.int64))

    def add(self, operator: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        """Add a node.

        Args:
            operator: Name of an ONNX operator.
            inputs: Names of its inputs.
            outputs: Names of its outputs; the last one also names the node.
            attributes: Of the operator.

        Returns:
            The name of the last output.
        """
        from onnx import helper

        self._nodes.append(helper.make_node(operator, inputs, outputs, name=outputs[-1], **attributes))
        return outputs[-1]

    def linear(self, x: str, weights: Weights, name: str) -> str:
        """Add a dense layer, x·Wᵀ + b.

        Args:
            x: (batch, inputs).
            weights: State dict.
            name: Of the layer in the state dict.

        Returns:
            (batch, units).
        """
        inputs = [x, *(self.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias"))]
        return self.add("Gemm", inputs, f"{name}.out", transB=1)

    def projected(self, pooled: str, weights: Weights, name: str) -> str:
        """Add the dense layer with ReLU that ends an encoder.

        Args:
            pooled: (batch, values).
            weights: State dict.
            name: Of the encoder in the state dict.

        Returns:
            (batch, dense).
        """
        return self.add("Relu", [self.linear(pooled, weights, f"{name}.dense")], f"{name}.out")

    def bilstm(self, x: str, lengths: str, weights: Weights, name: str) -> str:
        """Add `models.lstm.BiLSTM`.

        Args:
            x: (batch, time, features).
            lengths: (batch,) int64; 0 is read as one step.
            weights: State dict.
            name: Of the layer in the state dict.

        Returns:
            Last states (batch, 2·hidden).
        """
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

    def states(self, weights: Weights, name: str) -> str:
        """Add the states of all steps of a BiLSTM that `bilstm` added.

        Args:
            weights: State dict.
            name: Of the layer in the state dict.

        Returns:
            (batch, time, 2·hidden), zero beyond each length.
        """
        batch_first = self.add("Transpose", [f"{name}.every"], f"{name}.every.rows", perm=[2, 0, 1, 3])
        width = 2 * weights[f"{name}.weight_recurrent"].shape[1]
        shape = self.integers(f"{name}.every.shape", [0, 0, width])  # 0: unchanged
        return self.add("Reshape", [batch_first, shape], f"{name}.states")

    def at_least_one(self, lengths: str, name: str) -> str:
        """Add max(lengths, 1): a sequence of length 0 is read as one step of zeros.

        Args:
            lengths: (batch,) int64.
            name: Prefix of the new names.

        Returns:
            (batch,) int64.
        """
        return self.add("Max", [lengths, self.integers(f"{name}.one", 1)], f"{name}.clamped")

    def head(self, x: str, weights: Weights, name: str, layers: int) -> str:
        """Add dense layers with ReLU, and a last one without (`models.emotion.EmotionModel`).

        Args:
            x: (batch, width).
            weights: State dict.
            name: Of the sequence of layers in the state dict.
            layers: Number of dense layers before the last one.

        Returns:
            Logits (batch, classes).
        """
        *dense, last = (f"{name}.{3 * i}" for i in range(layers + 1))  # each followed by ReLU and dropout
        for layer in dense:
            x = self.add("Relu", [self.linear(x, weights, layer)], f"{layer}.relu")
        return self.linear(x, weights, last)

    def serialise(self, output: str, shape: Sequence[int | str]) -> bytes:
        """Check the model with the onnx package and serialise it.

        Args:
            output: Name of the output, float32.
            shape: Of the output: sizes, and names of free sizes.

        Returns:
            The content of an ONNX file.
        """
        from onnx import checker, helper

        outputs = [helper.make_tensor_value_info(output, FLOAT, shape)]
        body = helper.make_graph(self._nodes, "duetto", self._inputs, outputs, self._constants)
        model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        checker.check_model(model)
        return model.SerializeToString()


def _gates(array: np.ndarray) -> np.ndarray:
    """Reorder gate blocks along axis 1 from our order i, f, g, o to ONNX's i, o, f, c."""
    i, f, g, o = np.split(array, 4, axis=1)
    return np.concatenate((i, o, f, g), axis=1)
