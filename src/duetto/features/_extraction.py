"""The computing part of the feature store: recordings in, features out, on one core or several.

Job(file, digest, cuts) ─ results ─▶ (features, warnings) of each cut, or why there are none
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from .. import audio
from ..errors import AudioError, ConfigurationError, DuettoError
from ..utils.parallel import cores, processes
from .content import content

_JOBS_PER_TASK, _TASKS_PER_WORKER = 16, 8
"""Files go to a process in tasks of at most so many, and fewer where there would not be so many tasks for each."""
_ALONE_SECONDS = 0.5
"""What is done in this time is not worth starting other processes for, which takes about as long."""

CHANGED = "was changed while it was being read; run the same again"

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Extractor(Protocol):
    """A frozen configuration that turns sound into features, e.g. `short_term.ShortTermConfig`.

    It must survive the way to another process, so its class is defined in an importable module.
    """

    def key(self) -> str:
        """A string that differs whenever the numbers can differ."""
        ...

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """(n,) float32 samples at 16 kHz → (frames, dim), frames ≥ 1, dim the same for every recording."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """The cuts of one audio file that are wanted: (id, start, end). digest: of its content, where it could be read."""

    audio: Path
    digest: str | None
    cuts: tuple[tuple[str, float | None, float | None], ...]


Result = tuple[tuple[np.ndarray, tuple[str, ...]] | str, ...]
"""What became of a job. For each cut: features and warnings, or why there are none."""


def results(jobs: list[Job], config: Extractor, workers: int) -> Iterator[tuple[Job, Result]]:
    """Every job with its result, in order, whichever process finished first."""
    workers = workers or cores()
    began, alone = time.monotonic(), 0
    for job in jobs:
        if workers > 1 and time.monotonic() - began >= _ALONE_SECONDS:
            break
        yield job, _work(job, config)
        alone += 1
    if alone < len(jobs):
        yield from _results_of_workers(jobs[alone:], config, workers)


def _results_of_workers(jobs: list[Job], config: Extractor, workers: int) -> Iterator[tuple[Job, Result]]:
    size = max(1, min(_JOBS_PER_TASK, len(jobs) // (workers * _TASKS_PER_WORKER)))
    tasks = deque(jobs[at : at + size] for at in range(0, len(jobs), size))
    running: deque[tuple[list[Job], Future[list[Result]]]] = deque()
    try:
        with _one_thread_each(), processes(workers, _start_worker, (config,)) as pool:
            while tasks or running:
                while tasks and len(running) < 3 * workers:
                    running.append((task := tasks.popleft(), pool.submit(_work_all, task)))
                task, future = running.popleft()
                yield from zip(task, future.result(), strict=True)
    except BrokenProcessPool as error:
        raise ConfigurationError(
            "the worker processes died: out of memory, or the calling script runs the extraction without "
            "`if __name__ == '__main__':`. What was finished is kept; try workers=1"
        ) from error


_worker: list[Extractor] = []
"""Set once in each worker process."""


def _start_worker(config: Extractor) -> None:
    _worker[:] = [config]


def _work_all(jobs: list[Job]) -> list[Result]:
    return [_work(job, _worker[0]) for job in jobs]


def _work(job: Job, config: Extractor) -> Result:
    found: Result = ()
    try:
        if job.digest is not None:
            found = tuple(_features(job.audio, start, end, config) for _, start, end in job.cuts)
        changed = content(job.audio) != job.digest  # after decoding: what was decoded is what the key says
    except FileNotFoundError:
        return (f"{job.audio}: no such file",) * len(job.cuts)
    except OSError as error:
        return (f"{job.audio}: cannot be opened ({error.strerror})",) * len(job.cuts)
    return (f"{job.audio}: {CHANGED}",) * len(job.cuts) if changed else found


def _features(
    path: Path, start: float | None, end: float | None, config: Extractor
) -> tuple[np.ndarray, tuple[str, ...]] | str:
    try:
        waveform = audio.load(path, start=start, end=end)
        features = np.asarray(config.extract(waveform.samples, waveform.sample_rate), np.float32)
        if features.ndim != 2 or not features.size or not np.isfinite(features).all():
            raise AudioError(f"the extractor gave {features.shape} features, or some that are not finite")
    except DuettoError as error:
        text = str(error)
        return text if str(path) in text else f"{path}: {text}"
    except Exception as error:  # a defect must not end a run of many hours; it is reported with its kind
        return f"{path}: {type(error).__name__}: {error}"
    return features, waveform.warnings


@contextlib.contextmanager
def _one_thread_each() -> Generator[None]:
    """Worker processes that start meanwhile use one thread for linear algebra."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
