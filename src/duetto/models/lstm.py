"""A bidirectional LSTM with recurrent dropout as Keras defines it, fast on any number of steps.

    x (batch, time, features), lengths (batch,) ─▶ states (batch, time, 2·hidden), last (batch, 2·hidden)

`torch.nn.LSTM` cannot drop out its recurrent input: its `dropout` acts between layers only. Keras'
`recurrent_dropout` multiplies h at t−1 by a mask that is drawn once for each sample and kept over all
time steps, scaled by 1/(1−p) (Gal & Ghahramani 2016, "A theoretically grounded application of dropout
in recurrent neural networks"; Keras 3 `LSTMCell`). That is `per-sample`. With `shared` one such mask serves
all samples of a batch: (h ∘ m)·R = h·(m ∘ R), so dropout is but another recurrent weight, as in the
DropConnect of Merity et al. 2018, "Regularizing and optimizing LSTM language models", by whole units.

How it is made fast: padding is left out (`packing`), and the steps are those of `recurrence`, which on a CPU is as
fast as torch's own kernel. On CUDA cuDNN's kernel computes them (`fused`), with either mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import ConfigurationError
from . import _lstm_cudnn
from ._lstm_cpu import Recurrence
from ._packing import Packing

RECURRENT_MASKS = ("per-sample", "shared")


class LSTM(nn.Module):
    """One unidirectional LSTM layer: x (batch, time, input_size) → states (batch, time, hidden)."""

    def __init__(self, input_size: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight_input = nn.Parameter(torch.empty(1, input_size, 4 * hidden))
        self.weight_recurrent = nn.Parameter(torch.empty(1, hidden, 4 * hidden))
        self.bias = nn.Parameter(torch.zeros(1, 4 * hidden))
        _initialise(self.weight_input, self.weight_recurrent, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """States of every step; sequences are padded at the end, and what follows their end is meaningless."""
        batch, time, _ = x.shape
        rows, counts = x.transpose(0, 1).reshape(time * batch, -1), [batch] * time
        weights = self.weight_input, self.weight_recurrent, self.bias
        states = (
            _lstm_cudnn.recur(rows, *weights, None, counts) if x.is_cuda else _recur(rows[None], *weights, None, counts)
        )
        return states.view(time, batch, self.hidden).transpose(0, 1)


def _recur(
    x: Tensor, weight_input: Tensor, weight: Tensor, bias: Tensor, mask: Tensor | None, counts: Sequence[int]
) -> Tensor:
    """`Recurrence`, typed."""
    states: Tensor = Recurrence.apply(x, weight_input, weight, bias, mask, counts)  # type: ignore[assignment]
    return states


@torch.no_grad()
def _initialise(weight_input: Tensor, weight_recurrent: Tensor, bias: Tensor) -> None:
    """As Keras does: Glorot-uniform kernels, orthogonal recurrent kernels, forget gates open."""
    for kernel, recurrent in zip(weight_input, weight_recurrent, strict=True):
        nn.init.xavier_uniform_(kernel)
        nn.init.orthogonal_(recurrent)
    hidden = bias.shape[1] // 4
    bias[:, hidden : 2 * hidden] = 1.0


class BiLSTM(nn.Module):
    """One bidirectional LSTM layer with recurrent dropout, initialised as Keras does.

    input_size, hidden: features in, units per direction. recurrent_dropout: share of h dropped.
    recurrent_mask: `per-sample` or `shared`, see above.
    Kernels are Glorot-uniform, recurrent kernels orthogonal, biases zero but 1 for the forget gate.
    """

    def __init__(
        self, input_size: int, hidden: int, recurrent_dropout: float = 0.0, recurrent_mask: str = "per-sample"
    ) -> None:
        super().__init__()
        if recurrent_mask not in RECURRENT_MASKS:
            raise ConfigurationError(
                f"recurrent_mask = {recurrent_mask!r} is not valid; choose from {', '.join(RECURRENT_MASKS)}"
            )
        self.hidden = hidden
        self.recurrent_dropout = recurrent_dropout
        self.recurrent_mask = recurrent_mask
        self.weight_input = nn.Parameter(torch.empty(2, input_size, 4 * hidden))
        self.weight_recurrent = nn.Parameter(torch.empty(2, hidden, 4 * hidden))
        self.bias = nn.Parameter(torch.zeros(2, 4 * hidden))
        _initialise(self.weight_input, self.weight_recurrent, self.bias)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """x (batch, time, input_size), padded at the end; lengths (batch,) ≥ 1.

        Returns states (batch, time, 2·hidden), zero beyond each length, and last (batch, 2·hidden): the
        forward direction's state at the last step beside the backward direction's at the first.
        """
        packing = Packing(lengths, x.shape[1])
        states = self._states(x, packing)
        beside = torch.cat((states[0], packing.mirrored(states[1])), dim=-1)
        return packing.pad(beside), _last(states, packing)

    def last(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Only the `last` of `forward`, for less than both cost."""
        packing = Packing(lengths, x.shape[1])
        return _last(self._states(x, packing), packing)

    def _states(self, x: Tensor, packing: Packing) -> Tensor:
        """States of both directions, each in its own order of reading: (2, rows, hidden)."""
        forward = packing.pack(x)
        mask, weight = self._mask(len(x)), self.weight_recurrent
        if mask is not None and self.recurrent_mask == "shared":
            mask, weight = None, weight * mask.transpose(1, 2)
        if x.is_cuda:
            mask = None if mask is None else packing.spread(mask)
            first, second = _lstm_cudnn.recur(forward, self.weight_input, weight, self.bias, mask, packing.counts)
            return torch.stack((first, packing.mirrored(second)))
        both = torch.stack((forward, packing.mirrored(forward)))
        return _recur(both, self.weight_input, weight, self.bias, mask, packing.counts)

    def _mask(self, batch: int) -> Tensor | None:
        """Keras' mask (2, batch, hidden): drawn once a sample, scaled, the same at every step. A shared one
        is that of a single sample."""
        if not self.training or self.recurrent_dropout == 0.0:
            return None
        keep, samples = 1.0 - self.recurrent_dropout, 1 if self.recurrent_mask == "shared" else batch
        return torch.bernoulli(self.weight_recurrent.new_full((2, samples, self.hidden), keep)).div_(keep)


def _last(states: Tensor, packing: Packing) -> Tensor:
    """states (2, rows, hidden) → (batch, 2·hidden)."""
    return packing.last(states).transpose(0, 1).flatten(1)
