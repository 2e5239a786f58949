"""The run folder: what is read from it is whole and typed; what is damaged is one clear error."""

import copy
import json
import random
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from duetto import audit, runs
from duetto.baselines import BASELINES
from duetto.config import experiment
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, ModelError
from duetto.experiments import trainings
from duetto.splits import Fold


def fold(folder: Path) -> Fold:
    parts = ([Utterance(f"{part}{i}", folder / f"{part}{i}.wav", label="sad") for i in range(2)] for part in runs.PARTS)
    return Fold("first", *map(tuple, parts))


def test_an_outcome_of_other_utterances_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f/outcome.npz"
    runs.save_outcome(path, np.zeros((3, 4)), 1.5, notes=["a"])
    logits, temperature = runs.load_outcome(path, (3, 4))
    assert logits.shape == (3, 4) and temperature == 1.5 and runs.outcome_value(path, "notes") == ["a"]
    with pytest.raises(ModelError, match=r"logits \(3, 4\) where \(4, 4\) should be; delete it"):
        runs.load_outcome(path, (4, 4))
    with pytest.raises(ModelError, match="'history' is missing; delete it"):
        runs.outcome_value(path, "history")
    runs.save_outcome(path, np.full((3, 4), np.nan), 1.5)
    with pytest.raises(ModelError, match="damaged, no logits and temperature in it; delete it"):
        runs.load_outcome(path)


def mutated(value: Any, generator: random.Random) -> Any:
    """A JSON value in which one thing, at any depth, is gone or of another kind."""
    value = copy.deepcopy(value)
    parent, key = {"": value}, ""
    while isinstance(child := parent[key], dict | list) and child and generator.random() < 0.8:
        parent, key = child, generator.choice(list(child) if isinstance(child, dict) else range(len(child)))
    if generator.random() < 0.3 and parent is not None and key != "":
        del parent[key]
    else:
        parent[key] = generator.choice([None, True, -1, 10**400, 1e308, "x", "\x1b[2J", [], [[]], {}, {"a": [1]}])
    return parent[""] if key == "" else value


@pytest.mark.parametrize("system", [experiment.load("fusion-random"), BASELINES["svm"]], ids=lambda s: s.name)
def test_whatever_is_wrong_in_a_description_is_one_error(tmp_path: Path, system: Any) -> None:
    described = json.loads(json.dumps(runs.describe(system, "session5", [fold(tmp_path)], [0, 1])))
    (tmp_path / runs.RUN).write_text(json.dumps(described))
    assert runs.read(tmp_path) == described
    generator, refused = random.Random(0), 0
    for _ in range(600):
        (tmp_path / runs.RUN).write_text(json.dumps(mutated(described, generator)))
        for reader in (runs.read, runs.experiment_of, runs.reads_words, runs.result_of, audit.audit_run):
            try:
                reader(tmp_path)
            except (ModelError, ConfigurationError) as error:
                refused += reader is runs.read
                assert str(tmp_path) in str(error) and "\x1b" not in str(error)
    assert refused > 200


def test_the_error_of_a_killed_training_process_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(ThreadPoolExecutor):
        def submit(self, *_: Any, **__: Any) -> Any:
            raise BrokenProcessPool("a child was terminated")

    monkeypatch.setattr(trainings.parallel, "_pool", lambda workers, *_: Broken(workers))
    job: Any = SimpleNamespace(experiment=experiment.load("acoustic"))
    with pytest.raises(ModelError, match=r"killed for lack of memory \(a child .*--workers 1"):
        trainings.train_all([job] * 2, 2, None, accelerator="cpu", devices=1)
