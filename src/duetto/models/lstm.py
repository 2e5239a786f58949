"""A bidirectional LSTM with recurrent dropout as Keras defines it, fast on any number of steps.

    x (batch, time, features), lengths (batch,) ─▶ states (batch, time, 2·hidden), last (batch, 2·hidden)

`torch.nn.LSTM` has no recurrent dropout: its `dropout` acts between layers only. Keras' `recurrent_dropout` multiplies
h at t−1 by a mask that is drawn once per sample and kept over all time steps, scaled by 1/(1−p) (Gal & Ghahramani 2016,
"A theoretically grounded application of dropout in recurrent neural networks"; Keras 3 `LSTMCell`). That is
`per-sample`. With `shared`, one such mask serves all samples of a batch: (h ∘ m)·R = h·(m ∘ R), so dropout merely
changes the recurrent weight, as in the DropConnect of Merity et al. 2018, "Regularizing and optimizing LSTM language
models", by whole units.

Padding is left out (`_packing`). On a CPU, `_lstm_cpu` computes the steps as fast as torch's own kernel; on CUDA,
`_lstm_cudnn` computes them with cuDNN's kernel. Both support either mask.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ConfigurationError
from . import _lstm_cpu, _lstm_cudnn
from ._lstm_cpu import Weights
from ._packing import Packing

RECURRENT_MASKS = ("per-sample", "shared")
"""Values of `recurrent_mask`."""


class LSTM(nn.Module):
    """One unidirectional LSTM layer, initialised as Keras does.

    Args:
        input_size: Values in a step.
        hidden: Units.
    """

    def __init__(self, input_size: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight_input, self.weight_recurrent, self.bias = _parameters(1, input_size, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the states of every step.

        Args:
            x: (batch, time, input_size), padded at the end; states beyond the end of a sequence are meaningless.

        Returns:
            (batch, time, hidden).
        """
        batch, time, _ = x.shape
        rows, counts = x.transpose(0, 1).reshape(time * batch, -1), [batch] * time
        weights = Weights(self.weight_input, self.weight_recurrent, self.bias)
        recur, rows = (_lstm_cudnn.recur, rows) if x.is_cuda else (_lstm_cpu.recur, rows[None])
        return recur(rows, weights, None, counts).view(time, batch, self.hidden).transpose(0, 1)


def _parameters(directions: int, input_size: int, hidden: int) -> tuple[nn.Parameter, nn.Parameter, nn.Parameter]:
    """New parameters as in `Weights`, initialised as Keras does.

    Glorot-uniform kernels, orthogonal recurrent kernels, zero biases but 1 for the forget gate.
    """
    weight_input = nn.Parameter(torch.empty(directions, input_size, 4 * hidden))
    weight_recurrent = nn.Parameter(torch.empty(directions, hidden, 4 * hidden))
    bias = nn.Parameter(torch.zeros(directions, 4 * hidden))
    with torch.no_grad():
        for kernel, recurrent in zip(weight_input, weight_recurrent, strict=True):
            nn.init.xavier_uniform_(kernel)
            nn.init.orthogonal_(recurrent)
        bias[:, hidden : 2 * hidden] = 1.0
    return weight_input, weight_recurrent, bias


class BiLSTM(nn.Module):
    """One bidirectional LSTM layer with recurrent dropout, initialised as Keras does.

    Args:
        input_size: Values in a step.
        hidden: Units per direction.
        recurrent_dropout: Share of h that is dropped in training.
        recurrent_mask: `per-sample` or `shared`; see the module.

    Raises:
        ConfigurationError: `recurrent_mask` is neither.
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
        self.weight_input, self.weight_recurrent, self.bias = _parameters(2, input_size, hidden)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the states of every step.

        Args:
            x: (batch, time, input_size), padded at the end.
            lengths: (batch,) ≥ 1.

        Returns:
            States (batch, time, 2·hidden), zero beyond each length, and last (batch, 2·hidden): the forward
            direction's state at the last step next to the backward direction's at the first.
        """
        packing = Packing(lengths, x.shape[1])
        states = self._states(x, packing)
        both = torch.cat((states[0], packing.mirrored(states[1])), dim=-1)
        return packing.pad(both), _last(states, packing)

    def last(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Compute only the last states of `forward`, which is cheaper.

        Args:
            x: (batch, time, input_size), padded at the end.
            lengths: (batch,) ≥ 1.

        Returns:
            (batch, 2·hidden).
        """
        packing = Packing(lengths, x.shape[1])
        return _last(self._states(x, packing), packing)

    def _states(self, x: Tensor, packing: Packing) -> Tensor:
        """States of both directions, each in its own order of reading: (2, rows, hidden)."""
        forward = packing.pack(x)
        mask, recurrent = self.draw_mask(len(x)), self.weight_recurrent
        if mask is not None and self.recurrent_mask == "shared":
            mask, recurrent = None, recurrent * mask.transpose(1, 2)
        weights = Weights(self.weight_input, recurrent, self.bias)
        if x.is_cuda:
            mask = None if mask is None else packing.spread(mask)
            first, second = _lstm_cudnn.recur(forward, weights, mask, packing.counts)
            return torch.stack((first, packing.mirrored(second)))
        both = torch.stack((forward, packing.mirrored(forward)))
        return _lstm_cpu.recur(both, weights, mask, packing.counts)

    def draw_mask(self, batch: int) -> Tensor | None:
        """Draw Keras' mask: once for each sample, scaled, the same at every step.

        Args:
            batch: Number of samples.

        Returns:
            (2, batch, hidden), or (2, 1, hidden) where all samples share it; None where nothing is dropped.
        """
        if not self.training or self.recurrent_dropout == 0.0:
            return None
        keep, samples = 1.0 - self.recurrent_dropout, 1 if self.recurrent_mask == "shared" else batch
        return torch.bernoulli(self.weight_recurrent.new_full((2, samples, self.hidden), keep)).div_(keep)


def _last(states: Tensor, packing: Packing) -> Tensor:
    """states (2, rows, hidden) → (batch, 2·hidden)."""
    return packing.last(states).transpose(0, 1).flatten(1)
