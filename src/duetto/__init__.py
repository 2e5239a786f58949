"""duetto recognises emotion in speech from its acoustics and its words.

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
    from .inference.pipeline import AudioClassificationPipeline
    from .inference.recogniser import Prediction, Recogniser

__version__ = "0.4.0"
__all__ = [
    "DuettoError",
    "Prediction",
    "Recogniser",
    "__version__",
    "corpora",
    "features",
    "load",
    "metrics",
    "pipeline",
    "splits",
]


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    asr: str = "auto",
    threads: int = 1,
    require_speech: bool = True,
    reject: float | str | None = None,
) -> Recogniser:
    """Load an emotion recogniser.

    >>> import duetto
    >>> duetto.load().labels
    ('angry', 'happy', 'neutral', 'sad')

    Args:
        model: A run folder of `duetto train` (its first finished fold and seed is used), an exported folder, or the
            name of a model that comes with duetto (`inference.pretrained.PRETRAINED`); by default
            `inference.pretrained.DEFAULT`. `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION` is one on the Hugging Face
            Hub. The recogniser's `terms` state how that model may be used.
        asr: The speech recogniser that finds the words, for systems that read them: `auto` (Whisper where a model is at
            hand, see `asr.engines.whisper_at_hand`, and `corpus` otherwise), `corpus` (pocketsphinx, expecting the
            sentences the system was trained on), `general` (pocketsphinx with its own English model), `segments`
            (word-like stretches of sound; only for systems that embed the sound of words), `whisper=FOLDER`, or
            `whisper:NAME`, such as `whisper:base`, which is downloaded unless it is on this computer.
        threads: Of ONNX Runtime; 1 is fastest for single recordings.
        require_speech: Give a recording without speech (`audio.activity.detect_speech`) no label; otherwise any sound
            gets one.
        reject: Mark an answer as `uncertain` where its probability is below the threshold from which on this share of
            answers is wrong at most, such as 0.1, on speakers and recordings unlike those of training; `auto` takes
            0.2, or the lowest rate that the model can hold. By default no answer is marked.

    Returns:
        The recogniser.

    Raises:
        ModelError: The model is missing, damaged or unfinished.
        ConfigurationError: `asr` or `reject` is not valid, or the model states no error rates.
        MissingExtraError: `asr`, or a model on the Hub, needs a package that is not installed.
    """
    from .inference.pretrained import DEFAULT
    from .inference.recogniser import Recogniser

    name = DEFAULT if model is None else model
    return Recogniser(name, asr=asr, threads=threads, require_speech=require_speech, reject=reject)


def pipeline(
    task: str = "audio-classification",
    model: str | os.PathLike[str] | None = None,
    *,
    top_k: int | None = None,
    asr: str = "auto",
    threads: int = 1,
    require_speech: bool = True,
) -> AudioClassificationPipeline:
    """Load a recogniser with the interface of `transformers.pipeline("audio-classification")`.

    Args:
        task: `audio-classification`, the only one.
        model: See `load`.
        top_k: Classes of an answer; all by default.
        asr: See `load`.
        threads: See `load`.
        require_speech: See `load`.

    Returns:
        The pipeline: called with a recording it returns `[{"score": …, "label": …}, …]`, the most probable class first;
        called with a list of recordings, a list of these.

    Raises:
        ConfigurationError: The task is another one, or an argument is not valid.
        ModelError: The model is missing, damaged or unfinished.
    """
    from .errors import ConfigurationError
    from .inference.pipeline import TASK, AudioClassificationPipeline

    if task != TASK:
        raise ConfigurationError(f"task {task!r} is not known; give {TASK!r}")
    recogniser = load(model, asr=asr, threads=threads, require_speech=require_speech)
    return AudioClassificationPipeline(recogniser, top_k)


def __getattr__(name: str) -> Any:
    """Import submodules and classes at first use, so that `import duetto` is fast."""
    import importlib

    if name in ("corpora", "features", "metrics", "splits"):
        return importlib.import_module(f".{name}", __name__)
    if name in ("Prediction", "Recogniser"):
        return getattr(importlib.import_module(".inference.recogniser", __name__), name)
    raise AttributeError(f"module 'duetto' has no attribute {name!r}")
