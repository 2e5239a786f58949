"""Trained systems without PyTorch: exported once, then run by ONNX Runtime.

weights + Frontend ─ export ─▶ model.onnx, model.json ─ Session ─▶ logits
Speech2Vec weights ─ export_spoken ─▶ spoken.onnx, spoken.json ─ SpokenEncoder ─▶ embeddings
"""

from .session import DESCRIPTION, SPOKEN_DESCRIPTION, Session, SpokenEncoder, export, export_spoken

__all__ = ["DESCRIPTION", "SPOKEN_DESCRIPTION", "Session", "SpokenEncoder", "export", "export_spoken"]
