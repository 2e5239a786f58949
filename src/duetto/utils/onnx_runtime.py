"""ONNX Runtime: the only module that imports it.

bytes of an ONNX file ─ load ──────▶ function from inputs to the output
                      ─ load_many ─▶ function from inputs to several outputs

Whoever loads a file that may come from anybody checks its content first (`graph_check`), and passes the very bytes that
were checked.

Official builds of ONNX Runtime report their use to Microsoft, on Linux and macOS, too (1.31; Privacy.md in its
wheel). That is turned off before it is imported, unless the environment has `ORT_DISABLE_TELEMETRY` already.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..errors import ModelError
from .text import printable

Run = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""Computes the output of a graph from its inputs, by name; a failure is a ModelError."""

RunMany = Callable[[Mapping[str, np.ndarray]], list[np.ndarray]]
"""The same for several outputs."""

_FATAL = 4
"""ONNX Runtime's severity above which it writes to standard error; what is below is also raised as an exception."""


def load(content: bytes, where: str, output: str, *, threads: int, repair: str) -> Run:
    """Load a graph.

    Args:
        content: Of the ONNX file.
        where: Path of the file, for errors.
        output: Name of the output to compute.
        threads: Of ONNX Runtime; with 1, it starts none.
        repair: What to do about a damaged file, for errors.

    Returns:
        The function that runs it; several threads may call it.

    Raises:
        ModelError: ONNX Runtime cannot load it.
    """
    run_many = load_many(content, where, (output,), threads=threads, repair=repair)
    return lambda feed: run_many(feed)[0]


def load_many(content: bytes, where: str, outputs: Sequence[str], *, threads: int, repair: str) -> RunMany:
    """Load a graph with several outputs.

    Args:
        content: As for `load`.
        where: As for `load`.
        outputs: Names of the outputs to compute.
        threads: As for `load`.
        repair: As for `load`.

    Returns:
        The function that runs it; several threads may call it.

    Raises:
        ModelError: ONNX Runtime cannot load it.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read as the module is imported
    import onnxruntime

    names = list(outputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _FATAL
    try:  # Without the fallback: a second attempt would print a banner on standard output.
        session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], enable_fallback=False
        )
    except Exception as error:  # ONNX Runtime raises its own classes, which have no other common base
        raise ModelError(f"{where}: ONNX Runtime can't load it ({printable(str(error))}); {repair}") from error

    def run(feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        try:
            return [np.asarray(value) for value in session.run(names, feed)]
        except Exception as error:  # as above
            raise ModelError(f"{where}: it can't be run ({printable(str(error))}); {repair}") from error

    return run
