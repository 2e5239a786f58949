"""The names of the encoders.

Adding an encoder: a PyTorch block with an entry in `models.encoders.ENCODERS`, its ONNX twin with an entry in
`models.onnx.networks.ENCODERS`, its name here, and an experiment file that selects it. A test compares the three.
"""

from __future__ import annotations

from .cnn_stacks import STACKS

ACOUSTIC_ENCODERS: tuple[str, ...] = ("bilstm", "statistics", "vector", *STACKS)
"""Values of the key `acoustic_encoder`."""

WORD_ENCODERS: tuple[str, ...] = ("bilstm", "mcnn", "tfidf")
"""Values of the key `word_encoder`."""

KERNEL_LIMIT = 3.0
"""Deviations that a z-scored value approaches however far it lies out, in the kernel of the classifier `svm`: a few
extreme values would otherwise make a vector similar to nothing."""

VECTORS = ("vector", "tfidf")
"""Encoders whose input is one vector for each utterance, which the classifiers without gradient training need."""

LINEAR = ("logistic", "discriminant")
"""Classifiers that give one linear layer."""

MCNN_KERNELS = (1, 2, 3, 4, 5)
"""Kernel sizes, in words, of the parallel convolutions of `mcnn`."""
