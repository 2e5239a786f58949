"""Word vectors: read, write, compare.

    GloVe, fastText or word2vec file ─ load ─▶ Vectors ─ save ─▶ word2vec text

Formats: word2vec text and fastText `.vec` (a first line `count dimension`, then `word v1 … vd`), GloVe text (the
same without the first line), word2vec binary (`.bin`); each of them also compressed with gzip.
"""

from __future__ import annotations

import gzip
import logging
import mmap
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ModelError
from ..utils import files
from ..utils.reading import shortened, unreadable

_log = logging.getLogger(__name__)

LIMIT = 8 << 30
"""Bytes of memory that a file of vectors may take; 3 million words of 300 values take half of it."""
_WORD = 150  # bytes that a word takes beside its vector
_LINE = 1 << 20
_UNPACKED, _RATIO = 256 << 20, 50  # what a compressed file may unpack to: this many bytes, or this often its size
_FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")  # first bytes of fastText's own binary model format


@dataclass(frozen=True, eq=False)
class Vectors:
    """Words and their vectors; `matrix[i]` belongs to `words[i]`.

    matrix: (n, d) float32, finite, read-only; n and d at least 1. words: n distinct words.
    """

    words: tuple[str, ...]
    matrix: NDArray[np.float32]

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float32).view()
        object.__setattr__(self, "words", tuple(self.words))
        if matrix.ndim != 2 or not matrix.size or len(matrix) != len(self.words):
            raise ModelError(f"{len(self.words)} words need a matrix of as many rows, not one of shape {matrix.shape}")
        if not np.isfinite(matrix).all():
            row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
            raise ModelError(f"the vector of {self.words[row]!r} holds NaN or an infinite value")
        if len(self.index) != len(self.words):
            raise ModelError(f"the word {Counter(self.words).most_common(1)[0][0]!r} has more than one vector")
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)

    @cached_property
    def index(self) -> dict[str, int]:
        """Word → row of `matrix`."""
        return {word: row for row, word in enumerate(self.words)}

    @cached_property
    def unit(self) -> NDArray[np.float32]:
        """(n, d) float32: each row scaled to length 1; a zero vector stays zero."""
        norms = np.linalg.norm(self.matrix, axis=1, keepdims=True)
        return (self.matrix / np.where(norms > 0, norms, 1)).astype(np.float32, copy=False)

    @property
    def dimension(self) -> int:
        """d: values in one vector."""
        return self.matrix.shape[1]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def row(self, word: str) -> int:
        """Row of a word in `matrix`; `ModelError` where it has none."""
        row = self.index.get(word)
        if row is None:
            raise ModelError(f"{word!r} has no vector: it is not among the {len(self)} words (test with `in` first)")
        return row

    def lookup(self, word: str) -> NDArray[np.float32]:
        """(d,) float32 vector of a word; `ModelError` where it has none."""
        return self.matrix[self.row(word)]

    def cosine(self, first: str, second: str) -> float:
        """Cosine of the angle between two words' vectors, −1 to 1; 0 where one of them is a zero vector."""
        return float(np.clip(self.unit[self.row(first)] @ self.unit[self.row(second)], -1.0, 1.0))

    def nearest(self, query: str | ArrayLike, n: int = 10) -> list[tuple[str, float]]:
        """The `n` words of highest cosine, and that cosine, the nearest first, equals in file order.

        query: a word, which is itself left out of the answer, or a (d,) vector.
        """
        left_out = self.row(query) if isinstance(query, str) else None
        vector = self.matrix[left_out] if left_out is not None else np.asarray(query, dtype=np.float32)
        if vector.shape != (self.dimension,) or not np.isfinite(vector).all():
            raise ModelError(f"a finite vector of {self.dimension} values is required, not one of shape {vector.shape}")
        cosines = np.clip(self.unit @ (vector / (np.linalg.norm(vector) or 1.0)), -1.0, 1.0)
        if left_out is not None:
            cosines[left_out] = -np.inf
        order = np.argsort(-np.round(cosines, 6), kind="stable")  # equal vectors, whatever the BLAS made of each row
        wanted = max(0, min(n, len(self) - (left_out is not None)))
        return [(self.words[row], float(cosines[row])) for row in order[:wanted]]


def load(path: str | Path, *, strict: bool = False, limit: int = LIMIT) -> Vectors:
    """Read a vector file of any of the formats named above; blanks at the end of a line are tolerated.

    `.bin` and `.bin.gz` are read as word2vec binary, everything else as text, in which a first line of two whole
    numbers is `count dimension`. A GloVe word may hold blanks (`. . .`). An entry whose word is empty, no UTF-8 or
    there already is left out; a warning counts these and names the first.

    Args:
        path: The file.
        strict: Whether such an entry is an error.
        limit: Bytes of memory that words and values may take.

    Raises:
        ModelError: Names file and line of a line of another length or a value that is no finite number, and the file
            that holds fewer or more lines than announced or nothing, or takes more than `limit` bytes, or is
            compressed as no vectors are: to more than 256 MiB, and more than fifty times the size of the file.
    """
    path = Path(path)
    words = _Words(path, strict)
    try:
        if not path.is_file():
            raise ModelError(f"{path}: no such vector file; give word2vec, GloVe or fastText vectors (text or .bin)")
        if path.name.removesuffix(".gz").endswith(".bin"):
            matrix = _read_binary(path, words, limit)
        else:
            matrix = _read_text(path, words, limit)
    except PermissionError as error:
        raise ModelError(f"{path}: {unreadable(error)}") from error
    except (EOFError, OSError, zlib.error) as error:  # a damaged gzip stream
        raise ModelError(f"{path}: cannot be read ({error}); fetch or write the file again") from error
    if not words.places:
        raise ModelError(f"{path}: no vectors in it; expected lines of `word v1 … vd`")
    if words.skipped:
        _log.warning("%s", words.summary())
    return Vectors(tuple(words.places), matrix)


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if _is_gzip(path) else path.open("rb")


def _allowed(path: Path) -> int:
    """Bytes that a file may unpack to, where it is compressed."""
    return max(_UNPACKED, _RATIO * path.stat().st_size) if _is_gzip(path) else sys.maxsize


def _bomb(path: Path, allowed: int) -> ModelError:
    return ModelError(f"{path}: unpacks to more than {allowed:,} bytes, which no vectors do; fetch the file again")


def _check_memory(path: Path, count: int, dimension: int, limit: int) -> None:
    if count * (4 * dimension + _WORD) > limit:
        raise ModelError(
            f"{path}: {count:,} words of {dimension:,} values take more than {limit:,} bytes of memory, which is the "
            "limit; keep the most frequent words only"
        )


class _Words:
    """The words read so far, and those left out because they are bad."""

    def __init__(self, path: Path, strict: bool) -> None:
        self.path, self.strict = path, strict
        self.unit = "line"
        self.places: dict[str, int] = {}
        self.skipped: Counter[str] = Counter()
        self.examples: list[str] = []

    def where(self, number: int) -> str:
        return f"{self.path}:{number}" if self.unit == "line" else f"{self.path}, {self.unit} {number}"

    def add(self, raw: bytes, number: int) -> bool:
        """Whether the word may be used."""
        try:
            word = raw.decode("utf-8")
        except UnicodeDecodeError:
            return self._leave(number, "not UTF-8", f"the word {raw[:40]!r} is not UTF-8")
        if not word:
            return self._leave(number, "empty", "the word is empty")
        if word in self.places:
            place = f"{self.unit} {self.places[word]}"
            return self._leave(number, "doubled", f"the word {shortened(word)} stands on {place} already")
        self.places[word] = number
        return True

    def _leave(self, number: int, kind: str, problem: str) -> bool:
        if self.strict:
            raise ModelError(f"{self.where(number)}: {problem}; correct the file, or read it without strict")
        self.skipped[kind] += 1
        if len(self.examples) < 3:
            self.examples.append(f"{self.unit} {number}: {problem}")
        return False

    def summary(self) -> str:
        """The words left out, in one sentence."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.skipped.items())
        return f"{self.path}: {self.skipped.total()} words are left out ({kinds}): {'; '.join(self.examples)}"


def _read_text(path: Path, words: _Words, limit: int) -> NDArray[np.float32]:
    values = bytearray()
    count = dimension = None
    # numpy announces a string with something else than numbers in it by a DeprecationWarning or, later, an error.
    with _opened(path) as file, warnings.catch_warnings():
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
                _check_memory(path, len(words.places), dimension, limit)
    found = len(words.places) + words.skipped.total()
    if count is not None and found and count != found:
        raise ModelError(f"{path}:1: {count} vectors announced, {found} found: the file is not whole")
    return np.frombuffer(values, dtype=np.float32).reshape(-1, dimension or 1)


def _lines(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """Lines of a text file, none longer than `_LINE`."""
    allowed, read, number = _allowed(path), 0, 0
    while line := file.readline(_LINE):
        read, number = read + len(line), number + 1
        if len(line) == _LINE:
            raise ModelError(f"{path}:{number}: a line of more than {_LINE:,} bytes; no vector is that long")
        if read > allowed:
            raise _bomb(path, allowed)
        yield line


def _header(line: bytes) -> tuple[int, int] | tuple[None, None]:
    fields = line.split()
    if len(fields) == 2 and all(field.isdigit() and len(field) < 19 for field in fields) and int(fields[1]) > 0:
        return int(fields[0]), int(fields[1])
    return None, None


def _first_dimension(line: bytes, where: str) -> int:
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
    return b"_" not in field  # Python reads 1_000, no vector file means it


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
    """A line with tabs, doubled blanks or blanks in its word; or the error that says what is wrong with it."""
    fields = line.split()
    word, values = fields[: max(1, len(fields) - dimension)], fields[max(1, len(fields) - dimension) :]
    if len(values) < dimension or any(map(_is_number, word[1:])):
        raise ModelError(f"{where}: {len(fields) - 1} values after the word, {dimension} are required")
    for field in values:
        with np.errstate(over="ignore"):
            if not _is_number(field) or not np.isfinite(np.float32(float(field))):
                raise ModelError(f"{where}: {field.decode('utf-8', 'replace')[:40]!r} is no finite number")
    return b" ".join(word), np.array([float(field) for field in values], dtype=np.float32)


def _read_binary(path: Path, words: _Words, limit: int) -> NDArray[np.float32]:
    words.unit = "entry"
    with _mapped(path) as data:
        if data[:4] == _FASTTEXT_MAGIC:
            raise ModelError(f"{path}: a fastText model, not word2vec binary vectors; give its .vec file")
        end = data.find(b"\n", 0, 64)
        count, dimension = _header(data[: max(end, 0)])
        if count is None or dimension is None or not count:
            raise ModelError(f"{path}: no line `count dimension` at its beginning; is it a word2vec binary file?")
        width = 4 * dimension
        if (len(data) - end - 1) < count * (width + 1):
            raise ModelError(f"{path}: {count} × {dimension} values announced, the file is too short: it is not whole")
        _check_memory(path, count, dimension, limit)
        matrix, position = np.empty((count, dimension), np.float32), end + 1
        for entry in range(count):
            blank = data.find(b" ", position)
            if blank < 0 or blank + 1 + width > len(data):
                raise ModelError(f"{words.where(entry + 1)}: the file ends within it; {count} entries are announced")
            row = np.frombuffer(data[blank + 1 : blank + 1 + width], dtype="<f4")
            if not np.isfinite(row).all():
                raise ModelError(f"{words.where(entry + 1)}: NaN or an infinite value in the vector")
            if words.add(data[position:blank].lstrip(b"\n"), entry + 1):
                matrix[len(words.places) - 1] = row
            position = blank + 1 + width
        if rest := data[position:].strip(b"\n"):
            raise ModelError(f"{path}: {len(rest)} bytes follow the {count} announced entries")
    return matrix[: len(words.places)]


@contextmanager
def _mapped(path: Path) -> Iterator[bytes | mmap.mmap]:
    if _is_gzip(path):
        allowed = _allowed(path)
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


def save(vectors: Vectors, path: str | Path) -> None:
    """Write word2vec text atomically (gzip where the name ends in `.gz`); `load` returns exactly the same float32.

    Nine significant digits tell any two float32 numbers apart. A word with white space, which the format cannot
    hold, and a name ending in `.bin`, which would be read as binary, are a `ModelError`.
    """
    path = Path(path)
    if path.name.removesuffix(".gz").endswith(".bin"):
        raise ModelError(f"{path}: vectors are written as text; choose a name ending in .vec, .txt or .vec.gz")
    bad = next((word for word in vectors.words if word.encode().split() != [word.encode()]), None)
    if bad is not None:
        raise ModelError(f"{path}: the word {bad!r} is empty or holds white space, which word2vec text cannot")
    template = "%s" + " %.9g" * vectors.dimension + "\n"
    with files.replacing(path) as temporary, _created(temporary, compress=path.suffix == ".gz") as file:
        file.write(f"{len(vectors)} {vectors.dimension}\n".encode())
        for word, row in zip(vectors.words, vectors.matrix, strict=True):
            file.write((template % (word, *row.tolist())).encode("utf-8"))


@contextmanager
def _created(temporary: Path, *, compress: bool) -> Iterator[IO[bytes]]:
    with temporary.open("wb") as file:
        if not compress:
            yield file
            return
        # No name and no time in the header: equal vectors give equal files.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as compressed:
            yield cast(IO[bytes], compressed)
