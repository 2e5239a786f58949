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
    """Small matrices on shared cores: one thread is fastest, and its sums have one order."""
    import torch

    torch.set_num_threads(1)
