"""Silero VAD 6.2 in NumPy: the probability of speech in every 32 ms of a signal at 16 kHz.

(n, 512) chunks ─ magnitude spectra ─ 4 convolutions ─ LSTM ─▶ (n,) probabilities

The network and its weights are those of Silero VAD (MIT licence, beside this file); README.md gives their source and
the command that extracted them. The convolutions see one chunk and the 4 ms before it, so all chunks of a block are
computed together; only the LSTM goes chunk by chunk. That takes a small part of the time that one call of the network
for each chunk takes, needs no other package, and gives the same answer, to rounding, on every processor.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CHUNK = 512
"""Samples of a chunk, 32 ms."""
CONTEXT = 64
"""Samples before a chunk that the network sees too."""

WEIGHTS = Path(__file__).with_name("weights.npz")

_WINDOW, _STEP, _BINS = 256, 128, 129
_WIDTH = 128
"""Units of the LSTM."""
_CHUNKS_AT_ONCE = 256
"""8 s: the spectra of a block take about half a megabyte."""

Floats = NDArray[np.float32]


class _Weights(NamedTuple):
    """Matrices (inputs, outputs) and biases; a convolution is one matrix for each of its taps that meets data."""

    encoder: tuple[tuple[Floats, Floats], ...]
    input_gates: Floats
    state_gates: Floats
    gate_bias: Floats
    output: Floats
    output_bias: np.float32


@lru_cache(maxsize=1)
def _weights() -> _Weights:
    with np.load(WEIGHTS) as file:
        stored = {name: file[name] for name in file.files}
    encoder = tuple((stored[f"encoder_{i}_weight"], stored[f"encoder_{i}_bias"]) for i in range(4))
    return _Weights(
        encoder,
        np.ascontiguousarray(stored["weight_ih"].T),
        np.ascontiguousarray(stored["weight_hh"].T),
        stored["bias_ih"] + stored["bias_hh"],
        stored["output_weight"],
        stored["output_bias"][0],
    )


@lru_cache(maxsize=1)
def _window() -> Floats:
    """Periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)).astype(np.float32)


class SileroVad:
    """The network, with the state of one recording; not to be shared between threads."""

    def __init__(self) -> None:
        """Start a recording."""
        self._context = np.zeros(CONTEXT, np.float32)
        self._hidden, self._cell = np.zeros(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)

    def __call__(self, chunks: Floats) -> Floats:
        """Compute the probability of speech in the chunks that follow those given before.

        Args:
            chunks: (n, 512) with full scale ±1.

        Returns:
            (n,) probabilities.
        """
        out = np.empty(len(chunks), np.float32)
        for at in range(0, len(chunks), _CHUNKS_AT_ONCE):
            block = chunks[at : at + _CHUNKS_AT_ONCE]
            out[at : at + len(block)] = self._recur(_encode(self._with_context(block)))
        return out

    def _with_context(self, chunks: Floats) -> Floats:
        """(n, 640): each chunk with the end of the one before, and its own end mirrored."""
        before = np.vstack((self._context, chunks[:-1, -CONTEXT:]))
        self._context = chunks[-1, -CONTEXT:].copy()
        mirrored = chunks[:, -CONTEXT - 1 : -1][:, ::-1]
        return np.hstack((before, chunks, mirrored))

    def _recur(self, encoded: Floats) -> Floats:
        w = _weights()
        gates = encoded @ w.input_gates + w.gate_bias
        hidden, cell = self._hidden, self._cell
        states = np.empty_like(encoded)
        for t, from_input in enumerate(gates):
            gate = from_input + hidden @ w.state_gates
            update = np.tanh(gate[2 * _WIDTH : 3 * _WIDTH])
            gate = _sigmoid(gate)
            cell = gate[_WIDTH : 2 * _WIDTH] * cell + gate[:_WIDTH] * update
            states[t] = hidden = gate[3 * _WIDTH :] * np.tanh(cell)
        self._hidden, self._cell = hidden, cell
        return _sigmoid(np.maximum(states, 0) @ w.output + w.output_bias)


def _encode(padded: Floats) -> Floats:
    """(n, 640) → (n, 128): magnitude spectra of four windows, and the convolutions over them."""
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW, axis=1)[:, ::_STEP]
    x = np.abs(np.fft.rfft(windows * _window())).astype(np.float32)
    for (weight, bias), stride in zip(_weights().encoder, (1, 2, 2, 1), strict=True):
        x = np.maximum(_convolve(x, weight, stride) + bias, 0)
    return x[:, 0]


def _convolve(x: Floats, weight: Floats, stride: int) -> Floats:
    """Convolve over time with three taps and one zero at each end.

    Args:
        x: (n, time, inputs).
        weight: (3, inputs, outputs).
        stride: Steps between outputs.

    Returns:
        (n, ⌈time / stride⌉, outputs).
    """
    n, time, _ = x.shape
    steps = -(-time // stride)
    out = np.zeros((n, steps, weight.shape[2]), np.float32)
    for tap, matrix in enumerate(weight):
        for step in range(steps):
            if 0 <= (place := step * stride + tap - 1) < time:
                out[:, step] += x[:, place] @ matrix
    return out


def _sigmoid(x: Floats) -> Floats:
    half = np.float32(0.5)
    return half * np.tanh(half * x) + half
