"""Trained systems without PyTorch: exported once, then run by ONNX Runtime.

weights + Frontend ─ export ─▶ model.onnx, model.json ─ Session ─▶ logits
                               verify: are they the model's?  quantise: 8-bit weights
Speech2Vec weights ─ export_spoken ─▶ spoken.onnx, spoken.json ─ SpokenEncoder ─▶ embeddings
unknown words + their sound ─ SoundAlikes ─▶ known words
"""

from .alike import SOUNDS, SoundAlikes
from .session import (
    DESCRIPTION,
    GRAPH,
    SPOKEN_DESCRIPTION,
    SPOKEN_GRAPH,
    Session,
    SpokenEncoder,
    export,
    export_spoken,
    quantise,
    settings,
)

__all__ = [
    "DESCRIPTION",
    "GRAPH",
    "SOUNDS",
    "SPOKEN_DESCRIPTION",
    "SPOKEN_GRAPH",
    "Session",
    "SoundAlikes",
    "SpokenEncoder",
    "export",
    "export_spoken",
    "quantise",
    "settings",
]
