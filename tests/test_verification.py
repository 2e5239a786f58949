"""An exported graph held against its model: what is asked, what passes, and what is found out."""

from pathlib import Path

import numpy as np
import pytest

import planted
from duetto import emotion, experiment, runtime
from duetto.errors import ModelError
from duetto.features.kinds import kind
from duetto.inputs import Frontend, Normaliser
from duetto.models.fusion import EmotionModel
from duetto.runtime.verification import answers_alone, drawn, lengths, spread, verify
from duetto.splits import Fold
from duetto.words.vocabulary import Vocabulary

SMALL = {"hidden": 8, "dense": 8, "word_dim": 4, "epochs": 1, "max_frames": 30, "max_words": 9}


def test_lengths_are_none_one_the_longest_and_one_beyond() -> None:
    assert lengths(1) == [0, 1, 2]
    assert lengths(5) == [0, 1, 2, 3, 5, 6]
    assert lengths(200) == [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 200, 201]


def test_spread_takes_the_shortest_the_longest_and_between() -> None:
    assert spread([9, 1, 5, 3, 7], 3).tolist() == [1, 2, 0]
    assert sorted(spread([9, 1, 5], 32).tolist()) == [0, 1, 2]


@pytest.fixture(scope="module", params=["acoustic", "embedding-random", "fusion-random"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    fold, sources = planted.fold()
    emotion.train(experiment.load(request.param, **SMALL), fold, sources, folder, seed=0)
    return folder


def model_of(folder: Path) -> tuple[runtime.Session, EmotionModel]:
    from duetto import checkpoint

    session = runtime.Session(folder)
    return session, emotion.restore(session.front, checkpoint.load(folder / "model.safetensors")[0])


def test_the_drawn_inputs_have_every_length_in_every_company(trained: Path) -> None:
    session, _ = model_of(trained)
    frames, words = drawn(session.front)
    for found, maximum in ((frames, 30), (words, 9)):
        assert found is None or {len(x) for x in found} == set(lengths(maximum))
    if frames is not None and words is not None:
        pairs = {(len(a), len(b)) for a, b in zip(frames, words, strict=True)}
        assert {(0, 0), (0, 10), (31, 0), (31, 10)} <= pairs


def test_graph_and_model_agree_and_a_changed_weight_is_found_out(trained: Path) -> None:
    session, model = model_of(trained)
    frames, words = drawn(session.front)
    count = len(frames if frames is not None else words or [])
    inputs = emotion.Inputs(frames, words, np.zeros(count, np.int64))
    expected = emotion.logits(model, session.front, inputs)
    assert verify(session, frames, words, expected) < 1e-6  # float32 over 30 steps of 8 units
    # Padding changes nothing, so alone is as in a batch.
    np.testing.assert_allclose(answers_alone(session, frames, words), expected, atol=1e-6)
    name = next(name for name in model.state_dict() if name.endswith("lstm.bias"))
    model.state_dict()[name][1, :8] += 0.01  # the input gate of the backward direction
    with pytest.raises(ModelError, match=r"departs from the trained model by .* please report it"):
        verify(session, frames, words, emotion.logits(model, session.front, inputs))
    with pytest.raises(ModelError, match="departs from the trained model by nan"):
        verify(session, frames, words, expected * np.nan)


def test_training_verifies_what_it_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph with a wrong bias does not leave training unnoticed."""
    whole = runtime.export

    def damaged(weights: dict, *arguments: object) -> None:
        whole({**weights, "head.0.bias": weights["head.0.bias"] + 0.001}, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(runtime, "export", damaged)
    fold, sources = planted.fold()
    with pytest.raises(ModelError, match=r"departs from the trained model by 0\.001"):
        emotion.train(experiment.load("acoustic", **SMALL), fold, sources, tmp_path, seed=0)


def test_weights_of_another_shape_are_refused(trained: Path) -> None:
    session, model = model_of(trained)
    weights = {name: tensor[..., :1] for name, tensor in model.state_dict().items()}
    with pytest.raises(ModelError, match="these weights are not of system"):
        emotion.restore(session.front, weights)


def test_8_bit_weights_answer_nearly_the_same(trained: Path) -> None:
    """Weights of one matrix lie in a range of about 2, so a step is 1/128, and rounding adds up as noise does."""
    session, _ = model_of(trained)
    frames, words = drawn(session.front)
    before = answers_alone(session, frames, words)
    graph, description = (trained / name for name in (runtime.GRAPH, runtime.DESCRIPTION))
    kept = graph.read_bytes(), description.read_bytes()
    runtime.quantise(trained)
    quantised = runtime.Session(trained)
    after = answers_alone(quantised, frames, words)
    assert '"weights": "int8"' in description.read_text()
    assert not list(trained.glob("*.quantised")) and quantised.temperature == session.temperature
    graph.write_bytes(kept[0])
    description.write_bytes(kept[1])
    assert 0 < np.abs(after - before).max() < 0.05


@pytest.mark.parametrize("name", experiment.SYSTEMS)
def test_every_system_has_inputs_to_be_asked_on_and_a_graph_that_agrees(name: str, tmp_path: Path) -> None:
    """Untrained, whatever it hears and reads: the graph's layers are the model's."""
    e = experiment.load(name, **(SMALL | {"max_frames": 40}))
    statistics, words = kind(e.features).statistics, Vocabulary(("yes", "no"))
    front = Frontend(e, Normaliser.identity(statistics), words, Normaliser.identity(e.word_dim))
    sources = emotion.Sources(spoken=(lambda _: None) if e.embeddings == "spoken" else None)  # type: ignore[arg-type, return-value]
    model = emotion.build(front, Fold("none", (), (), ()), sources, seed=0).eval()
    runtime.export({key: tensor.numpy() for key, tensor in model.state_dict().items()}, front, 1.0, tmp_path)
    frames, read = drawn(front)
    count = len(frames if frames is not None else read or [])
    expected = emotion.logits(model, front, emotion.Inputs(frames, read, np.zeros(count, np.int64)))
    verify(runtime.Session(tmp_path), frames, read, expected)
    assert np.ptp(expected, axis=0).max() > 0
