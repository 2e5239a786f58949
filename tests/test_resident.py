"""DeviceSequences sequences give the batches that padding one by one gives."""

import numpy as np
import pytest
import torch

from duetto.preprocessing import pad
from duetto.training.dataset import DeviceSequences

RNG = np.random.default_rng(0)
FRAMES = [RNG.normal(size=(n, 3)).astype(np.float32) for n in (4, 1, 9, 0, 6)]
WORDS = [RNG.integers(1, 50, n) for n in (2, 0, 7, 5, 1)]


@pytest.mark.parametrize("padding", ["packed", "pre", "post"])
@pytest.mark.parametrize("sequences", [FRAMES, WORDS], ids=["frames", "words"])
@pytest.mark.parametrize("index", [[0, 1, 2, 3, 4], [4, 0], [2, 2], [3], [1]])
def test_batches_equal_padding_one_by_one(padding: str, sequences: list[np.ndarray], index: list[int]) -> None:
    resident = DeviceSequences.of(sequences, "cpu", padding=padding, maximum=6)
    values, lengths = resident(torch.tensor(index))
    expected = pad([sequences[i] for i in index], padding=padding, maximum=6)
    np.testing.assert_array_equal(values.numpy(), expected.values)
    np.testing.assert_array_equal(lengths.numpy(), expected.lengths)
    assert values.dtype == torch.from_numpy(expected.values).dtype
