"""Unknown words are read as the known words that sound most like them: in a table, in evaluation, in prediction."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import duetto
from conftest import SMALL
from duetto.config import experiment
from duetto.data.manifest import read_manifest
from duetto.data.utterance import Utterance, Word
from duetto.errors import ModelError
from duetto.experiments.rescore import rescore
from duetto.experiments.runner import run_systems
from duetto.experiments.workspace import Workspace
from duetto.inference import SOUNDS, OovResolver
from duetto.inference.spoken import OovReplacer
from duetto.splits import Fold
from duetto.training import FoldInputs, word_embeddings
from duetto.training.word_embeddings import EmbeddingConfig
from test_speech2vec import planted

CONFIG = EmbeddingConfig(dim=8, epochs=1)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fold, OovReplacer]:
    """Ten word types, each with a sound of its own, and their embeddings."""
    utterances, frames = planted(40)
    fold = Fold("planted", tuple(utterances[:24]), tuple(utterances[24:30]), tuple(utterances[30:]))
    folder = word_embeddings.encoder_folder(fold, frames, CONFIG, tmp_path_factory.mktemp("vectors"))
    word_embeddings.train_encoder(folder, fold, frames, CONFIG)
    word_embeddings.speech2vec_file(folder, fold, frames)
    replacer = FoldInputs(fold, mfcc=frames, encoder=folder, resolves_oov=True).vectoriser().oov_replacer
    assert replacer is not None
    return fold, replacer


def renamed(utterance: Utterance) -> Utterance:
    """The same sounds under spellings out of the vocabulary."""
    return replace(utterance, words=tuple(replace(w, word=f"zz{w.word}") for w in utterance.words or ()))


def test_a_word_is_known_by_its_sound(sounds: tuple[Fold, OovReplacer]) -> None:
    """Instances of a type differ by noise and length only, so nearly all must come back under their old spelling;
    by chance a tenth would."""
    fold, replacer = sounds
    known = set(replacer.resolver.sounds.words)
    pairs = [
        (gold.word, read.word)
        for utterance in fold.test
        for gold, read in zip(utterance.words or (), replacer(renamed(utterance), known).words or (), strict=True)
    ]
    assert len(pairs) == 50 and np.mean([gold == read for gold, read in pairs]) > 0.9


def test_known_and_soundless_words_keep_their_spelling(sounds: tuple[Fold, OovReplacer]) -> None:
    fold, replacer = sounds
    sounds, frames = replacer.resolver.sounds, replacer.frames
    (first, *_), name = fold.test[0].words or (), fold.test[0].id
    words = (first, Word("zork"), Word("zork", 99.0, 99.5), replace(first, word="zork"))
    spelled = replacer.resolver.respell(words, frames[name], sounds)
    assert [w.word for w in spelled[:3]] == [first.word, "zork", "zork"] and spelled[3].word in sounds
    assert [(w.start, w.end) for w in spelled] == [(w.start, w.end) for w in words]
    untouched = replacer.resolver.respell(words, frames[name], {*sounds.words, "zork"})
    assert untouched == words and replacer.resolver.respell((), frames[name], ()) == ()


def test_sounds_are_unchanged_after_saving_and_loading(sounds: tuple[Fold, OovReplacer], tmp_path: Path) -> None:
    _, replacer = sounds
    for path in replacer.resolver.encoder.folder.glob("spoken.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    replacer.resolver.save(tmp_path)
    again = OovResolver.load(tmp_path)
    assert again.sounds.words == replacer.resolver.sounds.words
    np.testing.assert_array_equal(again.sounds.matrix, replacer.resolver.sounds.matrix)
    for text, message in (
        ("yes 1 2 3\n", "vectors of 3 values, the encoder beside it gives 8: they are not of one model"),
        ("\x1b[2J" + " 1" * 8 + "\n", r"sounds\.vec: '\\x1b\[2J' is no normalised word"),
    ):
        (tmp_path / SOUNDS).write_text(text)
        with pytest.raises(ModelError, match=message):
            OovResolver.load(tmp_path)


@pytest.fixture(scope="module")
def run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system whose vectors lack half of its words, and that reads unknown words by their sound."""
    folder = tmp_path_factory.mktemp("alike")
    vectors = folder / "half.vec"
    utterances = read_manifest(manifest)
    words = sorted({w.word for u in utterances if u.session != "5" for w in u.words or ()})[::2]
    vectors.write_text("".join(f"{w} {i % 7} {i % 5} {i % 3} {i % 2}\n" for i, w in enumerate(words)))
    system = experiment.load("embedding-word2vec", unknown="spoken", **SMALL)
    workspace = Workspace(manifest.parent / "cache", EmbeddingConfig(epochs=1), {"word2vec": vectors})
    run_systems([system], utterances, "session5", [folder / "run"], workspace)
    return folder / "run"


def test_prediction_equals_evaluation_on_words_never_seen(run: Path, manifest: Path) -> None:
    utterances = [renamed(u) for u in read_manifest(manifest) if u.session == "5"]
    result = rescore(run, utterances, Workspace(manifest.parent / "cache", EmbeddingConfig(epochs=1)), "renamed")
    system = duetto.load(run)
    for utterance in [u for u in utterances if u.words][:3]:
        prediction = system(utterance.audio, words=utterance.words)
        assert any("replaced by words of similar sound: zz" in warning for warning in prediction.warnings)
        expected = result.calibrated[0, list(result.ids).index(utterance.id)]
        np.testing.assert_allclose(
            list(prediction.probabilities.values()), expected, atol=1e-4
        )  # two float32 libraries


def test_a_word_without_times_is_aligned_and_one_without_sound_stays_unknown(run: Path, manifest: Path) -> None:
    utterance = next(u for u in read_manifest(manifest) if u.session == "5" and u.words)
    system = duetto.load(run)
    said = [Word(w.word) for w in utterance.words or ()]
    prediction = system(utterance.audio, words=[Word("zork"), *said[1:]])
    assert prediction.words_from == "aligned"
    assert any("words of similar sound: zork by " in w for w in prediction.warnings)
    silence = {"waveform": np.zeros(16_000, np.float32), "sample_rate": 16_000}
    unheard = system(silence, words=[Word("zork")])
    assert any("1 of 1 words are not in the system's vocabulary: zork" in warning for warning in unheard.warnings)
