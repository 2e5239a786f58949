"""Emotion systems: what they read, how they are trained, what they answer.

Fold + Sources ─ train ─▶ model.onnx, model.json, Outcome(logits of development and test data)
"""

from .dataset import Batches, Inputs, Reader, Sources, fit_preprocessor, prepare
from .emotion import TEACHER, EmotionTask, Outcome, answers_of, build, logits, restore, train

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
    "fit_preprocessor",
    "logits",
    "prepare",
    "restore",
    "train",
]
