"""The layers of the convolutional encoders, as plain data: PyTorch trains them, ONNX graphs repeat them.

    waveform     (samples)       ─ convolutions, poolings ─▶ (channels, steps)          ┐
    spectrogram  (bands, frames) ─ convolutions, poolings ─▶ (channels · bands, steps)  ┴ mean over the steps

A layer of stride s turns n steps into ⌈n / s⌉: step t exists if its stride begins within the sequence, and everything
beyond the end of the sequence counts as zero. One sample therefore gives one step, every length works, and padding
never changes the output. A layer's `padding` zeros come before the first step; along the bands of a spectrogram they
stand on both sides, and there a pooling covers whole windows only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Convolution:
    """A convolution followed by a ReLU.

    Attributes:
        channels: Output channels.
        kernel: Size in steps, and in bands for images.
        stride: In steps, and in bands for images.
        padding: Zeros before the first step, and on both sides of the bands.
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True)
class Pooling:
    """The maximum of `kernel` steps (and bands), at every `stride`-th.

    Attributes:
        kernel: Size in steps, and in bands for images.
        stride: In steps, and in bands for images.
    """

    kernel: int
    stride: int


@dataclass(frozen=True)
class Stack:
    """The layers of an encoder.

    Attributes:
        layers: In order.
        features: The key of its frames in `features.registry.FEATURES`.
        image: Whether the kernels also move along the bands.
        copies: How often the input is repeated as channels.
    """

    layers: tuple[Convolution | Pooling, ...]
    features: str
    image: bool = True
    copies: int = 1


def _alexnet(first: int, second: int, *others: int) -> tuple[Convolution | Pooling, ...]:
    """AlexNet's kernels, strides and poolings with these numbers of channels (Krizhevsky 2014)."""
    pooling = Pooling(kernel=3, stride=2)
    return (
        Convolution(first, kernel=11, stride=4, padding=2),
        pooling,
        Convolution(second, kernel=5, padding=2),
        pooling,
        *(Convolution(channels, kernel=3, padding=1) for channels in others),
        pooling,
    )


STACKS: dict[str, Stack] = {
    # Bertero & Fung 2017: filters of 25 ms on raw sound, pooled in time. The second layer is ours; it spans 0.2 s.
    "waveform-cnn": Stack(
        (
            Convolution(64, kernel=400, stride=80, padding=160),
            Pooling(kernel=4, stride=4),
            Convolution(128, kernel=9, padding=4),
            Pooling(kernel=4, stride=4),
        ),
        features="waveform",
        image=False,
    ),
    # Badshah et al. 2017: three convolutions with these channels and kernels, and poolings.
    "spectrogram-cnn": Stack(_alexnet(120, 256, 384), features="spectrogram"),
    # torchvision's AlexNet, `features.*` (Krizhevsky 2014): its weights fit, including their names.
    "alexnet": Stack(_alexnet(64, 192, 384, 256, 256), features="spectrogram", copies=3),
}
"""Name of a convolutional encoder → its layers."""


def layer_numbers(stack: Stack) -> tuple[int, ...]:
    """Number the layers as torchvision does: a convolution and its ReLU take two numbers, a pooling one.

    Args:
        stack: The layers.

    Returns:
        The number of each layer.
    """
    used, result = 0, []
    for layer in stack.layers:
        result.append(used)
        used += 2 if isinstance(layer, Convolution) else 1
    return tuple(result)


def bands_left(stack: Stack, bands: int) -> int:
    """Count the bands that are left after all layers.

    Args:
        stack: The layers.
        bands: Bands of the input.

    Returns:
        Their number; 1 for a stack that does not move along bands.
    """
    for layer in stack.layers if stack.image else ():
        padding = 2 * layer.padding if isinstance(layer, Convolution) else 0
        bands = (bands + padding - layer.kernel) // layer.stride + 1
    return bands if stack.image else 1
