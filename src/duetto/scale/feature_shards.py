"""Features of an archive for training: each file of a job is fetched once, and read by memory map.

folder of `duetto scale features` (path or URL) ─ FeatureShards ─ [id] ─▶ (frames, values) float32
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import CorpusError
from ..utils import files
from ..utils.progress import Progress
from ..utils.reading import read_json
from . import job, parquet, storage
from .tasks import Features

_COLUMNS = ["id", "error", "frames", "features"]
_ROWS = 64
"""Rows that are read from a file at a time."""


class FeatureShards(Mapping[str, np.ndarray]):
    """Features by utterance id; only what is used takes memory, and the system may take that back.

    Args:
        folder: Path or URL of a job of `duetto scale features`, complete or not.
        cache: Local folder that keeps what was fetched; the same one needs no second download.
        progress: Counts files.

    Attributes:
        skipped: Utterance id → why it has no features.

    Raises:
        CorpusError: The folder holds no job of features, or two of its recordings have one id.
        StorageError: The store failed again and again.
    """

    def __init__(self, folder: str, cache: Path, progress: Progress | None = None) -> None:
        task = job.read(folder).work.task
        if not isinstance(task, Features):
            raise CorpusError(f"{folder}: holds a job of {task.name}; give one of duetto scale features")
        names = sorted(name for name in storage.listing(folder) if name.endswith(".parquet"))
        self.skipped: dict[str, str] = {}
        self._places: dict[str, tuple[int, int, int, int]] = {}
        self._arrays: list[np.ndarray] = []
        for number, name in enumerate(names, 1):
            self._add(_cached(storage.join(folder, name), cache))
            if progress is not None:
                progress(number, len(names))

    def _add(self, index: Path) -> None:
        """Add the arrays that an index lists."""
        found = read_json(index, error=CorpusError, repair="delete it to fetch it again")
        self.skipped |= found["skipped"]
        if twice := self._places.keys() & found["places"].keys():
            raise CorpusError(f"{index}: {min(twice)!r} is in another file, too; ids must differ in an archive")
        shard = len(self._arrays)
        self._places |= {name: (shard, *place) for name, place in found["places"].items()}
        path, dtype = index.with_suffix(".values"), np.dtype(found["dtype"])
        self._arrays.append(np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype))

    def __getitem__(self, utterance_id: str) -> np.ndarray:
        """Features of one utterance, (frames, values) float32."""
        shard, first, frames, width = self._places[utterance_id]
        array = self._arrays[shard][first : first + frames * width].reshape(frames, width)
        return array if array.dtype == np.float32 else array.astype(np.float32)

    def __iter__(self) -> Iterator[str]:
        """Ids of the utterances that have features."""
        return iter(self._places)

    def __len__(self) -> int:
        """Number of the utterances that have features."""
        return len(self._places)


def _cached(url: str, cache: Path) -> Path:
    """Path of the index of a file's arrays, which lie beside it; fetched unless it is there with the same content."""
    counts = parquet.counts(url)
    if counts is None:
        raise CorpusError(f"{url}: damaged; run the same `duetto scale features` again")
    index = cache / f"{Path(storage.name_of(url)).stem}-{counts.key[:16]}.json"
    if not index.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with files.replacing(index.with_suffix(".values")) as temporary:
            content = storage.read_by(url, lambda file: _unpacked(file, temporary))
        files.write_text(index, json.dumps(content, ensure_ascii=False))
    return index


def _unpacked(file: IO[bytes], temporary: Path) -> dict[str, Any]:
    """Write the arrays of a Parquet file, end to end; where they lie, and what has none."""
    dtype, batches = parquet.arrays_of(file, _COLUMNS, _ROWS)
    places: dict[str, tuple[int, int, int]] = {}
    skipped: dict[str, str] = {}
    end = 0
    with temporary.open("wb") as out:
        for batch in batches:
            features, leading = batch.column("features"), (batch.column(name).to_pylist() for name in _COLUMNS[:3])
            for row, (name, error, frames) in enumerate(zip(*leading, strict=True)):
                if error is not None:
                    skipped[name] = error
                    continue
                array = features[row].values.to_numpy(zero_copy_only=False)
                out.write(array.tobytes())
                places[name] = (end, frames, len(array) // max(frames, 1))
                end += len(array)
    return {"dtype": dtype.str, "places": places, "skipped": skipped}
