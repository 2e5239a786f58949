"""A model folder: everything that prediction needs, and nothing else.

model.onnx, model.json      the network; its preprocessing and temperature
baseline.npz                instead of the network, for a baseline (`baseline_model`)
language.json               the language model of the speech recogniser, for systems that read words (`asr.finder`)
spoken.onnx, spoken.json    the encoder of spoken words, for systems that embed the sound of words
encoder/                    the speech encoder, for systems with one of the user's own (`features.speech_encoder`)
sentences/                  the sentence encoder, for systems that embed sentences (`embeddings.sentences`)
sounds.vec                  vectors of the training words, for systems that replace unknown words by their sound
fusion.json, branches/      instead of the first two, for a fusion (`fusion_folder`)
terms.txt                   what the model was trained on and how it may be used (`pretrained`)

weights + Preprocessor ─ export ─▶ folder ─ settings ─▶ Preprocessor, temperature
name, run folder or model folder, hub:OWNER/NAME ─ find ─▶ folder
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..config.experiment import WIDEST
from ..config.fusion import BRANCHES
from ..config.model import ModelConfig
from ..embeddings import sentences
from ..errors import ModelError
from ..features import registry, speech_encoder
from ..metrics import TEMPERATURES
from ..models.onnx import int8, networks
from ..preprocessing import REPAIR, Normaliser, Preprocessor
from ..utils import files, hub
from ..utils.reading import Record, read_json, shortened, unreadable
from . import pretrained
from .fusion_folder import FUSION, is_fusion

GRAPH, DESCRIPTION = "model.onnx", "model.json"
SPOKEN_GRAPH, SPOKEN_DESCRIPTION = "spoken.onnx", "spoken.json"
SOUNDS = "sounds.vec"
ENCODER, SENTENCES = "encoder", "sentences"
ARRAYS = "baseline.npz"
_PUBLISHED = (
    *(GRAPH, DESCRIPTION, ARRAYS, SPOKEN_GRAPH, SPOKEN_DESCRIPTION, SOUNDS, FUSION, "language.json", "confidence.npz"),
    *("adapted.json", pretrained.TERMS, pretrained.CARD, f"{ENCODER}/*", f"{SENTENCES}/*"),
)
PATTERNS = (*_PUBLISHED, *(f"{BRANCHES}/*/{name}" for name in _PUBLISHED))
"""Files of a model folder that prediction reads, and its card; the Hub keeps these (`fnmatch`)."""
_FORMAT, _SPOKEN_FORMAT = "duetto-model-1", "duetto-spoken-1"


def export(weights: Mapping[str, np.ndarray], preprocessor: Preprocessor, temperature: float, folder: Path) -> None:
    """Write `folder`/model.onnx and model.json.

    Args:
        weights: State dict of a `models.emotion.EmotionModel` as float32 arrays.
        preprocessor: What training fitted.
        temperature: Divides the logits before the softmax; fitted on development data.
        folder: Created where it does not exist.
    """
    config = ModelConfig.from_experiment(preprocessor.experiment, preprocessor.word_dim)
    preprocessor = _with_encoder(preprocessor, folder)
    files.write_bytes(folder / GRAPH, networks.emotion(config, weights))
    describe(folder, preprocessor, temperature)


def describe(folder: Path, preprocessor: Preprocessor, temperature: float) -> None:
    """Write `folder`/model.json, which comes last: a folder that has one is complete.

    Args:
        folder: Of the model.
        preprocessor: What training fitted.
        temperature: Divides the logits before the softmax.
    """
    description = {"format": _FORMAT, "temperature": temperature, **preprocessor.to_json()}
    files.write_text(folder / DESCRIPTION, json.dumps(description, ensure_ascii=False))


def _with_encoder(preprocessor: Preprocessor, folder: Path) -> Preprocessor:
    """Copy the encoders of the user's own, of speech and of sentences, into a model folder."""
    e = preprocessor.experiment
    if e.sentences:
        if Path(e.sentences).resolve() != (folder / SENTENCES).resolve():
            sentences.copy(Path(e.sentences), folder / SENTENCES)
        e = replace(e, sentences=SENTENCES)
        preprocessor = replace(preprocessor, experiment=e)
    if not e.uses_audio or (source := registry.encoder_folder(e.features)) is None:
        return preprocessor
    if source.resolve() != (folder / ENCODER).resolve():
        speech_encoder.copy(source, folder / ENCODER)
    return replace(preprocessor, experiment=replace(e, features=registry.with_encoder(e.features, ENCODER)))


def _own_encoder(description: Record, folder: Path) -> Mapping[str, Any]:
    """A description whose encoders, where it names any, are the copies in the model folder, whatever it names."""
    e = description.get("experiment")
    if not isinstance(e, Mapping) or not isinstance(name := e.get("features"), str):
        return description
    if e.get("sentences"):
        e = {**e, "sentences": str(folder / SENTENCES)}
        description = Record({**description, "experiment": e}, description.where, ModelError, REPAIR)
    if registry.encoder_folder(name) is None:
        return description
    features = registry.with_encoder(name, str(folder / ENCODER))
    return {**description, "experiment": {**e, "features": features}}


def export_spoken(
    weights: Mapping[str, np.ndarray], normaliser: Normaliser, about: Mapping[str, Any], folder: Path
) -> None:
    """Write `folder`/spoken.onnx and spoken.json: the encoder of a Speech2Vec.

    Args:
        weights: State dict of a `models.speech2vec.Speech2Vec` as float32 arrays.
        normaliser: Of the MFCC.
        about: JSON values that describe its training; `config` is required.
        folder: Created where it does not exist.
    """
    description = {"format": _SPOKEN_FORMAT, "mfcc": normaliser.to_json(), "about": about}
    _write(folder, SPOKEN_GRAPH, networks.spoken_encoder(weights), SPOKEN_DESCRIPTION, description)


def quantise(folder: Path) -> None:
    """Turn the weights of model.onnx into 8-bit integers, in place, and note it in model.json.

    The graph restores the weights when it is loaded and computes in float32 (`models.onnx.int8`): its outputs are those
    of the rounded weights, on every processor.

    Args:
        folder: A model folder.

    Raises:
        ModelError: The folder holds no model of this version.
    """
    description = _read_description(folder, DESCRIPTION, _FORMAT)
    content = int8.int8((folder / GRAPH).read_bytes())
    _write(folder, GRAPH, content, DESCRIPTION, {**description, "weights": "int8"})


def _write(folder: Path, graph: str, content: bytes, description: str, value: Mapping[str, Any]) -> None:
    """Write both files, each atomically; the description comes last, so a folder that has one is complete."""
    files.write_bytes(folder / graph, content)
    files.write_text(folder / description, json.dumps(value, ensure_ascii=False))


def _read_description(folder: Path, name: str, format_: str) -> Record:
    if not (folder / name).exists():
        raise ModelError(f"{folder}: no {name} in it. Give a folder that duetto trained or exported")
    value = read_json(folder / name, error=ModelError, repair=REPAIR)
    if value.get("format") != format_:
        raise ModelError(f"{folder / name}: not of format {format_}; export again with this version")
    return value


def settings(folder: Path) -> tuple[Preprocessor, float]:
    """Read and validate model.json.

    Args:
        folder: A model folder.

    Returns:
        The preprocessing, and the temperature of the logits.

    Raises:
        ModelError: model.json is missing, damaged or of another version.
    """
    value = _read_description(folder, DESCRIPTION, _FORMAT)
    low, high = TEMPERATURES
    return Preprocessor.from_json(_own_encoder(value, folder), value.where), value.number(
        "temperature", low=low, high=high
    )


@dataclass(frozen=True)
class SpokenSettings:
    """The content of spoken.json.

    Attributes:
        normaliser: Of the MFCC.
        about: How the encoder was trained.
        dim: Values in an embedding.
    """

    normaliser: Normaliser
    about: dict[str, Any]
    dim: int


def spoken_settings(folder: Path) -> SpokenSettings:
    """Read and validate spoken.json.

    Args:
        folder: A model folder, or the folder of a trained Speech2Vec.

    Returns:
        Its content.

    Raises:
        ModelError: spoken.json is missing, damaged or of another version.
    """
    value = _read_description(folder, SPOKEN_DESCRIPTION, _SPOKEN_FORMAT)
    normaliser, about = Normaliser.from_json(value.record("mfcc")), value.record("about")
    return SpokenSettings(normaliser, dict(about), about.record("config").integer("dim", low=1, high=WIDEST))


def find(model: str | os.PathLike[str]) -> Path:
    """Find the model folder of a name.

    Args:
        model: A model folder, a run folder (its first finished fold and seed is taken), a name in
            `pretrained.PRETRAINED`, unless a folder of that name holds a model; or `hub:OWNER/NAME`, with `@REVISION`
            if it is not the newest, which is downloaded unless it is in the cache of the Hugging Face Hub.

    Returns:
        The model folder.

    Raises:
        ModelError: There is no model of that name, or it cannot be downloaded.
        ConfigurationError: `hub:…` is no name of a model on the Hub.
        MissingExtraError: A model on the Hub needs the extra `hub`.
    """
    if str(model).startswith(hub.PREFIX):
        return _on_hub(str(model))
    folder = Path(model)
    try:
        if (folder / DESCRIPTION).is_file() or is_fusion(folder):
            return folder
    except OSError as error:  # a name that is too long
        raise ModelError(f"{shortened(str(model))}: {unreadable(error)}; give the folder of a model") from error
    if isinstance(model, str) and model in pretrained.PRETRAINED:
        return pretrained.folder(model)
    if members := _members(folder):
        return members[0]
    raise _no_model(folder)


def _on_hub(name: str) -> Path:
    folder = hub.download(hub.parse(name), PATTERNS)
    if not ((folder / DESCRIPTION).is_file() or is_fusion(folder)):
        raise ModelError(f"{name}: no {DESCRIPTION} or {FUSION} in it, so it is no model of duetto")
    return folder


def _no_model(folder: Path) -> ModelError:
    """The error for a folder without a model: why there is none, and where there are some."""
    from .. import runs  # late, since prediction needs nothing else of it

    if (folder / runs.RUN).is_file():
        return ModelError(f"{folder}: none of its trainings has ended; run the same `duetto train` again to go on")
    if others := _members(folder.parent):
        names = ", ".join(path.name for path in others)
        return ModelError(f"{folder}: no model in it. The run folder {folder.parent} has models in: {names}")
    return ModelError(
        f"{folder}: no model in it. Give a run folder of `duetto train`, an exported folder, or the name of a "
        f"model that comes with duetto: {', '.join(pretrained.PRETRAINED)}"
    )


def _members(folder: Path) -> list[Path]:
    """Folders of the finished trainings in a run folder, by fold and seed."""
    found = (path.parent for name in (DESCRIPTION, FUSION) for path in folder.glob(f"fold*-seed*/{name}"))
    return sorted(found, key=_fold_and_seed)


def _fold_and_seed(member: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", member.name)]
