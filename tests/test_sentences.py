"""Sentence embeddings against PyTorch's own transformer, and WordPiece against examples and the package tokenizers."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest

from duetto.embeddings import wordpiece
from duetto.embeddings.sentences import SentenceEncoder, gelu, read_safetensors
from duetto.errors import ModelError

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "un",
    "##aff",
    "##able",
    "##a",
    "!",
    "the",
    "cafe",
    "##s",
    "sun",
    "北",
    "i",
]
VOCABULARY = {piece: i for i, piece in enumerate(PIECES)}
CONFIG = {
    "model_type": "bert", "hidden_act": "gelu", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
    "intermediate_size": 20, "layer_norm_eps": 1e-12,
}  # fmt: skip
TOKENIZER = {"model": {"type": "WordPiece", "vocab": VOCABULARY}, "normalizer": {"lowercase": True}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Unaffable!", ["unaffable", "!"]),
        ("  don't\tSTOP…now\n", ["don", "'", "t", "stop", "…", "now"]),
        ("Crème brûlée, Ærø", ["creme", "brulee", ",", "ærø"]),
        ("a$b~c", ["a", "$", "b", "~", "c"]),
        ("in 北京", ["in", "北", "京"]),
        ("a\u200bb\0c\ufffd\u00a0d", ["abc", "d"]),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert wordpiece.split(text) == words


@pytest.mark.parametrize(
    ("word", "pieces"),
    [
        ("unaffable", ["un", "##aff", "##able"]),
        ("unaffablea", ["un", "##aff", "##able", "##a"]),
        ("cafes", ["cafe", "##s"]),
        ("unsung", ["[UNK]"]),  # "un", then nothing begins "sung"
        ("sun" * 34, ["[UNK]"]),  # 102 letters
    ],
)
def test_pieces_of_a_word(word: str, pieces: list[str]) -> None:
    assert wordpiece.pieces(word, VOCABULARY) == pieces


def test_ids_are_cut_between_the_special_tokens() -> None:
    assert wordpiece.ids("The unaffable sun!", VOCABULARY, 9) == [2, 9, 4, 5, 6, 12, 8, 3]
    assert wordpiece.ids("The unaffable sun!", VOCABULARY, 4) == [2, 9, 4, 3]


def test_wordpiece_agrees_with_the_package_tokenizers() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    peer = tokenizers.BertWordPieceTokenizer(VOCABULARY, lowercase=True)
    texts = ["The Café's sun!", "UNAFFABLE, i", "北 i北", "sun\u00a0the\u2028i", "sunsun", "—i—", "i\u0301i\u00ad"]
    for text in texts:
        assert wordpiece.ids(text, VOCABULARY, 100) == peer.encode(text).ids, text


def test_gelu_by_the_error_function() -> None:
    x = np.linspace(-6, 6, 1201, dtype=np.float32)
    expected = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()]
    np.testing.assert_allclose(gelu(x), expected, rtol=0, atol=2e-6)


def write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    header, values = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in tensors.items():
        kind = {"float32": "F32", "int64": "I64"}[tensor.dtype.name]
        place = [len(values), len(values) + tensor.nbytes]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": place}
        values += tensor.tobytes()
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + values)


def random_weights() -> dict[str, np.ndarray]:
    rng, dim, inner = np.random.default_rng(0), CONFIG["hidden_size"], CONFIG["intermediate_size"]
    shapes = {"word": (len(PIECES), dim), "position": (16, dim), "token_type": (2, dim)}
    weights = {f"embeddings.{name}_embeddings.weight": shape for name, shape in shapes.items()}
    weights |= {"embeddings.LayerNorm.weight": (dim,), "embeddings.LayerNorm.bias": (dim,)}
    for i in range(CONFIG["num_hidden_layers"]):
        sizes = {f"attention.self.{part}": (dim, dim) for part in ("query", "key", "value")}
        sizes |= {
            "attention.output.dense": (dim, dim),
            "intermediate.dense": (inner, dim),
            "output.dense": (dim, inner),
        }
        for name, shape in sizes.items():
            weights |= {f"encoder.layer.{i}.{name}.weight": shape, f"encoder.layer.{i}.{name}.bias": shape[:1]}
        for part in ("attention.output", "output"):
            weights |= {f"encoder.layer.{i}.{part}.LayerNorm.{name}": (dim,) for name in ("weight", "bias")}
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in weights.items()}


def write_encoder(folder: Path) -> Path:
    """A sentence encoder of random weights."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    write_safetensors(folder / "model.safetensors", random_weights())
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path)


def by_torch(text: str) -> np.ndarray:
    """The same network of torch.nn's own layers: a BERT layer is its encoder layer that normalises afterwards."""
    import torch

    w = {name: torch.from_numpy(value) for name, value in random_weights().items()}
    layer = torch.nn.TransformerEncoderLayer(
        CONFIG["hidden_size"], CONFIG["num_attention_heads"], CONFIG["intermediate_size"], dropout=0.0,
        activation="gelu", layer_norm_eps=1e-12, batch_first=True,
    ).eval()  # fmt: skip
    ids = torch.tensor(wordpiece.ids(text, VOCABULARY, 16))
    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + w["embeddings.token_type_embeddings.weight"][0]
    norm = (w["embeddings.LayerNorm.weight"], w["embeddings.LayerNorm.bias"])
    x = torch.nn.functional.layer_norm(x, x.shape[-1:], *norm, 1e-12)[None]
    for i in range(CONFIG["num_hidden_layers"]):
        names = {
            "self_attn.out_proj": "attention.output.dense", "linear1": "intermediate.dense", "linear2": "output.dense",
            "norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm",
        }  # fmt: skip
        state = {}
        for kind in ("weight", "bias"):
            parts = [w[f"encoder.layer.{i}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            state[f"self_attn.in_proj_{kind}"] = torch.cat(parts)
            state |= {f"{theirs}.{kind}": w[f"encoder.layer.{i}.{ours}.{kind}"] for theirs, ours in names.items()}
        layer.load_state_dict(state)
        with torch.no_grad():
            x = layer(x)
    return torch.nn.functional.normalize(x.mean(1))[0].numpy()


def test_embeddings_agree_with_torch(folder: Path) -> None:
    texts = ["The unaffable sun!", "cafes", "", "i i i i i i i i i i i i i i i i i i", "the sun"]  # one is cut at 16
    done: list[tuple[int, int]] = []
    embedded = SentenceEncoder(folder)(texts, progress=lambda *step: done.append(step))
    assert embedded.shape == (5, 12) and embedded.dtype == np.float32 and done[-1] == (5, 5)
    np.testing.assert_allclose(embedded, [by_torch(text) for text in texts], atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-5)


def test_embeddings_do_not_depend_on_the_batch(folder: Path) -> None:
    encoder, texts = SentenceEncoder(folder), ["the sun", "cafes!", "unaffable", "i"] * 40
    together = encoder(texts)
    np.testing.assert_allclose(together[:4], np.concatenate([encoder([text]) for text in texts[:4]]), atol=1e-6)
    assert encoder([]).shape == (0, 12)


def test_safetensors(tmp_path: Path) -> None:
    path, value = tmp_path / "x.safetensors", np.arange(6, dtype=np.float32).reshape(2, 3)
    write_safetensors(path, {"a": value, "ids": np.arange(3), "b": value[0]})
    tensors = read_safetensors(path)
    assert tensors.keys() == {"a", "b"}
    np.testing.assert_array_equal(tensors["a"], value)
    np.testing.assert_array_equal(tensors["b"], value[0])
    safetensors = pytest.importorskip("safetensors.numpy")
    safetensors.save_file({"a": value}, tmp_path / "peer.safetensors")
    np.testing.assert_array_equal(read_safetensors(tmp_path / "peer.safetensors")["a"], value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b[:4], "header does not fit"),
        (lambda b: b"\xff" * 8 + b[8:], "header does not fit"),
        (lambda b: b[:-8], "is damaged"),
        (lambda b: b.replace(b'"data_offsets"', b'"data_ofsets!"'), "is damaged"),
        (lambda b: b.replace(b'"F32"', b'"F16"'), "weights that are missing"),
        (
            lambda b: b.replace(b"layer.1.output.dense.bias", b"layer.9.output.dense.bias"),
            "missing.*layer.1.output.dense",
        ),
    ],
)
def test_weights_that_are_damaged(folder: Path, damage, message: str) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match=message):
        SentenceEncoder(folder)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("config.json", {"model_type": "roberta"}, "is not BERT with GELU"),
        ("config.json", {"num_attention_heads": 5}, "5 heads, which do not divide 12"),
        ("config.json", {"num_hidden_layers": 3}, "weights that are missing"),
        ("tokenizer.json", {"normalizer": {"lowercase": False}}, "not WordPiece in lower case"),
        ("tokenizer.json", {"model": {"vocab": {"a": 0}}}, r"without ids, or without \[UNK\]"),
        ("tokenizer.json", {"model": {"vocab": {**VOCABULARY, "x": 99}}}, "word_embeddings"),
    ],
)
def test_folders_of_another_kind(folder: Path, file: str, change: dict, message: str) -> None:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=message):
        SentenceEncoder(folder)
    path.unlink()
    with pytest.raises(ModelError, match=file):
        SentenceEncoder(folder)
