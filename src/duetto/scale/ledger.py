"""The state of a job, read from its outputs: there is no other record that could differ from them.

The footers of Parquet files state how many rows they have and how many of these failed; the times of the files state
how fast the job is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..utils import parallel
from ..utils.progress import Progress
from . import parquet, storage
from .parquet import Counts
from .shard import Work
from .source import Shard, identity

_READERS = 16
"""Footers that are read at a time."""
_RECENT = 100
"""Outputs, the latest, by which the speed of a job is measured."""


@dataclass(frozen=True)
class Ledger:
    """What is done of a job, or of a part of it.

    Attributes:
        shards: All.
        done: Those with a complete output.
        recordings: Rows of these outputs.
        failed: Rows with an error.
        retryable: Rows with an error that may pass; their shards are not done, and the next run processes them again.
        seconds: Of sound in the outputs, where the task measures it.
        shards_per_hour: Of the latest outputs; None where fewer than two are there, or the store states no times.
    """

    shards: int
    done: int
    recordings: int
    failed: int
    retryable: int
    seconds: float
    shards_per_hour: float | None

    @property
    def left(self) -> int:
        """Shards without a complete output."""
        return self.shards - self.done

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the job is done, if it goes on as fast as its latest outputs; None where that is not known."""
        return None if self.shards_per_hour is None else 3600 * self.left / self.shards_per_hour

    def to_json(self) -> dict[str, Any]:
        """Make the record that `duetto scale status --json` prints.

        Returns:
            JSON values.
        """
        rounded = [None if v is None else round(v, 1) for v in (self.shards_per_hour, self.seconds_left)]
        return {
            **{"shards": self.shards, "done": self.done, "left": self.left, "recordings": self.recordings},
            **{"failed": self.failed, "retryable": self.retryable, "hours": round(self.seconds / 3600, 4)},
            **{"shards_per_hour": rounded[0], "seconds_left": rounded[1]},
        }


def read(work: Work, shards: Sequence[Shard], progress: Progress | None = None) -> tuple[Ledger, list[Shard]]:
    """Read the state of a job.

    Args:
        work: What is done with its shards.
        shards: All of them, or a part.
        progress: Counts outputs.

    Returns:
        The state, and the shards that are left.

    Raises:
        StorageError: The store failed again and again.
    """
    there = storage.listing(work.folder)
    found = [shard for shard in shards if storage.name_of(work.output(shard)) in there]
    footers = parallel.in_order(partial(_counts, work), found, workers=_READERS, crashed=lambda _: None)
    counted: list[tuple[Shard, Counts]] = []
    for number, (shard, counts) in enumerate(zip(found, footers, strict=True), 1):
        if counts is not None:
            counted.append((shard, counts))
        if progress is not None:
            progress(number, len(found))
    done = {shard.index for shard, counts in counted if not counts.retryable}
    times = [there[storage.name_of(work.output(shard))] for shard in shards if shard.index in done]
    ledger = Ledger(
        shards=len(shards),
        done=len(done),
        recordings=sum(counts.rows for _, counts in counted),
        failed=sum(counts.failed for _, counts in counted),
        retryable=sum(counts.retryable for _, counts in counted),
        seconds=sum(counts.seconds for _, counts in counted),
        shards_per_hour=_rate([time for time in times if time is not None]),
    )
    return ledger, [shard for shard in shards if shard.index not in done]


def _counts(work: Work, shard: Shard) -> Counts | None:
    counts = parquet.counts(work.output(shard))
    return counts if counts is not None and counts.key == identity(shard, work.key) else None


def _rate(times: Sequence[float]) -> float | None:
    """Shards an hour, of the latest."""
    recent = sorted(times)[-_RECENT:]
    if len(recent) < 2 or recent[-1] == recent[0]:
        return None
    return 3600 * (len(recent) - 1) / (recent[-1] - recent[0])
