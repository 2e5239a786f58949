"""Files that may be damaged or come from strangers: bounded, typed, and never a traceback.

    path ─ read_json ─▶ Record ─ .number("temperature", low=0) ─▶ float

The one way to read JSON and TOML. Whatever is wrong with a file is an error of the caller's class that names the file
and, after "; ", states what to do; no reader allocates more than its limit.
"""

from __future__ import annotations

import io
import json
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DuettoError
from .text import printable

JSON_LIMIT = 64 << 20
"""Bytes of a JSON or TOML file. run.json of 100,000 utterances in ten folds has some 30 MB."""
_REQUIRED = object()


def read_bytes(
    path: str | os.PathLike[str],
    *,
    error: type[DuettoError],
    limit: int = JSON_LIMIT,
    repair: str = "",
    pipes: bool = False,
) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Args:
        path: The file.
        error: Class of every error.
        limit: Bytes that are accepted.
        repair: What to do about a missing or damaged file, for the message.
        pipes: Accept whatever can be read, such as a shell's `<(…)`: for a file that a user named.

    Returns:
        Its content.

    Raises:
        DuettoError: (`error`) The file is missing, cannot be opened, is no regular file, or is too large.
    """
    with open_regular(path, error=error, repair=repair, pipes=pipes) as file:
        try:
            content = file.read(limit + 1)
        except OSError as reason:
            raise error(f"{path}: {unreadable(reason)}{then(repair)}") from reason
    if len(content) > limit:
        raise error(f"{path}: larger than {limit:,} bytes, which is the limit for such a file{then(repair)}")
    return content


def open_regular(
    path: str | os.PathLike[str], *, error: type[DuettoError], repair: str = "", pipes: bool = False
) -> io.BufferedReader:
    """Open a regular file, or a link to one; a pipe or a device, which may never end, is refused.

    Args:
        path: The file.
        error: Class of every error.
        repair: What to do about a missing or damaged file, for the message.
        pipes: Accept whatever can be read.

    Returns:
        The file, open for reading.

    Raises:
        DuettoError: (`error`) The file is missing, cannot be opened, or is no regular file.
    """
    path = Path(path)
    try:
        if not pipes and path.exists() and not path.is_file():
            raise error(f"{path}: is no regular file{then(repair)}")
        return path.open("rb")
    except OSError as reason:
        raise error(f"{path}: {unreadable(reason)}{then(repair)}") from reason
    except ValueError as reason:  # a null character in the name
        raise error(f"{path!r}: no file can have this name") from reason


def unreadable(reason: OSError) -> str:
    """Describe why a file cannot be opened.

    Args:
        reason: The error of the system.

    Returns:
        A phrase for a message.
    """
    if isinstance(reason, FileNotFoundError):
        return "no such file"
    if isinstance(reason, PermissionError):
        return "permission denied: this user may not read it"
    return f"cannot be read ({reason.strerror or reason})"


def parse_json(text: str | bytes, *, where: str, error: type[DuettoError], repair: str = "") -> Any:
    """Parse a JSON value.

    Args:
        text: The JSON; bytes are UTF-8.
        where: File, or file:line; opens the message of an error.
        error: Class of every error.
        repair: What to do about damage, for the message.

    Returns:
        The value.

    Raises:
        DuettoError: (`error`) Not UTF-8, not JSON, nested too deeply, or an integer with too many digits.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        return json.loads(text)
    except RecursionError as reason:
        raise error(f"{where}: not valid JSON (nested too deeply){then(repair)}") from reason
    except ValueError as reason:
        raise error(f"{where}: not valid JSON ({reason}){then(repair)}") from reason


def read_json(
    path: str | os.PathLike[str], *, error: type[DuettoError], limit: int = JSON_LIMIT, repair: str = ""
) -> Record:
    """Read a JSON file that holds an object.

    Args:
        path: The file.
        error: Class of every error.
        limit: Bytes that are accepted.
        repair: What to do about a missing or damaged file, for the message.

    Returns:
        The object.

    Raises:
        DuettoError: (`error`) As `read_bytes` and `parse_json`, or the file holds anything but an object.
    """
    content = read_bytes(path, error=error, limit=limit, repair=repair)
    return Record(parse_json(content, where=str(path), error=error, repair=repair), str(path), error, repair)


def read_toml(path: str | os.PathLike[str], *, error: type[DuettoError], limit: int = JSON_LIMIT) -> Record:
    """Read a TOML file.

    Args:
        path: The file.
        error: Class of every error.
        limit: Bytes that are accepted.

    Returns:
        Its table.

    Raises:
        DuettoError: (`error`) As `read_bytes`, or the file is not valid TOML.
    """
    content = read_bytes(path, error=error, limit=limit)
    try:
        return Record(tomllib.loads(content.decode("utf-8-sig")), str(path), error)
    except (ValueError, RecursionError) as reason:
        text = "nested too deeply" if isinstance(reason, RecursionError) else reason
        raise error(f"{path}: not valid TOML ({text})") from reason


class Record(Mapping[str, Any]):
    """A JSON object whose fields are read by type. What is missing or mistyped is an error that names file and key.

    `record[key]` and `record.get(key)` return the raw value.

    Args:
        value: The parsed JSON; anything but an object is an error.
        where: File, or file:line; opens the message of every error.
        error: Class of every error.
        repair: What to do about damage, for the message.
    """

    def __init__(self, value: Any, where: str, error: type[DuettoError], repair: str = "") -> None:
        self.where, self.error, self.repair = where, error, repair
        if not isinstance(value, Mapping):
            raise self.wrong(f"a JSON object is required, not {shortened(value)}")
        self._value: Mapping[str, Any] = value

    def wrong(self, problem: str) -> DuettoError:
        """Make the error for a problem in this record.

        Args:
            problem: What is wrong, and what is valid.

        Returns:
            The error, which names the file and states what to do.
        """
        return self.error(f"{self.where}: {problem}{then(self.repair)}")

    def __getitem__(self, key: str) -> Any:
        if key not in self._value:
            raise self.wrong(f"{key!r} is missing")
        return self._value[key]

    def __contains__(self, key: object) -> bool:  # that of Mapping expects a KeyError
        return key in self._value

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def get(self, key: str, default: Any = None) -> Any:
        """Look up a raw value.

        Args:
            key: Its name.
            default: Returned where it is missing.

        Returns:
            The value.
        """
        return self._value.get(key, default)

    def text(self, key: str, default: Any = _REQUIRED) -> Any:
        """Read a string.

        Args:
            key: Its name.
            default: Returned where it is missing; without one that is an error.

        Returns:
            The string.
        """
        return self._typed(key, default, isinstance(self.get(key), str), "a string")

    def boolean(self, key: str, default: Any = _REQUIRED) -> Any:
        """Read a truth value.

        Args:
            key: Its name.
            default: Returned where it is missing; without one that is an error.

        Returns:
            True or false.
        """
        return self._typed(key, default, isinstance(self.get(key), bool), "true or false")

    def integer(self, key: str, default: Any = _REQUIRED, *, low: int, high: int) -> Any:
        """Read an integer.

        Args:
            key: Its name.
            default: Returned where it is missing; without one that is an error.
            low: Smallest valid value.
            high: Largest valid value.

        Returns:
            The integer.
        """
        value = self.get(key)
        valid = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return self._typed(key, default, valid, f"an integer from {low} to {high}")

    def number(self, key: str, default: Any = _REQUIRED, *, low: float = -math.inf, high: float = math.inf) -> Any:
        """Read a finite number.

        Args:
            key: Its name.
            default: Returned where it is missing; without one that is an error.
            low: Smallest valid value.
            high: Largest valid value.

        Returns:
            The number as a float.
        """
        value = finite(self.get(key))
        valid = value is not None and low <= value <= high
        bounds = "" if (low, high) == (-math.inf, math.inf) else f" from {low:g} to {high:g}"
        return value if valid else self._typed(key, default, valid, f"a finite number{bounds}")

    def texts(self, key: str, default: Any = _REQUIRED) -> Any:
        """Read a list of strings.

        Args:
            key: Its name.
            default: Returned where it is missing; without one that is an error.

        Returns:
            The strings as a tuple.
        """
        value = self.get(key)
        valid = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return tuple(value) if valid else self._typed(key, default, valid, "a list of strings")

    def items_of(self, key: str, default: Any = _REQUIRED) -> Any:
        """Read a list of any values.

        Args:
            key: Its name.
            default: Returned where it is missing; without one that is an error.

        Returns:
            The list.
        """
        return self._typed(key, default, isinstance(self.get(key), list), "a list")

    def record(self, key: str) -> Record:
        """Read an object inside this one.

        Args:
            key: Its name.

        Returns:
            The object; its errors name the key as well.
        """
        return Record(self[key], f"{self.where}: {key!r}", self.error, self.repair)

    def array(self, key: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Read nested lists of finite numbers as a float64 array.

        Args:
            key: Its name.
            shape: The only valid shape; None for any.

        Returns:
            The array.
        """
        try:
            value = np.asarray(self.items_of(key), np.float64)
        except (ValueError, TypeError, OverflowError) as reason:
            raise self.wrong(f"{key!r} must hold numbers only") from reason
        if not np.isfinite(value).all():
            raise self.wrong(f"{key!r} holds NaN or infinity")
        if shape is not None and value.shape != shape:
            raise self.wrong(f"{key!r} has shape {value.shape}; {shape} is required")
        return value

    def _typed(self, key: str, default: Any, valid: bool, kind: str) -> Any:
        if key not in self._value and default is not _REQUIRED:
            return default
        value = self[key]
        if not valid:
            raise self.wrong(f"{key!r} must be {kind}, not {shortened(value)}")
        return value


def finite(value: Any) -> float | None:
    """Convert a JSON number to a float.

    Args:
        value: Any JSON value.

    Returns:
        The float; None for what is no number, not finite, or too large.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def shortened(value: Any, length: int = 40) -> str:
    """Show a value in a message: bounded in length, without control characters.

    Args:
        value: Any value.
        length: Most characters of its `repr`.

    Returns:
        The text.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        text = f"a {type(value).__name__}"
    return printable(text if len(text) <= length else text[: length - 1] + "…")


def then(repair: str) -> str:
    """End a message with what to do.

    Args:
        repair: What to do; may be empty.

    Returns:
        The end of the message.
    """
    return f"; {repair}" if repair else ""
