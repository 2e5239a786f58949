"""ONNX graphs of trained systems, assembled operator by operator from their weights.

    state dict (name → float32 array) ─ emotion | spoken_encoder ─▶ ONNX model

Nothing is traced: ONNX's own LSTM is bidirectional and takes the length of every sequence, so any number of
frames and words works, and no exporter of any PyTorch version is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import MissingExtraError

_OPSET = 17
VARIANCE_FLOOR = 1e-5
"""As in `models.encoders`, which imports PyTorch."""


class _Graph:
    """Nodes and constants of a graph under construction; every method returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, array: np.ndarray) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        outputs = ["", output] if operator == "LSTM" else [output]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=output, **attributes))
        return output

    def linear(self, x: str, weights: Mapping[str, np.ndarray], name: str) -> str:
        """x·Wᵀ + b of a dense layer called `name`."""
        inputs = [x, *(self.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias"))]
        return self.add("Gemm", inputs, f"{name}.out", transB=1)

    def encoder(self, x: str, lengths: str, weights: Mapping[str, np.ndarray], name: str) -> str:
        """`models.encoders.SequenceEncoder`: x (batch, time, features) → (batch, dense)."""
        last = self.bilstm(x, lengths, weights, f"{name}.lstm")
        return self.add("Relu", [self.linear(last, weights, f"{name}.dense")], f"{name}.out")

    def statistics(self, x: str, lengths: str, weights: Mapping[str, np.ndarray], name: str) -> str:
        """`models.encoders.StatisticsEncoder`: x (batch, time, features) → (batch, dense)."""

        def number(key: str, value: float | list[int], kind: type) -> str:
            return self.constant(f"{name}.{key}", np.array(value, kind))

        zero, one, last = number("zero", 0, np.int64), number("first", 1, np.int64), number("last", [-1], np.int64)
        over_time = number("time", [1], np.int64)
        rows = self.add("Unsqueeze", [self._at_least_one(lengths, name), over_time], f"{name}.rows")
        # Shape(x)[1]; the steps 0 … time-1 against each length give the mask (batch, time, 1).
        shape = self.add("Shape", [x], f"{name}.shape")
        time = self.add("Gather", [shape, one], f"{name}.n")
        within = self.add("Less", [self.add("Range", [zero, time, one], f"{name}.range"), rows], f"{name}.within")
        mask = self.add("Unsqueeze", [self.add("Cast", [within], f"{name}.mask", to=1), last], f"{name}.real")
        count = self.add("Cast", [rows], f"{name}.count", to=1)  # 1: float32

        def mean(values: str, output: str) -> str:
            real = self.add("Mul", [values, mask], f"{output}.real")
            total = self.add("ReduceSum", [real, over_time], f"{output}.sum", keepdims=0)
            return self.add("Div", [total, count], output)

        centre = mean(x, f"{name}.mean")
        apart = self.add("Sub", [x, self.add("Unsqueeze", [centre, over_time], f"{name}.centre")], f"{name}.apart")
        variance = mean(self.add("Mul", [apart, apart], f"{name}.squares"), f"{name}.variance")
        floored = self.add("Add", [variance, number("floor", VARIANCE_FLOOR, np.float32)], f"{name}.floored")
        pooled = self.add(
            "Concat", [centre, self.add("Sqrt", [floored], f"{name}.deviation")], f"{name}.pooled", axis=1
        )
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
            self.add("Cast", [self._at_least_one(lengths, name)], f"{name}.lengths", to=6),  # 6: int32
        ]
        last = self.add("LSTM", inputs, f"{name}.last", hidden_size=hidden, direction="bidirectional")
        batch_first = self.add("Transpose", [last], f"{name}.rows", perm=[1, 0, 2])
        shape = self.constant(f"{name}.shape", np.array([-1, 2 * hidden], np.int64))
        return self.add("Reshape", [batch_first, shape], f"{name}.flat")

    def _at_least_one(self, lengths: str, name: str) -> str:
        return self.add("Max", [lengths, self.constant(f"{name}.one", np.array(1, np.int64))], f"{name}.clamped")

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


def emotion(weights: Mapping[str, np.ndarray]) -> bytes:
    """A serialised graph of `models.fusion.EmotionModel` from its state dict.

    Inputs, as the system needs them: `frames` (batch, time, features) float32, `frame_lengths` (batch,) int64,
    `words` (batch, n) int64 ids or (batch, n, dim) float32 vectors, `word_lengths` (batch,) int64.
    Output: `logits` (batch, classes).
    """
    value, floating, integers = _types()
    graph = _Graph()
    inputs, encoded = [], []
    if "acoustic.dense.weight" in weights:
        pooled = "acoustic.lstm.weight_input" not in weights
        dense = weights["acoustic.dense.weight"]
        n_features = dense.shape[1] // 2 if pooled else weights["acoustic.lstm.weight_input"].shape[1]
        inputs.append(value("frames", floating, ["batch", "time", n_features]))
        inputs.append(value("frame_lengths", integers, ["batch"]))
        encode = graph.statistics if pooled else graph.encoder
        encoded.append(encode("frames", "frame_lengths", weights, "acoustic"))
    if "words.encoder.dense.weight" in weights:
        x = "words"
        if "words.embedding.weight" in weights:
            inputs.append(value("words", integers, ["batch", "n"]))
            x = graph.add("Gather", [graph.constant("table", weights["words.embedding.weight"]), "words"], "embedded")
        else:
            dim = weights["words.encoder.lstm.weight_input"].shape[1]
            inputs.append(value("words", floating, ["batch", "n", dim]))
        inputs.append(value("word_lengths", integers, ["batch"]))
        encoded.append(graph.encoder(x, "word_lengths", weights, "words.encoder"))
    x = graph.add("Concat", encoded, "encoded", axis=1) if len(encoded) > 1 else encoded[0]
    layers = sorted({name.rsplit(".", 1)[0] for name in weights if name.startswith("head.")}, key=_number)
    for layer in layers[:-1]:
        x = graph.add("Relu", [graph.linear(x, weights, layer)], f"{layer}.relu")
    graph.add("Identity", [graph.linear(x, weights, layers[-1])], "logits")
    return graph.serialise(inputs, value("logits", floating, ["batch", weights[f"{layers[-1]}.bias"].shape[0]]))


def spoken_encoder(weights: Mapping[str, np.ndarray]) -> bytes:
    """A serialised graph of `models.speech2vec.Speech2Vec.encode`: `frames` (batch, time, features) and
    `lengths` (batch,) → `embedding` (batch, dim)."""
    value, floating, integers = _types()
    graph = _Graph()
    _, n_features, width = weights["encoder.weight_input"].shape
    graph.add("Identity", [graph.bilstm("frames", "lengths", weights, "encoder")], "embedding")
    inputs = [value("frames", floating, ["batch", "time", n_features]), value("lengths", integers, ["batch"])]
    return graph.serialise(inputs, value("embedding", floating, ["batch", width // 2]))


def _types() -> tuple[Any, int, int]:
    """The maker of graph inputs and outputs, and ONNX's numbers for float32 and int64."""
    try:
        from onnx import TensorProto, helper
    except ImportError as error:
        raise MissingExtraError("Exporting a model", "train") from error
    return helper.make_tensor_value_info, TensorProto.FLOAT, TensorProto.INT64


def _number(layer: str) -> int:
    return int(layer.split(".")[1])
