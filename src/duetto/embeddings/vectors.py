"""Word vectors: load, save, compare.

    GloVe, fastText or word2vec file ─ load ─▶ Vectors ─ save ─▶ word2vec text

Formats: word2vec text and fastText `.vec` (a first line `count dimension`, then `word v1 … vd`), GloVe text (the same
without the first line), word2vec binary (`.bin`); each of them also compressed with gzip.
"""

from __future__ import annotations

import gzip
import logging
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
from ..utils.reading import unreadable
from .vector_files import MEMORY_LIMIT, WordList, read_binary, read_text

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Vectors:
    """Words and their vectors; `word in vectors` tests whether a word has one.

    Attributes:
        words: n distinct words.
        matrix: (n, d) float32, finite, read-only; n and d are at least 1. `matrix[i]` belongs to `words[i]`.

    Raises:
        ModelError: Words and matrix do not fit together.
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
        """d, the number of values in a vector."""
        return self.matrix.shape[1]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.index

    def row(self, word: str) -> int:
        """Look up the row of a word in `matrix`.

        Args:
            word: As written in `words`.

        Returns:
            The row.

        Raises:
            ModelError: The word has no vector.
        """
        row = self.index.get(word)
        if row is None:
            raise ModelError(f"{word!r} has no vector: it is not among the {len(self)} words (test with `in` first)")
        return row

    def lookup(self, word: str) -> NDArray[np.float32]:
        """Look up the vector of a word.

        Args:
            word: As written in `words`.

        Returns:
            (d,) float32.

        Raises:
            ModelError: The word has no vector.
        """
        return self.matrix[self.row(word)]

    def cosine(self, first: str, second: str) -> float:
        """Compute the cosine similarity of two words.

        Args:
            first: A word with a vector.
            second: A word with a vector.

        Returns:
            −1 to 1; 0 if one of them is a zero vector.

        Raises:
            ModelError: A word has no vector.
        """
        return float(np.clip(self.unit[self.row(first)] @ self.unit[self.row(second)], -1.0, 1.0))

    def nearest(self, query: str | ArrayLike, n: int = 10) -> list[tuple[str, float]]:
        """Find the words of highest cosine similarity.

        Args:
            query: A word, which is excluded from the result, or a (d,) vector.
            n: Number of words.

        Returns:
            Words and cosines, the nearest first; ties in file order.

        Raises:
            ModelError: The word has no vector, or the query vector is not valid.
        """
        excluded = self.row(query) if isinstance(query, str) else None
        vector = self.matrix[excluded] if excluded is not None else np.asarray(query, dtype=np.float32)
        if vector.shape != (self.dimension,) or not np.isfinite(vector).all():
            raise ModelError(f"a finite vector of {self.dimension} values is required, not one of shape {vector.shape}")
        cosines = np.clip(self.unit @ (vector / (np.linalg.norm(vector) or 1.0)), -1.0, 1.0)
        if excluded is not None:
            cosines[excluded] = -np.inf
        order = np.argsort(-np.round(cosines, 6), kind="stable")  # equal vectors tie, however the BLAS rounds each row
        length = max(0, min(n, len(self) - (excluded is not None)))
        return [(self.words[row], float(cosines[row])) for row in order[:length]]


def load(path: str | Path, *, strict: bool = False, limit: int = MEMORY_LIMIT) -> Vectors:
    """Load a vector file of any of the formats named above; trailing blanks in a line are tolerated.

    `.bin` and `.bin.gz` are read as word2vec binary, everything else as text, in which a first line of two integers is
    `count dimension`. A GloVe word may contain blanks (`. . .`). An entry whose word is empty, not UTF-8 or a duplicate
    is left out; a warning counts these and names the first.

    Args:
        path: The file.
        strict: Whether such an entry is an error.
        limit: Bytes of memory that words and values may take.

    Returns:
        The vectors, in file order.

    Raises:
        ModelError: A line has another length or a value that is not a finite number (the message names file and line);
            or the file is missing or empty, has fewer or more entries than announced, takes more than `limit` bytes, or
            unpacks to more than 256 MiB and more than fifty times its size.
    """
    path = Path(path)
    words = WordList(path, strict=strict)
    try:
        if not path.is_file():
            raise ModelError(f"{path}: no such vector file; give word2vec, GloVe or fastText vectors (text or .bin)")
        if path.name.removesuffix(".gz").endswith(".bin"):
            matrix = read_binary(path, words, limit)
        else:
            matrix = read_text(path, words, limit)
    except PermissionError as error:
        raise ModelError(f"{path}: {unreadable(error)}") from error
    except (EOFError, OSError, zlib.error) as error:  # a damaged gzip stream
        raise ModelError(f"{path}: cannot be read ({error}); fetch or write the file again") from error
    if not words.lines:
        raise ModelError(f"{path}: no vectors in it; expected lines of `word v1 … vd`")
    if words.skipped:
        _log.warning("%s", words.summary())
    return Vectors(tuple(words.lines), matrix)


def save(vectors: Vectors, path: str | Path) -> None:
    """Save as word2vec text, atomically; `load` returns exactly the same float32 values (nine significant digits).

    Args:
        vectors: To save.
        path: Compressed with gzip if it ends in `.gz`.

    Raises:
        ModelError: A word contains white space, which the format cannot represent; or the name ends in `.bin`, which
            would be read as binary.
    """
    path = Path(path)
    if path.name.removesuffix(".gz").endswith(".bin"):
        raise ModelError(f"{path}: vectors are written as text; choose a name ending in .vec, .txt or .vec.gz")
    bad = next((word for word in vectors.words if word.encode().split() != [word.encode()]), None)
    if bad is not None:
        raise ModelError(f"{path}: the word {bad!r} is empty or holds white space, which word2vec text cannot")
    template = "%s" + " %.9g" * vectors.dimension + "\n"
    with files.replacing(path) as temporary, _create(temporary, compress=path.suffix == ".gz") as file:
        file.write(f"{len(vectors)} {vectors.dimension}\n".encode())
        for word, row in zip(vectors.words, vectors.matrix, strict=True):
            file.write((template % (word, *row.tolist())).encode("utf-8"))


@contextmanager
def _create(temporary: Path, *, compress: bool) -> Iterator[IO[bytes]]:
    with temporary.open("wb") as file:
        if not compress:
            yield file
            return
        # No name and no time stamp in the header: equal vectors give equal files.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as compressed:
            yield cast(IO[bytes], compressed)
