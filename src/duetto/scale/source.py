"""From a source to shards, and from a shard to its recordings.

    calls.jsonl              ─ shards_of ─▶ Shard: a range of its lines
    s3://archive/calls-*.tar ─ shards_of ─▶ Shard: a tar file (WebDataset)
    Shard ─ recordings ─▶ Item, Item, …

A shard is a few numbers, however long its recordings are. It is found again at any time and on any machine, since its
digest is that of its lines, or what the store states about its tar file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from .. import audio
from ..corpora.parsing import AUDIO_SUFFIXES
from ..data.manifest import from_record
from ..data.utterance import Utterance
from ..errors import AudioError, ConfigurationError, CorpusError, StorageError
from ..utils.reading import parse_json, shortened
from . import storage
from .retry import is_disk_full

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz")
_DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError)
_REPAIR = "give a manifest (.jsonl), or one or more tar files (.tar; * in a name stands for anything)"


@dataclass(frozen=True)
class Size:
    """How many recordings a shard of a manifest has.

    Attributes:
        recordings: At most so many.
        seconds: At most so many seconds, but for a single longer recording; None for no such limit. Lines that do not
            state `start` and `end` are measured, which takes a look into every local recording.

    Raises:
        ConfigurationError: A limit is not positive.
    """

    recordings: int = 500
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.recordings < 1 or (self.seconds is not None and not self.seconds > 0):
            raise ConfigurationError(f"a shard of {self.recordings} recordings or {self.seconds} s holds nothing")


@dataclass(frozen=True)
class Shard:
    """A part of a source, which is processed as a whole.

    Attributes:
        index: Its place in the source, from 0 on.
        source: The manifest, or the tar file.
        offset: First byte of its lines; 0 for a tar file.
        length: Number of bytes of its lines; 0 for a tar file.
        line: Number of its first line, from 1 on; 0 for a tar file.
        digest: Identifies its content (`recordings` checks it).
    """

    index: int
    source: str
    offset: int
    length: int
    line: int
    digest: str


@dataclass(frozen=True)
class Item:
    """A recording of a shard, or what is in its place.

    Attributes:
        id: From the manifest, or the name of the tar member.
        audio: Where it is, as the source states it.
        utterance: Everything known about it, but for its `audio`; None with a problem.
        problem: Why there is no recording; empty otherwise.
        retryable: Whether the problem may pass.
        url: Path or URL of its file; empty for a tar member.
        opened: Makes it available as a local file.
    """

    id: str
    audio: str
    utterance: Utterance | None = None
    problem: str = ""
    retryable: bool = False
    url: str = ""
    opened: Callable[[], AbstractContextManager[Path]] = lambda: nullcontext(Path())


def shards_of(source: str, size: Size | None = None) -> list[Shard]:
    """Divide a source; the same source is divided in the same way everywhere.

    Args:
        source: Path or URL of a manifest, or of tar files, each of which is a shard.
        size: Of the shards of a manifest.

    Returns:
        The shards.

    Raises:
        ConfigurationError: It is neither, or nothing is there.
        StorageError: The store failed again and again.
    """
    if source.endswith(_TARS):
        found = storage.matching(source)
        if not found:
            raise ConfigurationError(f"{source}: no such file; {_REPAIR}")
        return [Shard(i, url, 0, 0, 0, storage.version(url)) for i, url in enumerate(found)]
    if not source.endswith(".jsonl"):
        raise ConfigurationError(f"{source}: is no source; {_REPAIR}")
    try:
        with storage.local_copy(source) as path:
            shards = list(_of_manifest(path, source, size or Size()))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{source}: no such file; {_REPAIR}") from error
    if not shards:
        raise ConfigurationError(f"{source}: no line in it; {_REPAIR}")
    return shards


def _of_manifest(path: Path, source: str, size: Size) -> Iterator[Shard]:
    index, offset, first, lines, seconds = 0, 0, 1, [], 0.0
    with path.open("rb") as file:
        if file.read(1024).lstrip()[:1] == b"[":
            raise ConfigurationError(f"{source}: a JSON array cannot be divided; write one object a line (JSONL)")
        file.seek(0)
        for number, line in enumerate(file, 1):
            length = 0.0 if size.seconds is None or not line.strip() else _seconds(line, source, number)
            full = len(lines) >= size.recordings or (size.seconds is not None and seconds + length > size.seconds)
            if lines and full:
                yield (shard := _shard(index, source, offset, first, lines))
                index, offset, first, lines, seconds = index + 1, offset + shard.length, number, [], 0.0
            lines.append(line)
            seconds += length
    if any(line.strip() for line in lines):
        yield _shard(index, source, offset, first, lines)


def _shard(index: int, source: str, offset: int, first: int, lines: list[bytes]) -> Shard:
    content = b"".join(lines)
    return Shard(index, source, offset, len(content), first, _digest(content))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _seconds(line: bytes, source: str, number: int) -> float:
    """Length of the recording of a line; 0 where there is none, which is reported when the shard is processed."""
    with contextlib.suppress(CorpusError, AudioError):
        item = _item(line, source, number)
        u = item.utterance
        if u is not None and u.start is not None and u.end is not None:
            return u.end - u.start
        if storage.local_path(item.url) is None:
            raise ConfigurationError(
                f"{source}:{number}: states no start and end, and is not measured in a store; give a number of "
                "recordings instead of seconds"
            )
        with item.opened() as path:
            return audio.duration(path)
    return 0.0


def recordings(shard: Shard) -> Iterator[Item]:
    """Read a shard.

    Args:
        shard: From `shards_of`.

    Yields:
        Its recordings in order. What is wrong with a line or a member is an item with a problem; the file of an item
        exists until the next one is taken.

    Raises:
        ConfigurationError: The manifest is another one than when it was divided.
        StorageError: The store failed again and again.
    """
    if shard.line == 0:
        yield from _members(shard.source)
        return
    content = storage.read(shard.source, shard.offset, shard.length)
    if _digest(content) != shard.digest:
        raise ConfigurationError(f"{shard.source}: was changed since the job began; begin another in a new folder")
    for number, line in enumerate(content.split(b"\n"), shard.line):
        if line.strip():
            yield _item(line, shard.source, number)


def _item(line: bytes, source: str, number: int) -> Item:
    where = f"{storage.name_of(source)}:{number}"
    record: Any = None
    try:
        record = parse_json(line, where=where, error=CorpusError, repair="a manifest holds one JSON object a line")
        if not isinstance(record, dict):
            raise CorpusError(f"{where}: a JSON object is required, not {shortened(record)}")
        utterance, url = _utterance(record, source[: -len(storage.name_of(source))] or ".", where)
    except CorpusError as error:
        known = record if isinstance(record, dict) else {}
        return Item(str(known.get("id", where)), str(known.get("audio", "")), problem=str(error))
    return Item(utterance.id, record["audio"], utterance, url=url, opened=lambda: storage.local_copy(url))


def _utterance(record: Mapping[str, Any], folder: str, where: str) -> tuple[Utterance, str]:
    """The utterance of a record, and the path or URL of its recording."""
    name = record.get("audio")
    if isinstance(name, str) and name and ("://" in name or "://" in folder):
        url = name if "://" in name else storage.join(folder, name)
        return from_record({**record, "audio": "recording"}, Path(), where), url
    utterance = from_record(record, Path(folder), where)
    return utterance, str(utterance.audio)


def _members(source: str) -> Iterator[Item]:
    """The recordings of a tar file; damage ends it, as one more item."""
    count, name = 0, storage.name_of(source)
    try:
        with storage.local_copy(source) as path, tempfile.TemporaryDirectory(prefix="duetto-") as folder:
            try:
                for sample in _samples(path, Path(folder)):
                    for item in _of_sample(sample, source):
                        count += 1
                        yield item
            except _DAMAGE as error:
                if is_disk_full(error):
                    raise
                yield Item(
                    name,
                    source,
                    problem=f"{name}: damaged after {count} recordings ({error}); what follows is lost, write it again",
                )
    except FileNotFoundError:
        yield Item(name, source, problem=f"{name}: no such file")
    except StorageError as error:
        yield Item(name, source, problem=str(error), retryable=True)


Sample = dict[str, Path]
"""Name of each member of a sample → the file that holds its content."""


def _samples(path: Path, folder: Path) -> Iterator[Sample]:
    """Members that follow each other and have the same name up to the first dot, as WebDataset has it."""
    sample: Sample = {}
    with tarfile.open(path) as tar:
        for number, member in enumerate(tar):
            if not member.isreg():
                continue
            if sample and _stem(member.name) != _stem(next(iter(sample))):
                yield sample
                for file in sample.values():
                    file.unlink(missing_ok=True)
                sample = {}
            content = folder / f"{number}{PurePosixPath(member.name).suffix}"
            _extract(tar, member, content)
            sample[member.name] = content
        if sample:
            yield sample
        _check_end(tar)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.size > audio.MAX_STREAM_BYTES:
        raise tarfile.ReadError(f"{member.name} has {member.size:,} bytes, {audio.MAX_STREAM_BYTES:,} are allowed")
    tar.makefile(member, path)
    if path.stat().st_size != member.size:
        raise tarfile.ReadError(f"{member.name} is cut off")


def _check_end(tar: tarfile.TarFile) -> None:
    """tarfile takes any block that is no header for the end; the end is two blocks of zeros, and nothing after them."""
    file = tar.fileobj
    assert file is not None
    file.seek(tar.offset)
    found = False
    while block := file.read(1 << 20):
        found = True
        if block.strip(b"\0"):
            raise tarfile.ReadError(f"no header at byte {tar.offset}")
    if not found:
        raise tarfile.ReadError("its end is missing")


def _stem(member: str) -> str:
    path = PurePosixPath(member)
    return str(path.with_name(path.name.partition(".")[0] or path.name))


def _of_sample(sample: Sample, source: str) -> Iterator[Item]:
    """The recordings of a sample, with what its .json (keys of a manifest) and its .txt (transcript) state."""
    found = [name for name in sample if PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES]
    first = next(iter(sample))
    where = f"{storage.name_of(source)}: {first}"
    if not found:
        yield Item(first, f"{source}!{first}", problem=f"{where}: no recording is beside it ({', '.join(sample)})")
        return
    try:
        about = _about(sample, where)
    except (CorpusError, UnicodeDecodeError) as error:
        yield from (Item(name, f"{source}!{name}", problem=str(error)) for name in found)
        return
    for name in found:
        utterance = replace(about, id=name)
        path = sample[name]
        yield Item(name, f"{source}!{name}", utterance, opened=lambda path=path: nullcontext(path))


def _about(sample: Sample, where: str) -> Utterance:
    record: dict[str, Any] = {}
    for name, path in sample.items():
        if name.endswith(".json"):
            value = parse_json(path.read_bytes(), where=where, error=CorpusError, repair="write keys of a manifest")
            if not isinstance(value, dict):
                raise CorpusError(f"{where}: a JSON object is required, not {shortened(value)}")
            record |= {key: value[key] for key in value if key not in ("id", "audio")}
        elif name.endswith(".txt"):
            record.setdefault("text", path.read_text(encoding="utf-8").strip())
    return from_record({**record, "id": "member", "audio": "recording"}, Path(), where)


def identity(shard: Shard, task: str) -> str:
    """Compute what the output of a shard depends on.

    Args:
        shard: The shard.
        task: Key of the task (`tasks.Opened`).

    Returns:
        A digest; its index and the place of the source do not matter.
    """
    return _digest(json.dumps([shard.digest, task]).encode())
