"""Engines: who processes the shards of a job. All of them give the same bytes.

loop       this process, one shard after the other
processes  worker processes of this computer
ray        actors of Ray Data, on this computer or a cluster
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..parquet import Counts
from ..shard import Work
from ..source import Shard
from . import loop, processes, ray_data
from .workers import Workers

Engine = Callable[[Work, Sequence[Shard], Workers], Iterator[tuple[Shard, Counts | None]]]
"""Yields each shard and what is in its output; None for a shard that ended the process that worked on it."""

ENGINES: dict[str, Engine] = {"loop": loop.run, "processes": processes.run, "ray": ray_data.run}
"""Name → engine."""

__all__ = ["ENGINES", "Engine", "Workers"]
