"""Exported systems on disk, and the sessions that run them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from ..features.kinds import kind
from ..inputs import Frontend, Normaliser, Padded, pad
from . import graph

GRAPH, DESCRIPTION = "model.onnx", "model.json"
SPOKEN_GRAPH, SPOKEN_DESCRIPTION = "spoken.onnx", "spoken.json"
_FORMAT, _SPOKEN_FORMAT = "duetto-model-1", "duetto-spoken-1"
_BATCH = 256


def export(weights: Mapping[str, np.ndarray], front: Frontend, temperature: float, folder: Path) -> None:
    """Write `folder`/model.onnx and model.json: all that prediction needs.

    weights: an `EmotionModel`'s state dict as float32 arrays. temperature divides the logits before
    the softmax; it was fitted on development data.
    """
    description = {"format": _FORMAT, "temperature": temperature, **front.to_json()}
    _write(folder, GRAPH, graph.emotion(weights, front.experiment.acoustic_encoder), DESCRIPTION, description)


def export_spoken(
    weights: Mapping[str, np.ndarray], normaliser: Normaliser, about: Mapping[str, Any], folder: Path
) -> None:
    """Write `folder`/spoken.onnx and spoken.json: the encoder of a Speech2Vec.

    weights: its state dict. normaliser: of the MFCC. about: whatever else should be known of it.
    """
    description = {"format": _SPOKEN_FORMAT, "mfcc": normaliser.to_json(), "about": about}
    _write(folder, SPOKEN_GRAPH, graph.spoken_encoder(weights), SPOKEN_DESCRIPTION, description)


def quantise(folder: Path) -> None:
    """Turn the weights of an exported system into 8-bit integers, in place; model.json says so.

    The graph turns them back when it is loaded and computes in float32 (`graph.int8`): answers are those of the
    rounded weights, on every processor.
    """
    description = _description(folder, DESCRIPTION, _FORMAT)
    content = graph.int8((folder / GRAPH).read_bytes())
    _write(folder, GRAPH, content, DESCRIPTION, {**description, "weights": "int8"})


def _write(folder: Path, model: str, content: bytes, description: str, value: Mapping[str, Any]) -> None:
    """Both files, each atomically; the description comes last, so a folder that has one is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in ((model, content), (description, json.dumps(value, ensure_ascii=False).encode())):
        partial = folder / (name + ".partial")
        partial.write_bytes(data)
        os.replace(partial, folder / name)


def _description(folder: Path, name: str, format_: str) -> dict[str, Any]:
    """The description in an exported folder."""
    if not (folder / name).is_file():
        raise ModelError(f"{folder}: no {name} in it. Give a folder that duetto trained or exported")
    try:
        value = json.loads((folder / name).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{folder / name}: not JSON ({error}); train or export again") from error
    if not isinstance(value, dict) or value.get("format") != format_:
        raise ModelError(f"{folder / name}: not of format {format_}; export again with this version")
    return value


def _session(path: Path, threads: int) -> Any:
    """An ONNX Runtime session of a graph."""
    import onnxruntime

    if not path.is_file():
        raise ModelError(f"{path.parent}: no {path.name} in it. Give a folder that duetto trained or exported")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own classes, which share no other base
        raise ModelError(f"{path}: ONNX Runtime can't load it ({error}); export again") from error


def settings(folder: Path) -> tuple[Frontend, float]:
    """What training fixed for an exported system, and the temperature of its logits; the graph is not read."""
    value, where = _description(folder, DESCRIPTION, _FORMAT), folder / DESCRIPTION
    temperature = value.get("temperature")
    if not isinstance(temperature, int | float) or not 0 < temperature < float("inf"):
        raise ModelError(f"{where}: its temperature is {temperature!r}, not a number above 0; train or export again")
    return Frontend.from_json(value, str(where)), float(temperature)


def _agree(folder: Path, front: Frontend, session: Any) -> None:
    """A graph that reads anything but what the description says, or tells another number of classes, is a
    `ModelError`: one of the two is of another model."""
    e = front.experiment
    expected: dict[str, int | str] = {"frames": kind(e.features).dim} if e.uses_audio else {}
    if e.uses_words:
        expected["words"] = e.word_dim if e.embeddings == "spoken" else "n"  # vectors, or the ids of any n words
    values = {x.name: x.shape[-1] for x in session.get_inputs() if not x.name.endswith("_lengths")}
    told = session.get_outputs()[0].shape[-1]
    if (values, told) != (expected, len(front.classes)):
        raise ModelError(
            f"{folder}: {GRAPH} reads {values} and tells {told} classes, {DESCRIPTION} says {expected} and "
            f"{len(front.classes)}: they are not of one model; train or export again"
        )


class Session:
    """An exported emotion system, ready to answer.

    folder: holds model.onnx and model.json. threads: of ONNX Runtime; 1 is fastest for one recording.
    front, temperature: what training fixed.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.folder = folder
        self.front, self.temperature = settings(folder)
        self._session = _session(folder / GRAPH, threads)
        _agree(folder, self.front, self._session)

    def logits(self, frames: Padded | None, words: Padded | None) -> np.ndarray:
        """Logits (batch, classes) float32, before the temperature, of a batch from `Frontend.collate`."""
        feed: dict[str, np.ndarray] = {}
        if frames is not None:
            feed |= {"frames": frames.values, "frame_lengths": frames.lengths}
        if words is not None:
            feed |= {"words": words.values, "word_lengths": words.lengths}
        return np.asarray(self._session.run(["logits"], feed)[0])

    def answer(self, frames: Sequence[np.ndarray] | None, words: Sequence[np.ndarray] | None) -> np.ndarray:
        """Logits (n, classes) float32 of any number of utterances, in their order: what `Frontend.frames` and
        `Frontend.ids` or `.vectors` gave for each."""
        lengths = [len(x) for x in (frames if frames is not None else words or [])]
        answers = np.zeros((len(lengths), len(self.front.classes)), np.float32)
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), _BATCH):
            index = order[start : start + _BATCH]
            batch = [None if x is None else [x[i] for i in index] for x in (frames, words)]
            answers[index] = self.logits(*self.front.collate(*batch))
        return answers


class SpokenEncoder:
    """The encoder of a trained Speech2Vec: a spoken word's MFCC → its embedding.

    folder: holds spoken.onnx and spoken.json. `about` is what its training noted of it.
    """

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self.folder = folder
        value = _description(folder, SPOKEN_DESCRIPTION, _SPOKEN_FORMAT)
        self._session = _session(folder / SPOKEN_GRAPH, threads)
        try:
            self._normaliser = Normaliser.from_json(value["mfcc"])
            self.about: dict[str, Any] = dict(value["about"])
            self.dim = int(self.about["config"]["dim"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{folder / SPOKEN_DESCRIPTION}: damaged ({error!r}); train it again") from error

    def __call__(self, words: Sequence[np.ndarray]) -> np.ndarray:
        """words: each (frames, features) MFCC, not normalised, at least one frame → (words, dim) float32."""
        embedded = np.zeros((len(words), self.dim), np.float32)
        order = np.argsort([len(word) for word in words], kind="stable")
        for start in range(0, len(order), _BATCH):
            index = order[start : start + _BATCH]
            batch = [self._normaliser(words[i]) for i in index]
            padded = pad(batch, maximum=max(map(len, batch)))
            feed = {"frames": padded.values, "lengths": padded.lengths}
            embedded[index] = self._session.run(["embedding"], feed)[0]
        return embedded
