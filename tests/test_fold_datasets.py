"""The parts of a fold as datasets of PyTorch: the same batches as training's own, in the loader of PyTorch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import planted
from duetto.config import experiment
from duetto.data.manifest import read_manifest
from duetto.errors import ConfigurationError
from duetto.experiments.fold_datasets import FoldDatasets, fold_datasets
from duetto.training import Batches, PreparedDataset, fit_preprocessor, prepare


@pytest.fixture(scope="module")
def data(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> FoldDatasets:
    system = experiment.load("fusion-random", word_dim=4)
    return fold_datasets(system, read_manifest(manifest), "session5", tmp_path_factory.mktemp("cache"))


def test_the_parts_are_those_of_the_fold(data: FoldDatasets) -> None:
    for name in ("train", "development", "test"):
        part, utterances = getattr(data, name), getattr(data.fold, name)
        assert part.ids == tuple(u.id for u in utterances) and len(part) == len(utterances) > 0
        assert [part.classes[item.target] for item in part] == [u.label for u in utterances]
    assert {u.session for u in data.fold.test} == {"5"}


def test_normalisation_is_that_of_the_training_part(data: FoldDatasets) -> None:
    """By torch over the items: mean 0 and deviation 1 on the training part, and nowhere else."""
    parts = [torch.cat([item.frames for item in part]) for part in (data.train, data.test)]
    torch.testing.assert_close(parts[0].mean(0), torch.zeros(34), atol=1e-3, rtol=0)
    torch.testing.assert_close(parts[0].std(0, correction=0), torch.ones(34), atol=1e-3, rtol=0)
    assert not torch.allclose(parts[1].mean(0), torch.zeros(34), atol=1e-2)


@pytest.mark.parametrize("padding", ["packed", "pre", "post"])
@pytest.mark.parametrize("name", ["fusion-random", "acoustic", "embedding-random"])
def test_batches_equal_those_of_training(padding: str, name: str) -> None:
    inputs = planted.fold(40)
    preprocessor = fit_preprocessor(experiment.load(name, padding=padding, max_frames=20, max_words=3), inputs)
    prepared = prepare(inputs.fold.train, preprocessor, inputs.frames)
    dataset = PreparedDataset(preprocessor, prepared, [u.id for u in inputs.fold.train])
    index = [3, 0, 7]
    expected = Batches(preprocessor, prepared)(np.array(index), torch.device("cpu"))
    for found, wanted in zip(dataset.collate([dataset[i] for i in index]), expected, strict=True):
        assert (found is None) == (wanted is None)
        if found is not None:
            torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_a_loader_of_pytorch_learns_what_is_planted() -> None:
    """A loop of one's own, on frames that tell arousal: test speakers' is recognised."""
    inputs = planted.fold()
    preprocessor = fit_preprocessor(experiment.load("acoustic"), inputs)
    train, test = (
        PreparedDataset(preprocessor, prepare(part, preprocessor, inputs.frames), [u.id for u in part])
        for part in (inputs.fold.train, inputs.fold.test)
    )
    torch.manual_seed(0)
    model = torch.nn.Linear(34, 4)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    loader = DataLoader(train, batch_size=16, shuffle=True, collate_fn=train.collate)

    def logits(batch):
        return model(batch.frames.sum(1) / batch.frame_lengths[:, None])

    for _ in range(10):
        for batch in loader:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(logits(batch), batch.target).backward()
            optimiser.step()
    batch = test.collate(list(test))
    aroused = torch.tensor([name in planted.AROUSED for name in train.classes])
    assert (aroused[logits(batch).argmax(1)] == aroused[batch.target]).float().mean() > 0.9  # 0.5 by chance


def test_workers_of_the_loader_get_the_same(data: FoldDatasets) -> None:
    batches = [list(DataLoader(data.test, batch_size=4, collate_fn=data.test.collate, num_workers=n)) for n in (0, 1)]
    for one, other in zip(*batches, strict=True):
        torch.testing.assert_close(one.frames, other.frames)


def test_what_is_not_there_is_an_error(manifest: Path, tmp_path: Path) -> None:
    utterances = read_manifest(manifest)
    with pytest.raises(ConfigurationError, match="'session5' has no fold 1; it has folds 0 to 0"):
        fold_datasets(experiment.load("acoustic"), utterances, "session5", tmp_path, fold=1)
    tested = next(u for u in utterances if u.session == "5")
    leaking = [*utterances, replace(tested, id="again", session="1", speaker="another")]
    with pytest.raises(ConfigurationError, match="leaks here"):
        fold_datasets(experiment.load("acoustic"), leaking, "session5", tmp_path)
