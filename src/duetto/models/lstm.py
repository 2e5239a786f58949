"""A bidirectional LSTM with recurrent dropout as Keras defines it, fast on any number of steps.

    x (batch, time, features), lengths (batch,) ─▶ states (batch, time, 2·hidden), last (batch, 2·hidden)

`torch.nn.LSTM` cannot drop out its recurrent input: its `dropout` acts between layers only. Keras'
`recurrent_dropout` multiplies h at t−1 by a mask that is drawn once for each sample and kept over all
time steps, scaled by 1/(1−p) (Gal & Ghahramani 2016, "A theoretically grounded application of dropout
in recurrent neural networks"; Keras 3 `LSTMCell`).

How it is made fast without a fused library kernel:

- both directions are one batched product: the backward direction is the forward one over sequences
  reversed within their own length, so padding comes last in both and needs no mask;
- the input is projected for all steps in one product before the recurrence;
- the backward pass is written by hand (`_Recurrence`), so that autograd keeps no graph of time steps,
  and the gradient of the recurrent weight is one product after the loop instead of one a step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _Recurrence(torch.autograd.Function):
    """All steps of an LSTM for D directions.

    projected (time, D, batch, 4·hidden): W·x + b, gates in the order i, f, g, o.
    weight (D, hidden, 4·hidden); mask (D, batch, hidden) or None: recurrent dropout.
    Returns h of every step, (time, D, batch, hidden). Sequences must be padded at the end; what is
    computed beyond a sequence's length is meaningless, reaches no earlier step and must not be used.
    """

    @staticmethod
    def forward(ctx, projected: Tensor, weight: Tensor, mask: Tensor | None) -> Tensor:  # type: ignore[override]
        time, directions, batch, width = projected.shape
        hidden = width // 4
        gates = torch.empty_like(projected)
        cells = projected.new_empty(time, directions, batch, hidden)
        states = torch.empty_like(cells)
        h = projected.new_zeros(directions, batch, hidden)
        cell = torch.zeros_like(h)
        for t in range(time):
            recurrent = h if mask is None else h * mask
            gate = torch.baddbmm(projected[t], recurrent, weight, out=gates[t])
            gate[..., : 2 * hidden].sigmoid_()
            gate[..., 2 * hidden : 3 * hidden].tanh_()
            gate[..., 3 * hidden :].sigmoid_()
            i, f, g, o = gate.chunk(4, dim=-1)
            cell = torch.addcmul(f * cell, i, g, out=cells[t])
            h = torch.mul(o, cell.tanh(), out=states[t])
        ctx.save_for_backward(gates, cells, states, weight, mask)
        return states

    @staticmethod
    def backward(ctx, grad_states: Tensor):  # type: ignore[override]
        gates, cells, states, weight, mask = ctx.saved_tensors
        time, directions, batch, hidden = cells.shape
        grad_gates = torch.empty_like(gates)
        transposed = weight.transpose(1, 2).contiguous()
        grad_h = cells.new_zeros(directions, batch, hidden)
        grad_cell = torch.zeros_like(grad_h)
        squashed = cells.tanh()
        # The derivatives of all activations, for all steps at once: σ' = σ(1−σ), tanh' = 1−tanh².
        slopes = gates * (1 - gates)
        g_all = gates[..., 2 * hidden : 3 * hidden]
        slopes[..., 2 * hidden : 3 * hidden] = 1 - g_all * g_all
        slope_cell = 1 - squashed * squashed
        for t in range(time - 1, -1, -1):
            i, f, g, o = gates[t].chunk(4, dim=-1)
            grad_h = grad_h + grad_states[t]
            grad_cell = torch.addcmul(grad_cell, grad_h * o, slope_cell[t])
            grad = grad_gates[t]
            d_i, d_f, d_g, d_o = grad.chunk(4, dim=-1)
            torch.mul(grad_cell, g, out=d_i)
            torch.mul(grad_cell, cells[t - 1], out=d_f) if t else d_f.zero_()
            torch.mul(grad_cell, i, out=d_g)
            torch.mul(grad_h, squashed[t], out=d_o)
            grad.mul_(slopes[t])
            grad_h = torch.bmm(grad, transposed)
            if mask is not None:
                grad_h = grad_h.mul_(mask)
            grad_cell = grad_cell * f
        grad_weight = None
        if ctx.needs_input_grad[1]:
            # Σ_t (h_{t−1}·mask)ᵀ grad_t; the first step starts from zero and adds nothing.
            previous = states[:-1] if mask is None else states[:-1] * mask
            grad_weight = torch.bmm(
                previous.permute(1, 3, 0, 2).reshape(directions, hidden, -1),
                grad_gates[1:].permute(1, 0, 2, 3).reshape(directions, -1, 4 * hidden),
            )
        return grad_gates, grad_weight, None


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
        projected = _project(x[None], self.weight_input, self.bias)
        return _recur(projected, self.weight_recurrent, None)[:, 0].transpose(0, 1)


def _recur(projected: Tensor, weight: Tensor, mask: Tensor | None) -> Tensor:
    """`_Recurrence` in the weights' own precision: under autocast only the projections are done in less."""
    with torch.autocast(projected.device.type, enabled=False):
        return _Recurrence.apply(projected.to(weight.dtype), weight, mask)


@torch.no_grad()
def _initialise(weight_input: Tensor, weight_recurrent: Tensor, bias: Tensor) -> None:
    """As Keras does: Glorot-uniform kernels, orthogonal recurrent kernels, forget gates open."""
    for kernel, recurrent in zip(weight_input, weight_recurrent, strict=True):
        nn.init.xavier_uniform_(kernel)
        nn.init.orthogonal_(recurrent)
    hidden = bias.shape[1] // 4
    bias[:, hidden : 2 * hidden] = 1.0


def _project(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (directions, batch, time, features) → W·x + b, (time, directions, batch, 4·hidden)."""
    directions, batch, time, _ = x.shape
    projected = torch.baddbmm(bias[:, None], x.flatten(1, 2), weight)
    return projected.view(directions, batch, time, -1).permute(2, 0, 1, 3).contiguous()


def reverse_within(x: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence of `x` (batch, time, …) reversed within its own length; padding stays where it is."""
    steps = torch.arange(x.shape[1], device=x.device)
    index = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return x.gather(1, index.reshape(*index.shape, *(1,) * (x.dim() - 2)).expand_as(x))


class BiLSTM(nn.Module):
    """One bidirectional LSTM layer with recurrent dropout, initialised as Keras does.

    input_size, hidden: features in, units per direction. recurrent_dropout: share of h dropped.
    Kernels are Glorot-uniform, recurrent kernels orthogonal, biases zero but 1 for the forget gate.
    """

    def __init__(self, input_size: int, hidden: int, recurrent_dropout: float = 0.0) -> None:
        super().__init__()
        self.hidden = hidden
        self.recurrent_dropout = recurrent_dropout
        self.weight_input = nn.Parameter(torch.empty(2, input_size, 4 * hidden))
        self.weight_recurrent = nn.Parameter(torch.empty(2, hidden, 4 * hidden))
        self.bias = nn.Parameter(torch.zeros(2, 4 * hidden))
        _initialise(self.weight_input, self.weight_recurrent, self.bias)

    def _mask(self, batch: int) -> Tensor | None:
        """Keras' mask: drawn once a sample, scaled, the same at every step."""
        if not self.training or self.recurrent_dropout == 0.0:
            return None
        keep = 1.0 - self.recurrent_dropout
        return torch.bernoulli(self.weight_recurrent.new_full((2, batch, self.hidden), keep)).div_(keep)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """x (batch, time, input_size), padded at the end; lengths (batch,) ≥ 1.

        Returns states (batch, time, 2·hidden), zero beyond each length, and last (batch, 2·hidden): the
        forward direction's state at the last step beside the backward direction's at the first.
        """
        batch, time, _ = x.shape
        projected = _project(torch.stack((x, reverse_within(x, lengths))), self.weight_input, self.bias)
        states = _recur(projected, self.weight_recurrent, self._mask(batch))
        forward, backward = states.permute(1, 2, 0, 3)  # each (batch, time, hidden)
        at_end = (lengths - 1)[:, None, None].expand(-1, 1, self.hidden)
        last = torch.cat((forward.gather(1, at_end), backward.gather(1, at_end)), dim=-1).squeeze(1)
        real = torch.arange(time, device=x.device) < lengths[:, None]
        states = torch.cat((forward, reverse_within(backward, lengths)), dim=-1) * real[..., None]
        return states, last
