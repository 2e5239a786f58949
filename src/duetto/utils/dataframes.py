"""Data frames of pandas: the only importer of it.

segmented(files, starts, ends) ─▶ the index of audformat (file, start, end)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError

if TYPE_CHECKING:
    from pandas import DataFrame, Index, Series

__all__ = ["DataFrame", "Index", "Series", "pandas", "segmented"]


def pandas() -> Any:
    """Import pandas.

    Returns:
        The module.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("A data frame", "data") from error
    return pandas


def segmented(files: Iterable[str], starts: Iterable[float | None], ends: Iterable[float | None]) -> Index:
    """Make the index of a segmented table of audformat.

    Args:
        files: Name of the recording of each segment.
        starts: Seconds; None for the beginning of the recording.
        ends: Seconds; None for its end.

    Returns:
        Levels `file` (string), `start` and `end` (timedelta64[ns]), NaT where a segment ends with its recording.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    pd = pandas()
    times = [pd.to_timedelta(list(values), unit="s") for values in ((start or 0.0 for start in starts), ends)]
    levels = [pd.Index(list(files), dtype="string"), *(each.astype("timedelta64[ns]") for each in times)]
    return pd.MultiIndex.from_arrays(levels, names=["file", "start", "end"])
