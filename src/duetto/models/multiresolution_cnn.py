"""The multi-resolution CNN over words, a reconstruction after Cho et al. 2018, and its verification loss.

    words (batch, n, dim) ─┬ convolution over 1 word ──┐
                           ├ …                         ├ ReLU ─ mean and deviation over words ─ dense ─▶ (batch, dense)
                           └ convolution over 5 words ─┘

The abstract names parallel convolutions of different kernel sizes, temporal pooling into one embedding, and a
weighted sum of a classification and a verification loss. Kernel sizes, filters, pooling and the form of that loss
could not be read; docs/systems.md lists what is ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config.encoders import MCNN_KERNELS
from .attention import real_steps
from .pooling import mean_and_deviation


class MultiResolutionEncoder(nn.Module):
    """Parallel convolutions, each pooled over the words, a dense layer with ReLU, dropout.

    The sentence is padded with zeros on both sides, so that every kernel has one output per word, however short the
    sentence. A sequence of length 0 is read as one step of zeros.

    Args:
        input_size: Values in the vector of a word.
        filters: Output channels of each convolution.
        dense: Units of the dense layer.
        dropout: Share of its outputs that is dropped in training.
    """

    def __init__(self, input_size: int, filters: int, dense: int, dropout: float) -> None:
        super().__init__()
        convolutions = [nn.Conv1d(input_size, filters, kernel) for kernel in MCNN_KERNELS]
        for convolution in convolutions:
            nn.init.xavier_uniform_(convolution.weight)  # like the dense layers
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
        self.convolutions = nn.ModuleList(convolutions)
        self.dense = nn.Linear(2 * filters * len(MCNN_KERNELS), dense)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Encode a batch.

        Args:
            x: (batch, n, input_size).
            lengths: (batch,) words of each sentence.

        Returns:
            (batch, dense).
        """
        real = real_steps(x, lengths.clamp(min=1))[:, None]  # (batch, 1, n)
        x = x.transpose(1, 2) * real
        pooled: list[Tensor] = []
        for kernel, convolution in zip(MCNN_KERNELS, self.convolutions, strict=True):
            padded = functional.pad(x, ((kernel - 1) // 2, kernel // 2))
            pooled += mean_and_deviation(torch.relu(convolution(padded)), real)
        return self.dropout(torch.relu(self.dense(torch.cat(pooled, dim=-1))))


def verification_loss(embeddings: Tensor, target: Tensor) -> Tensor:
    """Compute the cosine embedding loss with margin 0 over all pairs of a batch.

    The mean of 1 − cos over pairs of one class, and of max(0, cos) over pairs of different classes: embeddings of one
    emotion are pulled together, those of different emotions apart. A batch of one has no pair and a loss of 0.

    Args:
        embeddings: (batch, width).
        target: (batch,) class numbers.

    Returns:
        A scalar.
    """
    if len(target) < 2:
        return embeddings.new_zeros(())
    i, j = torch.triu_indices(len(target), len(target), offset=1, device=target.device)
    agrees = torch.where(target[i] == target[j], 1, -1)
    return functional.cosine_embedding_loss(embeddings[i], embeddings[j], agrees)
