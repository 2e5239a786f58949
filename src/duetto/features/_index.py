"""The files of a feature store: what they hold, how they are read, and the only code that writes them.

`store` says what is stored and when; this module makes sure that a killed run loses at most its last second.
Data reach the disk first, then the lines of the index that name them; what a killed run left beyond either is
cut off when the next run opens the store.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigurationError, CorpusError
from ..utils import files

CONFIG, DATA, INDEX = "config.json", "features.f32", "index.jsonl"
DTYPE = np.dtype("<f4")
_FORMAT = 1
_SYNC_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array lies: `offset` in values from the beginning of the data file."""

    offset: int
    frames: int
    dim: int
    warnings: tuple[str, ...] = ()

    @property
    def end(self) -> int:
        return self.offset + self.frames * self.dim


@dataclass(slots=True)
class Index:
    """What index.jsonl says: arrays by content key, digests by (path, size, mtime), content keys by id."""

    places: dict[str, Place] = field(default_factory=dict)
    files: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def apply(self, line: dict[str, Any]) -> None:
        if "offset" in line:
            place = Place(line["offset"], line["frames"], line["dim"], tuple(line.get("warnings", ())))
            self.places[line["key"]] = place
        elif "file" in line:
            self.files[line["file"]] = (line["size"], line["mtime"], line["digest"])
        elif "lost" in line:
            lost = set(line["lost"])
            self.places = {key: place for key, place in self.places.items() if key not in lost}
            self.ids = {i: key for i, key in self.ids.items() if key not in lost}
        elif "skipped" in line:
            self.ids.pop(line["id"], None)
            self.skipped[line["id"]] = line["skipped"]
        else:
            self.skipped.pop(line["id"], None)
            self.ids[line["id"]] = line["key"]


def read_config(home: Path) -> str:
    path = home / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["format"] != _FORMAT:
            raise CorpusError(f"{path}: store format {config['format']}; this duetto reads {_FORMAT}: extract again")
        return str(config["extractor"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{path}: not the configuration of a feature store ({error!r})") from error


def read_index(home: Path) -> tuple[Index, int]:
    """The index, and the number of its bytes that are whole lines."""
    path, index, valid = home / INDEX, Index(), 0
    content = path.read_bytes() if path.exists() else b""
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break  # the line that a killed run was writing
        try:
            index.apply(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise CorpusError(f"{path}:{number}: damaged ({error!r}); delete {home} and extract again") from error
        valid += len(line)
    return index, valid


class Writer:
    """The only writer of a store. Data first, then the index, so that the index never names what is not there."""

    def __init__(self, home: Path, key: str) -> None:
        config = home / CONFIG
        if not config.exists():
            files.write_text(config, json.dumps({"format": _FORMAT, "extractor": key}, indent=2) + "\n")
        elif read_config(home) != key:
            raise ConfigurationError(f"{config}: belongs to {read_config(home)}, not to {key}")
        self.index, valid = read_index(home)
        self._data = (home / DATA).open("ab")
        size = self._data.tell() // DTYPE.itemsize
        self._lines = (home / INDEX).open("ab")
        self._lines.truncate(valid)  # half a line of a killed run
        self._pending: list[dict[str, Any]] = []
        self._synced = time.monotonic()
        if lost := [key for key, place in self.index.places.items() if place.end > size]:
            self._note(lost=lost)  # the data file was cut short: these arrays are computed again
        self._end = max((place.end for place in self.index.places.values()), default=0)
        self._data.truncate(self._end * DTYPE.itemsize)  # what a killed run wrote but did not index

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sync()
        self._data.close()
        self._lines.close()

    def note_file(self, path: str, size: int, mtime: int, digest: str) -> None:
        """Remember the digest of a file, so that it is not read again while it stays as it is."""
        if self.index.files.get(path) != (size, mtime, digest):
            self._note(file=path, size=size, mtime=mtime, digest=digest)

    def note_skipped(self, utterance_id: str, reason: str) -> None:
        """Let an utterance have no array, and say why."""
        if self.index.skipped.get(utterance_id) != reason:
            self._note(id=utterance_id, skipped=reason)

    def note_id(self, utterance_id: str, key: str) -> None:
        """Let an utterance point to an array that is stored."""
        if self.index.ids.get(utterance_id) != key:
            self._note(id=utterance_id, key=key)
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self.sync()

    def append(self, key: str, features: np.ndarray, warnings: tuple[str, ...]) -> None:
        """Store an array, unless one of this key is stored."""
        if key in self.index.places:
            return
        self._data.write(features.astype(DTYPE, copy=False).tobytes())
        line: dict[str, Any] = {"key": key, "offset": self._end, "frames": len(features), "dim": features.shape[1]}
        self._note(**line, **({"warnings": warnings} if warnings else {}))
        self._end += features.size

    def sync(self) -> None:
        """Bring the data to the disk, then the index."""
        self._data.flush()
        os.fsync(self._data.fileno())
        text = "".join(json.dumps(line) + "\n" for line in self._pending)
        self._pending.clear()
        self._lines.write(text.encode())
        self._lines.flush()
        os.fsync(self._lines.fileno())
        self._synced = time.monotonic()

    def _note(self, **line: Any) -> None:
        self.index.apply(line)
        self._pending.append(line)
