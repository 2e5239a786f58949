"""What a graph may hold: exactly what duetto writes, of a size that its file and its description give."""

import json
import random
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from duetto import inference, training
from duetto.config import experiment
from duetto.embeddings.tfidf import Tfidf
from duetto.embeddings.vocabulary import Vocabulary
from duetto.errors import ModelError
from duetto.features.registry import feature_spec
from duetto.inference import session
from duetto.models.onnx import int8, networks, whisper
from duetto.models.speech2vec import Speech2Vec, Speech2VecConfig
from duetto.preprocessing import Normaliser, Preprocessor
from duetto.splits import Fold
from duetto.utils import graph_check, onnx_file
from speech_encoders import HEADS, random_weights, samples_encoder

SMALL = {"hidden": 8, "dense": 8, "word_dim": 4, "max_frames": 40, "max_words": 9}


def preprocessor_of(name: str) -> Preprocessor:
    e = experiment.load(name, **SMALL)
    statistics = Normaliser.identity(feature_spec(e.features).statistics)
    tfidf = Tfidf(("no", "yes"), np.ones(2)) if e.counts_words else None
    return Preprocessor(e, statistics, Vocabulary(("yes", "no")), Normaliser.identity(e.word_dim), tfidf)


def exported(name: str, folder: Path) -> Path:
    """An untrained system, as a folder that predicts."""
    preprocessor = preprocessor_of(name)
    inputs = training.FoldInputs(Fold("none", (), (), ()))
    model = training.build(preprocessor, inputs, seed=0).eval()
    inference.export({key: tensor.numpy() for key, tensor in model.state_dict().items()}, preprocessor, 1.0, folder)
    return folder


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The graph of every system."""
    folder = tmp_path_factory.mktemp("graphs")
    return {name: (exported(name, folder / name) / inference.GRAPH).read_bytes() for name in experiment.SYSTEMS}


@pytest.fixture(scope="module")
def spoken() -> bytes:
    torch.manual_seed(0)
    model = Speech2Vec(Speech2VecConfig(dim=6, decoder=6))
    return networks.spoken_encoder({name: tensor.numpy() for name, tensor in model.state_dict().items()})


def held(content: bytes) -> dict[str, set[str]]:
    """Operator → attributes, as the onnx package reads them."""
    found = defaultdict(set)
    for node in onnx.load_from_string(content).graph.node:
        found[node.op_type] |= {attribute.name for attribute in node.attribute}
    return found


def test_the_allowed_operators_are_those_that_duetto_writes(graphs: dict[str, bytes], spoken: bytes) -> None:
    written: dict[str, set[str]] = defaultdict(set)
    for content in graphs.values():
        for read in (content, int8.int8(content)):
            for operator, attributes in held(read).items():
                written[operator] |= attributes
    speech: dict[str, set[str]] = defaultdict(set)
    for content in (whisper.encoder(random_weights(), HEADS, 2), samples_encoder()):
        for operator, attributes in held(int8.int8(content)).items():
            written[operator] |= attributes
            speech[operator] |= attributes
    assert written == {name: set(attributes) for name, attributes in graph_check.OPERATORS.items()}
    assert set(held(spoken)) == graph_check.SPOKEN_OPERATORS
    assert set(speech) == graph_check.SPEECH_ENCODER_OPERATORS


def test_files_are_read_as_the_onnx_package_reads_them(graphs: dict[str, bytes]) -> None:
    for content in (*graphs.values(), int8.int8(graphs["fusion-attention"])):
        ours, theirs = onnx_file.read(content), onnx.load_from_string(content).graph
        assert [(n.operator, *n.inputs, *n.outputs) for n in ours.nodes] == [
            (n.op_type, *n.input, *n.output) for n in theirs.node
        ]
        values = [{a.name: helper.get_attribute_value(a) for a in n.attribute} for n in theirs.node]
        assert [{k: list(v) if isinstance(v, tuple) else v for k, v in n.attributes.items()} for n in ours.nodes] == [
            {k: v.decode() if isinstance(v, bytes) else v for k, v in each.items()} for each in values
        ]
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in theirs.initializer}
        assert ours.constants.keys() == constants.keys()
        for name, array in constants.items():
            assert ours.constants[name].dtype == array.dtype
            np.testing.assert_array_equal(ours.constants[name], array)


@pytest.mark.parametrize("name", experiment.SYSTEMS)
def test_the_shapes_are_those_that_onnx_runtime_computes(name: str, graphs: dict[str, bytes]) -> None:
    """Of every tensor inside of the graph, for the longest input."""
    preprocessor = preprocessor_of(name)
    largest = {"time": preprocessor.experiment.most_frames, "n": preprocessor.experiment.most_word_vectors}
    for content in (graphs[name], int8.int8(graphs[name])):
        same_shapes(content, dict(session.graph_inputs(preprocessor)), largest)


def test_the_shapes_of_an_encoder_of_samples_are_those_that_onnx_runtime_computes() -> None:
    for time in (80, 1_234):
        same_shapes(samples_encoder(), {"samples": onnx_file.Value(onnx_file.FLOAT, (1, "time"))}, {"time": time})


def same_shapes(content: bytes, inputs: dict[str, onnx_file.Value], largest: dict[str, int]) -> None:
    """Compare the shapes of every tensor of a graph."""
    model = onnx.load_from_string(content)
    shapes = graph_check.check(onnx_file.read(content), inputs, largest)
    computed = [output for node in model.graph.node for output in node.output]
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(output) for output in computed)
    feed = {}
    for key, value in inputs.items():
        shape = [largest.get(n, 1) if isinstance(n, str) else n for n in value.shape]
        feed[key] = np.ones(shape, onnx_file.DTYPES[value.element])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    answers = onnxruntime.InferenceSession(model.SerializeToString(), options).run(computed, feed)
    assert {key: shapes[key] for key in computed} == dict(zip(computed, (a.shape for a in answers), strict=True))


# Graphs of strangers


FRAMES, WIDTH = 5, 3


def stranger(
    nodes: list[onnx.NodeProto],
    *constants: onnx.TensorProto,
    change: Callable[[onnx.ModelProto], object] = lambda model: None,
) -> bytes:
    """A graph x (batch, time, 3) → logits (batch, 2)."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "time", WIDTH])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    body = helper.make_graph(nodes, "g", [x], [out], list(constants))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", graph_check.OPSET)], ir_version=8)
    change(model)
    return model.SerializeToString()


def constant(name: str, array: object, dtype: type = np.int64) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(array, dtype), name)


def node(operator: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def checked(content: bytes, longest: int = FRAMES, **limits: int) -> dict[str, tuple[int, ...]]:
    reads = {"x": onnx_file.Value(onnx_file.FLOAT, ("batch", "time", WIDTH))}
    return graph_check.check(onnx_file.read(content), reads, {"time": longest}, **limits)


BODY = helper.make_graph(
    [node("Identity", "c", "d")], "body", [], [helper.make_tensor_value_info("d", TensorProto.BOOL, [])]
)
RANGE = [constant("zero", 0), constant("one", 1)]


def outside(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """The same constant with its content in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def doubled(times: int) -> list[onnx.NodeProto]:
    names = ["x", *(f"x{i}" for i in range(1, times + 1))]
    return [node("Concat", f"{a} {a}", b, axis=1) for a, b in pairwise(names)]


STRANGE: dict[str, tuple[bytes, str]] = {
    "loop": (stranger([node("Loop", "n c", "out", body=BODY)], constant("n", 1 << 40)), "does not write"),
    "if": (stranger([node("If", "c", "o", then_branch=BODY, else_branch=BODY)]), "does not write"),
    "scan": (stranger([node("Scan", "x", "o", body=BODY, num_scan_inputs=1)]), "does not write"),
    "other domain": (stranger([node("Gelu", "x", "o", domain="com.microsoft")]), "field 7"),
    "other opset": (
        stranger([node("Relu", "x", "o")], change=lambda m: m.opset_import.append(helper.make_opsetid("a", 1))),
        "outside of ONNX's standard set",
    ),
    "newer opset": (
        stranger([node("Relu", "x", "o")], change=lambda m: setattr(m.opset_import[0], "version", 21)),
        "version 21",
    ),
    "function": (
        stranger(
            [node("Relu", "x", "o")],
            change=lambda m: m.functions.append(helper.make_function("d", "f", [], [], [], [])),
        ),
        "field 25",
    ),
    "external data": (stranger([node("Relu", "x", "o")], outside(constant("w", [1.0], np.float32))), "field 1[34]"),
    "sparse": (
        stranger([node("Relu", "x", "o")], change=lambda m: m.graph.sparse_initializer.add().dims.append(1 << 40)),
        "field 15",
    ),
    "constant that claims terabytes": (
        stranger(
            [node("Relu", "x", "o")],
            onnx.TensorProto(name="w", data_type=1, dims=[1 << 20, 1 << 20], raw_data=b"1234"),
        ),
        "has 4 bytes",
    ),
    "constant of shape": (stranger([node("ConstantOfShape", "n", "o")], constant("n", [1 << 40])), "'ConstantOfShape'"),
    "expand": (stranger([node("Expand", "x n", "o")], constant("n", [1 << 40])), "'Expand'"),
    "tile": (stranger([node("Tile", "x n", "o")], constant("n", [1 << 20] * 3)), "'Tile'"),
    "pad": (stranger([node("Pad", "x n", "o")], constant("n", [0, 0, 0, 0, 0, 1 << 40])), "'Pad'"),
    "random": (stranger([node("RandomNormal", "", "o", shape=[1 << 20, 1 << 20])]), "'RandomNormal'"),
    "long range": (stranger([node("Range", "zero n one", "o")], *RANGE, constant("n", 1 << 40)), "the limit"),
    "range by what is computed": (
        stranger(
            [node("Shape", "x", "s"), node("Gather", "s one", "t", axis=0), node("Mul", "t n", "m"),
             node("Range", "zero m one", "o")], *RANGE, constant("n", 1 << 40),
        ),
        "not from its constants",
    ),
    "range by steps of 0": (stranger([node("Range", "zero one zero", "o")], *RANGE), "do not fit"),
    "outer product": (
        stranger([node("MatMul", "a b", "o")], constant("a", np.ones((50_000, 1)), np.float32),
                 constant("b", np.ones((1, 50_000)), np.float32)),
        "the limit",
    ),
    "broadcast": (
        stranger([node("Mul", "a b", "o")], constant("a", np.ones((50_000, 1)), np.float32),
                 constant("b", np.ones((1, 50_000)), np.float32)),
        "the limit",
    ),
    "gather of much by many": (
        stranger([node("Gather", "a b", "o")], constant("a", np.ones((1, 50_000)), np.float32),
                 constant("b", np.zeros(50_000))),
        "the limit",
    ),
    "doubled 60 times": (stranger(doubled(60)), "the limit"),
    "wide window": (
        stranger([node("MaxPool", "x", "o", kernel_shape=[1 << 50], strides=[1], pads=[1 << 49, 1 << 49])]), "the limit"
    ),
    "padded window": (
        stranger([node("MaxPool", "x", "o", kernel_shape=[2], strides=[1], pads=[1 << 40, 0])]), "do not fit"
    ),
    "long work": (
        stranger([node("MatMul", "a a", "a1"), *(node("MatMul", f"a{i} a", f"a{i + 1}") for i in range(1, 999))],
                 constant("a", np.ones((1100, 1100)), np.float32)),
        "the limit",
    ),
    "many axes": (
        stranger([node("Unsqueeze", "x n", "o")], constant("n", range(8))), "do not fit"
    ),
    "twice": (stranger([node("Relu", "x", "o"), node("Relu", "x", "o")]), "twice"),
    "out of order": (stranger([node("Relu", "o", "p"), node("Relu", "x", "o")]), "nothing before it computes"),
    "unknown attribute": (stranger([node("Conv", "x w", "o", auto_pad="SAME_UPPER")]), "'auto_pad'"),
    "attribute of another type": (stranger([node("Transpose", "x", "o", perm="012")]), "do not fit"),
    "attribute in floats": (stranger([node("Transpose", "x", "o", perm=[1.0])]), "does not write"),
    "too many outputs": (stranger([node("Relu", "x", "o p")]), "2 outputs"),
    "other input": (stranger([], change=lambda m: setattr(m.graph.input[0], "name", "y")), "not of one model"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_what_duetto_does_not_write_is_refused(name: str) -> None:
    content, message = STRANGE[name]
    with pytest.raises(ValueError, match=message):
        checked(content)


def test_a_size_grows_with_the_longest_input_until_it_is_refused() -> None:
    """Frames by frames: what cross-attention does with words."""
    content = stranger([node("Transpose", "x", "y", perm=[0, 2, 1]), node("MatMul", "x y", "o")])
    assert checked(content)["o"] == (1, FRAMES, FRAMES)
    assert checked(content, 10_000)["o"] == (1, 10_000, 10_000)
    with pytest.raises(ValueError, match="the limit"):
        checked(content, 100_000)


def test_tensors_count_for_as_long_as_they_are_needed() -> None:
    """A chain of 40 tensors of 2²⁵ numbers passes; the same ones summed at the end, or of constants, do not."""
    longest = (1 << 25) // WIDTH
    names = [f"x{i}" for i in range(41)]
    chain = [node("Relu", a, b) for a, b in pairwise(["x", *names[:40]])]
    assert checked(stranger(chain), longest)["x39"] == (1, longest, WIDTH)
    total = [node("Add", f"{a} {b}", f"sum{i}") for i, (a, b) in enumerate(pairwise(names[:40]))]
    with pytest.raises(ValueError, match=r"more than 536,870,912 numbers .* the limit"):
        checked(stranger([*chain, *total]), longest)
    assert "sum38" in checked(stranger([*chain, *total]), longest, most_elements=1 << 31)
    wide = constant("c", np.ones((1 << 12, 1)), np.float32), constant("row", np.ones((1, 1 << 13)), np.float32)
    constants = [node("Mul", "c row", "x0"), *(node("Relu", a, b) for a, b in pairwise(names[:20]))]
    with pytest.raises(ValueError, match="the limit"):
        checked(stranger(constants, *wide))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "outside of ONNX's standard set"),
        (b"\x80", "ends inside a number"),
        (b"\x08" + b"\xff" * 9 + b"\x7f", "more than 64 bits"),
        (b"\x08" + b"\xff" * 11, "more than 64 bits"),
        (b"\x3a\x05\x0a", "ends inside the field 'graph'"),
        (b"\x3a\x00\x3a\x00", "'graph' of 'model' twice"),
        (b"\x3b", "of another type"),
        (b"\x12\x02\xff\xff", "decode"),
        (b"\x42\x00" * 300_000, "more than 200,000 fields"),
    ],
)
def test_no_protocol_buffer_of_a_model(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        onnx_file.read(content)


# Whole folders


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported("fusion-attention", tmp_path_factory.mktemp("folder"))


def answer(folder: Path) -> np.ndarray:
    opened = inference.Session(folder)
    return opened.logits_of([np.ones((3, 34), np.float32)], [np.array([1, 2])])


def copied(folder: Path, to: Path) -> Path:
    for name in (inference.GRAPH, inference.DESCRIPTION):
        (to / name).write_bytes((folder / name).read_bytes())
    return to


def test_a_graph_that_is_refused_never_reaches_onnx_runtime(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("it was loaded"))
    (copied(folder, tmp_path) / inference.GRAPH).write_bytes(STRANGE["loop"][0])
    with pytest.raises(ModelError, match=r"model\.onnx: .*; train or export again"):
        inference.Session(tmp_path)


def test_what_onnx_runtime_refuses_leaves_nothing_on_any_stream(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Cast to a type that does not exist: sizes are fine, the model is not."""
    model = onnx.load_from_string((copied(folder, tmp_path) / inference.GRAPH).read_bytes())
    cast = next(n for n in model.graph.node if n.op_type == "Cast")
    cast.attribute[0].i = 99
    (tmp_path / inference.GRAPH).write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"model\.onnx: ONNX Runtime can't load it"):
        inference.Session(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_a_failure_to_load_is_not_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime announces a second attempt with a banner on standard output, where --json prints its records."""
    attempts = []

    def fail(*_: object) -> None:
        attempts.append(1)
        raise RuntimeError("no provider")

    monkeypatch.setattr(onnxruntime.InferenceSession, "_create_inference_session", fail)
    with pytest.raises(ModelError, match=r"can't load it .no provider.; train or export again"):
        inference.Session(folder)
    assert len(attempts) == 1 and capfd.readouterr() == ("", "")


@pytest.mark.parametrize("rows", [0, 2])
def test_another_number_of_answers_is_refused(folder: Path, tmp_path: Path, rows: int) -> None:
    model = onnx.load_from_string((copied(folder, tmp_path) / inference.GRAPH).read_bytes())
    last = model.graph.node[-1]
    before = last.input[0]
    if rows:
        model.graph.node.insert(len(model.graph.node) - 1, node("Concat", f"{before} {before}", "more", axis=0))
    else:
        model.graph.initializer.append(constant("none", np.zeros(0)))
        model.graph.node.insert(len(model.graph.node) - 1, node("Gather", f"{before} none", "more", axis=0))
    last.input[0] = "more"
    (tmp_path / inference.GRAPH).write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="not of one model"):
        inference.Session(tmp_path)


def test_answers_that_are_no_numbers_are_refused(folder: Path, tmp_path: Path) -> None:
    model = onnx.load_from_string((copied(folder, tmp_path) / inference.GRAPH).read_bytes())
    bias = next(t for t in model.graph.initializer if t.name == "head.3.bias" or t.name.endswith("head.0.bias"))
    for value in (np.nan, np.inf, 3e38):
        bias.raw_data = np.full(bias.dims, value, np.float32).tobytes()
        (tmp_path / inference.GRAPH).write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match="not all are finite"):
            answer(tmp_path)


def described(folder: Path, **changes: object) -> None:
    path = folder / inference.DESCRIPTION
    value = json.loads(path.read_text())
    for key, new in changes.items():
        (value if key in value else value["experiment"])[key] = new
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"padding": "post", "max_frames": 10**9}, "max_frames = 1000000000 is not valid; give a whole"),
        ({"max_words": 10**12}, "max_words = 1000000000000 is not valid"),
        ({"max_frames": 10**400}, "max_frames = an integer of 1329 bits is not valid"),
        ({"padding": "round"}, "padding = 'round' is not valid"),
        ({"label_set": "\x1b[31m"}, r"label set '\\x1b\[31m' is not known"),
        ({"encoders": [["acoustic"]]}, "encoders = .* is not of type"),
        ({"temperature": 1e-300}, "'temperature' must be a finite number from 0.01 to 1000, not 1e-300"),
        ({"temperature": 10**400}, "'temperature' must be a finite number"),
        ({"temperature": None}, "'temperature' must be a finite number"),
        ({"vocabulary": ["yes"]}, r"has 4 rows for words, the vocabulary .* 3: they are not of one model"),
        ({"vocabulary": ["yes", "yes"]}, "more than once"),
        ({"vocabulary": [1, 2]}, "is no word"),
        ({"vocabulary": "yes"}, "a JSON list of words"),
        ({"features": {"mean": [0.0], "deviation": [1.0]}}, "made for 1 values"),
        ({"format": "duetto-model-9"}, "not of format"),
    ],
)  # fmt: skip
def test_a_description_that_no_training_writes_is_refused(
    folder: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    described(copied(folder, tmp_path), **changes)
    with pytest.raises(ModelError, match=message):
        inference.Session(tmp_path)


def test_files_are_regular_and_of_limited_size(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of files by content, with links to it, is a usual place for models."""
    store = tmp_path / "blobs"
    store.mkdir()
    linked = tmp_path / "snapshot"
    linked.mkdir()
    for number, name in enumerate((inference.GRAPH, inference.DESCRIPTION)):
        (store / str(number)).write_bytes((folder / name).read_bytes())
        (linked / name).symlink_to(Path("../blobs", str(number)))
    np.testing.assert_array_equal(answer(linked), answer(folder))
    for name in (inference.GRAPH, inference.DESCRIPTION):
        kept = (linked / name).readlink()
        (linked / name).unlink()
        (linked / name).symlink_to("/dev/zero")
        with pytest.raises(ModelError, match=f"{name}: is no regular file"):
            inference.Session(linked)
        (linked / name).unlink()
        (linked / name).symlink_to(kept)
    monkeypatch.setattr(session, "GRAPH_LIMIT", 1000)
    with pytest.raises(ModelError, match=r"model\.onnx: larger than 1,000 bytes"):
        inference.Session(linked)


@pytest.mark.parametrize("file", [inference.GRAPH, inference.DESCRIPTION])
def test_a_mutated_folder_predicts_or_raises_a_clear_error(folder: Path, tmp_path: Path, file: str) -> None:
    """Bits, cuts, repeats, and numbers: an answer of finite numbers, or a ModelError that names the file."""
    whole = (folder / file).read_bytes()
    chance = random.Random(0)
    refused = 0
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(content)) if chance.random() < 0.7 else chance.randrange(min(3000, len(content)))
            match chance.randrange(4):
                case 0:
                    content[at] = chance.randrange(256)
                case 1:
                    del content[at : at + chance.randint(1, 50)]
                case 2:
                    content[at:at] = content[at : at + chance.randint(1, 50)]
                case _:
                    content[at] ^= 1 << chance.randrange(8)
        (copied(folder, tmp_path) / file).write_bytes(content)
        try:
            assert np.isfinite(answer(tmp_path)).all()
        except ModelError as error:
            refused += 1
            assert str(tmp_path) in str(error)
    assert refused > 30
