"""The layers of the convolutional encoders, as plain data: PyTorch trains them, ONNX graphs repeat them.

    waveform     (samples)       ─ convolutions, poolings ─▶ (channels, steps)          ┐
    spectrogram  (bands, frames) ─ convolutions, poolings ─▶ (channels · bands, steps)  ┴ mean over the steps

Every layer of stride s gives ⌈n / s⌉ steps of n: step t is there where its stride begins within the sequence, and what
lies beyond the end counts as zero. So one sample has one step, every length works, and an answer does not
depend on what a sequence was padded with. A layer's `padding` zeros come before the first step; along the bands
of a spectrogram they stand on both sides, and there a pooling takes whole windows only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Convolution:
    """A convolution and a ReLU. channels: that it gives. kernel, stride: in steps, and in bands where there are any."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True)
class Pooling:
    """The largest of `kernel` steps (and bands), at every `stride`-th."""

    kernel: int
    stride: int


@dataclass(frozen=True)
class Stack:
    """An encoder's layers. features: the key of its frames (`features.registry`). image: whether it slides
    along the bands too. copies: how often the input is repeated as channels."""

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
    # torchvision's AlexNet, `features.*` (Krizhevsky 2014): its weights fit, names and all.
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
"""Value of the key `acoustic_encoder`, where it is not `bilstm` → layers."""


def places(stack: Stack) -> tuple[int, ...]:
    """The number of each layer, as torchvision counts: a convolution and its ReLU take two, a pooling one."""
    taken, result = 0, []
    for layer in stack.layers:
        result.append(taken)
        taken += 2 if isinstance(layer, Convolution) else 1
    return tuple(result)


def bands_left(stack: Stack, bands: int) -> int:
    """Bands after all layers, of `bands` that come in; 1 where there are none."""
    for layer in stack.layers if stack.image else ():
        padding = 2 * layer.padding if isinstance(layer, Convolution) else 0
        bands = (bands + padding - layer.kernel) // layer.stride + 1
    return bands if stack.image else 1
