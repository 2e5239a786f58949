"""Shared fixtures: real corpora, where the user has them."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The optional folder of real corpora (environment variable DUETTO_DATA)."""
    folder = os.environ.get("DUETTO_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("DUETTO_DATA names no folder of real corpora")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small matrices on shared cores: one thread is fastest, and its sums have one order; matrix.py asks for two."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(scope="session", autouse=True)
def no_whisper_at_hand() -> None:
    """Results of the tests do not depend on the models that lie in the cache of this computer."""
    os.environ["DUETTO_WHISPER"] = "off"


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic corpus in the shape of IEMOCAP: 80 utterances, 8 of each speaker."""
    pytest.importorskip("espeakng_loader")
    from duetto import synthetic

    folder = tmp_path_factory.mktemp("synthetic") / "corpus"
    synthetic.write(folder, size=80, seed=1, workers=1)
    return folder


@pytest.fixture(scope="session")
def manifest(tree: Path) -> Path:
    """Its manifest, of the utterances that have a class."""
    from duetto import corpora
    from duetto.data import labels
    from duetto.data.manifest import write_manifest

    path = tree.parent / "manifest.jsonl"
    write_manifest(path, labels.selected(corpora.load("synthetic", tree)))
    return path


SMALL = {"hidden": 8, "dense": 8, "word_dim": 4, "epochs": 2}
"""Changes that make any system quick to train."""


@pytest.fixture(scope="session")
def runs(manifest: Path) -> Path:
    """Finished runs of quickly trained systems on the small corpus, one folder each."""
    from duetto.config import experiment
    from duetto.data.manifest import read_manifest
    from duetto.experiments.runner import run_systems
    from duetto.experiments.workspace import Workspace
    from duetto.training.word_embeddings import EmbeddingConfig

    folder = manifest.parent / "runs"
    names = ("acoustic", "fusion-speech2vec", "fusion-spoken", "embedding-random")
    workspace = Workspace(manifest.parent / "cache", EmbeddingConfig(epochs=1))
    systems = [experiment.load(name, **SMALL) for name in names]
    run_systems(systems, read_manifest(manifest), "session5", [folder / name for name in names], workspace)
    return folder
