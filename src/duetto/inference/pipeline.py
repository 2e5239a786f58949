"""A recogniser with the interface of the pipeline `audio-classification` of transformers.

classify = duetto.pipeline("audio-classification")
classify("call.wav")                      # [{"score": 0.62, "label": "angry"}, {"score": 0.21, …}, …]
classify(["a.wav", "b.wav"], top_k=1)     # a list for each
for answer in classify(dataset["audio"]): ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..audio import forms
from ..errors import ConfigurationError
from .prediction import Prediction
from .recogniser import Recogniser

TASK = "audio-classification"

Answer = list[dict[str, Any]]
"""`{"score": probability, "label": class}`, the most probable first."""


class AudioClassificationPipeline:
    """Classifies recordings; make it with `duetto.pipeline`.

    Args:
        recogniser: What answers.
        top_k: Classes of an answer; None for all.

    Raises:
        ConfigurationError: `top_k` is not valid.

    Attributes:
        task: `audio-classification`.
        recogniser: What answers.
        top_k: As given.
    """

    task: str = TASK
    recogniser: Recogniser
    top_k: int | None

    def __init__(self, recogniser: Recogniser, top_k: int | None = None) -> None:
        self.recogniser, self.top_k = recogniser, _checked(top_k)

    def __call__(self, inputs: Any, *, top_k: int | None = None) -> Answer | list[Answer] | Iterator[Answer]:
        """Classify one recording or many.

        Args:
            inputs: A recording in any form that `Recogniser.__call__` takes; a list of recordings; an iterator over
                them, or a dataset, such as an audio column of `datasets`, which is read as it is needed.
            top_k: Classes of an answer; by default as the pipeline was made.

        Returns:
            Class and calibrated probability of the most probable classes. A recording without speech has no emotion,
            and gets an empty list (`require_speech=False` answers it). For a list of recordings a list of these; for
            an iterator or a dataset an iterator.

        Raises:
            AudioError: A recording cannot be read or analysed; `Recogniser.predict_many` continues instead.
            ConfigurationError: `top_k` is not valid.
        """
        count = self.top_k if top_k is None else _checked(top_k)
        if isinstance(inputs, list):
            return [_answer(self.recogniser(source), count) for source in inputs]
        if _is_many(inputs):
            return (_answer(self.recogniser(source), count) for source in inputs)
        return _answer(self.recogniser(inputs), count)


def _answer(prediction: Prediction, top_k: int | None) -> Answer:
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    return [{"score": probability, "label": label} for label, probability in ranked[:top_k]]


def _is_many(inputs: Any) -> bool:
    """Whether inputs are an iterator or a dataset, rather than one recording."""
    if isinstance(inputs, str | bytes | bytearray | memoryview | tuple | Mapping | forms.SampleDecoder):
        return False
    if hasattr(inputs, "read") or hasattr(inputs, "shape"):  # a file object, an array
        return False
    return isinstance(inputs, Iterator) or (hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__"))


def _checked(top_k: Any) -> int | None:
    if top_k is None or (isinstance(top_k, int) and not isinstance(top_k, bool) and top_k >= 1):
        return top_k
    raise ConfigurationError(f"top_k is {top_k!r}; give a whole number from 1 on, or None for all classes")
