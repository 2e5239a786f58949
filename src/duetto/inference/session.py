"""Exported systems on disk, and the sessions that run them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..features.registry import feature_spec
from ..metrics import TEMPERATURES
from ..models.onnx import int8, networks
from ..preprocessing import REPAIR, Normaliser, Padded, Preprocessor
from ..utils import files
from ..utils.reading import Record, read_bytes, read_json, shortened
from ..utils.text import printable
from . import graph_check, onnx_file
from .onnx_file import FLOAT, INT64, OnnxModel, Value

GRAPH, DESCRIPTION = "model.onnx", "model.json"
SPOKEN_GRAPH, SPOKEN_DESCRIPTION = "spoken.onnx", "spoken.json"
_FORMAT, _SPOKEN_FORMAT = "duetto-model-1", "duetto-spoken-1"
_BATCH = 256

GRAPH_LIMIT = 512 << 20
"""Bytes of a graph's file. The largest of duetto's systems has 10 MB; a table of 100,000 words by 300 values 120."""

_LONG_WORD = 10_000
"""Frames (of 10 ms) of a spoken word that its encoder's limits are computed for."""

_OVERFLOW = 1e30
"""An answer beyond this is none: a probability of it could not be computed in float32."""

_FATAL = 4
"""ONNX Runtime's severity above which it writes to standard error: nothing that it also raises."""


def export(weights: Mapping[str, np.ndarray], preprocessor: Preprocessor, temperature: float, folder: Path) -> None:
    """Write `folder`/model.onnx and model.json: all that prediction needs.

    weights: an `EmotionModel`'s state dict as float32 arrays. temperature divides the logits before
    the softmax; it was fitted on development data.
    """
    description = {"format": _FORMAT, "temperature": temperature, **preprocessor.to_json()}
    _write(folder, GRAPH, networks.emotion(weights, preprocessor.experiment.acoustic_encoder), DESCRIPTION, description)


def export_spoken(
    weights: Mapping[str, np.ndarray], normaliser: Normaliser, about: Mapping[str, Any], folder: Path
) -> None:
    """Write `folder`/spoken.onnx and spoken.json: the encoder of a Speech2Vec.

    weights: its state dict. normaliser: of the MFCC. about: whatever else should be known of it.
    """
    description = {"format": _SPOKEN_FORMAT, "mfcc": normaliser.to_json(), "about": about}
    _write(folder, SPOKEN_GRAPH, networks.spoken_encoder(weights), SPOKEN_DESCRIPTION, description)


def quantise(folder: Path) -> None:
    """Turn the weights of an exported system into 8-bit integers, in place; model.json says so.

    The graph turns them back when it is loaded and computes in float32 (`graph.int8`): answers are those of the
    rounded weights, on every processor.
    """
    description = _description(folder, DESCRIPTION, _FORMAT)
    content = int8.int8((folder / GRAPH).read_bytes())
    _write(folder, GRAPH, content, DESCRIPTION, {**description, "weights": "int8"})


def _write(folder: Path, model: str, content: bytes, description: str, value: Mapping[str, Any]) -> None:
    """Both files, each atomically; the description comes last, so a folder that has one is complete."""
    files.write_bytes(folder / model, content)
    files.write_text(folder / description, json.dumps(value, ensure_ascii=False))


def _description(folder: Path, name: str, format_: str) -> Record:
    """The description in an exported folder."""
    if not (folder / name).exists():
        raise ModelError(f"{folder}: no {name} in it. Give a folder that duetto trained or exported")
    value = read_json(folder / name, error=ModelError, repair=REPAIR)
    if value.get("format") != format_:
        raise ModelError(f"{folder / name}: not of format {format_}; export again with this version")
    return value


class _Graph:
    """A graph that was checked (`graph_check`), loaded by ONNX Runtime."""

    def __init__(
        self,
        path: Path,
        inputs: Mapping[str, Value],
        largest: Mapping[str, int],
        output: tuple[str, int],
        *,
        threads: int,
        operators: frozenset[str] = frozenset(graph_check.OPERATORS),
    ) -> None:
        """inputs, largest, operators: see `graph_check.check`. output: its name, and values for each recording."""
        import onnxruntime

        self.path, (self._output, self._width) = path, output
        if not path.exists():
            raise ModelError(f"{path.parent}: no {path.name} in it. Give a folder that duetto trained or exported")
        content = read_bytes(path, error=ModelError, limit=GRAPH_LIMIT, repair=REPAIR)
        try:
            model = onnx_file.read(content)
            self.shapes = graph_check.check(model, inputs, largest, operators)
            self._check_output(model)
        except ValueError as error:
            raise ModelError(f"{path}: {error}; {REPAIR}") from error
        self.rows = next((self.shapes[n.inputs[0]][0] for n in model.nodes if n.inputs[1:] == ("words",)), None)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _FATAL
        try:  # From the bytes that were checked. A second attempt would print a banner on standard output.
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], enable_fallback=False
            )
        except Exception as error:  # ONNX Runtime raises its own classes, which share no other base
            raise ModelError(f"{path}: ONNX Runtime can't load it ({printable(str(error))}); {REPAIR}") from error

    def _check_output(self, model: OnnxModel) -> None:
        expected = {self._output: Value(FLOAT, ("batch", self._width))}
        if dict(model.outputs) != expected or self.shapes.get(self._output) != (1, self._width):
            found = {name: (list(value.shape), self.shapes.get(name)) for name, value in model.outputs.items()}
            raise ValueError(
                f"it gives {shortened(found, 200)}, but its description says {self._output} ['batch', {self._width}]: "
                "they are not of one model"
            )

    def __call__(self, feed: Mapping[str, np.ndarray]) -> np.ndarray:
        """The output, (batch, values) float32, for inputs by name."""
        try:
            answers = np.asarray(self._session.run([self._output], feed)[0])
        except Exception as error:  # as above
            raise ModelError(f"{self.path}: it can't answer ({printable(str(error))}); {REPAIR}") from error
        batch = len(next(iter(feed.values())))
        if answers.shape != (batch, self._width) or not (np.abs(answers) < _OVERFLOW).all():
            raise ModelError(
                f"{self.path}: it gave {answers.shape} values, of which not all are finite, or not ({batch}, "
                f"{self._width}); {REPAIR}"
            )
        return answers


def settings(folder: Path) -> tuple[Preprocessor, float]:
    """What training fixed for an exported system, and the temperature of its logits; the graph is not read."""
    value = _description(folder, DESCRIPTION, _FORMAT)
    low, high = TEMPERATURES
    return Preprocessor.from_json(value, value.where), value.number("temperature", low=low, high=high)


def inputs_of(preprocessor: Preprocessor) -> dict[str, Value]:
    """What the graph of a system reads."""
    e = preprocessor.experiment
    inputs = {}
    if e.uses_audio:
        inputs["frames"] = Value(FLOAT, ("batch", "time", feature_spec(e.features).dim))
        inputs["frame_lengths"] = Value(INT64, ("batch",))
    if e.uses_words:
        spoken = e.embeddings == "spoken"
        inputs["words"] = Value(FLOAT, ("batch", "n", e.word_dim)) if spoken else Value(INT64, ("batch", "n"))
        inputs["word_lengths"] = Value(INT64, ("batch",))
    return inputs


class Session:
    """An exported emotion system, ready to answer.

    folder: holds model.onnx and model.json. threads: of ONNX Runtime; 1 is fastest for one recording.
    preprocessor, temperature: what training fixed.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.folder = folder
        self.preprocessor, self.temperature = settings(folder)
        e = self.preprocessor.experiment
        largest = {"time": e.max_frames, "n": e.max_words}
        output = ("logits", len(self.preprocessor.classes))
        self._graph = _Graph(folder / GRAPH, inputs_of(self.preprocessor), largest, output, threads=threads)
        if self._graph.rows not in (None, len(self.preprocessor.vocabulary)):
            raise ModelError(
                f"{folder}: {GRAPH} has {self._graph.rows} rows for words, the vocabulary of {DESCRIPTION} "
                f"{len(self.preprocessor.vocabulary)}: they are not of one model; {REPAIR}"
            )

    def logits(self, frames: Padded | None, words: Padded | None) -> np.ndarray:
        """Logits (batch, classes) float32, before the temperature, of a batch from `Preprocessor.collate`."""
        feed: dict[str, np.ndarray] = {}
        if frames is not None:
            feed |= {"frames": frames.values, "frame_lengths": frames.lengths}
        if words is not None:
            feed |= {"words": words.values, "word_lengths": words.lengths}
        return self._graph(feed)

    def answer(self, frames: Sequence[np.ndarray] | None, words: Sequence[np.ndarray] | None) -> np.ndarray:
        """Logits (n, classes) float32 of any number of utterances, in their order: what `Preprocessor.frames` and
        `Preprocessor.ids` or `.vectors` gave for each."""
        lengths = [len(x) for x in (frames if frames is not None else words or [])]
        answers = np.zeros((len(lengths), len(self.preprocessor.classes)), np.float32)
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), _BATCH):
            index = order[start : start + _BATCH]
            batch = [None if x is None else [x[i] for i in index] for x in (frames, words)]
            answers[index] = self.logits(*self.preprocessor.collate(*batch))
        return answers
