"""Makes a speech encoder for `features.speech_encoder` of the first layers of a Whisper model.

Whisper folder ─ whisper_weights.read ─ models.onnx.whisper.encoder ─ int8 ─▶ DIR/encoder.onnx, encoder.json
"""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigurationError
from ..features import speech_encoder
from ..features.speech_encoder import EncoderSettings, SpeechEncoder
from ..models.onnx import whisper
from ..models.onnx.int8 import int8 as quantised
from ..utils import files
from . import whisper_weights

LAYERS = 3
"""Layers that are kept by default: the best of Whisper base for emotion."""


def build(source: Path, folder: Path, *, layers: int = LAYERS, int8: bool = True) -> EncoderSettings:
    """Build an encoder; the same model gives the same bytes.

    Args:
        source: Folder of a Whisper model of any size: CTranslate2 or safetensors.
        folder: Where encoder.onnx and encoder.json go; created where it does not exist.
        layers: How many of its layers to keep, from the first.
        int8: Whether weights are stored as 8-bit integers, which the graph turns back into float32: a quarter of the
            size, and the same answer on every processor.

    Returns:
        What encoder.json holds.

    Raises:
        ModelError: The model is missing or damaged, or the encoder exceeds the limits of `utils.graph_check`.
        ConfigurationError: It has fewer layers.
    """
    model = whisper_weights.read(source)
    if not 1 <= layers <= model.layers:
        raise ConfigurationError(f"{source}: has {model.layers} layers; keep 1 to {model.layers} of them, not {layers}")
    graph = whisper.encoder(model.tensors, model.heads, layers)
    path = whisper_weights.weights_file(source)
    about = {
        "model": "Whisper",
        "source": {"file": path.name, "sha256": files.digest(path), "layers": model.layers},
        "weights": "int8" if int8 else "float32",
    }
    content = quantised(graph) if int8 else graph
    found = speech_encoder.write(content, folder, dim=model.dim, layers=layers, bands=model.bands, about=about)
    SpeechEncoder(folder)  # what would be refused is refused here, not where it is used
    return found
