"""The statistics encoder: padding, its graph, and training on changed copies."""

from pathlib import Path

import numpy as np
import pytest
import torch

import duetto
from duetto import audit, training
from duetto.config import experiment
from duetto.config.experiment import Experiment, load
from duetto.data.manifest import read_manifest
from duetto.data.utterance import Utterance
from duetto.embeddings.vocabulary import Vocabulary
from duetto.errors import ConfigurationError
from duetto.experiments.runner import run_systems
from duetto.experiments.workspace import Workspace
from duetto.features import voice
from duetto.inference import Session
from duetto.models.encoders import StatisticsEncoder
from duetto.preprocessing import Normaliser, Preprocessor
from duetto.splits import Fold
from duetto.training import EmotionTask, FoldInputs, Inputs

RNG = np.random.default_rng(0)
WIDTH = len(voice.NAMES)


def test_padding_changes_nothing_and_the_order_of_steps_neither() -> None:
    torch.manual_seed(0)
    encoder = StatisticsEncoder(5, 6, 0.5).eval()
    x = torch.randn(1, 9, 5)
    alone = encoder(x, torch.tensor([9]))
    padded = torch.cat((x, torch.full((1, 4, 5), 9.0)), 1)
    # sums of the same float32 numbers in another order
    torch.testing.assert_close(encoder(padded, torch.tensor([9])), alone, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(encoder(x.flip(1), torch.tensor([9])), alone, atol=1e-6, rtol=1e-5)


def test_pooling_is_mean_and_population_deviation() -> None:
    """With an identity for the dense layer, the output is the two statistics themselves."""
    encoder = StatisticsEncoder(2, 4, 0.0).eval()
    with torch.no_grad():
        encoder.dense.weight.copy_(torch.eye(4))
        encoder.dense.bias.zero_()
        out = encoder(torch.tensor([[[1.0, 2.0], [3.0, 2.0], [8.0, 5.0]]]), torch.tensor([2]))
    expected = torch.tensor([[2.0, 2.0, (1 + 1e-5) ** 0.5, 1e-5**0.5]])
    torch.testing.assert_close(out, expected)


def test_a_length_of_zero_and_the_gradient_are_finite() -> None:
    encoder = StatisticsEncoder(3, 4, 0.0)
    out = encoder(torch.zeros(2, 3, 3), torch.tensor([0, 1]))
    out.sum().backward()
    assert torch.isfinite(out).all() and all(torch.isfinite(p.grad).all() for p in encoder.parameters())


def utterances(n: int) -> tuple[Utterance, ...]:
    labels = ("angry", "happy", "neutral", "sad")
    return tuple(Utterance(f"u{i}", Path(f"u{i}.wav"), label=labels[i % 4], speaker=f"s{i // 4}") for i in range(n))


def planted(epochs: int) -> tuple[Experiment, FoldInputs]:
    """Each class has a mean of its own, in every utterance and in both of its copies."""
    everyone = utterances(32)
    offsets = {"angry": -2.0, "happy": -0.7, "neutral": 0.7, "sad": 2.0}
    frames = [
        {
            u.id: RNG.normal(offsets[str(u.label)], 0.3, (3 + i % 5, WIDTH)).astype(np.float32)
            for i, u in enumerate(everyone)
        }
        for _ in range(3)
    ]
    e = load("acoustic-portable", dense=16, epochs=epochs, learning_rate=1e-2)
    fold = Fold("f", everyone[:20], everyone[20:24], everyone[24:])
    return e, FoldInputs(fold, frames=frames[0], augmented=(frames[1], frames[2]))


def test_train_on_copies_export_and_answer_alike(tmp_path: Path) -> None:
    """The exported graph says what the model said."""
    e, inputs = planted(epochs=40)
    outcome = training.train(e, inputs, tmp_path, seed=0)
    assert (outcome.test_logits.argmax(1) == np.arange(8) % 4).all()
    session = Session(tmp_path)
    prepared = training.prepare(inputs.fold.test, session.preprocessor, inputs.frames)
    # float32 in two libraries
    np.testing.assert_allclose(session.logits_of(prepared.frames, None), outcome.test_logits, atol=1e-3, rtol=1e-3)


class KilledError(Exception):
    """Stands for the end of the process."""


def test_a_killed_training_on_copies_resumes_to_the_same_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = planted(epochs=6)
    whole = training.train(*given, tmp_path / "whole", seed=0)
    batches, begun = EmotionTask.batches, []

    def dies_once(self: EmotionTask, epoch: int) -> list[np.ndarray]:
        begun.append(epoch)
        if begun == [0, 1, 2, 3]:
            raise KilledError
        return batches(self, epoch)

    monkeypatch.setattr(EmotionTask, "batches", dies_once)
    with pytest.raises(KilledError):
        training.train(*given, tmp_path / "killed", seed=0)
    resumed = training.train(*given, tmp_path / "killed", seed=0)
    assert begun == [0, 1, 2, 3, 3, 4, 5]
    assert resumed.history == whole.history
    np.testing.assert_array_equal(resumed.test_logits, whole.test_logits)
    np.testing.assert_array_equal(resumed.development_logits, whole.development_logits)


def task(copies: int) -> EmotionTask:
    e = experiment.with_overrides(load("acoustic-portable"), [f"augmented_copies={copies}"])
    preprocessor = Preprocessor(e, Normaliser.identity(WIDTH), Vocabulary(()), Normaliser.identity(50))
    variants = [
        Inputs([np.full((2, WIDTH), c, np.float32)] * 200, None, np.zeros(200, np.int64)) for c in range(copies + 1)
    ]
    return EmotionTask(preprocessor, variants[0], variants[0], 0, copies=variants[1:])


def test_every_epoch_draws_from_all_variants_by_seed_and_epoch_alone() -> None:
    first, again = task(4), task(4)
    drawn = []
    for epoch in (0, 1):
        first.batches(epoch)
        again.batches(epoch)
        drawn.append([x[0, 0] for x in first.train.inputs.frames or []])
        assert drawn[-1] == [x[0, 0] for x in again.train.inputs.frames or []]
        # 200 draws of five: none should stray more than five deviations of 5.7 from 40.
        assert np.bincount(np.array(drawn[-1], int), minlength=5) == pytest.approx(40, abs=29)
    assert drawn[0] != drawn[1]
    assert (first.development.inputs.frames or [np.ones((1, 1))])[0][0, 0] == 0


def test_another_recording_has_the_same_target() -> None:
    one = Inputs([np.zeros((1, 1), np.float32)], None, np.array([2]))
    assert one.with_frames([one], np.random.default_rng(0)).target.tolist() == [2]


def test_statistics_of_what_was_normalised_by_utterance_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="makes every mean 0 and every deviation 1"):
        experiment.with_overrides(load("acoustic-portable"), ["normalisation=utterance"])


def test_normalising_by_utterance_uses_its_own_statistics() -> None:
    e = experiment.with_overrides(load("acoustic"), ["normalisation=utterance"])
    preprocessor = Preprocessor(e, Normaliser.identity(34), Vocabulary(()), Normaliser.identity(50))
    frames = preprocessor.normalise_frames(RNG.normal(5, 3, (50, 34)).astype(np.float32))
    # float32 means of 50 values
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(frames.std(0), 1, atol=1e-4)


def test_from_a_manifest_to_an_answer(manifest: Path, tmp_path: Path) -> None:
    """The workspace makes the copies, the run's audit knows its features, and its model answers a recording."""
    e = load("acoustic-portable", augmented_copies=1, epochs=2, dense=8)
    everyone, shop = read_manifest(manifest), Workspace(tmp_path / "cache")
    run_systems([e], everyone, "session5", [tmp_path / "run"], shop)
    (copy,) = shop.augmented(e, everyone)
    plain = shop.frames(e, everyone)
    assert plain is not None and plain.dim == copy.dim == WIDTH
    assert any(plain[u.id].shape != copy[u.id].shape for u in everyone)
    found = audit.load(tmp_path / "run")
    assert found is not None and not found.leaks
    prediction = duetto.load(tmp_path / "run")(everyone[0].audio)
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize(("key", "value"), [("augmentation", "noise"), ("features", "voices")])
def test_unknown_choices_are_listed(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{key} = '{value}' is not valid; choose from"):
        load("acoustic-portable", **{key: value})
