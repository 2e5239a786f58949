"""The computation behind the feature store, in this process or in several.

Job(file, digest, segments) ─ extract_jobs ─▶ (features, warnings) of each segment, or the reason why there are none
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import audio
from ..errors import AudioError, ConfigurationError, DuettoError
from ..utils.parallel import cores, processes, single_threaded_children
from .content import content_digest
from .extractor import Extractor

_JOBS_PER_TASK, _TASKS_PER_WORKER = 16, 8
"""Most files of one task; tasks are smaller where each worker would otherwise get fewer than so many of them."""

_SERIAL_SECONDS = 0.5
"""Work that ends within this time is done in this process: starting others takes about as long."""

CHANGED = "was changed while it was being read; run the same again"


@dataclass(frozen=True, slots=True)
class Job:
    """Segments of one audio file.

    Attributes:
        audio: The file.
        digest: `content.content_digest` of the file; None where it could not be read.
        segments: Utterance id, and start and end in seconds; None for the start or end of the file.
    """

    audio: Path
    digest: str | None
    segments: tuple[tuple[str, float | None, float | None], ...]


SegmentResult = tuple[np.ndarray, tuple[str, ...]] | str
"""Features (frames, dim) float32 and warnings of a segment, or the reason why it has none."""

JobResult = tuple[SegmentResult, ...]
"""One result for each segment of a job."""


def extract_jobs(jobs: list[Job], extractor: Extractor, workers: int) -> Iterator[tuple[Job, JobResult]]:
    """Extract the features of every job.

    Args:
        jobs: What to compute.
        extractor: How to compute it.
        workers: Processes; 0 for one per core, 1 for this process alone.

    Yields:
        Each job with its result, in the order of `jobs`.

    Raises:
        ConfigurationError: Worker processes died.
    """
    workers = workers or cores()
    began, done = time.monotonic(), 0
    for job in jobs:
        if workers > 1 and time.monotonic() - began >= _SERIAL_SECONDS:
            break
        yield job, _extract_job(job, extractor)
        done += 1
    if done < len(jobs):
        yield from _extract_in_workers(jobs[done:], extractor, workers)


def _extract_in_workers(jobs: list[Job], extractor: Extractor, workers: int) -> Iterator[tuple[Job, JobResult]]:
    size = max(1, min(_JOBS_PER_TASK, len(jobs) // (workers * _TASKS_PER_WORKER)))
    tasks = deque(jobs[at : at + size] for at in range(0, len(jobs), size))
    running: deque[tuple[list[Job], Future[list[JobResult]]]] = deque()
    try:
        with single_threaded_children(), processes(workers, _start_worker, (extractor,)) as pool:
            while tasks or running:
                while tasks and len(running) < 3 * workers:
                    running.append((task := tasks.popleft(), pool.submit(_run_task, task)))
                task, future = running.popleft()
                yield from zip(task, future.result(), strict=True)
    except BrokenProcessPool as error:
        raise ConfigurationError(
            "the worker processes died: out of memory, or the calling script runs the extraction without "
            "`if __name__ == '__main__':`. What was finished is kept; try workers=1"
        ) from error


_worker: list[Extractor] = []
"""The extractor of a worker process, set when it starts."""


def _start_worker(extractor: Extractor) -> None:
    _worker[:] = [extractor]


def _run_task(jobs: list[Job]) -> list[JobResult]:
    return [_extract_job(job, _worker[0]) for job in jobs]


def _extract_job(job: Job, extractor: Extractor) -> JobResult:
    result: JobResult = ()
    try:
        if job.digest is not None:
            result = tuple(_extract_segment(job.audio, start, end, extractor) for _, start, end in job.segments)
        changed = content_digest(job.audio) != job.digest  # after decoding: the digest is of what was decoded
    except FileNotFoundError:
        return (f"{job.audio}: no such file",) * len(job.segments)
    except OSError as error:
        return (f"{job.audio}: cannot be opened ({error.strerror})",) * len(job.segments)
    return (f"{job.audio}: {CHANGED}",) * len(job.segments) if changed else result


def _extract_segment(path: Path, start: float | None, end: float | None, extractor: Extractor) -> SegmentResult:
    try:
        waveform = audio.load(path, start=start, end=end)
        features = np.asarray(extractor.extract(waveform.samples, waveform.sample_rate), np.float32)
        if features.ndim != 2 or not features.size or not np.isfinite(features).all():
            raise AudioError(
                f"the extractor returned features of shape {features.shape}, or values that are not finite"
            )
    except DuettoError as error:
        text = str(error)
        return text if str(path) in text else f"{path}: {text}"
    except Exception as error:  # a defect must not end a run of many hours; its type is reported
        return f"{path}: {type(error).__name__}: {error}"
    return features, waveform.warnings
