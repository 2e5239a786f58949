"""Trained systems without PyTorch: exported once, then run by ONNX Runtime.

weights + Preprocessor ─ export ─▶ model.onnx, model.json ─ Session ─▶ logits
                               verify: are they the model's?  quantise: 8-bit weights
Speech2Vec weights ─ export_spoken ─▶ spoken.onnx, spoken.json ─ SpokenWordEncoder ─▶ embeddings
unknown words + their sound ─ OovResolver ─▶ known words
"""

from .session import (
    DESCRIPTION,
    GRAPH,
    SPOKEN_DESCRIPTION,
    SPOKEN_GRAPH,
    Session,
    export,
    export_spoken,
    quantise,
    settings,
)
from .spoken import SOUNDS, OovResolver, SpokenWordEncoder

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
    "quantise",
    "settings",
]
