"""Distillation: its loss by hand and against PyTorch, a student that follows, and a teacher that never sees a test."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import planted
from duetto import inference, training
from duetto.config import experiment
from duetto.config.experiment import Experiment
from duetto.data.labels import LABEL_SETS
from duetto.errors import ConfigurationError
from duetto.models import distillation
from duetto.training import EmotionTask, FoldInputs
from duetto.training.loop import TrainingConfig, fit

SMALL = {"hidden": 16, "dense": 16, "epochs": 12, "learning_rate": 3e-3}


def student(folder: Path, **changes: object) -> Experiment:
    """A quick `acoustic-distilled` with a quick teacher of voice and words."""
    teacher = folder / "teacher.toml"
    keys = "".join(f"{key} = {value}\n" for key, value in SMALL.items())
    teacher.write_text(f'name = "teacher"\ntitle = "Teacher"\nencoders = ["acoustic", "words"]\n{keys}')
    return experiment.load("acoustic-distilled", **{**SMALL, "teacher": str(teacher), **changes})


def taught() -> FoldInputs:
    """A planted fold: what student and teacher read."""
    inputs = planted.fold(320)
    return replace(inputs, teacher=inputs)


def test_loss_worked_by_hand() -> None:
    """At T = 2 the teacher's logits 2·ln 3 and 0 are posteriors of 3/4 and 1/4; a student of equal logits pays
    ln 2 for any. With w = 1/2 and a hard loss of 1: ½·4·ln 2 + ½."""
    teacher, unsure = torch.tensor([[2 * np.log(3), 0.0]]), torch.zeros(1, 2)
    assert distillation.soft_cross_entropy(unsure, teacher, 2.0).item() == pytest.approx(np.log(2))
    assert distillation.loss(torch.tensor(1.0), unsure, teacher, 2.0, 0.5).item() == pytest.approx(2 * np.log(2) + 0.5)
    # A student who agrees pays the entropy of the posteriors, and no gradient is left.
    agreeing = teacher.clone().requires_grad_()
    paid = distillation.soft_cross_entropy(agreeing, teacher, 2.0)
    paid.backward()
    assert paid.item() == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert agreeing.grad is not None and float(agreeing.grad.abs().max()) < 1e-7


def test_loss_is_pytorchs_divergence_and_the_teachers_entropy() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    p, q = (functional.log_softmax(x / 3, -1) for x in (teacher, student))
    expected = functional.kl_div(q, p, reduction="batchmean", log_target=True) - (p.exp() * p).sum(-1).mean()
    torch.testing.assert_close(distillation.soft_cross_entropy(student, teacher, 3.0), expected)


@pytest.mark.parametrize(("weight", "follows"), [(1.0, "teacher"), (0.0, "labels")])
def test_the_student_follows_its_teacher_or_the_labels(tmp_path: Path, weight: float, follows: str) -> None:
    """The teacher calls every aroused voice sad and every other one happy: never what the labels say."""
    inputs = planted.fold(320)
    e = experiment.load("acoustic", **{**SMALL, "distil_weight": weight})
    preprocessor = training.fit_preprocessor(e, inputs)
    train, development, test = (
        training.prepare(part, preprocessor, inputs.frames)
        for part in (inputs.fold.train, inputs.fold.development, inputs.fold.test)
    )
    aroused = np.isin(np.array(LABEL_SETS["four"])[train.target], list(planted.AROUSED))
    angry, happy, neutral, sad = range(4)
    logits = np.zeros((len(aroused), 4), np.float32)
    logits[np.arange(len(aroused)), np.where(aroused, sad, happy)] = 8.0
    model = training.build(preprocessor, inputs, seed=0)
    task = EmotionTask(preprocessor, train, development, 0, logits)
    fit(model, task, TrainingConfig(epochs=12, learning_rate=3e-3, choice="last"), tmp_path)
    answers = training.logits(model, preprocessor, test).argmax(-1)
    aroused = np.isin(np.array(LABEL_SETS["four"])[test.target], list(planted.AROUSED))
    taught = np.where(aroused, sad, happy)
    possible = np.where(aroused[:, None], [angry, happy], [neutral, sad])
    if follows == "teacher":
        assert (answers == taught).mean() > 0.95
    else:
        assert (answers[:, None] == possible).any(1).mean() > 0.95


def test_a_teacher_is_trained_first_and_its_answers_reach_the_student(tmp_path: Path) -> None:
    inputs = taught()
    e = student(tmp_path)
    outcome = training.train(e, inputs, tmp_path / "run", seed=0)
    teacher = tmp_path / "run" / training.TEACHER
    logits = training.exported_logits(inference.Session(teacher), inputs.fold.train, inputs, seed=0)
    target = [LABEL_SETS["four"].index(str(u.label)) for u in inputs.fold.train]
    assert logits.shape == (len(inputs.fold.train), 4) and (logits.argmax(-1) == target).mean() > 0.95
    alone = training.train(replace(e, teacher=""), inputs, tmp_path / "alone", seed=0)
    assert not np.allclose(outcome.test_logits, alone.test_logits)
    # The student's input carries arousal alone: half of its predictions are right, whatever the teacher's were.
    answers = outcome.test_logits.argmax(-1)
    assert 0.3 < (answers == [LABEL_SETS["four"].index(str(u.label)) for u in inputs.fold.test]).mean() < 0.69


def test_a_killed_run_goes_on_with_the_same_teacher(tmp_path: Path) -> None:
    inputs = taught()
    e = student(tmp_path, epochs=3)
    first = training.train(e, inputs, tmp_path / "run", seed=0)
    weights = (tmp_path / "run" / training.TEACHER / "model.safetensors").stat().st_mtime_ns
    for name in ("model.safetensors", "last.safetensors", "model.json"):
        (tmp_path / "run" / name).unlink()
    again = training.train(e, inputs, tmp_path / "run", seed=0)
    assert (tmp_path / "run" / training.TEACHER / "model.safetensors").stat().st_mtime_ns == weights
    np.testing.assert_array_equal(first.test_logits, again.test_logits)


def test_test_data_reach_neither_teacher_nor_student(tmp_path: Path) -> None:
    inputs = taught()
    assert inputs.frames is not None
    altered = {u.id: inputs.frames[u.id] * 50 for u in inputs.fold.test}
    relabelled = tuple(replace(u, text="zebra", label="sad") for u in inputs.fold.test)
    other = FoldInputs(replace(inputs.fold, test=relabelled), frames={**inputs.frames, **altered})
    e = student(tmp_path, epochs=2)
    training.train(e, inputs, tmp_path / "a", seed=0)
    training.train(e, replace(other, teacher=other), tmp_path / "b", seed=0)
    for model in ("model.onnx", f"{training.TEACHER}/model.onnx"):
        assert (tmp_path / "a" / model).read_bytes() == (tmp_path / "b" / model).read_bytes()


def test_a_teacher_needs_inputs(tmp_path: Path) -> None:
    inputs = planted.fold()
    with pytest.raises(ConfigurationError, match="is distilled"):
        training.train(student(tmp_path), inputs, tmp_path / "run", seed=0)


def test_a_teacher_that_saw_test_data_is_refused(tmp_path: Path) -> None:
    inputs = taught()
    pupil = student(tmp_path)
    with (tmp_path / "teacher.toml").open("a") as file:
        file.write('epoch_choice = "best-on-test"\n')
    with pytest.raises(ConfigurationError, match="teacher 'teacher' selects its epoch on test data"):
        training.train(pupil, inputs, tmp_path / "run", seed=0)
