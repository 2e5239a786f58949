"""The recurrence by torch's own kernel: cuDNN on CUDA, where a loop over time steps would wait for its launches.

The kernel feeds h back as it is, so a mask on h, one for each sample, seems out of its reach. It is not, with
twice the units, all of which read the input and the first half of h, by the same weights:

    first half    output gate shut where the mask drops a unit: h is 0 there, and the recurrence reads no more
    second half   output gate as it is: the states asked for; nothing reads them back

Gates and cells of both halves are the same numbers; only o differs. The gates are shut by inputs of the kernel, a
column of x for each unit: σ(z − 2¹³) is 0, and so is its gradient, for all z below 2¹² at least. What the mask scales
is one factor for all units that it keeps, and goes into the recurrent weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_SHUT = -(2.0**13)
_OUTPUT_GATE = 3


def recur(
    x: Tensor,
    weight_input: Tensor,
    weight_recurrent: Tensor,
    bias: Tensor,
    mask: Tensor | None,
    counts: Sequence[int],
) -> Tensor:
    """States of D = 1 or 2 directions, (D, rows, hidden), each row beside the row of x that it read.

    x (rows, features): sequences as `packing.Packing` lays them out, `counts` to a step; the second direction reads
    them from their ends. weight_input (D, features, 4·hidden), weight_recurrent (D, hidden, 4·hidden), bias
    (D, 4·hidden): gates in the order i, f, g, o. mask (D, rows, hidden) or None: factors of h before its
    product, the same in all rows of a sequence; in it there is one number besides 0.

    Computed in the precision of the weights, under autocast too. On CUDA cuDNN multiplies float32 with the ten bits of
    TF32, unless `torch.backends.cudnn.allow_tf32` is False.
    """
    with torch.autocast(x.device.type, enabled=False):
        x = x.to(weight_recurrent.dtype)
        hidden, halves = weight_recurrent.shape[1], 1
        if mask is not None:
            halves = 2
            x = torch.cat((x, *(mask == 0).to(x.dtype)), dim=-1)
            weight_input = torch.cat((_twice(weight_input), _shutters(weight_input, hidden)), dim=1)
            feeding = _twice(weight_recurrent * mask.amax())
            weight_recurrent = torch.cat((feeding, torch.zeros_like(feeding)), dim=1)
            bias = _twice(bias)
        directions = len(bias)
        start = x.new_zeros(directions, counts[0], halves * hidden)
        weights = _side_by_side(weight_input, weight_recurrent, bias)
        given = (x, torch.tensor(counts), (start, start), weights, True, 1, 0.0, torch.is_grad_enabled())
        states, *_ = torch.lstm(*given, directions == 2)
    return states.view(-1, directions, halves, hidden)[:, :, -1].transpose(0, 1)


def _twice(parameter: Tensor) -> Tensor:
    """(…, 4·hidden) → (…, 4·2·hidden): every gate beside a copy of itself."""
    return parameter.unflatten(-1, (4, 1, -1)).expand(*parameter.shape[:-1], 4, 2, -1).flatten(-3)


def _shutters(weight_input: Tensor, hidden: int) -> Tensor:
    """(D, D·hidden, 4·2·hidden) input weights of the columns that shut the output gates of each direction."""
    directions = len(weight_input)
    shut = weight_input.new_zeros(directions, directions, hidden, 4, 2, hidden)
    unit = torch.arange(hidden, device=shut.device)
    for direction in range(directions):
        shut[direction, direction, unit, _OUTPUT_GATE, 0, unit] = _SHUT
    return shut.flatten(3).flatten(1, 2)


def _side_by_side(weight_input: Tensor, weight_recurrent: Tensor, bias: Tensor) -> list[Tensor]:
    """The four parameters of each direction as the kernel takes them, pieces of one tensor.

    All matrices, then all biases: in this order cuDNN reads them where they are; others it copies, and warns.
    """
    matrices = [m.T for pair in zip(weight_input, weight_recurrent, strict=True) for m in pair]
    parts = [*matrices, *(each for b in bias for each in (b, torch.zeros_like(b)))]
    flat = torch.cat([part.flatten() for part in parts])
    found = [piece.view_as(part) for piece, part in zip(flat.split([p.numel() for p in parts]), parts, strict=True)]
    first = len(matrices)  # of the biases
    fours = zip(found[:first:2], found[1:first:2], found[first::2], found[first + 1 :: 2], strict=True)
    return [each for four in fours for each in four]
