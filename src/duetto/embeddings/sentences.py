"""Sentence embeddings from a local folder, in NumPy: a BERT encoder (Devlin et al. 2019), averaged over its tokens.

    texts ─ wordpiece.ids ─▶ ids ─ SentenceEncoder ─▶ (n, dim) of length 1
    folder, words ─ embed ─▶ (dim,), computed once for equal words

The folder is one of sentence-transformers whose network is BERT with mean pooling and normalisation, such as
all-MiniLM-L6-v2: config.json, tokenizer.json, model.safetensors. Nothing is downloaded, and no code of it is run.

Texts are encoded in batches of equal length, so that padding cannot change an embedding.
"""

from __future__ import annotations

import json
import math
import struct
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..utils import files
from ..utils.progress import Progress
from ..utils.reading import Record, parse_json, read_bytes, read_json
from . import wordpiece

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
"""Files of the folder."""

LONGEST_TEXT = 256
"""Tokens of a text that are read: `max_seq_length` of all-MiniLM-L6-v2."""

WEIGHTS_LIMIT = 2 << 30
"""Bytes of the weights: those of BERT-large are 1.3 GB."""

_REPAIR = "give the folder of a sentence-transformers model such as all-MiniLM-L6-v2"
_BATCH = 64
Floats = NDArray[np.float32]


@final
class SentenceEncoder:
    """A sentence encoder.

    Args:
        folder: Holds `WEIGHTS`, `CONFIG` and `TOKENIZER`.

    Attributes:
        dim: Values of an embedding.

    Raises:
        ModelError: A file is missing, damaged, or of another kind of network.
    """

    dim: int

    def __init__(self, folder: Path) -> None:
        config = read_json(folder / CONFIG, error=ModelError, repair=_REPAIR)
        if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
            raise config.wrong("a network that is not BERT with GELU activations")
        self.dim = config.integer("hidden_size", low=1, high=8192)
        self._layers = config.integer("num_hidden_layers", low=1, high=64)
        self._heads = config.integer("num_attention_heads", low=1, high=64)
        self._epsilon = config.number("layer_norm_eps", 1e-12, low=0.0, high=1.0)
        self._vocabulary = _vocabulary(read_json(folder / TOKENIZER, error=ModelError, repair=_REPAIR))
        self._weights = _checked(read_safetensors(folder / WEIGHTS), config, max(self._vocabulary.values()))
        self._longest = min(LONGEST_TEXT, len(self._weights["embeddings.position_embeddings.weight"]))

    def __call__(self, texts: Sequence[str], *, progress: Progress | None = None) -> Floats:
        """Embed texts.

        Args:
            texts: Any number.
            progress: Called with (done, total) texts.

        Returns:
            (n, dim) float32, each of length 1.
        """
        embedded = np.zeros((len(texts), self.dim), np.float32)
        by_length: defaultdict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        for i, text in enumerate(texts):
            tokens = wordpiece.ids(text, self._vocabulary, self._longest)
            by_length[len(tokens)].append((i, tokens))
        done = 0
        for same in by_length.values():
            for start in range(0, len(same), _BATCH):
                places, tokens = zip(*same[start : start + _BATCH], strict=True)
                embedded[list(places)] = self._embed(np.array(tokens))
                done += len(places)
                if progress:
                    progress(done, len(texts))
        return embedded

    def _embed(self, tokens: NDArray[np.int64]) -> Floats:
        """(batch, tokens) ids → (batch, dim)."""
        w = self._weights
        x = w["embeddings.word_embeddings.weight"][tokens]
        x = x + w["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings")
        for layer in range(self._layers):
            name = f"encoder.layer.{layer}"
            attended = self._dense(self._attend(x, f"{name}.attention.self"), f"{name}.attention.output.dense")
            x = self._norm(x + attended, f"{name}.attention.output")
            hidden = gelu(self._dense(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._dense(hidden, f"{name}.output.dense"), f"{name}.output")
        mean = x.mean(axis=1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def _dense(self, x: Floats, name: str) -> Floats:
        return x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(self._epsilon))
        return scaled * self._weights[f"{name}.LayerNorm.weight"] + self._weights[f"{name}.LayerNorm.bias"]

    def _attend(self, x: Floats, name: str) -> Floats:
        """Multi-head self-attention: (batch, tokens, dim) → the same shape."""
        batch, n, dim = x.shape
        query, key, value = (
            self._dense(x, f"{name}.{part}").reshape(batch, n, self._heads, -1).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(dim // self._heads))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = scores / scores.sum(axis=-1, keepdims=True) @ value
        return mixed.transpose(0, 2, 1, 3).reshape(batch, n, dim)


@lru_cache(maxsize=2)
def opened(folder: Path) -> SentenceEncoder:
    """Open the encoder in a folder, once in a process.

    Args:
        folder: See `SentenceEncoder`.

    Returns:
        The encoder.

    Raises:
        ModelError: See `SentenceEncoder`.
    """
    return SentenceEncoder(folder)


@lru_cache(maxsize=1 << 16)
def embed(folder: Path, words: tuple[str, ...]) -> Floats:
    """Embed the words of an utterance.

    Args:
        folder: Of the encoder.
        words: Normalised words.

    Returns:
        (dim,) float32 of length 1, not writable; zeros without any word.

    Raises:
        ModelError: See `SentenceEncoder`.
    """
    encoder = opened(folder)
    embedded = encoder([" ".join(words)])[0] if words else np.zeros(encoder.dim, np.float32)
    embedded.setflags(write=False)
    return embedded


def copy(source: Path, folder: Path) -> None:
    """Copy an encoder, so that another folder holds all that it needs.

    Files are hard links where the file system allows it: every training of a run has a folder, and weights of 90 MB.

    Args:
        source: Folder of the encoder.
        folder: Created where it does not exist.
    """
    for name in (CONFIG, TOKENIZER, WEIGHTS):
        files.copy(source / name, folder / name, link=True)


def gelu(x: Floats) -> Floats:
    """Compute the Gaussian error linear unit x Φ(x) (Hendrycks & Gimpel 2016), within 1e-6 of |x|.

    The error function is approximated by Abramowitz & Stegun 7.1.26, whose error is at most 1.5e-7.

    Args:
        x: Any array.

    Returns:
        The same shape.
    """
    z = np.abs(x) * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    return np.asarray(x * (1 + erf) / 2, np.float32)


def _vocabulary(tokenizer: Record) -> dict[str, int]:
    """Piece → id, of a WordPiece tokeniser for lower case."""
    model, normaliser = tokenizer.record("model"), tokenizer.record("normalizer")
    if model.get("type", "WordPiece") != "WordPiece" or normaliser.get("lowercase") is not True:
        raise tokenizer.wrong("a tokeniser that is not WordPiece in lower case")
    vocabulary = dict(model.record("vocab"))
    special = (wordpiece.UNKNOWN, wordpiece.FIRST, wordpiece.LAST)
    if not all(type(i) is int and i >= 0 for i in vocabulary.values()) or not vocabulary.keys() >= set(special):
        raise tokenizer.wrong(f"a vocabulary without ids, or without {', '.join(special)}")
    return vocabulary


def _checked(weights: dict[str, Floats], config: Record, largest_id: int) -> dict[str, Floats]:
    """The weights, if all are there, and of the shapes that the configuration states."""
    dim, layers = config["hidden_size"], config["num_hidden_layers"]
    inner = config.integer("intermediate_size", low=1, high=65536)
    if dim % config["num_attention_heads"]:
        raise config.wrong(f"{config['num_attention_heads']} heads, which do not divide {dim} values")
    norms = {"LayerNorm.weight": (dim,), "LayerNorm.bias": (dim,)}
    dense = {f"attention.self.{part}": (dim, dim) for part in ("query", "key", "value")}
    dense |= {"attention.output.dense": (dim, dim), "intermediate.dense": (inner, dim), "output.dense": (dim, inner)}
    expected: dict[str, tuple[int, ...]] = {f"embeddings.{name}": shape for name, shape in norms.items()}
    for i in range(layers):
        for part in ("attention.output", "output"):
            expected |= {f"encoder.layer.{i}.{part}.{name}": shape for name, shape in norms.items()}
        for name, shape in dense.items():
            expected |= {f"encoder.layer.{i}.{name}.weight": shape, f"encoder.layer.{i}.{name}.bias": shape[:1]}
    wrong = [name for name, shape in expected.items() if name not in weights or weights[name].shape != shape]
    for name, least in (("word", largest_id + 1), ("position", 3), ("token_type", 1)):
        key = f"embeddings.{name}_embeddings.weight"
        table = weights.get(key, np.zeros((0, 0), np.float32))
        wrong += [] if table.ndim == 2 and len(table) >= least and table.shape[1] == dim else [key]
    if wrong:
        raise config.wrong(f"{len(wrong)} weights that are missing or of another shape, such as {wrong[0]}")
    return weights


def read_safetensors(path: Path) -> dict[str, Floats]:
    """Read the float32 tensors of a safetensors file (https://huggingface.co/docs/safetensors).

    Args:
        path: 8 bytes, length of the header; the header, JSON: name → type, shape, place; the values.

    Returns:
        Name → tensor; tensors of other types are left out.

    Raises:
        ModelError: The file is missing or damaged.
    """
    content = read_bytes(path, error=ModelError, limit=WEIGHTS_LIMIT, repair=_REPAIR)
    size = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else len(content)
    if size > len(content) - 8:
        raise ModelError(f"{path}: its header does not fit into the file; {_REPAIR}")
    header = parse_json(content[8 : 8 + size].decode("utf-8", "replace"), where=str(path), error=ModelError)
    values, tensors = content[8 + size :], {}
    for name, entry in header.items() if isinstance(header, dict) else ():
        if name == "__metadata__" or not isinstance(entry, dict) or entry.get("dtype") != "F32":
            continue
        try:
            (start, stop), shape = entry["data_offsets"], entry["shape"]
            if not 0 <= start <= stop <= len(values) or stop - start != 4 * math.prod(shape):
                raise ValueError(f"bytes {start} to {stop} of {len(values)} for the shape {shape}")
            tensors[name] = np.frombuffer(values[start:stop], "<f4").reshape(shape)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: tensor {json.dumps(name)} is damaged ({error}); {_REPAIR}") from error
    return tensors
