"""What a CUDA device computes is what the CPU computes; every test here is skipped where there is none."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

import planted
from duetto import training
from duetto.config import experiment
from duetto.embeddings import spoken_words
from duetto.models.lstm import RECURRENT_MASKS, BiLSTM
from duetto.models.speech2vec import Speech2Vec, Speech2VecConfig
from duetto.training import speech2vec
from duetto.training.loop import TrainingConfig
from test_speech2vec import planted as spoken
from test_speech2vec import task_of

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.fixture(autouse=True)
def _whole_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default cuDNN multiplies with the ten bits of TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def test_a_system_trained_on_cuda_reaches_the_planted_ceiling(tmp_path: Path) -> None:
    inputs = planted.fold(320)
    small = experiment.load("fusion-random", hidden=32, dense=32, epochs=12, learning_rate=3e-3)
    outcome = training.train(small, inputs, tmp_path, seed=0, accelerator="cuda")
    target = [("angry", "happy", "neutral", "sad").index(str(u.label)) for u in inputs.fold.test]
    assert np.mean(outcome.test_logits.argmax(1) == target) > 0.9


@pytest.mark.parametrize("kind", RECURRENT_MASKS)
def test_recurrent_dropout_and_its_gradient_are_those_of_the_cpu(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    cpu = BiLSTM(3, 8, 0.5, kind)
    cuda = copy.deepcopy(cpu).cuda()
    mask = cpu.draw_mask(4)
    assert mask is not None
    x, lengths = torch.randn(4, 9, 3), torch.tensor([9, 2, 5, 9])
    weights, found = torch.randn(4, 9, 16), []
    for layer in (cpu, cuda):
        device = layer.bias.device
        monkeypatch.setattr(layer, "draw_mask", lambda _, device=device: mask.to(device))
        states, last = layer(x.to(device), lengths.to(device))
        ((states * weights.to(device)).sum() + last.square().sum()).backward()
        found.append([states, last, *(p.grad for p in layer.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other.cpu(), rtol=1e-4, atol=1e-5)  # float32, summed in another order


def test_the_loss_of_speech2vec_and_its_gradient_are_those_of_the_cpu() -> None:
    utterances, frames = spoken(12)
    segments = spoken_words.Segments.of(utterances, frames)
    task = task_of(segments)
    torch.manual_seed(0)
    cpu = Speech2Vec(Speech2VecConfig(dim=8, decoder=8))
    cuda = Speech2Vec(Speech2VecConfig(dim=8, decoder=8)).cuda()
    cuda.load_state_dict(cpu.state_dict())
    batch = task.batches(0)[0]
    losses = [task.loss(model, batch) for model in (cpu, cuda)]
    for loss in losses:
        loss.backward()
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=1e-4)  # sums in another order
    for one, other in zip(cpu.parameters(), cuda.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad.cpu(), rtol=1e-3, atol=1e-5)  # type: ignore[union-attr]


def test_speech2vec_trains_on_cuda(tmp_path: Path) -> None:
    utterances, frames = spoken(24)
    config = TrainingConfig(epochs=2, accelerator="cuda")
    model = Speech2VecConfig(dim=8, decoder=8)
    encoder = speech2vec.train(utterances[:18], utterances[18:], frames, tmp_path, config=model, training=config)
    embedded = encoder([frames["u0"][3:12], frames["u1"][3:9]])
    assert embedded.shape == (2, 8) and np.isfinite(embedded).all()
