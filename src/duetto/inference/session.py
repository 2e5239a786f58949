"""ONNX Runtime sessions: the networks of a model folder, without PyTorch.

model.onnx ─ graph_check ─ OnnxGraph ─▶ outputs by inputs
model folder ─ Session ─▶ logits, ratings
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import ModelError
from ..features.registry import feature_spec
from ..preprocessing import REPAIR, Padded, Preprocessor
from ..utils import graph_check, onnx_file, onnx_runtime
from ..utils.onnx_file import FLOAT, INT64, OnnxModel, Value
from ..utils.reading import read_bytes, shortened
from .model_folder import DESCRIPTION, GRAPH, settings

_BATCH = 256

GRAPH_LIMIT = 512 << 20
"""Bytes of a graph's file. The largest of duetto's systems has 10 MB; a table of 100,000 words by 300 values 120."""

_OVERFLOW = 1e30
"""Outputs beyond this are refused: their softmax could not be computed in float32."""


class OnnxGraph:
    """A graph, checked by `graph_check` and loaded by ONNX Runtime.

    Args:
        path: The ONNX file.
        inputs: The inputs that it must have.
        largest: Name of each free size in `inputs` → its greatest value.
        output: Name of its output, and the values in each row of it.
        threads: Of ONNX Runtime.
        operators: Operators that may occur.

    Attributes:
        shapes: Name of a tensor → its shape for the longest input.
        table_rows: Rows of the embedding table; None for a graph without one.

    Raises:
        ModelError: The file is missing or damaged, or holds another graph.
    """

    shapes: Mapping[str, tuple[int, ...]]
    table_rows: int | None

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
        tables = (self.shapes[n.inputs[0]] for n in model.nodes if n.inputs[1:] == ("words",))
        self.table_rows = next((shape[0] for shape in tables), None)
        self._run = onnx_runtime.load(content, str(path), output[0], threads=threads, repair=REPAIR)

    def _check_output(self, model: OnnxModel) -> None:
        expected = {self._output: Value(FLOAT, ("batch", self._width))}
        if dict(model.outputs) != expected or self.shapes.get(self._output) != (1, self._width):
            found = {name: (list(value.shape), self.shapes.get(name)) for name, value in model.outputs.items()}
            raise ValueError(
                f"its outputs are {shortened(found, 200)}, but its description requires {self._output} "
                f"['batch', {self._width}]: they are not of one model"
            )

    def __call__(self, feed: Mapping[str, np.ndarray]) -> np.ndarray:
        """Run the graph.

        Args:
            feed: Name of an input → its value.

        Returns:
            The output, (batch, values) float32.

        Raises:
            ModelError: The graph fails, or its output is not finite.
        """
        outputs = self._run(feed)
        batch = len(next(iter(feed.values())))
        if outputs.shape != (batch, self._width) or not (np.abs(outputs) < _OVERFLOW).all():
            raise ModelError(
                f"{self.path}: its output has shape {outputs.shape}, and not all are finite, or the shape is not "
                f"({batch}, {self._width}); {REPAIR}"
            )
        return outputs


def graph_inputs(preprocessor: Preprocessor) -> dict[str, Value]:
    """List the inputs of a system's graph.

    Args:
        preprocessor: Of the system.

    Returns:
        Name → element type and shape.
    """
    e = preprocessor.experiment
    inputs = {}
    if e.uses_audio:
        inputs["frames"] = Value(FLOAT, ("batch", "time", feature_spec(e.features).dim))
        inputs["frame_lengths"] = Value(INT64, ("batch",))
    if e.uses_words:
        vectors = e.embeddings == "spoken" or e.counts_words
        dim = preprocessor.word_dim
        inputs["words"] = Value(FLOAT, ("batch", "n", dim)) if vectors else Value(INT64, ("batch", "n"))
        inputs["word_lengths"] = Value(INT64, ("batch",))
    return inputs


def batches_by_length(lengths: Sequence[int]) -> Iterator[np.ndarray]:
    """Group sequences of similar lengths.

    Args:
        lengths: Of the sequences.

    Yields:
        Indices of the sequences of each batch, the shortest first.
    """
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), _BATCH):
        yield order[start : start + _BATCH]


class Session:
    """The network of a model folder.

    Args:
        folder: Holds model.onnx and model.json.
        threads: Of ONNX Runtime; 1 is fastest for one recording.

    Attributes:
        folder: As given.
        preprocessor: What training fitted.
        temperature: Of the logits, fitted on development data.

    Raises:
        ModelError: A file is missing or damaged, or they are not of one model.
    """

    folder: Path
    preprocessor: Preprocessor
    temperature: float

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.folder = folder
        self.preprocessor, self.temperature = settings(folder)
        e, vocabulary = self.preprocessor.experiment, self.preprocessor.vocabulary
        largest = {"time": e.most_frames, "n": e.most_word_vectors}
        self._classes = len(self.preprocessor.classes)
        output = ("logits", self._classes + len(e.dimensions))
        self._graph = OnnxGraph(folder / GRAPH, graph_inputs(self.preprocessor), largest, output, threads=threads)
        if self._graph.table_rows not in (None, len(vocabulary)):
            raise ModelError(
                f"{folder}: {GRAPH} has {self._graph.table_rows} rows for words, the vocabulary of {DESCRIPTION} "
                f"{len(vocabulary)}: they are not of one model; {REPAIR}"
            )

    def outputs(self, frames: Padded | None, words: Padded | None) -> np.ndarray:
        """Run the graph on one padded batch.

        Args:
            frames: From `Preprocessor.collate`; None for a system that does not use them.
            words: From `Preprocessor.collate`; None for a system that does not use them.

        Returns:
            (batch, classes + dimensions) float32: logits, not yet divided by the temperature, and the ratings of the
            experiment's dimensions, in the units of training.
        """
        feed: dict[str, np.ndarray] = {}
        if frames is not None:
            feed |= {"frames": frames.values, "frame_lengths": frames.lengths}
        if words is not None:
            feed |= {"words": words.values, "word_lengths": words.lengths}
        return self._graph(feed)

    def outputs_of(self, frames: Sequence[np.ndarray] | None, words: Sequence[np.ndarray] | None) -> np.ndarray:
        """Run the graph on any number of utterances, in batches of similar lengths.

        Args:
            frames: `Preprocessor.frames` of each utterance; None for a system that does not use them.
            words: `Preprocessor.ids` or `Preprocessor.vectors` of each; None for a system that does not use them.

        Returns:
            (n, classes + dimensions) float32 in the order of the utterances (see `outputs`).
        """
        lengths = [len(x) for x in (frames if frames is not None else words or [])]
        width = self._classes + len(self.preprocessor.experiment.dimensions)
        outputs = np.zeros((len(lengths), width), np.float32)
        for index in batches_by_length(lengths):
            batch = [None if x is None else [x[i] for i in index] for x in (frames, words)]
            outputs[index] = self.outputs(*self.preprocessor.collate(*batch))
        return outputs

    def logits(self, frames: Padded | None, words: Padded | None) -> np.ndarray:
        """Classify one padded batch.

        Args:
            frames: See `outputs`.
            words: See `outputs`.

        Returns:
            Logits (batch, classes) float32, not yet divided by the temperature.
        """
        return self.outputs(frames, words)[:, : self._classes]

    def logits_of(self, frames: Sequence[np.ndarray] | None, words: Sequence[np.ndarray] | None) -> np.ndarray:
        """Classify any number of utterances, in batches of similar lengths.

        Args:
            frames: See `outputs_of`.
            words: See `outputs_of`.

        Returns:
            Logits (n, classes) float32 in the order of the utterances.
        """
        return self.outputs_of(frames, words)[:, : self._classes]
