"""Parse vector files: word2vec, fastText and GloVe text, word2vec binary. Untrusted input: sizes are checked first.

path ─ read_text, read_binary ─▶ words (in a WordList), (n, d) float32
"""

from __future__ import annotations

import gzip
import mmap
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..utils.reading import shortened

MEMORY_LIMIT = 8 << 30
"""Bytes of memory that a vector file may take by default: twice as much as 3 million words of 300 values."""

_WORD = 150  # bytes that a word takes besides its vector
_LINE = 1 << 20
_UNPACKED, _RATIO = 256 << 20, 50  # what a compressed file may unpack to: this many bytes, or this often its size
_FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")  # first bytes of fastText's own binary model format


class WordList:
    """The words read so far. Invalid ones are left out and counted in `skipped`, or are errors.

    `lines` maps each word to the line (or binary entry) it was read from.

    Args:
        path: Of the file, for messages.
        strict: Whether an invalid word is an error.
        unit: What entries of the file are called.
    """

    def __init__(self, path: Path, *, strict: bool, unit: str = "line") -> None:
        self.path, self.strict, self.unit = path, strict, unit
        self.lines: dict[str, int] = {}
        self.skipped: Counter[str] = Counter()
        self._examples: list[str] = []

    def where(self, number: int) -> str:
        """Name an entry of the file for a message.

        Args:
            number: Of the line or entry, from 1.

        Returns:
            `file:line`, or `file, entry number`.
        """
        return f"{self.path}:{number}" if self.unit == "line" else f"{self.path}, {self.unit} {number}"

    def add(self, raw: bytes, number: int) -> bool:
        """Add a word.

        Args:
            raw: The word as in the file.
            number: Of its line or entry, from 1.

        Returns:
            Whether it is valid: UTF-8, not empty, and new.

        Raises:
            ModelError: It is not valid, and the list is strict.
        """
        try:
            word = raw.decode("utf-8")
        except UnicodeDecodeError:
            return self._skip(number, "not UTF-8", f"the word {raw[:40]!r} is not UTF-8")
        if not word:
            return self._skip(number, "empty", "the word is empty")
        if word in self.lines:
            first = f"{self.unit} {self.lines[word]}"
            return self._skip(number, "doubled", f"the word {shortened(word)} stands on {first} already")
        self.lines[word] = number
        return True

    def _skip(self, number: int, kind: str, problem: str) -> bool:
        if self.strict:
            raise ModelError(f"{self.where(number)}: {problem}; correct the file, or read it without strict")
        self.skipped[kind] += 1
        if len(self._examples) < 3:
            self._examples.append(f"{self.unit} {number}: {problem}")
        return False

    def summary(self) -> str:
        """Summarise the words that were left out.

        Returns:
            One sentence with counts and the first examples.
        """
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.skipped.items())
        return f"{self.path}: {self.skipped.total()} words are left out ({kinds}): {'; '.join(self._examples)}"


def read_text(path: Path, words: WordList, limit: int) -> NDArray[np.float32]:
    """Read word2vec, fastText or GloVe text.

    Args:
        path: The file; may be compressed with gzip.
        words: Receives the words.
        limit: Bytes of memory that words and values may take.

    Returns:
        (n, d) float32, a row for each word of `words`.

    Raises:
        ModelError: The file is not valid; see `vectors.load`.
    """
    values = bytearray()
    count = dimension = None
    # numpy reports a string that contains anything but numbers by a DeprecationWarning or, in later versions, an error.
    with _open(path) as file, warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        for number, line in enumerate(_lines(file, path), 1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
                count, dimension = _header(line)
                if count is not None:
                    continue
            if not (line := line.rstrip(b" \t\r\n")):
                continue
            if dimension is None:
                dimension = _first_dimension(line, words.where(number))
            word, row = _parse_line(line, dimension, words.where(number))
            if words.add(word, number):
                values += row.tobytes()
                _check_memory(path, len(words.lines), dimension, limit)
    found = len(words.lines) + words.skipped.total()
    if count is not None and found and count != found:
        raise ModelError(f"{path}:1: {count} vectors announced, {found} found: the file is not whole")
    return np.frombuffer(values, dtype=np.float32).reshape(-1, dimension or 1)


def read_binary(path: Path, words: WordList, limit: int) -> NDArray[np.float32]:
    """Read word2vec binary.

    Args:
        path: The file; may be compressed with gzip.
        words: Receives the words.
        limit: Bytes of memory that words and values may take.

    Returns:
        (n, d) float32, a row for each word of `words`.

    Raises:
        ModelError: The file is not valid; see `vectors.load`.
    """
    words.unit = "entry"
    with _map(path) as data:
        count, dimension, position = _binary_header(path, data)
        _check_memory(path, count, dimension, limit)
        matrix, width = np.empty((count, dimension), np.float32), 4 * dimension
        for entry in range(1, count + 1):
            blank = data.find(b" ", position)
            if blank < 0 or blank + 1 + width > len(data):
                raise ModelError(f"{words.where(entry)}: the file ends within it; {count} entries are announced")
            row = np.frombuffer(data[blank + 1 : blank + 1 + width], dtype="<f4")
            if not np.isfinite(row).all():
                raise ModelError(f"{words.where(entry)}: NaN or an infinite value in the vector")
            if words.add(data[position:blank].lstrip(b"\n"), entry):
                matrix[len(words.lines) - 1] = row
            position = blank + 1 + width
        if rest := data[position:].strip(b"\n"):
            raise ModelError(f"{path}: {len(rest)} bytes follow the {count} announced entries")
    return matrix[: len(words.lines)]


def _binary_header(path: Path, data: bytes | mmap.mmap) -> tuple[int, int, int]:
    """Number and dimension of the vectors, and where the first entry begins."""
    if data[:4] == _FASTTEXT_MAGIC:
        raise ModelError(f"{path}: a fastText model, not word2vec binary vectors; give its .vec file")
    end = data.find(b"\n", 0, 64)
    count, dimension = _header(data[: max(end, 0)])
    if count is None or dimension is None or not count:
        raise ModelError(f"{path}: no line `count dimension` at its beginning; is it a word2vec binary file?")
    if (len(data) - end - 1) < count * (4 * dimension + 1):
        raise ModelError(f"{path}: {count} × {dimension} values announced, the file is too short: it is not whole")
    return count, dimension, end + 1


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if _is_gzip(path) else path.open("rb")


@contextmanager
def _map(path: Path) -> Iterator[bytes | mmap.mmap]:
    """The content of a file, memory-mapped unless it is compressed."""
    if _is_gzip(path):
        allowed = _max_unpacked(path)
        with gzip.open(path, "rb") as file:
            data = file.read(allowed + 1)
        if len(data) > allowed:
            raise _bomb(path, allowed)
        yield data
    elif not path.stat().st_size:
        yield b""  # an empty file cannot be mapped
    else:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def _max_unpacked(path: Path) -> int:
    """Bytes that a file may unpack to, if it is compressed."""
    return max(_UNPACKED, _RATIO * path.stat().st_size) if _is_gzip(path) else sys.maxsize


def _bomb(path: Path, allowed: int) -> ModelError:
    return ModelError(f"{path}: unpacks to more than {allowed:,} bytes, which no vectors do; fetch the file again")


def _check_memory(path: Path, count: int, dimension: int, limit: int) -> None:
    if count * (4 * dimension + _WORD) > limit:
        raise ModelError(
            f"{path}: {count:,} words of {dimension:,} values take more than {limit:,} bytes of memory, which is the "
            "limit; keep the most frequent words only"
        )


def _lines(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """Lines of a text file, none longer than `_LINE`."""
    allowed, read, number = _max_unpacked(path), 0, 0
    while line := file.readline(_LINE):
        read, number = read + len(line), number + 1
        if len(line) == _LINE:
            raise ModelError(f"{path}:{number}: a line of more than {_LINE:,} bytes; no vector is that long")
        if read > allowed:
            raise _bomb(path, allowed)
        yield line


def _header(line: bytes) -> tuple[int, int] | tuple[None, None]:
    """Count and dimension."""
    fields = line.split()
    if len(fields) == 2 and all(field.isdigit() and len(field) < 19 for field in fields) and int(fields[1]) > 0:
        return int(fields[0]), int(fields[1])
    return None, None


def _first_dimension(line: bytes, where: str) -> int:
    """Number of values in the first line of a file without header."""
    dimension = 0
    for field in reversed(line.split()[0 if line[:1].isspace() else 1 :]):  # after a blank, the word may be empty
        if not _is_number(field):
            break
        dimension += 1
    if not dimension:
        raise ModelError(f"{where}: no vector after the word {line[:40]!r}; expected `word v1 … vd`")
    return dimension


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return b"_" not in field  # Python accepts 1_000; in a vector file it is a word


def _parse_line(line: bytes, dimension: int, where: str) -> tuple[bytes, NDArray[np.float32]]:
    word, _, rest = line.partition(b" ")
    if rest.count(b" ") == dimension - 1:
        try:
            row = np.fromstring(rest, dtype=np.float32, sep=" ")
        except (DeprecationWarning, ValueError):
            row = None
        if row is not None and len(row) == dimension and np.isfinite(row).all():
            return word, row
    return _parse_unusual_line(line, dimension, where)


def _parse_unusual_line(line: bytes, dimension: int, where: str) -> tuple[bytes, NDArray[np.float32]]:
    """Parse a line with tabs, doubled blanks or blanks in its word, or raise an error that states what is wrong."""
    fields = line.split()
    word, values = fields[: max(1, len(fields) - dimension)], fields[max(1, len(fields) - dimension) :]
    if len(values) < dimension or any(map(_is_number, word[1:])):
        raise ModelError(f"{where}: {len(fields) - 1} values after the word, {dimension} are required")
    for field in values:
        with np.errstate(over="ignore"):
            if not _is_number(field) or not np.isfinite(np.float32(float(field))):
                raise ModelError(f"{where}: {field.decode('utf-8', 'replace')[:40]!r} is no finite number")
    return b" ".join(word), np.array([float(field) for field in values], dtype=np.float32)
