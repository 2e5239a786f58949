"""A job: a source, a task and a folder of outputs; planned once, run by any number of processes, now or later.

    _job.json           the plan: task, key, and where each shard is
    part-000000.parquet the output of a shard, and so on

Everything in _job.json follows from the source and the options, so tasks of an array that begin at the same time write
the same file, and a second run finds what it would plan.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from typing import Any

from ..errors import ConfigurationError
from ..utils.progress import Progress
from ..utils.reading import Record, parse_json
from ..utils.text import to_json
from . import ledger, storage
from .engines import ENGINES, Workers
from .ledger import Ledger
from .shard import Work, process_alone
from .source import Shard, Size, shards_of
from .tasks import Task, from_json, opened

JOB = "_job.json"
"""File of the plan; readers of Parquet folders skip names that begin so."""
_FORMAT = "duetto-scale-1"
_OTHER = "begin another job in a new folder"


@dataclass(frozen=True)
class Job:
    """The plan of a job.

    Attributes:
        source: As given.
        work: What is done with every shard, and where the outputs are.
        shards: In the order of the source.
    """

    source: str
    work: Work
    shards: tuple[Shard, ...]

    @property
    def folder(self) -> str:
        """Path or URL of the outputs."""
        return self.work.folder

    def part(self, index: int, of: int) -> Job:
        """Take the share of one task of an array.

        Args:
            index: Of the task, from 0 on.
            of: Number of tasks.

        Returns:
            The job with every `of`-th shard, from `index` on.

        Raises:
            ConfigurationError: There is no such task.
        """
        if not 0 <= index < of:
            raise ConfigurationError(f"part {index} of {of} does not exist; give 0 to {of - 1} of {of}")
        return Job(self.source, self.work, self.shards[index::of])

    def to_json(self) -> dict[str, Any]:
        """Make the content of the plan's file.

        Returns:
            JSON values.
        """
        sources = list(dict.fromkeys(shard.source for shard in self.shards))
        numbers = {source: number for number, source in enumerate(sources)}
        return {
            "format": _FORMAT,
            "source": self.source,
            "task": self.work.task.name,
            "options": asdict(self.work.task),  # pyright: ignore[reportArgumentType]
            "key": self.work.key,
            "sources": sources,
            "shards": [[numbers[s.source], *astuple(s)[2:]] for s in self.shards],
        }


def plan(source: str, folder: str, task: Task, size: Size | None = None, *, again: bool = True) -> Job:
    """Begin a job, or find it again.

    Args:
        source: See `source.shards_of`.
        folder: Path or URL of the outputs.
        task: What is done with each recording.
        size: Of the shards of a manifest.
        again: Whether to divide the source of a job that has begun again, to compare. Without it, changed lines are
            found when they are processed.

    Returns:
        The job.

    Raises:
        ConfigurationError: The source is not valid, or the folder holds another job.
        StorageError: The store failed again and again.
    """
    key = opened(task).key
    found = read(folder) if JOB in storage.listing(folder) else None
    if found is not None and found.work.key != key:
        raise ConfigurationError(f"{folder}: holds a job with other options, or another model; {_OTHER}")
    if found is not None and not again:
        return found
    shards = tuple(shards_of(source, size))
    if found is not None:
        if [s.digest for s in found.shards] != [s.digest for s in shards]:
            raise ConfigurationError(f"{folder}: holds a job with another source, or shards of another size; {_OTHER}")
        return found
    job = Job(source, Work(task, key, folder), shards)
    storage.save_text(storage.join(folder, JOB), to_json(job.to_json()))
    return job


def read(folder: str) -> Job:
    """Read the plan of a job.

    Args:
        folder: Path or URL of its outputs.

    Returns:
        The job; its task is not opened.

    Raises:
        ConfigurationError: There is no job, or of another version of duetto.
        StorageError: The store failed again and again.
    """
    where = storage.join(folder, JOB)
    try:
        content = storage.read_by(where, lambda file: file.read())
    except OSError as error:
        raise ConfigurationError(f"{folder}: no job in it ({JOB}); begin one: duetto scale predict SOURCE") from error
    record = Record(parse_json(content, where=where, error=ConfigurationError), where, ConfigurationError, _OTHER)
    try:
        if record["format"] != _FORMAT:
            raise ValueError(record["format"])
        task = from_json(record["task"], record["options"])
        rows = enumerate(record["shards"])
        shards = tuple(Shard(i, record["sources"][number], *rest) for i, (number, *rest) in rows)
        return Job(record["source"], Work(task, record["key"], folder), shards)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise record.wrong(f"is damaged, or of another version of duetto ({error})") from error


def run(
    job: Job, engine: str = "processes", workers: Workers | None = None, progress: Progress | None = None
) -> Ledger:
    """Process the shards of a job that are left.

    Args:
        job: All of it, or a part.
        engine: Key of `ENGINES`.
        workers: Of the engine.
        progress: Counts shards.

    Returns:
        The state of the job afterwards.

    Raises:
        ConfigurationError: There is no such engine, or another machine has another model.
        StorageError: A store failed again and again; the same run later continues.
        OSError: There is no space left.
    """
    if engine not in ENGINES:
        raise ConfigurationError(f"there is no engine {engine!r}; choose from {', '.join(ENGINES)}")
    if engine != "loop" and any(url.startswith("memory://") for url in (job.source, job.folder)):
        raise ConfigurationError("memory:// is the memory of one process; take the engine loop")
    _, left = ledger.read(job.work, job.shards)
    done = len(job.shards) - len(left)
    if progress is not None:
        progress(done, len(job.shards))
    for shard, counts in ENGINES[engine](job.work, left, workers or Workers()) if left else ():
        if counts is None:
            process_alone(job.work, shard)
        done += 1
        if progress is not None:
            progress(done, len(job.shards))
    return ledger.read(job.work, job.shards)[0]
