"""Trained systems without PyTorch: exported once, then run by ONNX Runtime.

weights + Frontend ─ export ─▶ model.onnx, model.json ─ Session ─▶ logits
Speech2Vec weights ─ export_spoken ─▶ spoken.onnx, spoken.json ─ SpokenEncoder ─▶ embeddings
unknown words + their sound ─ SoundAlikes ─▶ known words
"""

from .alike import SOUNDS, SoundAlikes
from .session import DESCRIPTION, SPOKEN_DESCRIPTION, Session, SpokenEncoder, export, export_spoken

__all__ = [
    "DESCRIPTION",
    "SOUNDS",
    "SPOKEN_DESCRIPTION",
    "Session",
    "SoundAlikes",
    "SpokenEncoder",
    "export",
    "export_spoken",
]
