"""The recurrence by torch's own kernel: cuDNN on CUDA, where a loop over time steps would wait for kernel launches.

The kernel feeds h back unchanged, so a per-sample mask on h seems out of its reach. It is possible with twice the
units, all of which read the input and the first half of h, with the same weights:

    first half    output gate closed where the mask drops a unit: h is 0 there, and the recurrence reads 0
    second half   output gate unchanged: the states that are returned; nothing reads them back

Gates and cells of both halves are the same numbers; only o differs. The gates are closed by inputs of the kernel, one
column of x for each unit: σ(z − 2¹³) is 0, and so is its gradient, for all z below 2¹² at least.
The mask's scale is one factor for all units that it keeps, and is multiplied into the recurrent weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._lstm_cpu import Weights

_CLOSED = -(2.0**13)
_OUTPUT_GATE = 3


def recur(x: Tensor, weights: Weights, mask: Tensor | None, counts: Sequence[int]) -> Tensor:
    """Compute the states of D = 1 or 2 directions with torch's kernel.

    Computed in the precision of the weights, under autocast too. On CUDA cuDNN multiplies float32 with the ten bits of
    TF32, unless `torch.backends.cudnn.allow_tf32` is False.

    Args:
        x: (rows, features) sequences as `_packing.Packing` lays them out; the second direction reads them from their
            ends.
        weights: Of the LSTM.
        mask: (D, rows, hidden) factors of h before its product, the same in all rows of a sequence, and all either 0
            or one other number; None for no dropout.
        counts: Sequences that reach each step.

    Returns:
        (D, rows, hidden), each row next to the row of x that it read.
    """
    weight_input, weight_recurrent, bias = weights
    with torch.autocast(x.device.type, enabled=False):
        x = x.to(weight_recurrent.dtype)
        hidden, halves = weight_recurrent.shape[1], 1
        if mask is not None:
            halves = 2
            x = torch.cat((x, *(mask == 0).to(x.dtype)), dim=-1)
            weight_input = torch.cat((_twice(weight_input), _gate_closers(weight_input, hidden)), dim=1)
            feeding = _twice(weight_recurrent * mask.amax())
            weight_recurrent = torch.cat((feeding, torch.zeros_like(feeding)), dim=1)
            bias = _twice(bias)
        directions = len(bias)
        start = x.new_zeros(directions, counts[0], halves * hidden)
        parameters = _contiguous(weight_input, weight_recurrent, bias)
        arguments = (x, torch.tensor(counts), (start, start), parameters, True, 1, 0.0, torch.is_grad_enabled())
        states, *_ = torch.lstm(*arguments, directions == 2)
    return states.view(-1, directions, halves, hidden)[:, :, -1].transpose(0, 1)


def _twice(parameter: Tensor) -> Tensor:
    """(…, 4·hidden) → (…, 4·2·hidden): every gate next to a copy of itself."""
    return parameter.unflatten(-1, (4, 1, -1)).expand(*parameter.shape[:-1], 4, 2, -1).flatten(-3)


def _gate_closers(weight_input: Tensor, hidden: int) -> Tensor:
    """(D, D·hidden, 4·2·hidden) input weights of the columns that close the output gates of each direction."""
    directions = len(weight_input)
    closers = weight_input.new_zeros(directions, directions, hidden, 4, 2, hidden)
    unit = torch.arange(hidden, device=closers.device)
    for direction in range(directions):
        closers[direction, direction, unit, _OUTPUT_GATE, 0, unit] = _CLOSED
    return closers.flatten(3).flatten(1, 2)


def _contiguous(weight_input: Tensor, weight_recurrent: Tensor, bias: Tensor) -> list[Tensor]:
    """The four parameters of each direction as the kernel takes them, views of one tensor.

    All matrices first, then all biases: cuDNN uses this order in place; any other it copies, with a warning.
    """
    matrices = [m.T for pair in zip(weight_input, weight_recurrent, strict=True) for m in pair]
    parts = [*matrices, *(each for b in bias for each in (b, torch.zeros_like(b)))]
    flat = torch.cat([part.flatten() for part in parts])
    views = [piece.view_as(part) for piece, part in zip(flat.split([p.numel() for p in parts]), parts, strict=True)]
    first = len(matrices)  # of the biases
    fours = zip(views[:first:2], views[1:first:2], views[first::2], views[first + 1 :: 2], strict=True)
    return [each for four in fours for each in four]
