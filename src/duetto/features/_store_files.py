"""The files of a feature store: their format, and the only code that reads and writes them.

`store` decides what is stored and when; this module ensures that a killed run loses at most its last second. Data reach
the disk first, then the lines of the index that name them; whatever a killed run left beyond either is truncated when
the next run opens the store.
"""

from __future__ import annotations

import json
import mmap
import os
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigurationError, CorpusError
from ..utils import files
from ..utils.reading import parse_json, read_json, shortened

CONFIG, DATA, HALF_DATA, INDEX = "config.json", "features.f32", "features.f16", "index.jsonl"
DTYPES = {DATA: np.dtype("<f4"), HALF_DATA: np.dtype("<f2")}
"""Name of the data file → the type of its values. A store has one of the two files."""
_FORMAT = 1
_SYNC_SECONDS = 1.0
_LARGEST = 1 << 60


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array lies in the data file.

    Attributes:
        offset: Of its first value, in values.
        frames: Rows of the array.
        dim: Columns of the array.
        warnings: `audio.Waveform.warnings` of the recording.
        crc: CRC-32 of its bytes; None in a store of an earlier version, whose arrays are not verified.
    """

    offset: int
    frames: int
    dim: int
    warnings: tuple[str, ...] = ()
    crc: int | None = None

    @property
    def end(self) -> int:
        """Offset behind its last value."""
        return self.offset + self.frames * self.dim


@dataclass(slots=True)
class Index:
    """The content of index.jsonl.

    Attributes:
        places: Content key → place of the array.
        ids: Utterance id → content key.
        skipped: Utterance id → why it has no array.
    """

    places: dict[str, Place] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def apply(self, line: Mapping[str, Any]) -> None:
        """Apply one line of the file.

        Args:
            line: Its JSON object.

        Raises:
            ValueError: It is not a line of an index; so are KeyError, TypeError and AttributeError.
        """
        if "offset" in line:
            self.places[_text(line["key"])] = _place(line)
        elif "file" in line:
            pass  # earlier versions recorded the size and time stamp of a file
        elif "lost" in line:
            lost = {_text(key) for key in line["lost"]}
            self.places = {key: place for key, place in self.places.items() if key not in lost}
            self.ids = {i: key for i, key in self.ids.items() if key not in lost}
        elif "skipped" in line:
            self.ids.pop(_text(line["id"]), None)
            self.skipped[line["id"]] = _text(line["skipped"])
        else:
            self.skipped.pop(_text(line["id"]), None)
            self.ids[line["id"]] = _text(line["key"])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shortened(value)} is not text")
    return value


def _place(line: Mapping[str, Any]) -> Place:
    numbers = [line["offset"], line["frames"], line["dim"], line.get("crc", 0)]
    if not all(type(n) is int and low <= n < _LARGEST for n, low in zip(numbers, (0, 1, 1, 0), strict=True)):
        raise ValueError(f"offset, frames, dim, crc are {shortened(numbers)}")
    warnings = tuple(map(_text, line.get("warnings", ())))
    return Place(line["offset"], line["frames"], line["dim"], warnings, line.get("crc"))


class Arrays:
    """The memory-mapped data file.

    An array is verified by its checksum when it is first read, and its place against the length of the file every time:
    reading beyond the end of a file that has been truncated is a SIGBUS.

    Args:
        home: Folder of the store; the data file may be missing.

    Attributes:
        path: The data file.
        size: Values in the file when it was mapped.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / (HALF_DATA if (home / HALF_DATA).exists() else DATA)
        self.size = 0
        self._dtype = DTYPES[self.path.name]
        self._values = np.empty(0, self._dtype)
        self._mapped: mmap.mmap | None = None
        self._verified: set[Place] = set()
        if self.path.exists() and self.path.stat().st_size >= self._dtype.itemsize:
            with self.path.open("rb") as file:
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.size = len(self._mapped) // self._dtype.itemsize
            self._values = np.frombuffer(self._mapped, self._dtype, self.size)

    def __getitem__(self, place: Place) -> np.ndarray | None:
        """The array at a place, (frames, dim) float32, read-only; None where it is damaged or no longer there."""
        if self._mapped is None or place.end > min(self.size, self._mapped.size() // self._dtype.itemsize):
            return None
        array = self._values[place.offset : place.end].reshape(place.frames, place.dim)
        if place not in self._verified:
            if place.crc is not None and zlib.crc32(array.data) != place.crc:
                return None
            self._verified.add(place)
        if array.dtype == np.float32:
            return array
        converted = array.astype(np.float32)
        converted.flags.writeable = False
        return converted


def read_config(home: Path) -> str:
    """Read the configuration of a store.

    Args:
        home: Folder of the store.

    Returns:
        The key of its extractor.

    Raises:
        CorpusError: The file is missing, damaged, or of another format.
    """
    config = read_json(home / CONFIG, error=CorpusError, repair="not the configuration of a feature store; delete it")
    if config["format"] != _FORMAT:
        found = shortened(config["format"])
        raise CorpusError(f"{home / CONFIG}: store format {found}; this duetto reads {_FORMAT}: extract again")
    return config.text("extractor")


def read_index(home: Path) -> tuple[Index, int]:
    """Read the index of a store.

    Args:
        home: Folder of the store.

    Returns:
        The index, and the number of bytes of its complete lines: what follows is the line that a killed run was
        writing.

    Raises:
        CorpusError: A line is damaged.
    """
    path, index, valid = home / INDEX, Index(), 0
    content = path.read_bytes() if path.exists() else b""
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break
        where, repair = f"{path}:{number}", f"damaged: delete {home} and extract again"
        value = parse_json(line, where=where, error=CorpusError, repair=repair)
        try:
            index.apply(value)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorpusError(f"{where}: {shortened(value)} is not a line of an index; {repair}") from error
        valid += len(line)
    return index, valid


class Writer:
    """Appends arrays to a store, as a context manager; its folder must be locked.

    Args:
        home: Folder of the store; a new one gets its configuration.
        key: The key of the extractor.
        half: Store float16.

    Raises:
        ConfigurationError: The store is of another extractor.
        CorpusError: The store is damaged.

    Attributes:
        index: What the store holds, with all that was written.
    """

    def __init__(self, home: Path, key: str, *, half: bool = False) -> None:
        config = home / CONFIG
        if not config.exists() or not config.stat().st_size:  # empty: as a power cut leaves it
            files.write_text(config, json.dumps({"format": _FORMAT, "extractor": key}, indent=2) + "\n")
        elif read_config(home) != key:
            raise ConfigurationError(f"{config}: belongs to {read_config(home)}, not to {key}")
        self.index, valid = read_index(home)
        name = HALF_DATA if half else DATA
        self._data, self._dtype = (home / name).open("ab"), DTYPES[name]
        size = self._data.tell() // self._dtype.itemsize
        self._lines = (home / INDEX).open("ab")
        self._lines.truncate(valid)  # drops the unfinished line of a killed run
        self._pending: list[dict[str, Any]] = []
        self._synced = time.monotonic()
        # Where the data file was truncated, the arrays beyond its end are computed again.
        self.forget(key for key, place in self.index.places.items() if place.end > size)
        self._end = max((place.end for place in self.index.places.values()), default=0)
        self._data.truncate(self._end * self._dtype.itemsize)  # drops data that a killed run did not index

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sync()
        self._data.close()
        self._lines.close()

    def forget(self, keys: Iterable[str]) -> None:
        """Remove arrays from the index, so that they can be stored again.

        Args:
            keys: Their content keys.
        """
        if lost := list(keys):
            self._note(lost=lost)

    def note_skipped(self, utterance_id: str, reason: str) -> None:
        """Record that an utterance has no array.

        Args:
            utterance_id: Its id.
            reason: Why.
        """
        if self.index.skipped.get(utterance_id) != reason:
            self._note(id=utterance_id, skipped=reason)

    def note_id(self, utterance_id: str, key: str) -> None:
        """Record the array of an utterance.

        Args:
            utterance_id: Its id.
            key: Content key of an array that is stored.
        """
        if self.index.ids.get(utterance_id) != key:
            self._note(id=utterance_id, key=key)
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self.sync()

    def append(self, key: str, features: np.ndarray, warnings: tuple[str, ...]) -> None:
        """Store an array, unless there is one of this key.

        Args:
            key: Its content key.
            features: (frames, dim).
            warnings: Of the recording.
        """
        if key in self.index.places:
            return
        content = features.astype(self._dtype, copy=False).tobytes()
        self._data.write(content)
        line: dict[str, Any] = {"key": key, "offset": self._end, "frames": len(features), "dim": features.shape[1]}
        line["crc"] = zlib.crc32(content)
        self._note(**line, **({"warnings": warnings} if warnings else {}))
        self._end += features.size

    def sync(self) -> None:
        """Flush the data to the disk, then the index, so that the index never names data that are not there."""
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
