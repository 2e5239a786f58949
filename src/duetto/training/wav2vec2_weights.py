"""Weights of wav2vec 2.0, HuBERT, WavLM and data2vec, read by `transformers` from a folder in Hugging Face's layout.

    FOLDER/config.json, *.safetensors, preprocessor_config.json ─ read ─▶ Wav2Vec2Encoder

Nothing is downloaded, no code of the folder is run, and pickled weights (pytorch_model.bin) are not read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..audio.timing import SAMPLE_RATE
from ..errors import MissingExtraError, ModelError
from ..features.speech_encoder import STEP_SAMPLES, SamplesInput
from ..models.onnx.wav2vec2 import Architecture
from ..utils.reading import Record, read_json

MODELS = ("data2vec-audio", "hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm")
"""`model_type` of the models whose computation `models.onnx.wav2vec2` knows."""

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
_LAYER_NORM_EPSILON = 1e-5
_ACTIVATION = "gelu"
_REPAIR = "give the folder of a model as Hugging Face has it"
_OF_ENCODER = ("feature_extractor.", "feature_projection.", "encoder.")


@dataclass(frozen=True)
class Wav2Vec2Encoder:
    """A model of one of `MODELS`.

    Attributes:
        kind: Its `model_type`.
        weights: Tensors as `models.onnx.wav2vec2.encoder` takes them.
        architecture: What they do not state.
        layers: Transformer layers.
        samples: How samples enter.
        model: The `transformers` model, in evaluation mode.
    """

    kind: str
    weights: dict[str, np.ndarray]
    architecture: Architecture
    layers: int
    samples: SamplesInput
    model: Any

    @property
    def dim(self) -> int:
        """Values of a state."""
        return len(self.weights["feature_projection.projection.bias"])

    def states(self, samples: np.ndarray) -> list[np.ndarray]:
        """Compute the output of every layer with `transformers`.

        Args:
            samples: (n,) float32 as they enter the model, at least one window.

        Returns:
            One array (frames, dim) for each layer.
        """
        found: list[np.ndarray] = []

        def keep(_: Any, __: Any, output: Any) -> None:
            found.append((output[0] if isinstance(output, tuple) else output)[0].numpy())

        hooks = [layer.register_forward_hook(keep) for layer in self.model.encoder.layers]
        try:
            with torch.no_grad():
                self.model(torch.from_numpy(samples[None]))
        finally:
            for hook in hooks:
                hook.remove()
        return found


def kind(folder: Path) -> str:
    """Read which model a folder holds.

    Args:
        folder: Of the model.

    Returns:
        `model_type` in its config.json; empty where there is none.

    Raises:
        ModelError: config.json is damaged.
    """
    path = folder / CONFIG
    return read_json(path, error=ModelError, repair=_REPAIR).text("model_type", "") if path.is_file() else ""


def files_of(folder: Path) -> list[Path]:
    """Find the weights in the folder of a model.

    Args:
        folder: Of the model.

    Returns:
        Its safetensors files, by name.

    Raises:
        ModelError: There is none.
    """
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise ModelError(
            f"{folder}: no model.safetensors in it; {_REPAIR} (pickled weights are not read: save the model again with "
            "`save_pretrained`)"
        )
    return found


def read(folder: Path) -> Wav2Vec2Encoder:
    """Read a model.

    Args:
        folder: Holds config.json, model.safetensors (or its parts) and preprocessor_config.json.

    Returns:
        The model and its tensors as float32.

    Raises:
        ModelError: A file is missing or damaged, or the model computes what `models.onnx.wav2vec2` does not.
        MissingExtraError: `transformers` is not installed.
    """
    files_of(folder)
    path = folder / PREPROCESSOR
    if not path.is_file():
        raise ModelError(f"{folder}: no {PREPROCESSOR} in it, which states whether samples are normalised; {_REPAIR}")
    preprocessor = read_json(path, error=ModelError, repair=_REPAIR)
    model = _loaded(folder)
    config = model.config
    problem = next(_problems(config, preprocessor), None)
    if problem is not None:
        raise ModelError(f"{folder}: {problem}, which duetto does not compute; give another model")
    samples = SamplesInput(_window(config), preprocessor.boolean("do_normalize", True))
    return Wav2Vec2Encoder(
        config.model_type, _tensors(model), _architecture(config), len(model.encoder.layers), samples, model
    )


def _loaded(folder: Path) -> Any:
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise MissingExtraError("Building an encoder from this model", "ssl") from error
    try:
        with _quiet():
            model, report = AutoModel.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except Exception as error:  # whatever `transformers` makes of a damaged file
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{folder}: transformers can't load the model ({reason}); {_REPAIR}") from error
    missing = sorted(name for name in report["missing_keys"] if name.startswith(_OF_ENCODER))
    if missing:
        raise ModelError(f"{folder}: its weights lack {len(missing)} tensors, such as {missing[0]}; {_REPAIR}")
    return model.float().eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Load without a progress bar and without a report of the heads that are not needed."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def _problems(config: Any, preprocessor: Record) -> Iterator[str]:
    """What the graph would compute otherwise than the model."""
    activations = {config.hidden_act, config.feat_extract_activation}
    if activations != {_ACTIVATION}:
        yield f"its activations are {', '.join(sorted(map(str, activations)))}, not {_ACTIVATION}"
    if config.layer_norm_eps != _LAYER_NORM_EPSILON:
        yield f"its layer_norm_eps is {config.layer_norm_eps:g}, not {_LAYER_NORM_EPSILON:g}"
    if getattr(config, "adapter_attn_dim", None) is not None:
        yield "its layers have adapters (adapter_attn_dim)"
    if (step := math.prod(config.conv_stride)) != STEP_SAMPLES:
        yield f"it has a state every {step} samples, not every {STEP_SAMPLES}"
    if (rate := preprocessor.get("sampling_rate", SAMPLE_RATE)) != SAMPLE_RATE:
        yield f"it reads {rate} samples a second, not {SAMPLE_RATE}"


def _window(config: Any) -> int:
    """Samples that one state of the convolutions is computed from."""
    window, step = 1, 1
    for size, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        window, step = window + (size - 1) * step, step * stride
    return window


def _architecture(config: Any) -> Architecture:
    biased = config.model_type == "wavlm"
    return Architecture(
        strides=tuple(config.conv_stride),
        heads=config.num_attention_heads,
        groups=config.num_conv_pos_embedding_groups,
        # data2vec has no choice of either.
        norm_every=getattr(config, "feat_extract_norm", "layer") == "layer",
        norm_first=bool(getattr(config, "do_stable_layer_norm", False)),
        buckets=config.num_buckets if biased else 0,
        farthest=config.max_bucket_distance if biased else 0,
    )


def _tensors(model: Any) -> dict[str, np.ndarray]:
    """The tensors of the encoder; the weight of a normalised convolution as it is applied."""
    found = {name: value for name, value in model.state_dict().items() if name.startswith(_OF_ENCODER)}
    place = "encoder.pos_conv_embed.conv"
    if hasattr(model.encoder.pos_conv_embed, "conv"):
        found = {name: value for name, value in found.items() if not name.startswith(f"{place}.")}
        found[f"{place}.weight"] = model.encoder.pos_conv_embed.conv.weight
        found[f"{place}.bias"] = model.encoder.pos_conv_embed.conv.bias
    return {name: value.detach().float().numpy() for name, value in found.items() if value.is_floating_point()}
