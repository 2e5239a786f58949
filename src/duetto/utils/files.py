"""Files that are whole or absent: atomic writing, locks, digests. The only place that implements these.

    replacing(path)  ─▶ a temporary file beside it ─ synced, renamed ─▶ path
    new_folder(path) ─▶ a temporary folder beside it ─ synced, renamed ─▶ path

After a kill or a power cut, `path` holds its old content or its new content, whole: the file is flushed to the disk
before the rename, the folder after it. A temporary file has a unique name (`.NAME.RANDOM.tmp`, created exclusively) and
is locked while its writer lives; the next writer of the same name, or `clear_abandoned`, removes what no living process
holds. A symbolic link is followed, so its target is what changes. What is no regular file (a device, a pipe, standard
output) cannot be replaced and is written directly.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import ConfigurationError
from .descriptors import is_special, open_descriptor

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
_SUFFIXES = (".json", ".jsonl", ".npz", ".onnx", ".safetensors", ".vec")
_OF_EARLIER_VERSIONS = re.compile(
    r".+\.(json|npz|onnx|safetensors|vec)\.partial|\.tmp\w{6}|[0-9]+-(types|word2vec-[0-9a-f]{16})\.vec"
)
"""Temporary files of earlier versions of duetto, and of safetensors, which they used."""
LOCK = "lock"
"""Name of the file by which a folder is locked."""
BUSY = "another process is writing into it; wait for it"
"""What `lock` states about a locked folder by default."""

_CHUNK = 1 << 20
_STDOUT = 1
_SYNC_THREADS = 8
DISK_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
"""Errors that state that there is no space left."""
_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""Errors of fsync for a pipe, or a folder of some network file systems."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """Replace the content of a file when the block ends without an error.

    Args:
        path: The file; its folder is created where it is missing.

    Yields:
        The path of an empty file beside it, which may be opened by name any number of times. Where `path` is a device,
        a pipe or an open descriptor, a file elsewhere, whose content is copied there in the end.

    Raises:
        OSError: The folder or the file cannot be written; `path` is then as it was before.
    """
    path = Path(path)
    if is_special(path):
        with _copied_to(path) as temporary:
            yield temporary
        return
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear(target.parent, target.name)
    temporary, descriptor = _exclusive(target)
    try:
        yield temporary
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))  # noqa: PTH101 (may be replaced by its writer)
        durable = not is_temporary(target.parent)  # `new_folder` syncs all files together, which is much faster
        if durable:
            sync(temporary)
        os.replace(temporary, target)
        if durable:
            sync(target.parent)
    except OSError as error:
        raise _named(error, path, temporary) from error
    finally:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file, whole or not at all; see `replacing`.

    Args:
        path: The file.
        content: All of it.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, whole or not at all; see `replacing`.

    Args:
        path: The file.
        text: All of it; line ends are not translated.
    """
    write_bytes(path, text.encode("utf-8"))


def copy(source: str | os.PathLike[str], path: str | os.PathLike[str], *, link: bool = False) -> None:
    """Copy the content of a file, whole or not at all; see `replacing`.

    Args:
        source: The file to read.
        path: The file to write.
        link: Make a hard link instead, where the file system allows it; a file in its place is deleted first.
    """
    if link and Path(path).exists():
        if Path(path).samefile(source):
            return
        Path(path).unlink()
    with replacing(path) as temporary:
        if link:
            temporary.unlink()
            with contextlib.suppress(OSError):
                os.link(source, temporary)
                return
        shutil.copyfile(source, temporary)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str]) -> Generator[Path]:
    """Create a folder when the block ends without an error, with all its content or not at all.

    Args:
        path: The folder; its parents are created where they are missing.

    Yields:
        An empty folder beside it, to be filled.

    Raises:
        FileExistsError: `path` exists and is anything but an empty folder, before or after the block.
        OSError: The folder cannot be written.
    """
    path = Path(path)
    target = Path(os.path.realpath(path))
    _check_free(target, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear(target.parent, target.name)
    temporary = target.with_name(_temporary_name(target))
    temporary.mkdir()
    with _held(temporary):
        try:
            yield temporary
            _sync_all(temporary)
            _check_free(target, path)
            with contextlib.suppress(FileNotFoundError):
                target.rmdir()
            temporary.rename(target)
            sync(target.parent)
        except OSError as error:
            raise _named(error, path, temporary) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def clear_abandoned(folder: Path) -> None:
    """Remove every temporary file and folder below `folder` that no living process holds.

    For the owner of a folder, at the beginning of its work. What is still being written is left alone.

    Args:
        folder: Searched recursively.
    """
    for at, folders, names in os.walk(folder):
        for name in [name for name in (*folders, *names) if _TEMPORARY.fullmatch(name)]:
            _remove_abandoned(Path(at, name))
        folders[:] = [name for name in folders if not _TEMPORARY.fullmatch(name)]


def recover(folder: Path) -> list[Path]:
    """Remove from a folder that only duetto writes (a run, a cache) what is no whole file.

    That is what `clear_abandoned` removes, what earlier versions left when they were killed, and files of duetto's
    formats without content: a power cut left them where earlier versions did not flush a file to the disk.

    Args:
        folder: Searched recursively.

    Returns:
        The files without content, which are missing now.
    """
    clear_abandoned(folder)
    torn = []
    for at, _, names in os.walk(folder):
        for path in (Path(at, name) for name in names):
            if _OF_EARLIER_VERSIONS.fullmatch(path.name):
                path.unlink(missing_ok=True)
            elif path.suffix in _SUFFIXES and _is_torn(path):
                path.unlink(missing_ok=True)
                torn.append(path)
    return torn


def _is_torn(path: Path) -> bool:
    """Whether a file is empty, or zeros where each of duetto's formats has something else."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return not any(file.read(64))


def is_temporary(path: Path) -> bool:
    """Check whether a file is a temporary one, or lies in a temporary folder.

    Args:
        path: The file.

    Returns:
        Whether `replacing` or `new_folder` made it.
    """
    return any(_TEMPORARY.fullmatch(part) for part in path.parts)


def sync(path: Path) -> None:
    """Flush a file, or the list of names in a folder, to the disk (fsync), where the system can.

    Args:
        path: The file or folder.
    """
    if sys.platform == "win32" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def _sync_all(folder: Path) -> None:
    """Sync every file and folder; several at a time, which a file system flushes together."""
    found = [Path(at, name) for at, _, names in os.walk(folder) for name in (".", *names)]
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        for _ in pool.map(sync, found):
            pass


def digest(path: str | os.PathLike[str]) -> str:
    """Compute the SHA-256 of a file's content.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.
    """
    with open(path, "rb") as file:  # noqa: PTH123 (a descriptor of /dev/fd is no Path)
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def lock(
    folder: Path,
    *,
    wait: Callable[[], None] | None = None,
    busy: str = BUSY,
) -> Generator[None]:
    """Hold the lock of a folder, which one process can hold at a time.

    The system releases the lock when its holder dies. Without file locks (Windows, some network file systems) the lock
    is always granted.

    Args:
        folder: Holds the file `lock`, which stays; created where it is missing.
        wait: Called once where another process holds the lock, before waiting for it; without it that is an error.
        busy: Message of that error, after the name of the folder.

    Yields:
        Nothing.

    Raises:
        ConfigurationError: Another process holds the lock and `wait` is None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if _locked(descriptor) is False:
            if wait is None:
                raise ConfigurationError(f"{folder}: {busy}")
            wait()
            _locked(descriptor, block=True)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int, *, block: bool = False) -> bool | None:
    """Lock an open file: whether that succeeded, or None where there are no locks (Windows, some file systems)."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if block else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


@contextlib.contextmanager
def _held(folder: Path) -> Generator[None]:
    """Hold the lock of a temporary folder."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _locked(descriptor)
        yield
    finally:
        os.close(descriptor)


def _temporary_name(target: Path) -> str:
    """A unique name; the part of the target is shortened so that the name fits into the 255 bytes of a file system."""
    return f".{target.name.encode()[:200].decode(errors='ignore')}.{secrets.token_hex(8)}.tmp"


def _exclusive(target: Path) -> tuple[Path, int]:
    """A new temporary file beside `target`, and its descriptor, which holds its lock."""
    while True:
        temporary = target.with_name(_temporary_name(target))
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        _locked(descriptor)
        if temporary.exists():  # else another process found it before it was locked, and removed it
            return temporary, descriptor
        os.close(descriptor)


def _clear(folder: Path, name: str) -> None:
    """Remove abandoned temporary files and folders of the target `name`."""
    prefix = _temporary_name(Path(name))[: -len("0123456789abcdef.tmp")]
    with os.scandir(folder) as entries:
        found = [Path(e.path) for e in entries if e.name.startswith(prefix) and _TEMPORARY.fullmatch(e.name)]
    for path in found:
        _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    """Remove a temporary file or folder unless a living process holds it, or that cannot be found out."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if not _locked(descriptor):
                return
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _check_free(target: Path, path: Path) -> None:
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(errno.EEXIST, "exists already; delete it or choose another name", str(path))


def _named(error: OSError, path: Path, temporary: Path) -> OSError:
    """The same error, about `path` where it names the temporary file, or no file at all: a full disk is found by
    writing, not by opening."""
    of_temporary = error.filename is not None and str(temporary) in (str(error.filename), str(error.filename2 or ""))
    if of_temporary or (error.filename is None and error.errno in DISK_FULL):
        return type(error)(error.errno, error.strerror, str(path))
    return error


@contextlib.contextmanager
def _copied_to(path: Path) -> Generator[Path]:
    """A temporary file, whose content is copied to a device, a pipe or an open descriptor when the block ends."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / path.name
        yield temporary
        descriptor = open_descriptor(path)
        if descriptor == _STDOUT:
            sys.stdout.flush()
        # A duplicate writes at the position of the shell's redirection; opening the path again would begin at 0.
        duplicate = os.dup(descriptor) if descriptor is not None else os.open(path, os.O_WRONLY)
        with temporary.open("rb") as source, open(duplicate, "wb") as out:  # noqa: PTH123
            shutil.copyfileobj(source, out, _CHUNK)
