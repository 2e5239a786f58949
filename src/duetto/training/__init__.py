"""Train emotion systems and Speech2Vec.

FoldInputs ─ train ─▶ a model folder for prediction, TrainedOutputs(logits of development and test data)
"""

from .dataset import Batches, Item, PreparedDataset
from .emotion import TEACHER, TrainedOutputs, build, exported_logits, restore, train
from .emotion_task import EmotionTask, logits, outputs
from .inputs import FoldInputs, Inputs, WordVectoriser, fit_preprocessor, learned, load_vectors, prepare

__all__ = [
    "TEACHER",
    "Batches",
    "EmotionTask",
    "FoldInputs",
    "Inputs",
    "Item",
    "PreparedDataset",
    "TrainedOutputs",
    "WordVectoriser",
    "build",
    "exported_logits",
    "fit_preprocessor",
    "learned",
    "load_vectors",
    "logits",
    "outputs",
    "prepare",
    "restore",
    "train",
]
