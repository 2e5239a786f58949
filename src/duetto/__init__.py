"""duetto recognises emotion in speech from two voices of one utterance: how it is said, and what is said.

import duetto

recogniser = duetto.load()                 # or a run folder, or an exported folder
prediction = recogniser("call.wav")
prediction.label, prediction.probabilities, prediction.words
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .errors import DuettoError

if TYPE_CHECKING:
    from . import corpora, features, metrics, splits
    from .inference.recogniser import Prediction, Recogniser

__version__ = "0.2.0"
__all__ = ["DuettoError", "Prediction", "Recogniser", "__version__", "corpora", "features", "load", "metrics", "splits"]


def load(model: str | os.PathLike[str] | None = None, *, asr: str = "corpus", threads: int = 1) -> Recogniser:
    """A recogniser of emotions: a run folder of `duetto train`, an exported folder, or a model that comes with
    duetto, by its name in `pretrained.PRETRAINED`; without any, `pretrained.DEFAULT`. Its `terms` say how that one
    may be used.

    asr: the speech recogniser that finds the words, for systems that read them: `corpus` (pocketsphinx, expecting the
    sentences the system was trained on), `general` (its own English model), `segments` (word-like
    stretches of sound; only for systems that embed the sound of words), or `whisper=FOLDER`.
    threads: of ONNX Runtime; 1 is fastest for single recordings.
    """
    from .inference.pretrained import DEFAULT
    from .inference.recogniser import Recogniser

    return Recogniser(DEFAULT if model is None else model, asr=asr, threads=threads)


def __getattr__(name: str) -> Any:
    """Submodules and result classes on first use, so that `import duetto` stays quick."""
    import importlib

    if name in ("corpora", "features", "metrics", "splits"):
        return importlib.import_module(f".{name}", __name__)
    if name in ("Prediction", "Recogniser"):
        return getattr(importlib.import_module(".inference.recogniser", __name__), name)
    raise AttributeError(f"module 'duetto' has no attribute {name!r}")
