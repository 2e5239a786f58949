"""Emotion systems: what they read, how they are trained, what they answer.

Fold + Sources ─ train ─▶ model.onnx, model.json, Outcome(logits of development and test data)
"""

from .data import Batches, Inputs, Reader, Sources, frontend, prepare
from .system import TEACHER, Outcome, answers_of, build, restore, train
from .task import EmotionTask, logits

__all__ = [
    "TEACHER",
    "Batches",
    "EmotionTask",
    "Inputs",
    "Outcome",
    "Reader",
    "Sources",
    "answers_of",
    "build",
    "frontend",
    "logits",
    "prepare",
    "restore",
    "train",
]
