"""Trained systems without PyTorch: an ONNX graph built from the weights, run by ONNX Runtime.

    weights + Frontend ─ export ─▶ model.onnx, model.json ─ Session ─▶ logits

The graph is assembled operator by operator rather than traced: ONNX's own LSTM is bidirectional and
takes the length of every sequence, so any number of frames and words works, and no exporter of any
PyTorch version is needed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import MissingExtraError, ModelError
from .inputs import Frontend, Padded

GRAPH, DESCRIPTION = "model.onnx", "model.json"
_FORMAT = "duetto-model-1"
_OPSET = 17


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
        hidden = weights[f"{name}.lstm.weight_recurrent"].shape[1]
        w, r = (_gates(weights[f"{name}.lstm.weight_{kind}"].swapaxes(1, 2)) for kind in ("input", "recurrent"))
        bias = _gates(weights[f"{name}.lstm.bias"])
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
        flat = self.add("Reshape", [batch_first, shape], f"{name}.flat")
        return self.add("Relu", [self.linear(flat, weights, f"{name}.dense")], f"{name}.out")

    def _at_least_one(self, lengths: str, name: str) -> str:
        return self.add("Max", [lengths, self.constant(f"{name}.one", np.array(1, np.int64))], f"{name}.clamped")


def _gates(array: np.ndarray) -> np.ndarray:
    """Gate blocks along axis 1 from our order i, f, g, o to ONNX's i, o, f, c."""
    i, f, g, o = np.split(array, 4, axis=1)
    return np.concatenate((i, o, f, g), axis=1)


def _model(weights: Mapping[str, np.ndarray]) -> Any:
    from onnx import TensorProto, checker, helper

    graph = _Graph()
    inputs, encoded = [], []
    if "acoustic.dense.weight" in weights:
        n_features = weights["acoustic.lstm.weight_input"].shape[1]
        inputs.append(helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["batch", "time", n_features]))
        inputs.append(helper.make_tensor_value_info("frame_lengths", TensorProto.INT64, ["batch"]))
        encoded.append(graph.encoder("frames", "frame_lengths", weights, "acoustic"))
    if "words.encoder.dense.weight" in weights:
        x = "words"
        if "words.embedding.weight" in weights:
            inputs.append(helper.make_tensor_value_info("words", TensorProto.INT64, ["batch", "n"]))
            x = graph.add("Gather", [graph.constant("table", weights["words.embedding.weight"]), "words"], "embedded")
        else:
            dim = weights["words.encoder.lstm.weight_input"].shape[1]
            inputs.append(helper.make_tensor_value_info("words", TensorProto.FLOAT, ["batch", "n", dim]))
        inputs.append(helper.make_tensor_value_info("word_lengths", TensorProto.INT64, ["batch"]))
        encoded.append(graph.encoder(x, "word_lengths", weights, "words.encoder"))
    x = graph.add("Concat", encoded, "encoded", axis=1) if len(encoded) > 1 else encoded[0]
    layers = sorted({name.rsplit(".", 1)[0] for name in weights if name.startswith("head.")}, key=_number)
    for layer in layers[:-1]:
        x = graph.add("Relu", [graph.linear(x, weights, layer)], f"{layer}.relu")
    x = graph.add("Identity", [graph.linear(x, weights, layers[-1])], "logits")
    n_classes = weights[f"{layers[-1]}.bias"].shape[0]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", n_classes])
    body = helper.make_graph(graph.nodes, "duetto", inputs, [output], graph.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    checker.check_model(model)
    return model


def _number(layer: str) -> int:
    return int(layer.split(".")[1])


def export(weights: Mapping[str, np.ndarray], front: Frontend, temperature: float, folder: Path) -> None:
    """Write `folder`/model.onnx and model.json: all that prediction needs.

    weights: an `EmotionModel`'s state dict as float32 arrays. temperature divides the logits before
    the softmax; it was fitted on development data.
    """
    try:
        import onnx  # noqa: F401 (asked for here, so that its absence is said once)
    except ImportError as error:
        raise MissingExtraError("Exporting a model", "train") from error
    folder.mkdir(parents=True, exist_ok=True)
    description = {"format": _FORMAT, "temperature": temperature, **front.to_json()}
    # The description comes last: a folder that has one is complete.
    _replace(folder / GRAPH, _model(weights).SerializeToString())
    _replace(folder / DESCRIPTION, json.dumps(description, ensure_ascii=False).encode())


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


class Session:
    """An exported system, ready to answer.

    folder: holds model.onnx and model.json. threads: of ONNX Runtime; 1 is fastest for one recording.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        import onnxruntime

        for name in (GRAPH, DESCRIPTION):
            if not (folder / name).is_file():
                raise ModelError(f"{folder}: no {name} in it. Give a run folder of `duetto train`, or an exported one")
        try:
            value = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(f"{folder / DESCRIPTION}: not JSON ({error}); train or export again") from error
        if not isinstance(value, dict) or value.get("format") != _FORMAT:
            raise ModelError(f"{folder / DESCRIPTION}: not of format {_FORMAT}; export again with this version")
        self.front = Frontend.from_json(value, str(folder / DESCRIPTION))
        self.temperature = float(value["temperature"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / GRAPH), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime raises its own classes, which share no other base
            raise ModelError(f"{folder / GRAPH}: ONNX Runtime can't load it ({error}); export again") from error

    def logits(self, frames: Padded | None, words: Padded | None) -> np.ndarray:
        """Logits (batch, classes) float32, before the temperature, of a batch from `Frontend.collate`."""
        feed: dict[str, np.ndarray] = {}
        if frames is not None:
            feed |= {"frames": frames.values, "frame_lengths": frames.lengths}
        if words is not None:
            feed |= {"words": words.values, "word_lengths": words.lengths}
        return np.asarray(self._session.run(["logits"], feed)[0])
