"""Files from anywhere: bounded, typed, and never a traceback. The one way to read JSON and NumPy arrays.

    path ─ read_json ─▶ Record ─ .number("temperature", above=0) ─▶ float
    path ─ read_arrays ─▶ {name: array}

A file may come from a stranger, be cut off, or hold noise. Whatever is wrong with it is an error of the caller's class
that names the file and, after "; ", says what to do; no reader allocates more than its limit.
"""

from __future__ import annotations

import io
import json
import math
import os
import tokenize
import tomllib
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DuettoError

JSON_LIMIT = 64 << 20
"""Bytes of a JSON or TOML file. The largest of ours, run.json of 100,000 utterances in ten folds, has some 30 MB."""
ARRAYS_LIMIT = 1 << 30
"""Bytes of all arrays of one `.npz` file, unpacked."""
_REQUIRED = object()
_DAMAGED = (
    ValueError,
    SyntaxError,
    TypeError,
    KeyError,
    EOFError,
    RecursionError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What json, tomllib, zipfile and NumPy raise for damaged content; `RuntimeError` is an encrypted archive."""


def read_bytes(
    path: str | os.PathLike[str],
    *,
    error: type[DuettoError],
    limit: int = JSON_LIMIT,
    repair: str = "",
    pipes: bool = False,
) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Args:
        path: The file.
        pipes: Accept whatever can be read, such as a shell's `<(…)`: for a file that a person named.
        error: Class of every error.
        limit: Bytes that are accepted.
        repair: What to do about a missing or damaged file, for the message.

    Raises:
        DuettoError: (`error`) The file is missing, can't be opened, is no regular file, or is too large.
    """
    with open_regular(path, error=error, repair=repair, pipes=pipes) as file:
        try:
            content = file.read(limit + 1)
        except OSError as reason:
            raise error(f"{path}: {unreadable(reason)}{_then(repair)}") from reason
    if len(content) > limit:
        raise error(f"{path}: larger than {limit:,} bytes, which is the limit for such a file{_then(repair)}")
    return content


def open_regular(
    path: str | os.PathLike[str], *, error: type[DuettoError], repair: str = "", pipes: bool = False
) -> io.BufferedReader:
    """A regular file, or a link to one, open for reading; a pipe or a device, which may never end, is refused.

    Raises:
        DuettoError: (`error`) The file is missing, can't be opened, or is no regular file.
    """
    path = Path(path)
    try:
        if not pipes and path.exists() and not path.is_file():
            raise error(f"{path}: is no regular file{_then(repair)}")
        return path.open("rb")
    except OSError as reason:
        raise error(f"{path}: {unreadable(reason)}{_then(repair)}") from reason
    except ValueError as reason:  # a null character in the name
        raise error(f"{path!r}: no file can have this name") from reason


def unreadable(reason: OSError) -> str:
    """Why a file can't be opened, in words: a permission that is lacking is no damage."""
    if isinstance(reason, FileNotFoundError):
        return "no such file"
    if isinstance(reason, PermissionError):
        return "permission denied: this user may not read it"
    return f"cannot be read ({reason.strerror or reason})"


def parse_json(text: str | bytes, *, where: str, error: type[DuettoError], repair: str = "") -> Any:
    """A JSON value; `where` (file, or file:line) opens the error of what is none.

    Raises:
        DuettoError: (`error`) Not UTF-8, not JSON, nested too deeply, or an integer with too many digits.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        return json.loads(text)
    except RecursionError as reason:
        raise error(f"{where}: not valid JSON (nested too deeply){_then(repair)}") from reason
    except ValueError as reason:
        raise error(f"{where}: not valid JSON ({reason}){_then(repair)}") from reason


def read_json(
    path: str | os.PathLike[str], *, error: type[DuettoError], limit: int = JSON_LIMIT, repair: str = ""
) -> Record:
    """The object in a JSON file.

    Raises:
        DuettoError: (`error`) As `read_bytes` and `parse_json`, or the file holds anything but an object.
    """
    content = read_bytes(path, error=error, limit=limit, repair=repair)
    return Record(parse_json(content, where=str(path), error=error, repair=repair), str(path), error, repair)


def read_toml(path: str | os.PathLike[str], *, error: type[DuettoError], limit: int = JSON_LIMIT) -> Record:
    """The table in a TOML file; errors as of `read_json`."""
    content = read_bytes(path, error=error, limit=limit)
    try:
        return Record(tomllib.loads(content.decode("utf-8-sig")), str(path), error)
    except (ValueError, RecursionError) as reason:
        text = "nested too deeply" if isinstance(reason, RecursionError) else reason
        raise error(f"{path}: not valid TOML ({text})") from reason


class Record(Mapping[str, Any]):
    """A JSON object whose fields are read by type. What is missing or mistyped is an error that names file and key.

    `record[key]` and `record.get(key)` give the raw value.
    """

    def __init__(self, value: Any, where: str, error: type[DuettoError], repair: str = "") -> None:
        self.where, self.error, self.repair = where, error, repair
        if not isinstance(value, Mapping):
            raise self.wrong(f"a JSON object is required, not {shortened(value)}")
        self._value: Mapping[str, Any] = value

    def wrong(self, problem: str) -> DuettoError:
        """The error for a problem in this record."""
        return self.error(f"{self.where}: {problem}{_then(self.repair)}")

    def __getitem__(self, key: str) -> Any:
        if key not in self._value:
            raise self.wrong(f"{key!r} is missing")
        return self._value[key]

    def __contains__(self, key: object) -> bool:  # Mapping's own asks for a KeyError
        return key in self._value

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def get(self, key: str, default: Any = None) -> Any:
        """The raw value of a key."""
        return self._value.get(key, default)

    def text(self, key: str, default: Any = _REQUIRED) -> Any:
        """A string."""
        return self._typed(key, default, isinstance(self.get(key), str), "a string")

    def boolean(self, key: str, default: Any = _REQUIRED) -> Any:
        """True or false."""
        return self._typed(key, default, isinstance(self.get(key), bool), "true or false")

    def integer(self, key: str, default: Any = _REQUIRED, *, low: int, high: int) -> Any:
        """An integer from `low` to `high`."""
        value = self.get(key)
        fine = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return self._typed(key, default, fine, f"an integer from {low} to {high}")

    def number(self, key: str, default: Any = _REQUIRED, *, low: float = -math.inf, high: float = math.inf) -> Any:
        """A finite number from `low` to `high`, as a float."""
        value = finite(self.get(key))
        fine = value is not None and low <= value <= high
        bounds = "" if (low, high) == (-math.inf, math.inf) else f" from {low:g} to {high:g}"
        found = self._typed(key, default, fine, f"a finite number{bounds}")
        return value if fine else found

    def texts(self, key: str, default: Any = _REQUIRED) -> Any:
        """A list of strings, as a tuple."""
        value = self.get(key)
        fine = isinstance(value, list) and all(isinstance(item, str) for item in value)
        found = self._typed(key, default, fine, "a list of strings")
        return tuple(found) if fine else found

    def items_of(self, key: str, default: Any = _REQUIRED) -> Any:
        """A list of any values."""
        return self._typed(key, default, isinstance(self.get(key), list), "a list")

    def record(self, key: str) -> Record:
        """An object inside this one."""
        return Record(self[key], f"{self.where}: {key!r}", self.error, self.repair)

    def array(self, key: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Nested lists of finite numbers as a float64 array, of `shape` where that is given."""
        try:
            value = np.asarray(self.items_of(key), np.float64)
        except (ValueError, TypeError, OverflowError) as reason:
            raise self.wrong(f"{key!r} must hold numbers only") from reason
        if not np.isfinite(value).all():
            raise self.wrong(f"{key!r} holds NaN or infinity")
        if shape is not None and value.shape != shape:
            raise self.wrong(f"{key!r} has shape {value.shape}; {shape} is required")
        return value

    def _typed(self, key: str, default: Any, fine: bool, kind: str) -> Any:
        if key not in self._value and default is not _REQUIRED:
            return default
        value = self[key]
        if not fine:
            raise self.wrong(f"{key!r} must be {kind}, not {shortened(value)}")
        return value


def finite(value: Any) -> float | None:
    """A number as a float; None for anything else, infinite, or too large for a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def read_arrays(
    path: str | os.PathLike[str], *, error: type[DuettoError], limit: int = ARRAYS_LIMIT, repair: str = ""
) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file. Sizes are compared with what the file holds before anything is allocated.

    Raises:
        DuettoError: (`error`) The file is missing, damaged, no such archive, holds Python objects, or unpacks to more
            than `limit` bytes.
    """
    try:
        with open_regular(path, error=error, repair=repair) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if (size := sum(member.file_size for member in members)) > limit:
                raise error(f"{path}: unpacks to {size:,} bytes; the limit is {limit:,}{_then(repair)}")
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except (OSError, *_DAMAGED) as reason:
        raise error(f"{path}: damaged, or no archive of arrays ({reason}){_then(repair)}") from reason


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array; `ZipFile.read` checks its CRC, and takes no more than the directory says."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename}: compressed in a way that NumPy does not write")
    file = io.BytesIO(archive.read(member))
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"{member.filename}: array format {version}")
    shape, fortran, dtype = read_header[version](file)
    if dtype.hasobject:
        raise ValueError(f"{member.filename}: holds Python objects")
    content = file.read()
    if math.prod(shape) * dtype.itemsize != len(content) or min(shape, default=0) < 0:
        raise ValueError(f"{member.filename}: {len(content)} bytes can't be {dtype} of shape {shape}")
    array = np.frombuffer(content, dtype) if len(content) else np.empty(math.prod(shape), dtype)
    return array.reshape(shape, order="F" if fortran else "C").copy()


def printable(text: str) -> str:
    """Text from outside, fit for a terminal: control characters (escape sequences, line breaks) and halves of
    surrogate pairs as `\\x1b` and the like."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs", "Cf")
        else character
        for character in text
    )


def shortened(value: Any, length: int = 40) -> str:
    """A value as it may stand in a message: of bounded length, without control characters."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        text = f"a {type(value).__name__}"
    return printable(text if len(text) <= length else text[: length - 1] + "…")


def _then(repair: str) -> str:
    return f"; {repair}" if repair else ""
