"""Rows in Parquet files: the same rows are the same bytes.

The options of the writer are fixed, no time and no name of a machine is stored, and row groups end after a number of
rows or bytes. Equal bytes take equal versions of pyarrow, which writes its own into the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..errors import StorageError
from . import storage
from .tasks import Columns

if TYPE_CHECKING:
    import pyarrow as pa  # imported where it is used, so that `duetto --help` needs no extra

_OPTIONS: dict[str, Any] = {
    "version": "2.6",
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": True,
    "write_statistics": True,
    "data_page_version": "1.0",
    "data_page_size": 1 << 20,
}
_GROUP_ROWS, _GROUP_BYTES = 256, 32 << 20
"""A row group ends after so many rows, or bytes of arrays in them: memory does not grow with the shard."""


@dataclass(frozen=True)
class Row:
    """A row of an output.

    Attributes:
        values: Column → JSON value or array; other columns are empty.
        retryable: Whether its error may pass, so that the shard is processed again by the next run.
    """

    values: dict[str, Any]
    retryable: bool = False


@dataclass(frozen=True)
class Counts:
    """What the footer of an output states.

    Attributes:
        key: What the output depends on (`source.identity`).
        rows: Its rows.
        failed: Those with an error.
        retryable: Those whose error may pass.
        seconds: Of sound in the others, where the task measures it.
    """

    key: str
    rows: int
    failed: int
    retryable: int
    seconds: float


def _type(spec: Any) -> pa.DataType:
    import pyarrow as pa

    if isinstance(spec, Mapping):
        return pa.struct([(name, _type(each)) for name, each in spec.items()])
    return pa.list_(_type(spec[0])) if isinstance(spec, list) else pa.type_for_alias(spec)


def write(path: Path, rows: Iterable[Row], columns: Columns, key: str) -> Counts:
    """Write the rows of a shard.

    Args:
        path: The file.
        rows: Taken as they are needed.
        columns: In their order.
        key: See `Counts`.

    Returns:
        What is in the file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(name, _type(spec)) for name, spec in columns.items()])
    number = failed = retryable = 0
    seconds = 0.0
    with parquet.ParquetWriter(path, schema, **_OPTIONS) as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist([row.values for row in group], schema=schema))
            number += len(group)
            failed += sum(row.values.get("error") is not None for row in group)
            retryable += sum(row.retryable for row in group)
            seconds += sum(row.values.get("duration") or 0.0 for row in group)
        counts = Counts(key, number, failed, retryable, round(seconds, 3))
        writer.add_key_value_metadata({f"duetto.{name}": str(value) for name, value in asdict(counts).items()})
    return counts


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(value.nbytes for value in row.values.values() if isinstance(value, np.ndarray))
        if len(group) == _GROUP_ROWS or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def counts(url: str) -> Counts | None:
    """Read the footer of an output.

    Args:
        url: Path or URL.

    Returns:
        Its counts; None for a file that is missing, damaged, or not of a job.

    Raises:
        StorageError: The store failed again and again.
    """
    import pyarrow as pa

    try:
        found = storage.read_by(url, _footer)
        rows, failed, retryable = (int(found[name]) for name in ("rows", "failed", "retryable"))
        return Counts(found["key"], rows, failed, retryable, float(found["seconds"]))
    except StorageError:
        raise
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return None


def arrays_of(file: IO[bytes], columns: Sequence[str], rows: int) -> tuple[np.dtype[Any], Iterator[Any]]:
    """Read an output with a column of arrays, a part at a time.

    Args:
        file: The output.
        columns: What to read; the last one holds arrays.
        rows: Of a part.

    Returns:
        Type of the arrays' values, and the parts: record batches of pyarrow.
    """
    from pyarrow import parquet

    source = parquet.ParquetFile(file)
    values = source.schema_arrow.field(columns[-1]).type.value_type
    return np.dtype(values.to_pandas_dtype()), source.iter_batches(rows, columns=list(columns))


def _footer(file: IO[bytes]) -> dict[str, str]:
    from pyarrow import parquet

    found = parquet.read_metadata(file).metadata or {}
    return {k.decode().removeprefix("duetto."): v.decode() for k, v in found.items() if k.startswith(b"duetto.")}
