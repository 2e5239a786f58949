"""Annotate one utterance with its words: align its transcript, or recognise it if there is none.

AnnotationJob ─ annotate ─▶ WordAnnotation
AnnotationJob ─ cache_key ─▶ what the annotation depends on: audio content, cut, transcript, recogniser, versions
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from .. import audio
from ..data.utterance import Word
from ..errors import DuettoError
from ..utils import parallel
from .align import Aligner
from .cache import content_digest
from .engines import RecogniserConfig, SpeechRecogniser

VERSION = 1
"""Incremented when the same input may give another annotation; cached ones of other versions are not used."""


@dataclass(frozen=True, slots=True)
class AnnotationJob:
    """The input of annotating one utterance; picklable.

    Attributes:
        audio: Path of the audio file.
        start: Of the utterance in the file, in seconds; None for the beginning.
        end: Of the utterance in the file, in seconds; None for the end.
        transcript: To align; None to recognise.
        asr: The speech recogniser.
    """

    audio: str
    start: float | None
    end: float | None
    transcript: str | None
    asr: RecogniserConfig


@dataclass(frozen=True, slots=True)
class WordAnnotation:
    """The words of one utterance, or why there are none.

    Attributes:
        words: With times in seconds.
        guessed: Words whose pronunciation was guessed.
        problem: Kind of problem, see `annotate.AlignmentProblem`; None if there is none.
        detail: The problem in a sentence.
    """

    words: tuple[Word, ...] = ()
    guessed: tuple[str, ...] = ()
    problem: str | None = None
    detail: str = ""

    @property
    def is_cacheable(self) -> bool:
        """Whether annotating again would give the same: not if the audio could not be read or the process died."""
        return self.problem not in ("audio", "crash")

    def to_json(self) -> dict[str, Any]:
        """Convert to a JSON object.

        Returns:
            All fields.
        """
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any] | None) -> WordAnnotation | None:
        """Read a cached annotation.

        Args:
            value: From `to_json`.

        Returns:
            The annotation; None if it is missing or damaged.
        """
        if value is None:
            return None
        try:
            words = tuple(Word(**word) for word in value["words"])
            return cls(words, tuple(value["guessed"]), value["problem"], value["detail"])
        except (DuettoError, KeyError, TypeError):
            return None


@lru_cache(maxsize=1)
def _aligner() -> Aligner:
    return Aligner()


@lru_cache(maxsize=1)
def recogniser(config: RecogniserConfig) -> SpeechRecogniser:
    """Start a speech recogniser, or return the one that this process started last.

    Args:
        config: Which one.

    Returns:
        The recogniser.
    """
    return config.start()


def annotate(job: AnnotationJob) -> WordAnnotation:
    """Annotate one utterance in this process.

    Args:
        job: The utterance.

    Returns:
        The words; whatever is wrong with the utterance is returned as a problem.
    """
    try:
        samples = audio.load(job.audio, start=job.start, end=job.end).samples
    except DuettoError as error:
        return WordAnnotation(problem="audio", detail=str(error))
    if job.transcript is None:
        words = recogniser(job.asr).recognise(samples)
        if not words:
            return WordAnnotation(problem="unheard", detail="no word was recognised in it")
        return WordAnnotation(words)
    alignment = _aligner().align(samples, job.transcript)
    if not alignment.words and not alignment.unaligned:
        return WordAnnotation(problem="no-word", detail=" ".join(alignment.warnings))
    if not alignment.matches:
        return WordAnnotation(guessed=alignment.guessed, problem="mismatch", detail=" ".join(alignment.warnings))
    return WordAnnotation(alignment.words, alignment.guessed)


def annotate_all(
    jobs: Sequence[AnnotationJob], function: Callable[[AnnotationJob], WordAnnotation], workers: int
) -> Iterator[WordAnnotation]:
    """Annotate many utterances in parallel.

    Args:
        jobs: The utterances.
        function: `annotate`, or another module-level function.
        workers: Processes; 1 for this one.

    Yields:
        The result of each job, in order. A worker process that dies fails only its own job, with a problem of kind
        `crash`.
    """
    return parallel.in_order(function, jobs, workers=workers, processes=True, crashed=_crashed)


def _crashed(job: AnnotationJob) -> WordAnnotation:
    return WordAnnotation(problem="crash", detail=f"{job.audio}: the process that worked on it died")


def cache_key(job: AnnotationJob) -> str | None:
    """Identify a job by everything that its annotation depends on.

    Args:
        job: The utterance.

    Returns:
        A digest; None if the audio cannot be read.
    """
    try:
        digest = content_digest(job.audio)
    except OSError:
        return None
    asr = job.asr.identity if job.transcript is None else None
    parts = [VERSION, version("pocketsphinx"), digest, job.start, job.end, job.transcript, asr]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
