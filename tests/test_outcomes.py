"""Outcomes of trainings: kept whole, refused where damaged; a process that is killed says what to do."""

import json
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from duetto import evaluation, experiment, outcomes
from duetto.errors import ModelError


def test_an_outcome_of_other_utterances_is_refused(tmp_path: Path) -> None:
    outcomes.save(tmp_path / "f/outcome.npz", np.zeros((3, 4)), 1.5, notes=["a"])
    kept = outcomes.load(tmp_path / "f/outcome.npz", (3, 4))
    assert kept["temperature"] == 1.5 and json.loads(str(kept["notes"])) == ["a"]
    with pytest.raises(ModelError, match=r"logits \(3, 4\) where \(4, 4\) should be"):
        outcomes.load(tmp_path / "f/outcome.npz", (4, 4))


def test_a_killed_training_process_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(ThreadPoolExecutor):
        def submit(self, *_: Any, **__: Any) -> Any:
            raise BrokenProcessPool("a child was terminated")

    monkeypatch.setattr(evaluation, "ProcessPoolExecutor", lambda workers, _: Broken(workers))
    job: Any = SimpleNamespace(run=SimpleNamespace(experiment=experiment.load("acoustic")))
    with pytest.raises(ModelError, match=r"killed for want of memory \(a child .*--workers 1"):
        evaluation._train_in_processes([job], 2, None)
