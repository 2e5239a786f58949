"""The multi-resolution CNN and its verification loss, against NumPy and values worked by hand."""

import math

import numpy as np
import pytest
import torch

from duetto.config.encoders import MCNN_KERNELS
from duetto.models.multiresolution_cnn import MultiResolutionEncoder, mean_and_deviation, verification_loss


def encoder(filters: int = 3, dense: int = 6) -> MultiResolutionEncoder:
    torch.manual_seed(0)
    layer = MultiResolutionEncoder(4, filters, dense, dropout=0.0).double().eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return layer


def written_out(layer: MultiResolutionEncoder, words: np.ndarray) -> np.ndarray:
    """The encoder for one sentence (n, dim), kernel by kernel and word by word."""
    pooled = []
    for kernel, convolution in zip(MCNN_KERNELS, layer.convolutions, strict=True):
        weight, bias = (parameter.detach().numpy() for parameter in convolution.parameters())
        before = (kernel - 1) // 2
        padded = np.concatenate((np.zeros((before, 4)), words, np.zeros((kernel // 2, 4))))
        seen = [np.einsum("fdk,kd->f", weight, padded[i : i + kernel]) + bias for i in range(len(words))]
        active = np.maximum(seen, 0.0)
        pooled += [active.mean(0), np.sqrt(active.var(0) + 1e-5)]
    dense, offset = (parameter.detach().numpy() for parameter in layer.dense.parameters())
    return np.maximum(dense @ np.concatenate(pooled) + offset, 0.0)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_equals_the_definition_also_where_kernels_are_longer_than_the_sentence(n: int) -> None:
    layer = encoder()
    words = np.random.default_rng(n).normal(size=(n, 4))
    given = layer(torch.from_numpy(words)[None], torch.tensor([n]))[0]
    np.testing.assert_allclose(given.detach().numpy(), written_out(layer, words), rtol=1e-10, atol=1e-12)


def test_no_word_is_one_step_of_zeros() -> None:
    layer = encoder()
    given = layer(torch.zeros(1, 3, 4, dtype=torch.float64), torch.tensor([0]))[0]
    np.testing.assert_allclose(given.detach().numpy(), written_out(layer, np.zeros((1, 4))), rtol=1e-10, atol=1e-12)


def test_a_repeated_word_has_no_deviation_and_a_gradient() -> None:
    x = torch.full((1, 2, 3), 2.0, requires_grad=True)
    mean, deviation = mean_and_deviation(x, torch.tensor([[[True, True, False]]]))
    assert mean.tolist() == [[2.0, 2.0]]
    np.testing.assert_allclose(deviation.detach().numpy(), math.sqrt(1e-5), rtol=1e-6)
    deviation.sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_verification_loss_worked_by_hand() -> None:
    """Cosines: a·b = 0.6, a·c = −1, b·c = −0.6, lengths cancel. Of one emotion: a, c; pairs a-b, b-c differ."""
    embeddings = torch.tensor([[2.0, 0.0], [3.0, 4.0], [-5.0, 0.0]])
    loss = verification_loss(embeddings, torch.tensor([1, 0, 1]))
    assert float(loss) == pytest.approx(((1 - -1) + 0.6 + 0.0) / 3, rel=1e-6)


def test_verification_loss_is_least_where_emotions_are_apart() -> None:
    target = torch.tensor([0, 1, 0, 1])
    apart = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert float(verification_loss(apart, target)) == pytest.approx(0.0, abs=1e-6)
    assert float(verification_loss(torch.ones(4, 2), target)) == pytest.approx(4 / 6, rel=1e-6)
    assert float(verification_loss(torch.ones(1, 2), torch.tensor([0]))) == 0.0
    assert float(verification_loss(torch.zeros(4, 2), target)) < 1.1, "no direction at all is no number to fear"
