"""Ray Data: a pool of actors, on this computer or the cluster that RAY_ADDRESS names.

What goes through Ray is where shards are and what came of them; sound is read, and rows are written, by the actors. An
actor keeps the model in a process of its own, so that a recording that ends that process does not end the actor: Ray
may then replace the actors of a machine that is gone as often as that happens.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...errors import DuettoError
from ...utils import parallel
from ..parquet import Counts
from ..shard import Work, process_alone
from ..source import Shard
from .workers import Workers

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

_BLOCKS = 32
"""Blocks of shards for each worker, at least: Ray hands out a block at a time."""


def run(work: Work, shards: Sequence[Shard], workers: Workers) -> Iterator[tuple[Shard, Counts | None]]:
    """Process shards.

    Args:
        work: What is done with them.
        shards: The shards.
        workers: Actors at most, each with a core and so much memory.

    Yields:
        See `engines.Engine`.

    Raises:
        DuettoError: An actor could not process a shard.
    """
    with _cluster(workers):
        from ray.data import ActorPoolStrategy, DataContext, from_items

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        DataContext.get_current().enable_progress_bars = False
        rows = from_items([asdict(shard) for shard in shards], override_num_blocks=_blocks(len(shards), workers))
        done = rows.map(
            Actor,  # pyright: ignore[reportArgumentType] (Ray makes one in each process)
            fn_constructor_args=(work,),
            compute=ActorPoolStrategy(min_size=1, max_size=workers.number),
            num_cpus=1,
            memory=workers.memory * 1e9,
        )
        by_index = {shard.index: shard for shard in shards}
        for row in done.iter_rows():
            if row["error"]:
                raise DuettoError(row["error"])
            yield by_index[row["index"]], Counts(**{name: row[name] for name in Counts.__dataclass_fields__})


def _blocks(shards: int, workers: Workers) -> int:
    return max(1, min(shards, max(_BLOCKS * workers.number, shards // _BLOCKS)))


@contextlib.contextmanager
def _cluster(workers: Workers) -> Iterator[None]:
    """The cluster of RAY_ADDRESS, the one that this process is connected to, or one of this computer for the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if "RAY_ADDRESS" not in os.environ:
        # Else Ray takes any cluster that it finds on this computer, or that was there once.
        quiet |= {"address": "local", "num_cpus": workers.number, "include_dashboard": False}
    ray.init(**quiet)
    try:
        yield
    finally:
        ray.shutdown()


class Actor:
    """Processes one shard after the other, with the model loaded once.

    Args:
        work: What is done with them.
    """

    def __init__(self, work: Work) -> None:
        self._work, self._stack = work, ExitStack()
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        self._stack.close()
        with parallel.single_threaded_children():
            return self._stack.enter_context(parallel.processes(1))

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Process a shard.

        Args:
            row: Fields of a `Shard`.

        Returns:
            Its index, what is in its output, and the error that ends the job, or "".
        """
        shard = Shard(**row)
        try:
            counts = self._counts(shard)
        except (DuettoError, OSError) as error:
            return {"index": shard.index, "error": str(error), **asdict(Counts("", 0, 0, 0, 0.0))}
        return {"index": shard.index, "error": "", **asdict(counts)}

    def _counts(self, shard: Shard) -> Counts:
        try:
            return self._pool.submit(self._work, shard).result()
        except BrokenExecutor:
            self._pool = self._start()
            return process_alone(self._work, shard)
