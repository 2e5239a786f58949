"""Corpora larger than memory: the same batches and the same weights, whether frames are kept or read for each batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import quick_training
from duetto import runs
from duetto.training import inputs
from duetto.training.dataset import DeviceSequences, LazySequences
from duetto.training.lazy_frames import LazyFrames, drawn, lengths_of, within


def arrays(lengths: list[int]) -> list[np.ndarray]:
    return [np.random.default_rng(i).normal(size=(n, 3)).astype(np.float32) for i, n in enumerate(lengths)]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.sampled_from(["packed", "pre", "post"]))
def test_batches_are_those_of_sequences_in_memory(lengths: list[int], padding: str) -> None:
    kept = arrays(lengths)
    lazy = LazyFrames(kept.__getitem__, lengths)
    index = torch.arange(len(kept)).flip(0)
    one = LazySequences(lazy, torch.device("cpu"), padding=padding, maximum=6)(index)
    other = DeviceSequences.of(kept, "cpu", padding=padding, maximum=6)(index)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_frames_are_kept_up_to_a_limit_and_read_again_beyond_it() -> None:
    kept, read = arrays([2, 3, 4]), []

    def get(i: int) -> np.ndarray:
        read.append(i)
        return kept[i]

    size = sum(x.nbytes for x in kept)
    assert isinstance(within(size, get, [2, 3, 4]), list) and read == [0, 1, 2]
    lazy = within(size - 1, get, [2, 3, 4])
    assert isinstance(lazy, LazyFrames) and len(lazy) == 3 and lengths_of(lazy) == [2, 3, 4]
    read.clear()
    np.testing.assert_array_equal(lazy[1], kept[1])
    assert read == [1] and [len(x) for x in lazy[1:]] == [3, 4] and [len(x) for x in lazy] == [2, 3, 4]
    with pytest.raises(IndexError):
        lazy[3]


def test_variants_are_drawn_without_being_read() -> None:
    kept, copies = arrays([2, 3]), arrays([5, 6])
    lazy = LazyFrames(lambda i: pytest.fail("read") if i == 0 else copies[i], [5, 6])
    chosen = drawn([kept, lazy], np.array([0, 1]))
    assert isinstance(chosen, LazyFrames) and lengths_of(chosen) == [2, 6]
    np.testing.assert_array_equal(chosen[1], copies[1])
    assert drawn([kept, copies], np.array([1, 0]))[0] is copies[0]


@pytest.mark.parametrize("system", ["acoustic", "acoustic-portable"])
def test_a_training_gives_the_same_weights(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit; the second has augmented copies, of which each epoch draws."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    kept = quick_training.train(system, tmp_path / "a")
    monkeypatch.setattr(inputs, "IN_MEMORY", 0)
    lazy = quick_training.train(system, tmp_path / "b")
    for run in (kept, lazy):
        assert (run / "fold0-seed0/model.safetensors").is_file()
    assert (kept / "fold0-seed0/model.safetensors").read_bytes() == (
        lazy / "fold0-seed0/model.safetensors"
    ).read_bytes()
    np.testing.assert_array_equal(runs.result_of(kept).logits, runs.result_of(lazy).logits)
