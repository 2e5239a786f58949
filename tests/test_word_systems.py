"""Systems beyond the paper on one fold: what they reach, what their losses are made of, and their exported graphs."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

import planted
from duetto import inference, training
from duetto.config import experiment
from duetto.config.experiment import Experiment
from duetto.config.model import ModelConfig
from duetto.data.labels import LABEL_SETS
from duetto.models.emotion import Batch, EmotionModel
from duetto.models.multiresolution_cnn import verification_loss
from duetto.models.onnx import networks
from duetto.training import emotion_task
from test_attention import CONFIGS
from test_emotion import SMALL

FUSED = ("fusion-attention", "fusion-cross-attention", "fusion-confidence", "fusion-modality-dropout", "fusion-speaker",
         "fusion-robust")  # fmt: skip
ALONE = ("acoustic-attention", "embedding-attention", "embedding-shuffled", "mcnn")


def small(system: str, **changes: object) -> Experiment:
    return experiment.load(system, **{**SMALL, **changes})


@pytest.mark.parametrize("system", [*FUSED, *ALONE])
def test_reaches_the_planted_ceiling(tmp_path: Path, system: str) -> None:
    """As in test_emotion: one modality alone can tell half of it, both together all. Words are a bag of few, so
    their order carries nothing."""
    inputs = planted.fold(320)
    outcome = training.train(small(system), inputs, tmp_path, seed=1)
    target = [LABEL_SETS["four"].index(str(u.label)) for u in inputs.fold.test]
    accuracy = float((outcome.test_logits.argmax(-1) == target).mean())
    assert accuracy > 0.95 if system in FUSED else 0.3 < accuracy < 0.69


@pytest.mark.parametrize("padding", ["packed", "pre"])
@pytest.mark.parametrize("system", [*FUSED, *ALONE])
def test_exported_graph_equals_the_model(tmp_path: Path, system: str, padding: str) -> None:
    inputs = planted.fold()
    changes = {"epochs": 1, "padding": padding, "max_frames": 30, "max_words": 8}
    outcome = training.train(small(system, **changes), inputs, tmp_path, seed=0)
    session = inference.Session(tmp_path)
    prepared = training.prepare(inputs.fold.test, session.preprocessor, inputs.frames, seed=0)
    exported = session.logits(*session.preprocessor.collate(prepared.frames, prepared.words))
    # float32 in two libraries that sum in different orders, over at most 30 steps
    np.testing.assert_allclose(exported, outcome.test_logits, atol=1e-5)


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("name", CONFIGS)
def test_graph_equals_the_model_for_any_length(name: str, table: bool) -> None:
    torch.manual_seed(0)
    config = ModelConfig(hidden=8, dense=8, word_dim=5, **CONFIGS[name])
    model = EmotionModel(config, torch.randn(20, 5) if table else None).eval()
    if model.confidence is not None:
        model.confidence.trust.copy_(torch.tensor([0.3, 1.0]))
    weights = {key: tensor.numpy() for key, tensor in model.state_dict().items()}
    session = onnxruntime.InferenceSession(networks.emotion(config, weights))
    for n, time, words in ((1, 1, 1), (3, 7, 2), (5, 40, 9), (2, 200, 128)):
        given = _random_batch(n, time, words, table)
        feed = {key: value.numpy() for key, value in given._asdict().items() if value is not None}
        exported = session.run(None, feed)[0]
        with torch.no_grad():
            np.testing.assert_allclose(exported, model(given).numpy(), atol=1e-5)
        for i in range(n):  # a batch equals its items alone
            alone = session.run(None, {key: value[i : i + 1] for key, value in feed.items()})[0]
            np.testing.assert_allclose(alone, exported[i : i + 1], atol=1e-5)


def _random_batch(n: int, time: int, words: int, table: bool) -> Batch:
    """The first utterance of a batch has no word."""
    lengths = torch.randint(1, words + 1, (n,))
    lengths[0] = 0
    real = torch.arange(words) < lengths[:, None]
    read = torch.randint(1, 20, (n, words)) * real if table else torch.randn(n, words, 5) * real[..., None]
    return Batch(torch.randn(n, time, 34), torch.randint(1, time + 1, (n,)), read, lengths)


def test_losses_are_weighted_as_the_experiment_states() -> None:
    inputs = planted.fold()
    e = small("fusion-confidence", auxiliary=0.25, verification=0.5, dropout=0.0, recurrent_dropout=0.0)
    preprocessor = training.fit_preprocessor(e, inputs)
    prepared = training.prepare(inputs.fold.train, preprocessor, inputs.frames)
    model, index = training.build(preprocessor, inputs, seed=0), np.arange(6)
    task = training.EmotionTask(preprocessor, prepared, prepared, 0)
    loss, given = task.loss(model, index), task.train(index, torch.device("cpu"))
    assert given.target is not None
    answer = model(given, detailed=True)
    first, second = (functional.cross_entropy(own, given.target) for own in answer.encoder_logits)
    expected = functional.cross_entropy(answer.logits, given.target) + 0.25 * (first + second) / 2
    torch.testing.assert_close(loss, expected + 0.5 * verification_loss(answer.encoded, given.target))


def test_confidence_is_lower_for_unseen_voices(tmp_path: Path) -> None:
    """The voices of the training part can be memorised, those of the test part carry nothing, the words reach
    0.81. Concatenation follows the voice; with confidence the words decide. 80 test utterances: a standard
    deviation of 0.045 about 0.81."""
    inputs = planted.strangers(seed=1)
    target = [LABEL_SETS["four"].index(str(u.label)) for u in inputs.fold.test]
    accuracy = {}
    for system in ("fusion-random", "fusion-confidence"):
        outcome = training.train(small(system, epochs=15), inputs, tmp_path / system, seed=1)
        accuracy[system] = float((outcome.test_logits.argmax(-1) == target).mean())
    assert accuracy["fusion-random"] < 0.65 and accuracy["fusion-confidence"] > 0.81 - 3 * 0.045


def test_modality_dropout_follows_from_the_seed(tmp_path: Path) -> None:
    inputs = planted.fold()
    e = small("fusion-modality-dropout", epochs=2)
    first, second = (training.train(e, inputs, tmp_path / name, seed=5) for name in "ab")
    np.testing.assert_array_equal(first.test_logits, second.test_logits)


def test_shuffled_words_are_the_same_words_in_an_order_of_seed_and_utterance() -> None:
    inputs = planted.fold()
    preprocessor, other = (
        training.fit_preprocessor(small(name), inputs) for name in ("embedding-shuffled", "embedding-random")
    )
    given = training.prepare(inputs.fold.test, other, inputs.frames).words
    drawn = {seed: training.prepare(inputs.fold.test, preprocessor, inputs.frames, seed=seed).words for seed in (0, 1)}
    again = training.prepare(inputs.fold.test[3:], preprocessor, inputs.frames, seed=0).words
    assert given is not None and drawn[0] is not None and drawn[1] is not None and again is not None
    for words, shuffled in zip(given, drawn[0], strict=True):
        assert sorted(words) == sorted(shuffled)
    assert any(not np.array_equal(a, b) for a, b in zip(given, drawn[0], strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(drawn[0], drawn[1], strict=True))
    # An order belongs to its utterance, whatever stands beside it.
    assert all(np.array_equal(a, b) for a, b in zip(drawn[0][3:], again, strict=True))


def test_shuffling_keeps_the_words_that_a_model_would_have_seen() -> None:
    inputs = planted.fold()
    preprocessor = training.fit_preprocessor(small("embedding-shuffled", max_words=2), inputs)
    given = training.prepare(inputs.fold.test, preprocessor, inputs.frames).words
    assert given is not None
    for words, utterance in zip(given, inputs.fold.test, strict=True):
        assert sorted(words) == sorted(preprocessor.ids((utterance.text or "").split()[:2]))


def test_an_epoch_chosen_on_test_data_fits_nothing_else_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = planted.fold()
    fitted, fit = [], emotion_task.fit_trust

    def watched(first: np.ndarray, second: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        fitted.append(len(target))
        return fit(first, second, target)

    monkeypatch.setattr(emotion_task, "fit_trust", watched)
    training.train(small("fusion-confidence", epochs=2, epoch_choice="best-on-test"), inputs, tmp_path, seed=0)
    assert fitted == [len(inputs.fold.development)] * 2 and len(inputs.fold.development) != len(inputs.fold.test)
