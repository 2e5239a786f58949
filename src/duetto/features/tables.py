"""Features of a corpus as a table in one file: .csv, .parquet or .npz.

    FeatureStore ─ write ─▶ a row for each utterance, or for each frame

Features of whole recordings (functionals, means of an encoder) have one row an utterance; others have one a frame, or
one an utterance with the mean and deviation of each column over time. One utterance is in memory at a time.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ..data.utterance import Utterance
from ..errors import ConfigurationError, MissingExtraError
from ..utils.files import replacing
from .extractor import pooled, pooled_names
from .registry import FeatureSpec
from .store import FeatureStore

_KNOWN = ("label", "speaker")
"""Fields of utterances that are columns where any utterance has them."""
_GROUP = 1 << 20
"""Values of a row group of Parquet, about."""


@dataclass(frozen=True)
class FeatureTable:
    """Features of utterances, by rows.

    Attributes:
        store: Holds the features.
        utterances: Those of the table, at least one, in their order; all are in the store.
        spec: Of the features.
        statistics: Whether the row of an utterance holds means, then population deviations, over its frames.
    """

    store: FeatureStore
    utterances: Sequence[Utterance]
    spec: FeatureSpec
    statistics: bool = False

    @property
    def by_frame(self) -> bool:
        """Whether a row is a frame."""
        return not (self.statistics or self.spec.whole_recording)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return pooled_names(self.spec.columns) if self.statistics else self.spec.columns

    @property
    def known(self) -> tuple[str, ...]:
        """Fields of the utterances that are columns: `id`, and `label` and `speaker` where there are any."""
        return ("id", *(name for name in _KNOWN if any(getattr(u, name) is not None for u in self.utterances)))

    @property
    def leading(self) -> tuple[str, ...]:
        """Columns before the features: `known`; of frames also their number, and their start in seconds if known."""
        of_frames = ("frame", "start") if self.spec.continuous else ("frame",)
        return (*self.known, *(of_frames if self.by_frame else ()))

    def rows(self, utterance: Utterance) -> int:
        """Count the rows of an utterance.

        Args:
            utterance: One of the table.

        Returns:
            Their number.
        """
        return self.store.frames(utterance.id) if self.by_frame else 1

    def parts(self) -> Iterator[tuple[list[Any], np.ndarray]]:
        """Read one utterance after another.

        Yields:
            The leading columns, each (rows,), and the values (rows, len(names)) float32.
        """
        for utterance in self.utterances:
            values = self.store[utterance.id]
            if self.statistics:
                values = pooled(values)[None]
            number = np.arange(len(values))
            columns = {name: [getattr(utterance, name)] * len(values) for name in self.known}
            columns |= {"frame": number.tolist(), "start": (number * (self.spec.step_seconds or 0)).round(6).tolist()}
            yield [columns[name] for name in self.leading], values


def check_format(path: Path) -> None:
    """Check that a table can be written, before hours of work.

    Args:
        path: The file.

    Raises:
        ConfigurationError: Its suffix is that of no format.
        MissingExtraError: PyArrow, which writes Parquet, is not installed (extra `data`).
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigurationError(f"{path}: give a name that ends with {', '.join(FORMATS)}")
    if path.suffix.lower() == ".parquet":
        _pyarrow()


def write(path: Path, table: FeatureTable) -> None:
    """Write a table, whole or not at all.

    Args:
        path: The suffix chooses the format, one of `FORMATS`.
        table: The features.

    Raises:
        ConfigurationError: Another suffix.
        MissingExtraError: As `check_format`.
    """
    check_format(path)
    with replacing(path) as temporary:
        FORMATS[path.suffix.lower()](temporary, table)


def _write_csv(temporary: Path, table: FeatureTable) -> None:
    """Numbers with as many digits as float32 needs; what is not known is empty."""
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*table.leading, *table.names])
        for leading, values in table.parts():
            writer.writerows(chain(first, map(str, row)) for *first, row in zip(*leading, values, strict=True))


def _write_parquet(temporary: Path, table: FeatureTable) -> None:
    """Row groups of about a million values; features are float32."""
    pa, pq = _pyarrow()
    types = {"frame": pa.int32(), "start": pa.float64()}
    leading = [(name, types.get(name, pa.string())) for name in table.leading]
    schema = pa.schema([*leading, *((name, pa.float32()) for name in table.names)])
    group: list[Any] = []
    with pq.ParquetWriter(temporary, schema) as writer:
        for first, values in table.parts():
            group.append(pa.table([*first, *np.ascontiguousarray(values.T)], schema=schema))
            if sum(each.num_rows for each in group) * len(schema) >= _GROUP:
                writer.write_table(pa.concat_tables(group))
                group.clear()
        if group:
            writer.write_table(pa.concat_tables(group))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("Writing Parquet", "data") from error
    return pyarrow, pyarrow.parquet


def _write_npz(temporary: Path, table: FeatureTable) -> None:
    """`features` (rows, names) float32, `names`, and for each utterance `id`, `label`, `speaker` and its `rows`."""
    arrays: dict[str, np.ndarray] = {
        "names": np.array(table.names),
        **{name: np.array([getattr(u, name) or "" for u in table.utterances]) for name in table.known},
        "rows": np.array([table.rows(u) for u in table.utterances], np.int64),
    }
    shape = (int(arrays["rows"].sum()), len(table.names))
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
        with archive.open("features.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for _, values in table.parts():
                file.write(np.ascontiguousarray(values, "<f4").tobytes())


FORMATS: dict[str, Callable[[Path, FeatureTable], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".npz": _write_npz,
}
"""Suffix → writer of the format."""
