"""The trainings of a run, here, in several processes, or as tasks of Ray.

Job (system, fold, seed) … ─ train_all ─▶ RUN/foldK-seedS/…
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from .. import runs, training
from ..config.experiment import Experiment
from ..errors import ModelError
from ..training import FoldInputs
from ..utils import parallel, ray_cluster
from ..utils.progress import Progress


@dataclass(frozen=True)
class Job:
    """One training: a system on one fold with one seed.

    Attributes:
        experiment: The system.
        inputs: What it reads on the fold.
        folder: Of this training.
        seed: Of this training.
    """

    experiment: Experiment
    inputs: FoldInputs
    folder: Path
    seed: int


def train_all(
    jobs: Sequence[Job],
    workers: int,
    progress: Progress | None,
    *,
    accelerator: str,
    devices: int,
    engine: str = "processes",
) -> None:
    """Train, the long trainings (with audio) first; the first error stops the rest.

    Args:
        jobs: The trainings; the outcome of each is saved in its folder.
        workers: Processes that train one job at a time each; 1 trains in this one. Cores of a Ray cluster that is
            started for this.
        progress: Counts trainings, or the steps of all.
        accelerator: See `training.train`.
        devices: See `training.train`.
        engine: One of `config.accelerators.ENGINES`.

    Raises:
        ModelError: A worker process was killed.
        MissingExtraError: Ray is chosen and not installed.
    """
    train = partial(_train, accelerator=accelerator, devices=devices)
    if engine == "processes" and (workers == 1 or len(jobs) < 2):
        for done, job in enumerate(jobs):
            train(job, progress=_share(progress, done, len(jobs)))
        return
    ordered = sorted(jobs, key=lambda job: -len(job.experiment.encoders))
    finished = ray_cluster.each(train, ordered, workers) if engine == "ray" else _in_processes(train, ordered, workers)
    for done, _ in enumerate(finished, 1):
        if progress:
            progress(done, len(jobs))


def _in_processes(train: Callable[[Job], None], jobs: Sequence[Job], workers: int) -> Iterator[None]:
    """Yields whenever a training has ended."""
    try:
        with parallel.processes(workers) as pool:
            for future in as_completed([pool.submit(train, job) for job in jobs]):
                yield future.result()
    except BrokenProcessPool as error:
        raise ModelError(
            f"a training process ended before its work was done, most likely killed for lack of memory ({error}); "
            "what is finished is kept: run the same again with fewer processes, --workers 1"
        ) from error


def _train(job: Job, *, accelerator: str, devices: int, progress: Progress | None = None) -> None:
    """Train, and save the outcome in the folder of this fold and seed."""
    outputs = training.train(
        job.experiment,
        job.inputs,
        job.folder,
        seed=job.seed,
        accelerator=accelerator,
        devices=devices,
        progress=progress,
    )
    path = job.folder / runs.OUTCOME
    more = {"adapted": outputs.adapted, "ratings": outputs.test_ratings, "history": asdict(outputs.history)}
    runs.save_outcome(path, outputs.test_logits, outputs.temperature, **more)


def _share(progress: Progress | None, done: int, jobs: int) -> Progress | None:
    """Progress of one of several equal jobs, as progress of all."""
    if progress is None:
        return None
    return lambda step, steps: progress(done * steps + step, jobs * steps)
