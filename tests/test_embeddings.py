"""Vectors of a fold: trained once for the same training data, anew for any other, and never on test data."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duetto.data.utterance import Utterance, Word
from duetto.embeddings import spoken_words, word2vec
from duetto.embeddings.vectors import Vectors, load
from duetto.inference import SpokenWordEncoder
from duetto.inference import spoken as spoken_
from duetto.splits import Fold
from duetto.training import FoldInputs, speech2vec
from duetto.training import word_embeddings as trained
from duetto.training.word_embeddings import EmbeddingConfig
from test_speech2vec import TYPES, planted

CONFIG = EmbeddingConfig(dim=8, epochs=1, word2vec_epochs=2)


def fold_of(utterances: list[Utterance]) -> Fold:
    return Fold("planted", tuple(utterances[:12]), tuple(utterances[12:16]), tuple(utterances[16:]))


@pytest.fixture
def corpus() -> tuple[Fold, dict[str, np.ndarray]]:
    utterances, frames = planted(20)
    return fold_of(utterances), frames


def words_of(utterance: Utterance) -> tuple[Word, ...]:
    assert utterance.words is not None
    return utterance.words


def saying(utterance: Utterance, word: str) -> Utterance:
    """The same recording, with another transcript of its first word."""
    words = words_of(utterance)
    return replace(utterance, words=(replace(words[0], word=word), *words[1:]))


def word2vec_of(fold: Fold, cache: Path, config: EmbeddingConfig = CONFIG) -> Vectors:
    return load(trained.word2vec_file(fold, config, cache))


def encoder_of(
    fold: Fold, frames: dict[str, np.ndarray], cache: Path, config: EmbeddingConfig = CONFIG
) -> SpokenWordEncoder:
    folder = trained.encoder_folder(fold, frames, config, cache)
    trained.train_encoder(folder, fold, frames, config)
    return SpokenWordEncoder(folder)


def speech2vec_of(fold: Fold, frames: dict[str, np.ndarray], cache: Path) -> Vectors:
    return load(trained.speech2vec_file(encoder_of(fold, frames, cache).folder, fold, frames))


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("trained again")


def kept(folder: Path, pattern: str) -> set[str]:
    return {path.name for path in folder.glob(pattern)}


def test_vectors_are_of_the_training_words(tmp_path: Path, corpus: tuple[Fold, dict[str, np.ndarray]]) -> None:
    fold, frames = corpus
    spoken = {w.word for u in fold.train for w in u.words or ()}
    for vectors in (word2vec_of(fold, tmp_path), speech2vec_of(fold, frames, tmp_path)):
        assert set(vectors.words) == spoken and vectors.dimension == 8
    segments = spoken_words.Segments.of(fold.train, frames)
    mean = spoken_.type_vectors(encoder_of(fold, frames, tmp_path), segments)
    np.testing.assert_array_equal(speech2vec_of(fold, frames, tmp_path).matrix, mean.matrix)


def test_nothing_is_trained_twice(
    tmp_path: Path, corpus: tuple[Fold, dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, frames = corpus
    before = word2vec_of(fold, tmp_path), speech2vec_of(fold, frames, tmp_path)
    monkeypatch.setattr(word2vec, "train", refuse)
    monkeypatch.setattr(speech2vec, "train", refuse)
    monkeypatch.setattr("duetto.training.word_embeddings.type_vectors", refuse)
    again = word2vec_of(fold, tmp_path), speech2vec_of(fold, frames, tmp_path)
    for old, new in zip(before, again, strict=True):
        assert old.words == new.words
        np.testing.assert_array_equal(old.matrix, new.matrix)
    with pytest.raises(AssertionError, match="trained again"):  # so the traps were set
        word2vec_of(replace(fold, train=fold.train[1:]), tmp_path)


Change = Callable[[Fold, dict[str, np.ndarray], EmbeddingConfig], tuple[Fold, dict[str, np.ndarray], EmbeddingConfig]]


def _train_word(f: Fold, x: dict[str, np.ndarray], c: EmbeddingConfig):
    return replace(f, train=(saying(f.train[0], "zebra"), *f.train[1:])), x, c


def _train_time(f: Fold, x: dict[str, np.ndarray], c: EmbeddingConfig):
    words = words_of(f.train[0])
    longer = Word(words[0].word, words[0].start, (words[0].end or 0) + 0.02)
    return replace(f, train=(replace(f.train[0], words=(longer, *words[1:])), *f.train[1:])), x, c


def _fewer(f: Fold, x: dict[str, np.ndarray], c: EmbeddingConfig):
    return replace(f, train=f.train[:-1]), x, c


def _sound(f: Fold, x: dict[str, np.ndarray], c: EmbeddingConfig):
    return f, x | {f.train[0].id: x[f.train[0].id] + 1}, c


def _development(f: Fold, x: dict[str, np.ndarray], c: EmbeddingConfig):
    return replace(f, development=f.development[1:]), x, c


def _seed(f: Fold, x: dict[str, np.ndarray], c: EmbeddingConfig):
    return f, x, replace(c, seed=1)


def _dim(f: Fold, x: dict[str, np.ndarray], c: EmbeddingConfig):
    return f, x, replace(c, dim=6)


def _test_part(f: Fold, x: dict[str, np.ndarray], c: EmbeddingConfig):
    altered = tuple(saying(u, "zebra") for u in f.test[1:])
    return replace(f, test=altered), x | {u.id: x[u.id] * 9 for u in f.test}, c


@pytest.mark.parametrize(
    ("change", "text", "speech"),
    [
        (_train_word, True, True),
        (_fewer, True, True),
        (_seed, True, True),
        (_dim, True, True),
        (_train_time, False, True),  # when a word is said is nothing to a text model
        (_sound, False, True),
        (_development, False, True),  # it chooses the epoch of Speech2Vec
        (_test_part, False, False),
    ],
)
def test_what_training_reads_makes_the_name(
    tmp_path: Path, corpus: tuple[Fold, dict[str, np.ndarray]], change: Change, text: bool, speech: bool
) -> None:
    """Another transcript, sound or setting gives other vectors, under another name; other test data do not."""
    fold, frames = corpus
    old = word2vec_of(fold, tmp_path), encoder_of(fold, frames, tmp_path).folder
    files = kept(tmp_path, "word2vec-*.vec")
    changed_fold, changed_frames, config = change(fold, frames, CONFIG)
    encoder = encoder_of(changed_fold, changed_frames, tmp_path, config)
    new = word2vec_of(changed_fold, tmp_path, config), encoder.folder
    assert (len(kept(tmp_path, "word2vec-*.vec") - files) == 1) == text
    assert (new[1] != old[1]) == speech
    assert ("zebra" in new[0]) == (change is _train_word)
    if not text:
        np.testing.assert_array_equal(new[0].matrix, old[0].matrix)


def test_spoken_words_are_embedded_one_by_one(tmp_path: Path, corpus: tuple[Fold, dict[str, np.ndarray]]) -> None:
    fold, frames = corpus
    encoder, utterance = encoder_of(fold, frames, tmp_path), fold.test[0]
    spoken = FoldInputs(fold, mfcc=frames, encoder=encoder.folder).vectoriser().spoken
    assert spoken is not None
    words = words_of(utterance)
    vectors = spoken(utterance)
    assert vectors.shape == (len(words), 8) and vectors.dtype == np.float32
    for word, vector in zip(words, vectors, strict=True):
        sound = frames[utterance.id][round((word.start or 0) * 100) : round((word.end or 0) * 100)]
        np.testing.assert_allclose(encoder([sound])[0], vector, atol=1e-6)  # float32, another batch
    untimed = replace(utterance, words=(Word("ba"), *words[1:], Word("ba", 99.0, 99.5)))
    np.testing.assert_allclose(spoken(untimed), vectors[1:], atol=1e-6)
    assert spoken(replace(utterance, words=None)).shape == spoken(replace(utterance, words=())).shape == (0, 8)


def test_word2vec_reads_transcripts_alone(tmp_path: Path, corpus: tuple[Fold, dict[str, np.ndarray]]) -> None:
    fold, _ = corpus
    untimed = replace(fold, train=tuple(replace(u, words=tuple(Word(w.word) for w in words_of(u))) for u in fold.train))
    assert set(word2vec_of(untimed, tmp_path).words) <= set(TYPES)
    assert trained.word2vec_file(fold, CONFIG, tmp_path) == trained.word2vec_file(untimed, CONFIG, tmp_path)


def test_a_killed_training_is_finished_in_its_own_folder(
    tmp_path: Path, corpus: tuple[Fold, dict[str, np.ndarray]]
) -> None:
    """Weights are there, the encoder was not exported yet: the next call does that and nothing else."""
    fold, frames = corpus
    folder = encoder_of(fold, frames, tmp_path).folder
    graph = (folder / "spoken.onnx").read_bytes()
    (folder / "spoken.json").unlink()
    assert encoder_of(fold, frames, tmp_path).folder == folder
    assert (folder / "spoken.onnx").read_bytes() == graph and kept(tmp_path, "speech2vec-*") == {folder.name}
