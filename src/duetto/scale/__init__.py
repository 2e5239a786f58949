"""Large archives: one unit of work, run by one process, by several, by Ray, or by the tasks of an array job.

    manifest or tar files ─ plan ─▶ Shard … ─ process_shard ─▶ one Parquet file each
    folder of a job ─ ledger.read ─▶ what is done, failed, left

    retry      which errors of a store pass, and how long to wait for that
    storage    files by path or URL (fsspec)
    source     manifests and tar files → shards → recordings
    tasks      predict, timeline, features, align: an utterance → the values of a row
    parquet    rows → a file whose bytes depend on nothing else (pyarrow)
    shard      `process_shard`; the same with a process that may die
    engines    who processes the shards: loop, processes, ray
    ledger     the state of a job, read from its files
    job        the plan of a job, and running it
    feature_shards  features of a job, for training

Nothing but the files of a job states what is done, so nothing can be lost with the machine that ran it.
"""

from .feature_shards import FeatureShards
from .job import Job, plan, run
from .ledger import Ledger
from .shard import process_shard
from .source import Shard, Size
from .tasks import TASKS

__all__ = ["TASKS", "FeatureShards", "Job", "Ledger", "Shard", "Size", "plan", "process_shard", "run"]
