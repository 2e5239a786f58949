"""Files by path or URL (`s3://`, `gs://`, `http://`, `memory://`, …): read whole, written whole, or not at all.

A local file is read where it is. Another one is copied into a temporary file, and its length is compared with what the
store states, so that half a file is a transient error like any other, never half a recording.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ..errors import ConfigurationError
from ..utils import files
from .retry import retried


def filesystem(url: str) -> tuple[Any, str]:
    """Find who serves a URL.

    Args:
        url: A path or URL.

    Returns:
        The fsspec file system, and the name of the file in it.

    Raises:
        ConfigurationError: Nothing that is installed serves such URLs.
    """
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigurationError(f"{url}: {error}") from error


def local_path(url: str) -> Path | None:
    """Find the path of a file of this computer.

    Args:
        url: A path or URL.

    Returns:
        The path; None for a URL of another store.
    """
    if url.startswith("file://"):
        return Path(url.removeprefix("file://"))
    return None if "://" in url else Path(url)


def join(folder: str, name: str) -> str:
    """Name a file in a folder.

    Args:
        folder: A path or URL.
        name: Of the file.

    Returns:
        Its path or URL.
    """
    return f"{folder.rstrip('/')}/{name}" if folder.rstrip("/") else f"/{name}"


def name_of(url: str) -> str:
    """Take the last part of a path or URL.

    Args:
        url: A path or URL.

    Returns:
        The name of the file.
    """
    return PurePosixPath(url).name


@contextlib.contextmanager
def local_copy(url: str) -> Iterator[Path]:
    """Have a file on this computer.

    Args:
        url: A path or URL.

    Yields:
        Its path, or that of a temporary copy.

    Raises:
        StorageError: The store failed, or sent another number of bytes than it states, again and again.
        FileNotFoundError: There is no such file.
    """
    if (path := local_path(url)) is not None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="duetto-") as folder:
        copy = Path(folder) / "copy"
        fs, name = filesystem(url)
        retried(lambda: _fetch(fs, name, copy), url)
        yield copy


def _fetch(fs: Any, name: str, copy: Path) -> None:
    fs.get_file(name, str(copy))
    stated = fs.size(name)
    if stated is not None and copy.stat().st_size != stated:
        raise EOFError(f"{copy.stat().st_size:,} of {stated:,} bytes")


def read(url: str, offset: int, length: int) -> bytes:
    """Read a range of bytes.

    Args:
        url: A path or URL.
        offset: First byte.
        length: Number of bytes.

    Returns:
        Exactly so many bytes; of a local file, fewer where it ends.

    Raises:
        StorageError: The store failed again and again.
    """
    if (path := local_path(url)) is not None:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)
    fs, name = filesystem(url)
    return retried(lambda: _range(fs, name, offset, length), url)


def _range(fs: Any, name: str, offset: int, length: int) -> bytes:
    content = fs.cat_file(name, start=offset, end=offset + length)
    if len(content) > length:  # some web servers know no ranges, and send the whole file
        content = content[offset : offset + length]
    if len(content) < length:
        raise EOFError(f"{len(content):,} of {length:,} bytes")
    return content


def read_by(url: str, reader: Callable[[IO[bytes]], Any]) -> Any:
    """Read a file by a function that seeks in it.

    Args:
        url: A path or URL.
        reader: Takes the open file.

    Returns:
        Its value.

    Raises:
        StorageError: The store failed again and again.
    """
    if (path := local_path(url)) is not None:
        with path.open("rb") as file:
            return reader(file)
    fs, name = filesystem(url)

    def attempt() -> Any:
        with fs.open(name, "rb") as file:
            return reader(file)

    return retried(attempt, url)


@contextlib.contextmanager
def replacing(url: str) -> Iterator[Path]:
    """Write a file, which has its old or its new content at any time.

    Args:
        url: A path, or the URL of an object store, where one put replaces an object.

    Yields:
        The path of an empty or missing file to be written.

    Raises:
        StorageError: The store failed again and again.
        ConfigurationError: The store cannot be written to.
        OSError: There is no space left.
    """
    if (path := local_path(url)) is not None:
        with files.replacing(path) as temporary:
            yield temporary
        return
    if url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{url}: nothing can be written there; give a folder or an object store")
    with tempfile.TemporaryDirectory(prefix="duetto-") as folder:
        written = Path(folder) / "new"
        yield written
        fs, name = filesystem(url)
        retried(lambda: _put(fs, written, name), url)


def _put(fs: Any, written: Path, name: str) -> None:
    try:
        fs.put_file(str(written), name)
    except FileNotFoundError:  # object stores need no folders, others do
        fs.makedirs(name.rpartition("/")[0], exist_ok=True)
        fs.put_file(str(written), name)


def save_text(url: str, text: str) -> None:
    """Write a text file in UTF-8; see `replacing`.

    Args:
        url: A path or URL.
        text: All of it.
    """
    with replacing(url) as path:
        files.write_text(path, text)


def listing(folder: str) -> dict[str, float | None]:
    """List the files of a folder.

    Args:
        folder: A path or URL.

    Returns:
        Name → time of its last change in seconds since 1970, or None where the store does not state it; nothing for a
        folder that does not exist.

    Raises:
        StorageError: The store failed again and again.
    """
    fs, name = filesystem(folder)
    fs.invalidate_cache()
    try:
        found = retried(lambda: fs.ls(name, detail=True), folder)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {name_of(each["name"]): _changed(each) for each in found if each["type"] == "file"}


def _changed(info: dict[str, Any]) -> float | None:
    value = next(
        (info[key] for key in ("mtime", "LastModified", "updated", "created") if info.get(key) is not None), None
    )
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.timestamp() if isinstance(value, datetime) else value


def matching(pattern: str) -> list[str]:
    """List the files that a pattern names.

    Args:
        pattern: A path or URL, with or without `*`.

    Returns:
        Paths or URLs, sorted.

    Raises:
        StorageError: The store failed again and again.
    """
    fs, name = filesystem(pattern)
    detailed = retried(lambda: fs.glob(name, detail=True), pattern)
    found = [path for path, info in detailed.items() if info.get("type") != "directory"]
    return sorted(map(str, found) if local_path(pattern) is not None else map(fs.unstrip_protocol, found))


def version(url: str) -> str:
    """Identify the content of a file without reading it, as far as its store states it.

    Args:
        url: A path or URL.

    Returns:
        Size in bytes, and the tag of its content where there is one.

    Raises:
        StorageError: The store failed again and again.
    """
    fs, name = filesystem(url)
    info = retried(lambda: fs.info(name), url)
    return f"{info['size']} {info.get('ETag') or info.get('etag') or ''}".strip()
