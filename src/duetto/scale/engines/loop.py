"""The plain loop: no other process, so that nothing stands between a defect and its traceback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..parquet import Counts
from ..shard import Work
from ..source import Shard
from .workers import Workers


def run(work: Work, shards: Sequence[Shard], workers: Workers) -> Iterator[tuple[Shard, Counts | None]]:
    """Process shards.

    Args:
        work: What is done with them.
        shards: The shards.
        workers: Not used.

    Yields:
        See `engines.Engine`.
    """
    for shard in shards:
        yield shard, work(shard)
