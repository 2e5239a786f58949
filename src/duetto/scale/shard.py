"""The unit of work: a shard in, one Parquet file out.

Doing it twice changes nothing: an output whose key is that of the shard and the task is left alone, and another one is
replaced by the same bytes. What is wrong with a recording is in the column `error` of its row.
"""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Iterator, Set
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError, DuettoError, StorageError
from ..utils import files, parallel
from . import parquet, storage
from .parquet import Counts, Row
from .retry import is_disk_full
from .source import Item, Shard, identity, recordings
from .tasks import Columns, Opened, Task, opened, uses

COMMON: Columns = {
    "id": "string",
    "audio": "string",
    "start": "double",
    "end": "double",
    "key": "string",
    "error": "string",
}
"""Columns of every output, before those of its task; `key` is empty where the recording could not be read."""

_GIVE_UP = 3
"""So many recordings in a row that a store does not give end the shard: the store is down, not the recordings."""
_DEATHS = 2
"""A recording that ends so many processes is not tried again."""


def process_shard(
    shard: Shard, output: str, task: Task, *, deadly: Set[int] = frozenset(), note: Path | None = None
) -> Counts:
    """Process a shard, unless its output is there.

    Args:
        shard: From `source.shards_of`.
        output: Path or URL of the Parquet file.
        task: What is done with each recording.
        deadly: Positions of recordings that end the process that works on them; they become errors.
        note: A file that states the position of the recording that is being worked on.

    Returns:
        What is in the output.

    Raises:
        StorageError: A store failed again and again, for several recordings in a row.
        ConfigurationError: The manifest was changed, or an option is not valid.
        OSError: There is no space left.
    """
    ready = opened(task)
    key = identity(shard, ready.key)
    done = parquet.counts(output)
    if done is not None and done.key == key and not done.retryable:
        return done
    with storage.replacing(output) as path:
        return parquet.write(path, _rows(shard, ready, deadly, note), {**COMMON, **ready.columns}, key)


def _rows(shard: Shard, ready: Opened, deadly: Set[int], note: Path | None) -> Iterator[Row]:
    failures = 0
    for position, item in enumerate(recordings(shard)):
        if note is not None:
            files.write_text(note, str(position))
        if position in deadly:
            item = replace(item, problem=f"{item.audio}: the process that worked on it died {_DEATHS} times")
        row = _row(item, ready)
        failures = failures + 1 if row.retryable else 0
        if failures == _GIVE_UP:
            raise StorageError(str(row.values["error"]))
        yield row


def _row(item: Item, ready: Opened) -> Row:
    u = item.utterance
    values: dict[str, Any] = {"id": _text(item.id), "audio": _text(item.audio)}
    if u is None or item.problem:
        return Row({**values, "error": _text(item.problem)}, item.retryable)
    values |= {"start": u.start, "end": u.end}
    path: Path | None = None
    try:
        with item.opened() as path:
            u = replace(u, audio=path)
            values["key"] = uses(u, path, ready.key)
            return Row({**ready.answer(u), **values})
    except MemoryError:
        error = "there is not enough memory to analyse it"
    except FileNotFoundError:
        error = "no such file"
    except StorageError as reason:
        return Row({**values, "error": _text(str(reason))}, retryable=True)
    except DuettoError as reason:
        error = str(reason)
    except Exception as reason:  # a defect must not end a run of many hours; its type is reported
        if is_disk_full(reason):
            raise
        error = f"{type(reason).__name__}: {reason}"
    if path is not None:
        error = error.replace(str(path), item.audio)  # wherever it was
    return Row({**values, "error": _text(error if item.audio in error else f"{item.audio}: {error}")})


def _text(text: str) -> str:
    """Text that Parquet can hold: bytes of file names that are no UTF-8 are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class Work:
    """What an engine does with every shard.

    Attributes:
        task: The task.
        key: Its key (`tasks.Opened`) where the job was planned.
        folder: Path or URL of the outputs.
    """

    task: Task
    key: str
    folder: str

    def output(self, shard: Shard) -> str:
        """Name the output of a shard.

        Args:
            shard: The shard.

        Returns:
            Path or URL.
        """
        return storage.join(self.folder, f"part-{shard.index:06d}.parquet")

    def __call__(self, shard: Shard, *, deadly: Set[int] = frozenset(), note: Path | None = None) -> Counts:
        """Process a shard.

        Args:
            shard: The shard.
            deadly: See `process_shard`.
            note: See `process_shard`.

        Returns:
            What is in the output.

        Raises:
            ConfigurationError: The key of the task is another one here than where the job was planned.
            DuettoError: See `process_shard`.
        """
        if multiprocessing.parent_process() is not None:
            logging.disable(logging.WARNING)  # what is odd about a recording is in its row
        if opened(self.task).key != self.key:
            raise ConfigurationError(
                f"{self.folder}: the model, the speech recogniser or the version of duetto is another one here than "
                "where the job began; use the same on every machine, or begin another job in a new folder"
            )
        return process_shard(shard, self.output(shard), self.task, deadly=deadly, note=note)


def process_alone(work: Work, shard: Shard) -> Counts:
    """Process a shard that ended the process that worked on it: the recording that does it becomes an error.

    Args:
        work: What is done.
        shard: The shard.

    Returns:
        What is in the output.

    Raises:
        DuettoError: See `Work`; or the process dies without a recording.
    """
    deaths: Counter[int] = Counter()
    with tempfile.TemporaryDirectory(prefix="duetto-") as folder:
        note = Path(folder) / "position"
        while True:
            deadly = {position for position, number in deaths.items() if number >= _DEATHS}
            files.write_text(note, "-1")
            try:
                with parallel.processes(1) as pool:
                    return pool.submit(work, shard, deadly=deadly, note=note).result()
            except BrokenExecutor:
                position = int(note.read_text(encoding="utf-8"))
                deaths[position] += 1
                if position in deadly or deaths[-1] > _DEATHS:
                    raise DuettoError(
                        f"{work.output(shard)}: the process that made it died between recordings, again and again; "
                        "give it more memory, or make shards smaller"
                    ) from None
