"""Silero VAD 6.2: the probability of speech in every 32 ms of a signal at 16 kHz.

(n, 512) chunks ─ magnitude spectra ─ network.onnx: 4 convolutions, LSTM ─▶ (n,) probabilities

The network and its weights are those of Silero VAD (MIT licence, beside this file); README.md gives their source and
the command that built the graph. NumPy computes the spectra, ONNX Runtime the rest, and both release the GIL.

The graph takes blocks of `BLOCK` chunks, always at the same places of the recording; one that is not complete yet is
filled up with zeros, which do not change the probabilities of the chunks before them. Every product is therefore of
one shape, and a probability is the same, to the last bit, however the chunks are handed over.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

from ...errors import ModelError
from ...utils import onnx_runtime
from ...utils.reading import read_bytes

CHUNK = 512
"""Samples of a chunk, 32 ms."""
CONTEXT = 64
"""Samples before a chunk that the network sees too."""
BLOCK = 16
"""Chunks of one run of the graph."""

CHUNKS_AT_ONCE = 8 * BLOCK
"""Four seconds."""

NETWORK = Path(__file__).with_name("network.onnx")

STEPS, BINS = 4, 129
"""Spectra of a chunk, and their values."""
WIDTH = 128
"""Units of the LSTM."""

_WINDOW, _STEP = 256, 128
_LARGEST = 4 << 20
_REPAIR = "install duetto again"

Floats = NDArray[np.float32]


@lru_cache(maxsize=1)
def _network() -> onnx_runtime.RunMany:
    content = read_bytes(NETWORK, error=ModelError, limit=_LARGEST, repair=_REPAIR)
    outputs = ("probabilities", "next_hidden", "next_cell")
    return onnx_runtime.load_many(content, str(NETWORK), outputs, threads=1, repair=_REPAIR)


@lru_cache(maxsize=1)
def _window() -> NDArray[np.float64]:
    """Periodic Hann window."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)


class SileroVad:
    """The network, with the state of one recording; not to be shared between threads.

    Raises:
        ModelError: The file of the network is missing or damaged.
    """

    def __init__(self) -> None:
        """Start a recording."""
        self._run = _network()
        self._before = np.zeros(CONTEXT, np.float32)
        self._hidden = self._cell = np.zeros((1, 1, WIDTH), np.float32)
        self._block, self._filled = np.zeros((BLOCK, STEPS, 3 * BINS), np.float32), 0

    def __call__(self, chunks: Floats) -> Floats:
        """Compute the probability of speech in the chunks that follow those given before.

        Args:
            chunks: (n, 512) with full scale ±1.

        Returns:
            (n,) probabilities.
        """
        out = np.empty(len(chunks), np.float32)
        for at in range(0, len(chunks), CHUNKS_AT_ONCE):
            part = chunks[at : at + CHUNKS_AT_ONCE]
            # All spectra first: each run of the graph then finds its weights in the cache.
            out[at : at + len(part)] = self._in_blocks(_columns(self._with_context(part)))
        return out

    def _in_blocks(self, columns: Floats) -> Floats:
        """(n,) probabilities of chunks by their columns (n, 4, 387)."""
        out, at = [], 0
        while at < len(columns):
            part = columns[at : at + BLOCK - self._filled]
            first, self._filled = self._filled, self._filled + len(part)
            self._block[first : self._filled] = part
            feed = {"columns": self._block.reshape(-1, 3 * BINS), "hidden": self._hidden, "cell": self._cell}
            probabilities, hidden, cell = self._run(feed)
            out.append(probabilities[first : self._filled, 0])
            at += len(part)
            if self._filled == BLOCK:
                self._hidden, self._cell, self._filled = hidden, cell, 0
                self._block[:] = 0
        return np.concatenate(out)

    def _with_context(self, chunks: Floats) -> Floats:
        """(n, 640): each chunk with the end of the one before, and its own end mirrored."""
        padded = np.empty((len(chunks), CONTEXT + CHUNK + CONTEXT), np.float32)
        padded[0, :CONTEXT] = self._before
        padded[1:, :CONTEXT] = chunks[:-1, -CONTEXT:]
        padded[:, CONTEXT:-CONTEXT] = chunks
        padded[:, -CONTEXT:] = chunks[:, -CONTEXT - 1 : -1][:, ::-1]
        self._before = chunks[-1, -CONTEXT:].copy()
        return padded


def _columns(padded: Floats) -> Floats:
    """(n, 640) → (n, 4, 387): at each step the magnitude spectra before, at and after it, with zeros outside."""
    magnitudes = np.zeros((len(padded), STEPS + 2, BINS), np.float32)
    windows = sliding_window_view(padded, _WINDOW, axis=1)[:, ::_STEP]
    for at in range(0, len(padded), BLOCK):  # larger arrays are returned to the system and made anew each time
        spectra = np.fft.rfft(windows[at : at + BLOCK] * _window())  # in float64, NumPy's faster transform
        squares = spectra.view(np.float64).astype(np.float32)
        squares *= squares
        within = magnitudes[at : at + BLOCK, 1:-1]
        np.sqrt(np.add(squares[..., 0::2], squares[..., 1::2], out=within), out=within)
    return as_strided(magnitudes, (len(padded), STEPS, 3 * BINS), magnitudes.strides, writeable=False)
