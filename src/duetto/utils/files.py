"""Files that are whole or absent: atomic writing, locks, digests. The only place that spells these out.

    replacing(path)  ─▶ a temporary file beside it ─ synced, renamed ─▶ path
    new_folder(path) ─▶ a temporary folder beside it ─ synced, renamed ─▶ path

After a kill or a power cut, `path` holds its old content or its new content, whole: the file is brought to the disk
before the rename, the folder after it. A temporary file has a name of its own (`.NAME.RANDOM.tmp`, created exclusively)
and is locked while its writer lives; the next writer of the same name, or `clear_abandoned`, removes what no living
process holds. A symbolic link is followed, so its target is what changes. What is no regular file (a device, a pipe,
standard output) can't be replaced and is written directly.
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
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import ConfigurationError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
_OURS = (".json", ".npz", ".onnx", ".safetensors", ".vec")
_OF_EARLIER_VERSIONS = re.compile(
    r".+\.(json|npz|onnx|safetensors|vec)\.partial|\.tmp\w{6}|[0-9]+-(types|word2vec-[0-9a-f]{16})\.vec"
)
"""Temporary files of duetto and of safetensors, which it used."""
_DESCRIPTOR = re.compile(r"/(?:dev/fd|proc/self/fd)/([0-9]+)")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
LOCK = "lock"
"""Name of the file by which a folder is locked."""

_CHUNK = 1 << 20
_SYNCED_AT_ONCE = 8
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""What fsync answers on a pipe, or a folder of some network file systems."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """A path to write to; what was written there becomes `path` when the block ends without an error.

    Yields:
        The path of an empty file in the folder of `path` (created where it is missing), which may be opened by name
        any number of times. Where `path` is a device, a pipe or an open descriptor, a file elsewhere, whose content is
        copied there in the end.

    Raises:
        OSError: The folder or the file can't be written; `path` is then as it was before.
    """
    path = Path(path)
    if _is_special(path):
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
        if is_temporary(target.parent):  # `new_folder` syncs all at once, which is much faster
            os.replace(temporary, target)
        else:
            sync(temporary)
            os.replace(temporary, target)
            sync(target.parent)
    except OSError as error:
        raise _named(error, path, temporary) from error
    finally:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace the content of `path`, whole or not at all (`replacing`)."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Replace the content of `path` by `text` in UTF-8, line ends as they are (`replacing`)."""
    write_bytes(path, text.encode("utf-8"))


def copy(source: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Replace the content of `path` by that of `source`, whole or not at all (`replacing`)."""
    with replacing(path) as temporary:
        shutil.copyfile(source, temporary)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str]) -> Generator[Path]:
    """A folder to fill, which becomes `path` when the block ends without an error.

    Yields:
        An empty folder beside `path`.

    Raises:
        FileExistsError: `path` exists and is anything but an empty folder, before or after the block.
        OSError: The folder can't be written.
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
    """
    for at, folders, names in os.walk(folder):
        for name in [name for name in (*folders, *names) if _TEMPORARY.fullmatch(name)]:
            _remove_abandoned(Path(at, name))
        folders[:] = [name for name in folders if not _TEMPORARY.fullmatch(name)]


def recover(folder: Path) -> list[Path]:
    """Remove from a folder that duetto alone fills (a run, a cache) what is no whole file.

    That is what `clear_abandoned` removes, what earlier versions left when they were killed, and files of ours without
    content: a power cut leaves them where earlier versions didn't bring a file to the disk.

    Returns:
        The files without content, which are missing now.
    """
    clear_abandoned(folder)
    torn = []
    for at, _, names in os.walk(folder):
        for path in (Path(at, name) for name in names):
            if _OF_EARLIER_VERSIONS.fullmatch(path.name):
                path.unlink(missing_ok=True)
            elif path.suffix in _OURS and _is_torn(path):
                path.unlink(missing_ok=True)
                torn.append(path)
    return torn


def _is_torn(path: Path) -> bool:
    """Whether a file is empty, or zeros where each of our formats has something else."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return not any(file.read(64))


def is_temporary(path: Path) -> bool:
    """Whether a file is a temporary one of a writer, or lies in a temporary folder."""
    return any(_TEMPORARY.fullmatch(part) for part in path.parts)


def sync(path: Path) -> None:
    """Bring a file, or the list of names in a folder, to the disk (fsync); nothing where the system can't."""
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
    """Every file and folder; several at a time, which a file system brings to the disk together."""
    found = [Path(at, name) for at, _, names in os.walk(folder) for name in (".", *names)]
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        for _ in pool.map(sync, found):
            pass


def open_descriptor(path: Path) -> int | None:
    """Find the open descriptor that a path names.

    Args:
        path: Such as /dev/stdout or /dev/fd/3.

    Returns:
        Its number; None for every other path.
    """
    match = _DESCRIPTOR.fullmatch(str(path))
    return int(match[1]) if match else _STANDARD.get(str(path))


def digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits."""
    with open(path, "rb") as file:  # noqa: PTH123 (a descriptor of /dev/fd is no Path)
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def lock(
    folder: Path,
    *,
    wait: Callable[[], None] | None = None,
    busy: str = "another process is writing into it; wait for it",
) -> Generator[None]:
    """Keep every other process that asks for it out of `folder` (created where it is missing).

    The system releases the lock when its holder dies. Without file locks (Windows, some network file systems)
    nothing is kept out.

    Args:
        folder: Holds the file `lock`, which stays.
        wait: Called once where another process holds the lock, before waiting for it; without it that is an error.
        busy: What that error says of the folder.

    Raises:
        ConfigurationError: Another process holds the lock and `wait` is None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _try_lock(descriptor):
            if wait is None:
                raise ConfigurationError(f"{folder}: {busy}")
            wait()
            _try_lock(descriptor, block=True)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, *, block: bool = False) -> bool:
    """Whether the lock of an open file was free, and is now held; True where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if block else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _has_locks(descriptor: int) -> bool:
    """Whether locks of this open file, if another process held one, would be seen."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


@contextlib.contextmanager
def _held(folder: Path) -> Generator[None]:
    """A temporary folder's lock."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _try_lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _temporary_name(target: Path) -> str:
    """A name that no other process takes; the target's own part of it is cut so that it fits a file system's 255."""
    return f".{target.name.encode()[:200].decode(errors='ignore')}.{secrets.token_hex(8)}.tmp"


def _exclusive(target: Path) -> tuple[Path, int]:
    """A new temporary file beside `target`, and its descriptor, which holds its lock."""
    while True:
        temporary = target.with_name(_temporary_name(target))
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        _try_lock(descriptor)
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
    """Remove a temporary file or folder unless a living process holds it, or that can't be known."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if not _has_locks(descriptor):
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
    """The same error, about `path` where it was about the temporary file, whose name users don't know, or about none:
    a disk that is full is found by writing, not by opening."""
    of_temporary = error.filename is not None and str(temporary) in (str(error.filename), str(error.filename2 or ""))
    if of_temporary or (error.filename is None and error.errno in _FULL):
        return type(error)(error.errno, error.strerror, str(path))
    return error


def _is_special(path: Path) -> bool:
    """Whether `path` names what can't be replaced: an open descriptor, a device, a pipe, a socket."""
    if open_descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextlib.contextmanager
def _copied_to(path: Path) -> Iterator[Path]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / path.name
        yield temporary
        number = open_descriptor(path)
        if number == 1:
            sys.stdout.flush()
        # A duplicate writes where the shell's redirection is; opening the path again would begin at its start.
        opened = os.dup(number) if number is not None else os.open(path, os.O_WRONLY)
        with temporary.open("rb") as source, open(opened, "wb") as out:  # noqa: PTH123
            shutil.copyfileobj(source, out, _CHUNK)
