"""An exported graph held against its model: what is asked, what passes, and what is found out."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import planted
from duetto import inference, training
from duetto.config import experiment
from duetto.embeddings.tfidf import Tfidf
from duetto.embeddings.vocabulary import Vocabulary
from duetto.errors import ModelError
from duetto.features.registry import feature_spec
from duetto.models.emotion import EmotionModel
from duetto.models.onnx import int8
from duetto.preprocessing import Normaliser, Preprocessor
from duetto.preprocessing.normalisation import Adaptation
from duetto.splits import Fold
from duetto.training.verification import lengths, outputs_one_by_one, random_inputs, spread, verify

OPERATORS = {"Add", "Concat", "Gather", "Gemm", "Identity", "LSTM", "Max", "Relu", "Reshape", "Transpose", "Unsqueeze"}
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
    inputs = planted.fold()
    training.train(experiment.load(request.param, **SMALL), inputs, folder, seed=0)
    return folder


def model_of(folder: Path) -> tuple[inference.Session, EmotionModel]:
    from duetto.training import checkpoint

    session = inference.Session(folder)
    return session, training.restore(session.preprocessor, checkpoint.load(folder / "model.safetensors")[0])


def test_the_drawn_inputs_have_every_length_in_every_company(trained: Path) -> None:
    session, _ = model_of(trained)
    frames, words = random_inputs(session.preprocessor)
    for found, maximum in ((frames, 30), (words, 9)):
        assert found is None or {len(x) for x in found} == set(lengths(maximum))
    if frames is not None and words is not None:
        pairs = {(len(a), len(b)) for a, b in zip(frames, words, strict=True)}
        assert {(0, 0), (0, 10), (31, 0), (31, 10)} <= pairs


def test_graph_and_model_agree_and_a_changed_weight_is_found_out(trained: Path) -> None:
    session, model = model_of(trained)
    frames, words = random_inputs(session.preprocessor)
    count = len(frames if frames is not None else words or [])
    inputs = training.Inputs(frames, words, np.zeros(count, np.int64))
    expected = training.logits(model, session.preprocessor, inputs)
    assert verify(session, frames, words, expected) < 1e-6  # float32 over 30 steps of 8 units
    # Padding changes nothing, so alone is as in a batch.
    np.testing.assert_allclose(outputs_one_by_one(session, frames, words), expected, atol=1e-6)
    name = next(name for name in model.state_dict() if name.endswith("lstm.bias"))
    model.state_dict()[name][1, :8] += 0.01  # the input gate of the backward direction
    with pytest.raises(ModelError, match=r"departs from the trained model by .* please report it"):
        verify(session, frames, words, training.logits(model, session.preprocessor, inputs))
    with pytest.raises(ModelError, match="departs from the trained model by nan"):
        verify(session, frames, words, expected * np.nan)


def test_training_verifies_what_it_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph with a wrong bias does not leave training unnoticed."""
    whole = inference.export

    def damaged(weights: dict, *arguments: object) -> None:
        whole({**weights, "head.0.bias": weights["head.0.bias"] + 0.001}, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(inference, "export", damaged)
    inputs = planted.fold()
    with pytest.raises(ModelError, match=r"departs from the trained model by 0\.001"):
        training.train(experiment.load("acoustic", **SMALL), inputs, tmp_path, seed=0)


def test_weights_of_another_shape_are_refused(trained: Path) -> None:
    session, model = model_of(trained)
    weights = {name: tensor[..., :1] for name, tensor in model.state_dict().items()}
    with pytest.raises(ModelError, match="these weights are not of system"):
        training.restore(session.preprocessor, weights)


def rounded(folder: Path) -> bytes:
    """The float32 graph, each weight to 127 steps of the largest in its unit, channel or word, in NumPy alone."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(folder / inference.GRAPH)
    uses = {name: (node.op_type, i) for node in model.graph.node for i, name in enumerate(node.input)}
    for constant in model.graph.initializer:
        weight, (operator, place) = numpy_helper.to_array(constant), uses[constant.name]
        summed = {"Gemm": (1, -1), "MatMul": (1, 0), "Gather": (0, -1), "LSTM": (place if place < 3 else 1, -1)}
        if weight.size < 64 or weight.ndim < 2 or (operator != "Conv" and summed.get(operator, (9, 0))[0] != place):
            continue
        if operator == "LSTM" and place > 2:
            continue
        axes = tuple(range(1, weight.ndim)) if operator == "Conv" else summed[operator][1]
        step = np.abs(weight).max(axes, keepdims=True) / 127
        step[step == 0] = 1
        constant.CopyFrom(numpy_helper.from_array((np.rint(weight / step) * step).astype(np.float32), constant.name))
    return model.SerializeToString()


def untrained(name: str, folder: Path) -> tuple[Preprocessor, EmotionModel]:
    """An exported system with the weights it begins with."""
    e = experiment.load(name, **(SMALL | {"max_frames": 40}))
    statistics, words = feature_spec(e.features).statistics, Vocabulary(tuple(f"word{i}" for i in range(40)))
    tfidf = Tfidf(tuple(sorted(words.words)), np.ones(len(words.words))) if e.counts_words else None
    normaliser, of_words = Normaliser.identity(statistics), Normaliser.identity(e.word_dim)
    adaptation = Adaptation(5.0) if e.normalisation == "shrinkage" else None
    preprocessor = Preprocessor(e, normaliser, words, of_words, tfidf, adaptation)
    inputs = training.FoldInputs(Fold("none", (), (), ()))
    model = training.build(preprocessor, inputs, seed=0).eval()
    inference.export({key: tensor.numpy() for key, tensor in model.state_dict().items()}, preprocessor, 1.0, folder)
    return preprocessor, model


@pytest.mark.parametrize("name", experiment.SYSTEMS)
def test_8_bit_weights_are_rounded_weights_and_nothing_else(name: str, tmp_path: Path) -> None:
    """The integers are turned back in the graph: the answers are those of a float32 graph whose weights NumPy rounded,
    and so the same on every processor, in a batch or alone."""
    untrained(name, tmp_path)
    frames, words = random_inputs(inference.Session(tmp_path).preprocessor)
    graph = tmp_path / inference.GRAPH
    kept = graph.read_bytes()
    graph.write_bytes(rounded(tmp_path))
    expected = outputs_one_by_one(inference.Session(tmp_path), frames, words)
    graph.write_bytes(kept)
    before = outputs_one_by_one(inference.Session(tmp_path), frames, words)
    inference.quantise(tmp_path)
    assert '"weights": "int8"' in (tmp_path / inference.DESCRIPTION).read_text()
    session = inference.Session(tmp_path)
    scale = max(1.0, np.abs(expected).max())
    # Half a step rounded the other way, in the last digit of a division, would be 1 % of a weight.
    np.testing.assert_allclose(outputs_one_by_one(session, frames, words), expected, rtol=0, atol=1e-5 * scale)
    np.testing.assert_allclose(session.logits_of(frames, words), expected, rtol=0, atol=1e-5 * scale)
    change = np.abs(expected - before).max()
    assert change < 0.05 * scale
    assert (change > 0) == (experiment.load(name).classifier != "svm")  # whose support vectors stay as they are


def test_8_bit_weights_run_in_float_arithmetic(trained: Path, tmp_path: Path) -> None:
    """In the graph as ONNX Runtime has optimised it the weights are float32 constants again."""
    import onnx
    import onnxruntime

    shutil.copytree(trained, tmp_path / "model")
    before = (tmp_path / "model" / inference.GRAPH).stat().st_size
    inference.quantise(tmp_path / "model")
    graph = tmp_path / "model" / inference.GRAPH
    assert graph.stat().st_size < before
    assert {node.op_type for node in onnx.load(graph).graph.node} <= OPERATORS | {"Cast", "Mul"}
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(tmp_path / "optimised.onnx").graph
    kinds = {constant.data_type for constant in optimised.initializer}
    assert not kinds & {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
    assert not any("Integer" in node.op_type or "Quantize" in node.op_type for node in optimised.node)


@pytest.mark.parametrize("shape", [(3, 40), (2, 8, 9)])
def test_the_integers_and_scales_of_a_weight(shape: tuple[int, ...]) -> None:
    weight = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    weight[0, ..., 0] = 0
    weight[-1] = 0
    integers, scale = int8.quantise(weight, (weight.ndim - 1,))
    assert integers.dtype == np.int8 and scale.dtype == np.float32 and np.abs(integers).max() == 127
    assert scale.shape == (*shape[:-1], 1) and (scale > 0).all()
    assert (np.abs(integers * scale - weight) <= 0.5001 * scale).all()
    assert (integers[-1] == 0).all() and (integers[0, ..., 0] == 0).all()


@pytest.mark.parametrize("name", experiment.SYSTEMS)
def test_every_system_has_inputs_for_verification_and_a_graph_that_agrees(name: str, tmp_path: Path) -> None:
    """Untrained, of any inputs: the graph's layers are the model's."""
    preprocessor, model = untrained(name, tmp_path)
    frames, read = random_inputs(preprocessor)
    count = len(frames if frames is not None else read or [])
    expected = training.logits(model, preprocessor, training.Inputs(frames, read, np.zeros(count, np.int64)))
    verify(inference.Session(tmp_path), frames, read, expected)
    assert np.ptp(expected, axis=0).max() > 0
