"""Prediction without PyTorch: a model folder, its ONNX Runtime session, and the recogniser.

weights + Preprocessor ─ export ─▶ model folder ─ Session ─▶ logits
audio ─ recogniser.Recogniser ─▶ Prediction
Speech2Vec weights ─ export_spoken ─▶ spoken.onnx, spoken.json ─ SpokenWordEncoder ─▶ embeddings
unknown words + their sound ─ OovResolver ─▶ known words
"""

from .model_folder import (
    DESCRIPTION,
    GRAPH,
    SOUNDS,
    SPOKEN_DESCRIPTION,
    SPOKEN_GRAPH,
    export,
    export_spoken,
    find,
    quantise,
    settings,
)
from .session import Session
from .spoken import OovResolver, SpokenWordEncoder

__all__ = [
    "DESCRIPTION",
    "GRAPH",
    "SOUNDS",
    "SPOKEN_DESCRIPTION",
    "SPOKEN_GRAPH",
    "OovResolver",
    "Session",
    "SpokenWordEncoder",
    "export",
    "export_spoken",
    "find",
    "quantise",
    "settings",
]
