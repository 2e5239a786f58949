"""Predictions in worker processes: each opens the model once, and returns what it logs with every answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, TypeVar

from .. import audio
from ..errors import DuettoError
from ..utils import worker_logs
from .prediction import Prediction

_T = TypeVar("_T")

Arguments = tuple[str, str, int, bool, float | str | None]
"""`model`, `asr`, `threads`, `require_speech` and `reject` of `duetto.load`."""


class _Predictor(Protocol):
    """What a worker needs of a `Recogniser`; the method is documented there."""

    def attempt(self, source: audio.Source) -> Prediction | DuettoError: ...


def opened_again(make: Callable[..., _T], arguments: Arguments) -> _T:
    """Open a recogniser by the arguments of another one.

    Args:
        make: The class `Recogniser`.
        arguments: Of the recogniser.

    Returns:
        The recogniser.
    """
    model, asr, threads, require_speech, reject = arguments
    return make(model, asr=asr, threads=threads, require_speech=require_speech, reject=reject)


_loaded = lru_cache(maxsize=1)(opened_again)
"""The recogniser of a worker process."""


def attempt_in_worker(
    make: Callable[..., _Predictor], arguments: Arguments, level: int, source: audio.Source | DuettoError
) -> tuple[Prediction | DuettoError, list[logging.LogRecord]]:
    """Answer one recording in a worker process.

    Args:
        make: The class `Recogniser`.
        arguments: Of the recogniser, which is made at the first call.
        level: The lowest level that is logged.
        source: The recording; an error is returned as it is.

    Returns:
        The result of the recording, and what was logged for it.
    """
    if isinstance(source, DuettoError):
        return source, []
    with worker_logs.collected(level):  # of loading, which the parent process has logged itself
        recogniser = _loaded(make, arguments)
    with worker_logs.collected(level) as records:
        outcome = recogniser.attempt(source)
    return outcome, records
