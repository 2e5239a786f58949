"""The loop: same seed same weights, killed and resumed same weights, several processes, refusals."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from duetto.errors import ConfigurationError, DuettoError, ModelError
from duetto.training import checkpoint
from duetto.training.loop import CHOSEN, LAST, TrainingConfig, derive, fit
from duetto.training.tensorboard import summary_writer

CONFIG = TrainingConfig(epochs=4, learning_rate=0.05)


class Line:
    """y = 3x − 1 by least squares; an epoch can be told to fail, and scores can be dictated."""

    def __init__(self, fail_in: int | None = None, scores: Sequence[float] = ()) -> None:
        self.fail_in, self.scores, self.developed = fail_in, scores, 0

    def batches(self, epoch: int) -> list[Tensor]:
        if epoch == self.fail_in:
            raise KeyboardInterrupt
        return list(torch.from_numpy(np.random.default_rng(epoch).normal(size=(6, 16, 1)).astype(np.float32)))

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return (model(batch) - (3 * batch - 1)).square().mean()

    def develop(self, model: nn.Module) -> dict[str, float]:
        x = torch.linspace(-1, 1, 9)[:, None]
        self.developed += 1
        return {"score": self.scores[self.developed - 1] if self.scores else -float(self.loss(model, x))}


def model() -> nn.Module:
    torch.manual_seed(0)
    # Dropout makes every step depend on the random state, which resuming must restore.
    return nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.3), nn.Linear(8, 1))


def weights(net: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_learns_the_planted_line(tmp_path: Path) -> None:
    net = nn.Linear(1, 1)
    history = fit(net, Line(), replace(CONFIG, epochs=40), tmp_path)
    assert weights(net).tolist() == pytest.approx([3, -1], abs=1e-2)
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
    assert list((tmp_path / "tensorboard").iterdir())


def test_same_seed_same_weights_other_seed_other_weights(tmp_path: Path) -> None:
    trained = []
    for i, seed in enumerate((5, 5, 6)):
        net = model()
        fit(net, Line(), replace(CONFIG, seed=seed), tmp_path / str(i))
        trained.append(weights(net))
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_interrupted_and_resumed_ends_with_the_same_weights(tmp_path: Path, optimiser: str) -> None:
    config = replace(CONFIG, optimiser=optimiser)
    straight, resumed = model(), model()
    fit(straight, Line(), config, tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        fit(resumed, Line(fail_in=2), config, tmp_path / "resumed")
    fresh = model()
    history = fit(fresh, Line(), config, tmp_path / "resumed")
    assert torch.equal(weights(straight), weights(fresh))
    assert [record["epoch"] for record in history.epochs] == [0, 1, 2, 3]


def test_killed_for_real_and_resumed_ends_with_the_same_weights(tmp_path: Path) -> None:
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_training as t
from pathlib import Path
class Killed(t.Line):
    def batches(self, epoch):
        if epoch == 2: os.kill(os.getpid(), 9)
        return super().batches(epoch)
t.fit(t.model(), Killed(), t.CONFIG, Path({str(tmp_path / "killed")!r}))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == -signal.SIGKILL
    straight, resumed = model(), model()
    fit(straight, Line(), CONFIG, tmp_path / "straight")
    fit(resumed, Line(), CONFIG, tmp_path / "killed")
    assert torch.equal(weights(straight), weights(resumed))


def test_finished_training_is_not_repeated(tmp_path: Path) -> None:
    fit(model(), Line(), CONFIG, tmp_path)
    net, task = model(), Line(fail_in=0)
    history = fit(net, task, CONFIG, tmp_path)
    assert task.developed == 0 and len(history.epochs) == 4


SCORES = [0.1, 0.5, 0.5 + 1e-12, 0.2, 0.3, 0.1]  # equal but for rounding is equal


@pytest.mark.parametrize(
    ("choice", "patience", "chosen", "epochs"),
    [("development", 0, 1, 6), ("last", 0, 5, 6), ("development", 2, 1, 4), ("last", 2, 3, 4)],
)
def test_epoch_is_chosen_on_development_scores(
    tmp_path: Path, choice: str, patience: int, chosen: int, epochs: int
) -> None:
    """Best score, the earliest of equals; patience counts epochs without a better one."""
    config = replace(CONFIG, epochs=6, choice=choice, patience=patience)
    history = fit(model(), Line(scores=SCORES), config, tmp_path)
    assert history.chosen == chosen and len(history.epochs) == epochs
    kept, _ = checkpoint.load(tmp_path / CHOSEN)
    last, _ = checkpoint.load(tmp_path / LAST)
    same = torch.equal(kept["0.weight"], last["model.0.weight"])
    assert same == (choice == "last")


def test_two_processes_train_one_model(tmp_path: Path) -> None:
    net = model()
    history = fit(net, Line(), replace(CONFIG, devices=2, epochs=10), tmp_path)
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]


def test_two_processes_average_their_gradients(tmp_path: Path) -> None:
    """Full-batch SGD over equal halves: two processes with half each equal one with the whole."""

    class Halves(Line):
        def __init__(self, parts: int) -> None:
            super().__init__()
            self.parts = parts

        def batches(self, epoch: int) -> list[Tensor]:
            return list(torch.linspace(-1, 2, 32)[:, None].chunk(self.parts))

    trained = []
    for devices in (1, 2):
        torch.manual_seed(1)
        net = nn.Linear(1, 1)
        config = replace(CONFIG, optimiser="sgd", devices=devices)
        fit(net, Halves(devices), config, tmp_path / str(devices))
        trained.append(weights(net))
    torch.testing.assert_close(trained[0], trained[1], rtol=1e-6, atol=1e-7)


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    fit(model(), Line(), CONFIG, tmp_path)
    with pytest.raises(ModelError, match="trained with other settings; choose another folder"):
        fit(model(), Line(), replace(CONFIG, learning_rate=0.1), tmp_path)


def test_a_loss_that_is_no_number_stops_with_advice(tmp_path: Path) -> None:
    class Broken(Line):
        def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
            return super().loss(model, batch) * float("nan")

    with pytest.raises(DuettoError, match="loss became nan in epoch 1; lower the learning rate"):
        fit(model(), Broken(), CONFIG, tmp_path)


def test_what_no_training_can_use_is_refused_before_it() -> None:
    with pytest.raises(ConfigurationError, match="choose adam or sgd"):
        replace(CONFIG, optimiser="lion")
    for rate in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="give a number above 0"):
            replace(CONFIG, learning_rate=rate)


def test_progress_reaches_its_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fit(model(), Line(), CONFIG, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 24) for i in range(1, 25)]


def test_derived_seeds_are_stable_and_differ() -> None:
    assert derive(1, "a") == derive(1, "a") and derive(1, "a") >= 0
    assert len({derive(s, n) for s in range(50) for n in range(50)}) == 2500


def test_checkpoint_round_trip_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {"a": torch.arange(6).reshape(2, 3).T}, {"k": [1, "ü"]})
    tensors, meta = checkpoint.load(path)
    assert tensors["a"].tolist() == [[0, 3], [1, 4], [2, 5]] and meta == {"k": [1, "ü"]}
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ModelError, match=r"x\.safetensors: .*damaged, or no checkpoint of duetto"):
        checkpoint.load(path)
    with pytest.raises(ModelError, match="no such checkpoint"):
        checkpoint.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": None}, "trained with other settings"),
        ({"epoch": 10**400}, "'epoch' must be an integer from 2 to 2"),
        ({"epoch": None}, "'epoch' must be an integer"),
        ({"best_epoch": 7}, "'best_epoch' must be an integer from -1 to 1"),
        ({"history": {}}, "'history' must be a list"),
        ({"history": [{"score": "good"}] * 2}, "a list of epochs, each with its score"),
    ],
)
def test_a_checkpoint_of_odd_content_is_an_error(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(model(), Line(fail_in=2), CONFIG, tmp_path)
    tensors, meta = checkpoint.load(tmp_path / LAST)
    checkpoint.save(tmp_path / LAST, tensors, {**meta, **change})
    with pytest.raises(ModelError, match=message):
        fit(model(), Line(), CONFIG, tmp_path)


@pytest.mark.parametrize("part", ["model", "best"])
def test_a_checkpoint_of_other_tensors_is_an_error(tmp_path: Path, part: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(model(), Line(fail_in=2), CONFIG, tmp_path)
    tensors, meta = checkpoint.load(tmp_path / LAST)
    for changed in ({f"{part}.0.bias": torch.zeros(9)}, {f"{part}.9.bias": torch.zeros(8)}):
        checkpoint.save(tmp_path / LAST, {**tensors, **changed}, dict(meta))
        with pytest.raises(ModelError, match=r"its tensors are not those of this model.*delete it and train again"):
            fit(model(), Line(), CONFIG, tmp_path)


def test_mixed_precision_trains_emotion_models(tmp_path: Path) -> None:
    import planted
    from duetto import training
    from duetto.config import experiment

    inputs = planted.fold()
    preprocessor = training.fit_preprocessor(experiment.load("fusion-random", hidden=8, dense=8), inputs)
    parts = [
        training.prepare(part, preprocessor, inputs.frames) for part in (inputs.fold.train, inputs.fold.development)
    ]
    losses = []
    for precision in ("32-true", "bf16-mixed"):
        net = training.build(preprocessor, inputs, seed=0)
        config = TrainingConfig(epochs=2, precision=precision)
        losses.append(
            fit(net, training.EmotionTask(preprocessor, *parts, 0), config, tmp_path / precision).epochs[-1]["loss"]
        )
    assert losses[0] == pytest.approx(losses[1], abs=0.02)  # bfloat16 keeps three digits


def test_a_run_folder_whose_name_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="TensorBoard writes only where names are UTF-8"):
        summary_writer(tmp_path / os.fsdecode(b"caf\xe9"), 0).__enter__()
