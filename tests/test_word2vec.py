"""Word2vec: planted groups come out as neighbours, and the seed alone decides the result."""

import builtins
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duetto.embeddings.word2vec import train
from duetto.errors import ConfigurationError, MissingExtraError


def grouped_sentences() -> list[list[str]]:
    """Sentences that each draw from one of three groups of eight words."""
    rng = np.random.default_rng(0)
    return [[f"{'abc'[i % 3]}{j}" for j in rng.integers(0, 8, 10)] for i in range(300)]


def test_words_of_a_group_are_nearest_neighbours() -> None:
    pytest.importorskip("gensim")
    vectors = train(grouped_sentences(), dim=16, epochs=20, seed=1)
    assert vectors.matrix.shape == (24, 16)
    for word in vectors.words:
        assert {neighbour[0] for neighbour, _ in vectors.nearest(word, 7)} == {word[0]}


SCRIPT = """
import hashlib, sys
sys.path.insert(0, {folder!r})
from test_word2vec import grouped_sentences
from duetto.embeddings.word2vec import train
vectors = train(grouped_sentences(), dim=8, epochs=2, seed=int(sys.argv[1]))
print(hashlib.sha256(vectors.matrix.tobytes() + " ".join(vectors.words).encode()).hexdigest())
"""


def test_same_seed_same_vectors_in_every_process() -> None:
    pytest.importorskip("gensim")
    script = SCRIPT.format(folder=str(Path(__file__).parent))
    digests = []
    # Python's own hash of a text differs here and there, whatever this process was started with.
    other_hash = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": other_hash, "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", script, "7"], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    digests.append(run.stdout.strip())
    here = train(grouped_sentences(), dim=8, epochs=2, seed=7)
    digests.append(hashlib.sha256(here.matrix.tobytes() + " ".join(here.words).encode()).hexdigest())
    assert len(set(digests)) == 1
    assert not np.array_equal(train(grouped_sentences(), dim=8, epochs=2, seed=8).matrix, here.matrix)


def test_min_count_order_and_progress(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("gensim")
    caplog.set_level("INFO", logger="duetto.embeddings.word2vec")
    vectors = train([["b", "a", "c"], ["a", "b"], []], dim=4, epochs=3, min_count=2)
    assert vectors.words == ("a", "b")
    lines = [r.getMessage() for r in caplog.records]
    assert lines == [*(f"word2vec: epoch {i} of 3" for i in (1, 2, 3)), "word2vec: 2 words of 3 kept, 3 sentences"]


@pytest.mark.parametrize(
    ("sentences", "options", "message"),
    [
        ([], {}, "no sentence holds two words"),
        ([["a"], ["b"]], {}, "no sentence holds two words"),
        ([["a", "b"]], {"min_count": 2}, "seen at least 2 times"),
        ([["a", "b"]], {"dim": 0}, "dim is 0; give 1 or more"),
        ([["a", "b"]], {"epochs": 0}, "epochs is 0"),
        ([["a", "b"]], {"window": -1}, "window is -1"),
        ([["a", "b"]], {"seed": -1}, "seed is -1"),
        (["so good"], {}, "lists of tokens, not texts"),
    ],
)
def test_bad_input(sentences: list[Any], options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        train(sentences, **options)


def test_without_gensim_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("gensim"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"pip install 'duetto\[train\]'"):
        train([["a", "b"]])
