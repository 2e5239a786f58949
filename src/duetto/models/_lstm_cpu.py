"""All time steps of an LSTM on the CPU, forward and backward, on packed sequences.

    i, f, o = σ(…)   g = tanh(…)   of  x·W + (m ∘ h at t−1)·R + b      (m: recurrent dropout)
    c = f ∘ c at t−1 + i ∘ g       h = o ∘ tanh(c)

(Hochreiter & Schmidhuber 1997; Gers et al. 2000.) The matrix products dominate the time; everything else adds as
little as possible:

- both directions are one batched product, and the input is projected for all steps at once, into the buffer
  in which the gates are then computed;
- the three sigmoids are adjacent, and every step writes into buffers that are allocated before the loop;
- the backward pass is written by hand, so autograd keeps no graph of time steps, and the gradient of each
  weight is one product after the loop instead of one per step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


class Weights(NamedTuple):
    """The parameters of D directions; gates in the order i, f, g, o.

    Attributes:
        input: (D, features, 4·hidden).
        recurrent: (D, hidden, 4·hidden).
        bias: (D, 4·hidden).
    """

    input: Tensor
    recurrent: Tensor
    bias: Tensor


def recur(x: Tensor, weights: Weights, mask: Tensor | None, counts: Sequence[int]) -> Tensor:
    """Compute the states of D directions on the CPU.

    Args:
        x: (D, rows, features) sequences as `_packing.Packing` lays them out; one copy per direction, in its own order.
        weights: Of the LSTM.
        mask: (D, batch, hidden) factors of h before its product, in packed order; None for no dropout.
        counts: Sequences that reach each step.

    Returns:
        (D, rows, hidden), each row next to the row of x that it read.
    """
    states: Tensor = Recurrence.apply(x, *weights, mask, counts)  # type: ignore[assignment]
    return states


class _Gates:
    """Views of a buffer (D, rows, 4·hidden) of gates in the order i, f, o, g: for each gate, one view per step."""

    def __init__(self, buffer: Tensor, counts: Sequence[int]) -> None:
        hidden = buffer.shape[-1] // 4
        self.all = _steps(buffer, counts)
        self.sigmoids = _steps(buffer[..., : 3 * hidden], counts)
        self.i, self.f, self.o, self.g = (_steps(part, counts) for part in buffer.split(hidden, -1))


def _steps(buffer: Tensor, counts: Sequence[int]) -> tuple[Tensor, ...]:
    """Split a buffer (D, rows, …) into one view (D, counts[t], …) per step."""
    return buffer.split(list(counts), 1)


def _swap(parameter: Tensor) -> Tensor:
    """Reorder the gates on the last axis from i, f, g, o to i, f, o, g, or back."""
    i, f, third, fourth = parameter.chunk(4, -1)
    return torch.cat((i, f, fourth, third), -1)


class Recurrence(torch.autograd.Function):
    """The function behind `recur`, with its gradient.

    The recurrence is computed in the precision of the weights; under autocast the projection of x uses the lower one.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        x: Tensor,
        weight_input: Tensor,
        weight_recurrent: Tensor,
        bias: Tensor,
        mask: Tensor | None,
        counts: Sequence[int],
    ) -> Tensor:
        """Compute the states of every step.

        Args:
            ctx: Keeps what the backward pass needs.
            x: See `recur`.
            weight_input: See `Weights.input`.
            weight_recurrent: See `Weights.recurrent`.
            bias: See `Weights.bias`.
            mask: See `recur`.
            counts: See `recur`.

        Returns:
            (D, rows, hidden).
        """
        weight_input, weight, bias = _swap(weight_input), _swap(weight_recurrent), _swap(bias)
        gates = torch.baddbmm(bias[:, None], x, weight_input).to(weight.dtype)
        cells = gates.new_empty(*x.shape[:2], weight.shape[1])
        squashed, states, recurrent = (torch.empty_like(cells) for _ in range(3))
        gate = _Gates(gates, counts)
        c, tanh_c, h, fed = (_steps(buffer, counts) for buffer in (cells, squashed, states, recurrent))
        for t, n in enumerate(counts):
            if t:
                before = h[t - 1][:, :n]
                fed[t].copy_(before) if mask is None else torch.mul(before, mask[:, :n], out=fed[t])
                gate.all[t].baddbmm_(fed[t], weight)
            gate.sigmoids[t].sigmoid_()
            gate.g[t].tanh_()
            torch.mul(gate.i[t], gate.g[t], out=c[t])
            if t:
                c[t].addcmul_(gate.f[t], c[t - 1][:, :n])
            torch.tanh(c[t], out=tanh_c[t])
            torch.mul(gate.o[t], tanh_c[t], out=h[t])
        ctx.counts = counts
        ctx.save_for_backward(x, weight_input, weight, mask, gates, cells, squashed, recurrent)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Compute the gradient of every argument of `forward`.

        Args:
            ctx: Of the forward pass.
            grad_states: (D, rows, hidden).

        Returns:
            The gradients of x, weight_input, weight_recurrent and bias; None for the others.
        """
        x, weight_input, weight, mask, gates, cells, squashed, recurrent = ctx.saved_tensors
        grad_gates = _through_time(ctx.counts, grad_states, weight, mask, gates, cells, squashed)
        x = x.to(grad_gates.dtype)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.bmm(grad_gates, weight_input.transpose(1, 2))
        # The first step starts from h = 0 and adds nothing to the recurrent weight's gradient.
        first = ctx.counts[0]
        grad_weight = torch.bmm(recurrent[:, first:].transpose(1, 2), grad_gates[:, first:])
        grad_input = torch.bmm(x.transpose(1, 2), grad_gates)
        return grad_x, _swap(grad_input), _swap(grad_weight), _swap(grad_gates.sum(1)), None, None


def _through_time(
    counts: Sequence[int],
    grad_states: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    gates: Tensor,
    cells: Tensor,
    squashed: Tensor,
) -> Tensor:
    """Gradient with respect to the gates' pre-activations, (D, rows, 4·hidden), from that of the states."""
    grad_gates = torch.empty_like(gates)
    gate, grad = _Gates(gates, counts), _Gates(grad_gates, counts)
    c, tanh_c, incoming = (_steps(buffer, counts) for buffer in (cells, squashed, grad_states))
    transposed = weight.transpose(1, 2).contiguous()
    # Gradients from later steps, one row per sequence; zero until the sequence's last step is reached.
    all_h = cells.new_zeros(len(cells), counts[0], cells.shape[-1])
    all_c, scratch = torch.zeros_like(all_h), torch.empty_like(all_h)
    for t in range(len(counts) - 1, -1, -1):
        n = counts[t]
        grad_h, grad_c, through = all_h[:, :n], all_c[:, :n], scratch[:, :n]
        grad_h.add_(incoming[t])
        torch.mul(grad_h, tanh_c[t], out=grad.o[t])
        torch.mul(grad_h, gate.o[t], out=through)
        grad_c.add_(_tanh_backward(through, tanh_c[t], grad_input=through))
        torch.mul(grad_c, gate.g[t], out=grad.i[t])
        torch.mul(grad_c, c[t - 1][:, :n], out=grad.f[t]) if t else grad.f[t].zero_()
        torch.mul(grad_c, gate.i[t], out=grad.g[t])
        _sigmoid_backward(grad.sigmoids[t], gate.sigmoids[t], grad_input=grad.sigmoids[t])
        _tanh_backward(grad.g[t], gate.g[t], grad_input=grad.g[t])
        if t:
            torch.bmm(grad.all[t], transposed, out=grad_h)
            if mask is not None:
                grad_h.mul_(mask[:, :n])
            grad_c.mul_(gate.f[t])
    return grad_gates
