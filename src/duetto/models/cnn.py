"""Convolutional encoders of raw samples or a spectrogram, for input of any length (see `config.cnn_stacks.STACKS`).

    frames (batch, time, values) ─ convolutions, ReLU, poolings ─ mean over time ─ dense ─▶ (batch, dense)

The published networks read images of one size and flatten their output. Here the mean over the real steps replaces
the flattening, so that every utterance is read to its end, whatever its length.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config.cnn_stacks import Convolution, Stack, bands_left, layer_numbers
from ..errors import ModelError


class ConvolutionalEncoder(nn.Module):
    """The layers of a `Stack`, the mean over time, a dense layer with ReLU, dropout.

    A sequence of length 0 is read as one frame of zeros. Convolutions are initialised as He et al. 2015 propose for
    ReLU (normal, variance 2 / inputs), biases with zero.

    Args:
        stack: The layers.
        values: Values in a frame.
        dense: Units of the dense layer.
        dropout: Share of its outputs that is dropped in training.
    """

    def __init__(self, stack: Stack, values: int, dense: int, dropout: float) -> None:
        super().__init__()
        self.stack = stack
        self.features = nn.Sequential(*_layers(stack))
        channels = [layer.channels for layer in stack.layers if isinstance(layer, Convolution)]
        self.dense = nn.Linear(channels[-1] * bands_left(stack, values), dense)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Encode a batch.

        Args:
            x: (batch, time, values).
            lengths: (batch,) frames of each sequence.

        Returns:
            (batch, dense).
        """
        maps, steps = self.maps(x, lengths)
        return self.dropout(torch.relu(self.dense(maps.sum(-1) / steps[:, None])))

    def maps(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the feature maps before the mean over time.

        Args:
            x: (batch, time, values).
            lengths: (batch,) frames of each sequence.

        Returns:
            Maps (batch, channels · bands, steps), zero beyond each length, and the lengths (batch,) in steps.
        """
        if self.stack.image:
            x = x.transpose(1, 2)[:, None].expand(-1, self.stack.copies, -1, -1)  # (batch, copies, bands, time)
        else:
            lengths = lengths * x.shape[2]
            x = x.flatten(1)[:, None]  # (batch, 1, samples)
        x = _masked(x, lengths)
        lengths = lengths.clamp(min=1)
        for place, layer in zip(layer_numbers(self.stack), self.stack.layers, strict=True):
            before = layer.padding if isinstance(layer, Convolution) else 0
            x = self.features[place](functional.pad(x, (before, layer.kernel - 1 - before)))
            lengths = (lengths + layer.stride - 1).div(layer.stride, rounding_mode="floor")
            if isinstance(layer, Convolution):
                x = _masked(self.features[place + 1](x), lengths)
        return x.flatten(1, -2), lengths

    def start_from(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Copy the convolutions' weights from tensors of the same names, such as torchvision's.

        Args:
            tensors: Name → tensor; names that this encoder does not have are ignored.
            where: Where they come from; opens the error message.

        Raises:
            ModelError: A tensor is missing or has another shape.
        """
        own = self.features.state_dict(prefix="features.")
        wrong = [
            f"{name} is {'missing' if name not in tensors else tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
            for name, tensor in own.items()
            if name not in tensors or tensors[name].shape != tensor.shape
        ]
        if wrong:
            raise ModelError(f"{where}: not the weights of this encoder's convolutions: {'; '.join(wrong)}")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(tensors[name])


def _layers(stack: Stack) -> list[nn.Module]:
    """PyTorch's layers; `ConvolutionalEncoder.maps` pads the time axis itself, since padding depends on the lengths."""
    modules: list[nn.Module] = []
    channels = stack.copies
    for layer in stack.layers:
        if not isinstance(layer, Convolution):
            pool = nn.MaxPool2d if stack.image else nn.MaxPool1d
            modules.append(pool(layer.kernel, layer.stride))
            continue
        if stack.image:
            convolution = nn.Conv2d(channels, layer.channels, layer.kernel, layer.stride, (layer.padding, 0))
        else:
            convolution = nn.Conv1d(channels, layer.channels, layer.kernel, layer.stride)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
        modules += [convolution, nn.ReLU()]
        channels = layer.channels
    return modules


def _masked(x: Tensor, lengths: Tensor) -> Tensor:
    """Set x (batch, …, time) to zero from each sequence's length on."""
    real = torch.arange(x.shape[-1], device=x.device) < lengths[:, None]
    return x * real.view(len(x), *(1,) * (x.dim() - 2), -1)
