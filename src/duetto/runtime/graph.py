"""ONNX graphs of trained systems, assembled operator by operator from their weights.

    state dict (name → float32 array) ─ emotion | spoken_encoder ─▶ ONNX model

Nothing is traced: ONNX's own LSTM is bidirectional and takes the length of every sequence, so any number of
frames and words works, and no exporter of any PyTorch version is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..convolutions import STACKS
from ..errors import MissingExtraError
from ..features.kinds import kind
from . import graph_cnn, layers

_OPSET = 17

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
"""Values; below, scales and operators take what the integers save."""
_STEPS = 127


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
        """`models.encoders.SequenceEncoder`, `.StatisticsEncoder` or `models.mcnn.MultiResolutionEncoder`:
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


def emotion(weights: Mapping[str, np.ndarray], acoustic_encoder: str = "bilstm") -> bytes:
    """A serialised graph of `models.fusion.EmotionModel` from its state dict.

    Inputs, as the system needs them: `frames` (batch, time, values) float32, `frame_lengths` (batch,) int64,
    `words` (batch, n) int64 ids or (batch, n, dim) float32 vectors, `word_lengths` (batch,) int64.
    Output: `logits` (batch, classes).
    """
    value, floating, integers = _types()
    graph = Graph()
    inputs, read, stack = [], {}, STACKS.get(acoustic_encoder)
    if "acoustic.dense.weight" in weights:
        if stack:
            n_features = kind(stack.features).dim
        elif acoustic_encoder == "statistics":
            n_features = weights["acoustic.dense.weight"].shape[1] // 2
        else:
            n_features = weights["acoustic.lstm.weight_input"].shape[1]
        inputs.append(value("frames", floating, ["batch", "time", n_features]))
        inputs.append(value("frame_lengths", integers, ["batch"]))
        read["acoustic"] = ("frames", "frame_lengths")
    if "words.encoder.dense.weight" in weights:
        x = "words"
        if "words.embedding.weight" in weights:
            inputs.append(value("words", integers, ["batch", "n"]))
            x = graph.add("Gather", [graph.constant("table", weights["words.embedding.weight"]), "words"], "embedded")
        else:
            inputs.append(value("words", floating, ["batch", "n", _word_dim(weights)]))
        inputs.append(value("word_lengths", integers, ["batch"]))
        read["words.encoder"] = (x, "word_lengths")
    if "cross.acoustic.query.weight" in weights:
        encoded = layers.encode_crosswise(graph, read, weights)
    else:
        encoded = [
            graph_cnn.encoder(graph, stack, x, lengths, weights, name)
            if stack and name == "acoustic"
            else graph.encoder(x, lengths, weights, name)
            for name, (x, lengths) in read.items()
        ]
    if "confidence.gates.acoustic.weight" in weights:
        head, logits = "confidence.heads.acoustic", layers.by_confidence(graph, encoded, weights)
    else:
        x = graph.add("Concat", encoded, "encoded", axis=1) if len(encoded) > 1 else encoded[0]
        head, logits = "head", graph.head(x, weights, "head")
    graph.add("Identity", [logits], "logits")
    classes = len(weights[_layers(weights, head)[-1] + ".bias"])
    return graph.serialise(inputs, value("logits", floating, ["batch", classes]))


def _word_dim(weights: Mapping[str, np.ndarray]) -> int:
    """Of the vectors that the words' encoder reads."""
    convolution = weights.get("words.encoder.convolutions.0.weight")
    return weights["words.encoder.lstm.weight_input"].shape[1] if convolution is None else convolution.shape[1]


def spoken_encoder(weights: Mapping[str, np.ndarray]) -> bytes:
    """A serialised graph of `models.speech2vec.Speech2Vec.encode`: `frames` (batch, time, features) and
    `lengths` (batch,) → `embedding` (batch, dim)."""
    value, floating, integers = _types()
    graph = Graph()
    _, n_features, width = weights["encoder.weight_input"].shape
    graph.add("Identity", [graph.bilstm("frames", "lengths", weights, "encoder")], "embedding")
    inputs = [value("frames", floating, ["batch", "time", n_features]), value("lengths", integers, ["batch"])]
    return graph.serialise(inputs, value("embedding", floating, ["batch", width // 2]))


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
    cast = helper.make_node("Cast", [f"{name}.int8"], [f"{name}.steps"], name=f"{name}.steps", to=1)  # 1: float32
    return constants, [cast, helper.make_node("Mul", [f"{name}.steps", f"{name}.scale"], [name], name=name)]


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
