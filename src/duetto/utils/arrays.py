"""NumPy archives that may be damaged or come from strangers. The one way to read them.

path ─ read_arrays ─▶ {name: array}
"""

from __future__ import annotations

import io
import math
import os
import tokenize
import zipfile
import zlib

import numpy as np

from ..errors import DuettoError
from .reading import open_regular, then

ARRAYS_LIMIT = 1 << 30
"""Bytes of all arrays of one `.npz` file, unpacked."""
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
"""What zipfile and NumPy raise for damaged content; `RuntimeError` is an encrypted archive."""


def read_arrays(
    path: str | os.PathLike[str], *, error: type[DuettoError], limit: int = ARRAYS_LIMIT, repair: str = ""
) -> dict[str, np.ndarray]:
    """Read all arrays of an `.npz` file. Sizes are compared with what the file holds before anything is allocated.

    Args:
        path: The file.
        error: Class of every error.
        limit: Bytes of all arrays, unpacked.
        repair: What to do about a missing or damaged file, for the message.

    Returns:
        Name → array.

    Raises:
        DuettoError: (`error`) The file is missing, damaged, no such archive, holds Python objects, or unpacks to more
            than `limit` bytes.
    """
    try:
        with open_regular(path, error=error, repair=repair) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if (size := sum(member.file_size for member in members)) > limit:
                raise error(f"{path}: unpacks to {size:,} bytes; the limit is {limit:,}{then(repair)}")
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except (OSError, *_DAMAGED) as reason:
        raise error(f"{path}: damaged, or no archive of arrays ({reason}){then(repair)}") from reason


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array; `ZipFile.read` checks its CRC, and reads no more than the directory states."""
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
        raise ValueError(f"{member.filename}: {len(content)} bytes cannot be {dtype} of shape {shape}")
    array = np.frombuffer(content, dtype) if len(content) else np.empty(math.prod(shape), dtype)
    return array.reshape(shape, order="F" if fortran else "C").copy()
