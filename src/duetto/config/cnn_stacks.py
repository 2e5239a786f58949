"""The layers of the CNN encoders, as plain data: `models.cnn` trains them, `models.onnx.cnn` builds their graphs.

    waveform     (samples)       ─ convolutions, poolings ─▶ (channels, steps)          ┐
    spectrogram  (bands, frames) ─ convolutions, poolings ─▶ (channels · bands, steps)  ┴ mean over the steps

A layer of stride s maps n steps to ⌈n / s⌉: step t exists where its stride begins within the sequence, and whatever
lies beyond the end counts as zero. So a sequence of any length has a step, and the output does not depend on the
padding of the batch. A layer's own `padding` puts zeros before the first step; along the bands of a spectrogram it puts
them on both sides, and there a pooling takes whole windows only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Convolution:
    """A convolution and a ReLU.

    Attributes:
        channels: Output channels.
        kernel: Kernel size in steps, and in bands of an image.
        stride: Stride in steps, and in bands of an image.
        padding: Zeros before the first step, and on both sides of the bands.
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True)
class Pooling:
    """Max pooling.

    Attributes:
        kernel: Window in steps, and in bands of an image.
        stride: Stride in steps, and in bands of an image.
    """

    kernel: int
    stride: int


@dataclass(frozen=True)
class Stack:
    """The layers of one encoder.

    Attributes:
        layers: In order.
        features: Its input, a key of `features.registry.FEATURES`.
        image: Whether layers slide along the bands too.
        copies: Input channels, all equal.
    """

    layers: tuple[Convolution | Pooling, ...]
    features: str
    image: bool = True
    copies: int = 1


STACKS: dict[str, Stack] = {
    # Bertero & Fung 2017: filters of 25 ms on raw sound, pooled in time. The second layer is ours: it sees 0.2 s.
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
    # Badshah et al. 2017: three convolutions of these channels and kernels, with poolings.
    "spectrogram-cnn": Stack(
        (
            Convolution(120, kernel=11, stride=4, padding=2),
            Pooling(kernel=3, stride=2),
            Convolution(256, kernel=5, padding=2),
            Pooling(kernel=3, stride=2),
            Convolution(384, kernel=3, padding=1),
            Pooling(kernel=3, stride=2),
        ),
        features="spectrogram",
    ),
    # torchvision's AlexNet, `features.*` (Krizhevsky 2014); weights have the same shapes and names.
    "alexnet": Stack(
        (
            Convolution(64, kernel=11, stride=4, padding=2),
            Pooling(kernel=3, stride=2),
            Convolution(192, kernel=5, padding=2),
            Pooling(kernel=3, stride=2),
            Convolution(384, kernel=3, padding=1),
            Convolution(256, kernel=3, padding=1),
            Convolution(256, kernel=3, padding=1),
            Pooling(kernel=3, stride=2),
        ),
        features="spectrogram",
        copies=3,
    ),
}
"""Value of `Experiment.acoustic_encoder` → its layers."""


def layer_numbers(stack: Stack) -> tuple[int, ...]:
    """Number the layers as torchvision does: a convolution and its ReLU take two numbers, a pooling one.

    Args:
        stack: An encoder.

    Returns:
        The number of each of its layers.
    """
    taken, result = 0, []
    for layer in stack.layers:
        result.append(taken)
        taken += 2 if isinstance(layer, Convolution) else 1
    return tuple(result)


def bands_left(stack: Stack, bands: int) -> int:
    """Count the bands after all layers.

    Args:
        stack: An encoder.
        bands: Bands of its input.

    Returns:
        Bands of its output; 1 for an encoder of waveforms.
    """
    for layer in stack.layers if stack.image else ():
        padding = 2 * layer.padding if isinstance(layer, Convolution) else 0
        bands = (bands + padding - layer.kernel) // layer.stride + 1
    return bands if stack.image else 1
