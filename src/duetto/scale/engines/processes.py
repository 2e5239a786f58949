"""Worker processes of this computer; each opens the model once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...utils import parallel
from ..parquet import Counts
from ..shard import Work
from ..source import Shard
from .workers import Workers


def run(work: Work, shards: Sequence[Shard], workers: Workers) -> Iterator[tuple[Shard, Counts | None]]:
    """Process shards.

    Args:
        work: What is done with them.
        shards: The shards.
        workers: Their number; a single one is a process, too, so that a recording that ends it ends no job.

    Yields:
        See `engines.Engine`.
    """
    with parallel.single_threaded_children():
        found = parallel.in_order(
            work, shards, workers=workers.number, processes=True, apart=True, crashed=lambda _: None
        )
        yield from zip(shards, found, strict=True)
